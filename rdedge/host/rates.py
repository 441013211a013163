"""Rate terms: latents -> bits, estimated."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rdedge.types import Array

# Below this a symbol's probability is not trusted: 2^-16 is what one entry of a table costs.
_MIN_PROBABILITY = 2.0**-24


class Prior(nn.Module):
    """Estimates what latents cost."""

    def bits(self, y: Tensor) -> Tensor:
        """Estimated bits of each sample. y: (N, ..., L), noisy or rounded latents; returns (N,)."""
        raise NotImplementedError


class FactorizedPrior(Prior):
    """A learned distribution for each latent, independent of the others: a mixture of K logistics.

    With uniform noise of width one in place of rounding, -log2 of the mixture's mass in the unit
    interval around y is an upper bound on the rate of the rounded latent under the model
    (Balle, Laparra, Simoncelli, arXiv 1611.01704, eq. 11; the mixture in place of its piecewise
    density).

    latents: C. scale: (C,) float, the spread that latents start with, in quantiser steps.
    """

    def __init__(self, latents: int, scale: Tensor, components: int = 3) -> None:
        super().__init__()
        shape = (latents, components)
        start = torch.linspace(-1.0, 1.0, components).expand(shape) * scale[:, None]
        self.mean = nn.Parameter(start.clone())
        self.log_scale = nn.Parameter(
            (scale.clamp_min(0.1).log() - 0.5)[:, None].repeat(1, components)
        )
        self.logit = nn.Parameter(torch.zeros(shape))

    def probability(self, y: Tensor, width: float = 1.0) -> Tensor:
        """The mass of [y - width / 2, y + width / 2]. y: (..., C) float32; returns (..., C)."""
        y = y.unsqueeze(-1)
        inverse = torch.exp(-self.log_scale)
        z = (y - self.mean) * inverse
        half = 0.5 * width * inverse
        # Both cumulative values are taken in the tail where they are small, or they would cancel.
        sign = 1.0 - 2.0 * (z > 0).float()
        mass = torch.abs(torch.sigmoid(sign * (z + half)) - torch.sigmoid(sign * (z - half)))
        return (torch.softmax(self.logit, -1) * mass).sum(-1)

    def bits(self, y: Tensor) -> Tensor:
        """Estimated bits of each sample. y: (N, C), noisy or rounded latents; returns (N,)."""
        return -torch.log2(self.probability(y).clamp_min(_MIN_PROBABILITY)).sum(-1)

    @torch.no_grad()
    def mass_around(self, centres: Array, half: int, step: float) -> Array:
        """The mass of the symbols within half of a centre, of a quantiser with this step.

        centres: (C,) int64, one for each latent; returns (C, 2 * half + 1) float64.
        """
        offsets = torch.arange(-half, half + 1, dtype=torch.float64)
        symbols = (torch.from_numpy(centres)[None, :] + offsets[:, None]) * step
        y = symbols.float().to(self.mean.device)
        result: Array = self.probability(y, step).T.double().cpu().numpy()
        return result
