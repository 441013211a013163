"""Random contexts with tables, rows and symbols."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rdedge.coding.context import PHASES, Contexts
from rdedge.coding.rows import DIRECTIONS, Rows
from rdedge.coding.tables import Tables, tables_from_counts


@dataclass(frozen=True)
class Case:
    """symbols: (R * L,) int32 in the order of the samples; fixed: (L,) uint16."""

    contexts: Contexts
    tables: Tables
    fixed: np.ndarray
    rows: Rows
    symbols: np.ndarray
    count: int
    grid: tuple[int, ...]


def bank_of(places: int) -> Tables:
    """Two-sided geometric tables, ever wider; one more for latents that have a fixed one."""
    k = np.arange(-6, 7)
    weights = [np.append(0.3 + 0.05 * t * 0.9 ** np.abs(k), 0.01) for t in range(places + 1)]
    return tables_from_counts([-6] * (places + 1), weights)


# What a window of a series may look at: itself, and the two before it in the packet.
OF_LINES = (0, 1, 5)


def random_contexts(
    rng: np.random.Generator, latents: int, *, image: bool, linked: bool = False
) -> Contexts:
    inputs, hidden, sizes = int(rng.integers(1, 7)), int(rng.integers(1, 9)), (4, 2, 3)
    directions = range(len(DIRECTIONS)) if image else OF_LINES if linked else (0,)
    spans = []
    for k in range(latents):
        if rng.random() < 0.2:
            spans.append(None)
            continue
        of_latent = []
        for _ in range(inputs):
            found = []
            for _ in range(int(rng.integers(0, 4))):
                direction = int(rng.choice(directions))
                most = k if direction == 0 else latents
                if most:
                    first = int(rng.integers(0, most))
                    found.append((direction, first, int(rng.integers(1, most - first + 1))))
            of_latent.append(tuple(found))
        spans.append(tuple(of_latent))
    fixed = np.array([s is None for s in spans])
    taps = []
    for k in range(latents):
        found = []
        for _ in range(0 if fixed[k] else int(rng.integers(0, 5))):
            direction = int(rng.choice(directions))
            most = k if direction == 0 else latents
            if most:
                found.append((direction, int(rng.integers(0, most)), int(rng.integers(-300, 301))))
        taps.append(tuple(found))
    biases = rng.integers(-40000, 40000, (latents, hidden)).astype(np.int32)
    out_biases = rng.integers(-4000, 8000, (latents, 3)).astype(np.int32)
    biases[fixed] = out_biases[fixed] = 0
    return Contexts(
        rng.integers(0, 2, inputs).astype(np.uint8),
        tuple(spans),
        tuple(taps),
        rng.integers(-4095, 4096, (hidden, inputs)).astype(np.int16),
        biases,
        rng.integers(-60, 61, (3, hidden)).astype(np.int16),
        out_biases,
        sizes,
        rng.integers(0, 24, 24 * 2 * PHASES).astype(np.uint16),
        ~fixed & (rng.random(latents) < 0.3) & (image or linked),
    )


def case(seed: int) -> Case:
    """The same for the same seed and version of NumPy."""
    rng = np.random.default_rng(seed)
    latents = int(rng.integers(1, 12))
    image = bool(rng.random() < 0.6)
    grid = (int(rng.integers(1, 6)), int(rng.integers(1, 6))) if image else ()
    count = int(rng.integers(1, 5)) if image else int(rng.integers(1, 100))
    scale = float(rng.choice([0.3, 2.0, 60.0]))
    total = count * math.prod(grid) * latents
    symbols = np.rint(rng.laplace(0, scale, total)).astype(np.int32)
    if rng.random() < 0.3:
        symbols[rng.integers(0, symbols.size)] = rng.choice([-(2**31), 2**31 - 1])
    contexts = random_contexts(rng, latents, image=image, linked=bool(rng.random() < 0.5))
    rows = Rows.of(count, grid, latents, contexts.linked)
    fixed = np.full(latents, 24, np.uint16)
    return Case(contexts, bank_of(24), fixed, rows, symbols, count, grid)
