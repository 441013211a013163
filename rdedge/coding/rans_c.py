"""Calls rans.c: lays out its structures in NumPy arrays and hands over their addresses."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.faults import fault_error
from rdedge.coding.tables import Tables
from rdedge.native import Library

__all__ = ["NativeCoder"]

Int32s = NDArray[np.int32]
Index = NDArray[np.uint16]
Then = Callable[[Int32s], Index]
# A C function that decodes: the library, a stream started on, struct Model, where symbols go.
InC = Callable[[Library, object, int, int], None]

_ENCODE_ENTRY_BYTES = 16
_DECODE_ENTRY_BYTES = 8

# Buckets of all tables together: 256 KB.
_BUCKETS_MAX = 1 << 15

# A short index is repeated, so that the inner loop of the C coder is long.
_INDEX_PLACES = 512

# Up to here arrays are copied: asking an array for its address takes longer.
_SMALL = 4096


class _Layout:
    """The structures of one set of tables, made at first use and shared by its coders."""

    def __init__(self, library: Library, tables: Tables) -> None:
        self.library = library
        self.frequencies = np.ascontiguousarray(tables.flat_frequencies)
        self.tables = tables.layout
        # As many buckets for a table, 256 to 4096, as stay in the second-level cache for all.
        room = (_BUCKETS_MAX // len(tables)).bit_length() - 1
        self.bucket_bits = max(8, min(12, room))

    @cached_property
    def encode(self) -> NDArray[np.uint8]:
        """EncodeEntry of rans.c for all entries."""
        entries = np.zeros((self.frequencies.size, _ENCODE_ENTRY_BYTES), np.uint8)
        self.library.rans_prepare_encode(
            self.tables.ctypes.data,
            self.tables.size,
            self.frequencies.ctypes.data,
            entries.ctypes.data,
        )
        return entries

    @cached_property
    def decode(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """DecodeEntry of rans.c for all entries, and the buckets."""
        entries = np.zeros((self.frequencies.size, _DECODE_ENTRY_BYTES), np.uint8)
        buckets = np.zeros((self.tables.size << self.bucket_bits, _DECODE_ENTRY_BYTES), np.uint8)
        self.library.rans_prepare_decode(
            self.tables.ctypes.data,
            self.tables.size,
            self.frequencies.ctypes.data,
            self.bucket_bits,
            entries.ctypes.data,
            buckets.ctypes.data,
        )
        return entries, buckets


def _layout(library: Library, tables: Tables) -> _Layout:
    """The layout of tables, kept beside their other derived arrays."""
    layout = tables.__dict__.get("_native_layout")
    if not isinstance(layout, _Layout):
        layout = tables.__dict__["_native_layout"] = _Layout(library, tables)
    return layout


class _Scratch:
    """Buffers for one call at a time, with their addresses."""

    def __init__(self) -> None:
        self.symbols = np.empty(_SMALL, np.int32)
        self.symbols_at: int = self.symbols.ctypes.data
        escapes_start = np.zeros(1, np.int64)
        self.escapes_start = escapes_start.data
        self.escapes_start_at: int = escapes_start.ctypes.data
        self.room(0)

    def room(self, size: int) -> None:
        """Make `out` of that size."""
        out = np.empty(size, np.uint8)
        self.out = out.data
        self.out_at: int = out.ctypes.data
        self.out_bytes = size


class NativeCoder:
    """The coder of rans.c for one set of tables and one index."""

    def __init__(self, library: Library, tables: Tables, index: NDArray[np.uint16]) -> None:
        self._library = library
        self._layout = _layout(library, tables)
        if 1 < index.size < _INDEX_PLACES:
            index = np.tile(index, -(-_INDEX_PLACES // index.size))
        self._index = index
        # struct Model of rans.c: encode, decode, tables, buckets, index, period, bucket_bits.
        self._model = np.zeros(7, np.uint64)
        self._model[2] = self._layout.tables.ctypes.data
        self._model[4] = index.ctypes.data
        self._model[5] = index.size
        self._model[6] = self._layout.bucket_bits
        self._model_at: int = self._model.ctypes.data
        self._scratch: list[_Scratch] = []

    def _with(self, index: Index) -> NDArray[np.uint64]:
        """Copy struct Model with another index, which must live as long."""
        model: NDArray[np.uint64] = self._model.copy()
        model[4], model[5] = index.ctypes.data, index.size
        return model

    def encode(
        self, symbols: Int32s, lanes: int, index: Index | None = None
    ) -> tuple[bytes, bytes]:
        """Code symbols, (n,) int32 contiguous; returns the streams latents and escapes.

        index: in place of the coder's own.
        """
        if not self._model[0]:
            self._model[0] = self._layout.encode.ctypes.data
        n = symbols.size
        model = None if index is None or not index.size else self._with(index)
        # Where the stream ends and the escapes start, at the longest.
        border = 2 * n + n // 4096 + 8 * lanes + 64
        end = border + 5 * n
        scratch = self._take()
        if end > scratch.out_bytes:
            scratch.room(end)
        start = self._library.rans_encode(
            self._model_at if model is None else model.ctypes.data,
            symbols.tobytes() if n <= _SMALL else symbols.ctypes.data,
            n,
            lanes,
            scratch.out_at,
            border,
            scratch.escapes_start_at,
        )
        assert start >= 0
        out = scratch.out
        latents = out[start:border].tobytes()
        escapes = out[scratch.escapes_start[0] : end].tobytes()
        self._scratch.append(scratch)
        return latents, escapes

    def decode_then(
        self, latents: bytes, escapes: bytes, count: int, lanes: int, then: Then, rest: int
    ) -> Int32s:
        """Decode count symbols with the coder's index, then rest with the one that they ask for."""
        symbols = np.empty(count + rest, np.int32)

        def run(library: Library, decoding: object, model_at: int, at: int) -> None:
            library.rans_decode_some(decoding, model_at, count, at)
            # Named, so that they live while C reads them.
            index = then(symbols[:count])
            model = self._with(index)
            at += count * symbols.itemsize
            library.rans_decode_some(decoding, model.ctypes.data, rest, at)

        return self._decode_by(latents, escapes, symbols, lanes, run)

    def decode_by(self, latents: bytes, escapes: bytes, count: int, lanes: int, run: InC) -> Int32s:
        """Decode count symbols with a C function that selects tables as they come."""
        return self._decode_by(latents, escapes, np.empty(count, np.int32), lanes, run)

    def _decode_by(
        self, latents: bytes, escapes: bytes, symbols: Int32s, lanes: int, run: InC
    ) -> Int32s:
        self._prepare_decode()
        decoding = ctypes.create_string_buffer(self._library.rans_decoding_bytes)
        fault = self._library.rans_decode_start(
            decoding, latents, len(latents), escapes, len(escapes), lanes
        )
        if not fault:
            run(self._library, decoding, self._model_at, symbols.ctypes.data)
            fault = self._library.rans_decode_end(decoding)
        if fault:
            raise fault_error(fault)
        return symbols

    def _prepare_decode(self) -> None:
        if not self._model[1]:
            entries, buckets = self._layout.decode
            self._model[3] = buckets.ctypes.data
            self._model[1] = entries.ctypes.data

    def decode(self, latents: bytes, escapes: bytes, count: int, lanes: int) -> Int32s:
        """Decode count symbols; raises FormatError or TruncatedError."""
        self._prepare_decode()
        if count <= _SMALL:
            scratch = self._take()
            fault = self._library.rans_decode(
                self._model_at,
                latents,
                len(latents),
                escapes,
                len(escapes),
                count,
                lanes,
                scratch.symbols_at,
            )
            symbols: Int32s = scratch.symbols[:count].copy()
            self._scratch.append(scratch)
        else:
            symbols = np.empty(count, np.int32)
            fault = self._library.rans_decode(
                self._model_at,
                latents,
                len(latents),
                escapes,
                len(escapes),
                count,
                lanes,
                symbols.ctypes.data,
            )
        if fault:
            raise fault_error(fault)
        return symbols

    def _take(self) -> _Scratch:
        """Buffers that no other thread uses."""
        try:
            return self._scratch.pop()
        except IndexError:
            return _Scratch()
