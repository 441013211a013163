"""Packet: bytes <-> dataclass (FORMAT.md, section 1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from rdedge.errors import FormatError, MismatchError, UnsupportedError
from rdedge.format.constants import (
    CODEC_KEY_BYTES,
    CRITICAL_STREAMS,
    FLAG_GATED,
    FLAG_LANES,
    FLAG_RUN,
    FLAG_RUNS,
    FLAG_SHAPE,
    MAX_BODY_BYTES,
    MAX_LOG2_LANES,
    MAX_SAMPLES,
    PACKET_MAGIC,
    PACKET_RESERVED,
    STREAM_CRITICAL,
    STREAM_LAST,
    STREAM_TYPE_MASK,
    VERSION,
    Stream,
)
from rdedge.format.reader import Reader, append_crc
from rdedge.format.varint import MAX_U64, append_varint
from rdedge.types import MAX_AXES, MAX_AXIS

LEARNED = 0

_LANES = frozenset(1 << log2 for log2 in range(MAX_LOG2_LANES + 1))
# Plain integers: a packet is written for every sample that a device sends.
_TAGS = {kind: int(kind) | (STREAM_CRITICAL if kind in CRITICAL_STREAMS else 0) for kind in Stream}


@dataclass(frozen=True)
class Run:
    """Neighbouring samples coded alike. codec: 0 learned, else a fallback of the manifest."""

    codec: int
    level: int
    count: int


@dataclass(frozen=True)
class Packet:
    """One packet, its streams still coded.

    codec_key: 4 bytes. runs: at least one, counts 1 to 2^24 together. lanes: a power of two,
    1 to 4096. shape: of a sample, None where it is the manifest's. streams: what is known.
    """

    codec_key: bytes
    runs: tuple[Run, ...]
    streams: Mapping[Stream, bytes] = field(default_factory=dict)
    lanes: int = 1
    shape: tuple[int, ...] | None = None
    gated: bool = False

    @property
    def sample_count(self) -> int:
        return sum(run.count for run in self.runs)

    def require(self, key: bytes) -> None:
        """Raise MismatchError unless the codec of this key made it."""
        if self.codec_key != key:
            raise MismatchError(
                f"the packet was made by the codec {self.codec_key.hex()}",
                expected=key.hex(),
                do="decode it with the bundle that made it",
            )

    def to_bytes(self) -> bytes:
        """The packet as section 1 lays it out. Raises FormatError for what a reader refuses."""
        self._check()
        count = self.sample_count
        first = self.runs[0]
        default = len(self.runs) == 1 and first.codec == LEARNED and first.level == 0
        body = self._body(default)
        if len(body) > MAX_BODY_BYTES or not 1 <= count <= MAX_SAMPLES:
            raise FormatError(
                f"a packet of {count} samples and {len(body)} bytes",
                expected=f"1 to {MAX_SAMPLES} samples, at most {MAX_BODY_BYTES} bytes",
                do="put fewer samples into one packet",
            )
        flags = VERSION
        flags |= FLAG_RUNS if len(self.runs) > 1 else 0 if default else FLAG_RUN
        flags |= FLAG_LANES if self.lanes > 1 else 0
        flags |= 0 if self.shape is None else FLAG_SHAPE
        flags |= FLAG_GATED if self.gated else 0
        buffer = bytearray((PACKET_MAGIC, flags))
        buffer += self.codec_key
        append_varint(buffer, len(body))
        append_varint(buffer, count)
        buffer += body
        append_crc(buffer)
        return bytes(buffer)

    def _check(self) -> None:
        wrong = ""
        if len(self.codec_key) != CODEC_KEY_BYTES:
            wrong = "codec_key"
        elif not self.runs or any(run.count < 1 for run in self.runs) or self._neighbours_alike():
            wrong = "runs"
        elif not self.streams:
            wrong = "streams"
        elif self.lanes not in _LANES:
            wrong = "lanes"
        elif self.shape is not None and not (
            1 <= len(self.shape) <= MAX_AXES and all(1 <= axis <= MAX_AXIS for axis in self.shape)
        ):
            wrong = "shape"
        if wrong:
            raise FormatError(
                f"a packet with {wrong} {getattr(self, wrong)!r}",
                expected="what FORMAT.md section 1 allows",
            )

    def _neighbours_alike(self) -> bool:
        return any((a.codec, a.level) == (b.codec, b.level) for a, b in pairwise(self.runs))

    def _body(self, default: bool) -> bytearray:
        body = bytearray()
        if len(self.runs) > 1:
            append_varint(body, len(self.runs))
            for after, run in zip(reversed(range(len(self.runs))), self.runs, strict=True):
                _append_which(body, run)
                if after:
                    append_varint(body, run.count)
        elif not default:
            _append_which(body, self.runs[0])
        if self.lanes > 1:
            body.append(self.lanes.bit_length() - 1)
        if self.shape is not None:
            append_varint(body, len(self.shape))
            for axis in self.shape:
                append_varint(body, axis)
        last = max(self.streams)
        for kind in sorted(self.streams):
            data = self.streams[kind]
            if kind == last:
                body.append(_TAGS[kind] | STREAM_LAST)
            else:
                body.append(_TAGS[kind])
                append_varint(body, len(data))
            body += data
        return body


def read_one(data: bytes | memoryview) -> Packet:
    """The packet that data is. Raises a FormatError of section 7, also where more follows."""
    packet, end = read_packet(data)
    if end != len(data):
        raise FormatError(
            f"{len(data) - end} bytes follow the packet",
            expected="one packet",
            do="use decode_stream for several",
        )
    return packet


def read_all(data: bytes | memoryview) -> Iterator[Packet]:
    """Packets that follow one another."""
    offset = 0
    while offset < len(data):
        packet, offset = read_packet(data, offset)
        yield packet


def read_packet(data: bytes | memoryview, offset: int = 0) -> tuple[Packet, int]:
    """The packet at offset and the offset after it. Raises a FormatError of section 7."""
    outer = Reader(data, "packet", offset)
    outer.magic(PACKET_MAGIC)
    flags = outer.version_flags(PACKET_RESERVED)
    key = outer.take(CODEC_KEY_BYTES, "codec_key")
    length = outer.varint("body_length", 1, MAX_BODY_BYTES)
    count = outer.varint("sample_count", 1, MAX_SAMPLES)
    body_start = outer.offset
    outer.skip(length, "body")
    body_end = outer.offset
    outer.crc()
    body = Reader(data, "packet", body_start, body_end)
    if flags & FLAG_RUN and flags & FLAG_RUNS:
        raise FormatError("packet: one run and a table of runs", expected="one of the two flags")
    runs: tuple[Run, ...] = (Run(LEARNED, 0, count),)
    if flags & FLAG_RUNS:
        runs = _read_runs(body, count)
    elif flags & FLAG_RUN:
        runs = (_read_which(body, count, 2),)
    lanes = 1
    if flags & FLAG_LANES:
        log2 = body.byte("log2 of lanes")
        if not 1 <= log2 <= MAX_LOG2_LANES:
            raise FormatError(f"packet: 2^{log2} lanes", expected=f"2^1 to 2^{MAX_LOG2_LANES}")
        lanes = 1 << log2
    shape: tuple[int, ...] | None = None
    if flags & FLAG_SHAPE:
        axes = body.varint("axes", 1, MAX_AXES)
        shape = tuple(body.varint("axis", 1, MAX_AXIS) for _ in range(axes))
    streams = _read_streams(body)
    return Packet(key, runs, streams, lanes, shape, bool(flags & FLAG_GATED)), outer.offset


def _append_which(body: bytearray, run: Run) -> None:
    """Codec and level of a run."""
    if run.codec == LEARNED:
        append_varint(body, run.level << 1)
    else:
        append_varint(body, run.codec << 1 | 1)
        append_varint(body, run.level)


def _read_which(body: Reader, count: int, least: int = 0) -> Run:
    which = body.varint("which run", least, MAX_U64)
    if not which & 1:
        return Run(LEARNED, which >> 1, count)
    if which == 1:
        raise FormatError("packet: codec 0 as a fallback", expected="twice its level")
    return Run(which >> 1, body.varint("level", 0, MAX_U64), count)


def _read_runs(body: Reader, count: int) -> tuple[Run, ...]:
    if count < 2:
        raise FormatError("packet: a table of runs of one sample", expected="two samples at least")
    runs: list[Run] = []
    left = count
    # Each run costs at least a byte, so the loop ends with what is there.
    for after in reversed(range(body.varint("number of runs", 2, count))):
        run = _read_which(body, left)
        if after:
            # What comes after has a sample each.
            run = replace(run, count=body.varint("count of a run", 1, left - after))
        if runs and (runs[-1].codec, runs[-1].level) == (run.codec, run.level):
            raise FormatError("packet: two neighbouring runs are alike", expected="one run")
        runs.append(run)
        left -= run.count
    return tuple(runs)


def _read_streams(body: Reader) -> dict[Stream, bytes]:
    streams: dict[Stream, bytes] = {}
    previous = 0
    last = False
    while not last:
        if not body.left:
            raise FormatError(
                "packet: the body ends after a stream that is not marked as the last",
                expected="a last stream",
            )
        tag = body.byte("stream_tag")
        kind = tag & STREAM_TYPE_MASK
        last = bool(tag & STREAM_LAST)
        if kind <= previous:
            raise FormatError(
                f"packet: stream {kind} after stream {previous}", expected="ascending types"
            )
        previous = kind
        size = body.left if last else body.varint("stream length", 0, MAX_BODY_BYTES)
        data = body.take(size, f"stream {kind}")
        if kind in Stream.__members__.values():
            if bool(tag & STREAM_CRITICAL) != (kind in CRITICAL_STREAMS):
                raise FormatError(f"packet: the critical bit of stream {kind} is wrong")
            streams[Stream(kind)] = data
        elif tag & STREAM_CRITICAL:
            raise UnsupportedError(
                f"packet: critical stream {kind}",
                expected="streams that this version knows",
                do="read it with the rdedge that wrote it, or a newer one",
            )
    return streams
