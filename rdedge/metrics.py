"""The only place where a distortion is computed.

All metrics are in the units of the raw data. `per_sample` gives one figure for each sample;
`mean` gives the one figure that a mean bound is held against: the mean of the samples' figures,
each weighted by its elements (samples may differ in size), except for psnr and nrmse, which are
taken from the mean squared error over all elements (pooled). A missing value (NaN in the original)
is no element: it counts nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rdedge.errors import ConfigError, ShapeError
from rdedge.types import Array, Bound

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """What psnr and nrmse are relative to, taken from training data.

    peak: largest value less smallest that the data can take, raw units.
    std: standard deviations, raw units: one over all elements, or one for each channel of a series
        (the last axis), whose channels have units of their own.
    """

    peak: float
    std: tuple[float, ...]

    @staticmethod
    def of(x: Array | Sequence[Array], by_channel: bool = False) -> Scale:
        """From training data x: (N, ...), or several such arrays of one dtype; NaN is left out.

        8-bit data has peak 255, all other data its own range. A channel that never varies gets the
        smallest deviation of the others.
        """
        parts = [x] if isinstance(x, np.ndarray) else list(x)
        width = parts[0].shape[-1] if by_channel else 1
        if not by_channel and all(np.isfinite(p).all() for p in parts):
            # One pass over whole arrays: the same figures as before there were channels.
            flat = parts[0] if len(parts) == 1 else np.concatenate([p.reshape(-1) for p in parts])
            values = flat.astype(np.float64)
            low, high, deviation = values.min(), values.max(), np.array([values.std()])
        else:
            values = np.concatenate([p.reshape(-1, width) for p in parts]).astype(np.float64)
            there = values[~np.isnan(values)]
            low, high = (there.min(), there.max()) if there.size else (0.0, 0.0)
            values[:, np.isnan(values).all(axis=0)] = 0.0
            deviation = np.nanstd(values, axis=0)
        if by_channel:
            positive = deviation[deviation > 0]
            deviation[deviation == 0] = positive.min() if positive.size else 1.0
        peak = 255.0 if parts[0].dtype == np.uint8 else float(high - low)
        return Scale(peak=peak, std=tuple(deviation.tolist()))

    @property
    def spread(self) -> float:
        """One deviation for all: the root of the mean of the squares."""
        return math.sqrt(sum(s * s for s in self.std) / len(self.std))


@dataclass(frozen=True)
class Metric:
    """A distortion: its name, and what it makes of per-sample statistics.

    statistic: (difference (N, D) float64, 0 where missing; present elements (N,)) -> (N,), averaged
        over samples for the mean.
    finish: (statistic, scale) -> the metric.
    relative: whether differences are divided by the standard deviations first.
    """

    name: str
    statistic: Callable[[Floats, Floats], Floats]
    finish: Callable[[Floats, Scale], Floats]
    relative: bool = False


def _mse(d: Floats, present: Floats) -> Floats:
    squares: Floats = np.einsum("nd,nd->n", d, d) / present
    return squares


def _mae(d: Floats, present: Floats) -> Floats:
    sizes: Floats = np.abs(d).sum(axis=1) / present
    return sizes


def _psnr(mse: Floats, scale: Scale) -> Floats:
    """Infinite where there is no error, even for data whose peak is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels: Floats = np.where(mse == 0, np.inf, 10.0 * np.log10(scale.peak**2 / mse))
    return decibels


def _root(relative_mse: Floats, _: Scale) -> Floats:
    root: Floats = np.sqrt(relative_mse)
    return root


METRICS: dict[str, Metric] = {
    "mse": Metric("mse", _mse, lambda s, _: s),
    "psnr": Metric("psnr", _mse, _psnr),
    "mae": Metric("mae", _mae, lambda s, _: s),
    "max-abs": Metric("max-abs", lambda d, _: np.max(np.abs(d), axis=1), lambda s, _: s),
    "nrmse": Metric("nrmse", _mse, _root, relative=True),
}


def metric(name: str) -> Metric:
    """Look a metric up by name, or say which there are."""
    if name not in METRICS:
        raise ConfigError(f"no metric is called {name!r}", expected=", ".join(METRICS))
    return METRICS[name]


def differences(x: Array, x_hat: Array) -> Floats:
    """What to subtract from x, array by array, to get x_hat, float64; of int64 computed exactly and
    rounded at the end.
    """
    if x.dtype == np.int64 and x_hat.dtype == np.int64:
        # float64 has no number for many int64, but for their differences where they are small.
        size = np.where(x >= x_hat, x.view(np.uint64) - x_hat.view(np.uint64), 0)
        size += np.where(x < x_hat, x_hat.view(np.uint64) - x.view(np.uint64), 0)
        return np.where(x >= x_hat, 1.0, -1.0) * size.astype(np.float64)
    found: Floats = x.astype(np.float64) - x_hat.astype(np.float64)
    return found


