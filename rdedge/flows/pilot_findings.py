"""What a pilot found, as pilot.json has it: every figure of the report, raw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rdedge import canonical, metrics
from rdedge.bundle.bundle import Bundle
from rdedge.errors import ConfigError
from rdedge.flows import pilot_verdict
from rdedge.flows.pilot_bound import UNSTEADY, Reason
from rdedge.flows.pilot_data import Gathered
from rdedge.flows.pilot_options import AS_THEY_CAME, FILES, RAW, Options
from rdedge.flows.pilot_points import Made, Points
from rdedge.flows.pilot_promise import Promise
from rdedge.host.datasets import Parts
from rdedge.metrics import Scale
from rdedge.report.curve import Curve, Point, rivals
from rdedge.types import Array, Bound

_SHOWN = 4


@dataclass(frozen=True)
class Results:
    """What was done, before anything is concluded. why: reasons for the bound; kept: the held-out
    samples through the bundle; score: of the task on what came back.
    """

    gathered: Gathered
    curve: Curve
    points: Points
    chosen: Made
    bound: Bound
    why: list[Reason]
    bundle: Bundle
    kept: Promise
    score: float | None

    @property
    def parts(self) -> Parts:
        return self.chosen.draft.basis.parts

    @property
    def scale(self) -> Scale:
        return self.chosen.draft.basis.scale

    @property
    def elements(self) -> int:
        return sum(x.size for x in self.parts.held_out)

    @property
    def bytes_of(self) -> float:
        """Bytes that one bit an element is, of all held-out samples."""
        return self.elements / 8.0


def curve_of(gathered: Gathered, metric: str, points: Points, task: str | None) -> Curve:
    return Curve(
        title=f"{gathered.name}: {sum(map(len, gathered.held_out))} held-out samples",
        metric=metric,
        unit_of_rate=gathered.unit_of_rate,
        raw_bits=8.0 * np.dtype(gathered.spec.dtype).itemsize,
        points=tuple(points.learned + points.classical),
        task_name=task,
        raw_task_score=points.raw_score,
    )


def findings(r: Results, options: Options) -> dict[str, Any]:
    """All of pilot.json that rests on the curve and the promise, but money, time and verdict."""
    best, basis = best_classical(r, options.fall)
    today = today_of(r, options)
    beside = {} if best is None else {"basis": basis}
    return {
        "bound": {
            "metric": r.bound.metric,
            "value": r.bound.value,
            "scope": "every",
            "mean": canonical.finite(r.chosen.point.distortion),
            "proposed": options.max_distortion is None,
            "why": [one.to_json() for one in r.why] if options.max_distortion is None else [],
        },
        "curve": [point_json(r, p) for p in r.curve.points],
        "notes": [{"key": key, "values": values} for key, values in r.points.notes],
        "task": None if r.score is None else _task(r, options),
        "chosen": _chosen(r),
        "best_classical": None if best is None else {**point_json(r, best), **beside},
        "today": today,
        "comparison": _comparison(r, today, best),
    }


def seen_by(r: Results, options: Options, best: Point | None) -> pilot_verdict.Seen:
    """What the verdict looks at, but money."""
    fall = None
    if r.score is not None and r.points.raw_score is not None:
        fall = r.points.raw_score - r.score
    unsteady = [one.values["finest_fall"] for one in r.why if one.reason == UNSTEADY]
    return pilot_verdict.Seen(
        int(r.kept.sizes.sum()),
        None if best is None else round(best.bits_per_element.value * r.bytes_of),
        "" if best is None else best.codec,
        "" if best is None else best.setting,
        r.kept.fallback_share,
        r.kept.over,
        len(r.kept.sent),
        fall,
        options.fall,
        unsteady[0] if unsteady else None,
    )


def _comparison(r: Results, today: dict[str, Any], best: Point | None) -> list[dict[str, Any]]:
    """What the held-out samples take otherwise, and how much less we send, gate and all."""
    ours = int(r.kept.sizes.sum())
    raw = sum(x.nbytes for x in r.parts.held_out)
    rows: list[tuple[str, str, str, int]] = [("raw", "", "", raw)]
    if today["codec"] != RAW:
        rows.append(("today", today["codec"], today["setting"], today["bytes"]))
    if best is not None:
        size = round(best.bits_per_element.value * r.bytes_of)
        rows.append(("best-classical", best.codec, best.setting, size))
    names = ("against", "codec", "setting", "bytes")
    return [
        {**dict(zip(names, row, strict=True)), "saved": 1.0 - ours / max(1, row[3])} for row in rows
    ]


def _task(r: Results, options: Options) -> dict[str, Any]:
    raw = r.points.raw_score
    return {
        "name": options.task,
        "raw_score": raw,
        "fall": options.fall,
        "bound_score": None if raw is None else raw - options.fall,
        "chosen_score": r.score,
        "higher_is_better": True,
    }


def _chosen(r: Results) -> dict[str, Any]:
    kept = r.kept
    distortion = metrics.mean(r.bound.metric, r.parts.held_out, kept.x_hat, r.scale)
    values = [s.distortion for s in kept.sent]
    worst = min(values) if r.bound.is_minimum else max(values)
    raw, ours = sum(x.nbytes for x in r.parts.held_out), int(kept.sizes.sum())
    return {
        "run": r.curve.points.index(r.chosen.point),
        "model": r.bundle.manifest.model,
        "identity": r.bundle.manifest.identity,
        "bits_per_element": ours / r.bytes_of,
        "bytes": ours,
        "raw_bytes": raw,
        "saved": 1.0 - ours / raw,
        "distortion": {"metric": r.bound.metric, "value": canonical.finite(distortion)},
        "fallback_share": kept.fallback_share,
        "promise": {
            "kept": kept.over == 0,
            "over": kept.over,
            "of": len(kept.sent),
            "worst": canonical.finite(worst),
            "gate": kept.tally,
        },
    }


def best_classical(r: Results, fall: float) -> tuple[Point | None, str]:
    """The classical point to beat, and at equal what: distortion, or the task where that is what is
    asked for and a classical codec needs fewer bytes for it.
    """
    beside = rivals(r.curve, r.chosen.point)
    equal = beside[0].point if beside else None
    raw = r.points.raw_score
    kept = [
        p
        for p in r.curve.points
        if raw is not None and not p.learned and p.task is not None and raw - p.task < fall
    ]
    if kept:
        cheapest = min(kept, key=lambda p: p.bits_per_element.value)
        if equal is None or cheapest.bits_per_element.value < equal.bits_per_element.value:
            return cheapest, "task"
    return equal, "distortion"


def today_of(r: Results, options: Options) -> dict[str, Any]:
    """What is used now; where nobody says, the files of pictures that came compressed, else raw."""
    gathered = r.gathered
    lossy = any(c.name == "compressed" and c.status == "warn" for c in gathered.checks)
    usual = FILES if lossy and gathered.file_bytes is not None else RAW
    name = options.today or usual
    bits, setting, distortion = r.curve.raw_bits, "", None
    if name == FILES:
        setting = AS_THEY_CAME
        if gathered.file_bytes is None:
            raise ConfigError(
                "today's codec is files, and the samples are not each in a file of their own",
                expected="a folder of pictures",
                do="name raw or a codec with --today",
            )
        bits = gathered.file_bytes / r.bytes_of
    elif name != RAW:
        there = [v.point for v in rivals(r.curve, r.chosen.point) if v.point.codec == name]
        if not there:
            codecs = sorted({p.codec for p in r.curve.points if not p.learned})
            raise ConfigError(
                f"today's codec {name!r} was not found, or cannot keep the bound",
                expected=", ".join([RAW, FILES, *codecs]),
            )
        bits, setting = there[0].bits_per_element.value, there[0].setting
        distortion = canonical.finite(there[0].distortion)
    return {
        "codec": name,
        "setting": setting,
        "bits_per_element": bits,
        "bytes": round(bits * r.bytes_of),
        "distortion": distortion,
        "assumed": options.today is None,
    }


def point_json(r: Results, p: Point) -> dict[str, Any]:
    """One point of the curve."""
    metric, psnr = r.curve.metric, None
    if np.isfinite(p.distortion) and p.distortion > 0 and metric in ("mse", "psnr"):
        mse = metrics.mse_for(metric, p.distortion, r.scale)
        psnr = float(10.0 * np.log10(r.scale.peak**2 / mse)) if r.scale.peak > 0 else None
    return {
        "codec": p.codec,
        "setting": p.setting,
        "bits_per_element": p.bits_per_element.value,
        "kind": p.bits_per_element.kind,
        "bytes": round(p.bits_per_element.value * r.bytes_of),
        "distortion": {"metric": metric, "value": canonical.finite(p.distortion)},
        "psnr": psnr,
        "score": p.task,
        "learned": p.learned,
        "packetised": p.packetised,
        "saved": 1.0 - p.bits_per_element.value / r.curve.raw_bits,
    }


def samples(r: Results) -> tuple[dict[str, Any], dict[str, Array]]:
    """A few samples evenly taken and the worst, with what came back: (which they are, arrays)."""
    each = np.array([one.distortion for one in r.kept.sent])
    order = np.argsort(each if r.bound.is_minimum else -each, kind="stable")
    count = len(each)
    which = {
        "shown": sorted({round(i) for i in np.linspace(0, count - 1, min(_SHOWN, count))}),
        "worst": [int(i) for i in order[: min(_SHOWN, count)]],
    }
    arrays: dict[str, Array] = {}
    widest = 0.0
    for name, prefix in (("shown", ""), ("worst", "worst_")):
        pairs = [_pick(of, which[name]) for of in (r.parts.held_out, r.kept.x_hat)]
        for n, (x, x_hat) in enumerate(zip(*pairs, strict=True)):
            arrays |= {f"{prefix}x_{n}": x, f"{prefix}x_hat_{n}": x_hat}
            there = np.abs(metrics.differences(x, x_hat))
            widest = max(widest, float(np.nanmax(there, initial=0.0)))
    found: dict[str, Any] = {
        name: [
            {
                "index": i,
                "distortion": canonical.finite(float(each[i])),
                "bytes": len(r.kept.sent[i].packet),
            }
            for i in places
        ]
        for name, places in which.items()
    }
    return {**found, "difference_range": widest}, arrays


def _pick(batches: Sequence[Array], which: Sequence[int]) -> list[Array]:
    flat = [(b, i) for b, x in enumerate(batches) for i in range(len(x))]
    return [batches[b][i] for b, i in (flat[w] for w in which)]
