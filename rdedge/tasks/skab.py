"""How well anomalies in windows of a series are found, row by row.

Where training has anomalies enough the detector is a linear discriminant (R. A. Fisher, "The use of
multiple measurements in taxonomic problems", 1936) with the limit that finds those best. Else it is
Hotelling's T-squared (H. Hotelling, "Multivariate quality control", 1947): the squared Mahalanobis
distance of a row from the mean of the rows in order, and an alarm where it exceeds what 99 % of
them stay below. The score is the F1 of its alarms over all rows.

A level that is fixed in training says nothing about data whose level has moved since: on SKAB
T-squared needs training windows from the same campaign as those that are judged. Trained on the
file without anomalies, recorded weeks before, it takes every row for an anomaly, raw or decoded.
What tells valves that close from others moves less: the discriminant learns which channels say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rdedge.errors import ConfigError
from rdedge.tasks.task import Labels, Samples
from rdedge.types import Array

_IN_ORDER = 0.99
# Limits that a discriminant tries, from one end of its values to the other.
_LIMITS = 199


@dataclass(frozen=True)
class _F1:
    def fit(self, samples: Samples, labels: Labels) -> Callable[[Samples, Labels], float]:
        """samples: (N, T, C); labels: (N, T), not 0 where a row is anomalous; None if none is."""
        if labels is None:
            labels = np.zeros(np.shape(samples)[:2])
        rows, marks = _rows(samples, labels)
        whole = np.isfinite(rows).all(axis=1)
        wrong, rows = rows[marks & whole], rows[~marks & whole]
        if len(rows) < 2 * rows.shape[1]:
            raise ConfigError(
                f"{len(rows)} rows in order, of {rows.shape[1]} channels, to learn from",
                expected=f"at least {2 * rows.shape[1]}",
            )
        mean, std = rows.mean(axis=0), rows.std(axis=0)
        # A channel that never moved in training counts in its own unit.
        std = np.where(std > 0, std, 1.0)
        fitted = _discriminant if len(wrong) >= 2 * rows.shape[1] else _t_squared
        distance, limit = fitted((rows - mean) / std, (wrong - mean) / std)

        def f1(samples: Samples, labels: Labels) -> float:
            rows, marks = _rows(samples, labels)
            if rows.shape[1] != len(mean):
                raise ConfigError(
                    f"windows of {rows.shape[1]} channels", expected=f"{len(mean)}, as in training"
                )
            # A row with a gap is no alarm: NaN exceeds nothing.
            alarms = distance((rows - mean) / std) > limit
            total = int(alarms.sum()) + int(marks.sum())
            return 2.0 * int((alarms & marks).sum()) / total if total else 1.0

        return f1


f1 = _F1()


# Of standardised rows (R, C) -> how far each is from order, (R,), and the limit of an alarm.
Detector = tuple[Callable[[Array], Array], float]


def _t_squared(rows: Array, wrong: Array) -> Detector:
    """Hotelling's, of rows in order; wrong ones are too few to teach."""
    covariance = np.atleast_2d(np.cov(rows, rowvar=False))
    inverse = np.linalg.pinv(covariance, hermitian=True)

    def distance(z: Array) -> Array:
        squared: Array = np.einsum("rc,cd,rd->r", z, inverse, z)
        return squared

    return distance, float(np.quantile(distance(rows), _IN_ORDER))


def _discriminant(rows: Array, wrong: Array) -> Detector:
    """Fisher's, of rows in order and of wrong ones, and the limit with the best F1 on both."""
    middle = wrong.mean(axis=0)
    within = rows.T @ rows + (wrong - middle).T @ (wrong - middle)
    direction = np.linalg.pinv(within / (len(rows) + len(wrong)), hermitian=True) @ middle

    def along(z: Array) -> Array:
        found: Array = z @ direction
        return found

    of_rows, of_wrong = along(rows), along(wrong)
    limits = np.quantile(np.concatenate([of_rows, of_wrong]), np.linspace(0, 1, _LIMITS + 2)[1:-1])

    def score(limit: float) -> float:
        found = int((of_wrong > limit).sum())
        return 2.0 * found / (found + int((of_rows > limit).sum()) + len(wrong))

    return along, float(max(limits, key=score))


def _rows(samples: Samples, labels: Labels) -> tuple[Array, Array]:
    """(N * T, C) float64 and (N * T,) bool."""
    x = np.asarray(samples, np.float64)
    marks = np.asarray(labels)
    if x.ndim != 3 or x.shape[:2] != marks.shape:
        raise ConfigError(
            f"windows of shape {x.shape} with labels of shape {marks.shape}",
            expected="(N, T, C) with (N, T), one label a row",
        )
    return x.reshape(-1, x.shape[2]), marks.reshape(-1) != 0
