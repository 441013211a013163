"""Samples -> the file that they came from."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from rdedge.data.sinks import to_bytes
from rdedge.data.sources import read
from rdedge.errors import FormatError

X = np.array([[1.5, -2.0], [3.25, 4.0]], np.float32)


def test_raw_is_little_endian():
    assert to_bytes(np.array([[1, 258]], np.int16), "raw", {}) == b"\x01\x00\x02\x01"
    assert to_bytes(np.array([[1, 258]], ">i2"), "raw", {}) == b"\x01\x00\x02\x01"


def test_npy():
    assert np.array_equal(np.load(io.BytesIO(to_bytes(X, "npy", {}))), X)
    single = np.load(io.BytesIO(to_bytes(X[:1], "npy", {"order": "single"})))
    assert np.array_equal(single, X[0])


@pytest.mark.parametrize("key", ["arr_0", "file", "allow_pickle", "a/b", "é"])
def test_npz_keeps_any_key(key):
    data = to_bytes(X, "npz", {"key": key})
    with np.load(io.BytesIO(data)) as found:
        assert found.files == [key]
        assert np.array_equal(found[key], X)
    assert to_bytes(X, "npz", {"key": key}) == data
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.infolist()[0].compress_type == zipfile.ZIP_DEFLATED


def test_npz_without_a_key():
    with np.load(io.BytesIO(to_bytes(X[:1], "npz", {"order": "single"}))) as found:
        assert np.array_equal(found["arr_0"], X[0])


def test_csv():
    assert to_bytes(X, "csv", {}) == b"1.5,-2\n3.25,4\n"
    detail = {"delimiter": ";", "header": ["a;b", "c"]}
    assert to_bytes(X, "csv", detail) == b'"a;b";c\n1.5;-2\n3.25;4\n'
    whole = np.array([[-1, 2**63 - 1]], np.int64)
    assert to_bytes(whole, "csv", {"delimiter": "|"}) == b"-1|9223372036854775807\n"


def test_csv_of_samples_with_several_axes():
    assert to_bytes(np.arange(8, dtype=np.uint8).reshape(2, 2, 2), "csv", {}) == (
        b"0,1,2,3\n4,5,6,7\n"
    )


def test_csv_holds_all_of_float32(tmp_path):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2**32, 4000, dtype=np.uint32).view(np.float32).reshape(-1, 4)
    x = x[np.isfinite(x).all(axis=1)]
    path = tmp_path / "a.csv"
    path.write_bytes(to_bytes(x, "csv", {}))
    assert np.array_equal(read(path).samples.astype(np.float32), x)


@pytest.mark.parametrize("kind", ["raw", "npy", "npz", "csv"])
def test_a_detail_of_another_kind_is_refused(kind):
    for key, value in {"key": "a", "delimiter": ",", "order": "single", "zzz": 1}.items():
        if key not in {"npy": ("order",), "npz": ("key", "order"), "csv": ("delimiter",)}.get(
            kind, ()
        ):
            with pytest.raises(FormatError):
                to_bytes(X[:1], kind, {key: value})


@pytest.mark.parametrize("value", [None, 1, [], {}, "", ",;", "\n", ".", "\x00", "é", "ab"])
def test_delimiters_that_are_none(value):
    with pytest.raises(FormatError):
        to_bytes(X, "csv", {"delimiter": value})


@pytest.mark.parametrize("value", [None, 1, "ab", {}, [1], [["a"]], [None]])
def test_headers_that_are_none(value):
    with pytest.raises(FormatError):
        to_bytes(X, "csv", {"header": value})


@pytest.mark.parametrize("value", [None, 1, [], "", "../a", "/a", "a/../b", "a\x00", "a" * 256])
def test_keys_that_are_none(value):
    with pytest.raises(FormatError):
        to_bytes(X, "npz", {"key": value})


@pytest.mark.parametrize("value", [None, 1, "C", "", ["single"]])
def test_orders_that_are_none(value):
    with pytest.raises(FormatError):
        to_bytes(X[:1], "npy", {"order": value})
    with pytest.raises(FormatError):
        to_bytes(X, "npy", {"order": "single"})
