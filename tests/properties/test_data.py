"""Any samples, written and read again, are the same samples."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rdedge.data.series import windows
from rdedge.data.sinks import to_bytes
from rdedge.data.sources import ReadOptions, read, read_stream
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


@st.composite
def tables_of_rows(draw):
    """(values with NaN, times or None, names or None) of a series."""
    dtype = draw(st.sampled_from(["float32", "float64", "int16", "uint8"]))
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7))
    finite = {"allow_infinity": False} if dtype.startswith("float") else None
    values = draw(hnp.arrays(dtype, shape, elements=finite))
    if dtype.startswith("float"):
        values[draw(hnp.arrays(bool, shape))] = np.nan
    steps = st.lists(st.integers(0, 10**15), min_size=shape[0], max_size=shape[0])
    times = np.cumsum(np.array(draw(steps), np.int64)) + draw(st.integers(-(10**18), 10**18))
    cells = CELLS.map(lambda cell: f"x{cell}")
    names = st.lists(cells, min_size=shape[1], max_size=shape[1], unique_by=str.strip)
    return values, draw(st.none() | st.just(times)), draw(st.none() | names)


FORMATS = {".csv": ("YYYY-MM-DDThh:mm:ss.fffffffffZ",), ".parquet": ("timestamp[ns, tz=UTC]",)}


@settings(deadline=None)
@given(tables_of_rows(), st.integers(1, 4), st.sampled_from([".csv", ".parquet"]), st.data())
def test_series_come_back_with_times_columns_and_gaps(table, window, suffix, data):
    values, times, names = table
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    window = min(window, len(values))
    samples, rows = windows(values, window, None, "it")
    detail = {"rows": rows}
    if names is not None or suffix == ".parquet":
        names = names or [f"x{j}" for j in range(values.shape[1])]
        detail["header"] = names
    if times is not None:
        index = data.draw(st.integers(0, values.shape[1]))
        detail["time"] = {"index": index, "format": FORMATS[suffix][0]}
        if names is not None:
            detail["time"]["name"] = "time"
    if suffix == ".csv":
        detail["delimiter"] = data.draw(st.sampled_from(SNIFFED))
    written = to_bytes(samples, suffix[1:], detail, times)
    spec = SampleSpec("series", samples.shape[1:], str(values.dtype))
    separator = detail.get("delimiter")
    found = read_bytes(written, suffix, spec=spec, options=ReadOptions(separator=separator))
    assert found.samples.dtype == values.dtype
    if suffix == ".csv" and samples.dtype == np.float64:
        # What float32 holds is written with nine digits, which float32 reads back.
        assert np.allclose(found.samples, samples, rtol=1e-8, atol=0, equal_nan=True)
    else:
        assert np.array_equal(found.samples, samples, equal_nan=values.dtype.kind == "f")
    assert found.rows == rows
    assert found.columns == tuple(names or ())
    assert (found.times is None) == (times is None)
    assert times is None or np.array_equal(found.times, times)
    assert to_bytes(found.samples, suffix[1:], found.detail, found.times) == written


@settings(deadline=None)
@given(
    hnp.arrays(
        st.sampled_from(["uint8", "uint16"]),
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])),
    )
)
def test_pictures(pixels):
    pytest.importorskip("PIL")
    if pixels.dtype == np.uint16 and pixels.shape[2] == 3:
        pytest.importorskip("imagecodecs")
    found = read_bytes(to_bytes(pixels[None], "image", {"format": "png"}), ".png")
    assert same(found.samples, pixels[None])


@given(
    st.binary(max_size=80)
    | st.text("0123456789.,;-:T\n natime", max_size=80).map(str.encode)
    | st.lists(
        st.sampled_from(["2026-01-01", "2026-01-02 12:00", "1", "", "nan", "x", "time"]),
        max_size=12,
    ).map(lambda cells: "\n".join(map(",".join, zip(*[iter(cells)] * 2, strict=False))).encode())
)
def test_any_text_is_a_series_or_a_typed_error(data):
    try:
        found = read_bytes(data, ".csv", options=ReadOptions("series", window=1))
    except InputError:
        return
    assert not np.isinf(found.samples).any()
    again = to_bytes(found.samples, "csv", found.detail, found.times)
    assert again
