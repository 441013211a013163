"""Fits counts (FORMAT.md 4.11) to training latents of a layout in the time domain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rdedge.coding.counts import PREDICTORS, REACH, SYMBOLS_MAX, Counts, decision_tables
from rdedge.coding.counts_numpy import NumpyCounts
from rdedge.coding.quantiser import EXACT
from rdedge.coding.selection import Selection
from rdedge.coding.tables import Tables, integer_frequencies
from rdedge.host.classes import Layout
from rdedge.host.spans import lag_of
from rdedge.types import Array

# Share of training symbols that are told apart, if there are not too many.
_TOLD_APART = 0.999
# Of the frequencies: what training has not shown, falling by e over so many symbols.
_UNSEEN, _FALL = 0.05, 8.0
# After a symbol, how many symbols' worth of all symbols' frequencies.
_SMOOTHING = 4.0
# Training samples that priors are fitted on, rounds of that, and what is kept even for each.
_SAMPLES, _ROUNDS, _EVEN = 48, 2, 0.3


def counts_suit(layout: Layout) -> bool:
    """Whether latents are values in time, channel after channel, all as many."""
    lengths = {len(group.bands) for group in layout.groups}
    return layout.timed and len(lengths) == 1 and not (layout.quantisers == EXACT).any()


def fit_counts(layout: Layout, rows: Array) -> tuple[Selection, Tables, Counts]:
    """What codes such latents. rows: (n, L) int32, symbols of training samples."""
    channels = len(layout.groups)
    shaped = rows.reshape(len(rows), channels, -1)
    minimum, n = _told_apart(rows)
    entries = np.where((shaped >= minimum) & (shaped < minimum + n), shaped - minimum, n)
    lag = lag_of(layout, rows)
    lags = tuple(k for k in (lag - 1, lag, lag + 1, 2 * lag) if 1 <= k <= REACH)
    predictors = PREDICTORS + len(lags)
    priors = integer_frequencies(np.ones(predictors))
    frequencies = np.stack([_frequencies(entries[:, c], n) for c in range(channels)])
    counts = Counts(minimum, lags, priors, frequencies)
    some = shaped[:: -(-len(shaped) // _SAMPLES)]
    for _ in range(_ROUNDS):
        used = NumpyCounts(counts).used(some)
        mixed = (1 - _EVEN) * used / used.sum() + _EVEN / predictors
        counts = replace(counts, priors=integer_frequencies(mixed))
    return Selection.single(layout.quantisers), decision_tables(), counts


def _told_apart(rows: Array) -> tuple[int, int]:
    """The first of the symbols that are told apart, and how many."""
    values, times = np.unique(rows, return_counts=True)
    off = (1.0 - _TOLD_APART) / 2.0
    shares = np.array([off, 0.5, 1.0 - off]) * rows.size
    low, middle, high = values[np.searchsorted(np.cumsum(times), shares)].tolist()
    # Beyond what training has shown half as much again, on either side.
    room = (high - low) // 2 + 2
    first = max(low - room, middle - SYMBOLS_MAX // 2)
    return first, min(high + room + 1 - first, SYMBOLS_MAX)


def _frequencies(entries: Array, n: int) -> Array:
    """Of a channel's entries (samples, T): in all, and after each, (n + 2, n + 1)."""
    total = np.bincount(entries.ravel(), minlength=n + 1).astype(np.float64)
    far = np.abs(np.arange(n + 1) - int(total.argmax()))
    unseen = np.exp(-far / _FALL)
    in_all = (1 - _UNSEEN) * total / total.sum() + _UNSEEN * unseen / unseen.sum()
    after = np.zeros((n + 1, n + 1))
    np.add.at(after, (entries[:, :-1].ravel(), entries[:, 1:].ravel()), 1.0)
    after += _SMOOTHING * in_all
    return np.stack([integer_frequencies(row) for row in np.vstack([in_all, after])])
