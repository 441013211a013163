"""`conv1d` for series: `linear` with a small convolutional network over time on each side.

Before the transform a light network may take out of a window what costs bits and is not missed;
after the inverse transform a heavier one may put back what was lost. Both add to what they get and
start at zero, so that `conv1d` begins as `linear` and has to earn its place:

    z -> z + Conv 1x1 (ReLU (Conv 5 (... z)))        z (N, channels, T), in quantiser steps

Channels that are coded on their lattice pass by. Convolutions over time mix all other channels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rdedge.host.models.base import Model
from rdedge.host.models.linear import (
    CLASSES,
    Decoder,
    Encoder,
    LinearConfig,
    LinearSeries,
    layout,
)
from rdedge.host.rates.priors import WindowPrior
from rdedge.types import Array

# Layers and channels of encoder and decoder by size.
SIZES = {"nano": (1, 16, 2, 32), "small": (2, 32, 3, 64), "base": (3, 48, 5, 96)}
_TAPS = 5
# Standard deviations beyond which a network sees no difference.
_FARTHEST = 6.0


@dataclass(frozen=True)
class Conv1dConfig(LinearConfig):
    """Sizes: those of a `linear`, and layers and channels of both networks."""

    kind: str = "conv1d"
    encoder_layers: int = 1
    encoder_width: int = 16
    decoder_layers: int = 1
    decoder_width: int = 16

    def _network_macs(self, layers: int, width: int) -> int:
        channels = len(self.mixed)
        first = channels * width * _TAPS
        return self.shape[0] * (first + (layers - 1) * width**2 * _TAPS + width * channels)

    @property
    def encoder_macs(self) -> int:
        linear = self.linear.encoder_macs
        return linear + self._network_macs(self.encoder_layers, self.encoder_width)

    @property
    def decoder_macs(self) -> int:
        linear = self.linear.decoder_macs
        return linear + self._network_macs(self.decoder_layers, self.decoder_width)

    @property
    def linear(self) -> LinearConfig:
        """The `linear` inside."""
        return LinearConfig(self.shape, self.exact, self.klt)

    def to_json(self) -> dict[str, Any]:
        names = ("encoder_layers", "encoder_width", "decoder_layers", "decoder_width")
        return super().to_json() | {name: getattr(self, name) for name in names}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Conv1dConfig:
        names = {field.name for field in fields(Conv1dConfig)}
        sizes = {k: v for k, v in value.items() if k in names}
        shape, exact = tuple(value["shape"]), tuple(value["exact"])
        return Conv1dConfig(**{**sizes, "shape": shape, "exact": exact})


def _network(channels: int, layers: int, width: int) -> nn.Sequential:
    last = nn.Conv1d(width, channels, 1)
    nn.init.zeros_(last.weight)
    assert last.bias is not None
    nn.init.zeros_(last.bias)
    parts: list[nn.Module] = []
    for i in range(layers):
        inputs = channels if i == 0 else width
        parts += [nn.Conv1d(inputs, width, _TAPS, padding=_TAPS // 2), nn.ReLU()]
    return nn.Sequential(*parts, last)


class _Filter(nn.Module):
    """z: (N, channels, T), without its mean in the window -> the same and what the network adds.

    The network sees it in standard deviations and never beyond some of them.
    """

    spread: Tensor

    def __init__(self, channels: int, layers: int, width: int) -> None:
        super().__init__()
        self.network = _network(channels, layers, width)
        self.register_buffer("spread", torch.ones(channels, 1))

    def forward(self, z: Tensor) -> Tensor:
        seen = (z / self.spread).clamp(-_FARTHEST, _FARTHEST)
        added: Tensor = z + self.network(seen)
        return added


class _ConvEncoder(Encoder):
    def __init__(self, config: Conv1dConfig) -> None:
        super().__init__(config)
        self.filter = _Filter(len(config.mixed), config.encoder_layers, config.encoder_width)

    def filtered(self, z: Tensor) -> Tensor:
        """z: (N, channels, T)."""
        added: Tensor = self.filter(z)
        return added


class _ConvDecoder(Decoder):
    def __init__(self, config: Conv1dConfig) -> None:
        super().__init__(config)
        self.filter = _Filter(len(config.mixed), config.decoder_layers, config.decoder_width)

    def filtered(self, z: Tensor) -> Tensor:
        """z: (N, channels, T)."""
        level = z.mean(dim=2, keepdim=True)
        added: Tensor = self.filter(z - level) + level
        return added


class Conv1d(Model):
    """A `conv1d`; start() sets it to a `linear`."""

    def __init__(self, config: Conv1dConfig) -> None:
        super().__init__()
        self.config: Conv1dConfig = config
        self.halves = (_ConvEncoder(config), _ConvDecoder(config))
        self.g_a, self.g_s = self.halves
        self.prior = WindowPrior(len(config.mixed), config.shape[0], CLASSES)
        self.layout = layout(config)

    @torch.no_grad()
    def start(self, linear: LinearSeries, x: Array) -> None:
        """Take over the transform of a `linear` of the same sizes; x: (N, T, C), without NaN."""
        for half, other in zip(self.halves, linear.halves, strict=True):
            half.load_state_dict(other.state_dict(), strict=False)
        mixed = list(self.config.mixed)
        mean, unit = linear.halves[0].mean.numpy(), linear.halves[0].unit.numpy()
        z = (x[:, :, mixed] - mean) / unit
        # The networks see the channels before they are mixed; a quiet one is not blown up.
        within = (z - z.mean(axis=1, keepdims=True)).std(axis=(0, 1), dtype=np.float64)
        spread = torch.from_numpy(np.maximum(within, 0.5)).float()
        for half in self.halves:
            half.filter.spread.copy_(spread[:, None])
        y = linear.g_a(torch.from_numpy(np.ascontiguousarray(x, np.float32)))
        assert isinstance(self.prior, WindowPrior)
        self.prior.start(y[:, : len(mixed) * x.shape[1]].numpy())
