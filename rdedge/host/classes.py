"""Fits the classes of a selection and their tables (FORMAT.md 4.5) to training latents.

Entropy-constrained clustering (P. Chou, T. Lookabaugh, R. Gray, 1989, with code lengths as the
distance): groups go to the class that codes them in the fewest bits, the class's own cost included;
each class's tables are then counted anew. Counts are blended with a Laplace distribution of the
same spread, because a few thousand windows do not fill all tables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rdedge.coding.quantiser import EXACT, PREDICTED, SCALED, STEADY, quantise
from rdedge.coding.selection import Group, Selection, Selector
from rdedge.coding.tables import Tables, cross_entropy_bits, tables_from_counts
from rdedge.types import Array

_ITERATIONS = 8
# Groups that the clustering looks at; the tables are counted on all.
_MOST_GROUPS = 24_000
_MOST_REACH = 2000
# Loudness that training may not have shown: copies of the latents at gains of e^-2 to e^0.7.
_GAINS, _QUIETEST, _LOUDEST = 2, -2.0, 0.7
_LEAST = 2.0 / 65536


@dataclass(frozen=True)
class Band:
    """Latents that share a table.

    by_class: one table for each class, else one for all. symmetric: as likely above as below zero.
    wide: far values are expected, beyond what training showed (the mean of a window).
    """

    by_class: bool = True
    symmetric: bool = False
    wide: bool = False


@dataclass(frozen=True)
class GroupLayout:
    """One group. bands: (K,) positions in Layout.bands; quantisers: (K,) uint8.

    family: groups of one family share the tables of their classes.
    """

    bands: Array
    quantisers: Array
    family: int = 0


@dataclass(frozen=True)
class Layout:
    """How a row of latents is grouped.

    classes: for each family, how many. gains: whether to train on louder and quieter copies. timed:
    whether latents follow each other in time, so that they may repeat themselves. linked: whether
    a window may look at the one before it; then its means have one step for all levels.
    """

    bands: tuple[Band, ...]
    groups: tuple[GroupLayout, ...]
    classes: tuple[int, ...]
    gains: bool = False
    timed: bool = False
    linked: bool = False

    @staticmethod
    def plain(latents: int) -> Layout:
        """Of vectors, which have neither bands nor classes: for contexts."""
        return Layout(
            (), (GroupLayout(np.arange(latents), np.full(latents, SCALED, np.uint8)),), ()
        )

    @property
    def quantisers(self) -> Array:
        """(L,) uint8."""
        return np.concatenate([group.quantisers for group in self.groups])

    def unbound(self, linked: bool = False) -> Layout:
        """The same where a trellis quantises all but what is exact, and nothing is predicted.

        linked: for windows that follow each other; their means do not move the trellis then.
        """
        of_means = STEADY if linked else SCALED
        kinds = np.array([SCALED, of_means, EXACT, of_means], np.uint8)
        groups = [
            replace(g, quantisers=kinds[g.quantisers & ~np.uint8(PREDICTED)]) for g in self.groups
        ]
        return replace(self, groups=tuple(groups), linked=linked)

    def split(self, rows: Array) -> list[Array]:
        """(n, L) -> (n, K) for each group."""
        ends = np.cumsum([len(group.bands) for group in self.groups])
        return np.split(rows, ends[:-1], axis=1)


def fit_classes(
    layout: Layout, symbols: Array, louder: Array | None = None, seed: int = 0
) -> tuple[Selection, Tables]:
    """Selection and tables for rows of symbols (n, L) int32, as they are coded.

    louder: more rows, which the classes must know too, but which say nothing of how frequent they
    are.
    """
    louder = symbols[:0] if louder is None else louder
    book = _Book()
    own = layout.split(symbols)
    every = layout.split(np.concatenate([symbols, louder]))
    fixed = {
        b: book.add(shape_of(np.concatenate(_of_band(layout, own, b)), band))
        for b, band in enumerate(layout.bands)
        if not band.by_class
    }
    groups: list[Group | None] = [None] * len(layout.groups)
    for family, classes in enumerate(layout.classes):
        members = [g for g, group in enumerate(layout.groups) if group.family == family]
        first = layout.groups[members[0]]
        by_class = np.array([layout.bands[b].by_class for b in first.bands])
        samples = [every[g][:, by_class] for g in members]
        cluster = _Cluster(layout, first.bands[by_class], samples, classes, seed)
        ids = [[book.add(t) for t in tables] for tables in cluster.shapes()]
        for place, g in enumerate(members):
            group = layout.groups[g]
            tables = np.empty((len(ids), len(group.bands)), np.uint16)
            for k, b in enumerate(group.bands):
                band = layout.bands[b]
                column = list(cluster.bands).index(b) if band.by_class else -1
                tables[:, k] = [row[column] for row in ids] if band.by_class else fixed[b]
            selector = None
            if len(ids) > 1:
                shares = cluster.shares(place, len(symbols))
                selector = book.add((0, np.append(shares, 1e-9)))
            groups[g] = Group(tables, group.quantisers.astype(np.uint8), selector)
    return Selection(tuple(g for g in groups if g is not None)), book.tables()


def estimated_bits(selection: Selection, tables: Tables, symbols: Array) -> float:
    """Bits that rows of symbols (n, L) int32 take, classes included, by the tables' own word."""
    flat = np.ascontiguousarray(symbols, np.int32).reshape(-1)
    if selection.fixed is not None:
        return cross_entropy_bits(flat, selection.fixed, tables)
    selector = Selector(selection, tables)
    classes = selector.choose(flat)
    bits = cross_entropy_bits(classes, selection.selectors, tables)
    return bits + cross_entropy_bits(flat, selector.index(classes, len(symbols)), tables)


