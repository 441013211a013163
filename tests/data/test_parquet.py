"""Tables of Parquet -> samples, and back."""

from __future__ import annotations

import io
import sys
from itertools import islice

import numpy as np
import pytest

from rdedge.data.sinks import to_bytes
from rdedge.data.sources import ReadOptions, read
from rdedge.errors import FormatError, InputError, MissingError, SourceError
from rdedge.types import SampleSpec
from tests.format import hostile

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

SECOND = 10**9
NOON = 1_767_268_800
WINDOW = ReadOptions("series", window=2)


def save(tmp_path, **columns):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    return tmp_path / "a.parquet"


def back(source):
    data = to_bytes(source.samples, source.kind, source.detail, source.times)
    return pq.read_table(io.BytesIO(data))


def stamps(unit="us", zone=None, scale=10**6):
    return pa.array([NOON * scale, (NOON + 1) * scale, (NOON + 5) * scale]).cast(
        pa.timestamp(unit, zone)
    )


@pytest.mark.parametrize(
    "times",
    [
        stamps(),
        stamps("ms", "UTC", 1000),
        stamps("ns", "Europe/Berlin", SECOND),
        stamps("us", "+05:30"),
    ],
    ids=lambda array: str(array.type),
)
def test_a_table_with_times(tmp_path, times):
    values = pa.array([1.5, None, 2.5], pa.float32())
    path = save(tmp_path, a=values, when=times, b=pa.array([1.0, 2.0, np.nan], pa.float32()))
    found = read(path, options=ReadOptions(window=2))
    assert found.spec == SampleSpec("series", (2, 2), "float32")
    assert (found.rows, found.columns) == (3, ("a", "b"))
    assert found.times.tolist() == [NOON * SECOND, (NOON + 1) * SECOND, (NOON + 5) * SECOND]
    assert np.isnan(found.samples[0, 1, 0])
    table = back(found)
    assert table.column_names == ["a", "when", "b"]
    assert table["when"].type == times.type
    assert table["when"].to_pylist() == times.to_pylist()
    assert table["a"].to_pylist() == values.to_pylist()


def test_days_and_numbers_as_times(tmp_path):
    days = pa.array([20000, 20001]).cast(pa.int32()).cast(pa.date32())
    found = read(save(tmp_path, day=days, a=pa.array([1, 2])), options=WINDOW)
    assert found.times.tolist() == [20000 * 86400 * SECOND, 20001 * 86400 * SECOND]
    assert back(found)["day"].to_pylist() == days.to_pylist()
    for numbers in ([NOON, NOON + 1], [NOON + 0.5, NOON + 1.25], [NOON * 1000, NOON * 1000 + 1]):
        found = read(save(tmp_path, ts=pa.array(numbers), a=pa.array([1, 2])), options=WINDOW)
        assert found.columns == ("a",)
        assert back(found)["ts"].to_pylist() == numbers


def test_integers(tmp_path):
    columns = {"a": pa.array([1, 2], pa.int16()), "b": pa.array([3, -4], pa.int16())}
    found = read(save(tmp_path, **columns), options=WINDOW)
    assert str(found.samples.dtype) == "int16"
    found = read(save(tmp_path, **columns), spec=SampleSpec("series", (2, 2), "float32"))
    assert str(found.samples.dtype) == "float32"
    with_gap = save(tmp_path, a=pa.array([1, None], pa.int64()), b=pa.array([True, False]))
    found = read(with_gap, options=WINDOW)
    assert str(found.samples.dtype) == "float64"
    assert np.isnan(found.samples[0, 1, 0])
    assert found.samples[0, :, 1].tolist() == [1, 0]


def test_without_times_it_is_a_table_of_vectors(tmp_path):
    path = save(tmp_path, a=pa.array([1.0, 2.0]), b=pa.array([3.0, 4.0]))
    assert read(path, spec=SampleSpec("vector", (1, 2), "float64")).samples.shape == (2, 1, 2)
    for source in (read(path), read(path, spec=SampleSpec("vector", (2,), "float64"))):
        assert source.spec == SampleSpec("vector", (2,), "float64")
        assert source.samples.tolist() == [[1, 3], [2, 4]]
        assert back(source).to_pydict() == {"a": [1.0, 2.0], "b": [3.0, 4.0]}


