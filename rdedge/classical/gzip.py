"""gzip (RFC 1952) on the bytes of an array, from Python's own library: what many send today."""

from __future__ import annotations

import gzip
import zlib
from typing import ClassVar

from rdedge.classical.arrays import ArrayCodec
from rdedge.classical.base import Setting
from rdedge.types import Array

# The library's wbits of a gzip file.
_GZIP = 31


class Gzip(ArrayCodec):
    """Arrays of any shape and dtype without loss: one member without a time or a name."""

    name = "gzip"
    module: ClassVar[str] = "zlib"
    package: ClassVar[str] = "zlib"
    extra: ClassVar[str | None] = None

    def version(self) -> str:
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}"

    def lossless(self) -> tuple[Setting, ...]:
        return tuple(Setting(f"level {n}", (("level", n),), lossless=True) for n in (6, 9, 1))

    def _encode(self, x: Array, setting: Setting) -> bytes:
        return gzip.compress(x.tobytes(), setting.option("level"), mtime=0)

    def _bytes(self, data: bytes, size: int) -> bytes:
        reader = zlib.decompressobj(_GZIP)
        found = reader.decompress(data, size + 1)
        if not reader.eof or reader.unused_data:
            raise ValueError("no whole member, or more than one")
        return found
