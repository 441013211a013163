"""Packets -> samples: what runs on the server, and on a device that checks itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from os import PathLike

import numpy as np

from rdedge.bundle.bundle import Bundle
from rdedge.codec.digest import fits_digest
from rdedge.codec.fallbacks import Fallbacks
from rdedge.codec.preprocess import BLOCK_ELEMENTS, from_network
from rdedge.codec.residual import Corrections, correct
from rdedge.codec.symbols import SymbolCodec
from rdedge.coding.rans import Backend
from rdedge.engine.part import Part
from rdedge.engine.runner import open_runner
from rdedge.errors import FormatError, MismatchError
from rdedge.format.constants import MAX_IMAGE_ELEMENTS, Stream
from rdedge.format.envelope import require_codec
from rdedge.format.mask import read_mask
from rdedge.format.packet import LEARNED, Packet, read_all, read_one
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
        self.spec, self.coder = self.manifest.sample, coder
        self.runner = open_runner(Part.of(self.bundle, "decoder"), backend, threads)
        self.symbol_codec = SymbolCodec.of(self.bundle, coder)
        self.fallbacks = Fallbacks(self.manifest)
        self.corrections = Corrections(self.manifest) if self.manifest.residual else None
        # Packets with a digest, and those among them that came back as something else.
        self.digests = self.mismatches = 0

    def decode(self, data: bytes | memoryview) -> Array:
        """One packet -> (N, *shape) in the dtype and the units of the source.

        Raises a FormatError of FORMAT.md, section 7, for anything but one sound packet of this
        codec.
        """
        return self.decode_packet(read_one(data))

    def decode_stream(self, data: bytes | memoryview) -> Iterator[Array]:
        """Packets that follow one another -> their samples, packet by packet."""
        return map(self.decode_packet, read_all(data))

    def decode_packet(self, packet: Packet) -> Array:
        """A parsed packet -> its samples."""
        shape = self._shape(packet)
        symbols = self.symbol_codec.unpack(packet, self.manifest.grid(shape))
        self.fallbacks.refuse(packet, math.prod(shape))
        levels = _levels(packet)
        learned = levels >= 0
        x_hat = self.reconstruct(symbols, shape, levels[learned])
        if not learned.all():
            found = np.empty((packet.sample_count, *shape), self.spec.dtype)
            found[learned] = x_hat
            x_hat = found
            self.fallbacks.decode(packet, shape, x_hat)
        correct(packet, self.corrections, x_hat, learned, self.coder)
        mask = packet.streams.get(Stream.MASK)
        if mask is not None:
            if self.spec.kind != "series" or not np.issubdtype(x_hat.dtype, np.floating):
                raise FormatError("packet: a mask of values that cannot be missing")
            x_hat[read_mask(mask, x_hat.shape)] = np.nan
        digest = packet.streams.get(Stream.DIGEST)
        if digest is not None:
            self.digests += 1
            self.mismatches += not fits_digest(digest, x_hat, self.manifest.scale)
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

    def reconstruct(
        self, symbols: Array, shape: tuple[int, ...] | None = None, levels: Array | None = None
    ) -> Array:
        """symbols: (N, R * L) int32 -> (N, *shape) in the dtype of the source.

        shape: of a sample; None: the manifest's. levels: of each sample, (N,); None: all 0.
        """
        shape = self.spec.shape if shape is None else shape
        x_hat = np.empty((len(symbols), *shape), self.spec.dtype)
        for i, block in self.outputs(symbols, shape, levels):
            x_hat[i : i + len(block)] = from_network(block, self.spec.dtype)
        return x_hat

    def outputs(
        self, symbols: Array, shape: tuple[int, ...], levels: Array | None = None
    ) -> Iterator[tuple[int, Array]]:
        """The same before the last step, block by block: where it starts, (n, *shape) float32."""
        grid = self.manifest.grid(shape)
        symbols = symbols.reshape(-1, *grid, self.manifest.latents)
        # As large as the graph makes them: thin images grow to whole patches.
        enlarged = (
            math.prod(grid) * self.manifest.patch**2 * shape[-1] if grid else math.prod(shape)
        )
        rows = max(1, BLOCK_ELEMENTS // enlarged)
        for i in range(0, len(symbols), rows):
            some = None if levels is None else levels[i : i + rows]
            block = self.runner.run(self._y_hat(symbols[i : i + rows], some))
            if grid:
                block = block[:, : shape[0], : shape[1]]
            yield i, block.reshape(-1, *shape)

    def _y_hat(self, symbols: Array, levels: Array | None) -> Array:
        """What the graph is fed with, float32; symbols: (n, *grid, L)."""
        steps = [level.step for level in self.manifest.levels]
        first = 0 if levels is None else int(levels[0])
        if levels is None or (levels == first).all():
            return self.symbol_codec.values(symbols, steps[first])
        y_hat = np.empty(symbols.shape, np.float32)
        for level in np.unique(levels):
            which = levels == level
            y_hat[which] = self.symbol_codec.values(symbols[which], steps[level])
        return y_hat

    def require(self, identity: bytes) -> None:
        """Raise MismatchError unless identity (32 bytes) is this codec's."""
        require_codec(identity, self.manifest.identity)


def _levels(packet: Packet) -> Array:
    """The level of each sample, (N,) int64; -1 of those of fallbacks."""
    runs = packet.runs
    levels = [run.level if run.codec == LEARNED else -1 for run in runs]
    return np.repeat(np.array(levels, np.int64), [run.count for run in runs])
