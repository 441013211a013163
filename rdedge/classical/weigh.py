"""Levels chosen pixel by pixel: error weighed against the bits that a context coder would spend.

An encoder's freedom, known to every decoder of a lossless format: a pixel whose level surprises its
neighbours is moved to a likelier one where that saves more bits than the error is worth. Iterated
conditional modes (Besag 1986) under a model of counts, each level given its left, upper, upper left
and upper right neighbours; the rate counts every pixel whose context is touched.
"""

from __future__ import annotations

import numpy as np

from rdedge.types import Array

# Offsets (row, column) from a pixel to its context, in the order of their place in the code.
_CONTEXT = ((0, -1), (-1, 0), (-1, -1), (-1, 1))
# Pixels at these strides share no context, so they move at once without contradicting each other.
_STRIDE = (2, 3)
_PAD = 2


def context_bits(levels: Array, count: int) -> float:
    """Bits of a picture of levels under counts in context, in total, estimated.

    levels: (H, W) uint8 below count.
    """
    padded = np.pad(levels.astype(np.int64), _PAD)
    code = _codes(padded, count) * count + padded
    return float(_rates(code, count)[code[_PAD:-_PAD, _PAD:-_PAD]].sum())


def weigh(picture: Array, levels: Array, greys: Array, price: float, rounds: int = 2) -> Array:
    """Move levels where it pays.

    picture: (H, W) uint8, the grey values wanted. levels: (H, W) uint8, where to start.
    greys: (K,) uint8, the grey value of each level. price: squared error that one bit is worth.
    Returns (H, W) uint8 levels.
    """
    count = len(greys)
    padded = np.pad(levels.astype(np.int64), _PAD)
    error = (picture[..., None].astype(np.float64) - greys.astype(np.float64)) ** 2
    height, width = picture.shape
    for _ in range(rounds):
        codes = _codes(padded, count) * count + padded
        rates = _rates(codes, count) * price
        for row in range(_STRIDE[0]):
            for column in range(_STRIDE[1]):
                codes = _codes(padded, count) * count + padded
                cost = error[row :: _STRIDE[0], column :: _STRIDE[1]].copy()
                if cost.size == 0:
                    continue
                here = _part(padded, row, column, (0, 0), height, width)
                # Its own code, then those of the pixels whose context it is in.
                terms = [((0, 0), 1)]
                terms += [
                    ((-dr, -dc), count ** (len(_CONTEXT) - place))
                    for place, (dr, dc) in enumerate(_CONTEXT)
                ]
                for offset, unit in terms:
                    base = _part(codes, row, column, offset, height, width) - unit * here
                    for level in range(count):
                        cost[..., level] += rates[base + unit * level]
                here[...] = cost.argmin(axis=-1)
    return padded[_PAD:-_PAD, _PAD:-_PAD].astype(np.uint8)


def _part(
    padded: Array, row: int, column: int, offset: tuple[int, int], height: int, width: int
) -> Array:
    """A view of every second row and third column of the picture, moved by an offset."""
    top, left = _PAD + offset[0], _PAD + offset[1]
    return padded[top + row : top + height : _STRIDE[0], left + column : left + width : _STRIDE[1]]


def _codes(padded: Array, count: int) -> Array:
    """The number of each pixel's context; whatever lies outside counts as level 0."""
    code = np.zeros_like(padded)
    for dr, dc in _CONTEXT:
        code *= count
        # Rolling wraps only at the rim of the padding, which nothing reads.
        code += np.roll(padded, (-dr, -dc), axis=(0, 1))
    return code


def _rates(codes: Array, count: int) -> Array:
    """Bits of each level in each context, from the counts of (context, level) over the picture."""
    inside = codes[_PAD:-_PAD, _PAD:-_PAD]
    size = count ** (len(_CONTEXT) + 1)
    seen = np.bincount(inside.ravel(), minlength=size).reshape(-1, count) + 0.4
    return np.asarray(-np.log2(seen / seen.sum(axis=1, keepdims=True))).ravel()
