"""The NumPy twin of rans.c: the same bytes, K symbols (one row of the lanes) at a time.

A row is some ten NumPy calls, so what costs is the calls: operands are whole rows (a scalar operand
takes twice as long), results go to rows that are there, and a state's words are its halves seen as
uint32. With few lanes a row is too short for vectors; then the states are Python integers.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.faults import Fault, fault_error
from rdedge.coding.lookup import lookup
from rdedge.coding.spread import gather, mirrored, spread
from rdedge.coding.streams import LOWER, join_states, read_escapes, split, write_escapes
from rdedge.coding.tables import PRECISION_BITS, TOTAL, Tables, escape_values

__all__ = ["NumpyCoder"]

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Index = NDArray[np.uint16]
Then = Callable[[Int32s], Index]
Places = NDArray[np.intp]
Uint64s = NDArray[np.uint64]
Words = NDArray[np.uint32]

_SLOT = TOTAL - 1
_LOW, _HIGH = (0, 1) if sys.byteorder == "little" else (1, 0)

# Below so many lanes Python integers are faster than vectors.
_VECTOR_LANES = 8

# Symbols whose tables are looked up at a time: their rows stay in the cache.
_BLOCK = 1 << 14

# A table of all slots takes 512 KB for each table; above so many tables entries are searched for.
_SLOT_TABLES_MAX = 64


class _Decoding:
    """A stream that is being decoded: what codes the next symbols may follow from those before."""

    def __init__(self, latents: bytes, lanes: int) -> None:
        states, self.words = split(latents, lanes)
        self.states = np.array(states, np.uint64)
        self.lanes, self.position, self.done = lanes, 0, 0

    @cached_property
    def padded(self) -> Words:
        """Lanes may ask for words that are not there; the zeros cannot end in the start state."""
        return np.concatenate([self.words, np.zeros(self.lanes, np.uint32)])

    @property
    def short(self) -> bool:
        """Whether words were asked for that are not there."""
        return self.position > self.words.size

    def end(self) -> None:
        """Raise unless the stream ends where the symbols do."""
        if self.position < self.words.size:
            raise fault_error(Fault.WORDS_LEFT)
        start = 0 if self.lanes == 1 else LOWER
        if self.short or (self.states != np.uint64(start)).any():
            raise fault_error(Fault.START_STATE)


class NumpyCoder:
    """The coder for one set of tables and one index."""

    def __init__(self, tables: Tables, index: NDArray[np.uint16]) -> None:
        self._tables = tables
        self._lookup = lookup(tables)
        self._index = index

    def encode(
        self, symbols: Int32s, lanes: int, index: Index | None = None
    ) -> tuple[bytes, bytes]:
        """Code symbols, (n,) int32; returns the streams latents and escapes.

        index: in place of the coder's own.
        """
        if index is not None and index.size:
            return NumpyCoder(self._tables, index).encode(symbols, lanes)
        escapes: list[bytes] = []
        words: list[Words] = []
        if lanes < _VECTOR_LANES:
            states = [0 if lanes == 1 else LOWER] * lanes
            for start, entries in self._blocks_backwards(symbols, escapes):
                words.append(self._encode_few(states, entries, start))
        else:
            vector = np.full(lanes, LOWER, np.uint64)
            for start, entries in self._blocks_backwards(symbols, escapes):
                self._encode_rows(vector, entries, start, words)
            states = [int(state) for state in vector]
        body = np.concatenate([np.empty(0, np.uint32), *words[::-1]]).astype("<u4").tobytes()
        return join_states(states, body), b"".join(escapes[::-1])

    def decode(self, latents: bytes, escapes: bytes, count: int, lanes: int) -> Int32s:
        """Decode count symbols; raises FormatError or TruncatedError."""
        decoding = _Decoding(latents, lanes)
        symbols = np.empty(count, np.int32)
        outside = self._decode_some(decoding, symbols)
        decoding.end()
        symbols[outside] = read_escapes(escapes, *self._outlines(outside))
        return symbols

    def decode_then(
        self, latents: bytes, escapes: bytes, count: int, lanes: int, then: Then, rest: int
    ) -> Int32s:
        """Decode count symbols with the coder's index, then rest with the one that they ask for."""
        decoding = _Decoding(latents, lanes)
        symbols = np.empty(count + rest, np.int32)
        outside = self._decode_some(decoding, symbols[:count])
        if decoding.short:
            decoding.end()
        if outside.size:
            # Their values stand first among the escapes; what follows is not known yet.
            values = read_escapes(escapes, *self._outlines(outside), whole=False)
            symbols[outside] = values
        later = NumpyCoder(self._tables, then(symbols[:count]))
        outside_later = later._decode_some(decoding, symbols[count:])
        decoding.end()
        minima, regular = self._outlines(outside)
        minima_later, regular_later = later._outlines(outside_later)
        values = read_escapes(escapes, minima + minima_later, regular + regular_later)
        symbols[outside_later + count] = values[outside.size :]
        return symbols

    def _outlines(self, places: Places) -> tuple[list[int], list[int]]:
        """What read_escapes needs of the tables of these symbols."""
        t = self._index[places % self._index.size]
        return self._tables.minimum[t].tolist(), self._tables.regular[t].tolist()

    def _decode_some(self, decoding: _Decoding, symbols: Int32s) -> Places:
        """The next symbols of a stream; returns which of them are escapes."""
        outside: list[Places] = []
        if decoding.lanes < _VECTOR_LANES:
            self._decode_few(decoding, symbols, outside)
        else:
            self._decode_rows(decoding, symbols, outside)
        decoding.done += symbols.size
        return np.concatenate([np.empty(0, np.intp), *outside])

    @cached_property
    def _cycle(self) -> NDArray[np.uint16]:
        """The index, long enough for any block to be a slice of it."""
        return np.resize(self._index, self._index.size + _BLOCK)

    def _places(self, start: int, stop: int) -> Places:
        """The tables of symbols start to stop; one table for all as shape (1,)."""
        if self._index.size == 1:
            return self._index.astype(np.intp)
        shift = start % self._index.size
        return self._cycle[shift : shift + stop - start].astype(np.intp)

    def _blocks_backwards(
        self, symbols: Int32s, escapes: list[bytes]
    ) -> Iterator[tuple[int, Places]]:
        """Where a block starts and the entries of its symbols; the last block first.

        Blocks start at multiples of _BLOCK, so at lane 0. Appends the escapes of each block.
        """
        tables = self._tables
        regular = tables.regular.astype(np.uint32)
        first = tables.first.astype(np.intp)
        for start in range((symbols.size - 1) // _BLOCK * _BLOCK, -1, -_BLOCK):
            some = symbols[start : start + _BLOCK]
            places = self._places(start, start + some.size)
            minimum, last = tables.minimum[places], regular[places]
            # What wraps around is outside too: an entry is below 4096, and no table wraps.
            entry = (some - minimum).view(np.uint32)
            if (entry >= last).any():
                outside = entry >= last
                values = escape_values(
                    some[outside].astype(np.int64),
                    np.broadcast_to(minimum, some.shape)[outside].astype(np.int64),
                    np.broadcast_to(last, some.shape)[outside].astype(np.int64),
                )
                escapes.append(write_escapes(values))
                entry = np.minimum(entry, last)
            entries = entry.astype(np.intp)
            entries += first[places]
            yield start, entries

    @cached_property
    def _lists(self) -> tuple[list[int], ...]:
        """For few lanes: index, keys, frequencies, symbol less entry and escape by table, where
        entries start and the likeliest of a table does.
        """
        tables = self._tables
        return (
            self._index.tolist(),
            self._lookup.keys.tolist(),
            tables.flat_frequencies.tolist(),
            (tables.minimum - tables.first).tolist(),
            (tables.first + tables.regular).tolist(),
            self._lookup.spread_starts.tolist(),
            tables.likeliest.tolist(),
        )

    def _encode_few(self, states: list[int], entries: Places, start: int) -> Words:
        """Symbol after symbol with Python integers; returns the words."""
        lanes = len(states)
        words: list[int] = []
        lane = (start + entries.size - 1) % lanes
        frequencies = self._tables.flat_frequencies[entries[::-1]].tolist()
        starts = self._tables.flat_starts[entries[::-1]].tolist()
        lows = self._lookup.spread_starts[entries[::-1]].tolist()
        for f, c, low in zip(frequencies, starts, lows, strict=True):
            x = states[lane]
            if x < f and lanes == 1:
                states[lane] = spread(x, low, f)
                continue
            if x >= f << 47:
                words.append(x & 0xFFFFFFFF)
                x >>= 32
            quotient, rest = divmod(x, f)
            states[lane] = (quotient << PRECISION_BITS) + c + rest
            lane = (lane or lanes) - 1
        return np.array(words[::-1], np.uint32)

    def _encode_rows(
        self, states: Uint64s, entries: Places, start: int, words: list[Words]
    ) -> None:
        """Row after row of a block, last first; appends the words of each."""
        lanes = states.size
        frequencies = self._lookup.wide_frequencies.take(entries)
        starts = self._lookup.wide_starts.take(entries)
        limits = frequencies << np.uint64(47)
        spreads = np.uint64(TOTAL) - frequencies
        emit = np.empty(lanes, bool)
        quotient = np.empty(lanes, np.uint64)
        low, high = states.view(np.uint32)[_LOW::2], states.view(np.uint32)[_HIGH::2]
        row, last = states, (entries.size - 1) // lanes * lanes
        for begin in range(last, -1, -lanes):
            end = begin + lanes
            if end > entries.size:
                m = entries.size - begin
                row, emit_row, quotient_row = states[:m], emit[:m], quotient[:m]
            else:
                row, emit_row, quotient_row = states, emit, quotient
            np.greater_equal(row, limits[begin:end], emit_row)
            where = emit_row.nonzero()[0]
            words.append(low[where])
            low[where] = high[where]
            high[where] = 0
            np.floor_divide(row, frequencies[begin:end], quotient_row)
            np.multiply(quotient_row, spreads[begin:end], quotient_row)
            np.add(row, starts[begin:end], row)
            np.add(row, quotient_row, row)

    def _decode_few(self, decoding: _Decoding, symbols: Int32s, outside: list[Places]) -> None:
        """Symbol after symbol with Python integers."""
        lanes = decoding.lanes
        states = decoding.states.tolist()
        index, keys, frequencies, symbol_of, last, lows, likeliest = self._lists
        period = len(index)
        words = decoding.words[decoding.position :].tolist()
        left = iter(words)
        escaped: list[int] = []
        for i in range(symbols.size):
            lane = (i + decoding.done) % lanes
            x = states[lane]
            t = index[i % period]
            is_spread = x < TOTAL and lanes == 1
            slot = (mirrored(x) + likeliest[t] if is_spread else x) & _SLOT
            key = t << PRECISION_BITS | slot
            entry = bisect_right(keys, key) - 1
            if is_spread:
                x = gather(x, lows[entry], frequencies[entry])
            else:
                x = frequencies[entry] * (x >> PRECISION_BITS) + key - keys[entry]
            if x < LOWER:
                word = next(left, None)
                if word is not None:
                    x = x << 32 | word
            states[lane] = x
            if entry == last[t]:
                escaped.append(i)
            else:
                symbols[i] = symbol_of[t] + entry
        outside.append(np.array(escaped, np.intp))
        decoding.states[:] = states
        decoding.position += len(words) - sum(1 for _ in left)

    def _decode_rows(self, decoding: _Decoding, symbols: Int32s, outside: list[Places]) -> None:
        """Block after block, each row after row; the first may begin in the middle of the lanes."""
        tables = self._tables
        symbol_of = (tables.minimum - tables.first).astype(np.int64)
        last = tables.first + tables.regular
        small = len(tables) <= _SLOT_TABLES_MAX
        ahead = -decoding.done % decoding.lanes
        starts = (
            [0, *range(ahead, symbols.size, _BLOCK)] if ahead else range(0, symbols.size, _BLOCK)
        )
        for start in starts:
            if decoding.short:
                break
            first = (decoding.done + start) % decoding.lanes
            stop = min(start + (ahead if first else _BLOCK), symbols.size)
            places = self._places(start, stop)
            keys = np.empty(stop - start, np.intp)
            if places.size > 1:
                np.left_shift(places, PRECISION_BITS, keys)
            else:
                keys.fill(int(places[0]) << PRECISION_BITS)
            self._decode_block(decoding, decoding.states[first:], keys, small)
            if small:
                entries = self._lookup.slot_entries.take(keys).astype(np.int64)
            else:
                entries = np.searchsorted(self._lookup.keys, keys, side="right") - 1
            symbols[start:stop] = entries + symbol_of[places]
            escaped = np.flatnonzero(entries == last[places])
            if escaped.size:
                outside.append(escaped + start)

    def _decode_block(
        self, decoding: _Decoding, states: Uint64s, keys: Places, small: bool
    ) -> None:
        """The rows of a block. states: of the lanes of its rows. keys: the tables, shifted; gets
        the slots too.
        """
        words, size, position = decoding.padded, decoding.words.size, decoding.position
        lanes = states.size
        slot_mask = np.full(lanes, _SLOT, np.uint64)
        shift = np.full(lanes, PRECISION_BITS, np.uint64)
        lower = np.full(lanes, LOWER, np.uint64)
        slot, below, step = np.empty_like(states), np.empty(lanes, bool), np.empty(lanes, np.uint32)
        half_mask = np.full(lanes, _SLOT, np.uint32)
        half_shift = np.full(lanes, 16, np.uint32)
        # Their upper halves stay zero.
        frequency, rest = np.zeros_like(states), np.zeros_like(states)
        frequency_low = frequency.view(np.uint32)[_LOW::2]
        rest_low = rest.view(np.uint32)[_LOW::2]
        low, high = states.view(np.uint32)[_LOW::2], states.view(np.uint32)[_HIGH::2]
        row = states
        for begin in range(0, keys.size, lanes):
            key = keys[begin : begin + lanes]
            if key.size < lanes:
                m = key.size
                row, slot, step, below = states[:m], slot[:m], step[:m], below[:m]
                slot_mask, shift, lower = slot_mask[:m], shift[:m], lower[:m]
                half_mask, half_shift = half_mask[:m], half_shift[:m]
                frequency, frequency_low = frequency[:m], frequency_low[:m]
                rest, rest_low = rest[:m], rest_low[:m]
            np.bitwise_and(row, slot_mask, slot)
            np.bitwise_or(key, slot.view(np.intp), key)
            if small:
                self._lookup.slot_steps.take(key, None, step, "clip")
                np.right_shift(step, half_shift, frequency_low)
                np.bitwise_and(step, half_mask, rest_low)
            else:
                entry = np.searchsorted(self._lookup.keys, key, side="right") - 1
                np.subtract(slot, self._lookup.wide_starts[entry], rest)
                frequency = self._lookup.wide_frequencies[entry]
            np.right_shift(row, shift, row)
            np.multiply(row, frequency, row)
            np.add(row, rest, row)
            np.less(row, lower, below)
            where = below.nonzero()[0]
            high[where] = low[where]
            low[where] = words[position : position + where.size]
            position += where.size
            if position > size:
                break
        decoding.position = position
