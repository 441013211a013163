"""Packets -> samples: what runs on the server, and on a device that checks itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from os import PathLike

import numpy as np

from rdedge.bundle.bundle import Bundle
from rdedge.codec.preprocess import BLOCK_ELEMENTS, from_network
from rdedge.codec.symbols import SymbolCodec
from rdedge.coding.quantiser import dequantise
from rdedge.coding.rans import Backend
from rdedge.engine.part import Part
from rdedge.engine.runner import open_runner
from rdedge.errors import FormatError, MismatchError
from rdedge.format.constants import MAX_IMAGE_ELEMENTS, Stream
from rdedge.format.mask import read_mask
from rdedge.format.packet import Packet, read_packet
from rdedge.types import Array


class Decoder:
    """The server's half of a bundle. Arguments as for Encoder.

    Raises BundleError for a device's part.
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
        self.bundle.require_whole("decoding")
        self.manifest = self.bundle.manifest
        self.spec = self.manifest.sample
        self.runner = open_runner(Part.of(self.bundle, "decoder"), backend, threads)
        self.symbol_codec = SymbolCodec.of(self.bundle, coder)
        self._quantisers = self.bundle.selection.quantisers

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
        shape = self._shape(packet)
        symbols = self.symbol_codec.unpack(packet, self.manifest.grid(shape))
        x_hat = self.reconstruct(symbols, shape)
        mask = packet.streams.get(Stream.MASK)
        if mask is not None:
            if self.spec.kind != "series" or not np.issubdtype(x_hat.dtype, np.floating):
                raise FormatError("packet: a mask of values that cannot be missing")
            x_hat[read_mask(mask, x_hat.shape)] = np.nan
        return x_hat

    def _shape(self, packet: Packet) -> tuple[int, ...]:
        if packet.shape is None:
            return self.spec.shape
        elements = packet.sample_count * math.prod(packet.shape)
        if packet.shape == self.spec.shape or not self.spec.allows(packet.shape):
            raise MismatchError(
                f"the packet holds samples of shape {packet.shape}",
                expected=f"another than {self.spec.shape} only for images",
            )
        if elements > MAX_IMAGE_ELEMENTS:
            raise FormatError(
                f"packet: images of {elements} elements", expected=f"at most {MAX_IMAGE_ELEMENTS}"
            )
        return packet.shape

    def reconstruct(self, symbols: Array, shape: tuple[int, ...] | None = None) -> Array:
        """symbols: (N, R * L) int32 -> (N, *shape) in the dtype of the source.

        shape: of a sample; None: the manifest's.
        """
        shape = self.spec.shape if shape is None else shape
        grid = self.manifest.grid(shape)
        x_hat = np.empty((len(symbols), *shape), self.spec.dtype)
        symbols = symbols.reshape(-1, *grid, self.manifest.latents)
        # As large as the graph makes them: thin images grow to whole patches.
        enlarged = (
            math.prod(grid) * self.manifest.patch**2 * shape[-1] if grid else math.prod(shape)
        )
        rows = max(1, BLOCK_ELEMENTS // enlarged)
        for i in range(0, len(symbols), rows):
            y_hat = dequantise(
                symbols[i : i + rows], self.manifest.levels[0].step, self._quantisers
            )
            block = self.runner.run(y_hat)
            if grid:
                block = block[:, : shape[0], : shape[1]]
            x_hat[i : i + rows] = from_network(block.reshape(-1, *shape), self.spec.dtype)
        return x_hat

    def require(self, identity: bytes) -> None:
        """Raise MismatchError unless identity (32 bytes) is this codec's."""
        if identity.hex() != self.manifest.identity:
            raise MismatchError(
                f"it was made by the codec {identity.hex()[:16]}...",
                expected=f"{self.manifest.identity[:16]}..., the one of this bundle",
                do="decode it with the bundle that made it",
            )
