"""Linear transforms that models start from, and the step that a distortion asks for."""

from __future__ import annotations

import math

import numpy as np
import torch

from rdedge.types import Array

# Above this many elements the covariance is not decomposed in full.
_FULL_KLT = 2048
# Below this share of the largest variance there is none; how far a statistic may be from its mean.
_RANK, _DEVIATIONS = 1e-12, 4.0


def klt(x: Array, count: int | None = None) -> tuple[Array, Array, Array]:
    """Karhunen-Loeve transform of x: (N, D), any dtype.

    Returns mean (D,), variances (K,) falling, basis (K, D) with orthonormal rows, float64;
    K = count, or D where it is None. Where the elements are uncorrelated, as far as so many samples
    can tell, they are the components themselves: to turn them would only mix what is independent.
    """
    values = x.astype(np.float64)
    mean = values.mean(axis=0)
    centred = values - mean
    if x.shape[1] <= _FULL_KLT:
        covariance = centred.T @ centred / len(x)
        variances, basis = np.linalg.eigh(covariance)
        if _uncorrelated(covariance, variances, len(x)):
            variances, basis = covariance.diagonal(), np.eye(len(covariance))
        order = np.argsort(variances)[::-1][:count]
        return mean, np.maximum(variances[order], 0.0), basis[:, order].T
    rank = min(count or 512, *x.shape)
    torch.manual_seed(0)  # the same data, the same components
    _, s, v = torch.svd_lowrank(torch.from_numpy(centred), q=rank, niter=4)
    return mean, (s**2 / len(x)).numpy(), v.T.numpy()


def _uncorrelated(covariance: Array, variances: Array, count: int) -> bool:
    """Bartlett's test of sphericity: -(N - 1 - (2 D + 5) / 6) ln det of the correlations has a
    chi-square distribution with D (D - 1) / 2 degrees of freedom where there are none
    (M. S. Bartlett, 1951). It is about all of them together; a few strong ones are seen by the
    largest, of which chance reaches about sqrt(4 ln D) / sqrt(N).

    covariance: (D, D), of the elements; variances: (D,) of the principal components.
    """
    own = covariance.diagonal()
    moving = own > 0.0
    d = int(moving.sum())
    factor = count - 1 - (2 * d + 5) / 6
    # With more elements than samples, or one that follows from others, there is no determinant.
    least = np.sort(variances)[len(variances) - d :]
    if d < 2 or factor <= d or not (least > _RANK * variances.max(initial=0.0)).all():
        return False
    of_moving = covariance[np.ix_(moving, moving)]
    sizes = np.sqrt(own[moving])
    correlations = np.abs(np.triu(of_moving / sizes[:, None] / sizes[None, :], 1))
    if correlations.max() * math.sqrt(count) > math.sqrt(4.0 * math.log(d)) + _DEVIATIONS / 2.0:
        return False
    freedom = d * (d - 1) / 2
    statistic = factor * float(np.log(own[moving]).sum() - np.log(least).sum())
    return statistic < freedom + _DEVIATIONS * math.sqrt(2.0 * freedom)


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
