"""Teaches the decoder of a `palette` the greys that the numbers of pixels tell of.

The network of the decoder (models/palette.py) is trained on crops of training pictures, to the
least squared error between them and what comes back of their numbers.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rdedge.host.models.palette import PaletteCodec
from rdedge.types import Array

_RATE = 3e-3
# Pixels of a batch, and of a crop's side.
_BATCH_PIXELS, _CROP = 1 << 15, 64


def restore(
    model: PaletteCodec, x: list[Array], pictures: list[Array], steps: int, seed: int
) -> None:
    """Train in place. x: samples (n, *shape) in raw units; pictures: their symbols (n, H, W)."""
    rng = np.random.default_rng(seed)
    network = [p for p in model.g_s.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(network, lr=_RATE)
    span = model.config.values[-1] - model.config.values[0]
    model.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * (1.0 - step / steps)
        wanted, symbols = _batch(model, x, pictures, rng)
        loss = ((model.g_s(symbols).reshape(wanted.shape) - wanted) / span).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()


def _batch(
    model: PaletteCodec, x: list[Array], pictures: list[Array], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Samples and what the decoder is fed with for them."""
    if not model.config.is_image:
        some = rng.integers(0, len(x[0]), max(1, _BATCH_PIXELS // pictures[0][0].size))
        symbols = pictures[0][some].reshape(len(some), -1).astype(np.float32)
        return torch.from_numpy(x[0][some].astype(np.float32)), torch.from_numpy(symbols)
    height = min(_CROP, min(p.shape[1] for p in pictures))
    width = min(_CROP, min(p.shape[2] for p in pictures))
    cut: list[Array] = []
    wanted: list[Array] = []
    for _ in range(max(1, _BATCH_PIXELS // (height * width))):
        i = int(rng.integers(len(pictures)))
        n = int(rng.integers(len(pictures[i])))
        y = int(rng.integers(pictures[i].shape[1] - height + 1))
        left = int(rng.integers(pictures[i].shape[2] - width + 1))
        place = (n, slice(y, y + height), slice(left, left + width))
        cut.append(pictures[i][place].astype(np.float32))
        wanted.append(x[i][..., 0][place].astype(np.float32))
    symbols = np.stack(cut)[..., None]
    return torch.from_numpy(np.stack(wanted)[..., None]), torch.from_numpy(symbols)
