"""Trellises to try, and what their quantisation means, written out slowly."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from rdedge.coding.quantiser import EXACT, NEAREST, PREDICTED, SCALED
from rdedge.coding.tables import Tables, escape_values, tables_from_counts, varint_lengths
from rdedge.coding.trellis import EIGHT, Trellis

FOUR = Trellis(((0, 1), (2, 3), (1, 0), (3, 2)))


def f32(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def geometric(*halves: int, reach: int = 20) -> Tables:
    """Tables in which a step away from zero costs so many bits, as far as 16 bits go."""
    k = np.abs(np.arange(-reach, reach + 1))
    weights = [np.append(0.5 ** (bits * k), 2.0**-16) for bits in halves]
    return tables_from_counts([-reach] * len(halves), weights)


def zeros(y: np.ndarray) -> np.ndarray:
    return np.zeros(y.shape, np.uint16)


def bits(tables: Tables, t: int, k: int) -> float:
    entry, n = k - int(tables.minimum[t]), int(tables.regular[t])
    costs = tables.costs[tables.first[t] : tables.first[t] + n + 1]
    if 0 <= entry < n:
        return int(costs[entry]) / 2**20
    one = [np.array([v], np.int64) for v in (k, tables.minimum[t], n)]
    return int(costs[n]) / 2**20 + 8 * int(varint_lengths(escape_values(*one))[0])


def multiple(k: int, q: int) -> int:
    return (2 * abs(k) - (q if k else 0)) * (1 if k >= 0 else -1)


def cost(v, symbols, lam, index, tables, trellis) -> float:
    """Of one row whose latents are all SCALED. v: y / step. index: (L,) or (L, 2)."""
    state, total = 0, 0.0
    for a, k, t in zip(v.tolist(), symbols, index.tolist(), strict=True):
        q = state & 1
        table = t if isinstance(t, int) else t[q]
        total += (a - multiple(k, q)) ** 2 + lam * bits(tables, table, k)
        state = trellis.transitions[state][k & 1]
    return total


def candidates(a: float, q: int) -> list[int]:
    """Symbols of quantiser q: of each parity the points next to a on both sides, and 0."""
    near = range(round(abs(a) / 2) - 4, round(abs(a) / 2) + 6)
    found = {0}
    for odd in (0, 1):
        own = [k for k in near if k & 1 == odd]
        found.add(max((k for k in own if multiple(k, q) <= abs(a)), key=lambda k: multiple(k, q)))
        found.add(min((k for k in own if multiple(k, q) > abs(a)), key=lambda k: multiple(k, q)))
    return sorted(k if a >= 0 else -k for k in found)


def paths(v, trellis, choices):
    """All rows of symbols that take in each state one of choices(a, q)."""
    rows = [((), 0)]
    for a in v.tolist():
        rows = [
            ((*symbols, k), trellis.transitions[state][k & 1])
            for symbols, state in rows
            for k in choices(a, state & 1)
        ]
    return [symbols for symbols, _ in rows]


@st.composite
def any_tables(draw) -> Tables:
    minimum, weights = [], []
    for _ in range(draw(st.integers(1, 4))):
        entries = st.lists(st.sampled_from([0, 1, 30, 10**4, 10**9]), min_size=2, max_size=30)
        weights.append(np.array(draw(entries), np.float64) + 1e-9)
        far = st.sampled_from([-(2**31), 2**31 - 40])
        minimum.append(draw(st.one_of(st.integers(-20, 3), far)))
    return tables_from_counts(minimum, weights)


@st.composite
def trellises(draw) -> Trellis:
    count = draw(st.integers(2, 8))
    ways = draw(st.permutations([*range(count), *range(count)]))
    made = Trellis(tuple(zip(ways[::2], ways[1::2], strict=True)))
    return draw(st.sampled_from([EIGHT, FOUR, made]))


@st.composite
def cases(draw, latents: int = 30):
    """y, step, lam, index of one or two tables a latent, tables."""
    shape = draw(st.integers(0, 5)), draw(st.integers(0, latents))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    spread = draw(st.sampled_from([0.0, 0.3, 3.0, 50.0, 1e5, 3e8]))
    # Halves and quarters of a step bring ties.
    grain = draw(st.sampled_from([0.0, 0.25, 1.0]))
    v = np.clip(rng.normal(0, spread, shape), -1e9, 1e9)
    step = draw(st.sampled_from([1.0, 0.5, 0.3, 7e-3, 1e4]))
    y = (np.round(v / grain) * grain if grain else v) * step
    # Within what an EXACT latent can be.
    y = y.clip(-2e9, 2e9).astype(np.float32)
    tables = draw(any_tables())
    index = rng.integers(0, len(tables), (*shape, 2) if draw(st.booleans()) else shape)
    lam = draw(st.sampled_from([0.0, 0.1, 0.35, 5.0, 1e6]))
    return y, step, lam, index.astype(np.uint16), tables


@st.composite
def kinds(draw, latents: int) -> np.ndarray | None:
    kind = st.sampled_from([SCALED, SCALED, NEAREST, EXACT, SCALED | PREDICTED])
    chosen = draw(st.lists(kind, min_size=latents, max_size=latents))
    return draw(st.sampled_from([None, np.array(chosen, np.uint8)]))
