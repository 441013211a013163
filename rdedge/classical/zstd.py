"""Zstandard (RFC 8878) on the bytes of an array, through the package zstandard."""

from __future__ import annotations

from typing import Any, ClassVar

from rdedge.classical.arrays import ArrayCodec
from rdedge.classical.base import Setting, library
from rdedge.types import Array

_MAGIC = b"\x28\xb5\x2f\xfd"


class Zstd(ArrayCodec):
    """Arrays of any shape and dtype without loss: one frame, its content's size included.

    A bare frame, for a packet whose receiver knows codec, shape and dtype, goes without the magic
    number and the content's size. It is known by its first byte: that of the magic number sets a
    bit that a frame's descriptor must leave clear.
    """

    name = "zstd"
    module: ClassVar[str] = "zstandard"
    package: ClassVar[str] = "zstandard"

    def version(self) -> str:
        lib = self._library()
        return f"zstd {'.'.join(map(str, lib.ZSTD_VERSION))} in zstandard {lib.__version__}"

    def lossless(self) -> tuple[Setting, ...]:
        return tuple(
            Setting(f"level {n}", (("level", n),), lossless=True, slow=n == 22) for n in (19, 22)
        )

    def packets(self) -> tuple[Setting, ...]:
        return (Setting("level 19, bare", (("level", 19), ("bare", True)), lossless=True),)

    def _library(self) -> Any:
        return library(self.module, self.package, self.extra, self.name)

    def _frame(self, level: int, **options: Any) -> Any:
        return self._library().ZstdCompressor(level=level, **options)

    def _frames(self) -> Any:
        return self._library().ZstdDecompressor()

    def _encode(self, x: Array, setting: Setting) -> bytes:
        level = setting.option("level")
        if not dict(setting.options).get("bare"):
            return bytes(self._frame(level).compress(x.tobytes()))
        frame = self._frame(level, write_content_size=False, write_dict_id=False)
        return bytes(frame.compress(x.tobytes()))[len(_MAGIC) :]

    def _bytes(self, data: bytes, size: int) -> bytes:
        frame = data if data[:1] == _MAGIC[:1] else _MAGIC + data
        # A frame that says it holds more is refused before memory is asked for.
        if self._library().frame_content_size(frame) not in (size, -1):
            raise ValueError(f"the frame does not hold {size} bytes")
        return bytes(self._frames().decompress(frame, max_output_size=max(size, 1)))
