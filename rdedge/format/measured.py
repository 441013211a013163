"""The stream `measured` (FORMAT.md, section 1): the worst distortion that a device found."""

from __future__ import annotations

import math
import struct

from rdedge.errors import FormatError

_FLOAT = struct.Struct("<f")
_MOST = 3.4028234e38


def write_measured(value: float) -> bytes:
    """value: in the bound's metric, 0 or more; kept as float32, infinity beyond that."""
    return _FLOAT.pack(value if value <= _MOST else math.inf)


def read_measured(data: bytes) -> float:
    """Undo write_measured. Raises FormatError."""
    if len(data) != _FLOAT.size:
        raise FormatError(f"measured: {len(data)} bytes", expected=str(_FLOAT.size))
    (value,) = _FLOAT.unpack(data)
    if not value >= 0.0 or math.copysign(1.0, value) < 0:
        raise FormatError(f"measured: a distortion of {value}", expected="0 or more")
    return float(value)
