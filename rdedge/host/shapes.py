"""The distributions that contexts choose from (FORMAT.md 4.8): a few levels of three parameters.

A latent is taken to follow a two-sided distribution around its mean: the base-2 logarithm of its
width, the weight of its tail (a Gaussian, a Laplace distribution, one with heavier tails), and how
much likelier zero is than that, in logits.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from rdedge.coding.context import PHASES
from rdedge.types import Array

# Levels: the logarithm of the width from -3 in quarters, three tails, zero from -3 by 3/4 logits.
SIZES = (37, 3, 9)
NARROWEST, WIDTHS = -3.0, 4.0
LEAST_ZERO, ZEROS = -3.0, 4.0 / 3.0
# Symbols up to here have an entry of a table; how many training symbols the fitted shape is worth.
REACH, _SHAPE_WEIGHT = 255, 60.0
_FLOOR = 2e-4


def mass(k: Tensor, away: Tensor, parameters: Tensor, moves: Tensor | None = None) -> Tensor:
    """The probability of symbols as they are coded, k (n,), under parameters (n, 3).

    away: (n,) how far means are from zero, in quarters of a step; where a symbol moves a trellis,
    (n,) bool, which quantiser it has.
    """
    width = torch.exp2(parameters[:, 0].clamp(NARROWEST, NARROWEST + (SIZES[0] - 1) / WIDTHS))
    tail = parameters[:, 1].clamp(0.0, 2.0)
    # What is coded as 0 stands for zero only where the mean is near it.
    zero = torch.where(away < PHASES, parameters[:, 2].clamp(LEAST_ZERO, -LEAST_ZERO), 0.0)
    of_zero = _cell(torch.zeros_like(k), away, moves)
    at_zero = _between(*of_zero, width, tail).clamp(1e-5, 1 - 1e-5)
    plain = _between(*_cell(k, away, moves), width, tail)
    lifted = torch.sigmoid(torch.logit(at_zero) + zero)
    found = torch.where(k == 0, lifted, plain * (1.0 - lifted) / (1.0 - at_zero))
    return found * (1.0 - _FLOOR) + 0.25 * _FLOOR / torch.square(1.0 + k.abs().float())


def _cell(k: Tensor, away: Tensor, moves: Tensor | None) -> tuple[Tensor, Tensor]:
    """From where to where what is coded as k (n,) lies."""
    off = k.float() - (away % PHASES).float() / PHASES
    if moves is None:
        return off - 0.5, off + 0.5
    # Even multiples of the step, or odd ones and zero; mirrored, which changes no probability.
    m = k.abs().float()
    even, zero = away == 0, k == 0
    low = torch.where(even, 2 * m - 1, torch.where(zero, -0.5, (2 * m - 2).clamp_min(0.5)))
    high = torch.where(even, 2 * m + 1, torch.where(zero, 0.5, 2 * m))
    return torch.where(moves, low, off - 0.5), torch.where(moves, high, off + 0.5)


def _between(low: Tensor, high: Tensor, width: Tensor, tail: Tensor) -> Tensor:
    """The probability between, of one side at a time, so that small ones stay exact."""
    near, far = torch.minimum(low.abs(), high.abs()), torch.maximum(low.abs(), high.abs())
    apart = _beyond(near, width, tail) - _beyond(far, width, tail)
    around = 1.0 - _beyond(near, width, tail) - _beyond(far, width, tail)
    return torch.where(low * high < 0, around, apart)


def _beyond(x: Tensor, width: Tensor, tail: Tensor) -> Tensor:
    """The probability of more than x, x at least 0."""
    t = x / width
    gauss = 0.5 * torch.erfc(t / math.sqrt(2.0))
    laplace = 0.5 * torch.exp(-math.sqrt(2.0) * t)
    heavy = 0.375 * torch.exp(-1.6 * math.sqrt(2.0) * t)
    heavy = heavy + 0.125 * torch.exp(-0.4 * math.sqrt(2.0) * t)
    light, broad = (1.0 - tail).clamp(0.0, 1.0), (tail - 1.0).clamp(0.0, 1.0)
    return light * gauss + (1.0 - light - broad) * laplace + broad * heavy


def blended(counts: Array, entry: int, trellis: bool = False) -> tuple[Array, int, float]:
    """Counts (2 REACH + 3,), the first and the last of all beyond, and the fitted shape: mass,
    minimum and the share beyond.
    """
    *level, phase = (int(n) for n in np.unravel_index(entry, (*SIZES, 2 * PHASES)))
    parameters = (NARROWEST + level[0] / WIDTHS, level[1], LEAST_ZERO + level[2] / ZEROS)
    k = torch.arange(-REACH, REACH + 1)
    of_all = torch.tensor([parameters], dtype=torch.float32).expand(len(k), 3)
    # Of a trellis' two quantisers; what else has these phases is the rarer.
    moves = torch.full_like(k, trellis and phase <= 1, dtype=torch.bool)
    shape = mass(k, torch.full_like(k, phase), of_all, moves).double().numpy()
    inside, total = counts[1:-1], counts.sum()
    if phase % PHASES == 0 or (trellis and phase == 1):
        inside = 0.5 * (inside + inside[::-1])
    found = inside + _SHAPE_WEIGHT * shape
    beyond = (counts[0] + counts[-1]) / (total + _SHAPE_WEIGHT)
    return found / found.sum(), -REACH, float(beyond)
