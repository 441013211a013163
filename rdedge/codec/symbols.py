"""Symbols <-> packet. Everything here is integers: two machines agree on it to the bit."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from rdedge.bundle.bundle import Bundle
from rdedge.codec.ways import ByClasses, ByContexts, ByCounts, ByPalette, Way
from rdedge.coding import quantiser, trellis
from rdedge.coding.context import Contexts
from rdedge.coding.context_model import ContextModel
from rdedge.coding.counts import Counts
from rdedge.coding.counts_model import CountsModel
from rdedge.coding.means import Moving
from rdedge.coding.palette import Palette
from rdedge.coding.palette_model import PaletteModel
from rdedge.coding.rans import Backend, Coder
from rdedge.coding.selection import Selection
from rdedge.coding.tables import Tables
from rdedge.coding.trellis import Trellis
from rdedge.errors import FormatError, TruncatedError, UnsupportedError
from rdedge.format.constants import Stream
from rdedge.format.packet import LEARNED, Packet, Run
from rdedge.types import Array

_NO_CLASSES = np.zeros(1, np.uint16)


class SymbolCodec:
    """The symbols of samples of one codec <-> packets; and what symbols stand for.

    key: 4 bytes. levels, fallbacks: how many the bundle has. trellis: with contexts alone. first:
    the step of level 0, None where no level is settled. Of contexts, palette, counts at most one.
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
        self.kinds = selection.quantisers & ~np.uint8(quantiser.PREDICTED)
        # What may be coded as less than it is: what is neither exact nor to the nearest.
        self.free = selection.quantisers == quantiser.SCALED
        self.trellis, self.first = trellis, first
        index = selection.fixed
        if index is None:
            index = selection.selectors if len(selection.selectors) else _NO_CLASSES
        self.coder = Coder(tables, index, backend)
        # Whatever chooses in the end, a selection whose tables are not there is refused.
        self.way: Way = ByClasses(selection, tables, self.coder, self.numpy)
        if palette is not None:
            model = PaletteModel(palette, tables, numpy=self.numpy)
            self.way = ByPalette(model, self.coder)
        elif counts is not None:
            self.way = ByCounts(CountsModel(counts, tables, self.latents, self.numpy), self.coder)
        elif contexts is not None:
            moving = None if trellis is None else Moving(trellis, self.free)
            network = ContextModel(contexts, index, tables, self.numpy, moving)
            self.way = ByContexts(network, self.coder, selection, self.kinds, self.free)

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
        every, index = self.way.select(symbols, grid)
        coded = self.coder.encode(every, lanes, index)
        found[Stream.LATENTS] = coded.latents
        if coded.escapes:
            found[Stream.ESCAPES] = coded.escapes
        return Packet(self.key, runs, found, coded.lanes, shape, gated).to_bytes()

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
        assert isinstance(self.way, ByContexts | ByPalette)
        return self.way.lower(symbols, scaled, weight, grid)

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
        return self.way.decode(latents, escapes, packet.lanes, samples, grid).reshape(samples, -1)

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
        return self.way.bits(symbols, grid, alone)
