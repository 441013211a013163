"""`overcomplete` and `overcomplete-tied` for vectors: more units than elements, soft rectified
linear, as in arXiv 1312.7381.

    x -> (x - mean) / scale -> W -> + b -> softplus -> y -> round -> y_hat -> V -> * scale + mean

Tied: V is the transpose of W up to one factor. Since softplus(u) - softplus(-u) = u, a pair of
units with opposite weights is one linear latent; so training starts from the Karhunen-Loeve
transform here too, in pairs, with the other units small and at random.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rdedge.errors import ConfigError, TrainingError
from rdedge.host.models.base import Model
from rdedge.host.models.klt import klt, step_for
from rdedge.host.rates.priors import FactorizedPrior
from rdedge.types import Array

# Sharpness of the softplus, per quantiser step: softplus(u) = log(1 + exp(beta u)) / beta. At 1,
# half of all units would round to 1 where nothing is to be said.
_BETA = 4.0
# Units for each element, unless asked; of the start, at most so many components in pairs.
_UNITS, _MOST_COMPONENTS = 2, 64
_OTHERS = 0.1


@dataclass(frozen=True)
class OvercompleteConfig:
    """Sizes. shape: of a sample; latents: units."""

    shape: tuple[int, ...]
    latents: int
    tied: bool
    patch: int = 1

    @property
    def kind(self) -> str:
        return "overcomplete-tied" if self.tied else "overcomplete"

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape))

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "shape": list(self.shape), "latents": self.latents}

    @staticmethod
    def from_json(value: dict[str, Any]) -> OvercompleteConfig:
        tied = value["kind"] == "overcomplete-tied"
        return OvercompleteConfig(tuple(value["shape"]), value["latents"], tied)

    @property
    def encoder_macs(self) -> int:
        return self.elements * self.latents

    @property
    def decoder_macs(self) -> int:
        return self.elements * self.latents


class Encoder(nn.Module):
    """g_a: x (N, *shape) float32 in raw units -> y (N, K) float32, at least 0, in quantiser steps.

    gain: from the unit rows of weight to steps.
    """

    mean: Tensor
    scale: Tensor
    gain: Tensor

    def __init__(self, config: OvercompleteConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(config.elements))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("gain", torch.ones(()))
        self.weight = nn.Parameter(torch.zeros(config.latents, config.elements))
        self.bias = nn.Parameter(torch.zeros(config.latents))

    def forward(self, x: Tensor) -> Tensor:
        x = (x.flatten(1) - self.mean) / self.scale
        u = functional.linear(x, self.weight) * self.gain + self.bias
        # softplus(u) = relu(u) + log(1 + exp(-beta |u|)) / beta: no overflow at any size.
        return torch.relu(u) + torch.log1p(torch.exp(-_BETA * u.abs())) / _BETA


class Decoder(nn.Module):
    """g_s: y_hat (N, K) float32, in quantiser steps -> x_hat (N, *shape) float32 in raw units.

    encoder: whose weights it shares; None: it has its own.
    """

    mean: Tensor
    scale: Tensor
    gain: Tensor

    def __init__(self, config: OvercompleteConfig, encoder: Encoder | None) -> None:
        super().__init__()
        self.shape = config.shape
        self.register_buffer("mean", torch.zeros(config.elements))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("gain", torch.ones(()))
        if encoder is None:
            self.weight = nn.Parameter(torch.zeros(config.latents, config.elements))
        else:
            self.weight = encoder.weight
        self.bias = nn.Parameter(torch.zeros(config.elements))

    def forward(self, y_hat: Tensor) -> Tensor:
        x_hat = (y_hat / self.gain) @ self.weight + self.bias
        return (x_hat * self.scale + self.mean).reshape(-1, *self.shape)


class Overcomplete(Model):
    """Analysis, entropy model and synthesis."""

    def __init__(self, config: OvercompleteConfig) -> None:
        super().__init__()
        self.config = config
        encoder = Encoder(config)
        self.halves = (encoder, Decoder(config, encoder if config.tied else None))
        self.g_a, self.g_s = self.halves
        self.layout = None
        self.prior = FactorizedPrior(config.latents, torch.ones(config.latents))


def config_for(x: Array, *, latents: int | None, width: float, tied: bool) -> OvercompleteConfig:
    """Sizes for training data x: (N, *shape): twice as many units as elements, times width."""
    d = int(np.prod(x.shape[1:]))
    units = max(2, round(_UNITS * d * width)) if latents is None else latents
    if not 2 <= units <= 1 << 16:
        raise ConfigError(f"{units} units", expected="2 to 65,536")
    if not np.ptp(x.reshape(len(x), -1), axis=0).any():
        raise TrainingError(
            "all training samples are the same",
            expected="samples that differ",
            do="check the file: there is nothing to learn, the mean says it all",
        )
    return OvercompleteConfig(x.shape[1:], units, tied)


@torch.no_grad()
def start_in_pairs(model: Overcomplete, x: Array, mse: float) -> None:
    """Set model to the KLT of x: (N, *shape) at this mean squared error in raw units, a pair of
    units for each component, as many as there is room for, at most 64.
    """
    config = model.config
    assert isinstance(config, OvercompleteConfig)
    flat = x.reshape(len(x), -1)
    most = min(config.latents // 2, _MOST_COMPONENTS, *flat.shape)
    mean, variances, basis = klt(flat, max(1, most))
    total = mse * config.elements
    everything = float(flat.astype(np.float64).var(axis=0).sum())
    lost = max(0.0, everything - float(variances.sum()))
    step = step_for(variances, max(total - lost, 0.25 * total))
    scale = math.sqrt(everything / config.elements)
    pairs = torch.from_numpy(np.concatenate([basis, -basis])).float()
    encoder, decoder = model.halves
    others = torch.randn(config.latents - len(pairs), config.elements)
    others *= _OTHERS / math.sqrt(config.elements)
    encoder.weight.copy_(torch.cat([pairs, others]))
    if not config.tied:
        decoder.weight.copy_(torch.cat([pairs, torch.zeros_like(others)]))
    for half in model.halves:
        half.mean.copy_(torch.from_numpy(mean))
        half.scale.fill_(scale)
        half.gain.fill_(scale / step)
    if config.tied and len(others):
        # What the others say at the mean is taken back.
        resting = functional.softplus(torch.zeros(1), _BETA) / (scale / step)
        decoder.bias.copy_(-(resting * others.sum(dim=0)))
    spread = torch.from_numpy(np.sqrt(variances) / step).float()
    rest = torch.full((len(others),), 0.3)
    spreads = torch.cat([spread, spread, rest])
    model.prior = FactorizedPrior(config.latents, spreads).to(encoder.mean.device)
