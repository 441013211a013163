"""`rdedge train`: data and a bound -> a run folder with a model, and whether it meets the bound."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rdedge import canonical, metrics
from rdedge.codec.preprocess import refuse_non_finite
from rdedge.codec.symbols import SymbolCodec
from rdedge.data import builtin, sources
from rdedge.errors import BoundMissedError, ConfigError, ShapeError, SourceError, TrainingError
from rdedge.host.fit import cross_fit, fit_step, fit_tables, symbols_of
from rdedge.host.models import Mlp, MlpConfig, auto_config, start_from_klt
from rdedge.host.runs import RunFolder, machine
from rdedge.host.splits import Split
from rdedge.host.training import (
    Progress,
    Trainer,
    TrainingOptions,
    latents,
    reconstructions,
)
from rdedge.types import Array, Bound

# Below this many multiply-adds a step, threads wait for each other longer than they work.
_MACS_FOR_THREADS = 1 << 31
_CHECKPOINT_S = 10.0
_STEPS, _MIN_EPOCHS, _MAX_EPOCHS = 6000, 20, 200


def _load(data: str, key: str | None) -> sources.Source:
    if data in builtin.NAMES and not Path(data).exists():
        return builtin.load(data)
    path = Path(data)
    if path.is_dir():
        raise SourceError(
            f"{data} is a folder", expected="one file of vectors (.npy, .npz, .csv) or `digits`"
        )
    return sources.read(path, key=key)


def _digest(x: Array) -> str:
    """SHA-256 over what the samples are, however they were stored."""
    header = canonical.dumps({"dtype": str(x.dtype), "shape": list(x.shape)})
    little = np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("<"))
    return hashlib.sha256(header + little.tobytes()).hexdigest()


def load_data(
    description: dict[str, Any], *, data: str | None = None, key: str | None = None
) -> tuple[Array, Array, Array]:
    """(train, validation, held out) of a run, found where run.json says or where data says.

    Raises TrainingError where it is no longer the data that the run was made from.
    """
    noted = description["data"]
    source = _load(data or noted["path"], key or noted["key"])
    _same(source.samples, noted, "--data")
    if description["held_out_data"] is None:
        return Split(*(range(*ends) for ends in description["split"])).take(source.samples)
    apart = description["held_out_data"]
    held_out = _load(apart["path"], apart["key"]).samples
    _same(held_out, apart, "the held-out file")
    train, validation, _ = Split(*(range(*e) for e in description["split"])).take(source.samples)
    return train, validation, held_out


def _same(x: Array, noted: dict[str, Any], what: str) -> None:
    if _digest(x) != noted["sha256"]:
        raise TrainingError(
            f"{noted['path']} is not what the run was made from: SHA-256 {_digest(x)[:16]}...",
            expected=f"{noted['sha256'][:16]}...",
            do=f"name the file that it was made from with {what}, or train again",
        )


def train(
    data: str,
    *,
    max_distortion: float,
    metric: str = "mse",
    output: str | PathLike[str],
    model: str = "mlp",
    key: str | None = None,
    held_out: int | None = None,
    held_out_data: str | None = None,
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
    if seed < 0 or not 0 < (learning_rate or 0.1) < 1 or not 0.05 <= width <= 8:
        raise ConfigError(
            f"seed {seed}, learning rate {learning_rate}, width {width}",
            expected="a seed of 0 or more, a learning rate in (0, 1), a width from 0.05 to 8",
        )
    Bound(metric, max_distortion)  # refuses what is no bound
    source = _load(data, key)
    x = source.samples
    refuse_non_finite(x) if np.issubdtype(x.dtype, np.floating) else None
    apart: dict[str, Any] | None = None
    if held_out_data is not None:
        other = _load(held_out_data, held_out_key)
        if other.samples.shape[1:] != x.shape[1:] or other.samples.dtype != x.dtype:
            raise ShapeError(
                f"held-out samples of shape {other.samples.shape[1:]}, {other.samples.dtype}",
                expected=f"shape {x.shape[1:]}, {x.dtype}, as in {data}",
            )
        apart = _noted(held_out_data, held_out_key, other.samples)
        split = Split.of(len(x), 4)
        split = Split(split.train, range(split.validation.start, len(x)), range(len(x), len(x)))
    else:
        split = Split.of(len(x), held_out)
    if augment not in ("none", "shift") or (augment == "shift" and x.ndim != 3):
        raise ConfigError(
            f"augment {augment!r} for samples of shape {x.shape[1:]}",
            expected="none, or shift for pictures (H, W)",
        )
    parts = split.take(x)
    scale = metrics.Scale.of(parts[0])
    mse = metrics.mse_for(metric, max_distortion, scale)
    config = auto_config(parts[0], mse, latents=latents, width=width)
    batch = batch or (64 if len(parts[0]) < 8192 else 128)
    if epochs is None:
        per_epoch = max(1, len(parts[0]) // batch)
        epochs = max(_MIN_EPOCHS, min(_MAX_EPOCHS, _STEPS // per_epoch))
    options = TrainingOptions(
        epochs=epochs,
        batch=batch,
        # Wide networks want smaller steps.
        learning_rate=learning_rate or (2e-3 if config.encoder_hidden <= 128 else 1e-3),
        minutes=minutes,
        seed=seed,
        device=device,
        augment=augment,
    )
    folder = RunFolder(Path(output))
    folder.create(
        {
            "data": _noted(data, key, x),
            "held_out_data": apart,
            "split": [[r.start, r.stop] for r in (split.train, split.validation, split.held_out)],
            "bound": {"metric": metric, "value": max_distortion, "kind": "mean"},
            "scale": {"peak": scale.peak, "std": scale.std},
            "model": config.to_json(),
            "options": options.to_json(),
            "machine": machine(),
        },
        force=force,
    )
    return resume(output, on_epoch=on_epoch, stop=stop)


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


def _noted(path: str, key: str | None, x: Array) -> dict[str, Any]:
    resolved = (
        path if path in builtin.NAMES and not Path(path).exists() else (str(Path(path).resolve()))
    )
    return {
        "path": resolved,
        "key": key,
        "sha256": _digest(x),
        "dtype": str(x.dtype),
        "shape": list(x.shape),
    }


def resume(
    output: str | PathLike[str],
    *,
    data: str | None = None,
    on_epoch: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Go on with the run in the folder output from its last checkpoint to its end."""
    folder = RunFolder(Path(output))
    description = folder.description()
    parts = load_data(description, data=data)
    bound = Bound(description["bound"]["metric"], description["bound"]["value"])
    scale = metrics.Scale(**description["scale"])
    options = TrainingOptions(**description["options"])
    config = MlpConfig.from_json(description["model"])
    threads = torch.get_num_threads()
    macs = 3 * (config.encoder_macs + config.decoder_macs) * options.batch
    if options.device != "cuda" and macs < _MACS_FOR_THREADS:
        torch.set_num_threads(1)
    try:
        torch.manual_seed(options.seed)
        model = Mlp(config)
        start_from_klt(model, parts[0], metrics.mse_for(bound.metric, bound.value, scale))
        trainer = Trainer(model, parts[0], parts[1], bound, scale, options)
        folder.load_checkpoint(trainer)
        trainer.run(on_epoch, stop, _Checkpoints(folder, trainer))
        folder.save_model(model)
        card = evaluate(model, parts, bound, scale)
    finally:
        torch.set_num_threads(threads)
    card["training"] = {
        "epochs": trainer.state.epoch,
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
            f"is kept in {output}",
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
    x_hat = synthesis(symbols.astype(np.float32) * np.float32(step))
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
