"""Series: tables with times and gaps, arrays, pipes -> windows, and back."""

from __future__ import annotations

import numpy as np
import pytest

from rdedge.data.series import windows
from rdedge.data.sinks import to_bytes
from rdedge.data.sources import ReadOptions, read, read_all, read_stream
from rdedge.errors import ConfigError, ShapeError, SourceError
from rdedge.types import SampleSpec

SPEC = SampleSpec("series", (2, 2), "float32")
SECOND = 10**9
NOON = 1_767_268_800 * SECOND  # 2026-01-01 12:00
SERIES = ReadOptions("series", window=2)

CSV = """time;flow [l/min];p
2026-01-01 12:00:00;1.5;2
2026-01-01 12:00:01;;3
2026-01-01 12:00:03;2.5;NA
"""


def text(tmp_path, content, name="a.csv"):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8", newline="")
    return path


def read_text(tmp_path, content, spec=None, **options):
    return read(text(tmp_path, content), spec=spec, options=ReadOptions(**options))


def restored(source):
    return to_bytes(source.samples, source.kind, source.detail, source.times).decode()


# Tables


def test_a_table_with_times_is_a_series(tmp_path):
    found = read_text(tmp_path, CSV, window=2)
    assert found.spec == SPEC
    assert found.columns == ("flow [l/min]", "p")
    assert found.rows == 3
    assert found.times.tolist() == [NOON, NOON + SECOND, NOON + 3 * SECOND]
    wanted = [[[1.5, 2], [np.nan, 3]], [[2.5, np.nan], [2.5, np.nan]]]
    assert np.array_equal(found.samples, np.array(wanted, np.float32), equal_nan=True)
    assert found.detail == {
        "delimiter": ";",
        "header": ["flow [l/min]", "p"],
        "rows": 3,
        "time": {"name": "time", "index": 0, "format": "YYYY-MM-DD hh:mm:ss"},
    }
    assert restored(found) == CSV.replace("NA", "")
    assert (found.from_text, found.sample_kind, found.kind) == (True, "series", "csv")


def test_the_bundle_says_the_window_the_dtype_and_the_columns(tmp_path):
    spec = SampleSpec("series", (2, 1), "float64")
    path = text(tmp_path, CSV)
    found = read(path, spec=spec, options=ReadOptions(window=9, stride=1, columns=("p",)))
    assert found.spec == spec
    assert found.columns == ("p",)
    assert found.detail["time"]["index"] == 0
    both = read(path, spec=SPEC, options=ReadOptions(columns=("p", "flow [l/min]")))
    assert both.samples[0, 0].tolist() == [2, 1.5]
    assert both.columns == ("p", "flow [l/min]")
    with pytest.raises(SourceError, match="'q'"):
        read(path, spec=SPEC, options=ReadOptions(columns=("p", "q")))
    with pytest.raises(ShapeError, match="2 columns"):
        read(path, spec=spec)


def test_the_default_window(tmp_path):
    rows = "".join(f"2026-01-01 12:{i // 60:02}:{i % 60:02},{i}\n" for i in range(100))
    found = read_text(tmp_path, rows)
    assert found.samples.shape == (2, 64, 1)
    assert restored(found) == rows
    with pytest.raises(SourceError, match="63 rows"):
        read_text(tmp_path, "".join(rows.splitlines(keepends=True)[:63]))


@pytest.mark.parametrize("separator", ",;\t| :^~#&")
def test_separators(tmp_path, separator):
    content = separator.join("ab") + "\n" + f"1{separator}2\n3{separator}4\n"
    found = read_text(tmp_path, content, window=2, separator=separator)
    assert found.samples.tolist() == [[[1, 2], [3, 4]]]
    assert restored(found) == content


@pytest.mark.parametrize("separator", ["", ",,", ".", "a", "\n", '"'])
def test_separators_that_are_none(tmp_path, separator):
    with pytest.raises(ConfigError):
        read_text(tmp_path, "1,2\n", window=1, separator=separator)


@pytest.mark.parametrize(
    "cells",
    [
        ("2026-01-01 12:00", "2026-01-01 12:01"),
        ("2026-01-01T12:00:00Z", "2026-01-01T12:01:00Z"),
        ("2026-01-01T13:00:00+01:00", "2026-01-01T13:01:00+01:00"),
        ("2026-01-01 06:30:00.000-0530", "2026-01-01 06:31:00.000-0530"),
        ("2026-01-01 13:00:00.000000000+01", "2026-01-01 13:01:00.000000000+01"),
        ("1767268800", "1767268860"),
        ("1767268800.000", "1767268860.000"),
        ("1767268800000", "1767268860000"),
        ("1767268800000000", "1767268860000000"),
        ("1767268800000.0", "1767268860000.0"),
        ("1767268800000000000", "1767268860000000000"),
    ],
)
def test_times_come_back_as_they_were_written(tmp_path, cells):
    content = "a,Timestamp\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))
    found = read_text(tmp_path, content, window=2)
    assert found.times.tolist() == [NOON, NOON + 60 * SECOND]
    assert found.columns == ("a",)
    assert restored(found) == content


