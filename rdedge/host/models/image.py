"""`linear` and `conv2d` for images: patch embedding to one low resolution, few plain layers.

Both start as a blocked transform: patches of p x p pixels through the Karhunen-Loeve transform of
the training patches (the DCT where there are too few of them to learn it), the strongest K kept.
`linear` is that alone, one convolution with a stride of p each way. `conv2d` adds on each side a
small residual network at the low resolution whose last layer starts at zero, so that it begins as
`linear` and has to earn its place; the decoder's is larger than the encoder's.

    x -+-> Conv p, stride p (K) -----------------------------+-> y
       +-> Conv p, stride p (W) -> ReLU -> blocks -> 1x1 (K) +
    y_hat -+-> transposed Conv p, stride p ------------------------------+-> x_hat
           +-> 1x1 (W) -> ReLU -> blocks -> transposed Conv p, stride p -+

A block is x + Conv 3x3 (ReLU (Conv 3x3 (x))). All layers are plain convolutions, so that TensorRT
and INT8 like them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rdedge.coding.quantiser import NEAREST, PREDICTED, SCALED
from rdedge.host.classes import Band, GroupLayout, Layout
from rdedge.host.models.base import Model
from rdedge.host.models.klt import dct, step_for
from rdedge.host.rates.priors import ClassPrior
from rdedge.types import Array

CLASSES = 8
# Blocks and channels of encoder and decoder by size.
SIZES = {"nano": (1, 64, 2, 128), "small": (2, 96, 3, 192), "base": (3, 160, 5, 256)}
# The KLT is trusted where there are so many patches for each of its dimensions.
_PATCHES_EACH = 20
_MOST_LATENTS = 256
_MULTIPLE = 8
_SEEN_PATCHES = 200_000


@dataclass(frozen=True)
class ImageConfig:
    """Sizes. shape: the usual one (H, W, C). Blocks of 0: no network, `linear`."""

    shape: tuple[int, ...]
    latents: int
    patch: int
    encoder_blocks: int = 0
    encoder_width: int = 0
    decoder_blocks: int = 0
    decoder_width: int = 0

    @property
    def kind(self) -> str:
        return "conv2d" if self.encoder_width else "linear"

    @property
    def _patches(self) -> int:
        return math.prod(-(-side // self.patch) for side in self.shape[:2])

    def _macs(self, blocks: int, width: int) -> int:
        """Of one half, for one patch."""
        pixels = self.patch**2 * self.shape[2]
        network = pixels * width + 2 * blocks * 9 * width**2 + width * self.latents
        return pixels * self.latents + network * (width > 0)

    @property
    def encoder_macs(self) -> int:
        return self._patches * self._macs(self.encoder_blocks, self.encoder_width)

    @property
    def decoder_macs(self) -> int:
        return self._patches * self._macs(self.decoder_blocks, self.decoder_width)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "kind": self.kind, "shape": list(self.shape)}

    @staticmethod
    def from_json(value: dict[str, Any]) -> ImageConfig:
        sizes = {k: v for k, v in value.items() if k in ImageConfig.__dataclass_fields__}
        return ImageConfig(**{**sizes, "shape": tuple(value["shape"])})


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        assert self.second.bias is not None
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.second(torch.relu(self.first(x)))
        return y


class _Half(nn.Module):
    """What both halves know: mean (C,) and scale (), raw units."""

    mean: Tensor
    scale: Tensor

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(config.shape[2]))
        self.register_buffer("scale", torch.ones(()))


class Encoder(_Half):
    """g_a: x (N, H, W, C), whole patches -> y (N, H / p, W / p, K)."""

    def __init__(self, config: ImageConfig) -> None:
        super().__init__(config)
        c, p, width = config.shape[2], config.patch, config.encoder_width
        self.linear = nn.Conv2d(c, config.latents, p, p, bias=False)
        self.deep = width > 0
        if self.deep:
            self.features = nn.Conv2d(c, width, p, p)
            self.blocks = nn.Sequential(*(_Block(width) for _ in range(config.encoder_blocks)))
            self.last = nn.Conv2d(width, config.latents, 1)
            _zero(self.last)

    def forward(self, x: Tensor) -> Tensor:
        x = ((x - self.mean) / self.scale).permute(0, 3, 1, 2)
        y = self.linear(x)
        if self.deep:
            y = y + self.last(torch.relu(self.blocks(torch.relu(self.features(x)))))
        channels_last: Tensor = y.permute(0, 2, 3, 1)
        return channels_last


class Decoder(_Half):
    """g_s: y_hat (N, H / p, W / p, K) -> x_hat (N, H, W, C)."""

    def __init__(self, config: ImageConfig) -> None:
        super().__init__(config)
        c, p, width = config.shape[2], config.patch, config.decoder_width
        self.linear = nn.ConvTranspose2d(config.latents, c, p, p, bias=False)
        self.deep = width > 0
        if self.deep:
            self.features = nn.Conv2d(config.latents, width, 1)
            self.blocks = nn.Sequential(*(_Block(width) for _ in range(config.decoder_blocks)))
            self.last = nn.ConvTranspose2d(width, c, p, p)
            _zero(self.last)

    def forward(self, y_hat: Tensor) -> Tensor:
        y_hat = y_hat.permute(0, 3, 1, 2)
        x_hat = self.linear(y_hat)
        if self.deep:
            x_hat = x_hat + self.last(torch.relu(self.blocks(torch.relu(self.features(y_hat)))))
        raw: Tensor = x_hat.permute(0, 2, 3, 1) * self.scale + self.mean
        return raw


def _zero(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


class ImageModel(Model):
    """A `linear` or a `conv2d`."""

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self.config: ImageConfig = config
        self.halves = (Encoder(config), Decoder(config))
        self.g_a, self.g_s = self.halves
        self.prior = ClassPrior(config.latents, CLASSES) if config.encoder_width else None
        self.layout = layout(config)

    @torch.no_grad()
    def start(self, transform: Transform) -> None:
        """Set the linear maps and the prior; the networks' last layers are zero already."""
        config = self.config
        c, p, k = config.shape[2], config.patch, config.latents
        scale = transform.scale
        for half in self.halves:
            half.mean.copy_(torch.from_numpy(transform.mean))
            half.scale.fill_(scale)
        basis = torch.from_numpy(transform.basis[:k]).float().reshape(k, p, p, c)
        weight = basis.permute(0, 3, 1, 2)
        self.halves[0].linear.weight.copy_(weight * (scale / transform.step))
        self.halves[1].linear.weight.copy_(weight * (transform.step / scale))
        if isinstance(self.prior, ClassPrior):
            self.prior.start(np.sqrt(transform.variances[:k]) / transform.step)


