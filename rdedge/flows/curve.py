"""`rdedge curve`: learned codecs against classical ones, at equal distortion, on held-out data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rdedge import metrics
from rdedge.bundle.bundle import Bundle
from rdedge.classical.search import Found
from rdedge.codec.encoder import Encoder
from rdedge.data.files import refuse_existing, write_file
from rdedge.errors import ConfigError
from rdedge.flows.coded import Coded, Judged, as_batches, coded, judged
from rdedge.flows.rivals import rivals
from rdedge.host.datasets import Parts
from rdedge.host.export import Draft
from rdedge.host.runs import RunFolder
from rdedge.report.curve import Curve, Point, curve_csv, curve_json
from rdedge.report.curve_png import curve_figure
from rdedge.report.style import drawn
from rdedge.types import Bound, Measured

# Of one run alone: its step and others around it, so that there is a curve.
_FACTORS = (0.5, 2**-0.5, 1.0, 2**0.5, 2.0)
_TIMED = 3
# Learned points this close to each other share one search.
_ALIKE = 0.01


@dataclass(frozen=True)
class Options:
    """What to compare. classical: whether at all; thorough: settings that take minutes too.

    task: `MODULE:FUNCTION` of rdedge.tasks; labels: where its labels are, the key of an .npz or the
    column of a table; task_data: labelled raw samples for the task to learn from.
    """

    classical: bool = True
    thorough: bool = False
    task: str | None = None
    labels: str | None = None
    task_data: str | None = None


def curve(
    runs: Sequence[Path],
    options: Options = Options(),
    say: Callable[[str], None] = lambda _: None,
) -> Curve:
    """The points of finished runs, all trained on the same data for bounds in the same metric, and
    of the classical codecs at the same distortions. Of one run its step is varied too.

    Raises ConfigError for runs that do not belong together.
    """
    if not runs:
        raise ConfigError("no run is named", expected="at least one folder of rdedge train")
    drafts = []
    for run in runs:
        say(f"reading {run}")
        drafts.append(Draft.of(run))
    _check_alike(runs, drafts)
    parts = drafts[0].basis.parts
    judge = judged(parts, options.task, options.labels, options.task_data, runs[0])
    metric, scale = drafts[0].basis.bound.metric, drafts[0].basis.scale
    points: list[Point] = []
    wanted: list[float] = []
    for draft, run in zip(drafts, runs, strict=True):
        for factor in _FACTORS if len(runs) == 1 else (1.0,):
            say(f"{run}: coding {sum(map(len, parts.held_out))} samples, step x {factor:.3g}")
            made = _learned(draft.bundle(factor), parts, metric, scale, factor, judge)
            wanted.append(made[0].distortion)
            points += made
    for distortion in distinct(wanted, drafts[0].basis.bound) if options.classical else ():
        for packetised in (True, False):
            how = "packet by packet" if packetised else "as one stream"
            say(f"classical codecs at {metric} {distortion:.4g}, {how}")
            found = rivals(
                parts.spec,
                parts.held_out,
                Bound(metric, distortion),
                scale,
                packetised=packetised,
                train=parts.train[0] if parts.spec.kind != "image" else None,
                thorough=options.thorough,
            )
            points += [classical_point(f, parts, packetised, judge) for f in best_of_each(found)]
    elements = sum(x.size for x in parts.held_out)
    spec = parts.spec
    pixels = elements // (spec.shape[2] if spec.kind == "image" else 1)
    count = sum(map(len, parts.held_out))
    return Curve(
        title=f"{_data_of(runs[0])}: {count} held-out samples",
        metric=metric,
        unit_of_rate="bit/pixel" if spec.kind == "image" and pixels == elements else "bits/value",
        raw_bits=8.0 * np.dtype(spec.dtype).itemsize,
        points=tuple(points),
        task_name=options.task,
        raw_task_score=None if judge is None else judge.score(parts.held_out),
        notes=_notes(parts),
    )


def _data_of(run: Path) -> str:
    """The data that a run was trained on, by the last two parts of its path."""
    return "/".join(Path(RunFolder(run).description()["data"]["path"]).parts[-2:])


def distinct(wanted: Sequence[float], bound: Bound) -> list[float]:
    """Distortions to search at: of those within a hundredth of each other the most faithful.

    Where nothing was lost (mse 0, infinite psnr) no bound can be searched for.
    """
    kept: list[float] = []
    searchable = [value for value in wanted if 0.0 < value < float("inf")]
    for value in sorted(searchable, reverse=bound.is_minimum):
        if not kept or abs(value - kept[-1]) > _ALIKE * abs(kept[-1]):
            kept.append(value)
    return kept


def _notes(parts: Parts) -> tuple[str, ...]:
    packets = (
        "packet by packet: rdedge with the header and the checksum of each packet, the classical "
        "codecs with nothing but their own bytes"
    )
    notes = [packets]
    if any(np.issubdtype(x.dtype, np.floating) and np.isnan(x).any() for x in parts.held_out):
        notes.append("missing values were filled for the classical codecs, which have no mask")
    return tuple(notes)


def _check_alike(runs: Sequence[Path], drafts: Sequence[Draft]) -> None:
    first = drafts[0].basis
    for run, draft in zip(runs[1:], drafts[1:], strict=True):
        basis = draft.basis
        same = len(basis.parts.held_out) == len(first.parts.held_out) and all(
            np.array_equal(a, b, equal_nan=np.issubdtype(a.dtype, np.floating))
            for a, b in zip(basis.parts.held_out, first.parts.held_out, strict=True)
        )
        if basis.bound.metric != first.bound.metric or not same:
            raise ConfigError(
                f"{run} and {runs[0]} have other held-out samples or another metric",
                expected="runs on the same data, for bounds in the same metric",
            )


def _learned(
    bundle: Bundle,
    parts: Parts,
    metric: str,
    scale: metrics.Scale,
    factor: float,
    judge: Judged | None,
) -> list[Point]:
    """The point of one bundle packet by packet, and as one stream where that differs."""
    samples = [np.ascontiguousarray(x) for x in parts.held_out]
    found = coded(bundle, samples, timed=_TIMED)
    points = [learned_point(bundle, found, parts, metric, scale, factor, judge)]
    if parts.spec.kind != "image":
        encoder = Encoder(bundle, threads=1)
        size = sum(len(encoder.encode(x)) for x in samples)
        rate = Measured(8.0 * size / sum(x.size for x in samples), "actual")
        whole = {"packetised": False, "bits_per_element": rate, "encode_s_per_sample": None}
        points.append(replace(points[0], **whole))  # type: ignore[arg-type]
    return points


def learned_point(
    bundle: Bundle,
    found: Coded,
    parts: Parts,
    metric: str,
    scale: metrics.Scale,
    factor: float = 1.0,
    judge: Judged | None = None,
) -> Point:
    """What a bundle made of the held-out samples, packet by packet. factor: on its run's step."""
    m = bundle.manifest
    # One name for all runs, whichever model each of them kept, so that they make one curve.
    setting = f"{m.model}, step {m.levels[0].step:.4g}, bound {m.bound.value:g}"
    setting += f", step x {factor:.3g}" if factor != 1.0 else ""
    elements = sum(x.size for x in parts.held_out)
    return Point(
        "rdedge",
        setting,
        learned=True,
        packetised=True,
        bits_per_element=Measured(8.0 * int(found.sizes.sum()) / elements, "actual"),
        distortion=found.distortion(metric, parts.held_out, scale),
        encode_s_per_sample=Measured(found.encode_s / len(found.sizes), "actual"),
        task=None if judge is None else judge.score(found.x_hat),
    )


