"""Logs: a file <-> blocks of lines, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from rdedge.errors import ConfigError, SourceError

# What a bundle, a run and a source of lines are called.
LINES: Final = "lines"
DEFAULT_LINES = 50
MAX_LINES = 1 << 16
# A line may be of any length: a block ends here at the latest, be it within one.
MAX_BLOCK_BYTES = 1 << 24


@dataclass(frozen=True)
class LineSource:
    """A log. name: relative path with "/". data: the file as it is."""

    name: str
    data: bytes


def blocks(data: bytes, lines: int) -> list[bytes]:
    """Data cut after every so many line feeds, and after MAX_BLOCK_BYTES where that comes first.

    Their concatenation is data; none is empty. Any bytes may stand in a line, and the last one
    need not end.
    """
    if not 1 <= lines <= MAX_LINES:
        raise ConfigError(f"blocks of {lines} lines", expected=f"1 to {MAX_LINES}")
    feeds = np.flatnonzero(np.frombuffer(data, np.uint8) == 0x0A) + 1
    found, start = [], 0
    for end in (*feeds[lines - 1 :: lines].tolist(), len(data)):
        while start < end:
            part = min(end, start + MAX_BLOCK_BYTES)
            found.append(data[start:part])
            start = part
    return found


def count_lines(data: bytes) -> int:
    """Lines, a last one that does not end included."""
    return data.count(b"\n") + (data[-1:] not in (b"", b"\n"))


def read_all(paths: list[Path]) -> list[LineSource]:
    """Files, and of folders all files but hidden ones, in the order of their names.

    Raises SourceError where nothing is there, a file cannot be read, or two get one name.
    """
    found: dict[str, LineSource] = {}
    for path in paths:
        for file, name in _files(path):
            if name in found:
                raise SourceError(
                    f"two inputs would both be called {name}",
                    do="compress them apart, or give the folder that holds both",
                )
            try:
                found[name] = LineSource(name, file.read_bytes())
            except OSError as error:
                raise SourceError(f"cannot read {file}: {error.strerror}") from error
    return list(found.values())


def _files(path: Path) -> list[tuple[Path, str]]:
    try:
        if not path.exists():
            raise SourceError(f"{path} is not there", do="check the name")
        if not path.is_dir():
            return [(path, path.name)]
        inside = sorted(p for p in path.rglob("*") if p.is_file())
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}", do="check the name") from error
    base = path.resolve().name
    relative = [(p, p.relative_to(path)) for p in inside]
    seen = [
        (p, (Path(base) / r).as_posix())
        for p, r in relative
        if not any(part.startswith(".") for part in r.parts)
    ]
    if not seen:
        raise SourceError(f"the folder {path} holds no file", expected="logs")
    return seen
