"""The plan of a roll-out: what to measure at each stage, the range predicted for it, what stops it.

`rdedge pilot` writes it as stages.toml, a person may edit it, `rdedge review` holds a ledger
against it. Ranges of 90 %: what the held-out samples vary by, and how far new devices and later
days may lie from them, which no pilot knows, so it is assumed and stands in the plan (`drift`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rdedge import config
from rdedge.errors import ConfigError
from rdedge.types import Array

VERSION = 1
# Name -> unit, and what it is.
FIGURES = {
    "bytes_per_sample": "bytes",
    "mean_distortion": "of the metric",
    "over_share": "share of samples",
    "fallback_share": "share of samples",
    "score": "of the task",
    "saving_per_device_month": "money",
}
_HEAD = """\
# Written by rdedge pilot; edit it as you like.
# rdedge review LEDGER --plan stages.toml holds what happened against it.
"""
_Z90 = 1.645
# Name, devices (0: all), days, deviation of a device's mean from that of the held-out samples.
_STAGES = (("pilot", 1, 14, 0.05), ("ten devices", 10, 30, 0.10), ("fleet", 0, 90, 0.10))
# A share of fallbacks that says the codec is no longer the one for these samples.
_FALLBACKS_STOP = 0.25


@dataclass(frozen=True)
class Figure:
    """One figure of a stage. low, high: the predicted range; stop_below, stop_above: beyond them
    the stage stops. None: no limit on that side.
    """

    name: str
    unit: str
    predicted: float
    low: float | None = None
    high: float | None = None
    stop_below: float | None = None
    stop_above: float | None = None

    def __post_init__(self) -> None:
        if self.name not in FIGURES:
            raise ConfigError(f"a figure {self.name!r}", expected=", ".join(FIGURES))
        order = [
            one
            for one in (self.stop_below, self.low, self.predicted, self.high, self.stop_above)
            if one is not None
        ]
        if order != sorted(order):
            raise ConfigError(
                f"{self.name}: limits in another order: {order}",
                expected="stop_below <= low <= predicted <= high <= stop_above",
            )

    def judge(self, actual: float | None) -> str:
        """`in` its range, `out` of it, `stop`, or `unknown`."""
        if actual is None or math.isnan(actual):
            return "unknown"
        if self.stop_below is not None and actual < self.stop_below:
            return "stop"
        if self.stop_above is not None and actual > self.stop_above:
            return "stop"
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return "in" if low <= actual <= high else "out"


@dataclass(frozen=True)
class Stage:
    """devices, days, samples: what there must be before it is judged. drift: assumed deviation of
    a device's mean from that of the held-out samples, as a share.
    """

    name: str
    devices: int
    days: int
    samples: int
    drift: float
    figure: tuple[Figure, ...]

    def __post_init__(self) -> None:
        names = [one.name for one in self.figure]
        if len(set(names)) < len(names) or not names:
            raise ConfigError(f"stage {self.name!r}: figures {names}", expected="each once")
        if min(self.devices, self.days, self.samples) < 1 or not 0 <= self.drift <= 1:
            raise ConfigError(
                f"stage {self.name!r}: {self.devices} devices, {self.days} days, "
                f"{self.samples} samples, a drift of {self.drift:g}",
                expected="at least 1 of each, a drift of 0 to 1",
            )


@dataclass(frozen=True)
class Plan:
    """All stages, the smallest first. bundle: identity of the codec; metric, bound: its promise."""

    version: int
    created: str
    bundle: str
    metric: str
    bound: float
    stage: tuple[Stage, ...]
    currency: str = ""

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ConfigError(f"a plan of version {self.version}", expected=str(VERSION))
        names = [one.name for one in self.stage]
        if not names or len(set(names)) < len(names):
            raise ConfigError(f"stages {names}", expected="at least one, each once")

    def named(self, name: str | None, devices: int) -> Stage:
        """The stage of that name, else the first with as many devices, else the last."""
        if name is None:
            fits = (one for one in self.stage if one.devices >= devices)
            return next(fits, self.stage[-1])
        for one in self.stage:
            if one.name == name:
                return one
        raise ConfigError(f"no stage {name!r}", expected=", ".join(s.name for s in self.stage))

    def to_toml(self) -> str:
        return _HEAD + config.dumps(asdict(self))


def load(path: Path) -> Plan:
    """Raises ConfigError."""
    return config.load(path, Plan)


@dataclass(frozen=True)
class Predicted:
    """What a pilot knows. sizes, distortions: of gated held-out samples, (N,); best_bytes: a sample
    of the best classical codec; score: of the task on them; raw_score, fall: what it may fall from
    and by; saving: (low, value, high) of a device and month, against what is used today.
    """

    sizes: Array
    distortions: Array
    fallbacks: int
    best_bytes: float | None = None
    score: float | None = None
    raw_score: float | None = None
    fall: float = 0.0
    saving: tuple[float, float, float] | None = None


def plan(
    seen: Predicted,
    *,
    created: str,
    bundle: str,
    metric: str,
    bound: float,
    devices: int,
    samples_per_day: float,
    currency: str = "",
) -> Plan:
    """The stages for a fleet of so many devices; those larger than the fleet are left out."""
    stages: list[Stage] = []
    for name, count, days, drift in _STAGES:
        count = devices if count == 0 else min(count, devices)
        if stages and count <= stages[-1].devices:
            continue
        samples = max(1, int(min(count * days * samples_per_day, 1e12)))
        figures = tuple(_figures(seen, samples, count, drift))
        stages.append(Stage(name, count, days, samples, drift, figures))
    return Plan(VERSION, created, bundle, metric, bound, tuple(stages), currency)


def _figures(seen: Predicted, samples: int, devices: int, drift: float) -> list[Figure]:
    # Devices that each lie a little beside are nearer together in the mean.
    apart = drift / math.sqrt(devices) + drift / 2.0
    low, mean, high = _range(seen.sizes, samples, apart)
    worth = max(high, seen.best_bytes or 0.0)
    stop = None if seen.best_bytes is None else worth
    found = [_figure("bytes_per_sample", mean, low, high, above=stop)]
    finite = seen.distortions[np.isfinite(seen.distortions)]
    if len(finite):
        low, mean, high = _range(finite, samples, apart)
        found.append(_figure("mean_distortion", mean, low, high))
    found.append(_figure("over_share", 0.0, 0.0, 0.0, above=0.0))
    share, wilson = wilson_upper(seen.fallbacks, len(seen.sizes))
    most = min(1.0, wilson + apart)
    stop = min(1.0, max(2.0 * most, _FALLBACKS_STOP))
    found.append(_figure("fallback_share", share, 0.0, most, above=stop))
    if seen.score is not None and seen.raw_score is not None:
        least = min(seen.raw_score - seen.fall, seen.score)
        below = min(seen.raw_score - 2.0 * seen.fall, least)
        found.append(_figure("score", seen.score, least, None, below=below))
    if seen.saving is not None:
        low, value, high = seen.saving
        low = low - apart * abs(value)
        found.append(
            _figure(
                "saving_per_device_month",
                value,
                low,
                high + apart * abs(value),
                below=min(0.0, low),
            )
        )
    return found


def _figure(
    name: str,
    predicted: float,
    low: float | None,
    high: float | None,
    *,
    below: float | None = None,
    above: float | None = None,
) -> Figure:
    return Figure(name, FIGURES[name], predicted, low, high, below, above)


def _range(values: Array, samples: int, apart: float) -> tuple[float, float, float]:
    """90 % of what the mean of so many new values may be; of the mean here too, as of few."""
    mean = float(values.mean())
    deviation = float(values.std(ddof=1)) if len(values) > 1 else abs(mean)
    error = deviation * math.sqrt(1.0 / len(values) + 1.0 / samples)
    half = _Z90 * math.hypot(error, apart * abs(mean))
    return mean - half, mean, mean + half


def wilson_upper(count: int, of: int) -> tuple[float, float]:
    """(share, upper end of its 90 % interval): E. B. Wilson, JASA 22, 1927."""
    p, z = count / of, _Z90
    middle = p + z * z / (2 * of)
    half = z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return p, min(1.0, (middle + half) / (1 + z * z / of))


def stops(stage: Stage) -> Sequence[Figure]:
    """Figures that can stop a stage."""
    return [f for f in stage.figure if f.stop_below is not None or f.stop_above is not None]
