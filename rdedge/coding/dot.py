"""How a network's weights lie for what multiplies them in C (dot.h)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["padded"]

_LANES = 8


def padded(weights: NDArray[np.int16]) -> NDArray[np.int16]:
    """Rows filled up with zeros to a multiple of what is multiplied side by side."""
    return np.pad(weights, ((0, 0), (0, -weights.shape[1] % _LANES)))
