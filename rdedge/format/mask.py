"""Which values of a packet are missing: bytes <-> mask (FORMAT.md, section 1, stream `mask`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rdedge.errors import FormatError
from rdedge.format.varint import append_varint, read_varint

__all__ = ["read_mask", "write_mask"]

Mask = NDArray[np.bool_]


def write_mask(mask: Mask) -> bytes:
    """mask: (N, T, C), True where a value is missing, as one is at least: else there is no stream.

    Raises FormatError for any other.
    """
    if mask.ndim != 3 or not mask.any():
        raise FormatError(
            f"a mask of shape {mask.shape} with {int(mask.sum())} missing values",
            expected="(samples, time, channels), and some missing",
        )
    flat = mask.transpose(0, 2, 1).ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], edges]) if not flat[0] else np.concatenate([[0, 0], edges])
    out = bytearray()
    for length in np.diff(starts).tolist():
        append_varint(out, length)
    return bytes(out)


def read_mask(data: bytes, shape: tuple[int, ...]) -> Mask:
    """The mask (N, T, C) of a packet whose samples have been decoded, True where a value is
    missing.

    shape: (N, T, C). Memory is taken for it, so it must have been earned by other streams.
    Raises a FormatError of section 7.
    """
    if len(shape) != 3:
        raise FormatError(
            f"mask: samples of shape {shape[1:]}", expected="(time, channels), or no mask"
        )
    total = shape[0] * shape[1] * shape[2]
    lengths: list[int] = []
    position = covered = 0
    while position < len(data):
        length, position = read_varint(data, position)
        covered += length
        if (length == 0 and lengths) or covered >= total:
            raise FormatError(
                f"mask: a run of {length} at value {covered - length} of {total}",
                expected="runs of at least 1, the first of 0 too, and a last one that is left",
            )
        lengths.append(length)
    if not lengths:
        raise FormatError("mask: no value is missing", expected="no stream at all")
    lengths.append(total - covered)
    values = np.arange(len(lengths)) % 2 == 1
    flat = np.repeat(values, lengths)
    return np.ascontiguousarray(flat.reshape(shape[0], shape[2], shape[1]).transpose(0, 2, 1))
