"""LZMA (the older .lzma file, whose header is 13 bytes) on the bytes of an array.

Python's own library; several choices of context bits, since which is best depends on the data.
"""

from __future__ import annotations

import lzma
import platform
from typing import ClassVar

from rdedge.classical.arrays import ArrayCodec
from rdedge.classical.base import Setting
from rdedge.types import Array


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
            for lc in (0, 3, 4)
            for pb in (0, 2)
        )

    def _encode(self, x: Array, setting: Setting) -> bytes:
        chosen = {"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME}
        # A dictionary larger than the data buys nothing.
        chosen["dict_size"] = min(1 << 26, max(4096, x.nbytes))
        return lzma.compress(
            x.tobytes(), format=lzma.FORMAT_ALONE, filters=[chosen | dict(setting.options)]
        )

    def _bytes(self, data: bytes, size: int) -> bytes:
        decompressor = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE)
        raw = decompressor.decompress(data, max_length=size + 1)
        if not decompressor.eof:
            raise ValueError("the data end early, or hold more than they should")
        return raw
