"""A cursor over bytes that came from outside: no length is trusted before it is earned."""

from __future__ import annotations

from rdedge.errors import ChecksumError, FormatError, TruncatedError, UnsupportedError
from rdedge.format.constants import CRC_BYTES, VERSION, VERSION_MASK
from rdedge.format.crc32c import crc32c
from rdedge.format.varint import read_varint


class Reader:
    """Reads fields of one structure, called `what` in errors, from data[offset:end]."""

    def __init__(
        self, data: bytes | memoryview, what: str, offset: int = 0, end: int | None = None
    ) -> None:
        self.data = memoryview(data)
        self.what = what
        self.start = offset
        self.offset = offset
        self.end = len(self.data) if end is None else end

    @property
    def left(self) -> int:
        return self.end - self.offset

    def skip(self, count: int, name: str) -> None:
        """Pass the next count bytes, the field called name, without copying them."""
        if count > self.left:
            raise TruncatedError(
                f"{self.what}: {self.left} bytes are left at byte {self.offset}",
                expected=f"{count} for {name}",
            )
        self.offset += count

    def take(self, count: int, name: str) -> bytes:
        """The next count bytes, the field called name."""
        self.skip(count, name)
        return bytes(self.data[self.offset - count : self.offset])

    def byte(self, name: str) -> int:
        return self.take(1, name)[0]

    def varint(self, name: str, low: int, high: int) -> int:
        """The next varint, the field called name, refused outside low..high."""
        value, offset = read_varint(self.data[: self.end], self.offset)
        if not low <= value <= high:
            raise FormatError(
                f"{self.what}: {name} is {value} at byte {self.offset}", expected=f"{low} to {high}"
            )
        self.offset = offset
        return value

    def magic(self, magic: int) -> None:
        found = self.byte("magic")
        if found != magic:
            raise FormatError(
                f"{self.what}: byte {self.offset - 1} is 0x{found:02X}",
                expected=f"0x{magic:02X}: this is not {_article(self.what)}",
            )

    def version_flags(self, reserved: int) -> int:
        """Check version and reserved bits; return the whole byte."""
        value = self.byte("version_flags")
        if value & VERSION_MASK != VERSION:
            raise UnsupportedError(
                f"{self.what}: version {value & VERSION_MASK}",
                expected=f"version {VERSION}",
                do="read it with the rdedge that wrote it, or a newer one",
            )
        if value & reserved:
            raise UnsupportedError(
                f"{self.what}: reserved bits 0x{value & reserved:02X} are set",
                expected="0",
                do="read it with the rdedge that wrote it, or a newer one",
            )
        return value

    def crc(self) -> None:
        """Check the CRC over everything from the start to here, and pass it."""
        computed = crc32c(self.data[self.start : self.offset])
        stored = int.from_bytes(self.take(CRC_BYTES, "crc"), "little")
        if stored != computed:
            raise ChecksumError(
                f"{self.what}: the CRC is {stored:08x}",
                expected=f"{computed:08x}",
                do="fetch it again: it was altered on its way or on disk",
            )


def _article(what: str) -> str:
    return f"an {what}" if what[0] in "aeiou" else f"a {what}"


def append_crc(buffer: bytearray) -> None:
    """Append the CRC of all that buffer holds."""
    buffer += crc32c(buffer).to_bytes(CRC_BYTES, "little")
