"""LZMA (the older .lzma file, whose header is 13 bytes) on the bytes of an array.

Python's own library; several choices of context bits, since which is best depends on the data. A
bare file, for a packet whose receiver knows the size, has one byte in place of that header.
"""

from __future__ import annotations

import lzma
import platform
from typing import ClassVar

from rdedge.classical.arrays import ArrayCodec
from rdedge.classical.base import Setting
from rdedge.types import Array

_CONTEXTS = tuple((lc, pb) for lc in (0, 3, 4) for pb in (0, 2))
# The first byte of a whole file says lc, lp and pb, and is at most 224: those above are free.
_BARE = 225
_HEADER = 13


class Lzma(ArrayCodec):
    """Arrays of any shape and dtype without loss."""

    name = "lzma"
    module: ClassVar[str] = "lzma"
    package: ClassVar[str] = "lzma"
    extra: ClassVar[str | None] = None

    def version(self) -> str:
        return f"liblzma of Python {platform.python_version()}"

    def lossless(self) -> tuple[Setting, ...]:
        return tuple(
            Setting(f"lc {lc}, lp 0, pb {pb}", (("lc", lc), ("lp", 0), ("pb", pb)), lossless=True)
            for lc, pb in _CONTEXTS
        )

    def packets(self) -> tuple[Setting, ...]:
        return tuple(
            Setting(f"{s.text}, bare", (*s.options, ("bare", _BARE + i)), lossless=True)
            for i, s in enumerate(self.lossless())
        )

    def _encode(self, x: Array, setting: Setting) -> bytes:
        options = dict(setting.options)
        bare = options.pop("bare", None)
        chosen = {"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME}
        # A dictionary larger than the data buys nothing.
        chosen["dict_size"] = _dictionary(x.nbytes)
        whole = lzma.compress(x.tobytes(), format=lzma.FORMAT_ALONE, filters=[chosen | options])
        return whole if bare is None else bytes([bare]) + whole[_HEADER:]

    def _bytes(self, data: bytes, size: int) -> bytes:
        if data and data[0] >= _BARE:
            lc, pb = _CONTEXTS[data[0] - _BARE]
            # The header of a file whose size its end marker tells.
            first = bytes([lc + 9 * 5 * pb]) + _dictionary(size).to_bytes(4, "little")
            data = first + b"\xff" * 8 + data[1:]
        decompressor = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE)
        raw = decompressor.decompress(data, max_length=size + 1)
        if not decompressor.eof:
            raise ValueError("the data end early, or hold more than they should")
        return raw


def _dictionary(size: int) -> int:
    return min(1 << 26, max(4096, size))
