"""CRC-32C (Castagnoli, RFC 3720 appendix B.4), in C or in NumPy."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rdedge import native

__all__ = ["crc32c"]

POLYNOMIAL = 0x82F63B78  # reflected
_ALL_ONES = 0xFFFFFFFF

# Up to here a loop over bytes is faster than NumPy's vectors.
_SHORT_BYTES = 512
# Bytes of each of the pieces that NumPy works on side by side.
_PIECE_BYTES = 64

Words = NDArray[np.uint32]


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """The CRC of data, 0 to 2^32 - 1. A memoryview must be contiguous."""
    data = data if isinstance(data, bytes) else bytes(data)
    library = native.library()
    if library is not None:
        return int(library.crc32c(_native_tables().address, data, len(data)))
    if len(data) <= _SHORT_BYTES:
        return _by_bytes(data, _ALL_ONES) ^ _ALL_ONES
    return _by_pieces(data)


class _NativeTables:
    """The tables of the C functions, kept alive beside their address."""

    def __init__(self) -> None:
        self.tables = np.zeros((8, 256), np.uint32)
        self.address = ctypes.c_void_p(self.tables.ctypes.data)
        library = native.library()
        if library is not None:
            library.crc32c_prepare(self.address)


@cache
def _native_tables() -> _NativeTables:
    return _NativeTables()


@cache
def _table() -> Words:
    """The register after one byte, from an empty register; shape (256,)."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ (np.uint32(POLYNOMIAL) * (table & np.uint32(1)))
    return table


@cache
def _table_list() -> list[int]:
    return [int(value) for value in _table()]


def _by_bytes(data: bytes, register: int) -> int:
    table = _table_list()
    for byte in data:
        register = (register >> 8) ^ table[(register ^ byte) & 0xFF]
    return register


def _step(registers: Words, column: NDArray[np.uint8]) -> Words:
    moved: Words = (registers >> np.uint32(8)) ^ _table()[registers.astype(np.uint8) ^ column]
    return moved


def _shift(registers: Words, table: Words) -> Words:
    """Registers after the zero bytes that table, (4, 256), stands for; linear in the register."""
    split = registers.astype("<u4").view(np.uint8).reshape(-1, 4)
    moved: Words = table[0, split[:, 0]] ^ table[1, split[:, 1]]
    moved ^= table[2, split[:, 2]] ^ table[3, split[:, 3]]
    return moved


@cache
def _shift_table(level: int) -> Words:
    """What _PIECE_BYTES << level zero bytes do to each byte of a register; shape (4, 256)."""
    basis = np.arange(256, dtype=np.uint32)
    table = np.stack([basis << np.uint32(8 * k) for k in range(4)])
    if level > 0:
        half = _shift_table(level - 1)
        return np.stack([_shift(_shift(row, half), half) for row in table])
    zeros = np.zeros(256, np.uint8)
    for _ in range(_PIECE_BYTES):
        table = np.stack([_step(row, zeros) for row in table])
    return table


def _by_pieces(data: bytes) -> int:
    """Pieces side by side, each from an empty register, then joined in pairs."""
    head = len(data) % _PIECE_BYTES
    register = _by_bytes(data[:head], _ALL_ONES)
    pieces = np.frombuffer(data, np.uint8, offset=head).reshape(-1, _PIECE_BYTES)
    columns = np.ascontiguousarray(pieces.T)
    registers: Words = np.zeros(len(pieces), np.uint32)
    registers[0] = register
    for column in columns:
        registers = _step(registers, column)
    level = 0
    while len(registers) > 1:
        if len(registers) % 2:
            # An empty register before the first piece changes nothing.
            registers = np.concatenate([np.zeros(1, np.uint32), registers])
        registers = _shift(registers[0::2], _shift_table(level)) ^ registers[1::2]
        level += 1
    return int(registers[0]) ^ _ALL_ONES