def best_of_each(found: Sequence[Found]) -> Iterator[Found]:
    """Of each codec the way that takes the fewest bytes; they come so sorted."""
    seen: set[str] = set()
    for one in found:
        if one.codec not in seen:
            seen.add(one.codec)
            yield one


def classical_point(found: Found, parts: Parts, packetised: bool, judge: Judged | None) -> Point:
    """A codec on the held-out samples, as a point of the curve."""
    elements = sum(x.size for x in parts.held_out)
    count = sum(map(len, parts.held_out))
    score = None
    if judge is not None and found.decoded is not None:
        score = judge.score(as_batches(found.decoded(), parts.held_out))
    return Point(
        found.codec,
        found.setting,
        learned=False,
        packetised=packetised,
        bits_per_element=Measured(8.0 * found.size_bytes / elements, "actual"),
        distortion=found.distortion.value,
        encode_s_per_sample=Measured(found.encode_s.value / count, found.encode_s.kind),
        task=score,
    )


def write(folder: Path, found: Curve, *, force: bool = False) -> list[Path]:
    """Write curve.csv, .json, .png and .svg into folder; returns their names."""
    figure = curve_figure(found)
    pages = {
        "curve.csv": curve_csv(found),
        "curve.json": (json.dumps(curve_json(found), indent=1, sort_keys=True) + "\n").encode(),
        "curve.png": drawn(figure, "png"),
        "curve.svg": drawn(figure, "svg"),
    }
    for name in pages:
        refuse_existing(folder / name, force)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in pages.items():
        write_file(folder / name, data, force=force)
    return [folder / name for name in pages]
