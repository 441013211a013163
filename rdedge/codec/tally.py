"""What an encoder has measured of what it sent; and `sampled`, which only measures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rdedge.bundle.bundle import Bundle
from rdedge.bundle.recipe import GATES
from rdedge.codec.measure import Measure
from rdedge.errors import ConfigError
from rdedge.types import Array, Bound


@dataclass
class Tally:
    """What a gate has seen. measured: samples; over: of them, beyond the bound (with `sampled`, or
    with a bundle that names nothing lossless); worst: distortion; levels, fallbacks: samples by
    level of the learned codec, by name of the fallback; residuals: packets with one;
    unmet: samples sent without loss whose bound no level of the learned codec keeps; last: worst
    distortion of the packet encoded last.
    """

    samples: int = 0
    measured: int = 0
    over: int = 0
    worst: float | None = None
    last: float | None = None
    levels: Counter[int] = field(default_factory=Counter)
    fallbacks: Counter[str] = field(default_factory=Counter)
    residuals: int = 0
    unmet: int = 0

    def add(self, values: Array, measure: Measure) -> None:
        """Count measured distortions (n,)."""
        self.measured += len(values)
        self.over += int((~measure.keeps(values)).sum())
        worst = float(values.min() if measure.bound.is_minimum else values.max())
        choose = min if measure.bound.is_minimum else max
        self.worst = worst if self.worst is None else choose(worst, self.worst)
        self.last = worst if self.last is None else choose(worst, self.last)

    @property
    def fallback_share(self) -> float:
        return sum(self.fallbacks.values()) / max(self.samples, 1)

    def line(self, bound: Bound) -> str:
        """What a person reads at the end."""
        text = f"gate: {self.measured:,} of {self.samples:,} samples measured, "
        text += f"{self.over:,} miss {bound}" if self.over else f"all keep {bound}"
        named = [f"{n:,} by {name}" for name, n in sorted(self.fallbacks.items())]
        text += f"; fallbacks: {', '.join(named)}" if named else ""
        if self.unmet:
            text += f"; no level keeps it for {self.unmet:,}, which are sent without loss"
        return text

    def to_json(self) -> dict[str, Any]:
        return {
            "samples": self.samples,
            "measured": self.measured,
            "over": self.over,
            "worst": self.worst,
            "levels": {str(level): n for level, n in sorted(self.levels.items())},
            "fallbacks": dict(sorted(self.fallbacks.items())),
            "residuals": self.residuals,
            "unmet": self.unmet,
        }


class Sampler:
    """`sampled`: measures a share of the samples, evenly spread, and promises nothing."""

    def __init__(self, measure: Measure, share: float, tally: Tally) -> None:
        if not 0.0 < share <= 1.0:
            raise ConfigError(f"a share of {share:g}", expected="above 0, at most 1")
        self.measure, self.share, self.tally = measure, share, tally
        self._due = 0.0

    def look(self, x: Array, symbols: Array, level: int) -> None:
        """x: (N, *shape) as it came; symbols: (N, R * L), what is sent of it."""
        due = self._due + self.share * np.arange(1, len(x) + 1)
        which = np.flatnonzero(np.floor(due) > np.floor(due - self.share))
        self._due = float(due[-1] % 1.0)
        tally = self.tally
        tally.samples += len(x)
        tally.levels[level] += len(x)
        if which.size:
            levels = np.full(which.size, level)
            values = self.measure.learned(x[which], symbols[which], levels)
            tally.add(values, self.measure)


def mode_of(bundle: Bundle, gate: str | None) -> str:
    """What an encoder is told, or what the bundle's recipe says. Raises ConfigError."""
    if gate is None:
        found = bundle.recipe.get("gate", {})
        gate = found.get("mode", "never") if isinstance(found, dict) else "never"
    if gate not in GATES:
        raise ConfigError(f"gate {gate!r:.40}", expected=", ".join(GATES))
    return gate
