"""What codes a `palette`: a network over the pixels before each, tables, a weight of bits.

The network is trained on training pixels and its tables are counted (pixels.py). Then pixels are
changed where the bits saved are worth the error, as the bound allows, the network sees what became
of its training pixels, and both are done again.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from rdedge import metrics
from rdedge.coding.quantiser import NEAREST as TO_NEAREST
from rdedge.coding.selection import Selection
from rdedge.host.entropy import Entropy
from rdedge.host.fit import NEAREST, Latents
from rdedge.host.models.palette import PaletteCodec
from rdedge.host.options import TrainingOptions
from rdedge.host.pixels import (
    RATE,
    PixelNet,
    Pool,
    codes_of,
    counted,
    nearest_offsets,
    to_integers,
    train_network,
)
from rdedge.host.restore import restore
from rdedge.types import Array, Bound

# Steps of an epoch; share of the steps in which the network sees changed pixels.
_EPOCH_STEPS, _CHANGED_SHARE = 100, 0.3
# Weights of a bit, in squared ranges.
_FIRST_WEIGHT, _LEAST_WEIGHT, _MOST_WEIGHT = 1 / 8, 1e-4, 1e4
_HAIR = 1e-5
# Steps that the decoder is trained in, before pixels are changed and after.
_RESTORE_STEPS = 300
# Pixels that a weight is chosen on, and that are changed for the network to learn from.
_CHOICE_PIXELS, _CHANGED_PIXELS = 1 << 21, 1 << 26


def fit_palette(
    model: PaletteCodec,
    train: Latents,
    validation: Latents,
    bound: Bound,
    scale: metrics.Scale,
    options: TrainingOptions,
) -> Entropy:
    """What codes this palette: trained on training pixels, its weight chosen on validation ones."""
    config = model.config
    size = (0, 0) if config.is_image else (config.shape[0], config.shape[1])
    pictures = _pictures(train, size)
    outside = _on_borders(pictures, len(config.values))
    span = config.values[-1] - config.values[0]
    positions = np.array([(v - config.values[0]) / span for v in config.values])
    offsets = nearest_offsets(config.inputs)
    codes = codes_of(positions, outside)
    torch.manual_seed(options.seed)
    net = PixelNet(config.inputs, config.hidden, len(config.values) - 1, size)
    steps = _EPOCH_STEPS * options.epochs
    seconds = math.inf if options.minutes is None else 60.0 * options.minutes
    how = (offsets, size, config.is_image, options.seed)
    share = 1.0 - _CHANGED_SHARE
    train_network(net, Pool(pictures, codes, *how), round(share * steps), share * seconds)

    def entropy(seen: list[Array]) -> Entropy:
        palette = to_integers(net, positions, outside, offsets)
        kinds = np.full(config.latents, TO_NEAREST, np.uint8)
        selection = Selection.single(kinds)
        return Entropy(selection, counted(palette, seen), palette=palette)

    chosen, some = _part(validation, _CHOICE_PIXELS), _part(train, _CHANGED_PIXELS)
    restore(model, some.x, _pictures(some, size), _RESTORE_STEPS, options.seed)
    first = entropy(pictures)
    first = replace(first, rate_weight=fit_weight(first, chosen, bound, scale) or 0.0)
    # What validation samples have decided they may teach too.
    some = some.joined(validation)
    changed = _pictures(some, size, first)
    pool = Pool(changed, codes, *how)
    train_network(net, pool, round(_CHANGED_SHARE * steps), _CHANGED_SHARE * seconds, RATE / 4)
    again = entropy(changed)
    restore(model, some.x, changed, _RESTORE_STEPS, options.seed)
    start = first.rate_weight or _FIRST_WEIGHT
    return replace(again, rate_weight=fit_weight(again, chosen, bound, scale, start, 1.5) or 0.0)


def _pictures(
    latents: Latents, size: tuple[int, int], entropy: Entropy | None = None
) -> list[Array]:
    """Symbols (n, H, W) of each batch; entropy: with pixels changed as it wants them."""
    symbols = latents.symbols(1.0, NEAREST if entropy is None else entropy.how)
    return pictures_of(symbols, size)


def pictures_of(symbols: list[Array], size: tuple[int, int]) -> list[Array]:
    """Batches (n, *grid, L) -> (n, H, W); size: of vectors."""
    return [s.reshape(len(s), *(size if s.ndim == 2 else s.shape[1:3])) for s in symbols]


def _part(latents: Latents, pixels: int) -> Latents:
    """An even choice of the samples, of about so many pixels."""
    every = max(1, -(-sum(y.size for y in latents.y) // pixels))
    return latents.part(slice(None, None, every))


def _on_borders(pictures: list[Array], values: int) -> int:
    """The value that is most often at the borders."""
    counts = np.zeros(values, np.int64)
    for p in pictures:
        for edge in (p[:, 0], p[:, :, 0], p[:, :, -1]):
            counts += np.bincount(edge.reshape(-1), minlength=values)
    return int(counts.argmax())


def fit_weight(
    entropy: Entropy,
    latents: Latents,
    bound: Bound,
    scale: metrics.Scale,
    start: float = _FIRST_WEIGHT,
    stride: float = 4.0,
    refinements: int = 5,
) -> float | None:
    """The largest weight of a bit at which the mean bound is met; 0 where only unchanged pixels
    meet it, None where those do not. Looked for from start, in strides, then refined.
    """
    # A hair inside the bound: exported graphs may round a little differently.
    hair = _HAIR * bound.value * (1.0 if bound.is_minimum else -1.0)
    inside = Bound(bound.metric, bound.value + hair)

    def met(weight: float) -> bool:
        how = replace(entropy, rate_weight=weight).how
        return inside.met_by(
            metrics.mean(bound.metric, latents.x, latents.decoded(1.0, how), scale)
        )

    low, high = start, start
    if met(start):
        while met(high := high * stride):
            low = high
            if high > _MOST_WEIGHT:
                return low
    else:
        while not met(low := low / stride):
            high = low
            if low < _LEAST_WEIGHT:
                return 0.0 if met(0.0) else None
    for _ in range(refinements):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if met(middle) else (low, middle)
    return low


def held_to(
    entropy: Entropy, latents: Latents, bound: Bound, scale: metrics.Scale
) -> tuple[Entropy, bool, list[float]]:
    """The weight that was chosen on validation samples, moved to where held-out ones just meet the
    bound, as steps are (fit.py); whether they do; distortions of each half of them with the weight
    of the other.
    """
    start = entropy.rate_weight or _LEAST_WEIGHT
    weight = fit_weight(entropy, latents, bound, scale, start, 1.25, 4)
    if weight is None:
        return replace(entropy, rate_weight=0.0), False, []
    middle = latents.count // 2
    crossed: list[float] = []
    halves = (latents.part(slice(0, middle)), latents.part(slice(middle, None)))
    for fit_on, look_at in (halves, halves[::-1]) if middle else ():
        of_half = fit_weight(entropy, fit_on, bound, scale, weight or _LEAST_WEIGHT, 1.15, 2)
        if of_half is None:
            crossed = []
            break
        x_hat = look_at.decoded(1.0, replace(entropy, rate_weight=of_half).how)
        crossed.append(metrics.mean(bound.metric, look_at.x, x_hat, scale))
    return replace(entropy, rate_weight=weight), True, crossed
