"""What classical codecs make of blocks of lines: yardsticks for logs, all without loss."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rdedge.classical.base import library

_LEVEL = 19
# A gzip file holds a time unless told otherwise.
_NO_TIME = 0


@dataclass(frozen=True)
class LineYardstick:
    """codec and how it ran; each_block: whether every block is a file of its own, as packets are;
    size_bytes: of all files, headers included; side_bytes: of the dictionary, which is not in them.
    """

    codec: str
    setting: str
    each_block: bool
    size_bytes: int
    side_bytes: int = 0


def zstandard() -> Any:
    """The package. Raises MissingError without it."""
    return library("zstandard", "zstandard", "lines", "zstd")


def train_dictionary(samples: Sequence[bytes], size: int) -> bytes | None:
    """A dictionary as zstd's own trainer makes it (COVER, with tables of entropies), of at most
    size bytes; None where the samples do not suffice.
    """
    package = zstandard()
    try:
        return bytes(package.train_dictionary(size, list(samples), level=_LEVEL).as_bytes())
    except package.ZstdError:
        return None


def with_dictionary(
    blocks: Sequence[bytes], dictionary: bytes, setting: str, kind: str = "trained"
) -> LineYardstick:
    """Zstd -19 with a dictionary, as the library does it: a frame a block, nothing left out.

    kind: "trained" or "raw", how it is read.
    """
    package = zstandard()
    what = package.DICT_TYPE_RAWCONTENT if kind == "raw" else package.DICT_TYPE_FULLDICT
    prepared = package.ZstdCompressionDict(dictionary, dict_type=what)
    prepared.precompute_compress(level=_LEVEL)
    compressor = package.ZstdCompressor(level=_LEVEL, dict_data=prepared)
    size = sum(len(compressor.compress(block)) for block in blocks)
    return LineYardstick("zstd-dictionary", setting, True, size, len(dictionary))


def line_yardsticks(blocks: Sequence[bytes]) -> list[LineYardstick]:
    """zstd, xz and gzip at their best usual levels: block by block, then all in one file."""
    compress = zstandard().ZstdCompressor(level=_LEVEL).compress
    codecs: tuple[tuple[str, str, Callable[[bytes], bytes]], ...] = (
        ("zstd", f"level {_LEVEL}", compress),
        ("lzma", "xz -9e", lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)),
        ("gzip", "level 9", lambda data: gzip.compress(data, 9, mtime=_NO_TIME)),
    )
    whole = b"".join(blocks)
    found = []
    for each in (True, False):
        for name, setting, code in codecs:
            size = sum(len(code(part)) for part in (blocks if each else (whole,)))
            found.append(LineYardstick(name, setting, each, size))
    return found
