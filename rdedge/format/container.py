"""Container `.rdz`: a file of envelopes and packets with an index at its end (FORMAT.md, section 3).

The writer streams to any file object; the reader works on bytes or a memory map, gives random
access through the index, and reads a file that was cut short up to the cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

from rdedge.errors import FormatError, TruncatedError
from rdedge.format.constants import (
    CONTAINER_END,
    CONTAINER_HEAD,
    ENVELOPE_MAGIC,
    INDEX_MAGIC,
    MAX_PACKETS,
    MAX_SAMPLES,
    TAIL_BYTES,
)
from rdedge.format.envelope import Envelope, read_envelope
from rdedge.format.packet import Packet, read_packet
from rdedge.format.reader import Reader, append_crc
from rdedge.format.varint import append_varint


@dataclass(frozen=True)
class Entry:
    """One envelope of a container: where it starts, how many packets and samples it has."""

    offset: int
    packets: int
    samples: int


class ContainerWriter:
    """Writes a container to a binary file object, one batch after the other, then the index."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._offset = len(CONTAINER_HEAD)
        self._entries: list[Entry] = []
        file.write(CONTAINER_HEAD)

    def add(self, envelope: Envelope, packets: list[bytes], samples: int) -> None:
        """Write one envelope and its packets; counts and lengths of the envelope are filled in."""
        payload = sum(map(len, packets))
        head = replace(envelope, packet_count=len(packets), payload_length=payload).to_bytes()
        self._file.write(head)
        for packet in packets:
            self._file.write(packet)
        self._entries.append(Entry(self._offset, len(packets), samples))
        self._offset += len(head) + payload

    def close(self) -> int:
        """Write the index and the tail; return the size of the container in bytes."""
        index = _index_bytes(self._entries)
        tail = len(index).to_bytes(4, "little") + CONTAINER_END
        self._file.write(index + tail)
        return self._offset + len(index) + len(tail)


def _index_bytes(entries: list[Entry]) -> bytes:
    index = bytearray((INDEX_MAGIC,))
    append_varint(index, len(entries))
    previous = 0
    for entry in entries:
        append_varint(index, entry.offset - previous)
        append_varint(index, entry.packets)
        append_varint(index, entry.samples)
        previous = entry.offset
    append_crc(index)
    return bytes(index)


class Container:
    """A container in memory. entries: its envelopes, from the index or rebuilt.

    cut: None where the file is whole, else the byte at which the sound part ends; then entries
    hold what is whole before it. Raises FormatError where the head is not that of a container, or
    the index contradicts the records.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = memoryview(data)
        head = bytes(self.data[: len(CONTAINER_HEAD)])
        if head != CONTAINER_HEAD:
            if CONTAINER_HEAD.startswith(head):
                raise TruncatedError(f"container: the file has {len(head)} bytes", expected="more")
            raise FormatError(
                f"container: the file starts with {head!r}", expected=repr(CONTAINER_HEAD)
            )
        self.cut: int | None = None
        index_start = self._find_index()
        if index_start is None:
            self.entries = self._rebuild()
        else:
            self.entries = self._read_index(index_start)

    def _find_index(self) -> int | None:
        """Where the index starts, or None where the tail does not fit a whole index."""
        tail = bytes(self.data[-TAIL_BYTES:])
        start = len(self.data) - TAIL_BYTES - int.from_bytes(tail[:4], "little")
        if tail[4:] != CONTAINER_END or start < len(CONTAINER_HEAD):
            return None
        return start if self.data[start] == INDEX_MAGIC else None

    def _read_index(self, start: int) -> list[Entry]:
        end = len(self.data) - TAIL_BYTES
        reader = Reader(self.data, "container index", start, end)
        reader.magic(INDEX_MAGIC)
        entries: list[Entry] = []
        offset = 0
        for _ in range(reader.varint("number of envelopes", 0, reader.left)):
            offset += reader.varint("distance", 1, start)
            packets = reader.varint("packets", 0, MAX_PACKETS)
            samples = reader.varint("samples", 0, MAX_SAMPLES * MAX_PACKETS)
            if offset >= start or self.data[offset] != ENVELOPE_MAGIC:
                raise FormatError(
                    f"container: the index has an envelope at byte {offset}, where none starts"
                )
            entries.append(Entry(offset, packets, samples))
        reader.crc()
        if reader.left:
            raise FormatError(f"container: {reader.left} bytes after the index", expected="none")
        if (entries[0].offset if entries else start) != len(CONTAINER_HEAD):
            raise FormatError("container: bytes before the first envelope", expected="none")
        self._ends = [e.offset for e in entries[1:]] + [start]
        return entries

    def _rebuild(self) -> list[Entry]:
        entries: list[Entry] = []
        self._ends: list[int] = []
        offset = len(CONTAINER_HEAD)
        while offset < len(self.data) and self.data[offset] == ENVELOPE_MAGIC:
            start = offset
            packets = samples = 0
            try:
                envelope, offset = read_envelope(self.data, offset)
                good = offset
                for _ in range(envelope.packet_count):
                    packet, good = read_packet(self.data, good)
                    packets, samples = packets + 1, samples + packet.sample_count
                offset = good
            except FormatError:
                # What is whole before the damage is kept, the batch it interrupts included.
                if packets:
                    entries.append(Entry(start, packets, samples))
                    self._ends.append(good)
                    offset = good
                else:
                    offset = start
                break
            entries.append(Entry(start, packets, samples))
            self._ends.append(offset)
        self.cut = offset
        return entries

    def batch(self, i: int) -> tuple[Envelope, list[Packet]]:
        """Envelope i and its packets, checked against the index."""
        entry, end = self.entries[i], self._ends[i]
        envelope, offset = read_envelope(self.data[:end], entry.offset)
        payload_start = offset
        packets: list[Packet] = []
        while offset < end:
            packet, offset = read_packet(self.data[:end], offset)
            packets.append(packet)
        samples = sum(p.sample_count for p in packets)
        whole = self.cut is None or i < len(self.entries) - 1
        announced = (envelope.packet_count, envelope.payload_length)
        if (len(packets), samples) != (entry.packets, entry.samples) or (
            whole and announced != (len(packets), end - payload_start)
        ):
            raise FormatError(
                f"container: envelope {i} has {len(packets)} packets and {samples} samples",
                expected=f"{envelope.packet_count} packets by the envelope, {entry.packets} with "
                f"{entry.samples} samples by the index",
            )
        return envelope, packets

    def batches(self) -> Iterator[tuple[Envelope, list[Packet]]]:
        """All envelopes with their packets, in order."""
        for i in range(len(self.entries)):
            yield self.batch(i)

    def payload_bytes(self, i: int) -> int:
        """Bytes of the packets of envelope i."""
        _, offset = read_envelope(self.data, self.entries[i].offset)
        return self._ends[i] - offset

    def require_whole(self) -> None:
        """Raise TruncatedError where the file was cut short."""
        if self.cut is not None:
            samples = sum(entry.samples for entry in self.entries)
            raise TruncatedError(
                f"container: the file is cut short or damaged at byte {self.cut}",
                expected="an index and its tail at the end",
                do=f"fetch it again; {samples} samples before the cut can still be read",
            )
