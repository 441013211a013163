"""Tables of text with times and gaps <-> rows of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdedge.data import times as clock
from rdedge.data.series import Rows, as_dtype, pick, refuse_infinity
from rdedge.data.table import Cells, check_detail, is_number, write_cells
from rdedge.data.times import Times
from rdedge.errors import FormatError, SourceError
from rdedge.types import Array

__all__ = ["has_times", "insert_name", "read_rows", "time_column", "write_rows"]

# How a missing value is written, in lower case; float() knows nan.
_GAPS = frozenset({"", "na", "null", "n/a"})


def has_times(rows: Cells) -> bool:
    """Whether a column of times can be seen: by its cells, or by its name and a number below."""
    header, body = _parted(rows)
    return bool(body) and _found(header, body) is not None


def read_rows(
    rows: Cells,
    delimiter: str,
    name: str,
    *,
    dtype: str | None,
    time: str | None,
    columns: tuple[str, ...],
) -> Rows:
    """Cells of a table -> its numbers, NaN where a cell is empty, nan, NA or NULL.

    dtype: of the values; None: float32 where that holds all digits, else float64.
    time: name of the column of times (its number from 1 where there is no header); None: found;
        "": there is none.
    columns: names of those to take; (): all but the time's.
    Raises SourceError or ShapeError, with the row counted from 1, the header included.
    """
    header, body = _parted(rows)
    if not body:
        raise SourceError(f"{name} has a header and no row", expected="rows of numbers")
    first_row = 1 if header is None else 2
    width = len(body[0])
    for i, row in enumerate(body):
        if len(row) != width:
            raise SourceError(
                f"{name}: row {i + first_row} has {len(row)} cells", expected=f"{width}"
            )
    if header is not None and len(header) != width:
        raise SourceError(
            f"{name}: the header has {len(header)} cells and row 2 has {width}", expected="as many"
        )
    if header is not None and header in body:
        raise SourceError(
            f"{name}: row {body.index(header) + first_row} is the header again",
            expected="one table in a file",
            do="split the file there",
        )
    at = None if time == "" else _found(header, body)
    if time:
        at = time_column(header, width, time, name)
    kept = pick(header, width, at, columns, name)
    if time is None and at in kept:
        # Wanted as a channel, so it is one.
        at = None
    cells = list(zip(*body, strict=True))
    values = np.empty((len(body), len(kept)), np.float64)
    for k, j in enumerate(kept):
        values[:, k] = _numbers(cells[j], name, first_row, j)
    refuse_infinity(values, name, first_row, kept)
    values = as_dtype(values, dtype or _least(values), name, first_row, kept)
    detail: dict[str, Any] = {"delimiter": delimiter}
    names = () if header is None else tuple(header[j] for j in kept)
    if header is not None:
        detail["header"] = list(names)
    times = None
    if at is not None:
        times, format_ = clock.parse(cells[at], name, first_row)
        clock.check_order(times, name, first_row)
        detail["time"] = {"format": format_, "index": sum(j < at for j in kept)}
        if header is not None:
            detail["time"]["name"] = header[at]
    return Rows(values, times, names, detail)


def _parted(rows: Cells) -> tuple[list[str] | None, Cells]:
    """The header, where there is one, and the rows below it; lines of blanks are left out."""
    if any(len(row) > 1 for row in rows):
        rows = [row for row in rows if len(row) > 1 or row[0].strip()]
    first = rows[0]
    numbers = sum(map(is_number, first))
    if any(map(clock.is_time, first)):
        return None, rows
    # As pandas writes an index: a name is missing, and what follows are names or 0, 1, 2...
    rest = [cell.strip() for cell in first[1:]]
    index = not first[0].strip() and rest == [str(i) for i in range(len(rest))] and bool(rest)
    if index or 2 * numbers < sum(cell.strip() != "" for cell in first):
        return first, rows[1:]
    return None, rows


def _found(header: list[str] | None, body: Cells) -> int | None:
    """The column of times: the first that is called so and can be one, or that has such cells."""
    first = body[0]
    if header is not None:
        for j, cell in enumerate(header[: len(first)]):
            if clock.is_time_name(cell) and (is_number(first[j]) or clock.is_time(first[j])):
                return j
    return next((j for j, cell in enumerate(first) if clock.is_time(cell)), None)


def time_column(names: Sequence[str] | None, width: int, time: str, source: str) -> int:
    """The number, from 0, of the column of times called time. Raises SourceError."""
    if names is None:
        found = [int(time) - 1] if time.isdecimal() and 1 <= int(time) <= width else []
    else:
        found = [j for j, cell in enumerate(names) if cell == time]
        found = found or [j for j, cell in enumerate(names) if cell.strip() == time.strip()]
    if len(found) != 1:
        there = f"a number from 1 to {width}: it has no header" if names is None else names
        raise SourceError(
            f"{source} has {len(found)} columns of times called {time!r:.60}",
            expected=there if isinstance(there, str) else f"one of {', '.join(there)!s:.300}",
        )
    return found[0]


def _numbers(cells: Sequence[str], name: str, first_row: int, column: int) -> NDArray[np.float64]:
    try:
        values = np.array(list(map(float, cells)), np.float64)
    except ValueError:
        filled = ["nan" if c.strip().lower() in _GAPS else c for c in cells]
        try:
            values = np.array(list(map(float, filled)), np.float64)
        except ValueError:
            raise _text(filled, name, first_row, column) from None
    # Python's numbers may hold underscores, those of tables may not.
    if "_" in "".join(cells):
        raise _text(cells, name, first_row, column)
    return values


def _text(cells: Sequence[str], name: str, first_row: int, column: int) -> SourceError:
    i = next(i for i, cell in enumerate(cells) if not is_number(cell))
    return SourceError(
        f"{name}: row {i + first_row}, column {column + 1} is {cells[i][:40]!r}",
        expected="a number; a missing value is an empty cell, nan, NA or NULL",
        do="name the columns to take, without those of text",
    )


def _least(values: NDArray[np.float64]) -> str:
    """float32 where no value has more than 7 significant digits, else float64."""
    present = np.abs(values[np.isfinite(values) & (values != 0)])
    limits = np.finfo(np.float32)
    if not len(present):
        return "float32"
    if present.max() > limits.max or present.min() < limits.tiny:
        return "float64"
    # Scaled to 7 digits before the point, such a value is whole but for the noise of float64.
    scaled = present * 10.0 ** (6 - np.floor(np.log10(present)))
    return "float32" if (np.abs(scaled - np.rint(scaled)) < 1e-6).all() else "float64"


def write_rows(values: Array, detail: dict[str, Any], times: Times | None) -> bytes:
    """Rows (rows, C) -> the text that read_rows reads as them, in UTF-8.

    detail: as read_rows gives it, but not trusted. times: (rows,), None where they did not come:
    then their column is left out. Raises FormatError.
    """
    delimiter, names = check_detail(detail)
    time = check_time(detail, values.shape[1])
    columns = [_texts(column) for column in values.T]
    if names is not None and time is not None and times is not None:
        names = insert_name(names, time)
    if time is not None and times is not None:
        columns.insert(time["index"], clock.text_of(times, time["format"]))
    if len(columns) == 1:
        # A line of nothing would be no row.
        columns = [[cell or "nan" for cell in columns[0]]]
    return write_cells(zip(*columns, strict=True), delimiter, names)


def insert_name(names: list[str], time: dict[str, Any]) -> list[str]:
    return [*names[: time["index"]], time["name"], *names[time["index"] :]]


def check_time(detail: dict[str, Any], channels: int) -> dict[str, Any] | None:
    """What detail says of the column of times, where it is sound with as many channels."""
    names, time = detail.get("header"), detail.get("time")
    if names is not None and len(names) != channels:
        raise FormatError(
            f"a header of {len(names)} names for {channels} channels", expected="as many"
        )
    if "time" not in detail:
        return None
    keys = {"index", "format"} | (set() if names is None else {"name"})
    if (
        not isinstance(time, dict)
        or set(time) != keys
        or type(time["index"]) is not int
        or not 0 <= time["index"] <= channels
        or not all(isinstance(time[key], str) for key in keys - {"index"})
    ):
        raise FormatError(
            f"a column of times as {time!r:.80}",
            expected=f"index, 0 to {channels}, format and, with a header, name",
        )
    return time


def _texts(column: Array) -> list[str]:
    if column.dtype.kind != "f":
        return list(map(str, column.tolist()))
    # What comes from float32 is whole in nine digits; other float64 takes as many as it needs.
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = np.array_equal(column.astype(np.float32), column, equal_nan=True)
    write = "{:.9g}".format if narrow else repr
    return ["" if value != value else write(value) for value in column.tolist()]
