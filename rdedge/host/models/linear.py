"""`linear` for series: a fixed transform, a good entropy model.

Within a window every channel goes through the orthonormal DCT over time; where training data shows
that it pays, the channels go through a Karhunen-Loeve transform first. One quantiser step serves
all, which is reverse water-filling. A channel that lives on a lattice (a sensor with few levels)
may stay in the time domain: its whole numbers, less the level of the window, are coded as they are.
Where values repeat themselves no coefficient is smaller than they are: then all channels stay in
the time domain, quantised around a value that many are near to.

    x -> (x - mean) / unit -+-> less its mean in the window -> over channels -> over time -+-> y
                            +-> that mean, over channels, to the first coefficient -------+

The latents of a channel are a group whose first one is its mean; see host/classes.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rdedge.coding.quantiser import EXACT, NEAREST, SCALED
from rdedge.host.classes import Band, GroupLayout, Layout
from rdedge.host.models.base import Model
from rdedge.host.models.klt import dct
from rdedge.types import Array

CLASSES, EXACT_CLASSES, BANDS = 16, 4, 32


@dataclass(frozen=True)
class LinearConfig:
    """Sizes of a `linear` for series. shape: (T, C).

    exact: channels that are coded on their lattice. klt: whether the others are mixed. timed:
    whether they stay in the time domain.
    """

    shape: tuple[int, ...]
    exact: tuple[int, ...]
    klt: bool
    kind: str = "linear"
    patch: int = 1
    timed: bool = field(default=False, kw_only=True)

    @property
    def latents(self) -> int:
        return self.shape[0] * self.shape[1] + len(self.exact)

    @property
    def mixed(self) -> tuple[int, ...]:
        """The channels that are transformed."""
        return tuple(c for c in range(self.shape[1]) if c not in self.exact)

    @property
    def encoder_macs(self) -> int:
        t, c = self.shape[0], len(self.mixed)
        return t * t * c * (not self.timed) + t * c * c * self.klt

    @property
    def decoder_macs(self) -> int:
        return self.encoder_macs

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "shape": list(self.shape),
            "exact": list(self.exact),
            "klt": self.klt,
            **({"timed": True} if self.timed else {}),
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> LinearConfig:
        timed = bool(value.get("timed", False))
        shape, exact = tuple(value["shape"]), tuple(value["exact"])
        return LinearConfig(shape, exact, bool(value["klt"]), timed=timed)


class _Half(nn.Module):
    """What both halves know. unit: (C',) raw units of one quantiser step; lattice: steps, origin:
    of the exact channels, (E,).
    """

    mean: Tensor
    unit: Tensor
    basis: Tensor
    mix: Tensor
    lattice: Tensor
    origin: Tensor

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        t, c, e = config.shape[0], len(config.mixed), len(config.exact)
        self.mixed, self.exact = list(config.mixed), list(config.exact)
        self.time, self.channels, self.klt, self.timed = t, c, config.klt, config.timed
        # Back from (mixed, exact) to the order of the source.
        self.order = [int(i) for i in np.argsort([*config.mixed, *config.exact])]
        self.register_buffer("mean", torch.zeros(c))
        self.register_buffer("unit", torch.ones(c))
        if not config.timed:
            self.register_buffer("basis", torch.from_numpy(dct(t)).float())
        if config.klt:
            self.register_buffer("mix", torch.eye(c))
        if e:
            self.register_buffer("lattice", torch.ones(e))
            self.register_buffer("origin", torch.zeros(e))

    def filtered(self, z: Tensor) -> Tensor:
        """What a network makes of the mixed channels (N, C', T), in quantiser steps; the encoder's
        come without their means in the window.
        """
        return z


class Encoder(_Half):
    """g_a: x (N, T, C) -> y (N, L).

    The mean of a window goes its own way, in float32 at any precision: levels may drift far beyond
    what fp16 or int8 resolve to a quantiser step, what is left of a window without it does not.
    """

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        if self.mixed:
            z = ((x[:, :, self.mixed] - self.mean) / self.unit).transpose(1, 2)
            level = z.mean(dim=2, keepdim=True)
            rest = self.filtered(z - level)
            if self.klt:
                rest = self.mix.T @ rest
                level = (self.mix * level).sum(dim=1).unsqueeze(2)
            if self.timed:
                parts.append((rest + level).flatten(1))
            else:
                # The transform of a constant: sqrt(T) in the first coefficient.
                parts.append((rest @ self.basis.T + level * self.basis.sum(dim=1)).flatten(1))
        if self.exact:
            k = torch.round((x[:, :, self.exact] - self.origin) / self.lattice)
            level = torch.round(k.mean(dim=1, keepdim=True))
            parts.append(torch.cat([level, k - level], dim=1).transpose(1, 2).flatten(1))
        return torch.cat(parts, dim=1)


class Decoder(_Half):
    """g_s: y_hat (N, L) -> x_hat (N, T, C)."""

    def forward(self, y_hat: Tensor) -> Tensor:
        parts = []
        border = self.time * self.channels
        if self.mixed:
            z = y_hat[:, :border].reshape(-1, self.channels, self.time)
            if not self.timed:
                z = z @ self.basis
            if self.klt:
                z = self.mix @ z
            parts.append(self.filtered(z).transpose(1, 2) * self.unit + self.mean)
        if self.exact:
            k = y_hat[:, border:].reshape(-1, len(self.exact), self.time + 1).transpose(1, 2)
            parts.append((k[:, :1] + k[:, 1:]) * self.lattice + self.origin)
        return torch.cat(parts, dim=2)[:, :, self.order]


class LinearSeries(Model):
    """A `linear` for series; start() sets it to training data."""

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        self.config: LinearConfig = config
        self.halves = (Encoder(config), Decoder(config))
        self.g_a, self.g_s = self.halves
        self.prior = None
        self.layout = layout(config)

    @torch.no_grad()
    def start(
        self,
        x: Array,
        unit: Array,
        lattices: dict[int, tuple[float, float]],
        origin: Array | None = None,
    ) -> None:
        """Set the transform to training windows x: (N, T, C), without NaN.

        unit: (C,) raw units of one quantiser step. lattices: step and origin of exact channels.
        origin: (C,), what is a latent of 0; None: the medians.
        """
        config = self.config
        mixed, exact = list(config.mixed), list(config.exact)
        rows = x.reshape(-1, x.shape[2]).astype(np.float64)
        # The median: what a few wild values cannot move.
        mean = np.median(rows, axis=0) if origin is None else origin
        for half in self.halves:
            half.mean.copy_(torch.from_numpy(mean[mixed]))
            half.unit.copy_(torch.from_numpy(unit[mixed]))
            if config.klt:
                # Of what is left without the means of the windows: levels that drift together say
                # nothing of what hangs together within one, where the bits are spent.
                z = (x[:, :, mixed] - x[:, :, mixed].mean(axis=1, keepdims=True)) / unit[mixed]
                z = z.reshape(-1, len(mixed)).astype(np.float64)
                _, vectors = np.linalg.eigh(z.T @ z / len(z))
                half.mix.copy_(torch.from_numpy(vectors[:, ::-1].copy()))
            for place, c in enumerate(exact):
                half.lattice[place], half.origin[place] = lattices[c]


def layout(config: LinearConfig) -> Layout:
    """Groups: a mixed channel is its mean and its other coefficients, in bands that all channels
    share; in the time domain its first value and the others; an exact one its level and its
    differences from it.
    """
    t = config.shape[0]
    edges = np.unique(np.floor(np.geomspace(1, t, BANDS)).astype(np.int64))
    of = np.searchsorted(edges, np.arange(1, t), side="right") - 1
    if config.timed:
        of = np.zeros(t - 1, np.int64)
    bands = [Band(symmetric=not config.timed) for _ in range(int(of.max(initial=-1)) + 1)]
    groups: list[GroupLayout] = []
    classes: list[int] = []
    if config.mixed:
        classes.append(CLASSES if t > 1 else 1)
    for _ in config.mixed:
        bands.append(Band(by_class=False, wide=True))
        quantisers = np.full(t, SCALED, np.uint8)
        quantisers[0] = NEAREST
        groups.append(GroupLayout(np.append(len(bands) - 1, of), quantisers))
    for _ in config.exact:
        bands += [Band(by_class=False, wide=True), Band()]
        place = np.append(len(bands) - 2, np.full(t, len(bands) - 1))
        groups.append(GroupLayout(place, np.full(t + 1, EXACT, np.uint8), len(classes)))
        classes.append(EXACT_CLASSES)
    return Layout(tuple(bands), tuple(groups), tuple(classes), gains=True, timed=config.timed)
