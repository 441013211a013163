"""Tables of Apache Parquet <-> rows of numbers, through pyarrow, which is asked for when needed."""

from __future__ import annotations

import io
import re
from typing import Any, BinaryIO

import numpy as np

from rdedge.data import times as clock
from rdedge.data.series import Rows, as_dtype, pick, refuse_infinity
from rdedge.data.timed import check_time, insert_name, time_column
from rdedge.data.times import Times
from rdedge.errors import FormatError, MissingError, SourceError
from rdedge.types import Array

__all__ = ["read_rows", "write_rows"]

_STAMP = re.compile(r"timestamp\[(s|ms|us|ns)(?:, tz=([A-Za-z0-9/_+:-]{1,64}))?\]")
_DAY = 86_400 * 10**9


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise MissingError(
            "Parquet needs pyarrow, which is not installed", do="pip install 'rdedge[parquet]'"
        ) from error
    return pa


def read_rows(
    file: BinaryIO,
    name: str,
    *,
    dtype: str | None,
    time: str | None,
    columns: tuple[str, ...],
    timed: bool = True,
) -> Rows:
    """A table of numbers and times, NaN where a value is null.

    dtype: of the values; None: the least that holds all columns, float64 where integers of more
    than 16 bits have nulls. time: name of the column of times; None: found; "": there is
    none.  timed: False: none is.
    Raises SourceError, ShapeError or MissingError.
    """
    pa = _pyarrow()
    try:
        found = pa.parquet.read_table(file)
    except (pa.ArrowException, OSError, ValueError, RuntimeError) as error:
        raise SourceError(
            f"{name} is not a sound Parquet file: {(str(error).splitlines() or [''])[0]:.200}",
            expected="a table of numbers",
        ) from error
    names = list(found.column_names)
    if not found.num_rows:
        raise SourceError(f"{name} has no row", expected="rows of numbers")
    at = None
    if time:
        at = time_column(names, len(names), time, name)
    elif timed and time is None:
        at = _find_times(pa, found, names)
    kept = pick(names, len(names), at, columns, name)
    if time is None and at in kept:
        # Wanted as a channel, so it is one.
        at = None
    parts = [_numbers(pa, found.column(j), names[j], name) for j in kept]
    values = np.stack(parts, axis=1)
    refuse_infinity(values, name, 1, kept)
    if values.dtype.kind not in "iuf" or values.dtype == np.uint64:
        values = values.astype(np.float64)
    values = values if dtype is None else as_dtype(values, dtype, name, 1, kept)
    detail: dict[str, Any] = {"header": [names[j] for j in kept]}
    times = None
    if at is not None:
        times, format_ = _times(pa, found.column(at), name)
        clock.check_order(times, name, 1)
        index = sum(j < at for j in kept)
        detail["time"] = {"format": format_, "index": index, "name": names[at]}
    return Rows(values, times, tuple(detail["header"]), detail)


def _find_times(pa: Any, table: Any, names: list[str]) -> int | None:
    stamps = [
        pa.types.is_timestamp(kind) or pa.types.is_date32(kind) for kind in table.schema.types
    ]
    numbers = [
        pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in table.schema.types
    ]
    called = [j for j, name in enumerate(names) if clock.is_time_name(name)]
    stamped = [j for j, stamp in enumerate(stamps) if stamp]
    for found in ([j for j in called if stamps[j]], stamped, [j for j in called if numbers[j]]):
        if found:
            return found[0]
    return None


def _numbers(pa: Any, column: Any, title: str, name: str) -> Array:
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise SourceError(
            f"{name}: the column {title!r:.60} is of type {kind}",
            expected="numbers",
            do="name the columns to take, without those of text",
        )
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    if column.null_count and not pa.types.is_floating(column.type):
        column = column.cast(pa.float32() if column.type.bit_width <= 16 else pa.float64(), False)
    values: Array = np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False))
    return values


def _times(pa: Any, column: Any, name: str) -> tuple[Times, str]:
    if column.null_count:
        raise SourceError(f"{name} has rows without a time", expected="a time in every row")
    kind = column.type
    if pa.types.is_date32(kind):
        days = column.cast(pa.int32()).combine_chunks().to_numpy(zero_copy_only=False)
        return days.astype(np.int64) * _DAY, "date32"
    if pa.types.is_timestamp(kind):
        if _STAMP.fullmatch(str(kind)) is None:
            raise SourceError(f"{name} has times of type {kind}", expected="a zone of plain text")
        values = column.cast(pa.int64()).combine_chunks().to_numpy(zero_copy_only=False)
        scale = clock.UNITS[kind.unit]
        if len(values) and int(np.abs(values).max()) >= (1 << 63) // scale:
            raise SourceError(f"{name} has times beyond the year 2262", expected="years to 2261")
        return values.astype(np.int64) * scale, str(kind)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise SourceError(f"{name} has times of type {kind}", expected="timestamps or numbers")
    # As text, so that integers and fractions are read as in a .csv.
    values = column.combine_chunks().to_numpy(zero_copy_only=False)
    write = np.format_float_positional if values.dtype.kind == "f" else str
    return clock.parse([write(value) for value in values], name, 1)


def write_rows(values: Array, detail: dict[str, Any], times: Times | None) -> bytes:
    """Rows (rows, C) -> a Parquet file. NaN stays NaN where it was, or null.

    detail: as read_rows gives it, but not trusted. times: (rows,), None where they did not come:
    then their column is left out. Raises FormatError, or MissingError.
    """
    pa = _pyarrow()
    names = detail.get("header", [f"column {j + 1}" for j in range(values.shape[1])])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FormatError(f"a table with the header {names!r:.80}", expected="a list of text")
    time = check_time({**detail, "header": names}, values.shape[1])
    columns = [pa.array(column, from_pandas=True) for column in values.T]
    if time is not None and times is not None:
        columns.insert(time["index"], _column_of(pa, times, time["format"]))
        names = insert_name(names, time)
    buffer = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_arrays(columns, names=names), buffer)
    return buffer.getvalue()


def _column_of(pa: Any, times: Times, format_: str) -> Any:
    stamp = _STAMP.fullmatch(format_)
    if stamp is not None:
        return pa.array(times // clock.UNITS[stamp[1]]).cast(pa.timestamp(stamp[1], stamp[2]))
    if format_ == "date32":
        return pa.array((times // _DAY).astype(np.int32)).cast(pa.date32())
    if format_[:1] == "Y":
        raise FormatError(f"times in the format {format_!r:.60}", expected="one of Parquet's")
    cells = clock.text_of(times, format_)
    return pa.array(list(map(float if "." in format_ else int, cells)))