def _statistics(name: str, x: Array, x_hat: Array, scale: Scale) -> tuple[Floats, Floats]:
    """The statistic of each sample and how many of its elements are present, both (N,)."""
    if x.shape != x_hat.shape or x.ndim < 2 or 0 in x.shape:
        raise ShapeError(
            f"cannot compare samples of shape {x.shape} with {x_hat.shape}",
            expected="two equal shapes (N, ...) with N at least 1",
        )
    found = metric(name)
    difference = differences(x, x_hat)
    present = np.full(len(x), float(math.prod(x.shape[1:])))
    if np.issubdtype(x.dtype, np.floating):
        missing = np.isnan(x)
        if missing.any():
            difference[missing] = 0.0
            present -= missing.reshape(len(x), -1).sum(axis=1)
    if found.relative:
        # Data that does not vary: no error is no error, any other is without bound.
        with np.errstate(divide="ignore", invalid="ignore"):
            difference = np.where(difference == 0, 0.0, difference / np.asarray(scale.std))
    return found.statistic(difference.reshape(len(x), -1), np.maximum(present, 1.0)), present


def per_sample(name: str, x: Array, x_hat: Array, scale: Scale) -> Floats:
    """The distortion of each sample. x, x_hat: (N, ...), any dtype, raw units; returns (N,)."""
    return metric(name).finish(_statistics(name, x, x_hat, scale)[0], scale)


def mean(
    name: str, x: Array | Sequence[Array], x_hat: Array | Sequence[Array], scale: Scale
) -> float:
    """The figure that a mean bound is held against. x, x_hat: (N, ...), raw units, or several such
    arrays, whose samples may differ in shape.
    """
    if isinstance(x, np.ndarray) and isinstance(x_hat, np.ndarray):
        x, x_hat = [x], [x_hat]
    found = [_statistics(name, a, b, scale) for a, b in zip(x, x_hat, strict=True)]
    values = np.concatenate([value for value, _ in found])
    weights = np.concatenate([weight for _, weight in found])
    if (weights == weights[0]).all():
        statistic = np.mean(values, keepdims=True)
    else:
        statistic = np.atleast_1d(np.average(values, weights=weights))
    return float(metric(name).finish(statistic, scale)[0])


def reached(
    bound: Bound, x: Array | Sequence[Array], x_hat: Array | Sequence[Array], scale: Scale
) -> float:
    """The figure that is held against a bound: the mean, or with a share of samples the distortion
    that this share of them keeps. x, x_hat: as for mean.
    """
    if not bound.share:
        return mean(bound.metric, x, x_hat, scale)
    each = np.sort(every(bound.metric, x, x_hat, scale))
    worst_last = each[::-1] if bound.is_minimum else each
    return float(worst_last[math.ceil(bound.share * len(each)) - 1])


def every(
    name: str, x: Array | Sequence[Array], x_hat: Array | Sequence[Array], scale: Scale
) -> Floats:
    """The distortion of each sample of several arrays, one after the other."""
    if isinstance(x, np.ndarray) and isinstance(x_hat, np.ndarray):
        x, x_hat = [x], [x_hat]
    return np.concatenate([per_sample(name, a, b, scale) for a, b in zip(x, x_hat, strict=True)])


def share_within(
    bound: Bound, x: Array | Sequence[Array], x_hat: Array | Sequence[Array], scale: Scale
) -> float:
    """The share of samples that keep a bound, each by itself."""
    each = every(bound.metric, x, x_hat, scale)
    kept = each >= bound.value if bound.is_minimum else each <= bound.value
    return float(kept.mean())


def mse_for(name: str, value: float, scale: Scale) -> float:
    """The mean squared error at which a Gaussian error would just meet the metric's value.

    Exact for mse, psnr and nrmse; a starting point for a search for mae and max-abs. Raises
    ConfigError where no float holds it.
    """
    try:
        mse = _mse_for(name, value, scale)
    except OverflowError:
        mse = math.inf
    if not 0.0 < mse < math.inf:
        raise ConfigError(
            f"a {name} of {value:g} is a mean squared error of {mse:g}",
            expected="a bound that a float can hold",
        )
    return float(mse)


def _mse_for(name: str, value: float, scale: Scale) -> float:
    if name == "psnr":
        return float(scale.peak**2 / 10.0 ** (value / 10.0))
    if name == "nrmse":
        return float((value * scale.spread) ** 2)
    if name == "mae":
        return float(value**2 * math.pi / 2.0)
    return float(value**2 / 9.0 if name == "max-abs" else value)
