"""`rdedge pilot`: is it worth it? Data in; a curve, a verdict, a bundle and a plan out.

pilot_options    what is asked for
pilot_data       reads, splits, checks
pilot_points     trains within a budget of minutes, and searches the classical codecs
pilot_bound      proposes a bound where nobody named one
pilot_promise    sends the held-out samples through the chosen bundle, gate on
pilot_findings   every figure of the report, raw
pilot_inference  estimates what a sample takes on a device
pilot_verdict    thresholds, and what they say
pilot_folder     writes all of it or nothing
"""

from __future__ import annotations

import datetime as dt
import platform
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rdedge import canonical
from rdedge.bundle.recipe import load_profile
from rdedge.codec.encoder import Encoder
from rdedge.data.builtin import has_labels
from rdedge.data.files import write_file
from rdedge.data.noise import noise_floor
from rdedge.engine.safety import refuse_unsafe
from rdedge.flows import pilot_bound, pilot_ledger, pilot_verdict, stages
from rdedge.flows.bench import machine_name
from rdedge.flows.coded import try_task
from rdedge.flows.pilot_data import AS_IT_COMES, Gathered, Reading, gather
from rdedge.flows.pilot_findings import (
    Results,
    best_classical,
    curve_of,
    findings,
    samples,
    seen_by,
)
from rdedge.flows.pilot_folder import made_aside, refuse
from rdedge.flows.pilot_inference import inference
from rdedge.flows.pilot_options import AS_USUAL, Options
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
from rdedge.flows.pilot_promise import promise
from rdedge.host.runs import machine
from rdedge.metrics import Scale
from rdedge.report.curve import curve_csv
from rdedge.report.html import report_html
from rdedge.types import Array, Bound

__all__ = ["Options", "Reading", "pilot"]

VERSION = 1
# Of a proposed bound: so many held-out samples keep it before the gate does anything.
_KEPT = 0.95
_FILES = ("curve.csv", "bundle.rdb", "ledger", "stages.toml", "samples.npz", "pilot.json")
_OF_CURVE = (
    "bound",
    "task",
    "chosen",
    "best_classical",
    "today",
    "saving",
    "inference",
    "samples",
)


