"""Learned entropy models: latents -> bits, estimated from above."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from rdedge.host.rates.base import Batch, Bounds, RateTerm
from rdedge.types import Array

# Below this a symbol's probability is not trusted: 2^-16 is what one entry of a table costs.
_MIN_PROBABILITY = 2.0**-24


class Prior(RateTerm):
    """A distribution of latents, learned: what it takes to code them with it.

    An upper bound of the rate: the cross-entropy is never below the entropy.
    """

    name = "entropy"
    bounds: Bounds = "upper"

    def estimate(self, batch: Batch) -> Tensor:
        return self.bits(batch.y).mean()

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


class ClassPrior(Prior):
    """Rows of latents that come in S classes of loudness, which the encoder names: what a row costs
    is -log2 of the mixture over the classes of the product over its latents, each a logistic with
    a scale of its own for each class. Latent 0 of an image is coded as what is left of it after
    prediction from its neighbours (FORMAT.md 4.6), so that is what counts here.

    latents: K. classes: S.
    """

    def __init__(self, latents: int, classes: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(latents))
        self.log_scale = nn.Parameter(torch.zeros(classes, latents))
        self.logit = nn.Parameter(torch.zeros(classes))

    @torch.no_grad()
    def start(self, spread: Array) -> None:
        """spread: (K,), of the latents, in quantiser steps."""
        logs = torch.from_numpy(np.log(np.maximum(spread, 1e-2))).float() - 0.6
        classes = len(self.logit)
        loudness = torch.linspace(-1.5, 1.0, classes) if classes > 1 else torch.zeros(1)
        self.log_scale.copy_((logs[None, :] + loudness[:, None]).clamp_min(-3.0))

    def bits(self, y: Tensor) -> Tensor:
        """Estimated bits of each image. y: (N, H, W, K), noisy or rounded latents; returns (N,)."""
        first = predicted(y[..., 0])
        rows = torch.cat([first[..., None], y[..., 1:]], dim=-1)
        logs = torch.log2(_mass((rows - self.mean).unsqueeze(-2), self.log_scale)).sum(-1)
        weights = torch.log2(torch.softmax(self.logit, 0))
        nats = torch.logsumexp((logs + weights) * math.log(2.0), dim=-1)
        bits: Tensor = -nats.sum(dim=(1, 2)) / math.log(2.0)
        return bits


def predicted(y: Tensor) -> Tensor:
    """y: (N, H, W) less its prediction from left, above and above-left: the median of left, above
    and left + above - above-left (M. Weinberger, G. Seroussi, G. Sapiro, LOCO-I, 1996).
    """
    padded = nn.functional.pad(y, (1, 0, 1, 0))
    left, above, corner = padded[:, 1:, :-1], padded[:, :-1, 1:], padded[:, :-1, :-1]
    low, high = torch.minimum(left, above), torch.maximum(left, above)
    guess = torch.minimum(torch.maximum(left + above - corner, low), high)
    # In the first row and column only one neighbour is there.
    guess = torch.cat([left[:, :1], guess[:, 1:]], dim=1)
    guess = torch.cat([above[:, :, :1], guess[:, :, 1:]], dim=2)
    return y - guess


class WindowPrior(Prior):
    """Windows of a series: each channel's T coefficients come in one of S classes of loudness, as
    for ClassPrior, the classes being those of all channels; the first coefficient, the mean, has a
    logistic of its own for each channel.

    channels: C. time: T. classes: S.
    """

    def __init__(self, channels: int, time: int, classes: int) -> None:
        super().__init__()
        self.channels, self.time = channels, time
        self.log_scale = nn.Parameter(torch.zeros(classes, max(1, time - 1)))
        self.logit = nn.Parameter(torch.zeros(channels, classes))
        self.level = nn.Parameter(torch.zeros(channels))
        self.log_level = nn.Parameter(torch.zeros(channels))

    @torch.no_grad()
    def start(self, y: Array) -> None:
        """y: (N, C * T) latents that training starts with."""
        rows = torch.from_numpy(y).reshape(-1, self.channels, self.time)
        self.level.copy_(rows[..., 0].median(dim=0).values)
        self.log_level.copy_(rows[..., 0].std(dim=0).clamp_min(0.3).log() - 0.6)
        if self.time > 1:
            # Quantiles of the mean size over all channels, at each frequency.
            sizes = rows[..., 1:].abs().reshape(-1, self.time - 1)
            loudness = sizes.mean(dim=1).argsort()
            for s, part in enumerate(loudness.chunk(len(self.log_scale))):
                self.log_scale[s] = sizes[part].mean(dim=0).clamp_min(0.05).log() - 0.4

    def bits(self, y: Tensor) -> Tensor:
        """Estimated bits of each window. y: (N, L), of which the first C * T count."""
        rows = y[:, : self.channels * self.time].reshape(-1, self.channels, self.time)
        first = torch.log2(_mass(rows[..., 0] - self.level, self.log_level)).sum(-1)
        logs = torch.log2(_mass(rows[..., None, 1:], self.log_scale)).sum(-1)
        weights = torch.log2(torch.softmax(self.logit, -1))
        nats = torch.logsumexp((logs + weights) * math.log(2.0), dim=-1)
        bits: Tensor = -first - nats.sum(dim=1) / math.log(2.0)
        return bits


def _mass(away: Tensor, log_scale: Tensor) -> Tensor:
    """Of a logistic of this scale in the unit interval around a point so far from its centre."""
    inverse = torch.exp(-log_scale)
    # Both cumulative values in the tail where they are small, or they would cancel.
    away = away.abs()
    mass = torch.sigmoid((0.5 - away) * inverse) - torch.sigmoid((-0.5 - away) * inverse)
    return mass.clamp_min(_MIN_PROBABILITY)
