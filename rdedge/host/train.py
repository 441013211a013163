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
from rdedge.codec.symbols import SymbolCodec
from rdedge.coding.quantiser import dequantise
from rdedge.errors import BoundMissedError, ConfigError, ValueRangeError
from rdedge.host.datasets import Parts, held_out_apart, load, load_again, noted
from rdedge.host.fit import cross_fit, fit_step, fit_tables, symbols_of
from rdedge.host.models import Mlp, MlpConfig, auto_config, start_from_klt
from rdedge.host.options import TrainingOptions
from rdedge.host.runs import RunFolder, machine
from rdedge.host.splits import MIN_HELD_OUT, Split
from rdedge.host.training import Progress, Trainer, latents, reconstructions
from rdedge.types import Array, Bound

# Below this many multiply-adds a step, threads wait for each other longer than they work.
_MACS_FOR_THREADS = 1 << 31
_CHECKPOINT_S = 10.0
# Below this share of the variance, float32 networks only add noise.
_FINEST = 1e-9
_STEPS, _MIN_EPOCHS, _MAX_EPOCHS = 6000, 20, 200


def train(
    data: str | PathLike[str],
    *,
    max_distortion: float,
    metric: str = "mse",
    output: str | PathLike[str],
    model: str = "mlp",
    key: str | None = None,
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
    force: bool = False,
    on_epoch: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Train on data (.npy, .npz, .csv, `digits`) so that its mean distortion is max_distortion.

    metric: one of types.METRIC_IS_MINIMUM, in the units of the data. held_out: how many of the last
    samples decide whether the bound is met (default: 22 %), or held_out_data: a file of their own.
    Returns the scorecard, which is in the run folder too. Raises BoundMissedError where the
    bound is not met on held-out data (the run is kept), StoppedError where stop said so.
    """
    if model != "mlp":
        raise ConfigError(f"no model is called {model!r}", expected="mlp")
    if not isinstance(width, int | float) or not 0.05 <= width <= 8:
        raise ConfigError(f"a width of {width!r}", expected="0.05 to 8")
    if held_out is not None and held_out_data is not None:
        raise ConfigError(
            f"both {held_out} samples of DATA and {held_out_data} are to be held out",
            expected="one of --held-out and --held-out-data",
        )
    if held_out is not None and held_out < MIN_HELD_OUT:
        raise ConfigError(f"{held_out} held-out samples", expected=f"at least {MIN_HELD_OUT}")
    bound = Bound(metric, max_distortion)
    x = load(data, key)
    apart: dict[str, Any] | None = None
    split = Split.of(len(x), 0 if held_out_data is not None else held_out)
    parts = split.take(x)
    if held_out_data is not None:
        other = held_out_apart(held_out_data, held_out_key, x)
        apart = noted(held_out_data, held_out_key, other)
        parts = (*parts[:2], other)
    if augment == "shift" and x.ndim != 3:
        raise ConfigError(
            f"augment shift for samples of shape {x.shape[1:]}", expected="pictures (H, W)"
        )
    scale = metrics.Scale.of(parts[0])
    mse = metrics.mse_for(metric, max_distortion, scale)
    _refuse_hopeless(parts[0], mse, bound)
    config = auto_config(parts[0], mse, latents=latents, width=width)
    if batch is None:
        batch = 64 if len(parts[0]) < 8192 else 128
    if epochs is None:
        per_epoch = max(1, len(parts[0]) // max(1, batch))
        epochs = max(_MIN_EPOCHS, min(_MAX_EPOCHS, _STEPS // per_epoch))
    if learning_rate is None:
        # Wide networks want smaller steps.
        learning_rate = 2e-3 if config.encoder_hidden <= 128 else 1e-3
    options = TrainingOptions(
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        minutes=minutes,
        seed=seed,
        device=device,
        augment=augment,
    )
    # Whatever is wrong with the settings shows here, before anything on disk is touched.
    trainer = _trainer(config, parts, bound, scale, options)
    folder = RunFolder(Path(output))
    folder.create(
        {
            "data": noted(data, key, x),
            "held_out_data": apart,
            "split": [[r.start, r.stop] for r in (split.train, split.validation, split.held_out)],
            "bound": {"metric": metric, "value": float(max_distortion), "kind": "mean"},
            "scale": {"peak": scale.peak, "std": scale.std},
            "model": config.to_json(),
            "options": options.to_json(),
            "machine": machine(),
        },
        force=force,
    )
    return _finish(folder, trainer, parts, on_epoch, stop)


def _refuse_hopeless(x: Array, mse: float, bound: Bound) -> None:
    """Raise where float32 itself is coarser than the bound on x: (N, *shape)."""
    values = x.astype(np.float64)
    lost = float(np.mean((values - x.astype(np.float32)) ** 2))
    if lost > 0.1 * mse:
        raise ValueRangeError(
            f"in float32 the data is off by a mean squared error of {lost:.3g}",
            expected=f"less than {bound} needs, about {mse:.3g}",
            do="subtract the large common offset from the data, or raise the bound",
        )
    if mse < _FINEST * float(values.var()):
        raise ConfigError(
            f"the bound {bound} is a mean squared error of {mse:.3g}, for data with a variance of "
            f"{values.var():.3g}",
            expected=f"at least {_FINEST:g} of the variance",
            do="raise the bound; for more, a codec without loss serves better",
        )


def _trainer(
    config: MlpConfig, parts: Parts, bound: Bound, scale: metrics.Scale, options: TrainingOptions
) -> Trainer:
    """A model that starts as the KLT of the training part, and its trainer."""
    torch.manual_seed(options.seed)
    model = Mlp(config)
    start_from_klt(model, parts[0], metrics.mse_for(bound.metric, bound.value, scale))
    return Trainer(model, parts[0], parts[1], bound, scale, options)


def _better(trainer: Trainer, parts: Parts) -> tuple[Mlp, dict[str, Any]]:
    """The trained model, or the linear codec that it started from where training did not help:
    where only that meets the bound, or needs fewer bytes to.
    """
    model, bound, scale = trainer.model, trainer.bound, trainer.scale
    card = evaluate(model, parts, bound, scale) | {"kept": "trained"}
    linear = evaluate(trainer.start, parts, bound, scale) | {"kept": "start"}
    if linear["met"] and (not card["met"] or linear["packet_bytes"] < card["packet_bytes"]):
        return trainer.start, linear
    return model, card


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
        config = MlpConfig.from_json(description["model"])
        trainer = _trainer(config, basis.parts, basis.bound, basis.scale, options)
    folder.load_checkpoint(trainer)
    return _finish(folder, trainer, basis.parts, on_epoch, stop)


def _finish(
    folder: RunFolder,
    trainer: Trainer,
    parts: Parts,
    on_epoch: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> dict[str, Any]:
    """Train to the end, fit, measure, and write it all down."""
    config, bound = trainer.model.config, trainer.bound
    threads = torch.get_num_threads()
    macs = 3 * (config.encoder_macs + config.decoder_macs) * trainer.options.batch
    if trainer.device.type == "cpu" and macs < _MACS_FOR_THREADS:
        torch.set_num_threads(1)
    try:
        trainer.run(on_epoch, stop, _Checkpoints(folder, trainer))
        model, card = _better(trainer, parts)
        digest = folder.save_model(model)
    finally:
        torch.set_num_threads(threads)
    card["model_sha256"] = digest
    card["training"] = {
        "epochs": trainer.state.trained,
        "best_epoch": trainer.state.best_epoch,
        "seconds": trainer.state.seconds,
        "multiplier": float(np.exp(trainer.state.log_multiplier)),
    }
    folder.write_json("scorecard.json", card)
    if not card["met"]:
        raise BoundMissedError(
            f"the bound {bound} is not met on held-out data: {card['distortion']:g} at the finest "
            "step",
            expected=str(bound),
            do="raise the bound, give more --latents or a larger --width, or train longer; the run "
            f"is kept in {folder.path}",
        )
    return card


def evaluate(
    model: Mlp, parts: tuple[Array, Array, Array], bound: Bound, scale: metrics.Scale
) -> dict[str, Any]:
    """The scorecard: step, distortion on held-out data, its rate in actual and estimated bits.

    parts: (train, validation, held out), each (N, *shape).
    """
    train, validation, held_out = parts
    dtype = str(held_out.dtype)

    def synthesis(y_hat: Array) -> Array:
        return reconstructions(model, y_hat, dtype)

    y = latents(model, held_out)
    fitted = fit_step(y, held_out, synthesis, bound, scale)
    step = 1.0 / 64 if fitted is None else fitted[0]
    symbols = symbols_of(y, step)
    x_hat = synthesis(dequantise(symbols, step))
    distortion = metrics.mean(bound.metric, held_out, x_hat, scale)
    spread = metrics.per_sample("mse", held_out, x_hat, scale)
    tables = fit_tables(
        symbols_of(latents(model, train), step),
        symbols_of(latents(model, validation), step),
        model.prior,
        step,
    )
    codec = SymbolCodec(bytes(4), tables, 1)
    packet = codec.pack(symbols.reshape(-1), len(symbols))
    with torch.no_grad():
        device = next(model.parameters()).device
        noisy = torch.from_numpy(np.rint(y).astype(np.float32)).to(device)
        estimated = float(model.prior.bits(noisy).mean()) / model.config.elements
    return {
        "met": fitted is not None,
        "bound": {"metric": bound.metric, "value": bound.value},
        "step": float(np.float32(step)),
        "samples": len(held_out),
        "distortion": canonical.finite(distortion),
        "distortion_cross_fitted": cross_fit(y, held_out, synthesis, bound, scale),
        "mse": float(spread.mean()),
        "mse_standard_error": float(spread.std() / np.sqrt(len(spread))),
        "bits_per_element": {"value": 8.0 * len(packet) / held_out.size, "kind": "actual"},
        "bits_per_element_at_step_1": {"value": estimated, "kind": "estimated"},
        "packet_bytes": len(packet),
        "model": asdict(model.config) | {"shape": list(model.config.shape)},
    }
