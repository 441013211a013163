"""What every model has: an analysis transform g_a, a synthesis transform g_s, an entropy model."""

from __future__ import annotations

from typing import Any, Protocol

from torch import nn

from rdedge.host.classes import Layout
from rdedge.host.rates.priors import Prior


class Config(Protocol):
    """Sizes of a model: all that is needed to make it again, besides its weights."""

    @property
    def kind(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def latents(self) -> int: ...

    @property
    def patch(self) -> int: ...

    @property
    def encoder_macs(self) -> int:
        """Multiply-adds to encode one sample of this shape."""
        ...

    @property
    def decoder_macs(self) -> int:
        """Multiply-adds to decode one sample of this shape."""
        ...

    def to_json(self) -> dict[str, Any]: ...


class Model(nn.Module):
    """One codec: g_a: x (N, *shape) float32, raw units -> y (N, ..., L), in quantiser steps; g_s:
    the other way. prior: None where nothing is learned by descent. layout: how a row of latents is
    grouped; None where every latent has one table, from the prior and from counts.
    """

    config: Config
    g_a: nn.Module
    g_s: nn.Module
    prior: Prior | None
    layout: Layout | None


def parameters(half: nn.Module) -> int:
    """Numbers that a half carries, trained or not."""
    return sum(p.numel() for p in half.parameters()) + sum(b.numel() for b in half.buffers())