def pilot(
    data: str,
    output: Path,
    options: Options = AS_USUAL,
    reading: Reading = AS_IT_COMES,
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
    options.refuse()
    clock = Clock(60.0 * options.minutes)

    def said(text: str) -> None:
        tell(clock.line(text))

    said("reading and checking the data")
    gathered = gather(data, reading)
    with made_aside(output, force=force) as folder:
        arrays: dict[str, Array] = {}
        if gathered.stopped:
            value = _no_curve(gathered)
        else:
            value, arrays = _worked(gathered, options, folder, clock, said)
            np.savez_compressed(folder / "samples.npz", **arrays)  # type: ignore[arg-type]
        value = _head(gathered, options, clock, command) | value
        if command and value["redo"]:
            value["redo"].insert(0, {"figure": "all", "command": command})
        write_file(folder / "report.html", report_html(value, arrays, options.language))
        write_file(folder / "pilot.json", canonical.dumps(value) + b"\n")
    return value


def _head(gathered: Gathered, options: Options, clock: Clock, command: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "created": _today(),
        "seed": options.seed,
        "machine": {
            **machine(),
            "name": f"{platform.system()} {platform.machine()}",
            "cpu": machine_name().partition(",")[0],
        },
        "command": command,
        "minutes": {"budget": options.minutes, "spent": clock.spent_s / 60.0},
        "data": gathered.to_json(),
    }


def _today() -> str:
    return dt.datetime.now(dt.timezone.utc).date().isoformat()


def _no_curve(gathered: Gathered) -> dict[str, Any]:
    """Where there is nothing to train on."""
    stops = [c for c in gathered.checks if c.status == "stop"]
    if gathered.too_few:
        (few,) = (c.values for c in stops if c.name == "count")
        found = pilot_verdict.too_few(gathered.samples, few)
    else:
        found = pilot_verdict.nothing_to_learn(stops[0].name)
    empty: dict[str, Any] = {name: [] for name in ("curve", "notes", "comparison", "redo", "files")}
    return {**dict.fromkeys(_OF_CURVE), **empty, "verdict": found}


def _worked(
    gathered: Gathered, options: Options, folder: Path, clock: Clock, tell: Tell
) -> tuple[dict[str, Any], dict[str, Array]]:
    if options.task is not None and options.labels is None and not has_labels(gathered.data):
        try_task(options.task, gathered.held_out)
    metric = options.metric or pilot_bound.DEFAULT_METRIC[gathered.spec.kind]
    scale = Scale.of(gathered.train, by_channel=gathered.spec.kind == "series")
    noise = pilot_bound.noise_mse(noise_floor(gathered.spec, gathered.train), scale)
    start = options.max_distortion or pilot_bound.anchor(gathered.spec, metric, noise, scale)
    runs = folder / "runs"
    trainer = Trainer(gathered, metric, runs, clock, tell, options.model, options.seed)
    points = learned_points(trainer, start, options.task, options.labels, options.task_data)
    if options.max_distortion is None:
        widen(trainer, points, options.fall)
    chosen, bound, why = _chosen(points, metric, noise, options)
    classical_points(trainer, points, chosen.point.distortion, options.today_codec)
    held_out = chosen.draft.basis.parts.held_out
    volume = pilot_ledger.Volume.of(gathered, options)
    every_s = 86_400.0 / volume.samples_per_day
    proposed = bound
    while True:
        tell(f"sending the held-out samples through the bundle, promise {bound}")
        bundle = chosen.draft.promising(bound).bundle(chosen.factor)
        refuse_unsafe(bundle)
        encoder = Encoder(bundle, gate=None, threads=1)
        kept = promise(encoder, held_out, pilot_ledger.DEVICE, gathered.name, every_s)
        score = None if points.judge is None else points.judge.score(kept.x_hat)
        tighter = pilot_bound.tighter(proposed, bound, why, points.raw_score, score, scale)
        if options.max_distortion is not None or tighter is None:
            break
        bound = tighter
    if bound != proposed:
        why.append(pilot_bound.Reason("gated-task", bound.value, values={"before": proposed.value}))
    bundle.write(folder / "bundle.rdb")
    shutil.move(chosen.run, folder / "run")
    shutil.rmtree(runs)
    curve = curve_of(gathered, metric, points, options.task)
    write_file(folder / "curve.csv", curve_csv(curve))
    r = Results(gathered, curve, points, chosen, bound, why, bundle, kept, score)
    found = findings(r, options)
    best, _ = best_classical(r, options.fall)
    tell("the ledger, and what it says")
    today = found["today"]
    classical = found["best_classical"]
    pilot_ledger.write(folder / pilot_ledger.LEDGER, gathered, kept, encoder, today, classical)
    money = None
    if options.tariff is not None:
        money = pilot_ledger.money(folder, options.tariff, volume, today["codec"], options.seed)
    seen = seen_by(r, options, best)
    if money is not None:
        seen = replace(
            seen, money=money.beside, year=money.year, payback_months=money.payback_months
        )
    shown, arrays = samples(r)
    _write_plan(folder, r, seen, volume, money)
    times = [s.encode_s for s in kept.sent]
    value = {
        **found,
        "verdict": pilot_verdict.verdict(seen, best, today["bytes"]),
        "saving": None if money is None else money.saving,
        "inference": inference(bundle, held_out, times, load_profile(options.target)),
        "samples": shown,
        "redo": _redo(options),
        "files": [*_FILES, *([] if money is None else [pilot_ledger.TARIFF])],
    }
    return value, arrays


def _write_plan(
    folder: Path,
    r: Results,
    seen: pilot_verdict.Seen,
    volume: pilot_ledger.Volume,
    money: pilot_ledger.Money | None,
) -> None:
    count = len(r.kept.sent)
    predicted = stages.Predicted(
        sizes=r.kept.sizes.astype(np.float64),
        distortions=np.array([s.row.distortion or s.distortion for s in r.kept.sent]),
        fallbacks=sum(s.codec != "rdedge" for s in r.kept.sent),
        best_bytes=None if seen.best is None else seen.best / count,
        score=r.score,
        raw_score=r.points.raw_score,
        fall=seen.allowed,
        saving=None if money is None else money.interval,
    )
    made = stages.plan(
        predicted,
        created=_today(),
        bundle=r.bundle.manifest.identity,
        metric=r.bound.metric,
        bound=r.bound.value,
        devices=volume.devices,
        samples_per_day=volume.samples_per_day,
        currency="" if money is None else money.currency,
    )
    write_file(folder / "stages.toml", made.to_toml().encode())


def _redo(options: Options) -> list[dict[str, str]]:
    """Commands, in the folder of the pilot, that make each figure again."""
    task = "" if options.task is None else f" --task {options.task}"
    tariff = "" if options.tariff is None else f" --tariff {pilot_ledger.TARIFF}"
    commands = {
        "curve": f"rdedge curve run -o curve{task}",
        "saving": f"rdedge savings ledger{tariff}",
        "bundle": "rdedge check bundle.rdb",
        "inference": "rdedge bench bundle.rdb",
        "stages": "rdedge review LEDGER --plan stages.toml",
    }
    return [{"figure": figure, "command": command} for figure, command in commands.items()]


def _chosen(
    points: Points, metric: str, noise: float, options: Options
) -> tuple[Made, Bound, list[pilot_bound.Reason]]:
    """The point that is deployed, what is promised for every sample, and why."""
    scale = points.made[0].draft.basis.scale
    raw = points.raw_score
    at, why = pilot_bound.propose(points.learned, metric, scale, noise, raw, options.fall)
    if options.max_distortion is None:
        made = points.made[at]
        is_minimum = Bound(metric, 1.0).is_minimum
        value = quantile_kept(made.each, _KEPT, is_minimum)
        return made, Bound(metric, pilot_bound.rounded(value, is_minimum)), why
    own = [m for m in points.made if m.factor == 1.0]
    bound = Bound(metric, options.max_distortion)
    return min(own, key=lambda m: abs(m.draft.basis.bound.value - bound.value)), bound, why
