"""Samples -> packets: what runs on the device."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from typing import Any

import numpy as np

from rdedge.bundle.bundle import Bundle
from rdedge.codec.decoder import Decoder
from rdedge.codec.gate import Gate
from rdedge.codec.measure import Margin, Measure, margin_for
from rdedge.codec.preprocess import (
    BLOCK_ELEMENTS,
    enlarge,
    fill_missing,
    refuse_non_finite,
    to_network,
)
from rdedge.codec.symbols import SymbolCodec
from rdedge.codec.tally import Sampler, Tally, mode_of
from rdedge.coding.quantiser import Quantiser
from rdedge.coding.rans import Backend
from rdedge.engine.part import Part
from rdedge.engine.runner import open_runner
from rdedge.errors import ConfigError, ShapeError, ValueRangeError
from rdedge.format.constants import MAX_IMAGE_ELEMENTS, MAX_SAMPLES, Stream
from rdedge.format.mask import write_mask
from rdedge.format.packet import LEARNED, Run
from rdedge.types import Array

# Latents within so many steps can be quantised, with a trellis too.
_MOST_SYMBOL = 2.0**30 - 2.0**10


class Encoder:
    """The device's half of a bundle.

    bundle: a path, or a Bundle. backend: what runs the graph, one of engine.runner.BACKENDS, or
    None for the best at hand. coder: "c", "numpy", or None for the faster one that is there.
    threads: of the graph. gate: one of bundle.recipe.GATES, or None for what the bundle's recipe
    says: "always" measures every sample and sends nothing that misses the bound; "sampled"
    measures a share of them, says what it found (tally), and promises nothing. margin: what the
    reconstructions of another decoder may differ by, in standard deviations of the training data;
    None for what `rdedge check` measured here, else the bundle's own limit. digest: whether packets
    say what they come back as, and with what distortion.

    Raises BundleError for a device's part where the gate or the digest needs a decoder;
    MissingError for a fallback codec that cannot run here.
    """

    def __init__(
        self,
        bundle: str | PathLike[str] | Bundle,
        *,
        backend: str | None = None,
        coder: Backend | None = None,
        threads: int | None = None,
        gate: str | None = "never",
        margin: float | None = None,
        share: float = 1.0 / 16.0,
        digest: bool = False,
    ) -> None:
        self.bundle = Bundle.of(bundle)
        self.manifest = self.bundle.manifest
        self.spec = self.manifest.sample
        self.runner = open_runner(Part.of(self.bundle, "encoder"), backend, threads)
        self.symbol_codec = SymbolCodec.of(self.bundle, coder)
        rounding, quantisers = self.manifest.rounding, self.bundle.selection.quantisers
        self._quantisers = [
            Quantiser(level.step, rounding, quantisers, self.symbol_codec.steady(level.step))
            for level in self.manifest.levels
        ]
        self._options: dict[str, Any] = {"backend": backend, "coder": coder, "threads": threads}
        self._decoder: Decoder | None = None
        self.mode = mode_of(self.bundle, gate)
        self.tally = Tally()
        # What is left for the decoders of others, where anything is measured.
        self.margin: Margin | None = None
        self._gate: Gate | None = None
        self._sampler: Sampler | None = None
        self._digest: Measure | None = None
        # With a decoder, where one was needed.
        self.measure: Measure | None = None
        if self.mode != "never" or digest:
            self.bundle.require_whole(f"gate = {self.mode}" if self.mode != "never" else "a digest")
            decoder = Decoder(self.bundle, **self._options)
            self.margin = Margin(margin or 0.0, "as it was asked for", margin is not None)
            if margin is None:
                self.margin = margin_for(self.bundle, decoder.runner.name)
            measure = self.measure = Measure(decoder, self.margin.deviations)
            self._digest = measure if digest else None
            if self.mode == "always":
                self._gate = Gate(self, measure, self.tally)
            elif self.mode == "sampled":
                self._sampler = Sampler(measure, share, self.tally)

    def encode(
        self, x: Array, streams: Mapping[Stream, bytes] | None = None, *, level: int = 0
    ) -> bytes:
        """x: (N, *shape) in the dtype and the units of the source, N from 1 to 2^24 -> one packet.

        Images of one packet have one height and width, and where that is not the manifest's at most
        2^28 elements. NaN in a series is a missing value.
        streams: to travel in the packet, such as times. level: of the manifest's.
        Raises ShapeError for another shape or
        dtype, ValueRangeError for infinity, NaN in what is no series, and values beyond what can
        be coded.
        """
        x = self.checked(x)
        self.tally.last = None
        packet = self._encode(x, streams, level)
        return packet if self._digest is None else self._digest.with_digest(packet, x)

    def _encode(self, x: Array, streams: Mapping[Stream, bytes] | None, level: int) -> bytes:
        self._refuse_level(level)
        shape = None if x.shape[1:] == self.spec.shape else x.shape[1:]
        mask, came = None, x
        if self.spec.kind == "series":
            x, mask = fill_missing(x)
        if mask is not None:
            streams = {**(streams or {}), Stream.MASK: write_mask(mask)}
        if self._gate is not None:
            if level:
                raise ConfigError(f"level {level} and gate = always", expected="one of the two")
            return self._gate.encode(came, x, streams or {}, shape)
        symbols = self._symbols(x, level)
        if self._sampler is not None:
            self._sampler.look(came, symbols, level)
        runs = None if level == 0 else (Run(LEARNED, level, len(x)),)
        return self.symbol_codec.pack(
            symbols.reshape(-1), len(x), grid=self._grid(x), shape=shape, streams=streams, runs=runs
        )

    def decoder(self) -> Decoder:
        """The bundle's decoder, with what runs here. Raises BundleError for a device's part."""
        if self.measure is not None:
            return self.measure.decoder
        if self._decoder is None:
            self._decoder = Decoder(self.bundle, **self._options)
        return self._decoder

    def encode_stream(self, batches: Iterable[Array]) -> Iterator[bytes]:
        """One packet for each batch, as they come."""
        return map(self.encode, batches)

    def symbols(self, x: Array, level: int = 0) -> Array:
        """X as for encode -> symbols (N, R * L) int32."""
        x = self.checked(x)
        self._refuse_level(level)
        return self._symbols(fill_missing(x)[0] if self.spec.kind == "series" else x, level)

    def latents(self, x: Array) -> Array:
        """X checked, without NaN -> what the graph gives, (N, R * L) float32, not yet quantised."""
        if self.spec.kind == "image":
            x = enlarge(x, self.manifest.patch)
        latents = math.prod(self._grid(x)) * self.manifest.latents
        y = np.empty((len(x), latents), np.float32)
        rows = max(1, BLOCK_ELEMENTS // math.prod(x.shape[1:]))
        for i in range(0, len(x), rows):
            y[i : i + rows] = self.runner.run(to_network(x[i : i + rows])).reshape(-1, latents)
        return y

    def reach(self, level: int) -> float:
        """Latents smaller than this can be quantised at a level, the exact ones among them."""
        return _MOST_SYMBOL * min(self.manifest.levels[level].step, 1.0)

    def quantised(
        self, y: Array, level: int, grid: tuple[int, ...] = (), factor: float = 1.0
    ) -> Array:
        """Latents (N, R * L) float32 whose rows lie so -> symbols of that shape.

        factor: of the weight of a bit, where the manifest has one.
        Raises ValueRangeError.
        """
        symbols = np.empty(y.shape, np.int32)
        self._fill(y.reshape(-1), symbols, level, grid, factor)
        return symbols

    def _fill(
        self, y: Array, symbols: Array, level: int, grid: tuple[int, ...], factor: float = 1.0
    ) -> None:
        quantiser, weight = self._quantisers[level], factor * self.manifest.rate_weight
        flat = symbols.reshape(-1)
        quantiser(y, flat)
        if weight or self.manifest.trellis is not None:
            flat[:] = self.symbol_codec.lower(flat, quantiser.scaled(y), weight, grid)

    def _refuse_level(self, level: int) -> None:
        if not 0 <= level < len(self._quantisers):
            raise ConfigError(
                f"level {level}", expected=f"0 to {len(self._quantisers) - 1}, as the bundle has"
            )

    def _grid(self, x: Array) -> tuple[int, ...]:
        return self.manifest.grid(x.shape[1:])

    def checked(self, x: Array) -> Array:
        """A batch as the codec takes it. Raises ShapeError."""
        x = self.spec.check_batch(x)
        if not 1 <= len(x) <= MAX_SAMPLES:
            raise ShapeError(f"a batch of {len(x)} samples", expected=f"1 to {MAX_SAMPLES}")
        if x.shape[1:] != self.spec.shape and x.size > MAX_IMAGE_ELEMENTS:
            raise ShapeError(
                f"images of {x.size} elements",
                expected=f"at most {MAX_IMAGE_ELEMENTS} in one packet",
                do="send them in smaller batches, or cut them into parts",
            )
        return x

    def _symbols(self, x: Array, level: int) -> Array:
        """X checked and without NaN -> symbols (N, R * L) int32."""
        if self.spec.kind == "image":
            x = enlarge(x, self.manifest.patch)
        grid = self._grid(x)
        symbols = np.empty((len(x), math.prod(grid) * self.manifest.latents), np.int32)
        rows = max(1, BLOCK_ELEMENTS // math.prod(x.shape[1:]))
        if len(x) <= rows:
            self._quantise(x, symbols, level)
            return symbols
        for i in range(0, len(x), rows):
            self._quantise(x[i : i + rows], symbols[i : i + rows], level)
        return symbols

    def _quantise(self, x: Array, symbols: Array, level: int) -> None:
        """A block of samples -> its rows of symbols."""
        y = self.runner.run(to_network(x)).reshape(-1)
        try:
            self._fill(y, symbols, level, self._grid(x))
        except ValueRangeError as error:
            refuse_non_finite(x)
            raise ValueRangeError(
                f"a sample lies too far outside the training data: {error.what}",
                expected=error.expected,
                do="send it uncompressed, or train on data like it",
            ) from error
