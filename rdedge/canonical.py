"""Canonical JSON (FORMAT.md, section 6): what machines write, so that hashes are stable."""

from __future__ import annotations

import json
import math
from typing import Any

from rdedge.errors import FormatError


def dumps(value: Any) -> bytes:
    """Keys sorted, no white space, UTF-8.

    Raises FormatError for what has no such form: NaN, infinity, half a surrogate pair, depth.
    """
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"cannot write JSON: {error}", expected="finite numbers and text that UTF-8 can hold"
        ) from error


def loads(data: bytes, what: str) -> Any:
    """Parse canonical JSON; anything that dumps would not have written is a FormatError.

    what: the name of the thing, for the error.
    """
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not JSON: {error}") from error
    if dumps(value) != data:
        raise FormatError(f"{what} is not canonical", expected="JSON as FORMAT.md section 6 has it")
    return value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


def finite(value: float) -> float | None:
    """value, or None where JSON has no word for it."""
    return value if math.isfinite(value) else None
