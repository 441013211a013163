"""`palette` for pictures of few grey values: a pixel is the nearest of K values.

The encoder's graph holds no network: it says where a pixel lies between the values. The decoder's
gives each number its value, and adds what a small convolutional network makes of the numbers
around it: the grey of a border follows from its shape. The network starts at zero. What codes the
numbers is learned too (host/palettes.py).

    x -> where it lies between the values, 0 to K - 1 -> y
    y_hat -+-> the value ------------------------------------------+-> x_hat
           +-> Conv 5x5 (W) -> ReLU -> Conv 3x3 (W) -> ReLU -> 3x3 +

Between the values means sums of clipped straight lines, which every backend has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from rdedge.host.models.base import Model

# Pixels looked at, units of the two layers, and channels of the decoder, by size.
SIZES = {"nano": (96, 40, 24, 12), "small": (160, 64, 32, 12), "base": (256, 64, 64, 24)}
# A pixel beyond the first or the last value still rounds to it.
_BEYOND = 0.49


@dataclass(frozen=True)
class PaletteConfig:
    """Sizes. shape: (H, W, 1) of an image, or (H, W) of a vector that is a picture. values: the
    grey values, rising, raw units. inputs, hidden: of the network that codes a pixel: how many
    pixels before it that looks at, units of its two layers. width: channels of the decoder.
    """

    shape: tuple[int, ...]
    values: tuple[float, ...]
    inputs: int
    hidden: tuple[int, int]
    width: int
    kind: str = "palette"

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

    @property
    def latents(self) -> int:
        return 1 if self.is_image else math.prod(self.shape)

    @property
    def patch(self) -> int:
        return 1

    @property
    def encoder_macs(self) -> int:
        """Of the graph and of the network, were no pixel's neighbours all alike."""
        first, second = self.hidden
        decisions = len(self.values) - 1
        network = self.inputs * first + first * second + second * decisions
        return math.prod(self.shape) * (decisions + network)

    @property
    def decoder_macs(self) -> int:
        network = 25 * self.width + 9 * self.width**2 + 9 * self.width
        return self.encoder_macs + math.prod(self.shape) * network

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "shape": list(self.shape),
            "values": list(self.values),
            "inputs": self.inputs,
            "hidden": list(self.hidden),
            "width": self.width,
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> PaletteConfig:
        values = tuple(float(v) for v in value["values"])
        if len(values) < 2 or any(b <= a for a, b in pairwise(values)):
            raise ValueError(f"values {values}")
        first, second = (int(units) for units in value["hidden"])
        inputs, width = int(value["inputs"]), int(value["width"])
        return PaletteConfig(tuple(value["shape"]), values, inputs, (first, second), width)


class _Encoder(nn.Module):
    """g_a: x (N, *shape) -> y: of images (N, H, W, 1), of vectors (N, H * W)."""

    values: Tensor

    def __init__(self, config: PaletteConfig) -> None:
        super().__init__()
        self.register_buffer("values", torch.tensor(config.values, dtype=torch.float32))
        self.flat = not config.is_image
        self.last = len(config.values) - 2

    def forward(self, x: Tensor) -> Tensor:
        if self.flat:
            x = x.flatten(1)
        parts = []
        for k in range(self.last + 1):
            width = self.values[k + 1] - self.values[k]
            low = -_BEYOND if k == 0 else 0.0
            high = 1.0 + _BEYOND if k == self.last else 1.0
            parts.append(torch.clamp((x - self.values[k]) / width, low, high))
        y = parts[0]
        for part in parts[1:]:
            y = y + part
        return y


class _Decoder(nn.Module):
    """g_s: the other way."""

    values: Tensor

    def __init__(self, config: PaletteConfig) -> None:
        super().__init__()
        self.register_buffer("values", torch.tensor(config.values, dtype=torch.float32))
        self.shape = () if config.is_image else config.shape
        self.first = nn.Conv2d(1, config.width, 5, padding=2)
        self.second = nn.Conv2d(config.width, config.width, 3, padding=1)
        self.last = nn.Conv2d(config.width, 1, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, y_hat: Tensor) -> Tensor:
        if self.shape:
            y_hat = y_hat.reshape(-1, *self.shape, 1)
        widths = self.values[1:] - self.values[:-1]
        x_hat = self.values[0] + widths[0] * torch.clamp(y_hat, 0.0, 1.0)
        for k in range(1, len(self.values) - 1):
            x_hat = x_hat + widths[k] * torch.clamp(y_hat - k, 0.0, 1.0)
        around = y_hat.permute(0, 3, 1, 2)
        around = torch.relu(self.second(torch.relu(self.first(around))))
        span = self.values[-1] - self.values[0]
        x_hat = x_hat + span * self.last(around).permute(0, 2, 3, 1)
        raw: Tensor = x_hat.reshape(-1, *self.shape) if self.shape else x_hat
        return raw


class PaletteCodec(Model):
    """A `palette`."""

    def __init__(self, config: PaletteConfig) -> None:
        super().__init__()
        self.config: PaletteConfig = config
        self.g_a, self.g_s = _Encoder(config), _Decoder(config)
        self.prior = None
        self.layout = None
