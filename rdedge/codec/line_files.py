"""Logs <-> containers: what `rdedge compress` and `rdedge decompress` do with a bundle of lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rdedge.codec.files import Written, write_all
from rdedge.codec.lines import MAX_CONTENT_BYTES, LineDecoder, LineEncoder
from rdedge.data.lines import LINES, LineSource, blocks
from rdedge.errors import ConfigError, FormatError
from rdedge.format.constants import MAX_SAMPLES
from rdedge.format.container import Container, ContainerWriter
from rdedge.format.envelope import Envelope

# A block is what one packet carries: small ones are what a dictionary is for.
DEFAULT_BATCH = 1


@dataclass(frozen=True)
class MadeLines:
    """A packet just made, for who keeps a ledger. content: its blocks, so many of them."""

    source: LineSource
    content: bytes
    blocks: int
    packet: bytes
    encode_ns: int


def compress(
    encoder: LineEncoder,
    inputs: Iterable[LineSource],
    file: IO[bytes],
    batch: int = DEFAULT_BATCH,
    watch: Callable[[MadeLines], None] | None = None,
) -> tuple[list[Written], int]:
    """Encode logs in their order into one container, written to file as it grows.

    batch: blocks in one packet, 1 to 2^24; of large ones fewer. Returns what became of each and the
    container's size in bytes. An empty file is an envelope without packets. watch: is shown every
    packet.
    """
    if not 1 <= batch <= MAX_SAMPLES:
        raise ConfigError(f"a batch of {batch} blocks", expected=f"1 to {MAX_SAMPLES}")
    writer = ContainerWriter(file)
    identity = bytes.fromhex(encoder.manifest.identity)
    written: list[Written] = []
    for source in inputs:
        started = time.perf_counter()
        cut = blocks(source.data, encoder.manifest.lines)
        packets: list[bytes] = []
        seconds = time.perf_counter() - started
        for some in _batches(cut, batch):
            before, content = time.perf_counter_ns(), b"".join(some)
            packets.append(encoder.encode(content, len(some)))
            spent = time.perf_counter_ns() - before
            seconds += 1e-9 * spent
            if watch is not None:
                watch(MadeLines(source, content, len(some), packets[-1], spent))
        size = len(source.data)
        envelope = Envelope(
            identity,
            len(packets),
            0,
            source_name=source.name,
            source_kind=LINES,
            source_bytes=size,
        )
        writer.add(envelope, packets, len(cut))
        payload = sum(map(len, packets))
        written.append(Written(source.name, len(cut), size, size, len(packets), payload, seconds))
    return written, writer.close()


def _batches(cut: list[bytes], batch: int) -> Iterator[list[bytes]]:
    """So many blocks at a time, and no more bytes than a packet may hold."""
    some: list[bytes] = []
    size = 0
    for block in cut:
        if len(some) == batch or size + len(block) > MAX_CONTENT_BYTES:
            yield some
            some, size = [], 0
        some.append(block)
        size += len(block)
    if some:
        yield some


@dataclass(frozen=True)
class RestoredLog:
    """A log as it comes out of a container. parts: what each packet held; blocks: of all."""

    name: str
    parts: list[bytes]
    blocks: int

    @property
    def data(self) -> bytes:
        return b"".join(self.parts)


def restore(decoder: LineDecoder, container: Container) -> Iterator[RestoredLog]:
    """The logs of a container in their order. Raises a FormatError, or MismatchError where it is
    another codec's.
    """
    for i, (envelope, packets) in enumerate(container.batches()):
        decoder.require(envelope.codec_identity)
        parts = [decoder.decode_packet(packet) for packet in packets]
        size = sum(map(len, parts))
        whole = container.cut is None
        if whole and envelope.source_bytes not in (None, size):
            raise FormatError(
                f"container: envelope {i} has packets of {size} bytes",
                expected=f"{envelope.source_bytes}, the size of its source",
            )
        count = sum(packet.sample_count for packet in packets)
        yield RestoredLog(envelope.source_name or f"batch-{i:06}.log", parts, count)


def decompress(
    decoder: LineDecoder, container: Container, folder: Path, *, force: bool = False
) -> list[tuple[str, int]]:
    """Write the logs of a container below folder under their names; returns (name, blocks).

    Raises as files.decompress.
    """
    found = ((log.data, log.blocks) for log in restore(decoder, container))
    return write_all(container, found, folder, force=force)
