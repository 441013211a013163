"""Grey levels that just keep a bound: which reductions are worth giving to a lossless codec."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np

from rdedge import metrics
from rdedge.classical.levels import Levels, candidates
from rdedge.classical.pictures import Pictures
from rdedge.classical.weigh import context_bits, weigh
from rdedge.types import Array

# Reductions that go on to the codecs, and tables that pixels are weighed with.
_KEPT = 4
_WEIGHED = 2
# More levels make too many contexts to count in.
_MOST_CONTEXT_LEVELS = 8
_PRICE_STEP = 1.25
# No error between two grey values is larger: a bit that is worth more changes nothing.
_MOST_PRICE = 255.0**2

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Reduction:
    """Levels of every pixel (N, H, W) uint8, what each stands for (K,) uint8, and its name."""

    levels: Array
    greys: Array
    name: str


def fixed(pictures: Pictures) -> list[Reduction]:
    """The same level for the same value everywhere: the most compact that keep the bound."""
    made = (
        Reduction(levels.index[pictures.tiles], levels.greys, levels.name)
        for levels in _candidates(pictures)
    )
    return few(partial(_bits, pictures), (one for one in made if _keeps(pictures, one)))


def likely(histogram: Array, aim: float, metric: str) -> list[Levels]:
    """Reductions that can keep a bound, most compact first.

    histogram: (256,) counts of the grey values. aim: the bound as their squared error.
    """
    found = candidates(histogram, aim)
    if metric in ("mse", "psnr", "nrmse"):
        # Known without measuring; the rest leaves room for rounding to another dtype.
        return [levels for levels in found if levels.mse <= 1.05 * aim]
    return found


def few(bits: Callable[[Kept], float], kept: Iterable[Kept]) -> list[Kept]:
    """Of reductions that keep the bound, most compact first, those worth giving to a codec."""
    return sorted(islice(kept, 3 * _KEPT), key=bits)[:_KEPT]


def picture_bits(picture: Array, count: int) -> float:
    """Bits of a picture (H, W) of levels, estimated: by context where few levels allow."""
    if count <= _MOST_CONTEXT_LEVELS:
        return context_bits(picture, count)
    share = np.bincount(picture.ravel()) / picture.size
    return -picture.size * float(share[share > 0] @ np.log2(share[share > 0]))


def weighed(pictures: Pictures) -> list[Reduction]:
    """Levels chosen pixel by pixel, error against bits, until the bound is just kept."""
    scout = pictures.scout()
    tables: dict[str, Levels] = {}
    for levels in _candidates(pictures):
        if len(levels.greys) > _MOST_CONTEXT_LEVELS - 3:
            continue
        kind = levels.name.split()[1]
        # Of each kind and number: the most faithful, and the first (fewest bits) that may do.
        key = f"{kind} {len(levels.greys)}"
        tables.setdefault(f"{key} few", levels)
        best = tables.get(f"{key} true", levels)
        tables[f"{key} true"] = min(best, levels, key=lambda one: one.mse)
    starts = {levels.index.tobytes(): levels for levels in tables.values()}
    tried = []
    for levels in starts.values():
        found = _grow(scout, levels, _aim(pictures) / 4)
        if found is not None:
            tried.append((_bits(scout, found[0]), found, levels))
    tried.sort(key=lambda t: t[0])
    if scout is pictures:
        return [found[0] for _, found, _ in tried[:_WEIGHED]]
    grown = [_grow(pictures, levels, found[1] / 2) for _, found, levels in tried[:_WEIGHED]]
    return [g[0] for g in grown if g is not None]


def _aim(pictures: Pictures) -> float:
    """The bound as a squared error of grey values."""
    bound = pictures.bound
    return metrics.mse_for(bound.metric, bound.value, pictures.scale) / pictures.step**2


def _candidates(pictures: Pictures) -> list[Levels]:
    """Reductions that can keep the bound, most compact first."""
    histogram = np.bincount(pictures.tiles.ravel(), minlength=256)
    return likely(histogram, _aim(pictures), pictures.bound.metric)


def _keeps(pictures: Pictures, found: Reduction) -> bool:
    return pictures.bound.met_by(pictures.distortion(found.greys[found.levels]))


def _bits(pictures: Pictures, found: Reduction) -> float:
    """Bits of a reduction's mosaic, estimated."""
    return picture_bits(pictures.mosaic.lay(found.levels), len(found.greys))


def _grow(pictures: Pictures, levels: Levels, price: float) -> tuple[Reduction, float] | None:
    """Raise the price of a bit while the bound is kept, then approach the bound in small steps.

    Returns the last reduction that keeps it, with its price; None where even the first does not.
    """
    target = pictures.mosaic.lay(pictures.tiles)
    good = Reduction(levels.index[pictures.tiles], levels.greys, f"{levels.name}, weighed")
    if not _keeps(pictures, good):
        return None
    at, step = price, _PRICE_STEP
    while step > 1.01 and at < _MOST_PRICE:
        picture = weigh(target, pictures.mosaic.lay(good.levels), good.greys, at)
        tiles = pictures.mosaic.cut(picture)
        new = Reduction(tiles, _means(pictures.tiles, tiles, good.greys), good.name)
        if _keeps(pictures, new):
            good, price = new, at
        else:
            step **= 0.5
        at = price * step
    return good, price


def _means(tiles: Array, levels: Array, greys: Array) -> Array:
    """What each level should stand for: the mean of the grey values that have it."""
    mass = np.bincount(levels.ravel(), minlength=len(greys))
    total = np.bincount(levels.ravel(), tiles.ravel(), minlength=len(greys))
    return np.where(mass > 0, np.rint(total / np.maximum(mass, 1)), greys).astype(np.uint8)
