"""Blocks of lines <-> packets, without loss (FORMAT.md, section 5.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os import PathLike
from typing import Any

from rdedge.bundle.bundle import DICTIONARY
from rdedge.bundle.lines import TRAINED, LineBundle
from rdedge.classical.base import library
from rdedge.data.lines import MAX_BLOCK_BYTES, count_lines
from rdedge.errors import (
    BundleError,
    FormatError,
    ParityError,
    ShapeError,
    TruncatedError,
    UnsupportedError,
)
from rdedge.format.constants import CRITICAL_STREAMS, MAX_LINES_LOG2, MAX_SAMPLES, Stream
from rdedge.format.envelope import require_codec
from rdedge.format.lines import STORED, LinesStream
from rdedge.format.packet import LEARNED, Packet, Run, read_all, read_one

# Above this many bytes the effort of the highest levels costs seconds.
_LARGE, _LARGE_LEVEL = 1 << 22, 9
_PLAIN_LEVEL = 19
MAX_CONTENT_BYTES = 1 << MAX_LINES_LOG2


def zstandard() -> Any:
    """The package. Raises MissingError without it."""
    return library("zstandard", "zstandard", "lines", "a bundle of lines")


class Zstandard:
    """A dictionary and level of zstd at work: bytes <-> streams of section 5.2.

    kind: how the dictionary is read, of bundle.lines.DICTIONARIES. Raises BundleError for a
    dictionary that zstd cannot read.
    """

    def __init__(self, dictionary: bytes, kind: str, level: int) -> None:
        self._package = package = zstandard()
        self._level = level
        what = package.DICT_TYPE_FULLDICT if kind == TRAINED else package.DICT_TYPE_RAWCONTENT
        self._load: Callable[[], Any] = lambda: package.ZstdCompressionDict(
            dictionary, dict_type=what
        )
        try:
            self._dictionary = self._load()
            self._dictionary.precompute_compress(level=level)
            self._readers = {
                True: package.ZstdDecompressor(dict_data=self._dictionary),
                False: package.ZstdDecompressor(),
            }
            self._writers: tuple[tuple[bool, Any], ...] = (
                (True, self._writer(level, dict_data=self._dictionary)),
                (False, self._writer(_PLAIN_LEVEL)),
            )
            self.decompress(self.compress(b"\n"))
        except (package.ZstdError, FormatError, ValueError) as error:
            raise BundleError(
                f"{DICTIONARY} is no dictionary of zstd: {error}", do="export the bundle again"
            ) from error

    def _writer(self, level: int, **more: Any) -> Any:
        return self._package.ZstdCompressor(
            level=level, write_content_size=False, write_checksum=False, write_dict_id=False, **more
        )

    def compress(self, content: bytes) -> LinesStream:
        """The shorter one of the streams with and without the dictionary. content: not empty."""
        found = []
        writers = self._writers
        if len(content) > _LARGE:
            level = min(self._level, _LARGE_LEVEL)
            # The dictionary as it is, not prepared for the other level.
            writers = ((True, self._writer(level, dict_data=self._load())),)
        for dictionary, writer in writers:
            frame = bytes(writer.compress(content))
            found.append(LinesStream.of_frame(frame, len(content), dictionary=dictionary))
        return min(found, key=lambda stream: len(stream.data))

    def decompress(self, stream: LinesStream) -> bytes:
        """Undo compress. Raises FormatError for anything but one sound frame of the size said."""
        if stream.form == STORED:
            content = stream.data
        else:
            try:
                content = bytes(
                    self._readers[stream.dictionary].decompress(
                        stream.frame, max_output_size=stream.most, allow_extra_data=False
                    )
                )
            except self._package.ZstdError as error:
                raise FormatError(
                    f"lines: no Zstandard frame: {error}",
                    expected=f"one frame that holds at most {stream.most} bytes",
                ) from error
        stream.require_size(len(content))
        return content


def packet_of(key: bytes, stream: LinesStream, count: int = 1, *, gated: bool = False) -> bytes:
    """The packet of count blocks. key: 4 bytes, of the codec."""
    runs = (Run(LEARNED, 0, count),)
    return Packet(key, runs, {Stream.LINES: stream.to_bytes()}, gated=gated).to_bytes()


class LineDecoder:
    """The server's half of a bundle of lines. bundle: a path, or a LineBundle.

    Raises BundleError for a dictionary that cannot be read, MissingError without zstandard.
    """

    def __init__(self, bundle: str | PathLike[str] | LineBundle) -> None:
        self.bundle = LineBundle.of(bundle)
        self.manifest = self.bundle.manifest
        self.zstandard = Zstandard(
            self.bundle.members[DICTIONARY], self.manifest.dictionary, self.manifest.level
        )

    def decode(self, data: bytes | memoryview) -> bytes:
        """One packet -> its lines. Raises a FormatError of FORMAT.md, section 7."""
        return self.decode_packet(read_one(data))

    def decode_stream(self, data: bytes | memoryview) -> Iterator[bytes]:
        """Packets that follow one another -> their lines, packet by packet."""
        return map(self.decode_packet, read_all(data))

    def decode_packet(self, packet: Packet) -> bytes:
        """A parsed packet -> its lines."""
        packet.require(self.manifest.key)
        count = packet.sample_count
        if packet.runs != (Run(LEARNED, 0, count),):
            raise UnsupportedError("a packet of lines with other runs", expected="codec 0, level 0")
        critical = packet.streams.keys() & CRITICAL_STREAMS
        if packet.lanes > 1 or packet.shape is not None or critical - {Stream.LINES}:
            raise FormatError("the packet has more than lines", expected="one stream, lines")
        if Stream.LINES not in packet.streams:
            raise TruncatedError("the packet has no lines", expected="a stream of lines")
        content = self.zstandard.decompress(LinesStream.from_bytes(packet.streams[Stream.LINES]))
        if count > len(content) or not _fits(content, count, self.manifest.lines):
            raise FormatError(
                f"lines: {count_lines(content)} lines, {len(content)} bytes in {count} blocks",
                expected=f"at most {self.manifest.lines} lines, {MAX_BLOCK_BYTES} bytes in each",
            )
        return content

    def require(self, identity: bytes) -> None:
        """Raise MismatchError unless identity (32 bytes) is this codec's."""
        require_codec(identity, self.manifest.identity)