def test_days_and_times_before_1970(tmp_path):
    content = "date,a\n1969-12-30,1\n1970-01-02,2\n"
    found = read_text(tmp_path, content, window=2)
    assert found.times.tolist() == [-2 * 86_400 * SECOND, 86_400 * SECOND]
    assert restored(found) == content
    content = "time,a\n-0.5,1\n0.0,2\n1.5,2\n"
    found = read_text(tmp_path, content, window=3)
    assert found.times.tolist() == [-SECOND // 2, 0, 3 * SECOND // 2]
    assert restored(found) == content


def test_times_of_several_forms_are_written_in_the_finest(tmp_path):
    content = "time,a\n2026-01-01 12:00,1\n2026-01-01 12:00:01.25,2\n"
    assert restored(read_text(tmp_path, content, window=2)) == (
        "time,a\n2026-01-01 12:00:00.00,1\n2026-01-01 12:00:01.25,2\n"
    )


def test_the_column_of_times_by_name(tmp_path):
    content = "t,a,date\n1,2,3\n2,3,3\n"
    assert read_text(tmp_path, content, window=2).columns == ("t", "a")
    found = read_text(tmp_path, content, time="t", window=2)
    assert found.times.tolist() == [SECOND, 2 * SECOND]
    assert found.columns == ("a", "date")
    found = read_text(tmp_path, content, time="", window=2)
    assert found.times is None
    assert found.columns == ("t", "a", "date")
    found = read_text(tmp_path, content, columns=("date", "a"), window=2)
    assert (found.times, found.columns) == (None, ("date", "a"))
    found = read_text(tmp_path, "5,1\n6,2\n", time="1", window=2)
    assert found.times.tolist() == [5 * SECOND, 6 * SECOND]
    assert restored(found) == "5,1\n6,2\n"
    for wrong in ("b", "1"):
        with pytest.raises(SourceError, match="0 columns"):
            read_text(tmp_path, content, time=wrong, window=2)
    with pytest.raises(SourceError, match="0 columns"):
        read_text(tmp_path, "5,1\n6,2\n", time="3", window=2)


@pytest.mark.parametrize("first", ["time,a", "2025-12-31 00:00:00,7"])
@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("2026-01-01,x", "row 3, column 2 is 'x'"),
        ("2026-01-01,1_0", "row 3, column 2 is '1_0'"),
        ("2026-01-01,inf", "row 3, column 2 is inf"),
        ("2026-01-01,-1e400", "row 3, column 2 is -inf"),
        ("2026-01-01,1,2", "row 3 has 3 cells"),
        ("2026-01-01", "row 3 has 1 cells"),
        ("2025-12-31 23:00,1", "row 3 is 3600 s before"),
        ("2026-13-01,1", "row 3 has the time '2026-13-01'"),
        ("2026-01-01 25:00,1", "row 3 has the time"),
        ("1500-01-01,1", "row 3 has the time '1500-01-01'"),
        ("12.01.2026,1", "row 3 has the time '12.01.2026'"),
        (",1", "row 3 has the time ''"),
        ("5,1", "row 3 has the time '5'"),
    ],
)
def test_tables_that_are_no_series(tmp_path, first, row, said):
    with pytest.raises(SourceError) as caught:
        read_text(tmp_path, f"{first}\n2026-01-01 00:00:00,1\n{row}\n", window=1)
    assert said in caught.value.what
    assert caught.value.expected


def test_a_header_in_the_middle(tmp_path):
    with pytest.raises(SourceError, match="row 3 is the header again"):
        read_text(tmp_path, "a,b\n1,2\na,b\n3,4\n", window=1)


def test_the_same_time_twice_is_allowed(tmp_path):
    found = read_text(tmp_path, "date,a\n2026-01-01,1\n2026-01-01,2\n", window=1)
    assert found.times[0] == found.times[1]


