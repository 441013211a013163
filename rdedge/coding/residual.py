"""The quantised residual of reconstructions <-> the stream `residual` (FORMAT.md, section 4.9).

Integers that are mostly 0, coded by rANS with one table of a fixed family: how many are not 0, and
how fast larger ones become rarer. Which table is the writer's choice, and travels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.rans import Backend, Coder
from rdedge.coding.tables import COST_BITS, Tables, escape_values, varint_lengths
from rdedge.errors import FormatError
from rdedge.format.reader import Reader
from rdedge.format.varint import append_varint

# Of 2^16: how often a value is not 0.
_MASSES = (
    *(49152, 32768, 23170, 16384, 11585, 8192, 5793, 4096),
    *(2896, 2048, 1448, 1024, 724, 512, 256, 64),
)
# Of 2^16 of those: how often it is 1, 2, ... 8, and as often -1, -2, ... -8.
_SHARES = (
    (24576, 6144, 1536, 384, 96, 24, 6, 1),
    (8192, 6144, 4608, 3456, 2592, 1944, 1458, 1093),
)
TABLES = len(_MASSES) * len(_SHARES)
_LARGEST = len(_SHARES[0])
_REGULAR = 2 * _LARGEST + 1
_ONE = 1 << 16

FINENESS = 4
_MORE, _ESCAPES, _LANES = 0x80, 0x10, 0x0F
_MOST_LOG2_LANES = 12

Int32s = NDArray[np.int32]


@cache
def tables() -> Tables:
    """Table 16 * k + m: mass m, shares k; the symbols 0 to 16, values in zigzag. 0 stands first:
    the first entry of a table costs nothing while the state is 0.
    """
    found = []
    for shares in _SHARES:
        for mass in _MASSES:
            side = [max(1, mass * share >> 16) for share in shares]
            escape = max(1, mass - 2 * sum(side))
            zero = _ONE - 2 * sum(side) - escape
            both = np.repeat(side, 2).tolist()
            found.append(np.array([zero, *both, escape], np.uint32))
    return Tables(np.zeros(len(found), np.int32), tuple(found))


@cache
def _coder(table: int, backend: Backend | None) -> Coder:
    every = tables()
    one = Tables(every.minimum[table : table + 1], (every.frequencies[table],))
    return Coder(one, np.zeros(1, np.uint16), backend)


@cache
def _costs() -> NDArray[np.float64]:
    """(tables, 2 * 8 + 2) bits of each entry, the escape last and without its value."""
    return tables().costs.reshape(TABLES, -1).astype(np.float64) / (1 << COST_BITS)


def _symbols(q: NDArray[np.signedinteger]) -> Int32s:
    wide = q.astype(np.int64)
    return (wide << 1 ^ wide >> 63).astype(np.int32)


def best_table(q: NDArray[np.signedinteger]) -> tuple[int, float]:
    """The table that codes values (n,) in the fewest bits, and those, estimated."""
    symbols = _symbols(q.reshape(-1))
    counts = np.bincount(np.minimum(symbols, _REGULAR), minlength=_REGULAR + 1)
    bits = _costs() @ counts
    table = int(np.argmin(bits))
    beyond = symbols[symbols >= _REGULAR].astype(np.int64)
    values = escape_values(beyond, np.zeros_like(beyond), np.full_like(beyond, _REGULAR))
    return table, float(bits[table]) + 8.0 * float(varint_lengths(values).sum())


@dataclass(frozen=True)
class Residual:
    """What a stream says. fineness: 0 to 3, of the step; q: (n,) int32, -2^30 to 2^30 - 1."""

    fineness: int
    q: Int32s


def write_residual(residual: Residual, backend: Backend | None = None) -> bytes:
    """The stream of values of which one at least is not 0."""
    table, _ = best_table(residual.q)
    coded = _coder(table, backend).encode(_symbols(residual.q))
    head = table | residual.fineness << 5
    out = bytearray()
    if coded.lanes > 1 or coded.escapes:
        out.append(head | _MORE)
        out.append(coded.lanes.bit_length() - 1 | (_ESCAPES if coded.escapes else 0))
        if coded.escapes:
            append_varint(out, len(coded.escapes))
            out += coded.escapes
    else:
        out.append(head)
    return bytes(out) + coded.latents


def read_residual(data: bytes, count: int, backend: Backend | None = None) -> Residual:
    """Undo write_residual for count values. Raises a FormatError of FORMAT.md, section 7."""
    reader = Reader(data, "residual")
    head = reader.byte("head")
    lanes, escapes = 1, b""
    if head & _MORE:
        more = reader.byte("lanes and escapes")
        log2 = more & _LANES
        if more & ~(_ESCAPES | _LANES) or not more or log2 > _MOST_LOG2_LANES:
            raise FormatError(
                f"residual: lanes and escapes {more:#04x}",
                expected=f"2^0 to 2^{_MOST_LOG2_LANES} lanes and a bit for escapes, not neither",
            )
        lanes = 1 << log2
        if more & _ESCAPES:
            escapes = reader.take(reader.varint("length of escapes", 1, reader.left), "escapes")
    symbols = _coder(head & (TABLES - 1), backend).decode(
        reader.take(reader.left, "values"), escapes, count, lanes
    )
    if (symbols < 0).any():
        raise FormatError("residual: a value below 0 in zigzag", expected="0 or more")
    q = symbols >> 1 ^ -(symbols & 1)
    if not q.any():
        raise FormatError("residual: nothing but zeros", expected="no stream where all are 0")
    return Residual(head >> 5 & (FINENESS - 1), q)
