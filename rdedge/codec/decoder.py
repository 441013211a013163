"""Packets -> samples: what runs on the server, and on a device that checks itself."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike

import numpy as np

from rdedge.bundle.bundle import Bundle
from rdedge.codec.preprocess import BLOCK_ELEMENTS, from_network
from rdedge.codec.symbols import SymbolCodec
from rdedge.coding.quantiser import dequantise
from rdedge.coding.rans import Backend
from rdedge.engine.runner import open_runner
from rdedge.errors import FormatError, MismatchError
from rdedge.format.packet import Packet, read_packet
from rdedge.types import Array


class Decoder:
    """The server's half of a bundle. Arguments as for Encoder."""

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
        graph = self.bundle.members["decoder.onnx"]
        self.runner = open_runner(graph, "decoder.onnx", backend, threads)
        self.symbol_codec = SymbolCodec.of(self.manifest, self.bundle.tables, coder)

    def decode(self, data: bytes | memoryview) -> Array:
        """One packet -> (N, *shape) in the dtype and the units of the source.

        Raises a FormatError of FORMAT.md, section 7, for anything but one sound packet of this
        codec.
        """
        packet, end = read_packet(data)
        if end != len(data):
            raise FormatError(
                f"{len(data) - end} bytes follow the packet",
                expected="one packet",
                do="use decode_stream for several",
            )
        return self.decode_packet(packet)

    def decode_stream(self, data: bytes | memoryview) -> Iterator[Array]:
        """Packets that follow one another -> their samples, packet by packet."""
        offset = 0
        while offset < len(data):
            packet, offset = read_packet(data, offset)
            yield self.decode_packet(packet)

    def decode_packet(self, packet: Packet) -> Array:
        """A parsed packet -> its samples."""
        return self.reconstruct(self.symbol_codec.unpack(packet))

    def reconstruct(self, symbols: Array) -> Array:
        """symbols: (N, C) int32 -> (N, *shape) in the dtype of the source."""
        x_hat = np.empty((len(symbols), *self.spec.shape), self.spec.dtype)
        rows = max(1, BLOCK_ELEMENTS // self.spec.elements)
        for i in range(0, len(symbols), rows):
            y_hat = dequantise(symbols[i : i + rows], self.manifest.levels[0].step)
            block = self.runner.run(y_hat).reshape(-1, *self.spec.shape)
            x_hat[i : i + rows] = from_network(block, self.spec.dtype)
        return x_hat

    def require(self, identity: bytes) -> None:
        """Raise MismatchError unless identity (32 bytes) is this codec's."""
        if identity.hex() != self.manifest.identity:
            raise MismatchError(
                f"it was made by the codec {identity.hex()[:16]}...",
                expected=f"{self.manifest.identity[:16]}..., the one of this bundle",
                do="decode it with the bundle that made it",
            )
