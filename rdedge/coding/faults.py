"""What decoding can find wrong, by number: the same in rans.c, in NumPy and in the messages."""

from __future__ import annotations

from enum import IntEnum

from rdedge.errors import FormatError, TruncatedError

__all__ = ["Fault", "fault_error"]


class Fault(IntEnum):
    """Numbers as in rans.c."""

    STATE_SHORT = 1
    STATE_FORM = 2
    WORDS_SHORT = 3
    WORDS_LEFT = 4
    START_STATE = 5
    ESCAPE_SHORT = 6
    ESCAPE_LEFT = 7
    ESCAPE_FORM = 8


_MESSAGES: dict[Fault, tuple[type[FormatError], str, str]] = {
    Fault.STATE_SHORT: (TruncatedError, "the coded symbols end inside the states", "8 bytes each"),
    Fault.STATE_FORM: (FormatError, "a state of the entropy coder is out of range", "2^31 to 2^63"),
    Fault.WORDS_SHORT: (TruncatedError, "the coded symbols end inside a word", "4 bytes each"),
    Fault.WORDS_LEFT: (FormatError, "coded words are left over", "as many as the symbols need"),
    Fault.START_STATE: (FormatError, "the coded symbols are damaged", "every lane at its start"),
    Fault.ESCAPE_SHORT: (TruncatedError, "the escapes end too early", "one for each escape"),
    Fault.ESCAPE_LEFT: (FormatError, "escapes are left over", "one for each escape"),
    Fault.ESCAPE_FORM: (
        FormatError,
        "an escape is not what a symbol outside its table is written as",
        "a shortest varint of an int32 outside the table",
    ),
}


def fault_error(fault: int) -> FormatError:
    """The error to raise for a fault."""
    kind, what, expected = _MESSAGES[Fault(fault)]
    return kind(what, expected=expected)
