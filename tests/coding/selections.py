"""Selections and tables of all sorts, and FORMAT.md 4.5 once more in plain Python."""

from __future__ import annotations

import numpy as np

from rdedge.coding.selection import Group, Selection
from rdedge.coding.tables import COST_BITS, Tables, tables_from_counts
from tests.coding.reference import varint

EXTREMES = (-(2**31), 2**31 - 1)


def random_tables(rng: np.random.Generator, count: int) -> Tables:
    """Narrow and wide ones, some at the ends of int32."""
    minima, weights = [], []
    for _ in range(count):
        regular = int(rng.choice([1, 2, 5, 40]))
        low = int(rng.integers(-20, 4))
        if rng.random() < 0.1:
            low = int(rng.choice([EXTREMES[0], EXTREMES[1] - regular + 1]))
        minima.append(low)
        weights.append(rng.exponential(size=regular + 1) ** int(rng.integers(1, 5)) + 1e-6)
    return tables_from_counts(minima, weights)


def random_selection(rng: np.random.Generator, tables: int) -> Selection:
    groups = []
    for _ in range(int(rng.integers(1, 5))):
        length, classes = int(rng.integers(1, 9)), int(rng.choice([1, 2, 3, 16]))
        ids = rng.integers(0, tables, (classes, length)).astype(np.uint16)
        if classes > 1 and rng.random() < 0.3:
            ids[-1] = ids[0]  # two classes that cost the same, but for their names
        selector = int(rng.integers(0, tables)) if classes > 1 else None
        groups.append(Group(ids, rng.integers(0, 3, length).astype(np.uint8), selector))
    return Selection(tuple(groups))


def random_symbols(rng: np.random.Generator, rows: int, latents: int) -> np.ndarray:
    """Loud and quiet rows, zeros, and the ends of int32."""
    loud = rng.choice([0.2, 2.0, 30.0], (rows, 1))
    symbols = np.rint(rng.laplace(scale=loud, size=(rows, latents))).astype(np.int32)
    symbols[rng.random(symbols.shape) < 0.02] = rng.choice(EXTREMES)
    return symbols


def cost(tables: Tables, t: int, symbol: int) -> int:
    """What a symbol costs with table t, in 2^-20 bits."""
    minimum, regular = int(tables.minimum[t]), len(tables.frequencies[t]) - 1
    first = sum(len(f) for f in tables.frequencies[:t])
    entry = symbol - minimum
    if 0 <= entry < regular:
        return int(tables.costs[first + entry])
    away = symbol - (minimum + regular)
    value = 2 * away if away >= 0 else 2 * (minimum - 1 - symbol) + 1
    return int(tables.costs[first + regular]) + (8 * len(varint(value)) << COST_BITS)


def cheapest(selection: Selection, tables: Tables, rows: np.ndarray) -> list[int]:
    """The classes of all groups with several, row after row: the first of the cheapest."""
    found = []
    for row in rows.tolist():
        first = 0
        for group in selection.groups:
            some = row[first : first + group.length]
            first += group.length
            if group.selector is None:
                continue
            costs = [
                cost(tables, group.selector, s)
                + sum(cost(tables, int(t), q) for t, q in zip(ids, some, strict=True))
                for s, ids in enumerate(group.tables)
            ]
            found.append(costs.index(min(costs)))
    return found


def tables_of(selection: Selection, classes: list[int], rows: int) -> list[int]:
    """Which table codes which latent."""
    chosen = iter(classes)
    found: list[int] = []
    for _ in range(rows):
        for group in selection.groups:
            s = next(chosen) if group.selector is not None else 0
            found += group.tables[s].tolist()
    return found
