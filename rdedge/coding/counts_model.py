"""Runs counts (FORMAT.md 4.11), in C or in NumPy: the same decisions, the same symbols."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rdedge import native
from rdedge.coding.counts import LAGS_MAX, PREDICTORS, Counts
from rdedge.coding.counts_numpy import NumpyCounts
from rdedge.coding.rans import Coder
from rdedge.coding.tables import COST_BITS, Tables
from rdedge.native import Library

__all__ = ["CountsModel"]

_CHANNEL = np.dtype(
    [("entries", "<u8"), ("known", "<i8"), ("weights", "<u8", PREDICTORS + LAGS_MAX)]
)

Index = NDArray[np.uint16]
Int32s = NDArray[np.int32]


class CountsModel:
    """One bundle's counts with its tables. latents: of a sample, channel after channel. numpy: not
    in C. Raises FormatError for tables or latents that do not suit it.
    """

    def __init__(self, counts: Counts, tables: Tables, latents: int, numpy: bool = False) -> None:
        counts.refuse_tables(tables)
        counts.refuse_latents(latents)
        self.counts, self.tables = counts, tables
        self.times = latents // counts.channels
        self._numpy = NumpyCounts(counts)
        library = None if numpy else native.library()
        self._native = None if library is None else _Native(library, counts)
        # The least that a symbol can cost, in 2^-20 bits, rounded down: one decision.
        self.least = int(tables.least_cost[:-1].min())

    def select(self, symbols: Int32s, alone: bool = False) -> tuple[Int32s, Index, Int32s]:
        """Symbols of samples, (n,) int32 -> decisions in the order in which they are coded, int32,
        the table of each, uint16, and how many each symbol takes, (n,) int32.

        alone: as if each sample had a packet of its own.
        """
        shaped = np.ascontiguousarray(symbols).reshape(-1, self.counts.channels, self.times)
        decisions, index, taken = (self._native or self._numpy).select(shaped, alone)
        return decisions, index, taken.reshape(-1)

    def costs(self, symbols: Int32s, alone: bool = False) -> NDArray[np.float64]:
        """What each symbol costs, (n,) float64, bits."""
        decisions, index, taken = self.select(symbols, alone)
        spent = np.concatenate([[0], np.cumsum(self.tables.costs_of(index, decisions))])
        found: NDArray[np.float64] = np.diff(spent[np.concatenate([[0], np.cumsum(taken)])])
        return found * 2.0**-COST_BITS

    def decode(
        self, coder: Coder, latents: bytes, escapes: bytes, lanes: int, samples: int
    ) -> Int32s:
        """The symbols of a stream of so many samples, (n,) int32. Raises FormatError."""
        count = samples * self.counts.channels * self.times
        least = count * self.least
        in_c = self._native
        if in_c is not None and coder.backend == "c":
            return coder.decode_by(
                latents,
                escapes,
                count,
                lanes,
                least,
                lambda _, decoding, model, to: in_c.decode(
                    samples, self.times, decoding, model, to
                ),
            )
        # Before there is memory for them.
        coder.refuse_unearned(count, lanes, least, len(latents))
        symbols = np.zeros((samples, self.counts.channels, self.times), np.int32)
        steps = self._numpy.steps(symbols)
        coder.decode_in_steps(latents, escapes, count, lanes, least, steps)
        return symbols.reshape(-1)


class _Native:
    """Calls counts.c: lays out its structures in NumPy arrays and hands over their addresses."""

    def __init__(self, library: Library, counts: Counts) -> None:
        self._library, self.counts = library, counts
        # Less 1, so that 65536 is one of them.
        self._keep = (
            np.ascontiguousarray(counts.frequencies - 1, np.uint16),
            np.array(counts.lags, np.int32),
            np.ascontiguousarray(counts.priors, np.uint32),
        )
        numbers = (counts.symbols, counts.minimum, counts.channels, len(counts.lags))
        addresses = [part.ctypes.data for part in self._keep]
        self._struct = np.array([*addresses, *numbers], np.int64)

    def select(self, symbols: Int32s, alone: bool) -> tuple[Int32s, Index, Int32s]:
        samples, _, times = symbols.shape
        each = symbols[0].size * (self.counts.symbols + 1)
        decisions, index = np.empty(each, np.int32), np.empty(each, np.uint16)
        taken = np.empty(symbols.shape, np.int32)
        found: list[Int32s] = []
        tables: list[Index] = []
        for s in range(samples):
            if not s or alone:
                channels, entries = self._channels(times if alone else samples * times)
            arrays = (symbols[s], decisions, index, taken[s])
            count = self._library.counts_tables(
                self._struct.ctypes.data,
                channels.ctypes.data,
                times,
                *(a.ctypes.data for a in arrays),
            )
            found.append(decisions[:count].copy())
            tables.append(index[:count].copy())
        del entries
        return np.concatenate(found), np.concatenate(tables), taken

    def decode(
        self, samples: int, times: int, decoding: object, model_at: int, symbols_at: int
    ) -> None:
        """Fill symbols in from a stream that was started on."""
        channels, entries = self._channels(samples * times)
        self._library.counts_decode(
            self._struct.ctypes.data,
            channels.ctypes.data,
            samples,
            times,
            decoding,
            model_at,
            symbols_at,
        )
        del entries

    def _channels(self, room: int) -> tuple[NDArray[np.void], NDArray[np.uint8]]:
        """Array of struct Channel, as a packet begins, and what it points to."""
        count = self.counts.channels
        entries = np.empty((count, room), np.uint8)
        found = np.zeros(count, _CHANNEL)
        found["entries"] = entries.ctypes.data + room * np.arange(count, dtype=np.uint64)
        found["weights"][:, : self.counts.predictors] = self.counts.priors
        return found, entries
