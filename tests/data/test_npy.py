"""One .npy array: what NumPy writes is read, and nothing is believed."""

from __future__ import annotations

import io

import numpy as np
import pytest

from rdedge.data.npy import read_npy
from rdedge.errors import InputError, ShapeError, SourceError
from rdedge.types import DTYPES
from tests.format import hostile


def saved(array: np.ndarray, version: tuple[int, int] = (1, 0)) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version)
    return buffer.getvalue()


def with_header(text: str, data: bytes = b"") -> bytes:
    raw = text.encode("latin1")
    return b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + data


def read(data: bytes) -> np.ndarray:
    return read_npy(io.BytesIO(data), len(data), "it.npy")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("memory", "CF")
def test_all_dtypes_and_orders(dtype, order, memory):
    array = np.arange(24).reshape(2, 3, 4).astype(np.dtype(dtype).newbyteorder(order), order=memory)
    for version in ((1, 0), (2, 0)):
        found = read(saved(array, version))
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)
        assert found.flags.writeable


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,) * 10])
def test_odd_shapes(shape):
    assert read(saved(np.zeros(shape))).shape == shape


def test_an_array_within_a_file_is_read_from_where_the_file_stands():
    data = saved(np.arange(5.0))
    file = io.BytesIO(b"before" + data)
    file.seek(6)
    assert np.array_equal(read_npy(file, len(data), "it"), np.arange(5.0))


def header(shape: str = "(2,)", descr: str = "'<f8'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00",
        b"\x93NUMPY\x03\x00" + saved(np.zeros(2))[8:],
        b"\x93NUMPY\x09\x00" + saved(np.zeros(2))[8:],
        b"PK\x03\x04" + bytes(100),
        saved(np.zeros(2))[:-1],
        saved(np.zeros(2)) + b"\x00",
        saved(np.zeros(2)) + saved(np.zeros(2)),
        with_header(header("(1000000000000000,)"), bytes(16)),
        with_header(header("(4294967296, 4294967296)")),
        with_header(header("(-1,)"), bytes(16)),
        with_header(header("(-1, -2)"), bytes(16)),
        with_header(header("(True, 2)"), bytes(16)),
        with_header(header("(2.0,)"), bytes(16)),
        with_header(header("2"), bytes(16)),
        with_header(header("[2]"), bytes(16)),
        with_header(header("(" + "1," * 40 + ")"), bytes(8)),
        with_header(header("(" + "9" * 5000 + ",)")),
        with_header(header(descr="()"), bytes(16)),
        with_header(header(descr="'nonsense'"), bytes(16)),
        with_header(header(descr="7"), bytes(16)),
        with_header(header(order="2"), bytes(16)),
        with_header("{}"),
        with_header("[]"),
        with_header("((((((((((" * 300),
        with_header("__import__('os').system('false')"),
        with_header(
            "{'descr': '<f8', 'shape': (2,), 'fortran_order': False, 'more': 1}", bytes(16)
        ),
        with_header("'"),
        with_header("\\"),
        with_header("{'descr': '<f8'"),
        with_header("\x00"),
    ],
)
def test_what_is_no_sound_array(data):
    with pytest.raises(SourceError):
        read(data)


@pytest.mark.parametrize(
    "descr",
    [
        "'|O'",
        "'|S4'",
        "'<U2'",
        "'|V8'",
        "'<c8'",
        "'|b1'",
        "'<M8[s]'",
        "'<u8'",
        "[('a', '<f8')]",
        "('<f8', (2,))",
        "'<f16'",
        "'|S0'",
        "{}",
    ],
)
def test_dtypes_that_are_no_samples(descr):
    with pytest.raises(ShapeError):
        read(with_header(header(descr=descr), bytes(16)))


def test_nothing_is_unpickled():
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}, 1], object), allow_pickle=True)
    with pytest.raises(ShapeError):
        read(buffer.getvalue())


@pytest.mark.filterwarnings("ignore")  # NumPy and Python warn of some damaged headers
def test_damage_gives_an_array_or_a_typed_error():
    data = saved(np.arange(6, dtype=np.int16).reshape(2, 3))
    for damaged in [*hostile.flips(data), *hostile.cuts(data)]:
        found = hostile.outcome(read, damaged)
        assert isinstance(found, np.ndarray | InputError)


def test_a_promise_takes_no_memory():
    data = with_header(header("(1000000000000000,)"), bytes(16))
    hostile.outcome(read, data)
    assert hostile.peak_bytes(read, data) < 200_000
