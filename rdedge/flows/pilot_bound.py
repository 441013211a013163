"""Which bound a pilot proposes where nobody named one, and why.

Three reasons, each with its figures. *Noise*: an error as large as the noise that the data holds
anyway costs nothing that anybody could know of (data.noise). *Knee*: where the curve of error
against bits bends, the point farthest below the line between its ends (V. Satopaa and others,
"Finding a 'kneedle' in a haystack", ICDCS workshops 2011). *Task*: the fewest bytes at which,
and above which, the score falls by less than it may; one that falls where the error is least
and not where it is larger decides nothing. The task decides where there is one; else the noise,
where the curve reaches it; else the knee.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from rdedge import metrics
from rdedge.metrics import Scale
from rdedge.report.curve import Point
from rdedge.types import METRIC_IS_MINIMUM, Bound, SampleSpec

# Without a task no error beyond this share of the variance is proposed, whatever the noise.
MOST_OF_VARIANCE = 0.05
# Mean squared errors that training starts from, as shares of the variance; of pictures in dB.
_ANCHOR = (0.003, 0.02)
_ANCHOR_DB = (30.0, 38.0)
# How often a bound is halved for a task that fallbacks lose.
HALVED = 2
# A task whose score does not follow the error.
UNSTEADY = "steady-task"
DEFAULT_METRIC = {"image": "psnr", "series": "nrmse", "vector": "mse"}


@dataclass(frozen=True)
class Reason:
    """One reason for a bound. value: the distortion that it speaks for, None: for none."""

    reason: str
    value: float | None
    decided: bool = False
    values: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        key = f"bound.{self.reason}" if self.value is not None else f"bound.no-{self.reason}"
        values = {"value": self.value, **self.values}
        return {"reason": self.reason, "decided": self.decided, "key": key, "values": values}


def value_for(metric: str, mse: float, scale: Scale) -> float:
    """The metric's value where a Gaussian error has this mean squared error: undoes mse_for."""
    if metric == "psnr":
        return 10.0 * math.log10(scale.peak**2 / mse)
    if metric == "nrmse":
        return math.sqrt(mse) / scale.spread
    if metric == "mae":
        return math.sqrt(2.0 * mse / math.pi)
    return 3.0 * math.sqrt(mse) if metric == "max-abs" else mse


def noise_mse(sigmas: Sequence[float], scale: Scale) -> float:
    """The noise as a mean squared error; of channels relative to their deviations, as nrmse is."""
    if len(scale.std) == len(sigmas) > 1:
        share = sum((s / d) ** 2 for s, d in zip(sigmas, scale.std, strict=True)) / len(sigmas)
        return share * scale.spread**2
    return sum(s * s for s in sigmas) / len(sigmas)


def anchor(spec: SampleSpec, metric: str, noise: float, scale: Scale) -> float:
    """The bound to begin with: the noise, within what serves such samples."""
    low, high = (share * scale.spread**2 for share in _ANCHOR)
    if spec.kind == "image" and spec.dtype == "uint8":
        high, low = (scale.peak**2 / 10.0 ** (db / 10.0) for db in _ANCHOR_DB)
    return float(f"{value_for(metric, min(max(noise, low), high), scale):.3g}")


def better(metric: str, a: float, b: float) -> bool:
    """Whether distortion a is at least as good as b."""
    return a >= b if METRIC_IS_MINIMUM[metric] else a <= b


