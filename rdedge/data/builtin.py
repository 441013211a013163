"""The data set that needs no file: the handwritten digits of scikit-learn's own package.

E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998: 1,797 digits of
8 x 8 pixels with values 0 to 16. They come in the order in which people wrote them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rdedge.data.sources import Source
from rdedge.errors import MissingError
from rdedge.types import Array

NAMES = ("digits",)


def load(name: str) -> Source:
    """`digits`: samples (1797, 8, 8) uint8. Raises MissingError without scikit-learn."""
    samples = np.ascontiguousarray(_digits(name).images.astype(np.uint8))
    return Source("digits.npy", "npy", samples, samples.nbytes)


def labels(name: str) -> Array:
    """Which digit each sample of `digits` is: (1797,) int64."""
    found: Array = _digits(name).target
    return found


def _digits(name: str) -> Any:
    assert name in NAMES
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingError(
            "the digits come with scikit-learn, which is not installed",
            do="pip install 'rdedge[train]'",
        ) from error
    return load_digits()
