"""What every rate term has: a batch and its latents -> bits, estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

# Whether what a term says lies above the true rate, below it, or can be on either side.
Bounds = Literal["upper", "lower", "neither"]


@dataclass(frozen=True)
class Batch:
    """Samples on their way through a model.

    x: (N, *shape) float, raw units, as they went in. y: (N, ..., L) float, their latents in
    quantiser steps, noisy or rounded. x_hat: (N, *shape), what came out.
    """

    x: Tensor
    y: Tensor
    x_hat: Tensor


class RateTerm(nn.Module):
    """Estimates what a batch costs.

    name: what the term is called. bounds: which side of the true rate it is on, in expectation.
    """

    name: str
    bounds: Bounds

    def estimate(self, batch: Batch) -> Tensor:
        """Estimated bits of one sample, on average over the batch; a scalar, differentiable."""
        raise NotImplementedError
