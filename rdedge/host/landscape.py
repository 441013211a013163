"""The energy landscape of an auto-encoder: E(x) = |x - g_s(g_a(x))|^2, latents not rounded.

L. G. Sanchez Giraldo, J. C. Principe, "Rate-Distortion Auto-Encoders", arXiv 1312.7381, look at how
an auto-encoder reconstructs points that are no data: one that has learned where data lies keeps its
energy low there, in ravines, and pulls all else towards them. E is the sum over the elements of a
sample, in squared raw units.

All functions take any module with halves g_a: (N, *shape) -> latents and g_s: latents ->
(N, *shape) or (N, elements), for samples of one shape: vectors, and windows of a series without
gaps.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn

from rdedge.codec.preprocess import to_network
from rdedge.errors import ConfigError, ShapeError, TrainingError, ValueRangeError
from rdedge.types import Array

# Elements that go through a model at a time.
_BLOCK_ELEMENTS = 1 << 20
# A frame goes this share of the data's range beyond it on each side.
_MARGIN = 0.25
# Below this share of a distance, what is left of it is rounding.
_TINY = 1e-6
# Samples that are enough for directions, means and energies.
_MANY = 2000
# Distances at which a ravine is measured unless asked otherwise, in spreads of the data; that whose
# depth is named first; and those between which its width is looked for.
DISTANCES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
_STATED = 1 / 4
_WIDTHS = tuple(2.0 ** (k / 4) for k in range(-32, 5))
# The width of a ravine is where the energy has become this many times that on the data.
WIDTH_FACTOR = 2.0


class AutoEncoder(Protocol):
    """What has a landscape: host.models.base.Model, or any nn.Module with these two halves."""

    g_a: nn.Module
    g_s: nn.Module


class Decoded(nn.Module):
    """A model whose decoder clips to the range of the dtype of its samples, as a codec's does:
    training takes it for no error to go beyond (host.training), so an energy without this would be
    that of values which never come back.
    """

    def __init__(self, model: AutoEncoder, dtype: str) -> None:
        super().__init__()
        self.g_a, self.g_s = model.g_a, model.g_s
        if np.issubdtype(np.dtype(dtype), np.integer):
            info = np.iinfo(dtype)
            self.g_s = nn.Sequential(model.g_s, nn.Hardtanh(float(info.min), float(info.max)))


@torch.no_grad()
def energy(model: AutoEncoder, x: Array) -> Array:
    """x: (N, *shape), raw units -> E: (N,) float64, squared raw units.

    x passes as float32; where it is float64, the error is that against the float32 it became.
    Raises ValueRangeError for what is not finite in float32, TrainingError where what comes back is
    not finite.
    """
    if x.ndim < 2:
        raise ShapeError(f"samples of shape {x.shape[1:]}", expected="(N, *shape)")
    halves = (model.g_a, model.g_s)
    tensors = [t for half in halves for t in itertools.chain(half.parameters(), half.buffers())]
    device = tensors[0].device if tensors else torch.device("cpu")
    modes = [(module, module.training) for half in halves for module in half.modules()]
    step = max(1, _BLOCK_ELEMENTS // math.prod(x.shape[1:]))
    found = np.empty(len(x))
    try:
        for half in halves:
            half.eval()
        for i in range(0, len(x), step):
            part = np.ascontiguousarray(to_network(x[i : i + step]))
            y = model.g_a(torch.from_numpy(part).to(device))
            x_hat = model.g_s(y).double().cpu().numpy().reshape(part.shape)
            found[i : i + step] = np.square(part - x_hat).reshape(len(part), -1).sum(axis=1)
    finally:
        for module, training in modes:
            module.training = training
    if not np.isfinite(found).all():
        raise TrainingError(
            "the model gives back what is not finite", do="train it again, or look nearer the data"
        )
    return found


@dataclass(frozen=True)
class Plane:
    """A piece of a plane in the space of samples: origin + a u + b v.

    origin, u, v: (*shape) float64; u, v of length 1 and at right angles. across, up: from, to, of a
    and of b, in raw units.
    """

    origin: Array
    u: Array
    v: Array
    across: tuple[float, float]
    up: tuple[float, float]

    def at(self, coordinates: Array) -> Array:
        """(M, 2) -> the points there: (M, *shape) float64."""
        directions = np.stack([self.u, self.v]).reshape(2, -1)
        found: Array = (coordinates @ directions).reshape(-1, *self.origin.shape) + self.origin
        return found

    def project(self, x: Array) -> tuple[Array, Array]:
        """x: (N, *shape) -> coordinates (N, 2) of the nearest points, distances to them (N,)."""
        rows = (x.astype(np.float64) - self.origin).reshape(len(x), -1)
        directions = np.stack([self.u, self.v]).reshape(2, -1)
        coordinates = rows @ directions.T
        return coordinates, np.linalg.norm(rows - coordinates @ directions, axis=1)


def plane_of_data(x: Array) -> Plane:
    """The whole plane of samples of two values, x: (N, *shape), framed around them.

    Raises ShapeError for other samples, ValueRangeError where all are alike.
    """
    if math.prod(x.shape[1:]) != 2:
        raise ShapeError(
            f"samples of shape {x.shape[1:]}", expected="samples of two values, or another plane"
        )
    rows = _finite_rows(x)
    u, v = np.eye(2).reshape(2, *x.shape[1:])
    return _framed(np.zeros(x.shape[1:]), u, v, rows)


def plane_through(a: Array, b: Array, c: Array) -> Plane:
    """The plane through three samples (*shape): u from a to b, c on the side of v, origin in their
    middle. Raises ConfigError where they lie on one line.
    """
    rows = _finite_rows(np.stack([a, b, c]))
    origin = rows.mean(axis=0)
    first, second = rows[1] - rows[0], rows[2] - rows[0]
    lengths = np.linalg.norm(first), np.linalg.norm(second)
    u = first / (lengths[0] or 1.0)
    rest = second - (second @ u) * u
    height = np.linalg.norm(rest)
    if not lengths[0] or not height > _TINY * max(lengths):
        raise ConfigError(
            "the three samples lie on one line, or two of them are the same",
            expected="three that span a plane",
            do="choose others",
        )
    # Once more: what rounding left of u in it goes.
    v = rest - (rest @ u) * u
    v /= np.linalg.norm(v)
    coordinates = (rows - origin) @ np.stack([u, v]).T
    shape = a.shape
    return _framed(origin.reshape(shape), u.reshape(shape), v.reshape(shape), coordinates)


def principal_plane(x: Array) -> Plane:
    """The plane through the mean of x (N, *shape) along its two principal directions, framed around
    the projections. Of many samples some thousands, evenly taken, decide.

    Raises ValueRangeError where the samples lie on one line, ShapeError for samples of one value.
    """
    if math.prod(x.shape[1:]) < 2:
        raise ShapeError("samples of one value have no plane", expected="two values or more")
    rows = _finite_rows(_some(x))
    origin = rows.mean(axis=0)
    _, sizes, directions = np.linalg.svd(rows - origin, full_matrices=False)
    if len(sizes) < 2 or not sizes[1] > _TINY * sizes[0]:
        raise ValueRangeError(
            f"the {len(x)} samples lie on one line, or are all alike",
            expected="samples that span a plane",
        )
    # A direction has no sign of its own: its largest value is made positive.
    u, v = (w * np.sign(w[np.argmax(np.abs(w))]) for w in directions[:2])
    coordinates = (rows - origin) @ np.stack([u, v]).T
    shape = x.shape[1:]
    return _framed(origin.reshape(shape), u.reshape(shape), v.reshape(shape), coordinates)


def _finite_rows(x: Array) -> Array:
    """x: (N, *shape) -> (N, elements) float64. Raises ValueRangeError."""
    to_network(x)
    return x.astype(np.float64).reshape(len(x), -1)


def _some(x: Array) -> Array:
    """At most _MANY samples, evenly taken."""
    return x[:: -(-len(x) // _MANY)] if len(x) > _MANY else x


def _framed(origin: Array, u: Array, v: Array, coordinates: Array) -> Plane:
    """A square frame around coordinates (N, 2), with a margin."""
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    half = (0.5 + _MARGIN) * float((high - low).max())
    if not half > 0.0:
        raise ValueRangeError(
            f"all {len(coordinates)} samples are alike", expected="different ones"
        )
    middle = 0.5 * (low + high)
    across, up = ((float(m - half), float(m + half)) for m in middle)
    return Plane(origin, u, v, across, up)


def grid(plane: Plane, size: int) -> Array:
    """(size * size, 2) float64: coordinates of a regular grid over the frame, its borders included;
    a runs fastest, b from below.
    """
    a, b = (np.linspace(*ends, size) for ends in (plane.across, plane.up))
    return np.stack(np.meshgrid(a, b), axis=-1).reshape(-1, 2)


def surface(model: AutoEncoder, plane: Plane, size: int) -> Array:
    """E over the grid: (size, size) float64, [row of b from below, column of a]."""
    coordinates = grid(plane, size)
    step = max(1, _BLOCK_ELEMENTS // plane.origin.size)
    blocks = [coordinates[i : i + step] for i in range(0, len(coordinates), step)]
    return np.concatenate([energy(model, plane.at(b)) for b in blocks]).reshape(size, size)


@dataclass(frozen=True)
class Step:
    """The energy at one distance off the data.

    direction: "random": in all directions alike; "normal": across the data. distance: r, raw units.
    energy: mean of E(x + r u) over samples x of the data, directions u and their opposites. depth:
    that by the mean energy on the data, None where that is 0; depth_db: the same in dB. survives:
    (energy - energy on the data) / r^2, the share of the displacement that the auto-encoder does
    not follow: 1 where it gives back the point of the data, 0 where it gives back whatever comes.
    """

    direction: str
    distance: float
    energy: float
    depth: float | None
    depth_db: float | None
    survives: float


@dataclass(frozen=True)
class Ravine:
    """How the energy rises off the data.

    samples: how many were measured. elements: values of a sample. spread: root mean square distance
    of a sample from the mean of all, raw units. energy_mean, energy_median: of E on the data.
    steps: by direction, then by distance. stated: the distance of those measured that is nearest to
    a quarter of the spread, at which a depth is named where one must do. width_random,
    width_normal: the smallest distance at which the mean energy is WIDTH_FACTOR times that on the
    data, between distances measured by a line in r^2; None where it is not up to twice the spread,
    where the energy on the data is 0, or where there is no normal.
    """

    samples: int
    elements: int
    spread: float
    energy_mean: float
    energy_median: float
    steps: tuple[Step, ...]
    stated: float
    width_random: float | None
    width_normal: float | None

    def step(self, direction: str) -> Step | None:
        """The step in a direction at the stated distance; None where there is no such direction."""
        of = [s for s in self.steps if s.direction == direction and s.distance == self.stated]
        return of[0] if of else None


def spread_of(x: Array) -> float:
    """Root mean square distance of samples (N, *shape) from their mean.

    Raises ValueRangeError where all are alike, and for what is not finite.
    """
    rows = _finite_rows(x)
    spread = math.sqrt(np.square(rows - rows.mean(axis=0)).sum(axis=1).mean())
    if not spread > 0.0 or np.ptp(rows, axis=0).max() == 0.0:
        raise ValueRangeError(f"all {len(x)} samples are alike", expected="different ones")
    return spread


def ravine(
    model: AutoEncoder, held_out: Array, distances: Sequence[float], rng: np.random.Generator
) -> Ravine:
    """The numbers of a model's landscape around held_out (N, *shape), N at least 2.

    distances: off the data, in raw units, () for DISTANCES times its spread. Directions are drawn
    by rng, one for each sample and the same at all distances. For samples of two values directions
    across the data are measured too, found from neighbours. Raises ConfigError for distances that
    are not positive numbers, ValueRangeError for samples that are alike or not finite.
    """
    if any(not (isinstance(r, int | float) and 0.0 < r < math.inf) for r in distances):
        raise ConfigError(
            f"distances of {', '.join(f'{r}' for r in distances)}", expected="each above 0"
        )
    spread = spread_of(held_out)
    asked = sorted({float(r) for r in distances} or {spread * k for k in DISTANCES})
    x = _some(held_out).astype(np.float64)
    on_data = energy(model, x)
    mean = float(on_data.mean())
    directions = {"random": _directions(x.shape, rng)}
    if math.prod(x.shape[1:]) == 2:
        directions["normal"] = normals(x)
    steps: list[Step] = []
    widths: dict[str, float | None] = {"normal": None}
    for name, u in directions.items():
        measured = {r: _energy_off(model, x, u, r) for r in asked}
        steps += [_step(name, r, e, mean) for r, e in measured.items()]
        around = {r: _energy_off(model, x, u, r) for r in (spread * k for k in _WIDTHS)}
        widths[name] = _width({0.0: mean, **around, **measured}, spread)
    return Ravine(
        samples=len(x),
        elements=math.prod(x.shape[1:]),
        spread=spread,
        energy_mean=mean,
        energy_median=float(np.median(on_data)),
        steps=tuple(steps),
        stated=min(asked, key=lambda r: abs(math.log(r / (_STATED * spread)))),
        width_random=widths["random"],
        width_normal=widths["normal"],
    )


def _step(direction: str, r: float, off: float, mean: float) -> Step:
    depth = off / mean if mean > 0.0 else None
    in_db = 10.0 * math.log10(depth) if depth else None
    return Step(direction, r, off, depth, in_db, (off - mean) / r**2)


def _energy_off(model: AutoEncoder, x: Array, u: Array, r: float) -> float:
    """The mean energy of points r away from samples, to both sides."""
    return float(np.mean([energy(model, x + r * u).mean(), energy(model, x - r * u).mean()]))


def _directions(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """One direction a sample, of length 1, all alike likely."""
    drawn: Array = rng.standard_normal((shape[0], math.prod(shape[1:])))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn.reshape(shape)


def normals(x: Array) -> Array:
    """Directions (N, *shape) of length 1 across the data, for N samples of two values.

    Of each sample the direction in which its nearest neighbours, a twentieth of all and at least 8,
    vary least.
    """
    rows = x.astype(np.float64).reshape(len(x), 2)
    count = min(len(rows), max(8, len(rows) // 20))
    found = np.empty_like(rows)
    for i, row in enumerate(rows):
        apart = np.square(rows - row).sum(axis=1)
        near = rows[np.argpartition(apart, count - 1)[:count]]
        _, vectors = np.linalg.eigh(np.cov(near.T))
        found[i] = vectors[:, 0]
    return found.reshape(x.shape)


def _width(energies: dict[float, float], spread: float) -> float | None:
    """Where energies, by distance, reach WIDTH_FACTOR times that at 0."""
    level = WIDTH_FACTOR * energies[0.0]
    if level <= 0.0:
        return None
    limit = spread * _WIDTHS[-1]
    for (r0, e0), (r1, e1) in itertools.pairwise(sorted(energies.items())):
        if e1 >= level and r1 <= limit:
            share = (level - e0) / (e1 - e0)
            return math.sqrt(r0**2 + share * (r1**2 - r0**2))
    return None
