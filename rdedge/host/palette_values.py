"""Which grey values a palette takes: as few as meet the bound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from rdedge import metrics
from rdedge.classical.levels import lloyd_max
from rdedge.codec.preprocess import from_network
from rdedge.coding.palette import VALUES_MAX
from rdedge.errors import ConfigError, TrainingError
from rdedge.host.datasets import Parts, Samples
from rdedge.host.models.palette import PaletteCodec
from rdedge.host.restore import restore
from rdedge.types import Array, Bound, SampleSpec

Values = tuple[float, ...]

# A decoder that knows what is around a pixel may get by with so many times the squared error; how
# long it is taught to find out.
_REACH, _STEPS = 3.0, 150
# Values that few are at most, and the share of pixels that must be near one of them.
_FEW, _FEW_SHARE = 3, 0.9
# Of vectors: a squared error, in squared ranges of two values, that is an mlp's.
_COARSE = 1 / 120
# Grey values that are told apart when a palette is looked for.
_BINS = 256
_PIXELS = 1 << 24


def refuse_kind(spec: SampleSpec) -> None:
    """Raise ConfigError where samples are no grey pictures."""
    grey = spec.kind == "image" and spec.shape[-1] == 1
    if not grey and not (spec.kind == "vector" and len(spec.shape) == 2):
        raise ConfigError(
            f"a palette for {spec.kind} samples of shape {spec.shape}",
            expected="grey images (H, W, 1), or vectors that are pictures (H, W)",
            do="take another --model, or convert colour pictures to grey",
        )
    if spec.kind == "vector" and spec.shape[0] * spec.shape[1] > 65535:
        raise ConfigError(
            f"a palette for vectors of shape {spec.shape}",
            expected="at most 65535 pixels",
            do="give them as images",
        )


def few_valued(parts: Parts, bound: Bound, scale: metrics.Scale) -> str | None:
    """Why these samples are pictures of few values, in words; None where they are not: nine tenths
    of their pixels lie within a sixteenth of the range from one of two or three values. None too of
    vectors with a coarse bound: there an `mlp` needs fewer bytes (MNIST at 20 dB: docs/figures.md).
    """
    spec = parts.spec
    try:
        refuse_kind(spec)
        found = palettes(parts.train)[: _FEW - 1]
    except (ConfigError, TrainingError):
        return None
    wanted = metrics.mse_for(bound.metric, bound.value, scale)
    if spec.kind == "vector" and wanted > _COARSE * (found[0][-1] - found[0][0]) ** 2:
        return None
    for levels in found:
        near = count = 0
        for x in parts.train:
            values = levels.astype(np.float32)[_numbers(x, tuple(levels.tolist()))]
            near += int((np.abs(x - values) * 16.0 <= levels[-1] - levels[0]).sum())
            count += x.size
        if near >= _FEW_SHARE * count:
            return (
                f"{100.0 * near / count:.1f} % of the training pixels lie within a sixteenth of "
                f"the range from one of {len(levels)} grey values"
            )
    return None


def palettes(train: Samples) -> list[Array]:
    """For each number of values from 2 to 8 those of the least squared error; raw units."""
    every = max(1, sum(x.size for x in train) // _PIXELS)
    pixels = np.concatenate([x.reshape(-1)[::every] for x in train])
    values, counts = np.unique(pixels, return_counts=True)
    values = values.astype(np.float64)
    if len(values) > _BINS:
        low, high = values[0], values[-1]
        bins = ((values - low) / (high - low) * (_BINS - 1)).round().astype(np.int64)
        mass = np.bincount(bins, counts)
        used = np.flatnonzero(mass)
        values, counts = np.bincount(bins, counts * values)[used] / mass[used], mass[used]
    if len(values) < 2:
        raise TrainingError(
            "all training pixels are one grey",
            expected="pictures that differ",
            do="check the data: there is nothing to learn",
        )
    return lloyd_max(values, counts, min(VALUES_MAX, len(values)))


def values_for(
    parts: Parts, bound: Bound, scale: metrics.Scale, make: Callable[[Values], PaletteCodec]
) -> Values:
    """The fewest values that meet the bound on training and validation samples, with a decoder that
    knows what is around a pixel where that is within its reach.

    make: a new model with such values. Raises ConfigError where samples are no grey pictures or 8
    values do not meet it.
    """
    refuse_kind(parts.spec)
    reached = 0.0
    wanted = metrics.mse_for(bound.metric, bound.value, scale)
    for levels in palettes(parts.train):
        values = tuple(float(v) for v in levels.astype(np.float32))
        reached = _plainly(values, parts, bound, scale)
        if bound.met_by(reached):
            return values
        errors = metrics.mean("mse", parts.train, _nearest(parts.train, values, parts.spec), scale)
        if errors < _REACH * wanted and bound.met_by(_restored(make(values), parts, bound, scale)):
            return values
    raise ConfigError(
        f"with {len(values)} grey values the {bound.metric} is {reached:g}",
        expected=str(bound),
        do="take another --model: this data does not have few values",
    )


def _plainly(values: Values, parts: Parts, bound: Bound, scale: metrics.Scale) -> float:
    """The worse of what training and validation samples come back with."""
    found = [
        metrics.mean(bound.metric, part, _nearest(part, values, parts.spec), scale)
        for part in (parts.train, parts.validation)
    ]
    return min(found) if bound.is_minimum else max(found)


def _restored(model: PaletteCodec, parts: Parts, bound: Bound, scale: metrics.Scale) -> float:
    """What validation samples come back with from a decoder that was taught for a while."""
    shape = parts.spec.shape[:2]

    def symbols(part: Samples) -> list[Array]:
        images = [_numbers(x, model.config.values) for x in part]
        return [s.reshape(len(s), *(s.shape[1:3] if s.ndim == 4 else shape)) for s in images]

    restore(model, parts.train, symbols(parts.train), _STEPS, 0)
    x_hat = []
    with torch.no_grad():
        for x in parts.validation:
            y_hat = torch.from_numpy(_numbers(x, model.config.values).astype(np.float32))
            if not model.config.is_image:
                y_hat = y_hat.reshape(len(x), -1)
            x_hat.append(from_network(model.g_s(y_hat).numpy(), parts.spec.dtype))
    return metrics.mean(bound.metric, parts.validation, x_hat, scale)


def _numbers(x: Array, values: Values) -> Array:
    """Which value each pixel is nearest to."""
    found = np.array(values, np.float32)
    return np.searchsorted((found[1:] + found[:-1]) / 2, x.astype(np.float32))


def _nearest(samples: Samples, values: Values, spec: SampleSpec) -> Samples:
    found = np.array(values, np.float32)
    return [from_network(found[_numbers(x, values)], spec.dtype) for x in samples]
