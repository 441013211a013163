"""Runs contexts (FORMAT.md 4.8), in C or in NumPy: the same tables, the same symbols."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rdedge import native
from rdedge.coding.context import (
    ACTIVATION_MAX,
    HEADS,
    MAGNITUDE_MAX,
    SIGNED,
    SIGNED_MAX,
    Contexts,
    Rows,
    logarithms,
)
from rdedge.coding.rans import Coder
from rdedge.coding.rans_steps import Step
from rdedge.coding.tables import Tables, escape_values, varint_lengths
from rdedge.errors import FormatError

__all__ = ["ContextModel"]

_SPAN = np.dtype([("direction", "<i4"), ("first", "<i4"), ("count", "<i4")])
_VARINT_BYTE = 8 << 20

Index = NDArray[np.uint16]
Int32s = NDArray[np.int32]
Floats = NDArray[np.float32]


class ContextModel:
    """One bundle's contexts with its tables.

    fixed: (L,) uint16, the tables of the latents that have one. numpy: not in C.
    """

    def __init__(
        self, contexts: Contexts, fixed: Index, tables: Tables, numpy: bool = False
    ) -> None:
        if fixed.shape != (contexts.latents,):
            raise FormatError(
                f"contexts of {contexts.latents} latents", expected=f"{fixed.size} latents"
            )
        needed = max(contexts.tables_needed, 1 + int(fixed.max()))
        if needed > len(tables):
            raise FormatError(
                f"contexts name table {needed - 1}", expected=f"0 to {len(tables) - 1}"
            )
        self.contexts, self.tables, self.fixed = contexts, tables, fixed
        self.latents = contexts.latents
        self._library = None if numpy else native.library()
        self._keep: list[NDArray[np.generic]] = []

    @cached_property
    def least(self) -> int:
        """The least that a row can cost, in 2^-20 bits rounded down for each symbol."""
        least = self.tables.least_cost
        by_context = int(least[self.contexts.bank].min())
        fixed = int(least[self.fixed[~self.contexts.contextual]].sum())
        return fixed + by_context * int(self.contexts.contextual.sum())

    def select(self, coded: Int32s, rows: Rows) -> Index:
        """coded: (R * L,) int32 in the order of coding -> the table of each, uint16."""
        index = np.empty(coded.size, np.uint16)
        if self._library is not None:
            coded = np.ascontiguousarray(coded)
            at, keep = self._rows_at(rows)
            self._library.context_tables(self._at, at, coded.ctypes.data, index.ctypes.data)
            del keep
            return index
        for front, k, places in self._steps(rows):
            index[places] = self._tables_of(coded, rows, front, k)
        return index

    def inputs(self, coded: Int32s, rows: Rows) -> NDArray[np.int16]:
        """What the network is given, (R * L, F) int16 in the order of coding; zeros where a latent
        has a fixed table. To train it with.
        """
        found = np.zeros((coded.size, self.contexts.inputs), np.int16)
        if self._library is not None:
            coded = np.ascontiguousarray(coded)
            at, keep = self._rows_at(rows)
            self._library.context_inputs(self._at, at, coded.ctypes.data, found.ctypes.data)
            del keep
            return found
        for front, k, places in self._steps(rows):
            if self.contexts.spans[k] is not None:
                found[places] = self._look(coded, rows, front, k).T
        return found

    def lower(
        self, coded: Int32s, scaled: Floats, free: NDArray[np.bool_], weight: float, rows: Rows
    ) -> Index:
        """Lower symbols in place where that is worth it; returns the tables of the result.

        One latent after the other: the nearest symbol, the next nearer to zero and zero are
        weighed by squared error + weight * bits, with the table that those before it select
        (rate-distortion optimised quantisation, without looking ahead).
        coded: (R * L,) int32, to the nearest, in the order of coding; scaled: the latents in
        quantiser steps, float32, in that order. free: (L,), which latents may be lowered. weight:
        of a bit, in squared steps.
        """
        index = np.empty(coded.size, np.uint16)
        per_unit = weight * 2.0**-20
        if self._library is not None:
            at, keep = self._rows_at(rows)
            of_free = free.astype(np.uint8)
            layout, costs = self.tables.layout, self._costs
            scaled = np.ascontiguousarray(scaled, np.float32)
            self._library.context_quantise(
                self._at,
                at,
                layout.ctypes.data,
                costs.ctypes.data,
                scaled.ctypes.data,
                of_free.ctypes.data,
                per_unit,
                coded.ctypes.data,
                index.ctypes.data,
            )
            del keep
            return index
        for front, k, places in self._steps(rows):
            index[places] = tables = self._tables_of(coded, rows, front, k)
            if free[k]:
                coded[places] = self._lowered(coded[places], scaled[places], tables, per_unit)
        return index

    def decode(
        self, coder: Coder, latents: bytes, escapes: bytes, lanes: int, rows: Rows
    ) -> Int32s:
        """The symbols of a stream, (R * L,) int32 in the order of coding. Raises FormatError."""
        count = len(rows.base) * self.latents
        least = len(rows.base) * self.least
        if self._library is not None and coder.backend == "c":
            at, keep = self._rows_at(rows)
            of_context = self._at

            def in_c(library: native.Library, decoding: object, model: int, to: int) -> None:
                library.context_decode(of_context, at, decoding, model, to)

            symbols = coder.decode_by(latents, escapes, count, lanes, least, in_c)
            del keep
            return symbols
        return coder.decode_in_steps(latents, escapes, count, lanes, least, self._selecting(rows))

    def _selecting(self, rows: Rows) -> Iterator[Step]:
        for front, k, places in self._steps(rows):
            yield places, partial(self._tables_of, rows=rows, front=front, k=k)

    @cached_property
    def _costs(self) -> Int32s:
        return self.tables.costs.astype(np.int32)

    @cached_property
    def _logarithms(self) -> NDArray[np.uint8]:
        return logarithms()

    @cached_property
    def _at(self) -> int:
        """The address of struct Contexts of context.c."""
        c = self.contexts
        empty: tuple[tuple[()], ...] = ((),) * c.inputs
        lists = [spans for of_latent in c.spans for spans in (of_latent or empty)]
        first = np.concatenate([[0], np.cumsum([len(s) for s in lists])]).astype(np.int32)
        spans = np.array([s for of_input in lists for s in of_input] or [(0, 0, 0)], _SPAN)
        arrays: list[NDArray[np.generic]] = [
            c.contextual.astype(np.uint8),
            np.ascontiguousarray(self.fixed),
            first,
            spans,
            np.ascontiguousarray(c.kinds),
            np.ascontiguousarray(c.weights),
            np.ascontiguousarray(c.biases),
            np.ascontiguousarray(c.out_weights),
            np.ascontiguousarray(c.out_biases),
            np.ascontiguousarray(c.bank),
            self._logarithms,
        ]
        numbers = [a.ctypes.data for a in arrays]
        struct = np.array([*numbers, c.latents, c.inputs, c.hidden, *c.sizes], np.uint64)
        self._keep += [*arrays, struct]
        return int(struct.ctypes.data)

    @staticmethod
    def _rows_at(rows: Rows) -> tuple[int, NDArray[np.generic]]:
        """The address of struct Rows, and what keeps it."""
        arrays = (rows.base, rows.stride, rows.neighbours, rows.first)
        addresses = [a.ctypes.data for a in arrays]
        struct = np.array([*addresses, len(rows.base), len(rows.first) - 1], np.uint64)
        return int(struct.ctypes.data), struct

    def _steps(self, rows: Rows) -> Iterator[tuple[tuple[int, int], int, slice]]:
        """Fronts, latents and the places of what is coded there, in that order."""
        first, at = rows.first.tolist(), 0
        for a, b in pairwise(first):
            for k in range(self.latents):
                yield (a, b), k, slice(at, at + b - a)
                at += b - a

    def _tables_of(self, coded: Int32s, rows: Rows, front: tuple[int, int], k: int) -> Index:
        """The tables of latent k in the rows of a front, with NumPy."""
        c = self.contexts
        if c.spans[k] is None:
            return np.full(front[1] - front[0], self.fixed[k], np.uint16)
        x = self._look(coded, rows, front, k)
        hidden = c.weights.astype(np.int64) @ x + c.biases[k][:, None]
        hidden = (np.maximum(hidden, 0) >> 7).clip(max=ACTIVATION_MAX)
        out = c.out_weights.astype(np.int64) @ hidden + c.out_biases[k][:, None] + 1024
        levels = np.maximum(out, 0) >> 11
        place = np.zeros(x.shape[1], np.int64)
        for o in range(HEADS):
            place = place * c.sizes[o] + levels[o].clip(max=c.sizes[o] - 1)
        return c.bank[place]

    def _look(self, coded: Int32s, rows: Rows, front: tuple[int, int], k: int) -> NDArray[np.int64]:
        """The inputs of latent k in the rows of a front, (F, n)."""
        c = self.contexts
        a, b = front
        x = np.zeros((c.inputs, b - a), np.int64)
        for f, spans in enumerate(c.spans[k] or ()):
            counts = np.zeros(b - a, np.int64)
            for direction, first, count in spans:
                there = np.arange(a, b) if direction == 0 else rows.neighbours[direction - 1, a:b]
                inside = there >= 0
                at = (
                    rows.base[there[inside], None]
                    + np.arange(first, first + count) * rows.stride[there[inside], None]
                )
                q = coded[at].astype(np.int64).clip(-MAGNITUDE_MAX, MAGNITUDE_MAX)
                x[f, inside] += (q if c.kinds[f] == SIGNED else np.abs(q)).sum(axis=1)
                counts[inside] += count
            if c.kinds[f] == SIGNED:
                x[f] = 16 * x[f].clip(-SIGNED_MAX, SIGNED_MAX)
            else:
                seen = counts > 0
                scaled = x[f, seen] * (65536 // counts[seen]) >> 12
                x[f, seen] = self._logarithms[scaled]
        return x

    def _lowered(self, nearest: Int32s, scaled: Floats, tables: Index, per_unit: float) -> Int32s:
        sign = np.where(nearest < 0, -1, 1).astype(np.int64)
        largest = sign * nearest.astype(np.int64)
        at = np.abs(scaled.astype(np.float64))
        best = np.zeros(nearest.size, np.int64)
        least = at * at + per_unit * self._cost(tables, best)
        for m in (largest - 1, largest):
            off = at - m
            total = off * off + per_unit * self._cost(tables, sign * m)
            better = (total < least) & (m >= 1)
            least[better] = total[better]
            best[better] = (sign * m)[better]
        return best.astype(np.int32)

    def _cost(self, tables: Index, symbols: NDArray[np.int64]) -> NDArray[np.float64]:
        """In 2^-20 bits, an escape's bytes included."""
        t = tables.astype(np.intp)
        minimum, regular = self.tables.minimum.astype(np.int64)[t], self.tables.regular[t]
        entry = symbols - minimum
        outside = (entry < 0) | (entry >= regular)
        cost = self.tables.costs[self.tables.first[t] + np.where(outside, regular, entry)]
        if outside.any():
            values = escape_values(symbols[outside], minimum[outside], regular[outside])
            cost[outside] += varint_lengths(values) * _VARINT_BYTE
        found: NDArray[np.float64] = cost.astype(np.float64)
        return found
