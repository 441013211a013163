"""PNG through Pillow (zlib, level 9): grey with adaptive filters, and palettes of 1 to 8 bits."""

from __future__ import annotations

import zlib

import numpy as np

from rdedge.classical.base import Ladder, Setting
from rdedge.classical.pillow import PillowCodec
from rdedge.types import Array

_STRATEGIES = {"default": zlib.Z_DEFAULT_STRATEGY, "filtered": zlib.Z_FILTERED, "rle": zlib.Z_RLE}


class Png(PillowCodec):
    """Grey pictures without loss."""

    name = "png"
    feature = "zlib"
    format = "PNG"

    def ladders(self) -> tuple[Ladder, ...]:
        return ()

    def lossless(self) -> tuple[Setting, ...]:
        return tuple(
            Setting(f"{kind}, zlib 9 {name}", (("kind", kind), ("strategy", value)), True)
            for kind in ("palette", "grey")
            for name, value in _STRATEGIES.items()
        )

    def _encode(self, x: Array, setting: Setting) -> bytes:
        how = {"compress_level": 9, "compress_type": setting.option("strategy")}
        if setting.option("kind") == "grey":
            return self._save(self._image(x), **how)
        values, indices = np.unique(x, return_inverse=True)
        image = self._image(indices.reshape(x.shape).astype(np.uint8))
        image.putpalette(np.repeat(values, 3).tobytes())
        bits = next(b for b in (1, 2, 4, 8) if len(values) <= 1 << b)
        return self._save(image, bits=bits, **how)
