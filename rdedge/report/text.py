"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be; the first to the left, the others to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]

    def text(line: list[str]) -> str:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        return "  ".join(cells).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([text(lines[0]), rule, *map(text, lines[1:])])


def size(count: float) -> str:
    """A number of bytes as people say it: 1,139 B, 25.4 kB, 3.20 MB (powers of ten)."""
    if count < 10_000:
        return f"{count:,.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000.0
        if count < 1000.0 or unit == "TB":
            return f"{count:.3g} {unit}" if count < 1000.0 else f"{count:,.0f} {unit}"
    raise AssertionError(count)


def counted(count: int, noun: str) -> str:
    """A number with its noun: 1 device, 1,200 devices."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def outline(value: Any, indent: int = 0) -> str:
    """Nested dicts and lists as indented lines `name: value`."""
    pad = "  " * indent
    if isinstance(value, dict):
        lines = []
        for key, inner in value.items():
            if isinstance(inner, dict | list) and inner and not _flat(inner):
                lines += [f"{pad}{_scalar(key)}:", outline(inner, indent + 1)]
            else:
                lines.append(f"{pad}{_scalar(key)}: {_scalar(inner)}")
        return "\n".join(lines)
    if isinstance(value, list):
        return "\n".join(
            f"{pad}- {_scalar(inner)}" if _flat(inner) else f"{pad}-\n{outline(inner, indent + 1)}"
            for inner in value
        )
    return f"{pad}{_scalar(value)}"


def _flat(value: Any) -> bool:
    if isinstance(value, dict):
        return len(value) <= 3 and not any(isinstance(v, dict | list) for v in value.values())
    if isinstance(value, list):
        return not any(isinstance(v, dict | list) for v in value)
    return True


def _scalar(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_scalar(k)} {_scalar(v)}" for k, v in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_scalar, value)) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    text = str(value)
    # A foreign file must not write to the terminal: control sequences, lines of its own.
    return text if text.isprintable() else repr(text)[1:-1]
