"""Container `.rdz`: a file of envelopes and packets with an index at its end.

FORMAT.md, section 3. The writer streams to any file object; the reader works on bytes or a memory
map, gives random access through the index, and reads a file that was cut short up to the cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

from rdedge.errors import ChecksumError, FormatError, TruncatedError, UnsupportedError
from rdedge.format.constants import (
    CONTAINER_END,
    CONTAINER_HEAD,
    CRC_BYTES,
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


def _check_head(head: bytes) -> None:
    if head == CONTAINER_HEAD:
        return
    if CONTAINER_HEAD.startswith(head):
        raise TruncatedError(f"container: the file has {len(head)} bytes", expected="more")
    if head[:-1] == CONTAINER_HEAD[:-1]:
        raise UnsupportedError(
            f"container: version {head[-1]}",
            expected=f"version {CONTAINER_HEAD[-1]}",
            do="read it with the rdedge that wrote it, or a newer one",
        )
    raise FormatError(f"container: the file starts with {head!r}", expected=repr(CONTAINER_HEAD))


class Container:
    """A container in memory. entries: its envelopes, from the index or rebuilt.

    cut: None where the file is whole, else the byte at which the sound records end; then entries
    hold what is whole before it, the last perhaps with fewer packets than its envelope announces.
    Raises FormatError where the head is not that of a container, or a sound index contradicts the
    records.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = memoryview(data)
        _check_head(bytes(self.data[: len(CONTAINER_HEAD)]))
        self.entries: list[Entry] = []
        self.cut: int | None = None
        self._ends: list[int] = []
        self._interrupted: int | None = None
        self._index_altered = False
        index = self._find_index()
        if index is None:
            self._rebuild()
        else:
            self._read_index(index)

    def _find_index(self) -> Reader | None:
        """The index up to its CRC, or None where no sound index and its tail end the file."""
        tail = bytes(self.data[-TAIL_BYTES:])
        end = len(self.data) - TAIL_BYTES
        start = end - int.from_bytes(tail[:4], "little")
        fits = len(CONTAINER_HEAD) <= start < end - CRC_BYTES
        if tail[4:] != CONTAINER_END or not fits or self.data[start] != INDEX_MAGIC:
            return None
        reader = Reader(self.data, "container index", start, end)
        reader.skip(end - CRC_BYTES - start, "index")
        try:
            reader.crc()
        except ChecksumError:
            self._index_altered = True
            return None
        return Reader(self.data, "container index", start, end - CRC_BYTES)

    def _read_index(self, reader: Reader) -> None:
        start = reader.start
        reader.magic(INDEX_MAGIC)
        offset = 0
        for _ in range(reader.varint("number of envelopes", 0, reader.left)):
            offset += reader.varint("distance", 1, start)
            packets = reader.varint("packets", 0, MAX_PACKETS)
            samples = reader.varint("samples", 0, MAX_SAMPLES * MAX_PACKETS)
            if offset >= start or self.data[offset] != ENVELOPE_MAGIC:
                raise FormatError(
                    f"container: the index has an envelope at byte {offset}, where none starts"
                )
            self.entries.append(Entry(offset, packets, samples))
        if reader.left:
            raise FormatError(f"container: {reader.left} bytes left in the index", expected="none")
        if (self.entries[0].offset if self.entries else start) != len(CONTAINER_HEAD):
            raise FormatError("container: bytes before the first envelope", expected="none")
        self._ends = [entry.offset for entry in self.entries[1:]] + [start]

    def _rebuild(self) -> None:
        offset = len(CONTAINER_HEAD)
        while offset < len(self.data) and self.data[offset] == ENVELOPE_MAGIC:
            start, packets, samples = offset, 0, 0
            try:
                envelope, good = read_envelope(self.data, offset)
                for _ in range(envelope.packet_count):
                    packet, good = read_packet(self.data, good)
                    packets, samples = packets + 1, samples + packet.sample_count
            except FormatError:
                # What is whole before the damage is kept, the batch it interrupts included.
                if not packets:
                    break
                self._interrupted = len(self.entries)
            self.entries.append(Entry(start, packets, samples))
            self._ends.append(good)
            offset = good
            if self._interrupted is not None:
                break
        self.cut = offset

    def batch(self, i: int) -> tuple[Envelope, list[Packet]]:
        """Envelope i and its packets, checked against the index."""
        entry, end = self.entries[i], self._ends[i]
        envelope, offset = read_envelope(self.data[:end], entry.offset)
        payload_bytes = end - offset
        packets: list[Packet] = []
        while offset < end:
            packet, offset = read_packet(self.data[:end], offset)
            packets.append(packet)
        samples = sum(p.sample_count for p in packets)
        announced = (envelope.packet_count, envelope.payload_length)
        whole = announced == (len(packets), payload_bytes) or i == self._interrupted
        if not whole or (len(packets), samples) != (entry.packets, entry.samples):
            raise FormatError(
                f"container: envelope {i} has {len(packets)} packets, {samples} samples and "
                f"{payload_bytes} bytes",
                expected=f"{envelope.packet_count} packets and {envelope.payload_length} bytes by "
                f"the envelope, {entry.packets} packets and {entry.samples} samples by the index",
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
        """Raise TruncatedError where the file was cut short, ChecksumError where its index was
        altered.
        """
        if self.cut is not None:
            samples = sum(entry.samples for entry in self.entries)
            error = ChecksumError if self._index_altered else TruncatedError
            raise error(
                f"container: the file is cut short or damaged at byte {self.cut}",
                expected="an index and its tail at the end",
                do=f"fetch it again; {samples} samples before the cut can still be read",
            )
