"""Symbols <-> packet. Everything here is integers: two machines agree on it to the bit."""

from __future__ import annotations

import numpy as np

from rdedge.bundle.manifest import Manifest
from rdedge.coding.rans import Backend, Coder
from rdedge.coding.tables import Tables
from rdedge.errors import FormatError, MismatchError, TruncatedError, UnsupportedError
from rdedge.format.constants import Stream
from rdedge.format.packet import LEARNED, Packet, Run
from rdedge.types import Array


class SymbolCodec:
    """The symbols of samples of one codec <-> packets.

    key: 4 bytes. tables: one for each latent. levels: how many the bundle has.
    """

    def __init__(
        self, key: bytes, tables: Tables, levels: int, backend: Backend | None = None
    ) -> None:
        self.key = key
        self.latents = len(tables)
        self.levels = levels
        self.coder = Coder(tables, np.arange(len(tables), dtype=np.uint16), backend)

    @staticmethod
    def of(manifest: Manifest, tables: Tables, backend: Backend | None = None) -> SymbolCodec:
        return SymbolCodec(manifest.key, tables, len(manifest.levels), backend)

    def pack(self, symbols: Array, count: int, lanes: int | None = None) -> bytes:
        """symbols: (count * C,) int32, sample after sample -> a packet."""
        coded = self.coder.encode(symbols, lanes)
        streams = {Stream.LATENTS: coded.latents}
        if coded.escapes:
            streams[Stream.ESCAPES] = coded.escapes
        runs = (Run(LEARNED, 0, count),)
        return Packet(self.key, runs, streams, coded.lanes).to_bytes()

    def unpack(self, packet: Packet) -> Array:
        """A packet -> symbols (N, C) int32. Raises a FormatError of FORMAT.md, section 7."""
        if packet.codec_key != self.key:
            raise MismatchError(
                f"the packet was made by the codec {packet.codec_key.hex()}",
                expected=self.key.hex(),
                do="decode it with the bundle that made it",
            )
        for run in packet.runs:
            if run.codec != LEARNED or run.level >= self.levels:
                raise UnsupportedError(
                    f"a run of codec {run.codec} at level {run.level}",
                    expected=f"codec {LEARNED}, level 0 to {self.levels - 1}",
                )
        if packet.shape is not None:
            raise MismatchError(
                f"the packet holds samples of shape {packet.shape}",
                expected="the shape of the manifest",
            )
        if Stream.LATENTS not in packet.streams:
            raise TruncatedError("the packet has no latents", expected="a stream of latents")
        escapes = packet.streams.get(Stream.ESCAPES, b"")
        if not escapes and Stream.ESCAPES in packet.streams:
            raise FormatError("the packet has an empty stream of escapes", expected="none")
        symbols = self.coder.decode(
            packet.streams[Stream.LATENTS],
            escapes,
            packet.sample_count * self.latents,
            packet.lanes,
        )
        return symbols.reshape(-1, self.latents)
