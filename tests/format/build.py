"""Packets, envelopes, containers and bundles put together by hand, faults and all.

Nothing here uses the writers of rdedge.format, so that both sides can be wrong on their own.
"""

from __future__ import annotations

from tests.coding.reference import varint

KEY = bytes.fromhex("01020304")
IDENTITY = KEY + bytes(range(4, 32))

LATENTS, ESCAPES, FALLBACK = 2, 5, 7
LAST, CRITICAL = 0x40, 0x80
RUNS, LANES, SHAPE, GATED, RUN = 0x08, 0x10, 0x20, 0x40, 0x80


def crc(data: bytes) -> bytes:
    """CRC-32C by its definition, bit by bit."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ 0x82F63B78 * (register & 1)
    return (register ^ 0xFFFFFFFF).to_bytes(4, "little")


def sealed(data: bytes) -> bytes:
    return data + crc(data)


def stream(kind: int, data: bytes, *, last: bool = False, critical: bool = True) -> bytes:
    tag = kind | (LAST if last else 0) | (CRITICAL if critical else 0)
    return bytes([tag]) + (b"" if last else varint(len(data))) + data


PLAIN = stream(LATENTS, b"\x11\x22\x33", last=True)


def packet(
    body: bytes = PLAIN,
    *,
    samples: int = 1,
    flags: int = 0,
    version: int = 1,
    magic: int = 0xB5,
    key: bytes = KEY,
    length: int | None = None,
) -> bytes:
    size = varint(len(body) if length is None else length)
    return sealed(bytes([magic, flags | version]) + key + size + varint(samples) + body)


def field(kind: int, data: bytes, *, critical: bool = False, length: int | None = None) -> bytes:
    tag = kind | (0x80 if critical else 0)
    return bytes([tag]) + varint(len(data) if length is None else length) + data


def envelope(
    fields: bytes = b"",
    *,
    packets: int = 0,
    payload: int = 0,
    version: int = 1,
    magic: int = 0xE5,
    length: int | None = None,
) -> bytes:
    return sealed(
        bytes([magic, version])
        + IDENTITY
        + varint(packets)
        + varint(payload)
        + varint(len(fields) if length is None else length)
        + fields
    )


def batch(*packets: bytes, count: int | None = None, payload: int | None = None) -> bytes:
    """An envelope and its packets."""
    body = b"".join(packets)
    return (
        envelope(
            packets=len(packets) if count is None else count,
            payload=len(body) if payload is None else payload,
        )
        + body
    )


def index(*entries: tuple[int, int, int]) -> bytes:
    """entries: (distance, packets, samples)."""
    numbers = b"".join(varint(n) for entry in entries for n in entry)
    return sealed(b"\x1d" + varint(len(entries)) + numbers)


def tail(index_bytes: bytes) -> bytes:
    return len(index_bytes).to_bytes(4, "little") + b"RDZE"


def container(records: bytes, index_bytes: bytes, head: bytes = b"RDZ\x01") -> bytes:
    return head + records + index_bytes + tail(index_bytes)
