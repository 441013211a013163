"""The only place where a distortion is computed.

All metrics are in the units of the raw data. `per_sample` gives one figure for each sample;
`mean` gives the one figure that a mean bound is held against: the mean of the samples' figures,
except for psnr and nrmse, which are taken from the mean squared error over all samples (pooled).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rdedge.errors import ConfigError, ShapeError
from rdedge.types import Array

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """What psnr and nrmse are relative to, taken from training data.

    peak: largest value less smallest that the data can take, raw units.
    std: standard deviation over all elements, raw units.
    """

    peak: float
    std: float

    @staticmethod
    def of(x: Array) -> Scale:
        """From training data x: (N, ...). 8-bit data has peak 255, all other data its own range."""
        values = x.astype(np.float64)
        peak = 255.0 if x.dtype == np.uint8 else float(values.max() - values.min())
        return Scale(peak=peak, std=float(values.std()))


@dataclass(frozen=True)
class Metric:
    """A distortion: its name, and what it makes of per-sample statistics.

    statistic: (difference (N, D) float64) -> (N,), averaged over samples for the mean.
    finish: (statistic, scale) -> the metric.
    """

    name: str
    statistic: Callable[[Floats], Floats]
    finish: Callable[[Floats, Scale], Floats]


def _mse(d: Floats) -> Floats:
    squares: Floats = np.mean(d * d, axis=1)
    return squares


def _psnr(mse: Floats, scale: Scale) -> Floats:
    """Infinite where there is no error, even for data whose peak is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels: Floats = np.where(mse == 0, np.inf, 10.0 * np.log10(scale.peak**2 / mse))
    return decibels


def _nrmse(mse: Floats, scale: Scale) -> Floats:
    """0 where there is no error, even for data that does not vary."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share: Floats = np.where(mse == 0, 0.0, np.sqrt(mse) / np.float64(scale.std))
    return share


METRICS: dict[str, Metric] = {
    "mse": Metric("mse", _mse, lambda s, _: s),
    "psnr": Metric("psnr", _mse, _psnr),
    "mae": Metric("mae", lambda d: np.mean(np.abs(d), axis=1), lambda s, _: s),
    "max-abs": Metric("max-abs", lambda d: np.max(np.abs(d), axis=1), lambda s, _: s),
    "nrmse": Metric("nrmse", _mse, _nrmse),
}


def metric(name: str) -> Metric:
    """Look a metric up by name, or say which there are."""
    if name not in METRICS:
        raise ConfigError(f"no metric is called {name!r}", expected=", ".join(METRICS))
    return METRICS[name]


def _statistics(name: str, x: Array, x_hat: Array) -> Floats:
    if x.shape != x_hat.shape or x.ndim < 2 or 0 in x.shape:
        raise ShapeError(
            f"cannot compare samples of shape {x.shape} with {x_hat.shape}",
            expected="two equal shapes (N, ...) with N at least 1",
        )
    difference = x.astype(np.float64) - x_hat.astype(np.float64)
    return metric(name).statistic(difference.reshape(len(x), -1))


def per_sample(name: str, x: Array, x_hat: Array, scale: Scale) -> Floats:
    """The distortion of each sample. x, x_hat: (N, ...), any dtype, raw units; returns (N,)."""
    return metric(name).finish(_statistics(name, x, x_hat), scale)


def mean(name: str, x: Array, x_hat: Array, scale: Scale) -> float:
    """The figure that a mean bound is held against. x, x_hat: (N, ...), raw units."""
    statistic = np.mean(_statistics(name, x, x_hat), keepdims=True)
    return float(metric(name).finish(statistic, scale)[0])


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
        return float((value * scale.std) ** 2)
    if name == "mae":
        return float(value**2 * math.pi / 2.0)
    return float(value**2 / 9.0 if name == "max-abs" else value)
