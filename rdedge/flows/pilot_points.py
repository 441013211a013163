"""The points of a pilot's curve: one model trained, its step varied, others where time allows.

A model's step serves bounds around the one that it was trained for, so the curve comes from one
run: five steps from half to twice its own. Where a run takes little of the budget, others are
trained for the ends of the curve, where a model of their own does better. The classical codecs are
searched at the distortions of the learned points: on a few samples first, then those that can win
at the distortion that was chosen, and as much more as the budget allows, on all held-out samples.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rdedge import metrics
from rdedge.bundle.bundle import Bundle
from rdedge.classical import registry
from rdedge.classical.search import Found
from rdedge.errors import BoundMissedError
from rdedge.flows.coded import Judged, coded, judged
from rdedge.flows.curve import best_of_each, classical_point, distinct, learned_point
from rdedge.flows.pilot_bound import value_for
from rdedge.flows.pilot_data import Gathered
from rdedge.flows.rivals import rivals
from rdedge.host.export import Draft
from rdedge.host.train import train
from rdedge.host.training import Progress
from rdedge.metrics import Scale
from rdedge.report.curve import Point
from rdedge.types import Array, Bound

# On the step of a run, the coarsest first.
FACTORS = (2.0, 2**0.5, 1.0, 2**-0.5, 0.5)
# Shares of the budget: the first run, all runs, all classical codecs; of these the last get no more
# than what is learned took, which they are beside, and at least the last share.
_FIRST, _RUNS, _CLASSICAL, _LEAST = 0.35, 0.5, 0.3, 0.1
# More points for a task, at most, each with twice or half the step.
MORE = 2
# Samples on which all classical codecs are tried first.
_SCOUTS = {"vector": 48, "series": 48, "image": 4}
# Codecs this close to the best on those are searched at every distortion.
_CLOSE = 1.25

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Clock:
    """A budget of wall clock, in seconds."""

    budget_s: float
    started: float = field(default_factory=time.monotonic)

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self.started

    def line(self, text: str) -> str:
        """For a terminal: what is done, how long it has been, what is left of the budget."""
        left = max(0.0, self.budget_s - self.spent_s)
        return f"[{self.spent_s / 60:.1f} min, about {left / 60:.1f} left] {text}"


@dataclass(frozen=True)
class Made:
    """One learned point. bound: of its run; each: (N,) distortions of the held-out samples."""

    run: Path
    draft: Draft
    factor: float
    point: Point
    each: Array


@dataclass
class Points:
    """What was made so far. trained: bounds of runs; notes: keys and values for the report."""

    made: list[Made]
    classical: list[Point]
    judge: Judged | None
    raw_score: float | None
    trained: list[float]
    notes: list[tuple[str, dict[str, object]]]

    @property
    def learned(self) -> list[Point]:
        return [one.point for one in self.made]


@dataclass(frozen=True)
class Trainer:
    """Trains runs of a pilot in a folder, within its budget."""

    gathered: Gathered
    metric: str
    folder: Path
    clock: Clock
    tell: Tell
    model: str = "auto"
    seed: int = 0

    def run(self, bound: float, minutes: float) -> tuple[Path, Draft]:
        """A run for a bound; one that misses it is kept all the same, and measured."""
        path = self.folder / f"run-{bound:.4g}"
        said = time.monotonic()

        def on_epoch(p: Progress) -> None:
            nonlocal said
            if time.monotonic() - said > 5.0:
                said = time.monotonic()
                self.tell(
                    f"training for {self.metric} {bound:.4g}: {p.rate:.3f} bits an element, "
                    f"{p.distortion:.4g}, {p.remaining_s:.0f} s left of this run"
                )

        self.tell(f"training for {self.metric} {bound:.4g}")
        with contextlib.suppress(BoundMissedError):
            train(
                self.gathered.data,
                max_distortion=bound,
                metric=self.metric,
                output=path,
                model=self.model,
                seed=self.seed,
                minutes=minutes,
                on_epoch=on_epoch,
                **vars(self.gathered.reading),
            )
        return path, Draft.of(path)


def learned_points(
    trainer: Trainer, bound: float, task: str | None, labels: str | None, task_data: str | None
) -> Points:
    """The first run at the bound, its steps, and runs for both ends where time allows."""
    clock, metric = trainer.clock, trainer.metric
    budget = clock.budget_s
    began = clock.spent_s
    path, draft = trainer.run(bound, max(_FIRST * budget / 60.0, 1e-3))
    took = clock.spent_s - began
    scale, parts = draft.basis.scale, draft.basis.parts
    judge = judged(parts, task, labels, task_data, path)
    raw = None if judge is None else judge.score(parts.held_out)
    points = Points([], [], judge, raw, [bound], [])
    factors = list(FACTORS)
    mse = metrics.mse_for(metric, bound, scale)
    for factor in (2.0, 0.5):
        if clock.spent_s + took > _RUNS * budget:
            break
        other = float(f"{value_for(metric, mse * factor**2, scale):.3g}")
        if other in points.trained:
            continue
        its_path, its_draft = trainer.run(other, max(took / 60.0, 1e-3))
        points.made.append(_made(trainer, its_path, its_draft, 1.0, judge))
        points.trained.append(other)
        factors.remove(factor)
    for factor in factors:
        trainer.tell(f"coding held-out samples, step x {factor:.3g}")
        points.made.append(_made(trainer, path, draft, factor, judge))
    steps = {"runs": len(points.trained), "steps": len(factors), "bounds": points.trained}
    points.notes.append(("curve.one_model" if len(factors) > 4 else "curve.runs", steps))
    return points


def widen(trainer: Trainer, points: Points, fall: float) -> None:
    """Finer points while the finest loses the task, coarser ones while all keep it; at most two."""
    if points.judge is None or points.raw_score is None:
        return
    for _ in range(MORE):
        order = sorted(points.made, key=lambda m: m.point.bits_per_element.value)
        kept = [points.raw_score - (m.point.task or 0.0) < fall for m in order]
        if not kept[-1]:
            at, factor = order[-1], 0.5
        elif kept[0]:
            at, factor = order[0], 2.0
        else:
            return
        trainer.tell("another point, for the task")
        points.made.append(_made(trainer, at.run, at.draft, at.factor * factor, points.judge))


def _made(trainer: Trainer, run: Path, draft: Draft, factor: float, judge: Judged | None) -> Made:
    bundle: Bundle = draft.bundle(factor)
    parts, scale = draft.basis.parts, draft.basis.scale
    found = coded(bundle, parts.held_out)
    point = learned_point(bundle, found, parts, trainer.metric, scale, factor, judge)
    each = metrics.every(trainer.metric, parts.held_out, found.x_hat, scale)
    return Made(run, draft, factor, point, each)


def classical_points(
    trainer: Trainer, points: Points, chosen: float, must: str | None = None
) -> None:
    """Search the classical codecs at the distortions of the learned points: at the chosen one those
    that can win, then the others there, then all at the other distortions, while the budget lasts.
    must: a codec that is searched there whatever it takes.
    """
    metric, held_out = trainer.metric, trainer.gathered.held_out
    wanted = distinct([one.point.distortion for one in points.made], Bound(metric, 1.0))
    if not wanted:
        return
    whole = trainer.clock.budget_s
    budget = min(_CLASSICAL * whole, max(_LEAST * whole, trainer.clock.spent_s))
    first = min(wanted, key=lambda value: abs(value - chosen))
    search = _Search(trainer, points.made[0].draft.basis.scale)
    scouted, left_out = _scouted(trainer, search, first, must, budget)
    if not scouted:
        return
    near = [one for one in scouted if one.size <= _CLOSE * scouted[0].size]
    # The best few are what the verdict rests on: these at least, unless one alone would take all.
    sure = [one for one in near if one.full_s <= budget or one is near[0]]
    sure += [one for one in scouted if one.codec == must and one not in sure]
    rest = [one for one in scouted if one not in sure]
    jobs = [(one, first) for one in [*sure, *rest]]
    others = [value for value in wanted if value != first]
    jobs += [(one, value) for one in [*sure, *rest] for value in others]
    began, found_of = trainer.clock.spent_s, set()
    for n, (one, value) in enumerate(jobs):
        left = budget - (trainer.clock.spent_s - began)
        if n >= len(sure) and one.full_s > left:
            continue
        trainer.tell(f"{one.codec} at {metric} {value:.4g}")
        found_of.add(one.codec)
        for found in best_of_each(search(one.codec, held_out, value)):
            parts = points.made[0].draft.basis.parts
            points.classical.append(classical_point(found, parts, True, points.judge))
    left_out += [one.codec for one in scouted if one.codec not in found_of]
    if left_out:
        points.notes.append(("curve.left_out", {"codecs": left_out}))


@dataclass(frozen=True)
class _Scouted:
    """size: bytes on the few; full_s: seconds that one search on all held-out samples may take."""

    codec: str
    size: int
    full_s: float


def _scouted(
    trainer: Trainer, search: _Search, value: float, must: str | None, budget: float
) -> tuple[list[_Scouted], list[str]]:
    """(codecs by their size on a few samples, those that the budget, in seconds, left out)."""
    clock, spec = trainer.clock, trainer.gathered.spec
    few = _few(trainer.gathered.held_out, _SCOUTS[spec.kind])
    more = sum(map(len, trainer.gathered.held_out)) / max(1, sum(map(len, few)))
    found: list[_Scouted] = []
    left_out = []
    start = clock.spent_s
    for codec in sorted(registry.available(), key=lambda name: not _fast(name)):
        over = clock.spent_s - start > budget
        if over and not _fast(codec) and codec != must:
            left_out.append(codec)
            continue
        trainer.tell(f"trying {codec} on {sum(map(len, few))} samples")
        began = clock.spent_s
        one = search(codec, few, value)
        if one:
            found.append(_Scouted(codec, one[0].size_bytes, (clock.spent_s - began) * more))
    return sorted(found, key=lambda one: one.size), left_out


@dataclass(frozen=True)
class _Search:
    """What a codec needs for samples at a distortion, packet by packet."""

    trainer: Trainer
    scale: Scale

    def __call__(self, codec: str, samples: Sequence[Array], value: float) -> list[Found]:
        gathered = self.trainer.gathered
        return rivals(
            gathered.spec,
            samples,
            Bound(self.trainer.metric, value),
            self.scale,
            packetised=True,
            # Windows that do not overlap say as much to a dictionary.
            train=gathered.train[0] if gathered.spec.kind != "image" else None,
            codecs=[codec],
        )


def _fast(name: str) -> bool:
    """Whether a search with this codec takes little: no codec of many tools, no training."""
    codec = registry.get(name)
    return codec.quick or ("array" in codec.takes and not codec.packets_only)


def _few(samples: Sequence[Array], most: int) -> list[Array]:
    """At most so many samples, evenly taken."""
    if len(samples) == 1:
        return [samples[0][:: max(1, -(-len(samples[0]) // most))]]
    return list(samples[:: max(1, -(-len(samples) // most))])


def quantile_kept(each: Array, share: float, is_minimum: bool) -> float:
    """The distortion that a share of samples keeps."""
    ordered = np.sort(each)[::-1] if is_minimum else np.sort(each)
    return float(ordered[min(len(ordered) - 1, int(np.ceil(share * len(ordered))) - 1)])
