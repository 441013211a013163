"""`mlp` for vectors.

Both halves are a linear map plus a small network that starts at zero. The linear
maps start as the Karhunen-Loeve transform of the training data with the step that reverse
water-filling asks for (T. Berger, Rate Distortion Theory, 1971), so that training starts from the
best linear codec and the networks have to earn their place:

    x -> (x - mean) / scale -+-> W_a ---------------------------------+-> y -> round -> y_hat
                             +-> Linear ReLU Linear ReLU Linear (zero) +
    y_hat -+-> W_s ---------------------------------+-> x_hat * scale + mean
           +-> Linear ReLU Linear ReLU Linear (zero) +
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rdedge.errors import ConfigError, TrainingError
from rdedge.host.models.base import Model
from rdedge.host.models.klt import klt, step_for
from rdedge.host.rates.priors import FactorizedPrior
from rdedge.types import Array

# Unless asked, no more latents than this: on MNIST at 24 dB, 64 needed a fifth fewer bits than 128.
_MOST_LATENTS = 64


@dataclass(frozen=True)
class MlpConfig:
    """Sizes of an `mlp`. shape: of a sample; latents: C; hidden units of both halves."""

    shape: tuple[int, ...]
    latents: int
    encoder_hidden: int
    decoder_hidden: int
    kind: str = "mlp"
    patch: int = 1

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape))

    def to_json(self) -> dict[str, Any]:
        sizes = ("latents", "encoder_hidden", "decoder_hidden")
        return {
            "kind": self.kind,
            "shape": list(self.shape),
            **{k: getattr(self, k) for k in sizes},
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> MlpConfig:
        return MlpConfig(
            tuple(value["shape"]),
            value["latents"],
            value["encoder_hidden"],
            value["decoder_hidden"],
        )

    @property
    def encoder_macs(self) -> int:
        """Multiply-adds to encode one sample."""
        d, h, c = self.elements, self.encoder_hidden, self.latents
        return d * c + d * h + h * h + h * c

    @property
    def decoder_macs(self) -> int:
        """Multiply-adds to decode one sample."""
        d, h, c = self.elements, self.decoder_hidden, self.latents
        return c * d + c * h + h * h + h * d


def _network(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, outputs),
    )


class Encoder(nn.Module):
    """g_a: x (N, *shape) float32 in raw units -> y (N, C) float32, in quantiser steps."""

    mean: Tensor
    scale: Tensor

    def __init__(self, config: MlpConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(config.elements))
        self.register_buffer("scale", torch.ones(()))
        self.linear = nn.Linear(config.elements, config.latents, bias=False)
        self.network = _network(config.elements, config.encoder_hidden, config.latents)

    def forward(self, x: Tensor) -> Tensor:
        x = (x.flatten(1) - self.mean) / self.scale
        y: Tensor = self.linear(x) + self.network(x)
        return y


class Decoder(nn.Module):
    """g_s: y_hat (N, C) float32, in quantiser steps -> x_hat (N, *shape) float32 in raw units."""

    mean: Tensor
    scale: Tensor

    def __init__(self, config: MlpConfig) -> None:
        super().__init__()
        self.shape = config.shape
        self.register_buffer("mean", torch.zeros(config.elements))
        self.register_buffer("scale", torch.ones(()))
        self.linear = nn.Linear(config.latents, config.elements, bias=False)
        self.network = _network(config.latents, config.decoder_hidden, config.elements)

    def forward(self, y_hat: Tensor) -> Tensor:
        x_hat: Tensor = self.linear(y_hat) + self.network(y_hat)
        return (x_hat * self.scale + self.mean).reshape(-1, *self.shape)


class Mlp(Model):
    """Analysis, entropy model and synthesis of one codec of vectors."""

    def __init__(self, config: MlpConfig) -> None:
        super().__init__()
        self.config = config
        self.halves = (Encoder(config), Decoder(config))
        self.g_a, self.g_s = self.halves
        self.layout = None
        self.prior = FactorizedPrior(config.latents, torch.ones(config.latents))


def auto_config(x: Array, mse: float, *, latents: int | None, width: float) -> MlpConfig:
    """Sizes for training data x: (N, *shape) at this mean squared error in raw units.

    As many latents as components rise above half the water level, at most 64; hidden units after
    the dimension, times width. Raises TrainingError where the data does not vary.
    """
    flat = x.reshape(len(x), -1)
    d = flat.shape[1]
    _, variances, _ = klt(flat)
    if not variances.max(initial=0.0) > 0.0:
        raise TrainingError(
            "all training samples are the same",
            expected="samples that differ",
            do="check the file: there is nothing to learn, the mean says it all",
        )
    level = step_for(variances, mse * d) ** 2 / 12.0
    if latents is None:
        latents = int(np.clip((variances > 0.5 * level).sum(), 1, min(d, _MOST_LATENTS)))
    most = min(d, len(x))
    if not isinstance(latents, int) or not 1 <= latents <= most:
        raise ConfigError(
            f"{latents!r} latents",
            expected=f"1 to {most}: no more than elements or training samples",
        )
    hidden = int(np.clip(2 ** round(math.log2(d)), 32, 512) * width)
    return MlpConfig(x.shape[1:], latents, max(4, hidden), max(8, 2 * hidden))


@torch.no_grad()
def start_from_klt(model: Mlp, x: Array, mse: float) -> None:
    """Set the linear maps of model to the KLT of x: (N, *shape) at this mean squared error in raw
    units, the networks' last layers to zero and the prior to the spread that follows.
    """
    config = model.config
    assert isinstance(config, MlpConfig)
    flat = x.reshape(len(x), -1)
    mean, variances, basis = klt(flat, config.latents)
    scale = math.sqrt(float(flat.astype(np.float64).var(axis=0).mean()))
    # What the kept components may add to the error; where those left out have spent it all already,
    # the networks must win it back, and a quarter is a place to start from.
    total = mse * config.elements
    step = step_for(variances, max(total - _lost(flat, variances), 0.25 * total))
    for half in model.halves:
        half.mean.copy_(torch.from_numpy(mean))
        half.scale.fill_(scale)
        last = half.network[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    model.halves[0].linear.weight.copy_(torch.from_numpy(basis * (scale / step)))
    model.halves[1].linear.weight.copy_(torch.from_numpy(basis.T * (step / scale)))
    spread = torch.from_numpy(np.sqrt(variances) / step).float()
    model.prior = FactorizedPrior(config.latents, spread).to(model.halves[0].mean.device)


def _lost(flat: Array, variances: Array) -> float:
    """The variance that the kept components leave out, summed over the elements."""
    return max(0.0, float(flat.astype(np.float64).var(axis=0).sum() - variances.sum()))
