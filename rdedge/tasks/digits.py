"""The share of digits that a classifier reads correctly.

The classifier is a support vector machine with a Gaussian kernel, as in scikit-learn's own example
of handwritten digits (C. Cortes, V. Vapnik, Machine Learning 20, 1995). It works for any samples of
one class each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rdedge.errors import ConfigError, MissingError
from rdedge.tasks.task import Labels, Samples
from rdedge.types import Array

# Training samples that are used, evenly spread: its time grows with their square.
_MOST = 4000


@dataclass(frozen=True)
class _Accuracy:
    def fit(self, samples: Samples, labels: Labels) -> Callable[[Samples, Labels], float]:
        """samples: (N, ...) of one shape; labels: (N,) classes. Raises MissingError."""
        try:
            from sklearn.svm import SVC
        except ImportError as error:
            raise MissingError(
                "the task of digits needs scikit-learn, which is not installed",
                do="pip install 'rdedge[train]'",
            ) from error
        x, y = _rows(samples, labels)
        chosen = np.linspace(0, len(x) - 1, min(len(x), _MOST)).round().astype(int)
        if len(np.unique(y[chosen])) < 2:
            raise ConfigError("the labels are all of one class", expected="at least two classes")
        # One scale for training and for all that is judged; the kernel's width is for data of it.
        scale = float(np.abs(x).max()) or 1.0
        machine = SVC(C=10.0, gamma="scale").fit(x[chosen] / scale, y[chosen])

        def accuracy(samples: Samples, labels: Labels) -> float:
            x, y = _rows(samples, labels)
            return float(np.mean(machine.predict(x / scale) == y))

        return accuracy


accuracy = _Accuracy()


def _rows(samples: Samples, labels: Labels) -> tuple[Array, Array]:
    """(N, elements) float64 and (N,) classes."""
    y = np.asarray([] if labels is None else labels)
    if y.ndim != 1 or len(y) != len(samples) or not len(y) or y.dtype.kind not in "iubUS":
        raise ConfigError(
            f"labels of shape {y.shape} and dtype {y.dtype} for {len(samples)} samples",
            expected="one class a sample, a whole number or a word",
        )
    if len({x.shape for x in samples}) != 1:
        raise ConfigError("samples of different sizes", expected="one size")
    return np.stack(list(samples)).reshape(len(y), -1).astype(np.float64), y
