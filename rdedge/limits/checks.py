"""What all limits ask of their arguments."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdedge.errors import ConfigError, ShapeError, ValueRangeError

Floats = NDArray[np.float64]

# By how much a covariance may miss symmetry or have negative eigenvalues, relative to its largest
# entry: what estimates in float32 show.
_TOLERANCE = 1e-6
_LARGEST = 16384
# By how much a sum of probabilities may miss 1.
_SUM = 1e-6


def number(
    name: str, value: object, *, above: float = -math.inf, least: float = -math.inf
) -> float:
    """The value as a float. Raises ConfigError for what is no finite number, not above `above` or
    less than `least`.
    """
    try:
        # A bool is a number to Python, to nobody else.
        known = isinstance(value, int | float | np.integer | np.floating)
        found = float(value) if known and not isinstance(value, bool) else math.nan  # type: ignore[arg-type]
    except OverflowError:
        found = math.inf
    if not (math.isfinite(found) and found > above and found >= least):
        expected = "a finite number"
        if above > -math.inf:
            expected += f" above {above:g}"
        if least > -math.inf:
            expected += f" of at least {least:g}"
        raise ConfigError(f"a {name} of {value!s:.40}", expected=expected)
    return found


def array(name: str, value: ArrayLike, dimensions: int) -> Floats:
    """The value as float64 with this many axes, none empty. Raises ShapeError where it has not,
    ValueRangeError where an entry is not finite.
    """
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ShapeError(f"the {name} is no array of numbers: {error}") from error
    if found.ndim != dimensions or not found.size:
        raise ShapeError(
            f"a {name} of shape {found.shape}", expected=f"{dimensions} axes, none of them empty"
        )
    bad = np.argwhere(~np.isfinite(found))
    if len(bad):
        where = tuple(int(i) for i in bad[0])
        raise ValueRangeError(
            f"entry {where} of the {name} is {found[where]}", expected="finite numbers"
        )
    return found


def probabilities(value: ArrayLike) -> Floats:
    """The value as probabilities (N,) that add up to exactly 1. Raises ValueRangeError for those
    below 0, ConfigError where they do not add up to 1 within 1e-6.
    """
    found = array("list of probabilities", value, 1)
    not_negative("probability", found)
    total = float(found.sum())
    if not abs(total - 1.0) <= _SUM:
        raise ConfigError(
            f"probabilities that add up to {total:.9g}", expected="1", do="divide them by their sum"
        )
    return found / total


def not_negative(name: str, values: Floats) -> None:
    """Raise ValueRangeError where one of values is below 0."""
    if values.min() < 0.0:
        raise ValueRangeError(f"a {name} of {values.min():g}", expected="at least 0")


def scaled(variances: ArrayLike) -> tuple[Floats, float]:
    """Variances (D,) by their largest, and that. Raises ValueRangeError for a negative one."""
    found = array("list of variances", variances, 1)
    not_negative("variance", found)
    largest = float(found.max())
    return (found / largest if largest else found), largest


def spectrum(covariance: ArrayLike) -> tuple[Floats, float]:
    """Eigenvalues (D,) of a covariance (D, D) in units of its largest entry, and that entry.

    Raises ConfigError for what is not symmetric or not positive semi-definite, beyond a relative
    1e-6; eigenvalues below 0 by less count as 0.
    """
    found = array("covariance", covariance, 2)
    if found.shape[0] != found.shape[1] or len(found) > _LARGEST:
        raise ShapeError(
            f"a covariance of shape {found.shape}", expected=f"(D, D), D at most {_LARGEST}"
        )
    largest = float(np.abs(found).max())
    if not largest:
        return np.zeros(len(found)), 0.0
    found = found / largest
    gap = np.abs(found - found.T)
    if gap.max() > _TOLERANCE:
        i, j = (int(k) for k in np.unravel_index(gap.argmax(), gap.shape))
        raise ConfigError(
            f"a covariance that is not symmetric: entries ({i}, {j}) and ({j}, {i}) differ by "
            f"{gap[i, j] * largest:g}",
            expected="a symmetric matrix",
            do="take the mean of it and its transpose, if rounding made them differ",
        )
    eigenvalues: Floats = np.linalg.eigvalsh(0.5 * (found + found.T))
    if eigenvalues[0] < -_TOLERANCE * eigenvalues[-1]:
        raise ConfigError(
            f"a covariance with an eigenvalue of {eigenvalues[0] * largest:g}",
            expected="none below 0: a positive semi-definite matrix",
            do="estimate all entries from the same samples",
        )
    return np.maximum(eigenvalues, 0.0), largest


def dimension(size: object) -> int:
    """The size as an int. Raises ConfigError unless it is a whole number from 1 to 16384."""
    if isinstance(size, int | np.integer) and type(size) is not bool and 1 <= size <= _LARGEST:
        return int(size)
    raise ConfigError(f"a size of {size!s:.40}", expected=f"a whole number, 1 to {_LARGEST}")
