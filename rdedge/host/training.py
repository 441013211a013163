"""Minimise the rate under a bound on the distortion: the user states a quality, never a lambda.

The Lagrangian of arXiv 1312.7381, eq. 2: R, estimated bits per element (rates/objective.py), and D,
in the unit of the bound, with a multiplier that finds itself (dual.py).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rdedge import metrics
from rdedge.codec.preprocess import from_network
from rdedge.errors import ConfigError, StoppedError, TrainingError
from rdedge.host.batches import Batches, clustered, clusters_for
from rdedge.host.datasets import Parts
from rdedge.host.dual import Dual
from rdedge.host.feeds import Feed, view
from rdedge.host.models.base import Model
from rdedge.host.options import State, TrainingOptions, pick_device
from rdedge.host.rates.base import Batch
from rdedge.host.rates.objective import WITH_PRIOR, Objective
from rdedge.types import Array, Bound

# The multiplier is moved after so many batches; see docs/training.md.
_DUAL_EVERY = 20


@dataclass(frozen=True)
class Progress:
    """Where training stands after an epoch, in the terms that a person follows.

    rate: estimated bits per element of rounded validation samples. distortion: of the same, in the
    bound's metric. multiplier: mu. remaining_s: by the pace so far.
    """

    epoch: int
    epochs: int
    rate: float
    distortion: float
    multiplier: float
    remaining_s: float


class Trainer:
    """Trains a model on the training part, aims at the bound on validation; resumable by epoch.

    start: the linear codec that the model starts from, kept where training does not help.

    The order of batches and the noise of an epoch follow from the seed and its number alone, so a
    run that was stopped and resumed ends with the same weights.
    """

    def __init__(
        self,
        model: Model,
        start: Model,
        parts: Parts,
        bound: Bound,
        scale: metrics.Scale,
        options: TrainingOptions,
    ) -> None:
        assert model.prior is not None
        self.device = pick_device(options.device)
        self.bf16 = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        self.model = model.to(self.device)
        self.prior = model.prior
        self.start = start.to(self.device)
        self.bound, self.scale, self.options = bound, scale, options
        patch = model.config.patch
        self.objective = Objective(
            options.rate, model.prior, patch, options.alpha, options.kernel_width
        )
        self.feed = Feed(parts.train, parts.spec, options, patch, self.device)
        self.batches = Batches(len(self.feed), options.batch, self._labels())
        self.validation_raw, self.validation = view(
            parts.validation, parts.spec, patch, self.device
        )
        # A prior that is fitted aside must not shorten the model's steps by the size of its own.
        aside = set() if options.rate in WITH_PRIOR else set(self.prior.parameters())
        others = [p for p in model.parameters() if p not in aside]
        self.clipped = [others, list(self.prior.parameters())] if aside else [others]
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        dtype = parts.spec.dtype
        info = np.iinfo(dtype) if np.issubdtype(np.dtype(dtype), np.integer) else None
        self.limits = None if info is None else (float(info.min), float(info.max))
        self.reference = metrics.mse_for(bound.metric, bound.value, scale)
        if bound.metric == "mae":
            self.reference = bound.value
        if bound.metric == "nrmse":
            deviation = torch.tensor(scale.std, device=self.device)
            self.unit: Tensor | float = bound.value * deviation
        else:
            self.unit = math.sqrt(self.reference)
        # At high rate dR / d ln D is 1/2 log2 e bits for each latent: where mu will end, about.
        share = model.config.latents / math.prod(self.feed.row_shape)
        self.dual = Dual(bound, options, math.log(0.72 * share))
        self.state = State(log_multiplier=self.dual.first)
        self.best: dict[str, Tensor] = {}
        self.history: list[Progress] = []

    def _labels(self) -> Array | None:
        """The clusters that batches are drawn from; None: batches by chance."""
        if self.options.batches != "clustered":
            return None
        if self.feed.x is None:
            raise ConfigError(
                "clustered batches of pictures",
                expected="vectors or windows: of pictures a batch is crops, which differ each time",
                do="take --batches random",
            )
        count = len(self.feed)
        clusters = clusters_for(count, self.options.batch)
        return clustered(self.feed.x.cpu().numpy(), clusters, self.options.seed)

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """(estimated bits per element, distortion in the bound's metric) of rounded validation
        samples; of a plain auto-encoder, which knows of no rounding, as they are.
        """
        y_hat, x_hat = self._through()
        self._refuse_nan(x_hat.abs().amax())
        bits = self.objective.bits(Batch(self.validation, y_hat, x_hat), self.options.batch)
        elements = self.validation_raw.size / len(self.validation_raw)
        return bits / elements, self._distortion(x_hat)

    @torch.no_grad()
    def _through(self) -> tuple[Tensor, Tensor]:
        """Validation samples to latents and back: y_hat, x_hat."""
        training = self.model.training
        self.model.eval()
        y_hat = self.model.g_a(self.validation)
        if self.objective.quantised:
            y_hat = torch.round(y_hat)
        x_hat = self.model.g_s(y_hat).float()
        self.model.train(training)
        return y_hat, x_hat

    def _distortion(self, x_hat: Tensor) -> float:
        decoded = from_network(x_hat.cpu().numpy(), str(self.validation_raw.dtype))
        return metrics.reached(self.bound, self.validation_raw, decoded, self.scale)

    def run(
        self,
        on_epoch: Callable[[Progress], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
        checkpoint: Callable[[bool], None] = lambda now: None,
    ) -> None:
        """Train to the end. on_epoch is told after each epoch; stop is asked after each batch and
        ends in StoppedError with the state of the last whole epoch; checkpoint is called after each
        epoch, with True where it must save.
        """
        state, options = self.state, self.options
        while not state.finished and state.epoch < options.epochs:
            before = self._snapshot()
            started = time.monotonic()
            if not self._epoch(stop):
                self._restore(before)
                checkpoint(True)
                raise StoppedError(
                    f"training was stopped in epoch {state.epoch + 1} of {options.epochs}",
                    do="go on with --resume and the run folder",
                )
            rate, distortion = self.validate()
            if self.dual.trades:
                self.dual.ascend(state, distortion)
            if self.dual.is_best(state, rate, distortion):
                self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
            state.seconds += time.monotonic() - started
            state.epoch += 1
            state.trained += 1
            left = (options.epochs - state.epoch) * state.seconds / state.trained
            if options.minutes is not None:
                left = min(left, options.minutes * 60.0 - state.seconds)
            self.history.append(
                Progress(
                    state.epoch,
                    options.epochs,
                    rate,
                    distortion,
                    math.exp(state.log_multiplier),
                    left,
                )
            )
            self.dual.end_epoch(state, self.dual.runs_away(state, distortion))
            on_epoch(self.history[-1])
            checkpoint(False)
        state.finished = True
        checkpoint(True)
        self.model.load_state_dict(self.best or self.model.state_dict())
        self.model.eval()

    def _epoch(self, stop: Callable[[], bool]) -> bool:
        state, options = self.state, self.options
        generator = torch.Generator(device="cpu").manual_seed(
            options.seed * 1_000_003 + state.epoch
        )
        batches = self.batches.epoch(generator)
        hard = state.epoch >= self.dual.hard_from
        for i, which in enumerate(batches):
            if stop():
                return False
            progress = (state.epoch + i / len(batches)) / options.epochs
            if options.minutes is not None:
                # Where the clock ends training, the learning rate must have come down by then.
                progress = max(progress, state.seconds / (options.minutes * 60.0))
            for group in self.optimizer.param_groups:
                group["lr"] = options.learning_rate * _schedule(progress)
            x, present = self.feed.take(which, generator)
            loss = self.loss(x, present, hard, generator)
            self._refuse_nan(loss)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            for part in self.clipped:
                torch.nn.utils.clip_grad_norm_(part, 1.0)
            self.optimizer.step()
            # After the last one the epoch is measured anyway, and the multiplier moved there.
            if self.dual.trades and (i + 1) % _DUAL_EVERY == 0 and i + 1 < len(batches):
                self.dual.ascend(self.state, self._distortion(self._through()[1]))
        return True

    def _refuse_nan(self, value: Tensor) -> None:
        if not math.isfinite(value.item()):
            raise TrainingError(
                f"the loss is {value.item()} in epoch {self.state.epoch + 1}",
                expected="a finite number",
                do="lower --learning-rate, or look for extreme values: what lies far from 1 in "
                "size is better scaled first",
            )

    def loss(
        self, x: Tensor, present: Tensor | None, hard: bool, generator: torch.Generator
    ) -> Tensor:
        """What is descended on for a batch of Feed.take; hard: the decoder sees rounded latents."""
        seen = x
        if self.options.input_noise:
            noise = torch.randn(x.shape, generator=generator).to(self.device)
            seen = x + self.options.input_noise * noise
        with torch.autocast("cuda", torch.bfloat16, enabled=self.bf16):
            y = self.model.g_a(seen)
        y = y.float()
        noise = torch.rand(y.shape, generator=generator).to(self.device) - 0.5
        noisy = y + noise
        # Rounding has no gradient: pass it straight through to the encoder.
        y_hat = y + (torch.round(y) - y).detach() if hard else noisy
        if not self.objective.quantised:
            y_hat = y
        with torch.autocast("cuda", torch.bfloat16, enabled=self.bf16):
            x_hat = self.model.g_s(y_hat).float()
        error = self._error(x_hat, x)
        if present is not None:
            error = error * present
        # Divided before squaring: raw units may be far from 1.
        if self.bound.metric == "mae":
            distortion = (error / self.reference).abs().mean()
        else:
            distortion = (error / self.unit).square().mean()
        self._refuse_nan(distortion)
        rate = self.objective.loss(Batch(x, noisy, x_hat)) * (len(x) / x.numel())
        loss: Tensor = rate + math.exp(self.state.log_multiplier) * distortion
        return loss

    def _error(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """x_hat - x, but nothing where x lies at an end of its dtype's range and x_hat beyond it:
        there the decoder clips, and a network need not learn to stop just in time.
        """
        error = x_hat - x
        if self.limits is None:
            return error
        low, high = self.limits
        clipped = ((x_hat < low) & (x <= low)) | ((x_hat > high) & (x >= high))
        return error.masked_fill(clipped, 0.0)

    def _snapshot(self) -> dict[str, Any]:
        return {
            "tensors": {k: v.clone() for k, v in self.tensors().items()},
            "state": replace(self.state),
        }

    def _restore(self, snapshot: dict[str, Any]) -> None:
        self.load_tensors(snapshot["tensors"])
        self.state = snapshot["state"]

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of a checkpoint: weights, the best weights, Adam's moments."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        for i, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{i}.{k}": v for k, v in moments.items()}
        return tensors

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of tensors()."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "adam": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor.to(self.device)
        self.model.load_state_dict(parts["model"])
        self.best = parts["best"]
        optimizer = self.optimizer.state_dict()
        optimizer["state"] = {}
        for name, tensor in parts["adam"].items():
            i, _, key = name.partition(".")
            optimizer["state"].setdefault(int(i), {})[key] = tensor
        self.optimizer.load_state_dict(optimizer)


def _schedule(progress: float) -> float:
    """Cosine decay of the learning rate to a hundredth, after 2 % of warm-up."""
    warm = min(1.0, 0.1 + progress / 0.02)
    return warm * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0))))
