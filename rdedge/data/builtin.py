"""Data that needs no file.

What scikit-learn's own package holds: the handwritten digits (E. Alpaydin, C. Kaynak, "Optical
Recognition of Handwritten Digits", UCI, 1998): 1,797 digits of 8 x 8 pixels with values 0 to 16, in
the order in which people wrote them. Two photographs in colour.

Toy sets of points in the plane, drawn here: a curve, or pieces of lines, known to be there, and
around it isotropic Gaussian noise of a known size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rdedge.data.sources import Source
from rdedge.errors import MissingError
from rdedge.types import Array

# Of a toy set: the standard deviation of the noise in each of the two coordinates.
NOISE = {"mixture": 0.1, "spiral": 0.05, "ring": 0.05}
NAMES = ("digits", *NOISE)
_POINTS = 4000
_SEED = 13127381


def is_name(path: str) -> bool:
    """Whether path names such data, and no file of that name is in its way."""
    return path in NAMES and not Path(path).exists()


def has_labels(path: str) -> bool:
    """Whether path names such data, and each of its samples has a label."""
    return path == "digits" and is_name(path)


def load(name: str) -> Source:
    """`digits`: samples (1797, 8, 8) uint8. Raises MissingError without scikit-learn.

    `mixture`, `spiral`, `ring`: samples (4000, 2) float32, the same each time, in random order,
    each a point without noise plus normal noise of standard deviation NOISE[name] in both
    coordinates. The points without noise:

    ring      on the circle of radius 1 around 0
    spiral    on two turns of r = 0.3 + 0.85 t, t in turns, so that neighbouring turns are 0.85
              apart; as many on each piece of the same length
    mixture   of three Gaussians, with shares 0.5, 0.3 and 0.2 and means 1.2 away from 0 in equal
              angles; each is one line, with a standard deviation of 0.6, 0.4 and 0.3 along it
    """
    if name == "digits":
        samples = np.ascontiguousarray(_digits(name).images.astype(np.uint8))
    else:
        # RandomState's numbers are promised to stay as they are, those of a Generator are not.
        rng = np.random.RandomState(_SEED)
        skeleton = _SKELETONS[name](rng)
        samples = (skeleton + NOISE[name] * rng.standard_normal((_POINTS, 2))).astype(np.float32)
    return Source(f"{name}.npy", "npy", samples, samples.nbytes)


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
    assert name == "digits"
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingError(
            "the digits come with scikit-learn, which is not installed",
            do="pip install 'rdedge[train]'",
        ) from error
    return load_digits()


def _ring(rng: np.random.RandomState) -> Array:
    return _polar(np.ones(_POINTS), rng.random_sample(_POINTS))


def _spiral(rng: np.random.RandomState) -> Array:
    # Where the length of the curve, found on a fine grid, is what was drawn.
    t = np.linspace(0.0, 2.0, 4097)
    r = 0.3 + 0.85 * t
    speed = np.hypot(0.85, 2.0 * math.pi * r)
    length = np.concatenate([[0.0], np.cumsum(0.5 * (speed[1:] + speed[:-1]) * np.diff(t))])
    drawn = np.interp(length[-1] * rng.random_sample(_POINTS), length, t)
    return _polar(0.3 + 0.85 * drawn, drawn)


def _mixture(rng: np.random.RandomState) -> Array:
    which = np.searchsorted([0.5, 0.8], rng.random_sample(_POINTS), side="right")
    means = _polar(np.full(3, 1.2), np.array([1.0, 5.0, 9.0]) / 12.0)
    along = _polar(np.array([0.6, 0.4, 0.3]), np.array([0.0, 4.0, 3.0]) / 12.0)
    return means[which] + along[which] * rng.standard_normal((_POINTS, 1))


def _polar(r: Array, turns: Array) -> Array:
    """Radii and angles (N,) -> points (N, 2)."""
    angle = 2.0 * math.pi * turns
    return np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)


_SKELETONS: dict[str, Callable[[np.random.RandomState], Array]] = {
    "mixture": _mixture,
    "spiral": _spiral,
    "ring": _ring,
}
