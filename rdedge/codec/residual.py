"""Residuals at work (FORMAT.md, section 4.9): what is added to a reconstruction, in integers, so
that every value keeps a bound on the largest error.
"""

from __future__ import annotations

import numpy as np

from rdedge.bundle.manifest import Manifest
from rdedge.coding.rans import Backend
from rdedge.coding.residual import read_residual
from rdedge.errors import FormatError
from rdedge.format.constants import Stream
from rdedge.format.packet import LEARNED, Packet
from rdedge.metrics import differences
from rdedge.types import Array

# Beyond this many steps a sample is no case for a residual.
_MOST = 2.0**30


class Corrections:
    """The residual steps of a bundle whose manifest has one."""

    def __init__(self, manifest: Manifest) -> None:
        self._step = manifest.residual
        self._target = np.dtype(manifest.sample.dtype)
        self._whole = self._target.kind in "iu"

    def step(self, fineness: int) -> float:
        """Of a fineness from 0 to 3, raw units; 0 where there is none so fine."""
        if self._whole:
            return max(0.0, self._step - fineness)
        return self._step * (256 - (1 << 2 * fineness)) / 256

    def added(self, x_hat: Array, q: Array, fineness: int) -> Array:
        """x_hat: (n, *shape) in the dtype of the source; q: int32 of that shape -> x_hat + q steps,
        clipped to what the dtype holds.
        """
        step = self.step(fineness)
        if not self._whole:
            limit = float(np.finfo(self._target).max)
            with np.errstate(over="ignore"):
                wide = x_hat.astype(np.float64) + q * step
            return np.clip(wide, -limit, limit).astype(self._target)
        info = np.iinfo(self._target)
        # At most 2^31 steps of at most 2^24: far inside int64.
        more = q.astype(np.int64) * int(step)
        wide = x_hat.astype(np.int64)
        if info.bits == 64:
            more = np.clip(more, info.min - np.minimum(wide, 0), info.max - np.maximum(wide, 0))
        return np.clip(wide + more, info.min, info.max).astype(self._target)

    def quotients(self, x: Array, low: Array, high: Array, fineness: int) -> tuple[Array, Array]:
        """x: (n, *shape), NaN where missing; low, high: the ends of what decoders may make of it ->
        q, int32, and which samples have some (n,). 0 where a value is missing.
        """
        step = self.step(fineness)
        if not step:
            return np.zeros(x.shape, np.int32), np.zeros(len(x), bool)
        with np.errstate(all="ignore"):
            q = np.rint((differences(x, low) + differences(x, high)) / (2.0 * step))
        if x.dtype.kind == "f":
            q[np.isnan(x)] = 0.0
        fine: Array = np.all(np.abs(q.reshape(len(x), -1)) < _MOST, axis=1)
        q[~fine] = 0.0
        return q.astype(np.int32), fine


def correct(
    packet: Packet,
    corrections: Corrections | None,
    x_hat: Array,
    learned: Array,
    backend: Backend | None,
) -> None:
    """Add the residual of a packet, if it has one, to its samples x_hat (N, *shape) of the learned
    codec (learned: (N,) bool). Raises a FormatError of section 7.
    """
    data = packet.streams.get(Stream.RESIDUAL)
    if data is None:
        return
    if corrections is None:
        raise FormatError("the packet has a residual, and its bundle no step for one")
    if not any(run.codec == LEARNED for run in packet.runs):
        raise FormatError("the packet has a residual, and no sample of the learned codec")
    some = x_hat[learned]
    residual = read_residual(data, some.size, backend)
    if not corrections.step(residual.fineness):
        raise FormatError(
            f"residual: a fineness of {residual.fineness}", expected="one that leaves a step"
        )
    x_hat[learned] = corrections.added(some, residual.q.reshape(some.shape), residual.fineness)
