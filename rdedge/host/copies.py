"""What contexts learn from: symbols of the training part, and of louder and quieter copies of it.

Of a series also lines of windows that follow each other, their means moved far away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rdedge.coding.quantiser import SCALED, STEADY
from rdedge.coding.rows import Rows
from rdedge.host.classes import Layout
from rdedge.host.fit import Latents, Rounding, symbols_of
from rdedge.types import Array

# Copies of the training part at gains of e^-2 to e^0.7, and what a symbol of one counts.
COPIES = 2
_QUIETEST, _LOUDEST, _COPY_WEIGHT = -2.0, 0.7, 0.5
MOST_EXAMPLES = 2_000_000
# Windows that are learned from as followers, and how far their means are moved, as a power of e.
_LONGEST_LINE, _FARTHEST = 8, 7.0


@dataclass(frozen=True)
class Coded:
    """Symbols (R, L) int32 as they are coded, how their rows lie, and what they count. follows:
    whether they are windows that follow each other.
    """

    symbols: Array
    rows: Rows
    weight: float
    follows: bool = False


def coded_copies(
    layout: Layout, train: Latents, step: float, rounding: Rounding, seed: int
) -> Iterator[Coded]:
    """The training part and its copies, batch after batch; of a large one an even choice."""
    rng = np.random.default_rng(seed)
    latents = train.y[0].shape[-1]
    total = sum(y.size for y in train.y)
    for y in even_choice(train.y, total):
        # Vectors have no loudness that may be another elsewhere.
        for copy in range(COPIES + 1 if layout.bands else 1):
            scaled = y if copy == 0 else _gained(layout, y, rng)
            symbols = symbols_of(scaled, step, rounding, layout.quantisers)
            rows = Rows.of(len(y), y.shape[1:-1], latents)
            weight = 1.0 if copy == 0 else _COPY_WEIGHT
            yield Coded(symbols.reshape(-1, latents), rows, weight)
            if layout.linked and train.before is not None:
                lines = _lines(train.before)[:: -(-total // MOST_EXAMPLES)]
                scaled = train.y[0][lines.reshape(-1)]
                if copy:
                    scaled = _gained(layout, scaled, rng, lines.shape[1])
                symbols = symbols_of(scaled, step, rounding, layout.quantisers)
                _drift(layout, symbols, rng, lines.shape[1])
                rows = Rows.of(len(lines), (1, lines.shape[1]), latents)
                yield Coded(symbols, rows, weight, True)


def even_choice(batches: list[Array], total: int) -> Iterator[Array]:
    """All, or an even choice of what is worth so many examples."""
    if len(batches) == 1:
        every = -(-total // MOST_EXAMPLES)
        yield np.ascontiguousarray(batches[0][::every])
        return
    yield from batches[:: -(-total // MOST_EXAMPLES)]


def _lines(before: Array) -> Array:
    """Windows that follow each other, (m, n) of their numbers; every one at most once."""
    after = np.full(len(before), -1, np.int64)
    after[before[before >= 0]] = np.flatnonzero(before >= 0)
    whole = []
    for first in np.flatnonzero(before < 0).tolist():
        line = [first]
        while after[line[-1]] >= 0:
            line.append(int(after[line[-1]]))
        whole.append(line)
    # As long as leaves hardly any out.
    length = max(2, min(_LONGEST_LINE, max(map(len, whole)) // 2))
    cut = [line[i : i + length] for line in whole for i in range(0, len(line), length)]
    found: Array = np.array([piece for piece in cut if len(piece) == length], np.int64)
    return found.reshape(-1, length)


def _drift(layout: Layout, symbols: Array, rng: np.random.Generator, length: int) -> None:
    """Move the means of lines of so many windows, (m * length, L), in place: far from where they
    were in training a window still follows the one before.
    """
    of_means = means_of(layout)
    far = np.exp(rng.uniform(0.0, _FARTHEST, (len(symbols) // length, len(of_means))))
    far *= rng.choice([-1.0, 1.0], far.shape)
    symbols[:, of_means] += np.repeat(np.rint(far).astype(np.int32), length, axis=0)


def _gained(layout: Layout, y: Array, rng: np.random.Generator, length: int = 1) -> Array:
    """Copies of y (n, *grid, L): every channel of so many windows, or every picture, at its own
    gain.
    """
    if y.ndim > 2:
        gain = np.exp(rng.uniform(_QUIETEST, _LOUDEST, (len(y), 1, 1, 1))).astype(np.float32)
        return np.asarray(y * gain)
    parts = []
    for group, part in zip(layout.groups, layout.split(y), strict=True):
        gain = np.exp(rng.uniform(_QUIETEST, _LOUDEST, (len(y) // length, 1))).astype(np.float32)
        loud = np.isin(group.quantisers, (SCALED, STEADY))
        parts.append(np.where(loud, part * np.repeat(gain, length, axis=0), part))
    return np.concatenate(parts, axis=1)


def means_of(layout: Layout) -> Array:
    """The latents that follow those of the window before, its means: the first of each group, of a
    layout that is linked.
    """
    if not layout.linked:
        return np.zeros(0, np.int64)
    return np.cumsum([0, *(len(group.bands) for group in layout.groups[:-1])])
