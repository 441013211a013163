"""What chooses the table of each symbol of a packet: classes, contexts, counts or a palette.

One way for each codec; SymbolCodec has the packet around it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rdedge.coding.context_model import ContextModel
from rdedge.coding.counts_model import CountsModel
from rdedge.coding.palette_model import PaletteModel
from rdedge.coding.prediction import predict, restore
from rdedge.coding.rans import Coder
from rdedge.coding.rows import Rows
from rdedge.coding.search import search
from rdedge.coding.selection import Selection, Selector
from rdedge.coding.tables import COST_BITS, Tables
from rdedge.errors import FormatError
from rdedge.types import Array

_BITS = 2.0**-COST_BITS


class Way(Protocol):
    """Symbols are (rows * L,) int32 of samples whose rows lie in a grid, () for one row each.

    linked: whether what a sample costs hangs on those before it in its packet.
    """

    @property
    def linked(self) -> bool: ...

    def select(self, symbols: Array, grid: tuple[int, ...]) -> tuple[Array, Array | None]:
        """What the coder is given, and the table of each; None for the coder's own."""

    def decode(
        self, latents: bytes, escapes: bytes, lanes: int, samples: int, grid: tuple[int, ...]
    ) -> Array:
        """The symbols of so many samples. Raises a FormatError of FORMAT.md, section 7."""

    def bits(self, symbols: Array, grid: tuple[int, ...], alone: bool) -> Array:
        """symbols: (N, rows * L) -> what each of N samples costs by the tables, (N,) float64."""


@dataclass(frozen=True)
class Neighbours:
    """The latents of a selection that are predicted from their neighbours in a grid, in place;
    none of samples of one row.
    """

    selection: Selection
    numpy: bool

    def predict(self, symbols: Array, grid: tuple[int, ...]) -> None:
        if self.there(grid):
            rows = symbols.reshape(-1, *grid, self.selection.latents)
            predict(rows, self.selection.predicted, self.numpy)

    def restore(self, symbols: Array, grid: tuple[int, ...]) -> None:
        if self.there(grid):
            rows = symbols.reshape(-1, *grid, self.selection.latents)
            restore(rows, self.selection.predicted, self.numpy)

    def there(self, grid: tuple[int, ...]) -> bool:
        return bool(grid) and self.selection.predicted.size > 0


class ByClasses:
    """One table for each latent, or the tables of a class that is coded before a row."""

    linked = False

    def __init__(self, selection: Selection, tables: Tables, coder: Coder, numpy: bool) -> None:
        self.coder, self.latents = coder, selection.latents
        self.neighbours = Neighbours(selection, numpy)
        self.selector = Selector(selection, tables, numpy=numpy)
        self.fixed = selection.fixed is not None

    def select(self, symbols: Array, grid: tuple[int, ...]) -> tuple[Array, Array | None]:
        rows = symbols.size // self.latents
        choices = 0 if self.fixed else rows * self.selector.choices
        if self.fixed and not self.neighbours.there(grid):
            return symbols, None
        every = np.empty(choices + symbols.size, np.int32)
        latents = every[choices:]
        latents[:] = symbols
        self.neighbours.predict(latents, grid)
        if self.fixed:
            return every, None
        index = np.empty(every.size, np.uint16)
        every[:choices] = self.selector.choose(latents)
        index[:choices].reshape(rows, -1)[:] = self.selector.selection.selectors
        self.selector.fill(every[:choices], rows, index[choices:])
        return every, index

    def decode(
        self, latents: bytes, escapes: bytes, lanes: int, samples: int, grid: tuple[int, ...]
    ) -> Array:
        rows = samples * math.prod(grid)
        count = rows * self.latents
        if self.fixed:
            symbols = self.coder.decode(latents, escapes, count, lanes)
        else:
            choices = rows * self.selector.choices
            symbols = self.coder.decode_then(
                latents,
                escapes,
                choices,
                lanes,
                lambda classes: self.selector.index(classes, rows),
                count,
                rows * self.selector.least,
            )[choices:]
        self.neighbours.restore(symbols, grid)
        return symbols

    def bits(self, symbols: Array, grid: tuple[int, ...], alone: bool) -> Array:
        every, index = self.select(symbols.reshape(-1), grid)
        if index is None:
            index = np.resize(self.coder.index, every.size)
        cost = self.coder.tables.costs_of(index, every) * _BITS
        choices = every.size - symbols.size
        total: Array = cost[choices:].reshape(len(symbols), -1).sum(axis=1)
        if choices:
            total += cost[:choices].reshape(len(symbols), -1).sum(axis=1)
        return total


