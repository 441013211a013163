"""Canonical LEB128 varints (FORMAT.md, preamble)."""

from __future__ import annotations

from rdedge.errors import FormatError, TruncatedError

MAX_BITS = 64


def append(buffer: bytearray, value: int) -> None:
    """Append value, 0 to 2^64 - 1, in its shortest form."""
    assert 0 <= value < 1 << MAX_BITS, value
    while value >= 0x80:
        buffer.append(value & 0x7F | 0x80)
        value >>= 7
    buffer.append(value)


def encode(value: int) -> bytes:
    """The varint of value, 0 to 2^64 - 1."""
    buffer = bytearray()
    append(buffer, value)
    return bytes(buffer)


def read(data: bytes | memoryview, offset: int) -> tuple[int, int]:
    """The varint at offset and the offset after it. Raises TruncatedError or FormatError."""
    value = 0
    for i in range(10):
        if offset + i >= len(data):
            raise TruncatedError(f"the data ends inside the varint at byte {offset}")
        byte = data[offset + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if byte == 0 and i > 0:
                raise FormatError(
                    f"the varint at byte {offset} has {i + 1} bytes", expected="its shortest form"
                )
            if value >> MAX_BITS:
                break
            return value, offset + i + 1
    raise FormatError(f"the varint at byte {offset} is too large", expected="at most 64 bits")


def zigzag(value: int) -> int:
    """Signed, -2^63 to 2^63 - 1 -> unsigned."""
    return (value << 1) ^ (value >> 63)


def unzigzag(value: int) -> int:
    """The inverse of zigzag."""
    return (value >> 1) ^ -(value & 1)
