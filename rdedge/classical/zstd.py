"""Zstandard (RFC 8878) on the bytes of an array, through the package zstandard."""

from __future__ import annotations

from typing import Any, ClassVar

from rdedge.classical.arrays import ArrayCodec
from rdedge.classical.base import Setting, library
from rdedge.types import Array


class Zstd(ArrayCodec):
    """Arrays of any shape and dtype without loss: one frame, its content's size included."""

    name = "zstd"
    module: ClassVar[str] = "zstandard"
    package: ClassVar[str] = "zstandard"

    def version(self) -> str:
        lib = self._library()
        return f"zstd {'.'.join(map(str, lib.ZSTD_VERSION))} in zstandard {lib.__version__}"

    def lossless(self) -> tuple[Setting, ...]:
        return tuple(Setting(f"level {n}", (("level", n),), lossless=True) for n in (19, 22))

    def _library(self) -> Any:
        return library(self.module, self.package, self.extra, self.name)

    def _encode(self, x: Array, setting: Setting) -> bytes:
        compressor = self._library().ZstdCompressor(level=setting.option("level"))
        return bytes(compressor.compress(x.tobytes()))

    def _bytes(self, data: bytes, size: int) -> bytes:
        # A frame that says it holds more is refused before memory is asked for.
        if self._library().frame_content_size(data) != size:
            raise ValueError(f"the frame does not hold {size} bytes")
        return bytes(self._library().ZstdDecompressor().decompress(data))
