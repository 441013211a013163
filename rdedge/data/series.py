"""Rows of a table, or of an array -> windows (N, T, C), and the other way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rdedge.data.times import Times
from rdedge.errors import ConfigError, ShapeError, SourceError
from rdedge.types import Array, SampleSpec

__all__ = ["DEFAULT_WINDOW", "Rows", "as_dtype", "pick", "refuse_infinity", "unwindow", "windows"]

DEFAULT_WINDOW = 64


@dataclass(frozen=True)
class Rows:
    """What a file of rows holds.

    values: (rows, C), NaN where a value is missing. times: (rows,), ns since 1970, or None.
    columns: names of the C columns, () where they have none. detail: as in Source.
    """

    values: Array
    times: Times | None = None
    columns: tuple[str, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)


def pick(
    names: list[str] | None, width: int, time: int | None, wanted: tuple[str, ...], source: str
) -> list[int]:
    """The columns to keep, by their numbers: those wanted in their order, or all but the time's.

    names: of all columns, None where the file has no header. Raises SourceError.
    """
    if not wanted:
        kept = [j for j in range(width) if j != time]
        if not kept:
            raise SourceError(f"{source} has no column beside its times", expected="columns")
        return kept
    if names is None:
        raise SourceError(
            f"{source} has no header to find {', '.join(wanted)!r:.80} in",
            expected="names of the columns in the first row",
        )
    kept = []
    for name in wanted:
        found = [j for j, cell in enumerate(names) if cell == name]
        found = found or [j for j, cell in enumerate(names) if cell.strip() == name.strip()]
        if len(found) != 1:
            raise SourceError(
                f"{source} has {len(found)} columns called {name!r:.60}",
                expected=f"one; there are {', '.join(names)!s:.300}",
            )
        kept.append(found[0])
    return kept


def refuse_infinity(values: Array, source: str, first_row: int, numbers: list[int]) -> None:
    """Raises SourceError at the first infinity. numbers: of the columns in the file, from 0."""
    if values.dtype.kind != "f":
        return
    at = np.argwhere(np.isinf(values))
    if len(at):
        i, j = at[0]
        raise SourceError(
            f"{source}: row {i + first_row}, column {numbers[j] + 1} is {values[i, j]}",
            expected="finite numbers; a missing value is an empty cell or nan",
        )


def as_dtype(values: Array, dtype: str, source: str, first_row: int, numbers: list[int]) -> Array:
    """The same numbers as dtype; integers must come out as they are. Raises ShapeError."""
    if str(values.dtype) == dtype:
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        converted = values.astype(dtype)
    if converted.dtype.kind == "f":
        refuse_infinity(converted, source, first_row, numbers)
        return converted
    if values.dtype.kind == "f":
        info = np.iinfo(converted.dtype)
        # float64 rounds the largest int64 up to 2^63, so that is where the range ends.
        inside = (values >= float(info.min)) & (values < float(info.max) + 1.0)
        fits = inside & (converted == values)
    else:
        fits = (converted == values) & ((converted < 0) == (values < 0))
    if not fits.all():
        i, j = np.argwhere(~fits)[0]
        raise ShapeError(
            f"{source}: row {i + first_row}, column {numbers[j] + 1} is {values[i, j]}",
            expected=f"numbers of dtype {dtype}, which the bundle was made for",
        )
    return converted


def windows(
    values: Array, window: int, stride: int | None, source: str, *, short: bool = False
) -> tuple[Array, int | None]:
    """(rows, C) -> windows (N, window, C), and the number of rows that they hold.

    With a stride of window (also None) they follow each other, and the last is filled up with
    copies of the last row. With any other stride only whole windows are taken, and the number of
    rows is None, for they cannot be put together again.
    short: a file of less than a window is filled up too. Raises SourceError, ConfigError.
    """
    if window < 1 or (stride is not None and stride < 1):
        raise ConfigError(f"a window of {window} and a stride of {stride}", expected="1 or more")
    rows, channels = values.shape
    if rows < window and not short:
        raise SourceError(
            f"{source} has {rows} rows",
            expected=f"at least {window}, the length of a window",
            do="train with a shorter --window, or join files",
        )
    if stride is not None and stride != window:
        starts = np.arange(0, rows - window + 1, stride)
        view = np.lib.stride_tricks.sliding_window_view(values, window, axis=0)
        return np.ascontiguousarray(view[starts].transpose(0, 2, 1)), None
    missing = -rows % window
    filled = np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])
    return filled.reshape(-1, window, channels), rows


def unwindow(samples: Array, rows: int) -> Array:
    """Windows that follow each other -> their first rows (rows, C)."""
    return samples.reshape(-1, samples.shape[-1])[:rows]


def finish(
    found: Rows, spec: SampleSpec | None, source: str, window: int, stride: int | None
) -> tuple[Array, int | None, dict[str, Any]]:
    """Rows -> windows, number of rows, and the detail that says so.

    spec: of the bundle, whose channels must be there. Raises SourceError, ShapeError.
    """
    channels = found.values.shape[1]
    if spec is not None and channels != spec.shape[1]:
        raise ShapeError(
            f"{source} has {channels} columns of values",
            expected=f"{spec.shape[1]}, which the bundle was made for",
            do="name the columns to take",
        )
    samples, rows = windows(found.values, window, stride, source)
    detail = found.detail if rows is None else {**found.detail, "rows": rows}
    return samples, rows, detail
