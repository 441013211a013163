"""When the rows of a source were taken: bytes <-> times (FORMAT.md, section 1, stream `times`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rdedge.errors import FormatError, TruncatedError
from rdedge.format.varint import MAX_U64, append_varint, append_zigzag, read_varint, read_zigzag

__all__ = ["read_times", "write_times"]

Times = NDArray[np.int64]

_MAX_EXPONENT = 9
_SPAN = 1 << 63
_INT64 = np.iinfo(np.int64)


def write_times(times: Times) -> bytes:
    """times: (rows,), at least one, nanoseconds since 1970, none before the one above it.

    Raises FormatError for times that cannot be written: running backwards, or spanning 2^63 ns.
    """
    if times.ndim != 1 or not len(times) or times.dtype != np.int64:
        raise FormatError(
            f"times of shape {times.shape} and dtype {times.dtype}", expected="(rows,) of int64"
        )
    first, last = int(times[0]), int(times[-1])
    if (times[1:] < times[:-1]).any() or last - first >= _SPAN:
        raise FormatError(
            "times that run backwards or span more than 292 years", expected="sorted times"
        )
    start, start_exponent = _decimal(first)
    out = bytearray()
    append_varint(out, len(times))
    if len(times) == 1:
        out.append(start_exponent << 4)
        append_zigzag(out, start)
        return bytes(out)
    differences = np.diff(times)
    tick = int(np.gcd.reduce(differences)) or 1
    unit, unit_exponent = _decimal(tick)
    ticks = differences // tick
    found, counts = np.unique(ticks, return_counts=True)
    step = int(found[np.argmax(counts)])
    out.append(start_exponent << 4 | unit_exponent)
    append_zigzag(out, start)
    append_varint(out, unit)
    append_varint(out, step)
    odd = np.flatnonzero(ticks != step)
    regular = np.diff(odd, prepend=-1) - 1
    for count, deviation in zip(regular.tolist(), (ticks[odd] - step).tolist(), strict=True):
        append_varint(out, count)
        append_zigzag(out, deviation)
    return bytes(out)


def _decimal(value: int) -> tuple[int, int]:
    """Mantissa and exponent of value = mantissa * 10^exponent, the exponent the largest to 9."""
    if value == 0:
        return 0, _MAX_EXPONENT
    exponent = 0
    while exponent < _MAX_EXPONENT and value % 10 == 0:
        value //= 10
        exponent += 1
    return value, exponent


def read_times(data: bytes, most: int, *, cut: bool = False) -> Times:
    """The times (rows,) of a stream.

    most: rows that the source has, so that no more memory is taken. cut: only the first of its rows
    are there, for its container was cut short: the times of those are given. Raises a FormatError
    of section 7.
    """
    rows, position = read_varint(data, 0)
    if not 1 <= rows <= (MAX_U64 if cut else most):
        raise FormatError(f"times: {rows} rows", expected=f"1 to {most}")
    if position >= len(data):
        raise TruncatedError("times: the bytes end before the exponents", expected="a whole stream")
    start_exponent, unit_exponent = data[position] >> 4, data[position] & 0x0F
    if max(start_exponent, unit_exponent) > _MAX_EXPONENT:
        raise FormatError(
            f"times: exponents {start_exponent} and {unit_exponent}",
            expected=f"0 to {_MAX_EXPONENT}",
        )
    start, position = read_zigzag(data, position + 1)
    first = start * 10**start_exponent
    if rows == 1:
        times = _within(first, 0, np.zeros(1, np.int64))
    else:
        unit, position = read_varint(data, position)
        step, position = read_varint(data, position)
        tick = unit * 10**unit_exponent
        if not 1 <= tick < _SPAN:
            raise FormatError(f"times: ticks of {tick} ns", expected="1 ns to less than 2^63")
        times = _regular(data, position, first, tick, step, rows, most)
    # The one form is what the writer makes of these times.
    if rows == len(times) and write_times(times) != data:
        raise FormatError("times: not in the one form of these times", expected="that form")
    return times


def _regular(
    data: bytes, position: int, first: int, tick: int, step: int, rows: int, most: int
) -> Times:
    """Rows step ticks apart but for the exceptions that data holds from position on, the first
    most of them.
    """
    left = rows - 1
    total = step * left
    at: list[int] = []
    deviations: list[int] = []
    while position < len(data):
        count, position = read_varint(data, position)
        deviation, position = read_zigzag(data, position)
        left -= count + 1
        if left < 0 or step + deviation < 0:
            raise FormatError(
                f"times: a difference of {step + deviation} ticks after {count} regular ones",
                expected="times that do not run backwards, within the rows",
            )
        at.append(rows - 2 - left)
        deviations.append(deviation)
        total += deviation
    if total * tick >= _SPAN or step * tick >= _SPAN:
        raise FormatError("times: they span 2^63 ns or more", expected="less than 292 years")
    ticks = np.full(min(rows, most) - 1, step, np.int64)
    kept = sum(i < len(ticks) for i in at)
    # Each is at most the total, so they fit.
    ticks[at[:kept]] += np.array(deviations[:kept], np.int64)
    offsets = np.concatenate([[0], np.cumsum(ticks)]) * tick
    return _within(first, total * tick, offsets.astype(np.int64))


def _within(first: int, span: int, offsets: Times) -> Times:
    if first < _INT64.min or first + span > _INT64.max:
        raise FormatError("times: no int64 of nanoseconds", expected="years 1677 to 2262")
    times: Times = offsets + np.int64(first)
    return times
