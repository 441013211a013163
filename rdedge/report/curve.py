"""A learned codec against classical ones: the data of `rdedge curve`, and its pages as text.

curve_png, in curve_png.py, draws the same data.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rdedge.report.bd import DeltaRate, delta_rate, quality, rate_at
from rdedge.report.text import table
from rdedge.types import METRIC_IS_MINIMUM, Measured

RateUnit = Literal["bit/pixel", "bits/value"]

# What a metric is called above its figures, where not by its name alone.
_UNITS = {"psnr": "psnr, dB"}


@dataclass(frozen=True)
class Point:
    """What one codec did at one setting with all held-out samples.

    learned: made by rdedge, not by a classical codec.
    packetised: each sample on its own, as a device sends it; False for all of them in one stream.
    bits_per_element: all included, more than 0.
    distortion: in the curve's metric; infinite (psnr) or 0 where every value came back.
    encode_s_per_sample: seconds, on one core; None where it was not measured.
    task: score on the decoded samples; None where there is no task.
    """

    codec: str
    setting: str
    learned: bool
    packetised: bool
    bits_per_element: Measured
    distortion: float
    encode_s_per_sample: Measured | None = None
    task: float | None = None

    def __post_init__(self) -> None:
        assert 0 < self.bits_per_element.value < math.inf
        assert not math.isnan(self.distortion)


@dataclass(frozen=True)
class Curve:
    """All points on one set of held-out samples.

    raw_bits: bits of an element as it is in memory. task_name, raw_task_score: None without a task.
    notes: what a reader must know, one sentence each.
    """

    title: str
    metric: str
    unit_of_rate: RateUnit
    raw_bits: float
    points: tuple[Point, ...]
    task_name: str | None = None
    raw_task_score: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.metric in METRIC_IS_MINIMUM

    def quality(self, point: Point) -> float:
        """A number that grows with quality, in dB; infinite where every value came back."""
        return quality(self.metric, point.distortion)


@dataclass(frozen=True)
class Series:
    """The points of one codec, all packetised or none, from the worst to the best."""

    codec: str
    learned: bool
    packetised: bool
    points: tuple[Point, ...]

    @property
    def name(self) -> str:
        return self.codec if self.packetised else f"{self.codec}, whole stream"

    @property
    def rates(self) -> list[tuple[float, float]]:
        """(bits per element, distortion) of each point, as report.bd takes them."""
        return [(p.bits_per_element.value, p.distortion) for p in self.points]


@dataclass(frozen=True)
class Rival:
    """A classical codec beside one learned point.

    point: of its points that are at least as good as the learned one, that with the fewest bits.
    share: bits of the learned point by bits of this one.
    interpolated_share: by what its curve would need for exactly the learned distortion, where it
        reaches from better to worse: an estimate, kinder to a codec with coarse settings.
    """

    point: Point
    share: float
    interpolated_share: float | None


def series(curve: Curve) -> list[Series]:
    """The curve's series, learned ones first, then by name, packetised before whole streams."""
    groups: dict[tuple[bool, str, bool], list[Point]] = {}
    for p in curve.points:
        groups.setdefault((not p.learned, p.codec, not p.packetised), []).append(p)
    return [
        Series(
            codec,
            not classical,
            not whole,
            tuple(sorted(points, key=lambda p: (curve.quality(p), p.bits_per_element.value))),
        )
        for (classical, codec, whole), points in sorted(groups.items())
    ]


def rivals(curve: Curve, learned: Point) -> list[Rival]:
    """Each classical series at the learned point's distortion, from the fewest bits to the most."""
    bits = learned.bits_per_element.value
    found = []
    for s in series(curve):
        met = [p for p in s.points if curve.quality(p) >= curve.quality(learned)]
        if s.learned or not met:
            continue
        point = min(met, key=lambda p: p.bits_per_element.value)
        rate = rate_at(s.rates, curve.metric, learned.distortion)
        share = None if rate is None else bits / rate
        found.append(Rival(point, bits / point.bits_per_element.value, share))
    return sorted(found, key=lambda r: -r.share)


def delta_rates(curve: Curve) -> list[tuple[Series, Series, DeltaRate]]:
    """(learned, classical, delta rate of learned against it) for all lossy pairs."""
    lossy = [s for s in series(curve) if any(math.isfinite(curve.quality(p)) for p in s.points)]
    return [
        (test, anchor, delta_rate(anchor.rates, test.rates, curve.metric))
        for anchor in lossy
        if not anchor.learned
        for test in lossy
        if test.learned
    ]


_COLUMNS = (
    "codec",
    "setting",
    "learned",
    "packetised",
    "bits_per_element",
    "bits_kind",
    "metric",
    "distortion",
    "encode_s_per_sample",
    "encode_kind",
    "task",
)


