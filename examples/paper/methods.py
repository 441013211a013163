"""The methods that are compared: one model, one budget, one bound, five objectives."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rdedge import metrics
from rdedge.host.datasets import Parts, scale_of
from rdedge.host.evaluate import evaluate, latents_of
from rdedge.host.fit import Rounding
from rdedge.host.models.base import Model
from rdedge.host.plans import plan_for
from rdedge.host.training import Trainer
from rdedge.types import Bound, SampleKind, SampleSpec


@dataclass(frozen=True)
class Method:
    """label: for figures. rate: of rdedge train. noise: on the input, as a multiple of the root of
    the bound's mean squared error.
    """

    label: str
    rate: str
    noise: float = 0.0
    batches: str = "random"


METHODS = {
    "renyi": Method("rate-distortion AE, Renyi", "renyi", batches="clustered"),
    "entropy": Method("rate-distortion AE, entropy model", "entropy"),
    "both": Method("rate-distortion AE, both rates", "both"),
    "ae": Method("auto-encoder", "none"),
    "dae": Method("denoising auto-encoder", "none", noise=1.0),
}
# What the paper compares.
OF_THE_PAPER = ("renyi", "ae", "dae")


@dataclass(frozen=True)
class Fitted:
    """A trained model. card: what it does at the bound, in actual bytes (host.evaluate).

    how: its latents are quantised at that. estimate: bits a sample by its own objective, on
    validation. seconds: of the processor, to train; what else runs disturbs them less than the
    clock. curve: (epoch, estimated bits an element, distortion) after each epoch. trained: epochs.
    diverged: the epoch in which the multiplier was seen to run away, 0 where it was not;
    log_multiplier: its last.
    """

    model: Model
    card: dict[str, Any]
    how: Rounding
    estimate: float
    seconds: float
    curve: list[tuple[int, float, float]]
    parts: Parts
    bound: Bound
    scale: metrics.Scale
    trained: int
    diverged: int
    log_multiplier: float

    @property
    def bits(self) -> float:
        """Actual bits of a held-out sample at the bound."""
        return 8.0 * float(self.card["packet_bytes"]) / float(self.card["samples"])

    @property
    def course(self) -> dict[str, object]:
        """Of every table: whether the bound was met on held-out data, and how training went."""
        return {
            "met": self.card["met"],
            "epochs": self.trained,
            "ran_away": bool(self.diverged),
        }


@dataclass(frozen=True)
class Budget:
    """The same for all that are compared. steps: of gradient; width: of an mlp's hidden units."""

    steps: int
    batch: int
    width: float = 1.0
    model: str = "mlp"
    latents: int | None = None


def parts_of(x: np.ndarray, held_out: np.ndarray, kind: SampleKind = "vector") -> Parts:
    """Training and validation (the last eighth) from x, samples held out."""
    spec = SampleSpec(kind, x.shape[1:], str(x.dtype))
    at = len(x) - max(len(x) // 8, 16)
    return Parts(spec, [x[:at]], [x[at:]], [held_out])


def trainer_for(
    parts: Parts, method: Method, bound: Bound, budget: Budget, seed: int, **more: Any
) -> Trainer:
    """A trainer at its start. Early stopping is off; a runaway multiplier still ends a phase,
    and then fewer epochs than the budget's are trained.
    """
    scale = scale_of(parts)
    per_epoch = max(1, len(parts.train[0]) // budget.batch)
    noise = method.noise * math.sqrt(metrics.mse_for(bound.metric, bound.value, scale))
    training = {
        "epochs": max(1, round(budget.steps / per_epoch)),
        "batch": budget.batch,
        "learning_rate": None,
        "minutes": None,
        "seed": seed,
        "device": "auto",
        "augment": "none",
        "patience": 1.0,
        "rate": method.rate,
        "batches": method.batches,
        "input_noise": noise,
        "alpha": None,
        "kernel_width": None,
    } | more
    plan = plan_for(
        budget.model,
        parts,
        bound,
        scale,
        size=None,
        latents=budget.latents,
        width=budget.width,
        training=training,
    )
    return Trainer(plan.model, plan.start, parts, bound, scale, plan.options)


def fit(
    parts: Parts, method: Method, bound: Bound, budget: Budget, seed: int, **more: Any
) -> Fitted:
    """Train, and meet the bound on held-out data: the trained model, never its linear start."""
    trainer = trainer_for(parts, method, bound, budget, seed, **more)
    started = time.process_time()
    trainer.run()
    seconds = time.process_time() - started
    elements = trainer.validation_raw.size / len(trainer.validation_raw)
    estimate = trainer.validate()[0] * elements
    card, entropy = evaluate(trainer.model, parts, bound, trainer.scale)
    curve = [(p.epoch, p.rate, p.distortion) for p in trainer.history]
    return Fitted(
        trainer.model,
        card,
        entropy.how,
        estimate,
        seconds,
        curve,
        parts,
        bound,
        trainer.scale,
        trainer.state.trained,
        trainer.state.diverged,
        trainer.state.log_multiplier,
    )


def latents(model: Model, x: np.ndarray) -> np.ndarray:
    """(N, L) float32, not rounded."""
    spec = SampleSpec("vector", x.shape[1:], str(x.dtype))
    (y,) = latents_of(model, [x], spec).y
    return y


def noisy_psnr(fitted: Fitted, x: np.ndarray, sigma: float, seed: int) -> float:
    """PSNR of what comes back, against x, where the encoder saw x with Gaussian noise."""
    rng = np.random.default_rng(seed)
    seen = x + rng.normal(0.0, sigma, x.shape)
    if np.issubdtype(x.dtype, np.integer):
        info = np.iinfo(x.dtype)
        seen = np.clip(np.rint(seen), info.min, info.max)
    spec = SampleSpec("vector", x.shape[1:], str(x.dtype))
    found = latents_of(fitted.model, [seen.astype(x.dtype)], spec)
    decoded = found.decoded(fitted.card["step"], fitted.how)
    return metrics.mean("psnr", [x], decoded, fitted.scale)


def one_thread() -> None:
    """Small networks wait for each other's threads longer than they work."""
    torch.set_num_threads(1)
