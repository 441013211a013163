"""`rdedge pilot`: is it worth it? Data in; a curve, a verdict, a bundle and a plan out.

pilot_data       reads, splits, checks
pilot_points     trains within a budget of minutes, and searches the classical codecs
pilot_bound      proposes a bound where nobody named one
pilot_promise    sends the held-out samples through the chosen bundle, gate on
pilot_inference  estimates what a sample takes on a device
pilot_verdict    thresholds, and what they say
pilot_folder     writes all of it or nothing
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rdedge import canonical, metrics
from rdedge.bundle.bundle import Bundle
from rdedge.bundle.recipe import load_profile
from rdedge.data.files import write_file
from rdedge.data.noise import noise_floor
from rdedge.engine.safety import refuse_unsafe
from rdedge.errors import ConfigError
from rdedge.flows import pilot_bound, pilot_verdict
from rdedge.flows.pilot_data import Gathered, Reading, gather
from rdedge.flows.pilot_folder import made_aside, refuse
from rdedge.flows.pilot_inference import inference
from rdedge.flows.pilot_points import (
    Clock,
    Made,
    Points,
    Tell,
    Trainer,
    classical_points,
    learned_points,
    quantile_kept,
    widen,
)
from rdedge.flows.pilot_promise import Promise, promise
from rdedge.host.datasets import Parts
from rdedge.host.runs import machine
from rdedge.metrics import Scale
from rdedge.report.curve import Curve, Point, curve_csv, rivals
from rdedge.tasks import load as load_task
from rdedge.types import Array, Bound

VERSION = 1
# Of a proposed bound: so many held-out samples keep it before the gate does anything.
_KEPT = 0.95
_SHOWN = 6


@dataclass(frozen=True)
class Options:
    """What a pilot is asked for.

    max_distortion: a promise for every sample, None: one is proposed. fall: by how much the task's
    score may fall. today: what is used now: raw, files (as the pictures came) or a codec; None:
    files for pictures that came compressed, else raw. devices, samples_per_day: of the fleet, None:
    assumed, and said so. minutes: of wall clock for training and searches, about.
    """

    max_distortion: float | None = None
    metric: str | None = None
    task: str | None = None
    labels: str | None = None
    task_data: str | None = None
    fall: float = 0.01
    tariff: str | None = None
    minutes: float = 10.0
    target: str = "cpu-host"
    today: str | None = None
    devices: int | None = None
    samples_per_day: float | None = None
    model: str = "auto"
    seed: int = 0


def pilot(
    data: str,
    output: Path,
    options: Options = Options(),
    reading: Reading = Reading(),
    *,
    command: str = "",
    force: bool = False,
    tell: Tell = lambda _: None,
) -> dict[str, Any]:
    """All of it into the folder output; returns what pilot.json holds. tell: progress, for people.

    Raises what reading, training and a task raise; nothing is left behind then. Data that is too
    little or has nothing to learn is no error: the verdict says so.
    """
    refuse(output, force)
    _refuse(options)
    clock = Clock(60.0 * options.minutes)

    def said(text: str) -> None:
        tell(clock.line(text))

    said("reading and checking the data")
    gathered = gather(data, reading)
    metric = options.metric or pilot_bound.DEFAULT_METRIC[gathered.spec.kind]
    with made_aside(output, force=force) as folder:
        if gathered.stopped:
            value = _head(gathered, options, clock, command) | _no_curve(gathered)
        else:
            value = _worked(gathered, metric, options, folder, clock, said, command)
        shutil.rmtree(folder / "runs", ignore_errors=True)
        write_file(folder / "pilot.json", canonical.dumps(value) + b"\n")
    return value


def _refuse(options: Options) -> None:
    """Raise ConfigError for what would fail after minutes of work."""
    if options.task is not None:
        load_task(options.task)
    load_profile(options.target)
    if options.max_distortion is not None:
        Bound(options.metric or "mse", options.max_distortion)
    if options.max_distortion is not None and options.metric is None:
        raise ConfigError("a largest distortion without a metric", expected="--metric too")
    if not options.fall > 0:
        raise ConfigError(f"a fall of {options.fall:g}", expected="more than 0")


def _head(gathered: Gathered, options: Options, clock: Clock, command: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "created": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "seed": options.seed,
        "machine": machine(),
        "command": command,
        "minutes": {"budget": options.minutes, "spent": clock.spent_s / 60.0},
        "data": gathered.to_json(),
    }


def _no_curve(gathered: Gathered) -> dict[str, Any]:
    """Where there is nothing to train on."""
    stops = [c.to_json() for c in gathered.checks if c.status == "stop"]
    if gathered.too_few:
        found = pilot_verdict.too_few(gathered.samples, gathered.needed)
    else:
        found = pilot_verdict.nothing_to_learn(stops[0])
    nothing = dict.fromkeys(
        ("bound", "task", "chosen", "best_classical", "today", "saving", "inference", "samples")
    )
    return {**nothing, "curve": [], "notes": [], "verdict": found}


def _worked(
    gathered: Gathered,
    metric: str,
    options: Options,
    folder: Path,
    clock: Clock,
    tell: Tell,
    command: str,
) -> dict[str, Any]:
    scale = Scale.of(gathered.train, by_channel=gathered.spec.kind == "series")
    noise = pilot_bound.noise_mse(noise_floor(gathered.spec, gathered.train), scale)
    start = options.max_distortion or pilot_bound.anchor(gathered.spec, metric, noise, scale)
    trainer = Trainer(gathered, metric, folder / "runs", clock, tell, options.model, options.seed)
    points = learned_points(trainer, start, options.task, options.labels, options.task_data)
    if options.max_distortion is None:
        widen(trainer, points, options.fall)
    must = options.today if options.today not in (None, "raw", "files") else None
    classical_points(trainer, points, must)
    scale = points.made[0].draft.basis.scale
    chosen, bound, why = _chosen(points, metric, scale, noise, options)
    tell(f"sending the held-out samples through the bundle, promise {bound}")
    bundle = chosen.draft.promising(bound).bundle(chosen.factor)
    refuse_unsafe(bundle)
    parts = chosen.draft.basis.parts
    kept = promise(bundle, parts.held_out)
    bundle.write(folder / "bundle.rdb")
    shutil.move(chosen.run, folder / "run")
    curve = _curve(gathered, metric, parts, points, options)
    write_file(folder / "curve.csv", curve_csv(curve))
    shown = _samples(folder, parts.held_out, kept, bound)
    tell("the verdict")
    head = _head(gathered, options, clock, command)
    return (
        head
        | _findings(gathered, curve, points, chosen, bound, why, bundle, kept, options)
        | {"samples": shown}
    )


def _chosen(
    points: Points, metric: str, scale: Scale, noise: float, options: Options
) -> tuple[Made, Bound, list[pilot_bound.Reason]]:
    """The point that is deployed, what is promised for every sample, and why."""
    raw = points.raw_score
    at, why = pilot_bound.propose(points.learned, metric, scale, noise, raw, options.fall)
    if options.max_distortion is None:
        made = points.made[at]
        is_minimum = Bound(metric, 1.0).is_minimum
        value = quantile_kept(made.each, _KEPT, is_minimum)
        # Rounded so that people can say it, to the side that is kept.
        return made, Bound(metric, _rounded(value, is_minimum)), why
    own = [m for m in points.made if m.factor == 1.0]
    bound = Bound(metric, options.max_distortion)
    return min(own, key=lambda m: abs(m.draft.basis.bound.value - bound.value)), bound, why


def _rounded(value: float, down: bool) -> float:
    """To three digits, down or up."""
    if not np.isfinite(value) or value <= 0:
        return float(value)
    unit = 10.0 ** (np.floor(np.log10(value)) - 2)
    found = np.floor(value / unit) if down else np.ceil(value / unit)
    return float(f"{found * unit:.3g}")


def _curve(
    gathered: Gathered, metric: str, parts: Parts, points: Points, options: Options
) -> Curve:
    spec = gathered.spec
    grey = spec.kind == "image" and spec.shape[2] == 1
    return Curve(
        title=f"{gathered.name}: {sum(map(len, parts.held_out))} held-out samples",
        metric=metric,
        unit_of_rate="bit/pixel" if grey else "bits/value",
        raw_bits=8.0 * np.dtype(spec.dtype).itemsize,
        points=tuple(points.learned + points.classical),
        task_name=options.task,
        raw_task_score=points.raw_score,
    )


def _findings(
    gathered: Gathered,
    curve: Curve,
    points: Points,
    chosen: Made,
    bound: Bound,
    why: list[pilot_bound.Reason],
    bundle: Bundle,
    kept: Promise,
    options: Options,
) -> dict[str, Any]:
    scale, parts = chosen.draft.basis.scale, chosen.draft.basis.parts
    elements = sum(x.size for x in parts.held_out)
    at = curve.points.index(chosen.point)
    beside = rivals(curve, chosen.point)
    best = beside[0].point if beside else None
    today, today_bits = _today(gathered, curve, chosen.point, options, elements)
    gated_bits = 8.0 * int(kept.sizes.sum()) / elements
    score = None if points.judge is None else points.judge.score(kept.x_hat)
    task_kept = None
    if score is not None and points.raw_score is not None:
        task_kept = points.raw_score - score < options.fall
    seen = pilot_verdict.Seen(
        None if best is None else beside[0].share, kept.fallback_share, kept.over, task_kept
    )
    profile = load_profile(options.target)
    return {
        "bound": {
            "metric": bound.metric,
            "value": bound.value,
            "mean": canonical.finite(chosen.point.distortion),
            "proposed": options.max_distortion is None,
            "why": [one.to_json() for one in why],
        },
        "curve": [_point(curve, p, elements, scale) for p in curve.points],
        "notes": [{"key": key, "values": values} for key, values in points.notes],
        "task": None
        if points.judge is None
        else {
            "name": options.task,
            "raw_score": points.raw_score,
            "fall": options.fall,
            "chosen_score": score,
            "higher_is_better": True,
        },
        "chosen": {
            "run": at,
            "model": bundle.manifest.model,
            "identity": bundle.manifest.identity,
            "bits_per_element": gated_bits,
            "bytes": int(kept.sizes.sum()),
            "raw_bytes": sum(x.nbytes for x in parts.held_out),
            "distortion": canonical.finite(
                metrics.mean(bound.metric, parts.held_out, kept.x_hat, scale)
            ),
            "fallback_share": kept.fallback_share,
            "promise": {
                "kept": kept.over == 0,
                "over": kept.over,
                "of": len(kept.sent),
                "worst": _worst([s.distortion for s in kept.sent], bound),
                "gate": kept.tally,
            },
        },
        "best_classical": None if best is None else _point(curve, best, elements, scale),
        "today": today,
        "saving": None,
        "inference": inference(bundle, parts.held_out, [s.encode_s for s in kept.sent], profile),
        "verdict": pilot_verdict.verdict(seen, chosen.point, best, today_bits),
    }


def _worst(values: Sequence[float], bound: Bound) -> float | None:
    return canonical.finite(min(values) if bound.is_minimum else max(values))


def _today(
    gathered: Gathered, curve: Curve, chosen: Point, options: Options, elements: int
) -> tuple[dict[str, Any], float]:
    """What is used now, and its bits an element; raw where nobody says."""
    lossy = any(c.name == "compressed" and c.status == "warn" for c in gathered.checks)
    name = options.today or ("files" if lossy and gathered.file_bytes is not None else "raw")
    bits, setting, distortion = curve.raw_bits, "", None
    if name == "files":
        if gathered.file_bytes is None:
            raise ConfigError(
                "today's codec is files, and the samples are not each in a file of their own",
                expected="a folder of pictures",
                do="name raw or a codec with --today",
            )
        bits = 8.0 * gathered.file_bytes / elements
    elif name != "raw":
        there = [r.point for r in rivals(curve, chosen) if r.point.codec == name]
        if not there:
            raise ConfigError(
                f"today's codec {name!r} was not found, or cannot keep the bound",
                expected="raw, files, or one of the codecs of the curve",
            )
        bits, setting = there[0].bits_per_element.value, there[0].setting
        distortion = canonical.finite(there[0].distortion)
    assumed = options.today is None
    return {
        "codec": name,
        "setting": setting,
        "bits_per_element": bits,
        "bytes": round(bits * elements / 8.0),
        "distortion": distortion,
        "assumed": assumed,
    }, bits


def _point(curve: Curve, p: Point, elements: int, scale: Scale) -> dict[str, Any]:
    psnr = None
    if np.isfinite(p.distortion) and p.distortion > 0 and curve.metric in ("mse", "psnr"):
        mse = metrics.mse_for(curve.metric, p.distortion, scale)
        psnr = float(10.0 * np.log10(scale.peak**2 / mse)) if scale.peak > 0 else None
    return {
        "codec": p.codec,
        "setting": p.setting,
        "bits_per_element": p.bits_per_element.value,
        "kind": p.bits_per_element.kind,
        "bytes": round(p.bits_per_element.value * elements / 8.0),
        "distortion": {"metric": curve.metric, "value": canonical.finite(p.distortion)},
        "psnr": psnr,
        "score": p.task,
        "learned": p.learned,
    }


def _samples(
    folder: Path, held_out: Sequence[Array], kept: Promise, bound: Bound
) -> dict[str, Any]:
    """A few samples evenly taken and the worst, with what came back, for the report."""
    each = np.array([one.distortion for one in kept.sent])
    order = np.argsort(each if bound.is_minimum else -each, kind="stable")
    count = len(each)
    shown = sorted({round(i) for i in np.linspace(0, count - 1, min(_SHOWN, count))})
    worst = [int(i) for i in order[: min(_SHOWN, count)]]
    flat = [(x, i) for x in range(len(held_out)) for i in range(len(held_out[x]))]
    arrays: dict[str, Array] = {}
    for name, which in (("", shown), ("worst_", worst)):
        for key, of in (("x", held_out), ("x_hat", kept.x_hat)):
            for n, i in enumerate(which):
                batch, row = flat[i]
                arrays[f"{name}{key}_{n}"] = of[batch][row]
    np.savez_compressed(folder / "samples.npz", **arrays)  # type: ignore[arg-type]
    return {
        "shown": shown,
        "worst": worst,
        "shown_distortion": [canonical.finite(float(each[i])) for i in shown],
        "worst_distortion": [canonical.finite(float(each[i])) for i in worst],
    }