def test_columns_and_times_by_name(tmp_path):
    path = save(tmp_path, t=pa.array([5, 6]), note=pa.array(["x", "y"]), a=pa.array([1.0, 2.0]))
    with pytest.raises(SourceError, match="'note' is of type string"):
        read(path, options=WINDOW)
    found = read(path, options=ReadOptions("series", 2, time="t", columns=("a",)))
    assert found.times.tolist() == [5 * SECOND, 6 * SECOND]
    found = read(path, options=ReadOptions("series", 2, time="", columns=("a", "t")))
    assert (found.times, found.columns) == (None, ("a", "t"))
    with pytest.raises(SourceError, match="columns called 'b'"):
        read(path, options=ReadOptions("series", 2, columns=("b",)))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"t": [2, 1], "a": [1.0, 2.0]}, "1 s before"),
        ({"t": [1, None], "a": [1.0, 2.0]}, "without a time"),
        ({"t": ["x", "y"], "a": [1.0, 2.0]}, "times of type string"),
        ({"t": [1, 2], "a": [1.0, np.inf]}, "row 2, column 2 is inf"),
        ({"t": [1, 2]}, "no column beside"),
        ({"t": pa.array([], pa.int64()), "a": pa.array([], pa.float32())}, "no row"),
    ],
)
def test_tables_that_are_no_series(tmp_path, columns, said):
    with pytest.raises(SourceError) as caught:
        read(save(tmp_path, **columns), options=ReadOptions("series", 2, time="t"))
    assert said in caught.value.what


def test_times_beyond_nanoseconds(tmp_path):
    far = pa.array([1 << 40, 1 << 41]).cast(pa.timestamp("s"))
    with pytest.raises(SourceError, match="2262"):
        read(save(tmp_path, t=far, a=[1.0, 2.0]), options=WINDOW)


def test_without_pyarrow(tmp_path, monkeypatch):
    path = save(tmp_path, a=[1.0, 2.0])
    found = read(path, options=WINDOW)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for act in (lambda: read(path), lambda: back(found)):
        with pytest.raises(MissingError) as caught:
            act()
        assert "parquet" in caught.value.do


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + bytes(20) + b"PAR1", b"a,b\n1,2\n"])
def test_files_that_are_none(tmp_path, data):
    path = tmp_path / "a.parquet"
    path.write_bytes(data)
    with pytest.raises(SourceError, match="Parquet"):
        read(path)


def test_damaged_files_give_samples_or_a_typed_error(tmp_path):
    path = save(tmp_path, t=stamps(), a=[1.0, 2.0, 3.0])
    data = path.read_bytes()
    for damaged in [
        *islice(hostile.flips(data), 0, None, 61),
        *islice(hostile.cuts(data), 0, None, 9),
    ]:
        path.write_bytes(damaged)
        found = hostile.outcome(lambda _: read(path, options=WINDOW).samples, b"")
        assert isinstance(found, np.ndarray | InputError)


@pytest.mark.parametrize(
    "detail",
    [
        {"header": "ab"},
        {"header": ["a"], "rows": 2},
        {"rows": 2, "time": {"index": 0, "name": "t", "format": "timestamp[m]"}},
        {"rows": 2, "time": {"index": 0, "name": "t", "format": "timestamp[us, tz=]"}},
        {"rows": 2, "time": {"index": 0, "name": "t", "format": "YYYY-MM-DD"}},
        {"rows": 2, "time": {"index": 0, "format": "date32"}},
        {"rows": 2, "delimiter": ","},
    ],
)
def test_details_that_are_none(detail):
    with pytest.raises(FormatError):
        to_bytes(np.zeros((1, 2, 2), np.float32), "parquet", detail, np.array([1, 2]))
