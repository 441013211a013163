"""Symbols <-> packet. Everything here is integers: two machines agree on it to the bit."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from rdedge.bundle.bundle import Bundle
from rdedge.coding import quantiser, trellis
from rdedge.coding.context import Contexts
from rdedge.coding.context_model import ContextModel
from rdedge.coding.counts import Counts
from rdedge.coding.counts_model import CountsModel
from rdedge.coding.means import Moving
from rdedge.coding.palette import Palette
from rdedge.coding.palette_model import PaletteModel
from rdedge.coding.prediction import predict, restore
from rdedge.coding.rans import Backend, Coder
from rdedge.coding.rows import Rows
from rdedge.coding.search import search
from rdedge.coding.selection import Selection, Selector
from rdedge.coding.tables import COST_BITS, Tables
from rdedge.coding.trellis import Trellis
from rdedge.errors import FormatError, TruncatedError, UnsupportedError
from rdedge.format.constants import Stream
from rdedge.format.packet import LEARNED, Packet, Run
from rdedge.types import Array

_NO_CLASSES = np.zeros(1, np.uint16)


class SymbolCodec:
    """The symbols of samples of one codec <-> packets; and what symbols stand for.

    key: 4 bytes. levels, fallbacks: how many the bundle has. trellis: with contexts alone. first:
    the step of level 0, None where no level is settled.
    """

    def __init__(
        self,
        key: bytes,
        tables: Tables,
        selection: Selection,
        levels: int = 1,
        backend: Backend | None = None,
        fallbacks: int = 0,
        contexts: Contexts | None = None,
        trellis: Trellis | None = None,
        palette: Palette | None = None,
        first: float | None = None,
        counts: Counts | None = None,
    ) -> None:
        self.key = key
        self.latents = selection.latents
        self.levels, self.fallbacks = levels, fallbacks
        self.numpy = backend == "numpy"
        self.predicted = selection.predicted
        self.kinds = selection.quantisers & ~np.uint8(quantiser.PREDICTED)
        # What may be coded as less than it is: what is neither exact nor to the nearest.
        self.free = selection.quantisers == quantiser.SCALED
        self.selector = Selector(selection, tables, numpy=self.numpy)
        index = selection.fixed
        self.fixed = index is not None
        if index is None:
            index = selection.selectors if len(selection.selectors) else _NO_CLASSES
        self.coder = Coder(tables, index, backend)
        self.contexts: ContextModel | None = None
        # The last symbols that were lowered, their grid, and how they are coded.
        self._lowered: tuple[Array, tuple[int, ...], Array, Array] | None = None
        if contexts is not None:
            moving = None if trellis is None else Moving(trellis, self.free)
            self.contexts = ContextModel(contexts, index, tables, self.numpy, moving)
        self.trellis = trellis
        # Whether what a sample costs hangs on those before it in its packet.
        self.linked = counts is not None or (contexts is not None and contexts.linked)
        self.first = first
        self.palette: PaletteModel | None = None
        if palette is not None:
            self.palette = PaletteModel(palette, tables, numpy=self.numpy)
        self.counts: CountsModel | None = None
        if counts is not None:
            self.counts = CountsModel(counts, tables, self.latents, numpy=self.numpy)

    @staticmethod
    def of(bundle: Bundle, backend: Backend | None = None) -> SymbolCodec:
        manifest = bundle.manifest
        return SymbolCodec(
            manifest.key,
            bundle.tables,
            bundle.selection,
            len(manifest.levels),
            backend,
            len(manifest.fallbacks),
            bundle.contexts,
            manifest.trellis,
            bundle.palette,
            manifest.levels[0].step,
            bundle.counts,
        )

    def pack(
        self,
        symbols: Array,
        count: int,
        lanes: int | None = None,
        *,
        grid: tuple[int, ...] = (),
        shape: tuple[int, ...] | None = None,
        streams: Mapping[Stream, bytes] | None = None,
        runs: tuple[Run, ...] | None = None,
        gated: bool = False,
    ) -> bytes:
        """symbols: (rows * L,) int32, sample after sample -> a packet of count samples.

        grid: how the rows of an image lie. shape: of a sample, where it is not the manifest's.
        streams: to travel beside. runs: of the samples, None for the default; the symbols are then
        those of the learned runs alone, and what the others hold is among the streams.
        """
        runs = (Run(LEARNED, 0, count),) if runs is None else runs
        found = dict(streams or {})
        if all(run.codec != LEARNED for run in runs):
            return Packet(self.key, runs, found, 1, shape, gated).to_bytes()
        every, index = self._as_coded(symbols, grid)
        coded = self.coder.encode(every, lanes, index)
        found[Stream.LATENTS] = coded.latents
        if coded.escapes:
            found[Stream.ESCAPES] = coded.escapes
        return Packet(self.key, runs, found, coded.lanes, shape, gated).to_bytes()

    def _as_coded(self, symbols: Array, grid: tuple[int, ...]) -> tuple[Array, Array | None]:
        """What the coder is given: classes and predicted symbols, and the table of each; None for
        the coder's own.
        """
        if self.palette is not None:
            return self.palette.select(symbols, self.palette.size(grid))
        if self.counts is not None:
            return self.counts.select(symbols)[:2]
        if self.contexts is not None:
            known = self._lowered
            if known and known[1] == grid and np.array_equal(known[0], symbols):
                return known[2], known[3]
            return self.contexts.select(*self._ordered(symbols, grid))
        rows = symbols.size // self.latents
        choices = 0 if self.fixed else rows * self.selector.choices
        predicted = grid and self.predicted.size
        if self.fixed and not predicted:
            return symbols, None
        every = np.empty(choices + symbols.size, np.int32)
        latents = every[choices:]
        latents[:] = symbols
        if predicted:
            predict(latents.reshape(-1, *grid, self.latents), self.predicted, self.numpy)
        if self.fixed:
            return every, None
        index = np.empty(every.size, np.uint16)
        every[:choices] = self.selector.choose(latents)
        index[:choices].reshape(rows, -1)[:] = self.selector.selection.selectors
        self.selector.fill(every[:choices], rows, index[choices:])
        return every, index

    def _ordered(
        self, symbols: Array, grid: tuple[int, ...], alone: bool = False
    ) -> tuple[Array, Rows]:
        """Symbols as contexts see them: predicted, and in the order in which they are coded."""
        if grid and self.predicted.size:
            symbols = symbols.copy()
            predict(symbols.reshape(-1, *grid, self.latents), self.predicted, self.numpy)
        rows = self._rows(symbols.size // (self.latents * math.prod(grid)), grid, alone)
        return rows.to_coded(symbols, self.latents), rows

    def _rows(self, count: int, grid: tuple[int, ...], alone: bool = False) -> Rows:
        """Of samples of one packet, or of a packet for each."""
        return Rows.of(count, grid, self.latents, self.linked and not alone)

    def steady(self, step: float) -> float:
        """The step of STEADY latents, at any level. step: of the first, where no bundle says it."""
        first = step if self.first is None else self.first
        return first if self.trellis is None else 2.0 * first

    def lower(
        self, symbols: Array, scaled: Array, weight: float, grid: tuple[int, ...] = ()
    ) -> Array:
        """Symbols that are worth their bits, in place of the nearest ones (ContextModel.lower), or
        what the trellis has (coding.search).

        symbols: (rows * L,) int32, to the nearest; scaled: the latents in quantiser steps, float32,
        of that shape. weight: of a bit, in squared steps. Raises ValueRangeError of a trellis. Or
        pixels, changed (PaletteModel.change).
        """
        if self.palette is not None:
            return self.palette.change(symbols, scaled, weight, self.palette.size(grid))
        assert self.contexts is not None
        if self.trellis is not None:
            of_rows = symbols.reshape(-1, self.latents)
            # As if each came alone: which are packed together is not known yet.
            rows = self._rows(len(of_rows) // math.prod(grid), grid, alone=True)
            scaled = scaled.reshape(of_rows.shape)
            found = search(self.contexts, scaled, of_rows, self.kinds, weight, rows)
            return found.reshape(-1)
        ordered, rows = self._ordered(symbols, grid)
        in_order = rows.to_coded(np.ascontiguousarray(scaled, np.float32), self.latents)
        coded, index = self.contexts.lower(ordered, in_order, self.free, weight, rows)
        found = rows.to_natural(ordered, self.latents)
        if grid and self.predicted.size:
            restore(found.reshape(-1, *grid, self.latents), self.predicted, self.numpy)
        # What is lowered is mostly packed next.
        self._lowered = (found.copy(), grid, coded, index)
        return found

    def values(self, symbols: Array, step: float) -> Array:
        """What the decoder's graph is fed with for symbols (..., L) int32 at this step, float32.

        Raises FormatError for a symbol that a trellis does not have.
        """
        if self.trellis is None:
            return quantiser.dequantise(symbols, step, self.kinds, self.steady(step))
        rows = symbols.reshape(-1, self.latents)
        found = trellis.dequantise(
            rows, step, self.kinds, self.trellis, self.numpy, self.steady(step)
        )
        return found.reshape(symbols.shape)

    def unpack(self, packet: Packet, grid: tuple[int, ...] = ()) -> Array:
        """A packet of samples whose rows lie so -> symbols (N, rows * L) int32, of the N samples
        of its learned runs.

        Raises a FormatError of FORMAT.md, section 7.
        """
        packet.require(self.key)
        if Stream.LINES in packet.streams:
            raise FormatError("the packet has lines", expected="samples, as this bundle codes")
        samples = 0
        for run in packet.runs:
            known = run.level < self.levels if run.codec == LEARNED else run.codec <= self.fallbacks
            if not known:
                raise UnsupportedError(
                    f"a run of codec {run.codec} at level {run.level}",
                    expected=f"codec {LEARNED} to {self.fallbacks}; of codec {LEARNED} level 0 to "
                    f"{self.levels - 1}",
                )
            samples += run.count if run.codec == LEARNED else 0
        if not samples:
            self._refuse_latents(packet)
            return np.empty((0, math.prod(grid) * self.latents), np.int32)
        if Stream.LATENTS not in packet.streams:
            raise TruncatedError("the packet has no latents", expected="a stream of latents")
        escapes = packet.streams.get(Stream.ESCAPES, b"")
        if not escapes and Stream.ESCAPES in packet.streams:
            raise FormatError("the packet has an empty stream of escapes", expected="none")
        latents = packet.streams[Stream.LATENTS]
        rows = samples * math.prod(grid)
        count = rows * self.latents
        if self.palette is not None:
            if escapes:
                raise FormatError("the packet has escapes", expected="none: pixels have no others")
            size = self.palette.size(grid)
            symbols = self.palette.decode(self.coder, latents, packet.lanes, samples, size)
        elif self.counts is not None:
            symbols = self.counts.decode(self.coder, latents, escapes, packet.lanes, samples)
        elif self.contexts is not None:
            # Before there is memory for them.
            least = rows * self.contexts.least
            self.coder.refuse_unearned(count, packet.lanes, least, len(latents))
            rows_of = self._rows(samples, grid)
            coded = self.contexts.decode(self.coder, latents, escapes, packet.lanes, rows_of)
            symbols = rows_of.to_natural(coded, self.latents)
        elif self.fixed:
            symbols = self.coder.decode(latents, escapes, count, packet.lanes)
        else:
            choices = rows * self.selector.choices
            symbols = self.coder.decode_then(
                latents,
                escapes,
                choices,
                packet.lanes,
                lambda classes: self.selector.index(classes, rows),
                count,
                rows * self.selector.least,
            )[choices:]
        if grid and self.predicted.size:
            restore(symbols.reshape(-1, *grid, self.latents), self.predicted, self.numpy)
        return symbols.reshape(samples, -1)

    def _refuse_latents(self, packet: Packet) -> None:
        """Raise FormatError where a packet without a learned run has what only such have."""
        if packet.lanes > 1 or packet.streams.keys() & {Stream.LATENTS, Stream.ESCAPES}:
            raise FormatError(
                "the packet has latents, and no sample of the learned codec", expected="neither"
            )

    def bits(self, symbols: Array, grid: tuple[int, ...] = (), alone: bool = False) -> Array:
        """What each of N samples costs by the tables, classes and escapes included, estimated.

        symbols: (N, rows * L) int32; returns (N,) float64, bits. alone: as if each had a packet of
        its own, not one after the other in one.
        """
        if self.palette is not None:
            spent = self.palette.costs(symbols.reshape(-1), self.palette.size(grid))
            of_pixels: Array = spent.reshape(len(symbols), -1).sum(axis=1) * 2.0**-COST_BITS
            return of_pixels
        if self.counts is not None:
            of_values = self.counts.costs(symbols.reshape(-1), alone)
            each: Array = of_values.reshape(len(symbols), -1).sum(axis=1)
            return each
        if self.contexts is not None:
            flat, known = symbols.reshape(-1), self._lowered
            rows = self._rows(flat.size // (self.latents * math.prod(grid)), grid, alone)
            if known and known[1] == grid and np.array_equal(known[0], flat):
                coded, chosen = known[2], known[3]
            else:
                coded, chosen = self.contexts.select(*self._ordered(flat, grid, alone))
            in_order = self.coder.tables.costs_of(chosen, coded) * 2.0**-COST_BITS
            of_rows = rows.to_natural(in_order, self.latents)
            bits: Array = of_rows.reshape(len(symbols), -1).sum(axis=1)
            return bits
        every, index = self._as_coded(symbols.reshape(-1), grid)
        if index is None:
            index = np.resize(self.coder.index, every.size)
        cost = self.coder.tables.costs_of(index, every) * 2.0**-COST_BITS
        choices = every.size - symbols.size
        total: Array = cost[choices:].reshape(len(symbols), -1).sum(axis=1)
        if choices:
            total += cost[:choices].reshape(len(symbols), -1).sum(axis=1)
        return total
