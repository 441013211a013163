"""The NumPy twin of rans.c: the same bytes, K symbols (one row of the lanes) at a time.

With few lanes a row is too short for vectors; then the states are Python integers.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.faults import Fault, fault_error
from rdedge.coding.tables import PRECISION_BITS, TOTAL, Tables, escape_values
from rdedge.errors import FormatError, TruncatedError
from rdedge.format.varint import append_varint, read_varint

__all__ = ["NumpyCoder"]

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Uint64s = NDArray[np.uint64]
Words = NDArray[np.uint32]

LOWER = 1 << 31
UPPER = 1 << 63
_SLOT = TOTAL - 1

# Below so many lanes Python integers are faster than vectors.
_VECTOR_LANES = 16

# A table of all slots takes 256 KB for each table; above so many tables entries are searched for.
_SLOT_TABLES_MAX = 64


class NumpyCoder:
    """The coder for one set of tables and one index."""

    def __init__(self, tables: Tables, index: NDArray[np.uint16]) -> None:
        self._tables = tables
        self._index = index

    def encode(self, symbols: Int32s, lanes: int) -> tuple[bytes, bytes]:
        """Code symbols, (n,) int32; returns the streams latents and escapes."""
        entries, escapes = self._entries(symbols)
        frequencies = self._tables.flat_frequencies[entries]
        starts = self._tables.flat_starts[entries]
        if lanes < _VECTOR_LANES:
            states, words = _encode_few(frequencies, starts, lanes)
        else:
            states, words = _encode_rows(frequencies, starts, lanes)
        if lanes == 1:
            bits = states[0].bit_length()
            head = states[0].to_bytes(max(-(-bits // 8), 5 if words else 0), "little")
        else:
            head = b"".join(state.to_bytes(8, "little") for state in states)
        return head + words, escapes

    def decode(self, latents: bytes, escapes: bytes, count: int, lanes: int) -> Int32s:
        """Decode count symbols; raises FormatError or TruncatedError."""
        states, words = _split(latents, lanes)
        if lanes < _VECTOR_LANES:
            slots = self._decode_few(states, words, count)
        else:
            slots = self._decode_rows(states, words, count)
        places = self._places(count)
        entries = self._find(places, slots)
        tables = self._tables
        entry = entries - tables.first[places]
        symbols = entry + tables.minimum[places]
        outside = np.flatnonzero(entry == tables.regular[places])
        t = places[outside] if places.size > 1 else np.resize(places, outside.size)
        symbols[outside] = _read_escapes(
            escapes, tables.minimum[t].tolist(), tables.regular[t].tolist()
        )
        return symbols.astype(np.int32)

    def _places(self, count: int) -> NDArray[np.intp]:
        """The table of each of count symbols; one table for all as shape (1,)."""
        if self._index.size == 1:
            return self._index.astype(np.intp)
        return np.resize(self._index, count).astype(np.intp)

    def _entries(self, symbols: Int32s) -> tuple[NDArray[np.intp], bytes]:
        """Which entry of all tables codes each symbol, and the escapes."""
        tables = self._tables
        places = self._places(symbols.size)
        minimum = tables.minimum[places].astype(np.int64)
        regular = tables.regular[places]
        entry = symbols - minimum
        inside = (entry >= 0) & (entry < regular)
        escapes = bytearray()
        if not inside.all():
            outside = ~inside
            one = places.size == 1
            values = escape_values(
                symbols[outside].astype(np.int64),
                minimum if one else minimum[outside],
                regular if one else regular[outside],
            )
            for value in values.tolist():
                append_varint(escapes, value)
            entry = np.where(inside, entry, regular)
        return (entry + tables.first[places]).astype(np.intp), bytes(escapes)

    @cached_property
    def _flat_keys(self) -> Int64s:
        """Table and first slot of every entry, ascending."""
        tables = self._tables
        t = np.repeat(np.arange(len(tables), dtype=np.int64), tables.regular + 1)
        keys: Int64s = t << PRECISION_BITS | tables.flat_starts
        return keys

    @cached_property
    def _slot_entries(self) -> Words:
        """The entry of every slot of every table; shape (T * 2^16,)."""
        return np.repeat(
            np.arange(self._tables.flat_frequencies.size, dtype=np.uint32),
            self._tables.flat_frequencies,
        )

    @cached_property
    def _slot_steps(self) -> Words:
        """Frequency (upper half) and slot less start (lower half), for every slot."""
        entries = self._slot_entries
        f = self._tables.flat_frequencies.astype(np.uint32)[entries]
        slots = np.resize(np.arange(TOTAL, dtype=np.uint32), entries.size)
        steps: Words = f << np.uint32(16) | (slots - self._tables.flat_starts[entries])
        return steps

    def _find(self, places: NDArray[np.intp], slots: NDArray[np.uint16]) -> NDArray[np.intp]:
        keys = places << PRECISION_BITS | slots
        if len(self._tables) <= _SLOT_TABLES_MAX:
            return self._slot_entries[keys].astype(np.intp)
        found: NDArray[np.intp] = np.searchsorted(self._flat_keys, keys, side="right") - 1
        return found

    def _decode_few(self, states: list[int], words: Words, count: int) -> NDArray[np.uint16]:
        """Lane after lane with Python integers; returns the slots, (count,)."""
        lanes = len(states)
        tables = self._tables
        frequencies = tables.flat_frequencies.tolist()
        starts = tables.flat_starts.tolist()
        slots = np.empty(count, np.uint16)
        left = iter(words.tolist())
        small = len(tables) <= _SLOT_TABLES_MAX
        period = self._index.size
        index = self._index.tolist()
        for i in range(count):
            x = states[i % lanes]
            slot = x & _SLOT
            key = index[i % period] << PRECISION_BITS | slot
            if small:
                entry = int(self._slot_entries[key])
            else:
                entry = int(np.searchsorted(self._flat_keys, key, side="right")) - 1
            x = frequencies[entry] * (x >> PRECISION_BITS) + slot - starts[entry]
            if x < LOWER:
                word = next(left, None)
                if word is not None:
                    x = x << 32 | word
            states[i % lanes] = x
            slots[i] = slot
        if next(left, None) is not None:
            raise fault_error(Fault.WORDS_LEFT)
        if any(x != (0 if lanes == 1 else LOWER) for x in states):
            raise fault_error(Fault.START_STATE)
        return slots

    def _decode_rows(self, states: list[int], words: Words, count: int) -> NDArray[np.uint16]:
        """All lanes at a time; returns the slots, (count,)."""
        lanes = len(states)
        x = np.array(states, np.uint64)
        small = len(self._tables) <= _SLOT_TABLES_MAX
        slots = np.empty(count, np.uint16)
        wide = words.astype(np.uint64)
        base = self._places(count) << PRECISION_BITS
        position = 0
        for start in range(0, count, lanes):
            m = min(lanes, count - start)
            row = x[:m]
            slot = (row & np.uint64(_SLOT)).astype(np.intp)
            slots[start : start + m] = slot
            key = slot + (base if base.size == 1 else base[start : start + m])
            if small:
                step = self._slot_steps[key].astype(np.uint64)
                f = step >> np.uint64(16)
                rest = step & np.uint64(_SLOT)
            else:
                entry = np.searchsorted(self._flat_keys, key, side="right") - 1
                f = self._tables.flat_frequencies[entry].astype(np.uint64)
                rest = (slot - self._tables.flat_starts[entry]).astype(np.uint64)
            row >>= np.uint64(PRECISION_BITS)
            row *= f
            row += rest
            low = np.flatnonzero(row < np.uint64(LOWER))
            fresh = wide[position : position + low.size]
            low = low[: fresh.size]
            row[low] = row[low] << np.uint64(32) | fresh
            position += fresh.size
        if position < words.size:
            raise fault_error(Fault.WORDS_LEFT)
        if (x != np.uint64(LOWER)).any():
            raise fault_error(Fault.START_STATE)
        return slots


def _encode_few(
    frequencies: NDArray[np.uint16], starts: NDArray[np.uint16], lanes: int
) -> tuple[list[int], bytes]:
    """Symbol after symbol, last first; returns the states and the words as bytes."""
    states = [0 if lanes == 1 else LOWER] * lanes
    words: list[int] = []
    lane = (frequencies.size - 1) % lanes
    for f, c in zip(frequencies.tolist()[::-1], starts.tolist()[::-1], strict=True):
        x = states[lane]
        if x >= f << 47:
            words.append(x & 0xFFFFFFFF)
            x >>= 32
        quotient, rest = divmod(x, f)
        states[lane] = (quotient << PRECISION_BITS) + c + rest
        lane = (lane or lanes) - 1
    words.reverse()
    return states, np.array(words, "<u4").tobytes()


def _encode_rows(
    frequencies: NDArray[np.uint16], starts: NDArray[np.uint16], lanes: int
) -> tuple[list[int], bytes]:
    """Row after row, last first; returns the states and the words as bytes."""
    n = frequencies.size
    f = frequencies.astype(np.uint64)
    c = starts.astype(np.uint64)
    limit = f << np.uint64(47)
    spread = np.uint64(TOTAL) - f
    emitted = np.empty(n, bool)
    low = np.empty(n, np.uint64)
    x = np.full(lanes, LOWER, np.uint64)
    first = (n - 1) // lanes * lanes if n else -1
    for start in range(first, -1, -lanes):
        row = x[: n - start]
        here = slice(start, start + row.size)
        low[here] = row
        emit = np.greater_equal(row, limit[here], out=emitted[here])
        row >>= emit.astype(np.uint64) << np.uint64(5)
        quotient = row // f[here]
        quotient *= spread[here]
        row += c[here]
        row += quotient
    return [int(state) for state in x], low[emitted].astype("<u4").tobytes()


def _split(latents: bytes, lanes: int) -> tuple[list[int], Words]:
    """The states and the words of a stream; raises where they are not in their form."""
    size = len(latents)
    if lanes == 1:
        head = size if size <= 8 else 5 + (size - 5) % 4
        state = int.from_bytes(latents[:head], "little")
        if head and not latents[head - 1] and not (head == 5 and size > 8):
            raise fault_error(Fault.STATE_FORM)
        if state >= UPPER or (size > 8 and state < LOWER):
            raise fault_error(Fault.STATE_FORM)
        return [state], np.frombuffer(latents, "<u4", offset=head)
    head = 8 * lanes
    if size < head:
        raise fault_error(Fault.STATE_SHORT)
    if (size - head) % 4:
        raise fault_error(Fault.WORDS_SHORT)
    states = np.frombuffer(latents, "<u8", count=lanes)
    if (states < np.uint64(LOWER)).any() or (states >= np.uint64(UPPER)).any():
        raise fault_error(Fault.STATE_FORM)
    return states.tolist(), np.frombuffer(latents, "<u4", offset=head)


def _read_escapes(escapes: bytes, minimum: list[int], regular: list[int]) -> list[int]:
    """The symbols of the escapes, in order; minimum and regular are of their tables."""
    symbols = []
    position = 0
    for low, n in zip(minimum, regular, strict=True):
        try:
            value, position = read_varint(escapes, position)
        except TruncatedError:
            raise fault_error(Fault.ESCAPE_SHORT) from None
        except FormatError:
            raise fault_error(Fault.ESCAPE_FORM) from None
        symbol = low - 1 - (value >> 1) if value & 1 else low + n + (value >> 1)
        if not -(1 << 31) <= symbol < 1 << 31:
            raise fault_error(Fault.ESCAPE_FORM)
        symbols.append(symbol)
    if position != len(escapes):
        raise fault_error(Fault.ESCAPE_LEFT)
    return symbols