def layout(config: ImageConfig) -> Layout:
    """One group, a band for each latent; the first latent, a patch's mean, is predicted."""
    quantisers = np.full(config.latents, SCALED, np.uint8)
    quantisers[0] = NEAREST | PREDICTED
    group = GroupLayout(np.arange(config.latents), quantisers)
    return Layout(tuple(Band() for _ in range(config.latents)), (group,), (CLASSES,))


@dataclass(frozen=True)
class Transform:
    """A blocked transform fitted to images. mean: (C,); scale: of all pixels; basis: (D, p * p * C)
    orthonormal rows, strongest first; variances: (D,); step: of the quantiser, raw units.
    """

    mean: Array
    scale: float
    basis: Array
    variances: Array
    step: float

    @staticmethod
    def of(images: list[Array], patch: int, mse: float) -> Transform:
        """images: (1, H, W, C) each, with whole patches. mse: the distortion to aim at."""
        channels = images[0].shape[3]
        pixels = np.concatenate([x.reshape(-1, channels) for x in images]).astype(np.float64)
        mean = pixels.mean(axis=0)
        scale = float(np.sqrt(np.mean((pixels - mean) ** 2))) or 1.0
        patches = _some_patches(images, patch) - np.tile(mean, patch * patch)
        size = patches.shape[1]
        second = patches.T @ patches / len(patches)
        if len(patches) >= _PATCHES_EACH * size:
            variances, vectors = np.linalg.eigh(second)
            basis = vectors[:, ::-1].T
            # The strongest is the mean of a patch, or nearly: let it be positive, so that it is
            # alike from patch to patch and can be predicted.
            basis = basis * np.where(basis.sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
        else:
            colours = np.linalg.eigh(np.cov((pixels - mean).T).reshape(channels, channels))[1]
            basis = np.kron(np.kron(dct(patch), dct(patch)), colours[:, ::-1].T)
        variances = np.einsum("kd,de,ke->k", basis, second, basis)
        order = np.argsort(-variances, kind="stable")
        kept = np.maximum(variances[order], 0.0)
        step = step_for(kept, mse * size)
        return Transform(mean, scale, basis[order], kept, step)

    @property
    def latents(self) -> int:
        """How many are worth keeping: those above a quarter of the water level, in eights."""
        count = int((self.variances > self.step**2 / 12.0 / 4.0).sum())
        most = min(len(self.variances), _MOST_LATENTS)
        return max(1, min(most, -(-count // _MULTIPLE) * _MULTIPLE))


def _some_patches(images: list[Array], patch: int) -> Array:
    """Patches (n, p * p * C) float64, at most some 200,000 of them."""
    cut = []
    for x in images:
        _, h, w, c = x.shape
        grid = x[0].reshape(h // patch, patch, w // patch, patch, c).swapaxes(1, 2)
        cut.append(grid.reshape(-1, patch * patch * c))
    every = max(1, sum(map(len, cut)) // _SEEN_PATCHES)
    return np.concatenate([p[::every] for p in cut]).astype(np.float64)
