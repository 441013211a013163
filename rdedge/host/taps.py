"""What foretells the mean of a latent (FORMAT.md 4.8): a few others, weighted, by least squares.

Of all latents that are known before it, of its own row and of the rows around it, one after the
other is taken in that explains most of what is left, as long as that holds for the half of the
training rows that it was not chosen on.
"""

from __future__ import annotations

import numpy as np

from rdedge.coding.context import TAPS_MAX, Tap
from rdedge.coding.rows import DIRECTIONS
from rdedge.types import Array

_MOST_ROWS, _MOST_TAPS = 24_000, 8
# Rows count by one over their energy and this, so that a few loud ones do not decide alone.
_QUIET = 0.5
_RIDGE, _GAIN = 1.0, 0.004
# A weight below 1/64 moves no mean.
_LEAST = 4
assert _MOST_TAPS <= TAPS_MAX


def fit_taps(batches: list[Array], open_: Array) -> tuple[tuple[Tap, ...], ...]:
    """batches: symbols (n, *grid, L) int32. open_: (L,) bool, which latents have contexts; the
    others neither are foretold nor foretell.
    """
    latents = batches[0].shape[-1]
    grams = [np.zeros((0, 0))] * 2
    of_rows = _features(batches)
    middle = len(of_rows) // 2
    # Not every other row: neighbours, and windows that overlap, are alike.
    for half, some in enumerate((of_rows[:middle], of_rows[middle:])):
        x = some.astype(np.float64)
        x /= np.sqrt(np.square(x[:, :latents]).mean(axis=1, keepdims=True) + _QUIET)
        grams[half] = x.T @ x
    places = grams[0].shape[0]
    known = np.tile(open_, places // latents)
    return tuple(
        _taps(grams, k, np.flatnonzero(known & _before(k, latents, places)), latents)
        if open_[k]
        else ()
        for k in range(latents)
    )


def _features(batches: list[Array]) -> Array:
    """(R, D L) float32: the rows, and beside them, where they lie in a grid, those around them."""
    most = max(1, _MOST_ROWS // max(1, len(batches)))
    found = []
    for symbols in batches:
        if symbols.ndim == 2:
            found.append(symbols[:: -(-len(symbols) // most)].astype(np.float32))
            continue
        _, lines, places, latents = symbols.shape
        padded = np.pad(symbols, ((0, 0), (2, 0), (2, 1), (0, 0)))
        parts = [
            padded[:, 2 + down : 2 + down + lines, 2 + right : 2 + right + places]
            for down, right in DIRECTIONS
        ]
        rows = np.concatenate(parts, axis=-1).reshape(-1, len(DIRECTIONS) * latents)
        found.append(rows[:: -(-len(rows) // most)].astype(np.float32))
    return np.concatenate(found)


def _before(k: int, latents: int, places: int) -> Array:
    """Which places are known when latent k is coded: all of other rows, of its own those before."""
    known = np.ones(places, bool)
    known[k:latents] = False
    return known


def _taps(grams: list[Array], k: int, candidates: Array, latents: int) -> tuple[Tap, ...]:
    chosen: list[int] = []
    learn, judge = grams
    error = judge[k, k]
    weights = np.zeros(0)
    power = np.sqrt(np.diag(learn)[candidates] + _RIDGE)
    while len(chosen) < min(_MOST_TAPS, len(candidates)) and error > 0:
        left = learn[candidates, k] - learn[candidates][:, chosen] @ weights
        score = np.abs(left) / power
        score[np.isin(candidates, chosen)] = -1.0
        tried = [*chosen, int(candidates[score.argmax()])]
        of_tried = _solve(learn, tried, k)
        then = judge[k, k] - 2.0 * of_tried @ judge[tried, k]
        then += of_tried @ judge[np.ix_(tried, tried)] @ of_tried
        if then > error * (1.0 - _GAIN):
            break
        chosen, error, weights = tried, then, of_tried
    if not chosen:
        return ()
    rounded = np.rint(256.0 * _solve(learn + judge, chosen, k)).astype(np.int64).clip(-4095, 4095)
    return tuple(
        (at // latents, at % latents, int(w))
        for at, w in zip(chosen, rounded, strict=True)
        if abs(w) >= _LEAST
    )


def _solve(gram: Array, chosen: list[int], k: int) -> Array:
    inside = gram[np.ix_(chosen, chosen)] + _RIDGE * np.eye(len(chosen))
    found: Array = np.linalg.solve(inside, gram[chosen, k])
    return found
