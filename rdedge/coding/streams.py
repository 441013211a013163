"""The streams as bytes, for the NumPy coder: states and words, escapes (FORMAT.md 4.2, 4.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.faults import Fault, fault_error
from rdedge.errors import FormatError, TruncatedError
from rdedge.format.varint import append_varint, read_varint

__all__ = ["LOWER", "UPPER", "join_states", "read_escape", "read_escapes", "split", "write_escapes"]

Uint64s = NDArray[np.uint64]
Words = NDArray[np.uint32]

# States lie in [LOWER, UPPER) where words follow.
LOWER = 1 << 31
UPPER = 1 << 63

# No int32 outside a table takes more: what goes on after it is malformed, however the bytes end.
_ESCAPE_BYTES = 5


def join_states(states: list[int], body: bytes) -> bytes:
    """The stream: the states of all lanes, in as few bytes as one lane needs, then the words."""
    if len(states) > 1:
        return np.array(states, "<u8").tobytes() + body
    used = -(-states[0].bit_length() // 8)
    return states[0].to_bytes(max(used, 5 if body else 0), "little") + body


def write_escapes(values: Uint64s) -> bytes:
    """Varints, one after the other."""
    out = bytearray()
    for value in values.tolist():
        append_varint(out, value)
    return bytes(out)


def split(latents: bytes, lanes: int) -> tuple[list[int], Words]:
    """The states and the words of a stream; raises where they are not in their form."""
    size = len(latents)
    if lanes == 1:
        head = size if size <= 8 else 5 + (size - 5) % 4
        state = int.from_bytes(latents[:head], "little")
        if head and not latents[head - 1] and not (head == 5 and size > 8):
            raise fault_error(Fault.STATE_FORM)
        if state >= UPPER or (size > 8 and state < LOWER):
            raise fault_error(Fault.STATE_FORM)
        return [state], np.frombuffer(latents, "<u4", offset=head)
    head = 8 * lanes
    if size < head:
        raise fault_error(Fault.STATE_SHORT)
    if (size - head) % 4:
        raise fault_error(Fault.WORDS_SHORT)
    states = np.frombuffer(latents, "<u8", count=lanes)
    if (states < np.uint64(LOWER)).any() or (states >= np.uint64(UPPER)).any():
        raise fault_error(Fault.STATE_FORM)
    return states.tolist(), np.frombuffer(latents, "<u4", offset=head)


def read_escapes(
    escapes: bytes, minimum: list[int], regular: list[int], *, whole: bool = True
) -> list[int]:
    """The symbols of the escapes, in order; minimum and regular are of their tables. whole: raise
    where more follow.
    """
    symbols = []
    position = 0
    for low, n in zip(minimum, regular, strict=True):
        symbol, position = read_escape(escapes, position, low, n)
        symbols.append(symbol)
    if whole and position != len(escapes):
        raise fault_error(Fault.ESCAPE_LEFT)
    return symbols


def read_escape(escapes: bytes, position: int, minimum: int, regular: int) -> tuple[int, int]:
    """One symbol outside its table, and the position after it."""
    try:
        value, position = read_varint(escapes, position, _ESCAPE_BYTES)
    except TruncatedError:
        raise fault_error(Fault.ESCAPE_SHORT) from None
    except FormatError:
        raise fault_error(Fault.ESCAPE_FORM) from None
    symbol = minimum - 1 - (value >> 1) if value & 1 else minimum + regular + (value >> 1)
    if not -(1 << 31) <= symbol < 1 << 31:
        raise fault_error(Fault.ESCAPE_FORM)
    return symbol, position
