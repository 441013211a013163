"""Times as text (ISO 8601, or numbers since 1970) <-> nanoseconds since 1970-01-01T00:00:00Z."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdedge.errors import FormatError, SourceError

__all__ = ["Times", "check_order", "is_time", "is_time_name", "parse", "text_of", "unit_of"]

Times = NDArray[np.int64]

UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
# Numbers below these are times in that unit: all of them in the year 2255, near the end of int64.
_UNIT_LIMITS = {"s": 9e9, "ms": 9e12, "us": 9e15}
_NAMES = frozenset({"time", "timestamp", "date", "datetime", "ts"})
# What int64 nanoseconds hold, to whole years.
_YEARS = (1678, 2261)

_ZONE = r"Z|[+-][0-9]{2}(?::?[0-9]{2})?"
_ISO = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:(?P<sep>[ T])(?P<minute>[0-9]{2}:[0-9]{2})"
    rf"(?::(?P<second>[0-9]{{2}})(?:\.(?P<fraction>[0-9]{{1,9}}))?)?(?P<zone>{_ZONE})?)?"
)
_NUMBER = re.compile(r"(-?)([0-9]{1,19})(?:\.([0-9]*))?")
_ISO_FORMAT = re.compile(
    rf"YYYY-MM-DD(?:(?P<sep>[ T])hh:mm(?P<second>:ss(?:\.(?P<fraction>f{{1,9}}))?)?"
    rf"(?P<zone>{_ZONE})?)?"
)
_NUMBER_FORMAT = re.compile(r"(?P<unit>s|ms|us|ns)(?:\.(?P<fraction>f{1,9}))?")
_NEVER = np.iinfo(np.int64).min


def is_time(cell: str) -> bool:
    """Whether a cell is a date or a date and a time in the form of ISO 8601."""
    return _ISO.fullmatch(cell.strip()) is not None


def is_time_name(cell: str) -> bool:
    """Whether a column of this name holds times; a unit in brackets after it is no part of it."""
    return re.split(r"[\[(]", cell, maxsplit=1)[0].strip().lower() in _NAMES


def unit_of(largest: float) -> str:
    """The unit in which the largest of some numbers is a time of our days."""
    return next((unit for unit, limit in _UNIT_LIMITS.items() if largest < limit), "ns")


def parse(cells: Sequence[str], name: str, first_row: int) -> tuple[Times, str]:
    """Cells of one column, all of one kind -> times and the format that writes them back.

    The format has the most digits that any cell has, and the zone of the first. Raises SourceError
    for the first cell that is none.
    """
    cells = [cell.strip() for cell in cells]
    return (_parse_iso if is_time(cells[0]) else _parse_numbers)(cells, name, first_row)


def _parse_iso(cells: Sequence[str], name: str, first_row: int) -> tuple[Times, str]:
    texts: list[str] = []
    fractions: list[int] = []
    offsets: list[int] = []
    digits, timed, seconds = 0, False, False
    for i, cell in enumerate(cells):
        found = _ISO.fullmatch(cell)
        if found is None or not _YEARS[0] <= int(cell[:4]) <= _YEARS[1]:
            raise _no_time(cell, name, i + first_row)
        day, sep, minute, second, fraction, zone = found.groups()
        texts.append(f"{day}T{minute or '00:00'}:{second or '00'}")
        timed, seconds = timed or sep is not None, seconds or second is not None
        digits = max(digits, len(fraction or ""))
        fractions.append(int(fraction.ljust(9, "0")) if fraction else 0)
        offsets.append(_offset(zone))
    try:
        whole = np.array(texts, "datetime64[s]").astype(np.int64)
    except ValueError:
        raise next(
            _no_time(cells[i], name, i + first_row)
            for i, text in enumerate(texts)
            if not _is_instant(text)
        ) from None
    times = (whole - np.array(offsets, np.int64)) * UNITS["s"] + np.array(fractions, np.int64)
    first = _ISO.fullmatch(cells[0])
    assert first is not None
    format_ = "YYYY-MM-DD"
    if timed:
        format_ += (first["sep"] or " ") + "hh:mm" + (":ss" if seconds else "")
        format_ += ("." + "f" * digits if digits else "") + (first["zone"] or "")
    return times, format_


def _parse_numbers(cells: Sequence[str], name: str, first_row: int) -> tuple[Times, str]:
    """Each as an integer and a fraction: float64 holds no nanoseconds of our days."""
    parts: list[tuple[int, int, str]] = []
    for i, cell in enumerate(cells):
        found = _NUMBER.fullmatch(cell)
        if found is None:
            raise _no_time(cell, name, i + first_row)
        parts.append((-1 if found[1] else 1, int(found[2]), found[3] or ""))
    unit = unit_of(max(whole for _, whole, _ in parts))
    most = len(str(UNITS[unit])) - 1
    digits = min(most, max(len(fraction) for *_, fraction in parts))
    scale = 10**most
    values = [
        sign * (whole * scale + int(fraction[:most].ljust(most, "0") or "0"))
        for sign, whole, fraction in parts
    ]
    for i, value in enumerate(values):
        if abs(value) >= 1 << 63:
            raise _no_time(cells[i], name, i + first_row)
    return np.array(values, np.int64), unit + ("." + "f" * digits if digits else "")


def _no_time(cell: str, name: str, row: int) -> SourceError:
    return SourceError(
        f"{name}: row {row} has the time {cell[:40]!r}",
        expected="a date and time as 2026-01-31 13:30:00, or a number of s, ms, us or ns since "
        f"1970, like the first row; years {_YEARS[0]} to {_YEARS[1]}",
    )


def _is_instant(text: str) -> bool:
    try:
        np.datetime64(text, "s")
    except ValueError:
        return False
    return True


def _offset(zone: str | None) -> int:
    """Seconds that a zone is ahead of UTC; a time without one is taken as it is."""
    if zone is None or zone == "Z":
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[3:].lstrip(":") or 0) * 60
    return -seconds if zone[0] == "-" else seconds


def check_order(times: Times, name: str, first_row: int) -> None:
    """Raises SourceError where a time is before the one above it; the same again is allowed."""
    back = np.flatnonzero(times[1:] < times[:-1])
    if len(back):
        i = int(back[0])
        seconds = (int(times[i]) - int(times[i + 1])) / UNITS["s"]
        raise SourceError(
            f"{name}: the time of row {i + 1 + first_row} is {seconds:.9g} s before that of the "
            "row above",
            expected="times that do not run backwards",
            do="sort the rows by time; give times of a zone with summer time in UTC; or name the "
            "columns to take and leave the times out",
        )


def text_of(times: Times, format_: Any) -> list[str]:
    """The cells that `parse` reads as these times, cut to what the format shows.

    format_: as `parse` gives it, but not trusted. Raises FormatError.
    """
    text = format_ if isinstance(format_, str) else ""
    iso, number = _ISO_FORMAT.fullmatch(text), _NUMBER_FORMAT.fullmatch(text)
    if (times == _NEVER).any():
        raise FormatError("a time that is none", expected="nanoseconds since 1970")
    if number is not None and not (number["unit"] == "ns" and number["fraction"]):
        return _numbers(times, UNITS[number["unit"]], len(number["fraction"] or ""))
    if iso is None:
        raise FormatError(
            f"times in the format {format_!r:.60}", expected="one that FORMAT.md section 2 has"
        )
    if iso["sep"] is None:
        return [str(day) for day in np.datetime_as_string(times.view("M8[ns]"), unit="D")]
    local = times + np.int64(_offset(iso["zone"])) * UNITS["s"]
    end = 16 if iso["second"] is None else 19
    end += len(iso["fraction"]) + 1 if iso["fraction"] else 0
    sep, zone = iso["sep"], iso["zone"] or ""
    whole = np.datetime_as_string(local.view("M8[ns]"), unit="ns")
    return [f"{instant[:10]}{sep}{instant[11:end]}{zone}" for instant in whole.tolist()]


def _numbers(times: Times, unit: int, digits: int) -> list[str]:
    cells: list[str] = []
    most = len(str(unit)) - 1
    for time in times.tolist():
        whole, rest = divmod(abs(time), unit)
        fraction = f".{rest:0{most}d}".ljust(digits + 1, "0")[: digits + 1] if digits else ""
        cells.append(f"{'-' if time < 0 else ''}{whole}{fraction}")
    return cells