def curve_csv(curve: Curve) -> bytes:
    """One row a point, in the order of the curve; empty cells for what was not measured.

    A psnr without error is written inf.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for p in curve.points:
        encode = p.encode_s_per_sample
        writer.writerow(
            (
                p.codec,
                p.setting,
                int(p.learned),
                int(p.packetised),
                repr(float(p.bits_per_element.value)),
                p.bits_per_element.kind,
                curve.metric,
                repr(float(p.distortion)),
                "" if encode is None else repr(float(encode.value)),
                "" if encode is None else encode.kind,
                "" if p.task is None else repr(float(p.task)),
            )
        )
    return buffer.getvalue().encode()


def curve_json(curve: Curve) -> dict[str, Any]:
    """All that the other pages say, for machines; distortion is null where there was no error."""
    index = {id(p): i for i, p in enumerate(curve.points)}
    return {
        "title": curve.title,
        "metric": curve.metric,
        "better": "higher" if METRIC_IS_MINIMUM[curve.metric] else "lower",
        "unit_of_rate": curve.unit_of_rate,
        "raw_bits": curve.raw_bits,
        "task": None
        if curve.task_name is None
        else {"name": curve.task_name, "raw_score": curve.raw_task_score},
        "points": [_point_json(curve, p) for p in curve.points],
        "equal_distortion": [
            {
                "learned": index[id(p)],
                "classical": [
                    {
                        "point": index[id(r.point)],
                        "share": r.share,
                        "interpolated_share": r.interpolated_share,
                    }
                    for r in rivals(curve, p)
                ],
            }
            for p in curve.points
            if p.learned
        ],
        "delta_rates": [
            {
                "learned": {"codec": test.codec, "packetised": test.packetised},
                "classical": {"codec": anchor.codec, "packetised": anchor.packetised},
                "percent": found.percent,
                "interval": None if found.interval is None else list(found.interval),
                "reason": found.reason,
            }
            for test, anchor, found in delta_rates(curve)
        ],
        "notes": list(curve.notes),
    }


def _point_json(curve: Curve, p: Point) -> dict[str, Any]:
    encode = p.encode_s_per_sample
    exact = not math.isfinite(curve.quality(p))
    return {
        "codec": p.codec,
        "setting": p.setting,
        "learned": p.learned,
        "packetised": p.packetised,
        "bits_per_element": p.bits_per_element.to_json(),
        "distortion": None if exact else p.distortion,
        "encode_s_per_sample": None if encode is None else encode.to_json(),
        "task": p.task,
    }


def curve_text(curve: Curve) -> str:
    """The page for a terminal: a table for each learned point, one of delta rates, the notes."""
    blocks = [f"{curve.title}\nraw: {curve.raw_bits:g} {curve.unit_of_rate}{_raw_score(curve)}"]
    for s in series(curve):
        blocks += [_at_equal_distortion(curve, p) for p in s.points if s.learned]
    found = delta_rates(curve)
    if found:
        blocks.append(_delta_table(curve, found))
    if curve.notes:
        blocks.append("\n".join(f"- {note}" for note in curve.notes))
    return "\n\n".join(blocks)


def _raw_score(curve: Curve) -> str:
    if curve.task_name is None:
        return ""
    score = curve.raw_task_score
    return f", {curve.task_name}{'' if score is None else f' {score:.4f}'}"


def _at_equal_distortion(curve: Curve, learned: Point) -> str:
    rate, metric = curve.unit_of_rate, _UNITS.get(curve.metric, curve.metric)
    header = ["at equal distortion", rate, metric, "learned needs", "interpolated", "encode"]
    rows = [_row(curve, learned, "", "")]
    for r in rivals(curve, learned):
        between = r.interpolated_share
        rows.append(
            _row(curve, r.point, _percent(r.share), "" if between is None else _percent(between))
        )
    if curve.task_name is not None:
        header.append("task")
    shown = [i for i in range(len(header)) if i == 0 or any(row[i] for row in rows)]
    return table([header[i] for i in shown], [[row[i] for i in shown] for row in rows])


def _row(curve: Curve, p: Point, share: str, between: str) -> list[str]:
    """Of a table at equal distortion; "encode" is for one sample."""
    encode = p.encode_s_per_sample
    mark = "learned: " if p.learned else ""
    stream = "" if p.packetised else ", whole stream"
    return [
        f"{mark}{p.codec}{stream}{f' ({p.setting})' if p.setting else ''}",
        f"{p.bits_per_element.value:.4f}",
        f"{p.distortion:.4g}" if math.isfinite(curve.quality(p)) else "exact",
        share,
        between,
        "" if encode is None else _seconds(encode.value),
        "" if p.task is None else f"{p.task:.4f}",
    ]


def _delta_table(curve: Curve, found: Sequence[tuple[Series, Series, DeltaRate]]) -> str:
    learned = [s.name for s in series(curve) if s.learned]
    rows: dict[str, dict[str, str]] = {}
    for test, anchor, delta in found:
        rows.setdefault(anchor.name, {})[test.name] = _delta(delta)
    header = [f"BD-rate ({curve.metric} from, to) against", *learned]
    return table(
        header, [[name, *(cells.get(s, "") for s in learned)] for name, cells in rows.items()]
    )


def _delta(delta: DeltaRate) -> str:
    if delta.percent is None or delta.interval is None:
        return delta.reason
    worse, better = delta.interval
    return f"{delta.percent:+.1f} % ({worse:.4g}, {better:.4g})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share < 10 else f"{share:.0f} times"


def _seconds(value: float) -> str:
    """A time as people say it: 1.20 s, 34 ms, 5.1 us."""
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if value * factor >= 1 or unit == "us":
            return f"{value * factor:.3g} {unit}"
    raise AssertionError(value)
