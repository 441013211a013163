"""A table of numbers as text (RFC 4180, with any of some delimiters) <-> samples."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from rdedge.errors import ConfigError, FormatError, ShapeError, SourceError
from rdedge.types import Array, SampleSpec

__all__ = [
    "DELIMITERS",
    "SNIFFED",
    "Cells",
    "check_detail",
    "is_number",
    "numbers_of",
    "read_table",
    "split",
    "write_cells",
    "write_table",
]

# Found by looking; the others only where they are named.
SNIFFED = ",;\t|"
DELIMITERS = SNIFFED + " :^~#&"

Cells = list[list[str]]


def read_table(
    data: bytes, name: str, spec: SampleSpec | None, delimiter: str | None = None
) -> tuple[Array, dict[str, Any]]:
    """Text in UTF-8 -> samples (N, D), or (N, *spec.shape) where D numbers make one; and detail.

    A first row that is mostly no numbers is the header. spec decides the dtype; without it, it is
    float32 where that holds all digits, else float64. Raises SourceError or ShapeError.
    """
    rows, delimiter = split(data, name, delimiter)
    return numbers_of(rows, delimiter, name, spec)


def numbers_of(
    rows: Cells, delimiter: str, name: str, spec: SampleSpec | None
) -> tuple[Array, dict[str, Any]]:
    """As read_table, from the cells."""
    rows = [row for row in rows if any(map(str.strip, row))]
    if not rows:
        raise SourceError(f"{name} has only gaps", expected="rows of numbers")
    # Mostly numbers with a word among them is a damaged row, not a header: it must not be dropped.
    numbers = sum(map(is_number, rows[0]))
    unnamed_index = not rows[0][0].strip()
    header = rows[0] if 2 * numbers < len(rows[0]) or unnamed_index else None
    body = rows if header is None else rows[1:]
    if not body:
        raise SourceError(f"{name} has a header and no row", expected="rows of numbers")
    first_line = 1 if header is None else 2
    values = _values(body, name, first_line)
    dtype = spec.dtype if spec is not None else _text_dtype(body, values)
    samples = _convert(values, dtype, name, first_line)
    detail: dict[str, Any] = {"delimiter": delimiter}
    if header is not None:
        detail["header"] = header
    if spec is not None and samples.shape[1:] != spec.shape and spec.elements == samples.shape[1]:
        samples = samples.reshape(-1, *spec.shape)
    return samples, detail


def split(data: bytes, name: str, delimiter: str | None = None) -> tuple[Cells, str]:
    """The rows that are not empty, at least one, and the delimiter: unless it is given
    the one most frequent in the first row. Raises SourceError or ConfigError.
    """
    if delimiter is not None and (len(delimiter) != 1 or delimiter not in DELIMITERS):
        raise ConfigError(f"the separator {delimiter!r:.40}", expected=f"one of {DELIMITERS!r}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{name} is not UTF-8 text at byte {error.start}") from error
    lines = io.StringIO(text, newline=None)
    first = next((line for line in lines if line.strip()), "")
    lines.seek(0)
    delimiter = delimiter or max(SNIFFED, key=first.count)
    try:
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error as error:
        raise SourceError(f"{name} is not a table: {error}", expected="rows of numbers") from error
    # A line of delimiters alone is a row of gaps.
    if not any(len(row) > 1 or row[0].strip() for row in rows):
        raise SourceError(f"{name} is empty", expected="rows of numbers")
    return rows, delimiter


def _values(body: list[list[str]], name: str, first_line: int) -> Array:
    width = len(body[0])
    values = np.empty((len(body), width), np.float64)
    for i, row in enumerate(body):
        if len(row) != width:
            raise SourceError(
                f"{name}: row {i + first_line} has {len(row)} cells", expected=f"{width}"
            )
        try:
            values[i] = list(map(_number, row))
        except ValueError:
            column = next(j for j, cell in enumerate(row) if not is_number(cell))
            raise SourceError(
                f"{name}: row {i + first_line}, column {column + 1} is {row[column][:40]!r}",
                expected="a number",
                do="leave out the columns and rows that hold text",
            ) from None
    return values


def _convert(values: Array, dtype: str, name: str, first_line: int) -> Array:
    """The same numbers as dtype. Integers must come out as they stand in the text."""
    with np.errstate(over="ignore", invalid="ignore"):
        samples = values.astype(dtype)
    if not np.issubdtype(samples.dtype, np.integer):
        return samples
    info = np.iinfo(samples.dtype)
    # float64 rounds the largest int64 up to 2^63, so that is where the range ends.
    fits = (values >= float(info.min)) & (values < float(info.max) + 1.0) & (samples == values)
    if not fits.all():
        i, j = np.argwhere(~fits)[0]
        raise ShapeError(
            f"{name}: row {i + first_line}, column {j + 1} is {values[i, j]}",
            expected=f"numbers of dtype {dtype}, which the bundle was made for",
        )
    return samples


def _number(cell: str) -> float:
    """float(cell), but not the underscores that Python allows within numbers."""
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True


def _text_dtype(body: list[list[str]], values: Array) -> str:
    """float32 where no cell has more than 7 significant digits, so that raw bytes are not
    counted twice over; else float64.
    """
    with np.errstate(over="ignore"):
        fits = np.isfinite(values.astype(np.float32)) == np.isfinite(values)
    if not fits.all():
        return "float64"
    for row in body:
        for cell in row:
            mantissa = cell.lower().partition("e")[0]
            digits = "".join(c for c in mantissa if c.isdigit()).lstrip("0")
            if "." in mantissa:
                digits = digits.rstrip("0")
            if len(digits) > 7:
                return "float64"
    return "float32"


def write_table(rows: Array, detail: dict[str, Any]) -> bytes:
    """rows: (N, D); detail: as read_table gives it, but not trusted. The text, in UTF-8.

    Raises FormatError for a delimiter or a header that read_table would never give.
    """
    delimiter, header = check_detail(detail)
    # A reconstruction comes from float32: nine digits hold all of it.
    write = "{:.9g}".format if np.issubdtype(rows.dtype, np.floating) else str
    return write_cells(([write(v) for v in row] for row in rows.tolist()), delimiter, header)


def check_detail(detail: dict[str, Any]) -> tuple[str, list[str] | None]:
    """The delimiter and the header of a table, or a FormatError."""
    delimiter, header = detail.get("delimiter", ","), detail.get("header")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter not in DELIMITERS:
        raise FormatError(
            f"a table with the delimiter {delimiter!r:.40}", expected=f"one of {DELIMITERS!r}"
        )
    if "header" in detail and (
        not isinstance(header, list) or not all(isinstance(cell, str) for cell in header)
    ):
        raise FormatError(f"a table with the header {header!r:.80}", expected="a list of text")
    return delimiter, header


def write_cells(rows: Iterable[Sequence[str]], delimiter: str, header: list[str] | None) -> bytes:
    """The text of a table, in UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    if header is not None:
        writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")
