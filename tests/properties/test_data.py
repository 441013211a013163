"""Any samples, written and read again, are the same samples."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rdedge.data.sinks import to_bytes
from rdedge.data.sources import read, read_stream
from rdedge.data.table import SNIFFED, read_table, write_table
from rdedge.errors import InputError
from rdedge.types import DTYPES, SampleSpec

SHAPES = hnp.array_shapes(min_dims=2, max_dims=5, min_side=1, max_side=5)
ANY = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))
CELLS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=",;|"), max_size=8
)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """To the bit, NaN and negative zero included."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def spec_of(x: np.ndarray) -> SampleSpec:
    return SampleSpec("vector", x.shape[1:], str(x.dtype))


def read_bytes(data: bytes, suffix: str, **options):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_bytes(data)
        return read(path, **options)


@given(ANY)
def test_raw(x):
    assert same(read_stream(to_bytes(x, "raw", {}), spec_of(x)).samples, x)


@settings(deadline=None)
@given(ANY, st.sampled_from(["npy", "npz"]), st.booleans())
def test_npy_and_npz(x, kind, single):
    x = x[:1] if single else x
    detail = {"order": "single"} if single else {}
    detail |= {"key": "x"} if kind == "npz" else {}
    found = read_bytes(to_bytes(x, kind, detail), f".{kind}", spec=spec_of(x))
    assert same(found.samples, x)
    assert found.detail == detail


@given(ANY, st.sampled_from("<>"), st.booleans())
def test_arrays_as_others_save_them(x, order, fortran):
    foreign = x.astype(x.dtype.newbyteorder(order), order="F" if fortran else "C")
    buffer = io.BytesIO()
    np.save(buffer, foreign)
    assert same(read_stream(buffer.getvalue(), spec_of(x)).samples, x)


EXACT = st.sampled_from([d for d in DTYPES if d not in ("int64", "float64")]).flatmap(
    lambda dtype: hnp.arrays(
        dtype, SHAPES, elements={"allow_nan": False} if dtype.startswith("float") else None
    )
)


HEADERS = st.none() | st.lists(CELLS, min_size=1, max_size=6).map(lambda cells: ["x", *cells])


@given(EXACT, st.sampled_from(SNIFFED), HEADERS)
def test_tables(x, delimiter, header):
    detail = {"delimiter": delimiter} | ({} if header is None else {"header": header})
    samples, found = read_table(write_table(x.reshape(len(x), -1), detail), "it", spec_of(x))
    assert np.array_equal(samples, x)
    assert samples.dtype == x.dtype
    assert samples.shape == x.shape
    if header is not None or x[0].size > 1:
        assert found == detail


@given(
    st.binary(max_size=80) | st.text("0123456789.,;|\t\n\r\"' e+-ax_", max_size=60).map(str.encode)
)
def test_any_text_is_a_table_or_a_typed_error(data):
    for spec in (None, SampleSpec("vector", (2,), "int8")):
        try:
            samples, detail = read_table(data, "it", spec)
        except InputError:
            continue
        assert samples.ndim == 2
        assert set(detail) <= {"delimiter", "header"}
        write_table(samples, detail)


@given(st.binary(max_size=80))
def test_any_bytes_through_a_pipe(data):
    spec = SampleSpec("vector", (3,), "uint8")
    for sent in (data, b"\x93NUMPY\x01\x00" + data):
        try:
            found = read_stream(sent, spec)
        except InputError:
            continue
        assert found.samples.nbytes == len(sent)