class ByContexts:
    """A network over what is decoded before; with the model's Moving, a trellis quantises."""

    def __init__(
        self, model: ContextModel, coder: Coder, selection: Selection, kinds: Array, free: Array
    ) -> None:
        self.model, self.coder = model, coder
        self.latents, self.neighbours = selection.latents, Neighbours(selection, model.numpy)
        self.kinds, self.free = kinds, free
        # The last symbols that were lowered, their grid, and how they are coded.
        self._lowered: tuple[Array, tuple[int, ...], Array, Array] | None = None

    @property
    def linked(self) -> bool:
        return self.model.contexts.linked

    def select(self, symbols: Array, grid: tuple[int, ...]) -> tuple[Array, Array]:
        return self._selected(symbols, grid, False)

    def _selected(self, symbols: Array, grid: tuple[int, ...], alone: bool) -> tuple[Array, Array]:
        known = self._lowered
        if known and known[1] == grid and np.array_equal(known[0], symbols):
            return known[2], known[3]
        return self.model.select(*self._ordered(symbols, grid, alone))

    def _ordered(
        self, symbols: Array, grid: tuple[int, ...], alone: bool = False
    ) -> tuple[Array, Rows]:
        """Symbols as contexts see them: predicted, and in the order in which they are coded."""
        if self.neighbours.there(grid):
            symbols = symbols.copy()
            self.neighbours.predict(symbols, grid)
        rows = self._rows(symbols.size // (self.latents * math.prod(grid)), grid, alone)
        return rows.to_coded(symbols, self.latents), rows

    def _rows(self, count: int, grid: tuple[int, ...], alone: bool = False) -> Rows:
        """Of samples of one packet, or of a packet for each."""
        return Rows.of(count, grid, self.latents, self.linked and not alone)

    def lower(self, symbols: Array, scaled: Array, weight: float, grid: tuple[int, ...]) -> Array:
        if self.model.moving is not None:
            of_rows = symbols.reshape(-1, self.latents)
            # As if each came alone: which are packed together is not known yet.
            rows = self._rows(len(of_rows) // math.prod(grid), grid, alone=True)
            scaled = scaled.reshape(of_rows.shape)
            return search(self.model, scaled, of_rows, self.kinds, weight, rows).reshape(-1)
        ordered, rows = self._ordered(symbols, grid)
        in_order = rows.to_coded(np.ascontiguousarray(scaled, np.float32), self.latents)
        coded, index = self.model.lower(ordered, in_order, self.free, weight, rows)
        found = rows.to_natural(ordered, self.latents)
        self.neighbours.restore(found, grid)
        # What is lowered is mostly packed next.
        self._lowered = (found.copy(), grid, coded, index)
        return found

    def decode(
        self, latents: bytes, escapes: bytes, lanes: int, samples: int, grid: tuple[int, ...]
    ) -> Array:
        rows = samples * math.prod(grid)
        # Before there is memory for them.
        least = rows * self.model.least
        self.coder.refuse_unearned(rows * self.latents, lanes, least, len(latents))
        rows_of = self._rows(samples, grid)
        coded = self.model.decode(self.coder, latents, escapes, lanes, rows_of)
        symbols = rows_of.to_natural(coded, self.latents)
        self.neighbours.restore(symbols, grid)
        return symbols

    def bits(self, symbols: Array, grid: tuple[int, ...], alone: bool) -> Array:
        flat = symbols.reshape(-1)
        rows = self._rows(flat.size // (self.latents * math.prod(grid)), grid, alone)
        coded, index = self._selected(flat, grid, alone)
        in_order = self.coder.tables.costs_of(index, coded) * _BITS
        total: Array = rows.to_natural(in_order, self.latents).reshape(len(symbols), -1).sum(axis=1)
        return total


class ByCounts:
    """What stood where before, in the whole packet."""

    linked = True

    def __init__(self, model: CountsModel, coder: Coder) -> None:
        self.model, self.coder = model, coder

    def select(self, symbols: Array, grid: tuple[int, ...]) -> tuple[Array, Array]:
        return self.model.select(symbols)[:2]

    def decode(
        self, latents: bytes, escapes: bytes, lanes: int, samples: int, grid: tuple[int, ...]
    ) -> Array:
        return self.model.decode(self.coder, latents, escapes, lanes, samples)

    def bits(self, symbols: Array, grid: tuple[int, ...], alone: bool) -> Array:
        costs = self.model.costs(symbols.reshape(-1), alone)
        total: Array = costs.reshape(len(symbols), -1).sum(axis=1)
        return total


class ByPalette:
    """A network over the pixels before each."""

    linked = False

    def __init__(self, model: PaletteModel, coder: Coder) -> None:
        self.model, self.coder = model, coder

    def select(self, symbols: Array, grid: tuple[int, ...]) -> tuple[Array, Array]:
        return self.model.select(symbols, self.model.size(grid))

    def lower(self, symbols: Array, scaled: Array, weight: float, grid: tuple[int, ...]) -> Array:
        return self.model.change(symbols, scaled, weight, self.model.size(grid))

    def decode(
        self, latents: bytes, escapes: bytes, lanes: int, samples: int, grid: tuple[int, ...]
    ) -> Array:
        if escapes:
            raise FormatError("the packet has escapes", expected="none: pixels have no others")
        return self.model.decode(self.coder, latents, lanes, samples, self.model.size(grid))

    def bits(self, symbols: Array, grid: tuple[int, ...], alone: bool) -> Array:
        costs = self.model.costs(symbols.reshape(-1), self.model.size(grid))
        total: Array = costs.reshape(len(symbols), -1).sum(axis=1) * _BITS
        return total
