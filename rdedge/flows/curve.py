"""`rdedge curve`: learned codecs against classical ones, at equal distortion, on held-out data."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rdedge import metrics
from rdedge.bundle.bundle import Bundle
from rdedge.classical.search import Found
from rdedge.codec.decoder import Decoder
from rdedge.codec.encoder import Encoder
from rdedge.data.files import refuse_existing, write_file
from rdedge.errors import ConfigError
from rdedge.flows.labels import Labels, labels_of
from rdedge.flows.rivals import rivals
from rdedge.host.datasets import Parts
from rdedge.host.export import Draft
from rdedge.host.runs import RunFolder
from rdedge.report.curve import Curve, Point, curve_csv, curve_json
from rdedge.report.curve_png import curve_figure
from rdedge.report.style import drawn
from rdedge.tasks import Judge, load
from rdedge.types import Array, Bound, Measured

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
    judged = _judged(parts, options, runs[0])
    metric, scale = drafts[0].basis.bound.metric, drafts[0].basis.scale
    points: list[Point] = []
    wanted: list[float] = []
    for draft, run in zip(drafts, runs, strict=True):
        for factor in _FACTORS if len(runs) == 1 else (1.0,):
            say(f"{run}: coding {sum(map(len, parts.held_out))} samples, step x {factor:.3g}")
            made = _learned(draft.bundle(factor), parts, metric, scale, factor, judged)
            wanted.append(made[0].distortion)
            points += made
    for distortion in _distinct(wanted, drafts[0].basis.bound) if options.classical else ():
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
            points += [_classical(f, parts, packetised, judged) for f in _best_of_each(found)]
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
        raw_task_score=None if judged is None else judged.score(parts.held_out),
        notes=_notes(parts),
    )


def _data_of(run: Path) -> str:
    """The data that a run was trained on, by the last two parts of its path."""
    return "/".join(Path(RunFolder(run).description()["data"]["path"]).parts[-2:])


def _distinct(wanted: Sequence[float], bound: Bound) -> list[float]:
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


@dataclass(frozen=True)
class _Judged:
    """A task ready to judge, with the labels of the held-out samples."""

    judge: Judge
    labels: Labels

    def score(self, samples: Sequence[Array]) -> float:
        return self.judge(_plain(samples), self.labels)


def _plain(samples: Sequence[Array]) -> Any:
    """Batches -> one array, or a list of pictures where they differ in size."""
    if len({x.shape[1:] for x in samples}) == 1:
        return np.concatenate(list(samples))
    return [picture for x in samples for picture in x]


def _judged(parts: Parts, options: Options, run: Path) -> _Judged | None:
    if options.task is None:
        if options.labels is not None or options.task_data is not None:
            raise ConfigError("labels or task data without a task", expected="--task too")
        return None
    task = load(options.task)
    learned, marks, held_out = labels_of(run, parts, options.labels, options.task_data)
    judge = task.judge(_plain(learned), marks) if task.needs_training else task.judge()
    return _Judged(judge, _plain(parts.held_out) if held_out is None else held_out)


def _learned(
    bundle: Bundle,
    parts: Parts,
    metric: str,
    scale: metrics.Scale,
    factor: float,
    judged: _Judged | None,
) -> list[Point]:
    """The point of one bundle packet by packet, and as one stream where that differs."""
    encoder, decoder = Encoder(bundle, threads=1), Decoder(bundle)
    samples = [np.ascontiguousarray(x) for x in parts.held_out]
    ones = [x[i : i + 1] for x in samples for i in range(len(x))]
    encoder.encode(ones[0])
    seconds = []
    for _ in range(_TIMED):
        started = time.perf_counter()
        packets = [encoder.encode(one) for one in ones]
        seconds.append(time.perf_counter() - started)
    decoded = iter([decoder.decode(packet) for packet in packets])
    x_hat = [np.concatenate([next(decoded) for _ in range(len(x))]) for x in samples]
    distortion = metrics.mean(metric, samples, x_hat, scale)
    elements = sum(x.size for x in samples)
    score = None if judged is None else judged.score(x_hat)
    m = bundle.manifest
    # One name for all runs, whichever model each of them kept, so that they make one curve.
    setting = f"{m.model}, step {m.levels[0].step:.4g}, bound {m.bound.value:g}"
    setting += f", step x {factor:.3g}" if factor != 1.0 else ""

    def point(size: int, packetised: bool, encode_s: float | None) -> Point:
        return Point(
            "rdedge",
            setting,
            learned=True,
            packetised=packetised,
            bits_per_element=Measured(8.0 * size / elements, "actual"),
            distortion=distortion,
            encode_s_per_sample=None if encode_s is None else Measured(encode_s, "actual"),
            task=score,
        )

    found = [point(sum(map(len, packets)), True, float(np.median(seconds)) / len(ones))]
    if parts.spec.kind != "image":
        found.append(point(sum(len(encoder.encode(x)) for x in samples), False, None))
    return found


def _best_of_each(found: Sequence[Found]) -> Iterator[Found]:
    """Of each codec the way that takes the fewest bytes; they come so sorted."""
    seen: set[str] = set()
    for one in found:
        if one.codec not in seen:
            seen.add(one.codec)
            yield one


def _classical(found: Found, parts: Parts, packetised: bool, judged: _Judged | None) -> Point:
    elements = sum(x.size for x in parts.held_out)
    count = sum(map(len, parts.held_out))
    score = None
    if judged is not None and found.decoded is not None:
        score = judged.score(_like(found.decoded(), parts.held_out))
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


def _like(decoded: Sequence[Array], samples: Sequence[Array]) -> list[Array]:
    """Decoded samples one by one -> batches as the originals come."""
    left = iter(decoded)
    return [np.stack([next(left).reshape(one.shape) for one in x]) for x in samples]


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