def test_gaps(tmp_path):
    found = read_text(tmp_path, "a,b\n1,nan\n,NULL\nNaN,n/a\n4, \n", window=2)
    assert np.isnan(found.samples).reshape(4, 2).tolist() == [
        [False, True],
        [True, True],
        [True, True],
        [False, True],
    ]
    assert restored(found) == "a,b\n1,\n,\n,\n4,\n"
    again = read_text(tmp_path, restored(found), window=2)
    assert np.array_equal(again.samples, found.samples, equal_nan=True)
    nothing = read_text(tmp_path, ";;\n;;\n", window=1)
    assert np.isnan(nothing.samples).all()
    assert (nothing.rows, restored(nothing)) == (2, ";;\n;;\n")
    with pytest.raises(SourceError, match="only gaps"):
        read_text(tmp_path, ";;\n;;\n")
    one = read_text(tmp_path, "a\n1\nnan\n", window=1)
    assert restored(one) == "a\n1\nnan\n"
    with pytest.raises(ShapeError, match="row 2, column 2 is nan"):
        read_text(tmp_path, "a,b\n1,\n", SampleSpec("series", (1, 2), "int16"))


def test_gaps_in_the_first_row_make_no_header(tmp_path):
    found = read_text(tmp_path, ",,3\n4,5,6\n", window=2)
    assert found.rows == 2
    assert np.isnan(found.samples[0, 0, :2]).all()
    index = read_text(tmp_path, ",0,1\n7,8,9\n", window=1)
    assert index.columns == ("", "0", "1")


@pytest.mark.parametrize(
    ("cell", "dtype"),
    [
        ("0.1234567", "float32"),
        ("0.12345678", "float64"),
        ("1234567", "float32"),
        ("12345678", "float64"),
        ("-3.402e38", "float32"),
        ("3.5e38", "float64"),
        ("1e-40", "float64"),
        ("0", "float32"),
        ("nan", "float32"),
        ("0.3333333333333333", "float64"),
    ],
)
def test_dtype_of_text(tmp_path, cell, dtype):
    assert str(read_text(tmp_path, f"a\n{cell}\n", window=1).samples.dtype) == dtype


def test_text_is_rounded_to_the_dtype_of_the_bundle(tmp_path):
    spec = SampleSpec("series", (1, 1), "float32")
    found = read_text(tmp_path, "a\n0.123456789123\n", spec)
    assert found.samples[0, 0, 0] == np.float32(0.123456789123)
    with pytest.raises(SourceError, match="inf"):
        read_text(tmp_path, "a\n1e39\n", spec)
    assert read_text(tmp_path, "a\n7\n", SampleSpec("series", (1, 1), "int8")).samples[0, 0, 0] == 7
    with pytest.raises(ShapeError, match=r"row 2, column 1 is 7\.5"):
        read_text(tmp_path, "a\n7.5\n", SampleSpec("series", (1, 1), "int8"))


def test_float64_keeps_its_digits(tmp_path):
    content = "a\n101325.123456789\n0.1\n"
    assert restored(read_text(tmp_path, content, window=2)) == content


def test_options_that_contradict_each_other(tmp_path):
    for kind in ("vector", "image"):
        with pytest.raises(ConfigError):
            read_text(tmp_path, CSV, kind=kind, window=2)
    with pytest.raises(ShapeError):
        read_text(tmp_path, CSV, kind="image")
    for window, stride in ((0, None), (2, 0), (-1, 1)):
        with pytest.raises(ConfigError):
            read_text(tmp_path, CSV, window=window, stride=stride)


def test_columns_that_are_not_there(tmp_path):
    with pytest.raises(SourceError, match="no header"):
        read_text(tmp_path, "1,2\n", columns=("a",), window=1)
    with pytest.raises(SourceError, match="2 columns called 'a'"):
        read_text(tmp_path, "a,a\n1,2\n", columns=("a",), window=1)
    with pytest.raises(SourceError, match="no column beside"):
        read_text(tmp_path, "time\n2026-01-01\n", window=1)
    with pytest.raises(SourceError, match="no row"):
        read_text(tmp_path, "a,b\n", window=1)
    with pytest.raises(SourceError, match="header has 3 cells"):
        read_text(tmp_path, "a,b,c\n1,2\n", window=1)


def test_text_in_a_column_that_is_not_taken(tmp_path):
    content = "time,state,a\n2026-01-01,on,1\n2026-01-02,off,2\n"
    with pytest.raises(SourceError, match="'on'"):
        read_text(tmp_path, content, window=2)
    found = read_text(tmp_path, content, columns=("a",), window=2)
    assert restored(found) == "time,a\n2026-01-01,1\n2026-01-02,2\n"


