"""The stream `lines` of a packet: a Zstandard frame without what its reader knows (FORMAT.md,
sections 1 and 5.2).
"""

from __future__ import annotations

from dataclasses import dataclass

from rdedge.errors import FormatError, TruncatedError
from rdedge.format.constants import (
    LINES_BYTES_A_BYTE,
    MAX_LINES_LOG2,
    MIN_LINES_LOG2,
    UNEARNED_LINES_BYTES,
)
from rdedge.format.reader import Reader

# Forms: the bytes themselves; one compressed block without its header; blocks with their headers.
STORED, SINGLE, BLOCKS = 0, 1, 2
_NO_DICTIONARY = 1 << 7
_LOG2 = 0x1F
# Of a frame (RFC 8878, section 3.1.1): magic number and a descriptor of no content size, checksum
# or dictionary; then the window's byte; then the first block, whose header has 3 bytes.
_MAGIC = b"\x28\xb5\x2f\xfd"
_START = _MAGIC + b"\x00"
_HEAD, _BLOCK_HEAD, _MAX_BLOCK = len(_START) + 1, 3, 1 << 17
_RAW, _RLE, _COMPRESSED = 0, 1, 2


def log2_of(size: int) -> int:
    """The smallest power of two that the stream can name and that size bytes fit in."""
    return max(MIN_LINES_LOG2, (size - 1).bit_length())


@dataclass(frozen=True)
class LinesStream:
    """log2: the content has at most 2^log2 bytes, and more than half of that unless log2 is the
    least. form: one of those above. dictionary: whether the frame needs it. data: what is left.
    """

    log2: int
    form: int
    dictionary: bool
    data: bytes

    @staticmethod
    def of_frame(frame: bytes, size: int, *, dictionary: bool) -> LinesStream:
        """A frame as zstd writes it, with none of its optional fields, of size bytes."""
        assert frame.startswith(_START)
        data, log2 = frame[_HEAD:], log2_of(size)
        head = int.from_bytes(data[:_BLOCK_HEAD], "little")
        last, kind, length = head & 1, head >> 1 & 3, head >> 3
        if last and kind == _RAW:
            return LinesStream(log2, STORED, False, data[_BLOCK_HEAD:])
        if last and kind == _COMPRESSED and length == len(data) - _BLOCK_HEAD:
            return LinesStream(log2, SINGLE, dictionary, data[_BLOCK_HEAD:])
        return LinesStream(log2, BLOCKS, dictionary, data)

    @property
    def frame(self) -> bytes:
        """A frame that zstd reads; its window holds all of the content."""
        head = b""
        if self.form != BLOCKS:
            kind = _RAW if self.form == STORED else _COMPRESSED
            head = (len(self.data) << 3 | kind << 1 | 1).to_bytes(_BLOCK_HEAD, "little")
        window = bytes([(self.log2 - MIN_LINES_LOG2) << 3])
        return _START + window + head + self.data

    @property
    def most(self) -> int:
        """Bytes that the content has at most."""
        return 1 << self.log2

    def require_size(self, size: int) -> None:
        """Raise FormatError unless a content of this size is what the stream says."""
        if not size or log2_of(size) != self.log2:
            raise FormatError(
                f"lines: {size} bytes in a stream of at most 2^{self.log2}",
                expected="the smallest power of two",
            )

    def to_bytes(self) -> bytes:
        form = self.log2 | self.form << 5 | (0 if self.dictionary else _NO_DICTIONARY)
        return bytes([form & ~_NO_DICTIONARY if self.form == STORED else form]) + self.data

    @staticmethod
    def from_bytes(stream: bytes) -> LinesStream:
        """Parse and check before any memory is taken. Raises a FormatError."""
        if len(stream) < 2:
            raise TruncatedError(f"lines: a stream of {len(stream)} bytes", expected="at least 2")
        byte, data = stream[0], stream[1:]
        log2, form, plain = byte & _LOG2, byte >> 5 & 3, bool(byte & _NO_DICTIONARY)
        if not MIN_LINES_LOG2 <= log2 <= MAX_LINES_LOG2:
            raise FormatError(
                f"lines: at most 2^{log2} bytes",
                expected=f"2^{MIN_LINES_LOG2} to 2^{MAX_LINES_LOG2}",
            )
        if form > BLOCKS or (form == STORED and plain):
            raise FormatError(f"lines: a form of 0x{byte:02X}", expected="one of FORMAT.md, 5.2")
        if form != BLOCKS and len(data) > _MAX_BLOCK:
            raise FormatError(
                f"lines: a block of {len(data)} bytes", expected=f"at most {_MAX_BLOCK}"
            )
        if form == BLOCKS:
            _refuse_loose(data)
        if 1 << log2 > UNEARNED_LINES_BYTES + LINES_BYTES_A_BYTE * len(data):
            raise FormatError(
                f"lines: at most 2^{log2} bytes of {len(data)}",
                expected="no more than so many can hold",
            )
        return LinesStream(log2, form, form != STORED and not plain, data)


def _refuse_loose(data: bytes) -> None:
    """Raise a FormatError unless data is Zstandard blocks up to the last one and nothing more: the
    library passes over what follows a frame.
    """
    reader, last = Reader(data, "lines"), 0
    while not last:
        head = int.from_bytes(reader.take(_BLOCK_HEAD, "header of a block"), "little")
        last = head & 1
        reader.skip(1 if head >> 1 & 3 == _RLE else head >> 3, "block")
    if reader.left:
        raise FormatError(f"lines: {reader.left} bytes after the last block", expected="none")
