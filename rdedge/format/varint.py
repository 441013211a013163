"""Canonical LEB128 varints (FORMAT.md): unsigned, at most 64 bits, in the shortest form."""

from __future__ import annotations

from rdedge.errors import FormatError, TruncatedError

__all__ = [
    "MAX_U64",
    "append_varint",
    "append_zigzag",
    "read_varint",
    "read_zigzag",
    "varint_bytes",
]

MAX_U64 = (1 << 64) - 1
_MAX_BYTES = 10


def varint_bytes(value: int) -> int:
    """How many bytes the varint of value (0 to 2^64 - 1) takes: 1 to 10."""
    return max(1, (value.bit_length() + 6) // 7)


def append_varint(out: bytearray, value: int) -> None:
    """Append value, 0 to 2^64 - 1. Raises FormatError for a value outside that range."""
    if not 0 <= value <= MAX_U64:
        raise FormatError(f"{value} cannot be written as a varint", expected="0 to 2^64 - 1")
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def read_varint(
    data: bytes | bytearray | memoryview, position: int, longest: int = _MAX_BYTES
) -> tuple[int, int]:
    """Read a varint at position, of at most longest bytes; returns (value, position after it).

    Raises TruncatedError where data ends inside it, FormatError where it is not in its shortest
    form, takes more bytes or does not fit in 64 bits.
    """
    end = len(data)
    start = position
    value = shift = 0
    while True:
        if position >= end:
            raise TruncatedError(
                f"the bytes end inside a varint at byte {start}", expected="a whole varint"
            )
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if position - start >= longest:
            raise FormatError(
                f"the varint at byte {start} is longer than {longest} bytes",
                expected=f"a varint of at most {longest} bytes",
            )
    if byte == 0 and position - start > 1:
        raise FormatError(
            f"the varint at byte {start} is not in its shortest form", expected="the shortest form"
        )
    if value > MAX_U64:
        raise FormatError(
            f"the varint at byte {start} is {value}", expected="a varint of at most 64 bits"
        )
    return value, position


def append_zigzag(out: bytearray, value: int) -> None:
    """Append a signed value, -2^63 to 2^63 - 1, as a zigzag varint."""
    append_varint(out, value << 1 if value >= 0 else (-value << 1) - 1)


def read_zigzag(data: bytes | bytearray | memoryview, position: int) -> tuple[int, int]:
    """Read a zigzag varint at position; returns (signed value, position after it)."""
    value, position = read_varint(data, position)
    return (value >> 1) ^ -(value & 1), position
