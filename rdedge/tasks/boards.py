"""How much of a circuit board comes back: what an inspection of its picture would look at.

A picture of copper (bright) on its ground (dark) is cut at half its range into parts: pieces of
connected copper, and the gaps between them. What an inspection looks for changes the parts: an open
splits a piece, a short joins two, a pinhole adds a gap, spurious or missing copper adds or takes
away a piece, a bite or a spur changes a piece's area. Here the raw picture stands for the board as
it is, so the score says which share of the parts the codec left as they were; where it is below 1,
the codec made or hid something that counts as a defect. It does not say how many of a board's own
defects are found: that needs a picture of the board without them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rdedge.errors import ConfigError, MissingError
from rdedge.tasks.task import Labels, Samples
from rdedge.types import Array

_CUT = 128
# Pixels: below, a part is taken for dust, as the sources' own JPEG leaves it along edges.
_DUST = 16
# Share of its area by which a part may change: less than the bites and spurs to be found.
_AREA = 0.05


def intact(samples: Samples, labels: Labels) -> float:
    """Parts that are the same in both, as a share of all parts of raw and decoded pictures: 0 to 1.

    samples: N pictures (H, W, 1) uint8; labels: the same N pictures, raw. Two parts are the same
    where they overlap each other and no other part by at least 16 pixels and differ by at most 5 %
    in area. Raises MissingError without SciPy, ConfigError for other samples.
    """
    if labels is None or len(labels) != len(samples) or not len(samples):
        raise ConfigError(
            f"{len(samples)} pictures to judge by {0 if labels is None else len(labels)}",
            expected="the raw pictures as labels, one for each",
        )
    same = total = 0
    for decoded, raw in zip(samples, labels, strict=True):
        if np.shape(decoded) != np.shape(raw):
            raise ConfigError(
                f"a picture of shape {np.shape(decoded)} to judge by {np.shape(raw)}",
                expected="pictures of one shape",
            )
        for ours, theirs in zip(_parts(raw), _parts(decoded), strict=True):
            matched, of = _match(ours, theirs)
            same, total = same + matched, total + of
    return same / total if total else 1.0


def _parts(picture: Array) -> Sequence[Array]:
    """Labels (H, W) of copper, touching at corners too, and of gaps; 0 elsewhere and for dust."""
    try:
        from scipy import ndimage
    except ImportError as error:
        raise MissingError(
            "the task of boards needs scipy, which is not installed",
            do="pip install 'rdedge[train]'",
        ) from error
    if (
        picture.dtype != np.uint8
        or picture.ndim not in (2, 3)
        or picture.shape[2:] not in ((), (1,))
    ):
        raise ConfigError(
            f"a picture of shape {picture.shape} and dtype {picture.dtype}",
            expected="(H, W, 1) uint8",
        )
    copper = picture.reshape(picture.shape[:2]) >= _CUT
    found = []
    for mask, corners in ((copper, 2), (~copper, 1)):
        labels, _ = ndimage.label(mask, ndimage.generate_binary_structure(2, corners))
        area = np.bincount(labels.ravel())
        area[0] = 0
        found.append(np.where(area[labels] >= _DUST, labels, 0))
    return found


def _match(a: Array, b: Array) -> tuple[int, int]:
    """Parts of labels a that b has too, and parts of both together."""
    areas_a, areas_b = np.bincount(a.ravel()), np.bincount(b.ravel())
    areas_a[0] = areas_b[0] = 0
    pairs, pixels = np.unique(
        a.ravel().astype(np.int64) * len(areas_b) + b.ravel(), return_counts=True
    )
    i, j = np.divmod(pairs[pixels >= _DUST], len(areas_b))
    i, j = i[(i > 0) & (j > 0)], j[(i > 0) & (j > 0)]
    alone = (np.bincount(i, minlength=len(areas_a))[i] == 1) & (
        np.bincount(j, minlength=len(areas_b))[j] == 1
    )
    near = np.abs(areas_a[i] - areas_b[j]) <= _AREA * areas_a[i]
    same = int((alone & near).sum())
    return same, int((areas_a > 0).sum() + (areas_b > 0).sum()) - same
