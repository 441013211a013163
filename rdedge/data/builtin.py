"""Data that needs no file: what scikit-learn's own package holds.

The handwritten digits (E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI,
1998): 1,797 digits of 8 x 8 pixels with values 0 to 16, in the order in which people wrote them.
Two photographs in colour.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rdedge.data.sources import Source
from rdedge.errors import MissingError
from rdedge.types import Array

NAMES = ("digits",)


def is_name(path: str) -> bool:
    """Whether path names such data, and no file of that name is in its way."""
    return path in NAMES and not Path(path).exists()


def load(name: str) -> Source:
    """`digits`: samples (1797, 8, 8) uint8. Raises MissingError without scikit-learn."""
    samples = np.ascontiguousarray(_digits(name).images.astype(np.uint8))
    return Source("digits.npy", "npy", samples, samples.nbytes)


def labels(name: str) -> Array:
    """Which digit each sample of `digits` is: (1797,) int64."""
    found: Array = _digits(name).target
    return found


def photographs() -> dict[str, Array]:
    """Two photographs by their names, (427, 640, 3) uint8. Raises MissingError without
    scikit-learn.
    """
    try:
        from sklearn.datasets import load_sample_images
    except ImportError as error:
        raise MissingError(
            "the photographs come with scikit-learn, which is not installed",
            do="pip install 'rdedge[train]'",
        ) from error
    found = load_sample_images()
    names = [Path(name).stem for name in found.filenames]
    return dict(zip(names, found.images, strict=True))


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
