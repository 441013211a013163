"""PNG through Pillow (zlib, level 9): adaptive filters, and for grey palettes of 1 to 8 bits.

RGB of 16 bits, which Pillow cannot hold, goes through imagecodecs (libpng).
"""

from __future__ import annotations

import zlib
from typing import Any, ClassVar

import numpy as np

from rdedge.classical.base import Ladder, SampleForm, Setting, library
from rdedge.classical.pillow import PillowCodec
from rdedge.errors import FormatError
from rdedge.types import Array

_STRATEGIES = {"default": zlib.Z_DEFAULT_STRATEGY, "filtered": zlib.Z_FILTERED, "rle": zlib.Z_RLE}
_KINDS: dict[str, frozenset[SampleForm]] = {
    "palette": frozenset({"grey8"}),
    "grey": frozenset({"grey8", "grey16"}),
    "rgb": frozenset({"rgb8", "rgb16"}),
}


class Png(PillowCodec):
    """Pictures of every form without loss."""

    name = "png"
    takes: ClassVar[frozenset[SampleForm]] = frozenset({"grey8", "grey16", "rgb8", "rgb16"})
    feature = "zlib"
    format = "PNG"

    def require(self, form: SampleForm | None = None) -> None:
        super().require(form)
        if form == "rgb16":
            self._deep()

    def _deep(self) -> Any:
        return library("imagecodecs", "imagecodecs", "jxl", "png of RGB with 16 bits")

    def ladders(self) -> tuple[Ladder, ...]:
        return ()

    def lossless(self) -> tuple[Setting, ...]:
        return tuple(
            Setting(f"{kind}, zlib 9 {name}", (("kind", kind), ("strategy", value)), True, forms)
            for kind, forms in _KINDS.items()
            for name, value in _STRATEGIES.items()
        )

    def _encode(self, x: Array, setting: Setting) -> bytes:
        strategy = setting.option("strategy")
        if x.ndim == 3 and x.dtype == np.uint16:
            return bytes(self._deep().png_encode(x, level=9, strategy=strategy))
        how = {"compress_level": 9, "compress_type": strategy}
        if setting.option("kind") != "palette":
            return self._save(self._image(x), **how)
        values, indices = np.unique(x, return_inverse=True)
        image = self._image(indices.reshape(x.shape).astype(np.uint8))
        image.putpalette(np.repeat(values, 3).tobytes())
        bits = next(b for b in (1, 2, 4, 8) if len(values) <= 1 << b)
        return self._save(image, bits=bits, **how)

    def _decode(self, data: bytes, shape: tuple[int, ...], dtype: str) -> Array:
        if len(shape) != 3 or dtype != "uint16":
            return super()._decode(data, shape, dtype)
        # The header (PNG, section 11.2.1) before any pixel, since a damaged one may say anything.
        size = int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
        if size != shape[:2]:
            raise FormatError(f"a picture of {size}", expected=f"{shape[:2]}")
        return np.asarray(self._deep().png_decode(data))
