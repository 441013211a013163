"""What damage does to bytes: one bit turned, or the end cut off."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

from rdedge.errors import RdedgeError


def flips(data: bytes) -> Iterator[bytes]:
    """Every bit turned, one at a time."""
    for i in range(len(data)):
        for bit in range(8):
            yield data[:i] + bytes([data[i] ^ 1 << bit]) + data[i + 1 :]


def cuts(data: bytes) -> Iterator[bytes]:
    """Every length cut off the end."""
    return (data[:length] for length in range(len(data)))


def outcome(read: Callable[[bytes], object], data: bytes) -> object:
    """What reading gives: a value, or an RdedgeError. Any other error goes through."""
    try:
        return read(data)
    except RdedgeError as error:
        return error


def peak_bytes(read: Callable[[bytes], object], data: bytes) -> int:
    """Memory that reading takes at its height."""
    tracemalloc.start()
    try:
        outcome(read, data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