def gained(layout: Layout, y: Array, step: float, rounding: float, seed: int = 0) -> Array:
    """Symbols of copies of y: (n, L) float32, whose groups are louder or quieter, each by a gain of
    its own: what training may not have shown.
    """
    rng = np.random.default_rng(seed)
    copies = []
    for _ in range(_GAINS):
        parts = []
        for group, part in zip(layout.groups, layout.split(y), strict=True):
            gain = np.exp(rng.uniform(_QUIETEST, _LOUDEST, (len(y), 1))).astype(np.float32)
            scaled = group.quantisers == SCALED
            parts.append(np.where(scaled, part * gain, part))
        copies.append(np.concatenate(parts, axis=1))
    flat = np.ascontiguousarray(np.concatenate(copies), np.float32).reshape(-1)
    symbols = quantise(flat, step, rounding, quantisers=layout.quantisers)
    return symbols.reshape(-1, y.shape[1])


def _of_band(layout: Layout, parts: list[Array], band: int) -> list[Array]:
    """All symbols of a band, (n,) each."""
    return [
        part[:, group.bands == band].reshape(-1)
        for group, part in zip(layout.groups, parts, strict=True)
    ]


class _Cluster:
    """Classes of the groups of one family."""

    def __init__(
        self, layout: Layout, bands: Array, samples: list[Array], classes: int, seed: int
    ) -> None:
        self.layout = layout
        self.members = len(samples)
        self.bands, self.band_of = np.unique(bands, return_inverse=True)
        # Group after group of a row, so that the place of a group is its position modulo members.
        self.all = np.stack(samples, axis=1).reshape(len(samples[0]) * self.members, len(bands))
        self.reach = int(min(_MOST_REACH, max(8, np.abs(self.all).max(initial=0))))
        self.clipped = np.clip(self.all, -self.reach, self.reach) + self.reach
        self.classes = classes
        self.chosen = self._start()
        some = np.arange(len(self.all))
        if len(some) > _MOST_GROUPS:
            rng = np.random.default_rng(seed)
            whole = rng.permutation(len(self.all) // self.members)
            rows = np.sort(whole[: _MOST_GROUPS // self.members])
            some = (rows[:, None] * self.members + np.arange(self.members)).reshape(-1)
        for i in range(_ITERATIONS if classes > 1 else 0):
            self._reassign(some if i < _ITERATIONS - 1 else np.arange(len(self.all)), some)

    def _start(self) -> Array:
        """By loudness, in equal shares."""
        loud = np.abs(self.all).sum(axis=1)
        chosen = np.empty(len(self.all), np.int64)
        order = np.argsort(loud, kind="stable")
        chosen[order] = np.arange(len(self.all)) * self.classes // max(1, len(self.all))
        return chosen

    def _reassign(self, which: Array, counted: Array) -> None:
        counts = self._counts(counted)
        bits = np.empty((self.classes, len(self.bands), 2 * self.reach + 1), np.float32)
        for s in range(self.classes):
            for b, band in enumerate(self.bands):
                mass = _blend(counts[s, b], self.layout.bands[band], self.reach)
                bits[s, b] = -np.log2(np.maximum(mass, _LEAST))
        place = which % self.members
        shares = np.full((self.members, self.classes), 0.5)
        np.add.at(shares, (counted % self.members, self.chosen[counted]), 1.0)
        shares /= shares.sum(axis=1, keepdims=True)
        cost = -np.log2(shares)[place].astype(np.float32)
        for k, b in enumerate(self.band_of):
            cost += bits[:, b].T[self.clipped[which, k]]
        self.chosen[which] = cost.argmin(axis=1)

    def _counts(self, which: Array) -> Array:
        """(S, bands, 2 R + 1): how often a symbol occurs."""
        width = 2 * self.reach + 1
        counts = np.zeros((self.classes, len(self.bands), width))
        first = self.chosen[which] * width
        for k, b in enumerate(self.band_of):
            found = np.bincount(first + self.clipped[which, k], minlength=self.classes * width)
            counts[:, b] += found.reshape(self.classes, width)
        return counts

    def shapes(self) -> list[list[tuple[int, Array]]]:
        """Minimum and weights of the tables, class by class and band by band."""
        counts = self._counts(np.arange(len(self.all)))
        total = np.maximum(counts.sum(axis=2), 1.0)
        # What lies beyond is the escape's, not that of the last entries.
        far = np.zeros((self.classes, len(self.bands), 2))
        beyond = np.abs(self.all) > self.reach
        for k, b in enumerate(self.band_of if beyond.any() else ()):
            where = beyond[:, k]
            above = (self.all[where, k] > 0).astype(np.int64)
            np.add.at(far[:, b], (self.chosen[where], above), 1.0)
        counts[:, :, [0, -1]] -= far
        share = far.sum(axis=2) / total
        return [
            [
                cut(
                    _blend(counts[s, b], self.layout.bands[band], self.reach),
                    -self.reach,
                    float(share[s, b]),
                )
                for b, band in enumerate(self.bands)
            ]
            for s in range(self.classes)
        ]

    def shares(self, place: int, rows: int) -> Array:
        """How likely the classes are at one group of the row, by the first rows alone."""
        own = self.chosen[place :: self.members][:rows]
        counts = np.bincount(own, minlength=self.classes) + 0.2
        share: Array = 0.85 * counts / counts.sum() + 0.15 / self.classes
        return share


def _blend(counts: Array, band: Band, reach: int) -> Array:
    """Counts (2 R + 1,) and a Laplace distribution of their spread, as probabilities."""
    offsets = np.arange(-reach, reach + 1)
    if band.symmetric:
        counts = counts + 0.5 * counts[::-1]
    total = counts.sum()
    centre = 0
    if not band.symmetric and total:
        centre = int(offsets[np.searchsorted(np.cumsum(counts), 0.5 * total)])
    away = np.abs(offsets - centre)
    spread = float(counts @ away) / max(total, 1e-9)
    laplace = _laplace(away, spread)
    tail = 0.9**away
    mass = counts + (3.0 + 0.01 * total) * (0.98 * laplace + 0.02 * tail / tail.sum())
    blended: Array = mass / mass.sum()
    return blended


def _laplace(away: Array, spread: float) -> Array:
    """Two-sided geometric distribution with this mean distance, at these distances."""
    # Of theta^|k|: the mean of |k| is 2 theta / (1 - theta^2).
    theta = (np.sqrt(1.0 + spread * spread) - 1.0) / spread if spread > 1e-6 else 1e-4
    mass: Array = float(np.clip(theta, 1e-4, 0.999)) ** away
    mass /= mass.sum()
    return mass


def shape_of(symbols: Array, band: Band) -> tuple[int, Array]:
    """Minimum and weights of one table for symbols (n,)."""
    # Not so near to the ends of int32 that a table would go beyond.
    centre = int(np.clip(np.median(symbols), -(2**31) + _MOST_REACH, 2**31 - 2 - _MOST_REACH))
    offsets = symbols.astype(np.int64) - centre
    far = np.abs(offsets) > _MOST_REACH
    beyond = float(far.mean())
    if not band.wide:
        counts = np.bincount(offsets[~far] + _MOST_REACH, minlength=2 * _MOST_REACH + 1)
        mass = _blend(counts.astype(np.float64), band, _MOST_REACH)
        return cut(mass, centre - _MOST_REACH, beyond)
    away = np.abs(np.arange(-_MOST_REACH, _MOST_REACH + 1))
    # Far means are as likely as their order of magnitude.
    rare = 1.0 / (away + 1.0)
    near = _laplace(away, float(np.minimum(np.abs(offsets), _MOST_REACH).mean()))
    return cut(0.7 * near + 0.3 * rare / rare.sum(), centre - _MOST_REACH, beyond)


def cut(mass: Array, minimum: int, beyond: float) -> tuple[int, Array]:
    """Leave out what is not worth an entry: minimum and weights, the escape's last.

    beyond: the share of symbols that have no entry in mass.
    """
    mass = mass * (1.0 - beyond)
    keep = np.flatnonzero(mass * 65536 > 0.5)
    a, b = (int(keep[0]), int(keep[-1]) + 1) if keep.size else (len(mass) // 2, len(mass) // 2 + 1)
    escape = max(1.0 - float(mass[a:b].sum()), 0.5 / 65536)
    return minimum + a, np.append(mass[a:b], escape)


class _Book:
    """Tables by number; the same table has one number."""

    def __init__(self) -> None:
        self.minima: list[int] = []
        self.weights: list[Array] = []

    def add(self, table: tuple[int, Array]) -> int:
        self.minima.append(table[0])
        self.weights.append(table[1])
        return len(self.minima) - 1

    def tables(self) -> Tables:
        return tables_from_counts(self.minima, self.weights)
