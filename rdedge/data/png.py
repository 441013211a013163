"""Pictures -> PNG without loss (W3C, Portable Network Graphics, 3rd edition), 8 and 16 bit."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from rdedge.errors import FormatError
from rdedge.types import Array

__all__ = ["png_bytes"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2}
_MAX_SIDE = (1 << 31) - 1
# Rows are filtered in blocks, so that a large picture does not take many times its own memory.
_BLOCK_BYTES = 1 << 22
_CHUNK_BYTES = 1 << 20


def png_bytes(picture: Array) -> bytes:
    """picture: (H, W, 1 or 3), uint8 or uint16. Raises FormatError for any other."""
    if (
        picture.ndim != 3
        or picture.shape[2] not in _COLOUR_TYPES
        or str(picture.dtype) not in ("uint8", "uint16")
        or min(picture.shape[:2]) < 1
        or max(picture.shape[:2]) > _MAX_SIDE
    ):
        raise FormatError(
            f"a picture of shape {picture.shape} and dtype {picture.dtype}",
            expected="(height, width, 1 or 3 channels), uint8 or uint16",
        )
    height, width, channels = picture.shape
    depth = picture.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, 8 * depth, _COLOUR_TYPES[channels], 0, 0, 0)
    squeeze = zlib.compressobj(6)
    data = bytearray()
    unit = channels * depth
    above = np.zeros((1, width * unit), np.uint8)
    step = max(1, _BLOCK_BYTES // (width * unit))
    for i in range(0, height, step):
        block = picture[i : i + step].astype(f">u{depth}")
        rows = np.ascontiguousarray(block).view(np.uint8).reshape(len(block), -1)
        data += squeeze.compress(_filtered(rows, above, unit).tobytes())
        above = rows[-1:]
    data += squeeze.flush()
    chunks = [
        _chunk(b"IDAT", data[i : i + _CHUNK_BYTES]) for i in range(0, len(data), _CHUNK_BYTES)
    ]
    return b"".join([_SIGNATURE, _chunk(b"IHDR", header), *chunks, _chunk(b"IEND", b"")])


def _chunk(kind: bytes, data: bytes | bytearray) -> bytes:
    crc = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + bytes(data) + struct.pack(">I", crc)


def _filtered(rows: NDArray[np.uint8], above: NDArray[np.uint8], unit: int) -> NDArray[np.uint8]:
    """Each row after the filter with the least sum of magnitudes (section 12.7), its type first."""
    up = np.concatenate([above, rows[:-1]])
    left = np.zeros_like(rows)
    left[:, unit:] = rows[:, :-unit]
    corner = np.zeros_like(rows)
    corner[:, unit:] = up[:, :-unit]
    a, b, c = left.astype(np.int16), up.astype(np.int16), corner.astype(np.int16)
    average = ((a + b) >> 1).astype(np.uint8)
    pa, pb, pc = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    paeth = np.where((pa <= pb) & (pa <= pc), left, np.where(pb <= pc, up, corner))
    results = [rows, rows - left, rows - up, rows - average, rows - paeth]
    costs = [np.abs(result.view(np.int8).astype(np.int16)).sum(axis=1) for result in results]
    best = np.argmin(costs, axis=0)
    out = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    out[:, 0] = best
    for kind, result in enumerate(results):
        out[best == kind, 1:] = result[best == kind]
    return out
