"""The account of a container: raw bytes, payload bytes, and what carries them."""

from __future__ import annotations

from dataclasses import dataclass

from rdedge.format.container import Container
from rdedge.types import Measured, SampleSpec


@dataclass(frozen=True)
class SourceAccount:
    """One source of a container. raw_bytes: its samples as they lie in memory, shape and dtype by
    the bundle; source_bytes: the file as it was, None where unknown; payload_bytes: its packets,
    headers and checksums included.
    """

    name: str
    samples: int
    raw_bytes: int
    source_bytes: int | None
    packets: int
    payload_bytes: int


@dataclass(frozen=True)
class Account:
    """A whole container. container_bytes: the file; the rest is the sum over its sources."""

    sources: tuple[SourceAccount, ...]
    elements: int
    container_bytes: int

    @property
    def samples(self) -> int:
        return sum(s.samples for s in self.sources)

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
    """Count a container whose samples are as spec says."""
    sources: list[SourceAccount] = []
    for i, (envelope, packets) in enumerate(container.batches()):
        samples = sum(packet.sample_count for packet in packets)
        sources.append(
            SourceAccount(
                name=envelope.source_name or f"batch-{i:06}.npy",
                samples=samples,
                raw_bytes=samples * spec.raw_bytes,
                source_bytes=envelope.source_bytes,
                packets=len(packets),
                payload_bytes=container.payload_bytes(i),
            )
        )
    elements = sum(s.samples for s in sources) * spec.elements
    return Account(tuple(sources), elements, len(container.data))
