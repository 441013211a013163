"""Samples -> packets: what runs on the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike

import numpy as np

from rdedge.bundle.bundle import Bundle
from rdedge.codec.preprocess import BLOCK_ELEMENTS, refuse_non_finite, to_network
from rdedge.codec.symbols import SymbolCodec
from rdedge.coding.quantiser import quantise
from rdedge.coding.rans import Backend
from rdedge.engine.runner import open_runner
from rdedge.errors import ShapeError, ValueRangeError
from rdedge.format.constants import MAX_SAMPLES
from rdedge.types import Array


class Encoder:
    """The device's half of a bundle.

    bundle: a path, or a Bundle. backend: what runs the graph, None for the best at hand.
    coder: "c", "numpy", or None for the faster one that is there. threads: of the graph.
    """

    def __init__(
        self,
        bundle: str | PathLike[str] | Bundle,
        *,
        backend: str | None = None,
        coder: Backend | None = None,
        threads: int | None = None,
    ) -> None:
        self.bundle = Bundle.of(bundle)
        self.manifest = self.bundle.manifest
        self.spec = self.manifest.sample
        graph = self.bundle.members["encoder.onnx"]
        self.runner = open_runner(graph, "encoder.onnx", backend, threads)
        self.symbol_codec = SymbolCodec.of(self.manifest, self.bundle.tables, coder)
        self._step = self.manifest.levels[0].step
        self._rows = max(1, BLOCK_ELEMENTS // self.spec.elements)

    def encode(self, x: Array) -> bytes:
        """x: (N, *shape) in the dtype and the units of the source, N from 1 to 2^24 -> one packet.

        Raises ShapeError for another shape or dtype, ValueRangeError for NaN, infinity and values
        beyond what can be coded.
        """
        return self.symbol_codec.pack(self.symbols(x).reshape(-1), len(x))

    def encode_stream(self, batches: Iterable[Array]) -> Iterator[bytes]:
        """One packet for each batch, as they come."""
        return map(self.encode, batches)

    def symbols(self, x: Array) -> Array:
        """X as for encode -> symbols (N, C) int32."""
        x = self.spec.check_batch(x)
        if not 1 <= len(x) <= MAX_SAMPLES:
            raise ShapeError(f"a batch of {len(x)} samples", expected=f"1 to {MAX_SAMPLES}")
        symbols = np.empty((len(x), self.symbol_codec.latents), np.int32)
        if len(x) <= self._rows:
            self._quantise(x, symbols)
            return symbols
        for i in range(0, len(x), self._rows):
            self._quantise(x[i : i + self._rows], symbols[i : i + self._rows])
        return symbols

    def _quantise(self, x: Array, symbols: Array) -> None:
        """A block of samples -> its rows of symbols."""
        y = self.runner.run(to_network(x))
        try:
            quantise(y.reshape(-1), self._step, self.manifest.rounding, symbols.reshape(-1))
        except ValueRangeError as error:
            refuse_non_finite(x)
            raise ValueRangeError(
                f"a sample lies too far outside the training data: {error.what}",
                expected=error.expected,
                do="send it uncompressed, or train on data like it",
            ) from error
