"""The promise (FORMAT.md, FLAG_GATED): a device decodes and measures what it made, and sends
nothing that misses the bound.

For each sample the coarsest level of the learned codec that keeps the bound, found by walking and
always measured; against it the bundle's fallbacks, where an estimate says that they might be
shorter or where no level keeps the bound; at the end the samples as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rdedge.codec.choice import Pick, cheapest, runs_of
from rdedge.codec.fallbacks import Fallbacks, earned
from rdedge.codec.measure import Measure
from rdedge.codec.preprocess import refuse_non_finite
from rdedge.codec.tally import Tally
from rdedge.errors import ConfigError, ShapeError
from rdedge.format.constants import MAX_FALLBACK_VALUES, Stream
from rdedge.format.packet import LEARNED, Run
from rdedge.types import Array

if TYPE_CHECKING:
    from rdedge.codec.encoder import Encoder

# Latents within so many steps can be quantised.
_MOST_SYMBOL = 2.0**31 - 2.0**8
# A sample that costs more than this is not coded finer to save an entry in the table of runs.
_SMALL_BITS = 4096.0


@dataclass(frozen=True)
class _Batch:
    """x: as it came; filled: without NaN; symbols: (N, R * L) of the rank that each holds; ranks:
    of the coarsest level that keeps the bound, -1 for none; bits, worst: what it costs and its
    distortion there; y: latents, fits: their largest; last: distortions last measured.
    """

    x: Array
    filled: Array
    grid: tuple[int, ...]
    y: Array
    fits: Array
    ranks: Array
    symbols: Array
    bits: Array
    worst: Array
    last: Array


class Gate:
    """`always`, for one encoder; measure: with the decoder of its bundle, on this machine."""

    def __init__(self, encoder: Encoder, measure: Measure, tally: Tally) -> None:
        self.encoder, self.measure, self.tally = encoder, measure, tally
        self.fallbacks = Fallbacks(encoder.manifest)
        self.fallbacks.require()
        if not any(codec.exact for codec in self.fallbacks.codecs):
            raise ConfigError(
                "the bundle names no fallback without loss, so a bound cannot be promised",
                expected="one, such as zstd, among its fallbacks",
                do="export it again with this version, whose recipes name one",
            )
        # A palette has one level, and pixels that were changed for their bits.
        palette = encoder.symbol_codec.palette is not None
        self._changed = palette and encoder.manifest.rate_weight > 0
        steps = [level.step for level in encoder.manifest.levels]
        # Levels from the coarsest to the finest; rank r is level order[r].
        self.order = sorted(range(len(steps)), key=lambda level: -steps[level])
        self._start = self.order.index(0)
        self._spacing = math.log2(max(steps) / min(steps)) / max(len(steps) - 1, 1)

    def encode(
        self,
        x: Array,
        filled: Array,
        streams: Mapping[Stream, bytes],
        shape: tuple[int, ...] | None,
    ) -> bytes:
        """x: (N, *shape) checked; filled: the same without NaN -> one packet, gated."""
        if x.size > MAX_FALLBACK_VALUES:
            raise ShapeError(
                f"{x.size} values in one packet",
                expected=f"at most {MAX_FALLBACK_VALUES} where a gate may have to fall back",
                do="send them in smaller batches",
            )
        refuse_non_finite(filled)
        batch = self._walk(x, filled)
        plans = [plan for plan in self._plans(batch) if plan is not None]
        made = [(self._packet(batch, picks, streams, shape), picks) for picks in plans]
        packet, picks = min(made, key=lambda one: len(one[0]))
        self._count(batch, picks)
        return packet

    def _walk(self, x: Array, filled: Array) -> _Batch:
        """Latents, and for each sample the coarsest level that keeps the bound."""
        with np.errstate(over="ignore"):
            narrow = filled.astype(np.float32).reshape(len(x), -1)
        fits: Array = np.all(np.isfinite(narrow), axis=1)
        usable = filled
        if not fits.all():
            usable = filled.copy()
            usable[~fits] = 0
        y = self.encoder.latents(usable)
        with np.errstate(invalid="ignore"):
            reach = np.abs(y).max(axis=1, initial=0.0)
        fits &= np.isfinite(y).all(axis=1)
        n = len(x)
        batch = _Batch(
            x,
            filled,
            self.encoder.manifest.grid(x.shape[1:]),
            y,
            np.where(fits, reach, np.inf),
            np.full(n, -1, np.int64),
            np.zeros(y.shape, np.int32),
            np.full(n, np.inf),
            np.full(n, np.nan),
            np.full(n, np.nan),
        )
        self._search(batch)
        held = batch.ranks >= 0
        if held.any():
            batch.bits[held] = self.encoder.symbol_codec.bits(batch.symbols[held], batch.grid)
            self._start = int(np.median(batch.ranks[held]))
        return batch

    def _search(self, batch: _Batch) -> None:
        """From the usual rank to the coarsest that keeps the bound: first as far as the measured
        distortion says, then in strides that double, until one keeps it and the next does not.
        """
        n, most = len(batch.x), len(self.order)
        holds, fails = np.full(n, most), np.full(n, -1)
        at, stride = np.full(n, self._start), np.zeros(n, np.int64)
        going = np.arange(n)
        while going.size:
            for rank in np.unique(at[going]):
                which = going[at[going] == rank]
                kept = self._try(batch, which, int(rank))
                holds[which[kept]], fails[which[~kept]] = rank, rank
            low, high, far = fails[going], holds[going], stride[going]
            if not far.any():
                far = self._jump(batch.last[going])
            none = high == most
            at[going] = np.where(
                none, np.minimum(low + far, most - 1), np.maximum(low + 1, high - far)
            )
            stride[going] = np.maximum(1, 2 * stride[going])
            going = going[(high - low > 1) & (low < most - 1) & (high > 0)]

    def _jump(self, values: Array) -> Array:
        """How many ranks distortions (n,) are from the bound, were they that of a fine step."""
        octaves = np.abs(self.measure.octaves(values))
        ranks = np.nan_to_num(octaves / max(self._spacing, 1e-3), nan=len(self.order))
        return np.clip(np.rint(ranks), 1, len(self.order)).astype(np.int64)

    def _try(self, batch: _Batch, which: Array, rank: int) -> Array:
        """Whether each sample keeps the bound at the level of this rank; kept ones are noted."""
        symbols, values = self._measured(batch, which, rank)
        kept = self.measure.keeps(values)
        if self._changed and not kept.all():
            # Pixels as they are, before another codec has them.
            missed = np.flatnonzero(~kept)
            symbols[missed], values[missed] = self._measured(
                batch, which[missed], rank, weighed=False
            )
            kept = self.measure.keeps(values)
        batch.last[which] = values
        batch.ranks[which[kept]] = rank
        batch.symbols[which[kept]] = symbols[kept]
        batch.worst[which[kept]] = values[kept]
        return kept

    def _measured(
        self, batch: _Batch, which: Array, rank: int, *, weighed: bool = True
    ) -> tuple[Array, Array]:
        """Symbols at the level of this rank, and distortions, NaN where there are no symbols."""
        level = self.order[rank]
        step = self.encoder.manifest.levels[level].step
        fine = batch.fits[which] < _MOST_SYMBOL * min(step, 1.0)
        some = which[fine]
        symbols = np.zeros((len(which), batch.y.shape[1]), np.int32)
        values = np.full(len(which), np.nan)
        if some.size:
            y = batch.y[some]
            symbols[fine] = self.encoder.quantised(y, level, batch.grid, weighed=weighed)
            levels = np.full(some.size, level)
            values[fine] = self.measure.learned(batch.x[some], symbols[fine], levels)
        return symbols, values

    def _plans(self, batch: _Batch) -> list[list[Pick] | None]:
        """Ways to code the batch, each within the bound; the shortest packet wins."""
        n, learned = len(batch.x), batch.bits
        codecs = self.fallbacks.codecs
        levels = np.full((n, len(codecs)), -1, np.int64)
        bits = np.full((n, len(codecs)), np.inf)
        missed = ~np.isfinite(learned)
        for c, codec in enumerate(codecs):
            guesses = np.array([codec.guess(one[None]) for one in batch.filled])
            worth = np.flatnonzero((guesses < learned) | missed)
            if n > 1 and worth.size < n and codec.guess(batch.filled) < learned.sum():
                # Together they may take less than one by one.
                worth = np.arange(n)
            if not worth.size:
                continue
            levels[worth, c] = self._levels(batch, worth, c)
            for i in worth[levels[worth, c] >= 0]:
                data = codec.encode(batch.filled[i : i + 1], int(levels[i, c]))
                bits[i, c] = 8.0 * len(data)
        mixed = self._mixed(batch, levels, bits)
        return [mixed, *(self._alone(batch, levels[:, c], c) for c in range(len(codecs)))]

    def _levels(self, batch: _Batch, which: Array, c: int) -> Array:
        some = batch.x[which]

        def keeps(of: Array, x_hat: Array) -> Array:
            return self.measure.keeps(self.measure.exactly(some[of], x_hat))

        return self.fallbacks.codecs[c].levels(batch.filled[which], keeps)

    def _alone(self, batch: _Batch, levels: Array, c: int) -> list[Pick] | None:
        """All samples in one run of one fallback; None where that is out of the question."""
        if (levels < 0).any():
            return None
        codec = self.fallbacks.codecs[c]
        level = codec.finest(levels)
        if not self._kept(batch, np.arange(len(levels)), c, level).all():
            return None
        return [Pick(c + 1, level)] * len(levels)

    def _kept(self, batch: _Batch, which: Array, c: int, level: int) -> Array:
        """Whether samples keep the bound as one run of this fallback at this level."""
        codec = self.fallbacks.codecs[c]
        if codec.exact:
            return np.ones(len(which), bool)
        data = codec.encode(batch.filled[which], level)
        x_hat = codec.decode(data, len(which), batch.x.shape[1:], level)
        return self.measure.keeps(self.measure.exactly(batch.x[which], x_hat))

    def _mixed(self, batch: _Batch, levels: Array, bits: Array) -> list[Pick]:
        """Each sample's cheapest, neighbours alike where that saves more than it costs."""
        n, ranks = len(batch.x), len(self.order)
        cost = np.concatenate([np.full((n, ranks), np.inf), bits], axis=1)
        held = np.flatnonzero(batch.ranks >= 0)
        cost[held, batch.ranks[held]] = batch.bits[held]
        if n > 1 and held.size and batch.bits[held].mean() < _SMALL_BITS:
            for rank in range(1, ranks):
                finer = held[(batch.ranks[held] < rank)]
                finer = finer[batch.fits[finer] < _MOST_SYMBOL * self._least_step(rank)]
                if finer.size:
                    level = self.order[rank]
                    symbols = self.encoder.quantised(batch.y[finer], level, batch.grid)
                    cost[finer, rank] = self.encoder.symbol_codec.bits(symbols, batch.grid)
        options = cheapest(cost)
        for rank in range(ranks):
            moved = np.flatnonzero((options == rank) & (batch.ranks != rank))
            if moved.size:
                # That a finer level errs less is an assumption: it is measured before it is taken.
                before = batch.ranks[moved].copy()
                kept = self._try(batch, moved, rank)
                options[moved[~kept]] = before[~kept]
        picks = [
            Pick(LEARNED, self.order[option])
            if option < ranks
            else Pick(int(option) - ranks + 1, 0)
            for option in options.tolist()
        ]
        return self._merged(batch, picks, levels)

    def _least_step(self, rank: int) -> float:
        return min(self.encoder.manifest.levels[self.order[rank]].step, 1.0)

    def _merged(self, batch: _Batch, picks: list[Pick], levels: Array) -> list[Pick]:
        """Fallback runs at the finest level that one of their samples needs, where all keep the
        bound there; else each sample at its own.
        """
        found, at = list(picks), 0
        for run in runs_of(picks):
            which = np.arange(at, at + run.count)
            at += run.count
            if run.codec == LEARNED:
                continue
            c = run.codec - 1
            level = self.fallbacks.codecs[c].finest(levels[which, c])
            together = len(which) == 1 or self._kept(batch, which, c, level).all()
            for i in which:
                found[i] = Pick(run.codec, level if together else int(levels[i, c]))
        return found

    def _packet(
        self,
        batch: _Batch,
        picks: list[Pick],
        streams: Mapping[Stream, bytes],
        shape: tuple[int, ...] | None,
    ) -> bytes:
        runs = runs_of(picks)
        found = dict(streams)
        if any(run.codec != LEARNED for run in runs):
            found[Stream.FALLBACK] = self._stream(batch, runs)
        learned = np.array([pick.codec == LEARNED for pick in picks])
        symbols = batch.symbols[learned].reshape(-1)
        return self.encoder.symbol_codec.pack(
            symbols,
            len(picks),
            grid=batch.grid,
            shape=shape,
            streams=found,
            runs=runs,
            gated=True,
        )

    def _stream(self, batch: _Batch, runs: tuple[Run, ...]) -> bytes:
        data = self.fallbacks.encode(batch.filled, runs)
        samples = sum(run.count for run in runs if run.codec != LEARNED)
        if not earned(samples * batch.x[0].size, len(data)):
            raise ShapeError(
                f"{samples} samples that take {len(data)} bytes together",
                expected="fewer samples, which no reader takes for a forged count",
                do="send them in smaller batches",
            )
        return data

    def _count(self, batch: _Batch, picks: list[Pick]) -> None:
        tally = self.tally
        tally.samples += len(picks)
        learned = np.array([pick.codec == LEARNED for pick in picks])
        if learned.any():
            tally.add(batch.worst[learned], self.measure)
        # Those of fallbacks were measured when their level was sought.
        tally.measured += int((~learned).sum())
        for pick in picks:
            if pick.codec == LEARNED:
                tally.levels[pick.level] += 1
            else:
                tally.fallbacks[self.fallbacks.codecs[pick.codec - 1].name] += 1