class LineEncoder:
    """The device's half of a bundle of lines. bundle: a path, or a LineBundle.

    verify: whether each packet is decoded and compared before it is given away, and says so
    (FLAG_GATED): the promise here is that every byte comes back. Raises as LineDecoder.
    """

    def __init__(self, bundle: str | PathLike[str] | LineBundle, *, verify: bool = True) -> None:
        self._decoder = LineDecoder(bundle)
        self.bundle, self.manifest = self._decoder.bundle, self._decoder.manifest
        self._verify = verify

    def encode(self, content: bytes, count: int = 1) -> bytes:
        """One block of lines, or count of them after one another, line ends and all -> a packet.

        Raises ShapeError for none, more lines or bytes than the blocks can hold.
        """
        lines = self.manifest.lines
        if not (
            1 <= count <= min(len(content), MAX_SAMPLES)
            and len(content) <= MAX_CONTENT_BYTES
            and _fits(content, count, lines)
        ):
            raise ShapeError(
                f"{count_lines(content)} lines, {len(content)} bytes in {count} blocks",
                expected=f"1 to {lines} lines and {MAX_BLOCK_BYTES} bytes in each, "
                f"{MAX_CONTENT_BYTES} bytes in a packet",
                do="cut them with rdedge.data.lines.blocks",
            )
        stream = self._decoder.zstandard.compress(content)
        packet = packet_of(self.manifest.key, stream, count, gated=self._verify)
        if self._verify and self._decoder.decode(packet) != content:
            raise ParityError(
                f"a packet of {count_lines(content)} lines does not come back as it was",
                expected="the same bytes",
                do="run rdedge doctor; do not use this bundle on this machine",
            )
        return packet


def _fits(content: bytes, count: int, lines: int) -> bool:
    return len(content) <= count * MAX_BLOCK_BYTES and count_lines(content) <= count * lines
