"""A digest of what samples come back as (FORMAT.md, section 1): made on the device, held against
what the server decodes.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from rdedge.errors import FormatError
from rdedge.format.varint import append_zigzag, read_zigzag
from rdedge.metrics import Scale
from rdedge.types import Array

_BYTES = 8
_PHASES = 256
_MOST_EXPONENT = 1000
_CLIP = 2.0**62


def write_digest(x_hat: Array, scale: Scale, slack: Array) -> bytes:
    """x_hat: (N, *shape), decoded, NaN where missing. slack: of each value, what other decoders may
    make of it, raw units, broadcast against x_hat; of integers nothing.
    """
    if x_hat.dtype.kind in "iu":
        return _hash(x_hat)
    values, units = _values(x_hat), _units(scale)
    reach = np.broadcast_to(slack / units, values.shape).reshape(-1)
    most = float(reach.max(initial=0.0))
    # So coarse that a phase may be found among so many values, and never finer than they are.
    exponent = max(-200, math.ceil(math.log2(max(most, 1e-300))) + 2)
    while True:
        phase = _free_phase((values / units).reshape(-1), reach, 2.0**exponent)
        if phase is not None or exponent >= _MOST_EXPONENT:
            break
        exponent += 1
    out = bytearray()
    append_zigzag(out, exponent)
    out.append(phase or 0)
    return bytes(out) + _hash(_rounded(values, units, exponent, phase or 0))


def fits_digest(data: bytes, x_hat: Array, scale: Scale) -> bool:
    """Whether x_hat is what the digest says. Raises FormatError for what is no digest."""
    if x_hat.dtype.kind in "iu":
        if len(data) != _BYTES:
            raise FormatError(f"a digest of {len(data)} bytes", expected=str(_BYTES))
        return data == _hash(x_hat)
    exponent, position = read_zigzag(data, 0)
    if not -_MOST_EXPONENT <= exponent <= _MOST_EXPONENT or len(data) != position + 1 + _BYTES:
        raise FormatError(
            f"a digest of {len(data)} bytes with exponent {exponent}",
            expected=f"an exponent of at most {_MOST_EXPONENT}, a phase and {_BYTES} bytes",
        )
    rounded = _rounded(_values(x_hat), _units(scale), exponent, data[position])
    return data[position + 1 :] == _hash(rounded)


def _values(x_hat: Array) -> Array:
    values = x_hat.astype(np.float64)
    # A forged packet may decode to no number at all.
    return np.nan_to_num(values, nan=0.0, posinf=_CLIP, neginf=-_CLIP)


def _units(scale: Scale) -> Array:
    """The largest power of two that is at most each channel's deviation; 1 for one of 0."""
    return np.array([2.0 ** (math.frexp(s)[1] - 1) if s > 0 else 1.0 for s in scale.std])


def _rounded(values: Array, units: Array, exponent: int, phase: int) -> Array:
    with np.errstate(all="ignore"):
        at = np.floor(values / (units * 2.0**exponent) + phase / _PHASES)
        found: Array = np.clip(np.nan_to_num(at, nan=0.0), -_CLIP, _CLIP).astype(np.int64)
        return found


def _free_phase(values: Array, reach: Array, unit: float) -> int | None:
    """A phase at which no value (n,) is within its reach of a step; None where there is none."""
    width = reach / unit
    if width.max(initial=0.0) >= 0.5:
        return None
    # A value at fraction f meets a step with phase p where f + p / 256 is whole.
    centre = (-values / unit) % 1.0 * _PHASES
    low = np.floor(centre - width * _PHASES).astype(np.int64)
    high = np.ceil(centre + width * _PHASES).astype(np.int64)
    edges = np.zeros(3 * _PHASES + 2, np.int64)
    np.add.at(edges, low + _PHASES, 1)
    np.add.at(edges, high + _PHASES + 1, -1)
    taken = np.cumsum(edges)[: 3 * _PHASES].reshape(3, _PHASES).sum(axis=0)
    free = np.flatnonzero(taken == 0)
    return int(free[0]) if free.size else None


def _hash(values: Array) -> bytes:
    data = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    return hashlib.sha256(data).digest()[:_BYTES]
