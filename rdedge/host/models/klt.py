"""Linear transforms that models start from, and the step that a distortion asks for."""

from __future__ import annotations

import math

import numpy as np
import torch

from rdedge.types import Array

# Above this many elements the covariance is not decomposed in full.
_FULL_KLT = 2048


def klt(x: Array, count: int | None = None) -> tuple[Array, Array, Array]:
    """Karhunen-Loeve transform of x: (N, D), any dtype.

    Returns mean (D,), variances (K,) falling, basis (K, D) with orthonormal rows, float64;
    K = count, or D where it is None.
    """
    values = x.astype(np.float64)
    mean = values.mean(axis=0)
    centred = values - mean
    if x.shape[1] <= _FULL_KLT:
        variances, basis = np.linalg.eigh(centred.T @ centred / len(x))
        order = np.argsort(variances)[::-1][:count]
        return mean, np.maximum(variances[order], 0.0), basis[:, order].T
    rank = min(count or 512, *x.shape)
    torch.manual_seed(0)  # the same data, the same components
    _, s, v = torch.svd_lowrank(torch.from_numpy(centred), q=rank, niter=4)
    return mean, (s**2 / len(x)).numpy(), v.T.numpy()


def dct(size: int) -> Array:
    """The orthonormal DCT-II (Ahmed, Natarajan, Rao, 1974): (size, size) float64, row k is basis
    function k.
    """
    k, t = np.arange(size)[:, None], np.arange(size)[None]
    basis: Array = math.sqrt(2.0 / size) * np.cos(math.pi * (2 * t + 1) * k / (2 * size))
    basis[0] /= math.sqrt(2.0)
    return basis


def step_for(variances: Array, distortion: float) -> float:
    """The quantiser step, in units of the data, at which a uniform quantiser of independent
    components with these variances (K,) has this summed squared error for each sample.

    Reverse water-filling: a component below the water level costs its variance, others the level.
    """
    low, high = 0.0, float(variances.max(initial=0.0))
    for _ in range(100):
        level = 0.5 * (low + high)
        if np.minimum(variances, level).sum() > distortion:
            high = level
        else:
            low = level
    return math.sqrt(12.0 * max(high, np.finfo(np.float64).tiny))
