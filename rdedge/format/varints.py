"""Many varints at once (FORMAT.md): arrays of them, as varint.py writes one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rdedge.errors import FormatError

__all__ = ["read_varints", "unzigzag", "write_varints", "zigzag"]

Uint64s = NDArray[np.uint64]
Int64s = NDArray[np.int64]

_MOST = 10
_SEVEN = np.uint64(7)


def zigzag(values: Int64s) -> Uint64s:
    """Signed values -> those that their zigzag varints hold."""
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def unzigzag(values: Uint64s) -> Int64s:
    """Undo zigzag."""
    signs = ~(values & np.uint64(1)) + np.uint64(1)
    found: Int64s = ((values >> np.uint64(1)) ^ signs).view(np.int64)
    return found


def write_varints(values: Uint64s) -> bytes:
    """values: (n,) uint64 -> their varints, one after the other."""
    if not values.size or int(values.max()) < 0x80:
        return values.astype(np.uint8).tobytes()
    lengths = np.ones(values.size, np.int64)
    for i in range(1, _MOST):
        lengths += values >= np.uint64(1 << 7 * i)
    ends = np.cumsum(lengths)
    out = np.empty(int(ends[-1]), np.uint8)
    for i in range(int(lengths.max())):
        has = lengths > i
        part = (values[has] >> np.uint64(7 * i)) & np.uint64(0x7F)
        more = (lengths[has] > i + 1).astype(np.uint64) << _SEVEN
        out[(ends - lengths)[has] + i] = (part | more).astype(np.uint8)
    return out.tobytes()


def read_varints(data: bytes, count: int) -> Uint64s:
    """Exactly count varints -> (count,) uint64. Takes memory for data, not for count.

    Raises FormatError for anything else, a varint that is not in its shortest form included.
    """
    found = np.frombuffer(data, np.uint8)
    last = found < 0x80
    ends = np.flatnonzero(last) + 1
    if ends.size != count or (count == 0) != (found.size == 0) or (count and not last[-1]):
        raise FormatError(f"{ends.size} varints in {found.size} bytes", expected=f"{count} varints")
    if found.size == count:
        return found.astype(np.uint64)
    starts = np.concatenate([[0], ends[:-1]])
    lengths = ends - starts
    if int(lengths.max()) > _MOST:
        raise FormatError("a varint of more than 10 bytes", expected="at most 64 bits")
    top = found[ends - 1]
    if (top[lengths > 1] == 0).any() or (top[lengths == _MOST] > 1).any():
        raise FormatError("a varint that is not in its shortest form, or above 64 bits")
    values = np.zeros(count, np.uint64)
    for i in range(int(lengths.max())):
        has = lengths > i
        part = (found[starts[has] + i] & np.uint8(0x7F)).astype(np.uint64)
        values[has] |= part << np.uint64(7 * i)
    return values