def test_text_of_several_files_is_of_one_dtype(tmp_path):
    text(tmp_path, "a\n1\n2\n", "a.csv")
    text(tmp_path, "a\n0.12345678\n2\n", "b.csv")
    found = list(read_all([tmp_path], [], options=SERIES))
    assert [str(source.samples.dtype) for source in found] == ["float64", "float64"]
    text(tmp_path, "a,b\n1,2\n2,3\n", "c.csv")
    with pytest.raises(ShapeError, match=r"c\.csv holds samples of kind series, shape \(2, 2\)"):
        read_all([tmp_path], [], options=SERIES)
    with pytest.raises(ShapeError, match="2 columns"):
        list(read_all([tmp_path], [], spec=SampleSpec("series", (2, 1), "float32")))


# Windows


def test_windows_follow_each_other_or_overlap():
    values = np.arange(10).reshape(5, 2)
    samples, rows = windows(values, 2, None, "it")
    assert (samples.shape, rows) == ((3, 2, 2), 5)
    assert samples[2].tolist() == [[8, 9], [8, 9]]
    samples, rows = windows(values, 2, 1, "it")
    assert (samples.shape, rows) == ((4, 2, 2), None)
    assert samples[3].tolist() == [[6, 7], [8, 9]]
    assert windows(values, 2, 3, "it")[0][:, 0, 0].tolist() == [0, 6]
    with pytest.raises(SourceError, match="5 rows"):
        windows(values, 6, None, "it")
    assert windows(values, 6, None, "it", short=True)[0].shape == (1, 6, 2)


def test_rows_of_a_container_cut_short(tmp_path):
    found = read(text(tmp_path, CSV), options=SERIES)
    half = to_bytes(found.samples[:1], "csv", found.detail, found.times).decode()
    assert half == "".join(CSV.splitlines(keepends=True)[:3])


def test_without_its_times(tmp_path):
    found = read(text(tmp_path, CSV), options=SERIES)
    lines = to_bytes(found.samples, "csv", found.detail).decode().splitlines()
    assert lines == ["flow [l/min];p", "1.5;2", ";3", "2.5;"]


# Arrays and pipes


def save(tmp_path, array, name="a.npy"):
    path = tmp_path / name
    np.save(path, array)
    return path


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", ">f4"])
def test_arrays_of_rows(tmp_path, dtype):
    x = np.arange(10).reshape(5, 2).astype(dtype)
    path = save(tmp_path, x)
    native = str(x.dtype.newbyteorder("="))
    for source in (
        read(path, options=SERIES),
        read(path, spec=SampleSpec("series", (2, 2), native)),
    ):
        assert source.spec == SampleSpec("series", (2, 2), native)
        assert (source.rows, source.detail) == (5, {"rows": 5})
        path.write_bytes(to_bytes(source.samples, "npy", source.detail))
        assert np.array_equal(np.load(path), x)
    assert read(path).spec.kind == "vector"


def test_arrays_of_windows(tmp_path):
    x = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    for source in (read(save(tmp_path, x), options=SERIES), read(save(tmp_path, x), spec=SPEC)):
        assert (source.rows, source.detail, source.spec) == (None, {}, SPEC)
        assert np.array_equal(source.samples, x)
    np.savez(tmp_path / "a.npz", x=x[0])
    found = read(tmp_path / "a.npz", spec=SPEC)
    assert found.detail == {"key": "x", "rows": 2}
    assert found.samples.shape == (1, 2, 2)


@pytest.mark.parametrize(
    ("shape", "error"),
    [((5,), ShapeError), ((0, 2), ShapeError), ((5, 3), ShapeError), ((1, 2), SourceError),
     ((3, 4, 2), ShapeError), ((1, 2, 3, 2), ShapeError)],
)  # fmt: skip
def test_arrays_that_are_no_series(tmp_path, shape, error):
    with pytest.raises(error):
        read(save(tmp_path, np.zeros(shape, np.float32)), spec=SPEC)


def test_infinity_in_arrays(tmp_path):
    x = np.zeros((4, 2), np.float32)
    x[2, 1] = -np.inf
    for array in (x, x.reshape(2, 2, 2)):
        with pytest.raises(SourceError, match="row 3, column 2 is -inf"):
            read(save(tmp_path, array), spec=SPEC)


def test_pipes_of_rows():
    x = np.arange(10, dtype="<f4").reshape(5, 2)
    found = read_stream(x.tobytes(), SPEC)
    assert (found.rows, found.detail, found.kind) == (5, {"rows": 5}, "raw")
    assert found.samples.shape == (3, 2, 2)
    assert to_bytes(found.samples, "raw", found.detail) == x.tobytes()
    assert read_stream(x[:1].tobytes(), SPEC).rows == 1
    for wrong in (b"", x.tobytes()[:-4]):
        with pytest.raises(SourceError, match="bytes came through"):
            read_stream(wrong, SPEC)
    x[0, 0] = np.inf
    with pytest.raises(SourceError, match="row 1, column 1"):
        read_stream(x.tobytes(), SPEC)
