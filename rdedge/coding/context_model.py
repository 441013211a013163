"""Runs contexts (FORMAT.md 4.8), in C or in NumPy: the same tables, the same symbols."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rdedge import native
from rdedge.coding.context import (
    ACTIVATION_MAX,
    HEADS,
    MAGNITUDE_MAX,
    MEAN,
    PHASES,
    TAP_MAX,
    Contexts,
    Rows,
    logarithms,
)
from rdedge.coding.dot import padded
from rdedge.coding.means import Mean, Moving, States
from rdedge.coding.rans import Coder
from rdedge.coding.rans_steps import Step
from rdedge.coding.tables import Tables
from rdedge.errors import FormatError

__all__ = ["ContextModel"]

_TAP = np.dtype([("direction", "<i4"), ("latent", "<i4"), ("weight", "<i4")])
_SPAN = np.dtype([("direction", "<i4"), ("first", "<i4"), ("count", "<i4")])
Index = NDArray[np.uint16]
Int32s = NDArray[np.int32]
Floats = NDArray[np.float32]


class ContextModel:
    """One bundle's contexts with its tables.

    fixed: (L,) uint16, the tables of the latents that have one. moving: None without a trellis.
    numpy: not in C. Raises FormatError where these do not fit each other.
    """

    def __init__(
        self,
        contexts: Contexts,
        fixed: Index,
        tables: Tables,
        numpy: bool = False,
        moving: Moving | None = None,
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
        if moving is not None and moving.tapped(contexts):
            raise FormatError("taps of latents that move a trellis", expected="none")
        self.contexts, self.tables, self.fixed = contexts, tables, fixed
        self.moving = moving
        if moving is not None and (moving.latents & contexts.following).any():
            raise FormatError("following latents that move a trellis", expected="none")
        self.moves = np.zeros(contexts.latents, np.bool_) if moving is None else moving.latents
        self.latents = contexts.latents
        self.numpy = numpy
        self._library = None if numpy else native.library()
        self._keep: list[NDArray[np.generic]] = []

    @cached_property
    def least(self) -> int:
        """The least that a row can cost, in 2^-20 bits rounded down for each symbol."""
        least = self.tables.least_cost
        by_context = int(least[self.contexts.bank].min())
        each = least[self.fixed].astype(np.int64)
        either = self.contexts.following
        each[either] = np.minimum(each[either], by_context)
        each[self.contexts.contextual & ~either] = by_context
        return int(each.sum())

    def select(
        self, symbols: Int32s, rows: Rows, parity: int | None = None
    ) -> tuple[Int32s, Index]:
        """symbols: (R * L,) int32 in the order of coding -> as they are coded, and the table of
        each, uint16. parity: what all rows' states are taken to have; None: what they come to.
        """
        index, coded = np.empty(symbols.size, np.uint16), np.zeros(symbols.size, np.int32)
        states = States.of(self.moving, len(rows.base), parity)
        if self._library is not None:
            symbols = np.ascontiguousarray(symbols)
            at, keep = self._rows_at(rows, states)
            sums = self._sums(rows)
            arrays = [a.ctypes.data for a in (symbols, sums, coded, index)]
            self._library.context_tables(self._at, at, *arrays)
            del keep
            return coded, index
        for front, k, places in self._steps(rows):
            mean = self._mean(symbols, rows, front, k, states)
            index[places] = self._tables_of(coded, rows, front, k, mean)
            coded[places] = mean.residual(symbols[places])
            states.move(front, k, symbols[places])
        return coded, index

    def inputs(self, symbols: Int32s, rows: Rows) -> tuple[Int32s, Int32s, NDArray[np.int16]]:
        """What a network is trained on: symbols as they are coded, how far their means are from
        zero in quarters of a step, (R * L,) int32 each, and its inputs, (R * L, F) int16; zeros
        where a latent has a fixed table. All in the order of coding.
        """
        found = np.zeros((symbols.size, self.contexts.inputs), np.int16)
        coded, away = np.zeros(symbols.size, np.int32), np.zeros(symbols.size, np.int32)
        states = States.of(self.moving, len(rows.base))
        if self._library is not None:
            symbols = np.ascontiguousarray(symbols)
            at, keep = self._rows_at(rows, states)
            sums = self._sums(rows)
            arrays = [a.ctypes.data for a in (symbols, sums, coded, away, found)]
            self._library.context_inputs(self._at, at, *arrays)
            del keep
        else:
            for front, k, places in self._steps(rows):
                mean = self._mean(symbols, rows, front, k, states)
                found[places] = self._look(coded, rows, front, k, mean).T
                coded[places], away[places] = mean.residual(symbols[places]), mean.away
                states.move(front, k, symbols[places])
        found[~rows.to_coded(np.tile(self.contexts.contextual, len(rows.base)), self.latents)] = 0
        return coded, away, found

    def lower(
        self, symbols: Int32s, scaled: Floats, free: NDArray[np.bool_], weight: float, rows: Rows
    ) -> tuple[Int32s, Index]:
        """Lower symbols in place where that is worth it; returns what select gives of the result.

        One latent after the other: the nearest symbol, the next nearer to zero and zero are
        weighed by squared error + weight * bits, with the table that those before it select
        (rate-distortion optimised quantisation, without looking ahead).
        symbols: (R * L,) int32, to the nearest, in the order of coding; scaled: the latents in
        quantiser steps, float32, in that order. free: (L,), which latents may be lowered. weight:
        of a bit, in squared steps. Not with a trellis: coding.search does that.
        """
        assert self.moving is None
        index, coded = np.empty(symbols.size, np.uint16), np.zeros(symbols.size, np.int32)
        per_unit = weight * 2.0**-20
        if self._library is not None:
            at, keep = self._rows_at(rows, States.of(None, 0))
            of_free = free.astype(np.uint8)
            layout, costs, sums = self.tables.layout, self._costs, self._sums(rows)
            scaled = np.ascontiguousarray(scaled, np.float32)
            self._library.context_quantise(
                self._at,
                at,
                layout.ctypes.data,
                costs.ctypes.data,
                scaled.ctypes.data,
                of_free.ctypes.data,
                per_unit,
                symbols.ctypes.data,
                sums.ctypes.data,
                coded.ctypes.data,
                index.ctypes.data,
            )
            del keep
            return coded, index
        for front, k, places in self._steps(rows):
            mean = self._mean(symbols, rows, front, k, States.of(None, 0))
            index[places] = tables = self._tables_of(coded, rows, front, k, mean)
            if free[k]:
                some = self._lowered(symbols[places], scaled[places], tables, per_unit, mean)
                symbols[places] = some
            coded[places] = mean.residual(symbols[places])
        return coded, index

    def decode(
        self, coder: Coder, latents: bytes, escapes: bytes, lanes: int, rows: Rows
    ) -> Int32s:
        """The symbols of a stream, (R * L,) int32 in the order of coding. Raises FormatError."""
        count = len(rows.base) * self.latents
        least = len(rows.base) * self.least
        if self._library is not None and coder.backend == "c":
            states = States.of(self.moving, len(rows.base))
            at, keep = self._rows_at(rows, states)
            of_context = self._at
            symbols, sums = np.empty(count, np.int32), self._sums(rows)
            room = sums.ctypes.data, symbols.ctypes.data

            def in_c(library: native.Library, decoding: object, model: int, to: int) -> None:
                library.context_decode(of_context, at, decoding, model, room[0], to, room[1])

            coder.decode_by(latents, escapes, count, lanes, least, in_c)
            del keep, states
            return symbols
        symbols = np.zeros(count, np.int32)
        steps = self._selecting(rows, symbols)
        coder.decode_in_steps(latents, escapes, count, lanes, least, steps)
        return symbols

    def _selecting(self, rows: Rows, symbols: Int32s) -> Iterator[Step]:
        """Steps of decoding; symbols are filled in on the way."""
        states = States.of(self.moving, len(rows.base))
        for front, k, places in self._steps(rows):
            mean = self._mean(symbols, rows, front, k, states)
            seen: list[Int32s] = []

            def tables(
                coded: Int32s,
                front: tuple[int, int] = front,
                k: int = k,
                mean: Mean = mean,
                seen: list[Int32s] = seen,
            ) -> Index:
                seen.append(coded)
                return self._tables_of(coded, rows, front, k, mean)

            yield places, tables
            symbols[places] = mean.restored(seen[0][places])
            states.move(front, k, symbols[places])

    def _sums(self, rows: Rows) -> Int32s:
        """Room for sums of magnitudes."""
        return np.empty(len(rows.base) * (self.latents + 1), np.int32)

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
            c.contextual.astype(np.uint8) + c.following.astype(np.uint8),
            self.moves.astype(np.uint8),
            np.ascontiguousarray(self.fixed),
            first,
            spans,
            np.concatenate([[0], np.cumsum([len(t) for t in c.taps])]).astype(np.int32),
            np.array([t for taps in c.taps for t in taps] or [(0, 0, 0)], _TAP),
            np.ascontiguousarray(c.kinds),
            padded(c.weights),
            np.ascontiguousarray(c.biases),
            padded(c.out_weights),
            np.ascontiguousarray(c.out_biases),
            np.ascontiguousarray(c.bank),
            self._logarithms,
        ]
        numbers = [a.ctypes.data for a in arrays]
        struct = np.array([*numbers, c.latents, c.inputs, c.hidden, *c.sizes], np.uint64)
        self._keep += [*arrays, struct]
        return int(struct.ctypes.data)

    @staticmethod
    def _rows_at(rows: Rows, states: States) -> tuple[int, NDArray[np.generic]]:
        """The address of struct Rows, and what keeps it; states are kept by the caller."""
        arrays = (rows.base, rows.stride, rows.neighbours, rows.first)
        addresses = [*(a.ctypes.data for a in arrays), *states.addresses]
        struct = np.array([*addresses, len(rows.base), len(rows.first) - 1], np.uint64)
        return int(struct.ctypes.data), struct

    def _steps(self, rows: Rows) -> Iterator[tuple[tuple[int, int], int, slice]]:
        """Fronts, latents and the places of what is coded there, in that order."""
        first, at = rows.first.tolist(), 0
        for a, b in pairwise(first):
            for k in range(self.latents):
                yield (a, b), k, slice(at, at + b - a)
                at += b - a

    def _mean(
        self,
        symbols: Int32s,
        rows: Rows,
        front: tuple[int, int],
        k: int,
        states: States,
    ) -> Mean:
        """What foretells latent k in the rows of a front; of what moves states the quantiser."""
        a, b = front
        if self.moves[k]:
            away = states.parity(front) * (self.contexts.spans[k] is not None)
            return Mean(np.ones_like(away), away)
        sums = np.zeros(b - a, np.int64)
        for direction, latent, weight in self.contexts.taps[k]:
            there = np.arange(a, b) if direction == 0 else rows.neighbours[direction - 1, a:b]
            inside = there >= 0
            at = rows.base[there[inside]] + latent * rows.stride[there[inside]]
            sums[inside] += weight * symbols[at].astype(np.int64).clip(-TAP_MAX, TAP_MAX)
        sums[self.alone(rows, front, k)] = 0
        return Mean(np.where(sums < 0, -1, 1), (np.abs(sums) + 32) >> 6)

    def _tables_of(
        self, coded: Int32s, rows: Rows, front: tuple[int, int], k: int, mean: Mean
    ) -> Index:
        """The tables of latent k in the rows of a front, with NumPy."""
        c = self.contexts
        if c.spans[k] is None:
            return np.full(front[1] - front[0], self.fixed[k], np.uint16)
        x = self._look(coded, rows, front, k, mean)
        hidden = c.weights.astype(np.int64) @ x + c.biases[k][:, None]
        hidden = (np.maximum(hidden, 0) >> 7).clip(max=ACTIVATION_MAX)
        out = c.out_weights.astype(np.int64) @ hidden + c.out_biases[k][:, None] + 1024
        levels = np.maximum(out, 0) >> 11
        place = np.zeros(x.shape[1], np.int64)
        for o in range(HEADS):
            place = place * c.sizes[o] + levels[o].clip(max=c.sizes[o] - 1)
        found: Index = c.bank[2 * PHASES * place + mean.phase]
        found[self.alone(rows, front, k)] = self.fixed[k]
        return found

    def alone(self, rows: Rows, front: tuple[int, int], k: int) -> NDArray[np.bool_]:
        """Of the rows of a front, where latent k has nothing to follow, and so its fixed table."""
        left = rows.neighbours[0, slice(*front)]
        found: NDArray[np.bool_] = self.contexts.following[k] & (left < 0)
        return found

    def _look(
        self, coded: Int32s, rows: Rows, front: tuple[int, int], k: int, mean: Mean
    ) -> NDArray[np.int64]:
        """The inputs of latent k in the rows of a front, (F, n)."""
        c = self.contexts
        a, b = front
        x = np.zeros((c.inputs, b - a), np.int64)
        for f in np.flatnonzero(c.kinds == MEAN).tolist():
            x[f] = self._logarithms[np.minimum(4 * mean.away, 16 * MAGNITUDE_MAX)]
        for f, spans in enumerate(c.spans[k] or ()):
            if c.kinds[f] == MEAN:
                continue
            counts = np.zeros(b - a, np.int64)
            for direction, first, count in spans:
                there = np.arange(a, b) if direction == 0 else rows.neighbours[direction - 1, a:b]
                inside = there >= 0
                at = (
                    rows.base[there[inside], None]
                    + np.arange(first, first + count) * rows.stride[there[inside], None]
                )
                q = np.abs(coded[at].astype(np.int64).clip(-MAGNITUDE_MAX, MAGNITUDE_MAX))
                x[f, inside] += q.sum(axis=1)
                counts[inside] += count
            seen = counts > 0
            x[f, seen] = self._logarithms[x[f, seen] * (65536 // counts[seen]) >> 12]
        return x

    def _lowered(
        self, nearest: Int32s, scaled: Floats, tables: Index, per_unit: float, mean: Mean
    ) -> Int32s:
        sign = np.where(nearest < 0, -1, 1).astype(np.int64)
        largest = sign * nearest.astype(np.int64)
        at = np.abs(scaled.astype(np.float64))
        best = np.zeros(nearest.size, np.int64)
        least = at * at + per_unit * self.tables.costs_of(tables, mean.residual(best))
        for m in (largest - 1, largest):
            off = at - m
            total = off * off + per_unit * self.tables.costs_of(tables, mean.residual(sign * m))
            better = (total < least) & (m >= 1)
            least[better] = total[better]
            best[better] = (sign * m)[better]
        return best.astype(np.int32)
