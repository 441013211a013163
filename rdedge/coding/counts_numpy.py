"""Counts with NumPy (FORMAT.md 4.11): the same integers as in counts.c."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.counts import ORDERS, OUTSIDE, REACH, Counts, level_of
from rdedge.coding.rans_steps import Step
from rdedge.coding.tables import TOTAL

__all__ = ["NumpyCounts"]

# What is counted weighs so much, in sixteenths of a symbol: what an order begins with.
_BEFORE = (48, 16, 10, 8)
# Of 65536: what a lag's symbol is given and what the others are; of the weights what learns, and
# what goes back to the priors.
_HIT, _MISS = 52428, 13107
_KEPT, _BACK = 63488, 2048

Index = NDArray[np.uint16]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Place = tuple[int, int, int]


class _Channel:
    """One channel on its way through a packet: what stood there, and what predictors weigh."""

    def __init__(self, counts: Counts, channel: int, room: int) -> None:
        self._counts, self._static = counts, counts.frequencies[channel]
        self._entries = np.empty(room, np.int64)
        self._known = 0
        self.weights = counts.priors.copy()

    def predicted(self) -> Int64s:
        """What each predictor says of the next entry, (E, n + 1)."""
        t, entries = self._known, self._entries
        size = self._static.shape[1]
        found = np.empty((self._counts.predictors, size), np.int64)
        base = found[0] = self._static[0]
        found[1] = self._static[1 + entries[t - 1]] if t else base
        at = np.arange(max(t - REACH, 0), t)
        for order in range(ORDERS):
            if order:
                # Those that have the same one so far before them.
                at = at[at >= order]
                at = at[entries[at - order] == entries[t - order]] if t >= order else at[:0]
            seen = np.bincount(entries[at], minlength=size)
            before = _BEFORE[order]
            base = ((seen << 20) + before * base) // ((at.size << 4) + before)
            found[2 + order] = base
        for place, lag in enumerate(self._counts.lags, 2 + ORDERS):
            if t >= lag:
                found[place] = found[2] * _MISS >> 16
                found[place, entries[t - lag]] += _HIT
            else:
                found[place] = base
        return found

    def learn(self, entry: int, predicted: Int64s) -> None:
        """Take the entry that came."""
        self._entries[self._known] = entry
        self._known += 1
        did = self.weights * predicted[:, entry]
        # Below 2^16, 2^16 and 2^16.
        self.weights = did * _KEPT // did.sum() + (self._counts.priors * _BACK >> 16)


def _decisions(weights: Int64s, predicted: Int64s) -> tuple[Int64s, Int64s]:
    """Entries, the likeliest first, and the level at which each but the last is asked for."""
    likely = (weights @ predicted >> 16) + 1
    order = np.argsort(-likely, kind="stable")
    sorted_ = likely[order]
    rest = sorted_.sum() - np.cumsum(sorted_) + sorted_
    yes = (sorted_[:-1] * TOTAL // rest[:-1]).clip(1, TOTAL - 1)
    return order, level_of(yes)


class NumpyCounts:
    """One bundle's counts."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts

    def select(self, symbols: Int32s, alone: bool) -> tuple[Int32s, Index, Int32s]:
        """symbols: (samples, C, T) -> decisions in the order in which they are coded, the table of
        each, and how many each symbol takes, (samples, C, T).
        """
        n = self.counts.symbols
        decided: list[int] = []
        index: list[int] = []
        taken = np.empty(symbols.shape, np.int32)
        for at, channel in self._walk(symbols.shape, alone):
            value, entry = self._entry(symbols[at])
            predicted = channel.predicted()
            order, levels = _decisions(channel.weights, predicted)
            place = int(np.flatnonzero(order == entry)[0])
            index += levels[: place + 1].tolist()
            decided += [0] * min(place, n) + [1] * (place < n)
            taken[at] = min(place + 1, n) + (entry == n)
            if entry == n:
                index.append(OUTSIDE)
                decided.append(_wrapped(value))
            channel.learn(entry, predicted)
        return np.array(decided, np.int32), np.array(index, np.uint16), taken

    def steps(self, symbols: Int32s) -> Iterator[Step]:
        """Steps of decoding; symbols (samples, C, T) are filled in on the way."""
        n = self.counts.symbols
        for at, channel in self._walk(symbols.shape, alone=False):
            predicted = channel.predicted()
            order, levels = _decisions(channel.weights, predicted)
            entry = int(order[-1])
            for place in range(n):
                answer = yield from _asked(int(levels[place]))
                if answer == 1:
                    entry = int(order[place])
                    break
            value = entry
            if entry == n:
                value = yield from _asked(OUTSIDE)
            channel.learn(entry, predicted)
            symbols[at] = _wrapped(value + self.counts.minimum)

    def used(self, symbols: Int32s) -> NDArray[np.float64]:
        """What each predictor has weighed where symbols (samples, C, T) came, each sample alone,
        what it said of them included; (E,), added up.
        """
        total = np.zeros(self.counts.predictors)
        for at, channel in self._walk(symbols.shape, alone=True):
            _, entry = self._entry(symbols[at])
            predicted = channel.predicted()
            did = channel.weights * predicted[:, entry]
            total += did / did.sum()
            channel.learn(entry, predicted)
        return total

    def _walk(self, shape: tuple[int, ...], alone: bool) -> Iterator[tuple[Place, _Channel]]:
        """The symbols of samples (samples, C, T) in the order in which they are coded, and their
        channels, which begin anew with a packet, or alone with each sample.
        """
        samples, channels, times = shape
        for s in range(samples):
            if not s or alone:
                room = times if alone else samples * times
                state = [_Channel(self.counts, c, room) for c in range(channels)]
            for c in range(channels):
                for t in range(times):
                    yield (s, c, t), state[c]

    def _entry(self, symbol: np.int32) -> tuple[int, int]:
        """A symbol less the first one, and its entry."""
        value = int(symbol) - self.counts.minimum
        return value, value if 0 <= value < self.counts.symbols else self.counts.symbols


def _wrapped(value: int) -> int:
    """Modulo 2^32, as an int32."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def _asked(table: int) -> Generator[Step, None, int]:
    """One decision with this table; its answer is what the generator returns."""
    seen: list[Int32s] = []

    def tables(decided: Int32s) -> Index:
        seen.append(decided)
        return np.array([table], np.uint16)

    yield slice(0, 1), tables
    return int(seen[0][0])