def propose(
    points: Sequence[Point],
    metric: str,
    scale: Scale,
    noise: float,
    raw_score: float | None,
    fall: float,
) -> tuple[int, list[Reason]]:
    """(index of the point whose distortion is proposed, reasons). points: learned, packetised."""
    order = sorted(range(len(points)), key=lambda i: points[i].bits_per_element.value)
    by_task = None
    reasons: list[tuple[str, int | None, float | None, dict[str, Any]]] = []
    if raw_score is not None:
        falls = [_falls(points[i], raw_score) for i in order]
        # From the finest point on, as long as the score holds.
        held = sum(1 for _ in takewhile(lambda one: one < fall, reversed(falls)))
        by_task = order[-held] if held else None
        unsteady = not held and min(falls) < fall
        value = None if by_task is None else points[by_task].distortion
        values = {
            "raw_score": raw_score,
            "fall": fall,
            "score": None if by_task is None else points[by_task].task,
            "least_fall": min(falls),
            "finest_fall": falls[-1],
        }
        reasons.append((UNSTEADY if unsteady else "task", by_task, value, values))
    floor = value_for(metric, noise, scale) if noise > 0 else None
    cap = value_for(metric, MOST_OF_VARIANCE * scale.spread**2, scale)
    within = [
        i
        for i in order
        if floor is not None
        and better(metric, points[i].distortion, floor)
        and better(metric, points[i].distortion, cap)
    ]
    values = {"share_of_variance": noise / scale.spread**2, "cap": cap}
    by_noise = within[0] if within else None
    reasons.append(("noise", by_noise, floor, values))
    by_knee = knee(points, metric, scale)
    at = points[by_knee]
    values = {"bits_per_element": at.bits_per_element.value, "points": len(points)}
    reasons.append(("knee", by_knee, at.distortion, values))
    decided = by_knee
    why = "knee"
    if by_noise is not None:
        decided, why = by_noise, "noise"
    if by_task is not None:
        decided, why = by_task, "task"
    elif raw_score is not None and reasons[0][0] != UNSTEADY:
        # Nothing keeps the task: the most faithful point, and the verdict says so.
        decided, why = order[-1], "task"
    return decided, [Reason(n, v, n == why, values) for n, _, v, values in reasons]


def rounded(value: float, down: bool) -> float:
    """To three digits, so that people can say it; down or up, to the side that is kept."""
    if not math.isfinite(value) or value <= 0:
        return float(value)
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    found = math.floor(value / unit) if down else math.ceil(value / unit)
    return float(f"{found * unit:.3g}")


def tighter(
    proposed: Bound,
    bound: Bound,
    why: Sequence[Reason],
    raw_score: float | None,
    score: float | None,
    scale: Scale,
) -> Bound | None:
    """A bound with half the squared error where the task decided on one and, with the fallbacks
    that a gate takes, loses more than it may; None where it holds, or was halved often enough.
    """
    task = next((one for one in why if one.reason == "task" and one.decided), None)
    if task is None or task.value is None or raw_score is None or score is None:
        return None
    mse = metrics.mse_for(bound.metric, bound.value, scale)
    least = metrics.mse_for(bound.metric, proposed.value, scale) / 2.0**HALVED
    if raw_score - score < task.values["fall"] or mse / 2.0 < 0.9 * least:
        return None
    return Bound(bound.metric, rounded(value_for(bound.metric, mse / 2.0, scale), down=True))


def _falls(point: Point, raw_score: float) -> float:
    return math.inf if point.task is None else raw_score - point.task


def knee(points: Sequence[Point], metric: str, scale: Scale) -> int:
    """The point farthest below the line from the coarsest to the finest, both axes from 0 to 1."""
    x = [p.bits_per_element.value for p in points]
    y = [
        0.0 if not math.isfinite(p.distortion) or p.distortion <= 0
        else metrics.mse_for(metric, p.distortion, scale)
        for p in points
    ]  # fmt: skip
    low, high = min(range(len(x)), key=x.__getitem__), max(range(len(x)), key=x.__getitem__)
    wide, tall = x[high] - x[low], y[low] - y[high]
    if wide <= 0 or tall <= 0:
        return low
    below = [1.0 - (a - x[low]) / wide - (b - y[high]) / tall for a, b in zip(x, y, strict=True)]
    return max(range(len(below)), key=below.__getitem__)
