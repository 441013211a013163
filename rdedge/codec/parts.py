"""What the fallbacks of a bundle make of one batch: levels, bytes, and whether the bound is kept.

A run is coded once, however often its bytes are asked for.
"""

from __future__ import annotations

import numpy as np

from rdedge.codec.choice import Pick, runs_of
from rdedge.codec.fallbacks import Fallbacks, earned, joined
from rdedge.codec.measure import Measure
from rdedge.errors import ShapeError
from rdedge.format.packet import LEARNED, Run
from rdedge.types import Array


class Parts:
    """Of samples x (N, *shape) as they came; filled: the same without NaN."""

    def __init__(self, fallbacks: Fallbacks, measure: Measure, x: Array, filled: Array) -> None:
        self.codecs, self.measure, self.x, self.filled = fallbacks.codecs, measure, x, filled
        self._coded: dict[tuple[int, int, int, int], bytes] = {}

    def coded(self, c: int, level: int, start: int, stop: int) -> bytes:
        """Samples start to stop as one run of fallback c."""
        key = (c, level, start, stop)
        if key not in self._coded:
            self._coded[key] = self.codecs[c].encode(self.filled[start:stop], level)
        return self._coded[key]

    def priced(self, learned: Array, missed: Array) -> tuple[Array, Array]:
        """learned: (N,) bits of the learned codec; missed: (N,) where it keeps no bound -> of each
        sample and fallback (N, K) the level that keeps it and the bits there; -1 and infinite where
        there is none, or where an estimate says that it is not worth a search.
        """
        n = len(self.x)
        levels = np.full((n, len(self.codecs)), -1, np.int64)
        bits = np.full(levels.shape, np.inf)
        for c, codec in enumerate(self.codecs):
            guesses = np.array([codec.guess(one[None]) for one in self.filled])
            worth = np.flatnonzero((guesses < learned) | missed)
            if n > 1 and worth.size < n and codec.guess(self.filled) < learned.sum():
                # Together they may take less than one by one.
                worth = np.arange(n)
            if not worth.size:
                continue
            levels[worth, c] = self._levels(worth, c)
            for i in worth[levels[worth, c] >= 0].tolist():
                bits[i, c] = 8.0 * len(self.coded(c, int(levels[i, c]), i, i + 1))
        return levels, bits

    def _levels(self, which: Array, c: int) -> Array:
        some = self.x[which]

        def keeps(of: Array, x_hat: Array) -> Array:
            return self.measure.keeps(self.measure.exactly(some[of], x_hat))

        return self.codecs[c].levels(self.filled[which], keeps)

    def alone(self, levels: Array, c: int) -> list[Pick] | None:
        """All samples in one run of one fallback; None where that is out of the question."""
        if (levels < 0).any():
            return None
        level = self.codecs[c].finest(levels)
        if not self._kept(c, level, 0, len(levels)):
            return None
        return [Pick(c + 1, level)] * len(levels)

    def _kept(self, c: int, level: int, start: int, stop: int) -> bool:
        """Whether these samples keep the bound as one run of this fallback at this level."""
        codec, some = self.codecs[c], self.x[start:stop]
        # Of one sample the level was found by measuring.
        if codec.exact or len(some) == 1:
            return True
        if not codec.takes(self.filled[start:stop], level):
            return False
        x_hat = codec.decode(self.coded(c, level, start, stop), len(some), some.shape[1:], level)
        return bool(self.measure.keeps(self.measure.exactly(some, x_hat)).all())

    def merged(self, picks: list[Pick], levels: Array) -> list[Pick]:
        """Fallback runs at the finest level that one of their samples needs, where all keep the
        bound there; else each sample at its own.
        """
        found, at = list(picks), 0
        for run in runs_of(picks):
            start, at = at, at + run.count
            if run.codec == LEARNED:
                continue
            c = run.codec - 1
            level = self.codecs[c].finest(levels[start:at, c])
            together = self._kept(c, level, start, at)
            for i in range(start, at):
                found[i] = Pick(run.codec, level if together else int(levels[i, c]))
        return found

    def stream(self, runs: tuple[Run, ...]) -> bytes:
        """The stream of the runs that are fallbacks. Raises ShapeError where no reader would take
        so many samples in so few bytes.
        """
        parts, at, samples = [], 0, 0
        for run in runs:
            if run.codec != LEARNED:
                parts.append(self.coded(run.codec - 1, run.level, at, at + run.count))
                samples += run.count
            at += run.count
        data = joined(parts)
        if not earned(samples * self.x[0].size, len(data)):
            raise ShapeError(
                f"{samples} samples that take {len(data)} bytes together",
                expected="fewer samples, which no reader takes for a forged count",
                do="send them in smaller batches",
            )
        return data
