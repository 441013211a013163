"""`rdedge train`: data and a bound -> a run folder with a model, and whether it meets the bound."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rdedge import canonical, metrics
from rdedge.data.sources import ReadOptions
from rdedge.errors import BoundMissedError, ConfigError, TrainingError, ValueRangeError
from rdedge.host.datasets import (
    Dataset,
    Parts,
    divide,
    held_out_apart,
    load,
    load_again,
    noted,
    scale_of,
)
from rdedge.host.entropy import Entropy, members_of
from rdedge.host.evaluate import evaluate
from rdedge.host.models.base import Model
from rdedge.host.models.image import ImageConfig
from rdedge.host.options import TrainingOptions, pick_device
from rdedge.host.plans import Plan, plan_by_name
from rdedge.host.runs import RunFolder, machine
from rdedge.host.splits import MIN_HELD_OUT, Split
from rdedge.host.training import Progress, Trainer
from rdedge.types import BOUNDS, Bound, SampleKind

# Below this many multiply-adds a step, threads wait for each other longer than they work.
_MACS_FOR_THREADS = 1 << 31
_CHECKPOINT_S = 10.0
# Below this share of the variance, float32 networks only add noise.
_FINEST = 1e-9
_OF_OBJECTIVE = ("rate", "alpha", "kernel_width", "batches", "batch", "input_noise")


def train(
    data: str | PathLike[str],
    *,
    max_distortion: float,
    metric: str = "mse",
    output: str | PathLike[str],
    model: str = "auto",
    size: str | None = None,
    kind: SampleKind | None = None,
    key: str | None = None,
    window: int | None = None,
    stride: int | None = None,
    time_column: str | None = None,
    columns: tuple[str, ...] = (),
    separator: str | None = None,
    group: str | None = None,
    held_out: int | None = None,
    held_out_data: str | PathLike[str] | None = None,
    held_out_key: str | None = None,
    seed: int = 0,
    epochs: int | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    latents: int | None = None,
    width: float = 1.0,
    device: str = "auto",
    augment: str = "none",
    bound: str = "mean",
    rate: str | None = None,
    alpha: float | None = None,
    kernel_width: str | float | None = None,
    batches: str | None = None,
    input_noise: float | None = None,
    quantiser: str | None = None,
    force: bool = False,
    on_data: Callable[[Dataset], None] = lambda _: None,
    on_epoch: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Train on data (a file or a folder, `digits`) so that its mean distortion is max_distortion.

    bound: "mean", or "every": the distortion is meant for every sample, and what is trained keeps
    it for 95 % of them; a gate sees to the rest. metric: one of types.METRIC_IS_MINIMUM, in the
    units of the data. model: `auto` or one of host.models.MODELS for the kind of sample; size: of a
    network, nano, small or base. kind, key, window, time_column, columns, separator: how to read
    (data.sources.ReadOptions); stride: from one training window to the next (default: a quarter of
    a window). group: a regular expression over the names of pictures; what it finds alike is never
    split. held_out: how many of the last
    samples decide whether the bound is met (default: 22 %), or held_out_data: of their own.
    rate, alpha, kernel_width, batches, input_noise, quantiser: what is minimised, on which batches,
    and how latents are quantised (host.options.TrainingOptions). on_data is told what was read.
    Returns the scorecard, which is in the run folder too. Raises BoundMissedError where the bound
    is not met on held-out data (the run is kept), StoppedError where stop said so.
    """
    if not isinstance(width, int | float) or not 0.05 <= width <= 8:
        raise ConfigError(f"a width of {width!r}", expected="0.05 to 8")
    if held_out is not None and held_out_data is not None:
        raise ConfigError(
            f"both {held_out} samples of DATA and {held_out_data} are to be held out",
            expected="one of --held-out and --held-out-data",
        )
    if bound not in BOUNDS:
        raise ConfigError(f"a bound of kind {bound!r}", expected=" or ".join(BOUNDS))
    limit = Bound(metric, max_distortion, BOUNDS[bound])
    options = ReadOptions(
        kind=kind, window=window, time=time_column, columns=columns, separator=separator
    )
    dataset = load(data, key, options, group)
    on_data(dataset)
    spec = dataset.spec
    if columns and not dataset.columns:
        raise ConfigError(
            f"the columns {', '.join(columns)} of data without names", expected="none, or a table"
        )
    if held_out is not None and held_out < MIN_HELD_OUT[spec.kind]:
        raise ConfigError(
            f"{held_out} held-out samples", expected=f"at least {MIN_HELD_OUT[spec.kind]}"
        )
    apart: Dataset | None = None
    split = Split.of(dataset.count, 0 if held_out_data is not None else held_out, spec.kind)
    if dataset.starts:
        split = split.between(dataset.starts)
    if held_out_data is not None:
        apart = held_out_apart(held_out_data, held_out_key, dataset, options)
    if augment == "shift" and (spec.kind != "vector" or len(spec.shape) != 2):
        raise ConfigError(
            f"augment shift for {spec.kind} samples of shape {spec.shape}",
            expected="vectors that are pictures (H, W)",
        )
    if spec.kind != "series" and stride is not None:
        raise ConfigError(
            f"a stride of {stride} for samples of kind {spec.kind}", expected="it for series alone"
        )
    if spec.kind == "series" and stride is None:
        stride = max(1, spec.shape[0] // 4)
    parts = divide(dataset, split, apart, stride)
    _refuse_nothing(parts)
    scale = scale_of(parts)
    _refuse_hopeless(parts, metrics.mse_for(metric, max_distortion, scale), limit)
    plan = plan_by_name(
        model,
        parts,
        limit,
        scale,
        size=size,
        latents=latents,
        width=width,
        training={
            "epochs": epochs,
            "batch": batch,
            "learning_rate": learning_rate,
            "minutes": minutes,
            "seed": seed,
            "device": device,
            "augment": augment,
            "rate": rate,
            "alpha": alpha,
            "kernel_width": kernel_width,
            "batches": batches,
            "input_noise": input_noise,
            "quantiser": quantiser,
        },
    )
    # Whatever is wrong with the settings shows here, before anything on disk is touched.
    pick_device(device)
    trainer = _trainer(plan, parts, limit, scale)
    folder = RunFolder(Path(output))
    folder.create(
        {
            "data": noted(data, key, dataset),
            "held_out_data": None
            if apart is None or held_out_data is None
            else noted(held_out_data, held_out_key, apart),
            "reading": {"options": asdict(options), "group": group, "stride": stride},
            "split": [[r.start, r.stop] for r in (split.train, split.validation, split.held_out)],
            "bound": {**limit.to_json(), "kind": bound},
            "scale": {"peak": scale.peak, "std": list(scale.std)},
            "model": plan.to_json(),
            "options": plan.options.to_json(),
            "machine": machine(),
        },
        force=force,
    )
    return _finish(folder, plan, trainer, parts, limit, scale, on_epoch, stop)


def _refuse_nothing(parts: Parts) -> None:
    """Raise where a part has no value at all: whatever came back would meet any bound."""
    for name, samples in (
        ("training", parts.train),
        ("validation", parts.validation),
        ("held-out", parts.held_out),
    ):
        if not any(np.isfinite(x).any() for x in samples):
            raise TrainingError(
                f"all values of the {name} part are missing",
                expected="values to measure on",
                do="leave those rows out, or name other held-out data with --held-out-data",
            )


def _refuse_hopeless(parts: Parts, mse: float, bound: Bound) -> None:
    """Raise where float32 itself is coarser than the bound on the training part."""
    lost = variance = count = 0.0
    for x in parts.train:
        values = x[np.isfinite(x)].astype(np.float64)
        lost += float(np.sum((values - values.astype(np.float32)) ** 2))
        variance += float(np.sum((values - values.mean()) ** 2)) if values.size else 0.0
        count += values.size
    lost, variance = lost / max(count, 1), variance / max(count, 1)
    if lost > 0.1 * mse:
        raise ValueRangeError(
            f"in float32 the data is off by a mean squared error of {lost:.3g}",
            expected=f"less than {bound} needs, about {mse:.3g}",
            do="subtract the large common offset from the data, or raise the bound",
        )
    if mse < _FINEST * variance:
        raise ConfigError(
            f"the bound {bound} is a mean squared error of {mse:.3g}, for data with a variance of "
            f"{variance:.3g}",
            expected=f"at least {_FINEST:g} of the variance",
            do="raise the bound; for more, a codec without loss serves better",
        )


def _trainer(plan: Plan, parts: Parts, bound: Bound, scale: metrics.Scale) -> Trainer | None:
    """What trains the plan's model; None where there is nothing to descend on."""
    if plan.model.prior is None:
        return None
    return Trainer(plan.model, plan.start, parts, bound, scale, plan.options)


class _Checkpoints:
    """Saves after the first epoch, at a stop and at the end, and every few seconds in between: to
    write and flush a large model takes longer than a short epoch.
    """

    def __init__(self, folder: RunFolder, trainer: Trainer) -> None:
        self.folder, self.trainer = folder, trainer
        self.saved_at = -float("inf")

    def __call__(self, now: bool) -> None:
        if now or time.monotonic() - self.saved_at >= _CHECKPOINT_S:
            self.folder.save_checkpoint(self.trainer)
            self.saved_at = time.monotonic()


def resume(
    output: str | PathLike[str],
    *,
    data: str | None = None,
    key: str | None = None,
    held_out_data: str | None = None,
    held_out_key: str | None = None,
    on_epoch: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Go on with the run in the folder output from its last checkpoint to its end.

    data, held_out_data: where they are now, if they have moved.
    """
    folder = RunFolder(Path(output))
    description = folder.description()
    with folder.reading("run.json"):
        basis = load_again(
            description,
            data=data,
            key=key,
            held_out_data=held_out_data,
            held_out_key=held_out_key,
        )
        options = TrainingOptions(**description["options"])
        plan = Plan.again(description["model"], options, basis.parts, basis.bound, basis.scale)
        trainer = _trainer(plan, basis.parts, basis.bound, basis.scale)
    if trainer is not None:
        folder.load_checkpoint(trainer)
    return _finish(folder, plan, trainer, basis.parts, basis.bound, basis.scale, on_epoch, stop)


def _finish(
    folder: RunFolder,
    plan: Plan,
    trainer: Trainer | None,
    parts: Parts,
    bound: Bound,
    scale: metrics.Scale,
    on_epoch: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> dict[str, Any]:
    """Train to the end, fit, measure, and write it all down."""
    threads = torch.get_num_threads()
    macs = 3 * plan.macs * plan.options.batch
    if macs < _MACS_FOR_THREADS:
        torch.set_num_threads(1)
    started = time.monotonic()
    try:
        if trainer is None:
            model = plan.model
            card, entropy = evaluate(model, parts, bound, scale, plan.options)
        else:
            trainer.run(on_epoch, stop, _Checkpoints(folder, trainer))
            # Before the fits: what training believed of its best epoch, on validation samples.
            estimate = canonical.finite(trainer.validate()[0])
            model, card, entropy = _better(trainer, parts)
        digest = folder.save_model(model)
    finally:
        torch.set_num_threads(threads)
    kept_start = trainer is not None and model is plan.start
    card["kept"] = f"start: {model.config.kind}" if kept_start else model.config.kind
    card["model_sha256"] = digest
    if plan.why is not None:
        card["chosen_because"] = plan.why
    if entropy.trained:
        # Trained, so kept; classes are fitted again at export.
        card["entropy_sha256"] = folder.save_entropy(members_of(entropy))
    card["training"] = {"epochs": 0, "seconds": time.monotonic() - started}
    if trainer is not None:
        card["training"] = {
            "epochs": trainer.state.trained,
            "best_epoch": trainer.state.best_epoch,
            "seconds": trainer.state.seconds,
            "multiplier": float(np.exp(trainer.state.log_multiplier)),
            "diverged": trainer.state.diverged,
            **{k: getattr(trainer.options, k) for k in _OF_OBJECTIVE},
            "estimated_bits_per_element": {"value": estimate, "kind": "estimated"},
        }
    folder.write_json("scorecard.json", card)
    if not card["met"]:
        diverged = card["training"].get("diverged", 0)
        ran = f"; the multiplier ran away in epoch {diverged}" if diverged else ""
        raise BoundMissedError(
            f"the bound {bound} is not met on held-out data: {card['reached']:g} at the finest "
            f"step{ran}",
            expected=str(bound),
            do=f"{_more(bound, plan.model, bool(diverged))}; the run is kept in {folder.path}",
        )
    return card


def _more(bound: Bound, model: Model, diverged: bool) -> str:
    """What to try where a bound is missed: only what says something to this model; more epochs
    only where those that there were came nearer.
    """
    ways = [f"{'lower' if bound.is_minimum else 'raise'} the bound"]
    if model.layout is None:
        ways.append("give more --latents or a larger --width")
    elif isinstance(model.config, ImageConfig):
        ways.append("give more --latents")
    if model.prior is not None and not diverged:
        ways.append("train longer")
    return ", or ".join(ways)


def _better(trainer: Trainer, parts: Parts) -> tuple[Model, dict[str, Any], Entropy]:
    """The trained model, or the linear codec that it started from where training did not help:
    where only that meets the bound, or needs fewer bytes to. Who asks for another rate than the
    entropy model's does not ask for the fewest bytes, and gets what was trained if it serves.
    """
    card, entropy = evaluate(trainer.model, parts, trainer.bound, trainer.scale, trainer.options)
    start, of_start = evaluate(trainer.start, parts, trainer.bound, trainer.scale, trainer.options)
    sizes = {"trained": card["packet_bytes"], "start": start["packet_bytes"]}
    fewer = start["packet_bytes"] < card["packet_bytes"] and trainer.options.rate == "entropy"
    if start["met"] and (fewer or not card["met"]):
        return trainer.start, start | {"bytes_of": sizes}, of_start
    return trainer.model, card | {"bytes_of": sizes}, entropy
