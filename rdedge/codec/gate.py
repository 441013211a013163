"""The promise (FORMAT.md, FLAG_GATED): a device decodes and measures what it made, and sends
nothing that misses the bound.

For each sample the coarsest level of the learned codec that keeps the bound, found by walking and
always measured; against it the bundle's fallbacks, where an estimate says that they might be
shorter or where no level keeps the bound; at the end the samples as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rdedge.codec.choice import Pick, cheapest, runs_of
from rdedge.codec.fallbacks import Fallbacks
from rdedge.codec.measure import Measure
from rdedge.codec.parts import Parts
from rdedge.codec.preprocess import refuse_non_finite
from rdedge.codec.refine import Refiner
from rdedge.codec.tally import Tally
from rdedge.codec.tighten import Held, Tightener
from rdedge.errors import ConfigError, ShapeError
from rdedge.format.constants import MAX_FALLBACK_VALUES, Stream
from rdedge.format.packet import LEARNED
from rdedge.types import Array

if TYPE_CHECKING:
    from rdedge.codec.encoder import Encoder

# Levels coarser than the one that holds that are tried with a smaller weight of a bit.
_COARSER = 2
# Of a sample with more latents a half step of the ladder is not worth so many decodes.
_FEW = 1 << 13
# Of the bits that a finer level takes more tightening gives back all but about so much.
_EAGER = 0.1
# A sample that costs more than this is not coded finer to save an entry in the table of runs.
_SMALL_BITS = 4096.0


@dataclass(frozen=True)
class _Batch:
    """x: as it came; filled: without NaN; symbols: (N, R * L) of the rank that each holds; ranks:
    of the coarsest level that keeps the bound, -1 for none; bits, worst: what it costs by itself
    and its distortion there; saved: bits that it takes less after the sample before it; y: latents,
    fits: their largest; last: distortions last measured; missed: (N,) whether the learned codec
    cannot keep the bound at all.
    """

    x: Array
    filled: Array
    grid: tuple[int, ...]
    y: Array
    fits: Array
    ranks: Array
    symbols: Array
    bits: Array
    saved: Array
    worst: Array
    last: Array
    missed: Array

    def copy(self) -> _Batch:
        """To try something that moves samples to other levels."""
        moved = (self.ranks, self.symbols, self.bits, self.worst, self.last)
        names = ("ranks", "symbols", "bits", "worst", "last")
        return replace(self, **dict(zip(names, (array.copy() for array in moved), strict=True)))


@dataclass(frozen=True)
class _Plan:
    """A way to code a batch, within the bound. symbols, worst: of its learned samples, in their
    order, (n, R * L) and (n,) distortions; residual: their stream, empty for none.
    """

    picks: list[Pick]
    symbols: Array
    worst: Array
    residual: bytes = b""


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
        palette = encoder.bundle.palette is not None
        self._changed = palette and encoder.manifest.rate_weight > 0
        steps = [level.step for level in encoder.manifest.levels]
        # Levels from the coarsest to the finest; rank r is level order[r].
        self.order = sorted(range(len(steps)), key=lambda level: -steps[level])
        self._start = self.order.index(0)
        self.refiner = None
        if encoder.manifest.residual:
            self.refiner = Refiner(encoder, measure, self.order)
        self.tightener = None
        if encoder.manifest.rate_weight:
            self.tightener = Tightener(encoder, measure, self.order)
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
        parts = Parts(self.fallbacks, self.measure, x, filled)
        plans = [plan for plan in self._plans(batch, parts) if plan is not None]
        made = [(self._packet(batch, parts, plan, streams, shape), plan) for plan in plans]
        packet, plan = min(made, key=lambda one: len(one[0]))
        self._count(batch, plan)
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
            np.zeros(n),
            np.full(n, np.nan),
            np.full(n, np.nan),
            np.zeros(n, bool),
        )
        self._search(batch)
        held = batch.ranks >= 0
        if held.any():
            codec, symbols = self.encoder.symbol_codec, batch.symbols[held]
            batch.bits[held] = codec.bits(symbols, batch.grid, alone=True)
            if codec.way.linked and n > 1:
                batch.saved[held] = batch.bits[held] - codec.bits(symbols, batch.grid)
            self._start = int(np.median(batch.ranks[held]))
        if n == 1 and held.all():
            self._tighten(batch, np.arange(n), _COARSER if batch.y.size <= _FEW else 0)
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
            symbols[missed], values[missed] = self._measured(batch, which[missed], rank, 0.0)
            kept = self.measure.keeps(values)
        batch.last[which] = values
        batch.ranks[which[kept]] = rank
        batch.symbols[which[kept]] = symbols[kept]
        batch.worst[which[kept]] = values[kept]
        return kept

    def _measured(
        self, batch: _Batch, which: Array, rank: int, factor: float = 1.0
    ) -> tuple[Array, Array]:
        """Symbols at the level of this rank, and distortions, NaN where there are no symbols.
        factor: of the weight of a bit.
        """
        level = self.order[rank]
        fine = batch.fits[which] < self.encoder.reach(level)
        some = which[fine]
        symbols = np.zeros((len(which), batch.y.shape[1]), np.int32)
        values = np.full(len(which), np.nan)
        if some.size:
            y = batch.y[some]
            symbols[fine] = self.encoder.quantised(y, level, batch.grid, factor)
            levels = np.full(some.size, level)
            values[fine] = self.measure.learned(batch.x[some], symbols[fine], levels)
        return symbols, values

    def _tighten(self, batch: _Batch, which: Array, coarser: int) -> None:
        """Spend what the levels of these samples leave of the bound."""
        if self.tightener is None:
            return
        kept = (batch.ranks, batch.symbols, batch.bits, batch.worst)
        held = Held(batch.x[which], batch.y[which], *(array[which] for array in kept))
        self.tightener.tighten(held, batch.grid, coarser)
        for array, found in zip(
            kept, (held.ranks, held.symbols, held.bits, held.worst), strict=True
        ):
            array[which] = found

    def _plans(self, batch: _Batch, parts: Parts) -> list[_Plan | None]:
        """Ways to code the batch, each within the bound; the shortest packet wins."""
        learned = batch.bits - batch.saved
        prices = self._prices(batch)
        if prices is not None:
            learned = prices.min(axis=1)
        batch.missed[:] = ~np.isfinite(learned)
        levels, bits = parts.priced(learned, batch.missed)
        alone = (parts.alone(levels[:, c], c) for c in range(levels.shape[1]))
        plans: list[_Plan | None] = [
            _Plan(picks, batch.symbols[:0], batch.worst[:0]) for picks in alone if picks is not None
        ]
        if prices is not None:
            plans.append(self._refined(batch, parts, prices, levels, bits))
        # The last, since it moves samples to other levels.
        if len(batch.x) > 1 and self.tightener is not None:
            plans.append(self._mixed(batch.copy(), parts, levels, bits, _EAGER))
        return [*plans, self._mixed(batch, parts, levels, bits)]

    def _prices(self, batch: _Batch) -> Array | None:
        """What samples cost by level where a residual may be coded: (N, ranks) bits."""
        if self.refiner is None:
            return None
        prices = self.refiner.prices(batch.x, batch.y, batch.fits, batch.grid)
        held = np.flatnonzero(batch.ranks >= 0)
        ranks = batch.ranks[held]
        prices[held, ranks] = np.minimum(prices[held, ranks], batch.bits[held])
        return prices

    def _refined(
        self, batch: _Batch, parts: Parts, prices: Array, levels: Array, bits: Array
    ) -> _Plan | None:
        """Each sample's cheapest, residuals among them; None where no step serves all of those."""
        assert self.refiner is not None
        options = cheapest(np.concatenate([prices, bits], axis=1))
        learned = np.flatnonzero(options < len(self.order))
        if not learned.size:
            return None
        at = np.array(self.order)[options[learned]]
        symbols = np.empty((learned.size, batch.y.shape[1]), np.int32)
        for level in np.unique(at):
            which = at == level
            some = batch.y[learned[which]]
            symbols[which] = self.encoder.quantised(some, int(level), batch.grid)
        found = self.refiner.together(batch.x[learned], symbols, at)
        if found is None:
            return None
        residual, worst = found
        picks = parts.merged(self._picks(options), levels)
        return _Plan(picks, symbols, worst, residual)

    def _mixed(
        self, batch: _Batch, parts: Parts, levels: Array, bits: Array, left: float = 1.0
    ) -> _Plan:
        """Each sample's cheapest, neighbours alike where that saves more than it costs. left: of
        what a finer level costs more, how much once it is tightened, as a guess.
        """
        n, ranks = len(batch.x), len(self.order)
        cost = np.concatenate([np.full((n, ranks), np.inf), bits], axis=1)
        held = np.flatnonzero(batch.ranks >= 0)
        cost[held, batch.ranks[held]] = batch.bits[held]
        if n > 1 and held.size and batch.bits[held].mean() < _SMALL_BITS:
            for rank in range(1, ranks):
                finer = held[(batch.ranks[held] < rank)]
                level = self.order[rank]
                finer = finer[batch.fits[finer] < self.encoder.reach(level)]
                if finer.size:
                    symbols = self.encoder.quantised(batch.y[finer], level, batch.grid)
                    more = self.encoder.symbol_codec.bits(symbols, batch.grid, alone=True)
                    more -= batch.bits[finer]
                    cost[finer, rank] = batch.bits[finer] + np.where(more > 0, left * more, more)
        cost[:, :ranks] -= batch.saved[:, None]
        options = cheapest(cost)
        for rank in range(ranks):
            moved = np.flatnonzero((options == rank) & (batch.ranks != rank))
            if moved.size:
                # That a finer level errs less is an assumption: it is measured before it is taken.
                before = batch.ranks[moved].copy()
                kept = self._try(batch, moved, rank)
                options[moved[~kept]] = before[~kept]
        learned = options < ranks
        if n > 1 and learned.any():
            # Coarser levels would be other runs.
            which = np.flatnonzero(learned)
            symbols = batch.symbols[which]
            batch.bits[which] = self.encoder.symbol_codec.bits(symbols, batch.grid, alone=True)
            self._tighten(batch, which, 0)
        picks = parts.merged(self._picks(options), levels)
        return _Plan(picks, batch.symbols[learned], batch.worst[learned])

    def _picks(self, options: Array) -> list[Pick]:
        """Ranks, and after them fallbacks, as what a run says."""
        ranks = len(self.order)
        return [
            Pick(LEARNED, self.order[option])
            if option < ranks
            else Pick(int(option) - ranks + 1, 0)
            for option in options.tolist()
        ]

    def _packet(
        self,
        batch: _Batch,
        parts: Parts,
        plan: _Plan,
        streams: Mapping[Stream, bytes],
        shape: tuple[int, ...] | None,
    ) -> bytes:
        runs = runs_of(plan.picks)
        found = dict(streams)
        if plan.residual:
            found[Stream.RESIDUAL] = plan.residual
        if any(run.codec != LEARNED for run in runs):
            found[Stream.FALLBACK] = parts.stream(runs)
        return self.encoder.symbol_codec.pack(
            plan.symbols.reshape(-1),
            len(plan.picks),
            grid=batch.grid,
            shape=shape,
            streams=found,
            runs=runs,
            gated=True,
        )

    def _count(self, batch: _Batch, plan: _Plan) -> None:
        tally, samples = self.tally, len(plan.picks)
        tally.samples += samples
        if plan.worst.size:
            tally.add(plan.worst, self.measure)
        # Those of fallbacks were measured when their level was sought.
        tally.measured += samples - len(plan.worst)
        tally.residuals += bool(plan.residual)
        for pick, missed in zip(plan.picks, batch.missed.tolist(), strict=True):
            if pick.codec == LEARNED:
                tally.levels[pick.level] += 1
            else:
                codec = self.fallbacks.codecs[pick.codec - 1]
                tally.fallbacks[codec.name] += 1
                tally.unmet += missed and codec.exact
