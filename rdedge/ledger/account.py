"""The account of a container: raw bytes, payload bytes, and what carries them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rdedge.format.constants import Stream
from rdedge.format.container import Container
from rdedge.format.packet import Packet
from rdedge.types import Measured, SampleSpec


@dataclass(frozen=True)
class SourceAccount:
    """One source of a container. raw_bytes: its samples as they lie in memory, shape by the packets
    and dtype by the bundle; source_bytes: the file as it was, None where unknown; payload_bytes:
    its packets, headers and checksums included; beside_bytes: of these, the times and the gaps.
    """

    name: str
    samples: int
    elements: int
    raw_bytes: int
    source_bytes: int | None
    packets: int
    payload_bytes: int
    beside_bytes: int


@dataclass(frozen=True)
class Account:
    """A whole container. container_bytes: the file; the rest is the sum over its sources."""

    sources: tuple[SourceAccount, ...]
    container_bytes: int

    @property
    def samples(self) -> int:
        return sum(s.samples for s in self.sources)

    @property
    def elements(self) -> int:
        return sum(s.elements for s in self.sources)

    @property
    def beside_bytes(self) -> int:
        """Bytes of times and gaps, which say nothing of the values."""
        return sum(s.beside_bytes for s in self.sources)

    @property
    def raw_bytes(self) -> int:
        return sum(s.raw_bytes for s in self.sources)

    @property
    def payload_bytes(self) -> int:
        return sum(s.payload_bytes for s in self.sources)

    @property
    def ratio(self) -> float:
        """Raw bytes for each byte of the container, all included."""
        return self.raw_bytes / self.container_bytes

    @property
    def bits_per_element(self) -> Measured:
        """Bits of the container for each element of the samples, all included."""
        return Measured(8.0 * self.container_bytes / self.elements, "actual")


def account(container: Container, spec: SampleSpec) -> Account:
    """Count a container whose samples are as spec says; images as large as their packets say."""
    sources: list[SourceAccount] = []
    item = np.dtype(spec.dtype).itemsize
    for i, (envelope, packets) in enumerate(container.batches()):
        elements = sum(p.sample_count * math.prod(p.shape or spec.shape) for p in packets)
        sources.append(
            SourceAccount(
                name=envelope.source_name or f"batch-{i:06}.npy",
                samples=sum(packet.sample_count for packet in packets),
                elements=elements,
                raw_bytes=elements * item,
                source_bytes=envelope.source_bytes,
                packets=len(packets),
                payload_bytes=container.payload_bytes(i),
                beside_bytes=sum(map(_beside, packets)),
            )
        )
    return Account(tuple(sources), len(container.data))


def account_of_lines(container: Container, sizes: Sequence[int]) -> Account:
    """Count a container of logs; its samples are blocks, its elements bytes. sizes: bytes that each
    log has decoded, since no packet says how many.
    """
    sources = []
    for i, (envelope, packets) in enumerate(container.batches()):
        sources.append(
            SourceAccount(
                name=envelope.source_name or f"batch-{i:06}.log",
                samples=sum(packet.sample_count for packet in packets),
                elements=sizes[i],
                raw_bytes=sizes[i],
                source_bytes=envelope.source_bytes,
                packets=len(packets),
                payload_bytes=container.payload_bytes(i),
                beside_bytes=0,
            )
        )
    return Account(tuple(sources), len(container.data))


def _beside(packet: Packet) -> int:
    return sum(len(packet.streams.get(stream, b"")) for stream in (Stream.TIMES, Stream.MASK))
