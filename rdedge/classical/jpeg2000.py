"""JPEG 2000 through imagecodecs (OpenJPEG), as a bare codestream."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from rdedge.classical.base import (
    PICTURES,
    ClassicalCodec,
    Ladder,
    SampleForm,
    Setting,
    ladder,
    library,
)
from rdedge.types import Array

# Resolutions of the wavelet transform, 1 being none. Small tiles of a mosaic want few.
_RESOLUTIONS = (1, 2, 3, 6)


class Jpeg2000(ClassicalCodec):
    """Pictures of every form, with loss (9/7 wavelet, aimed at a psnr) or without (5/3)."""

    name = "jpeg2000"
    takes: ClassVar[frozenset[SampleForm]] = frozenset(PICTURES)
    module = "imagecodecs"
    package = "imagecodecs"
    extra = "jxl"
    quick = True

    def version(self) -> str:
        lib = self._library()
        return f"{lib.jpeg2k_version()} in imagecodecs {lib.__version__}"

    def ladders(self) -> tuple[Ladder, ...]:
        # Above 60 dB only pictures of 16 bits still gain.
        levels = tuple(x / 4 for x in range(4 * 5, 4 * 100 + 1))
        return tuple(
            ladder(f"resolutions {r}", "psnr", levels, resolutions=r) for r in _RESOLUTIONS
        )

    def lossless(self) -> tuple[Setting, ...]:
        return tuple(
            Setting(f"lossless, resolutions {r}", (("resolutions", r),), lossless=True)
            for r in reversed(_RESOLUTIONS)
        )

    def _library(self) -> Any:
        return library(self.module, self.package, self.extra, self.name)

    def _encode(self, x: Array, setting: Setting) -> bytes:
        options = dict(setting.options)
        # The library halves the picture resolutions - 1 times, so its sides must allow it.
        most = int(min(x.shape[:2])).bit_length()
        return bytes(
            self._library().jpeg2k_encode(
                x,
                level=options.get("psnr"),
                codecformat="j2k",
                reversible=setting.lossless,
                resolutions=min(options["resolutions"], most),
                numthreads=1,
            )
        )

    def _decode(self, data: bytes, shape: tuple[int, ...], dtype: str) -> Array:
        return np.asarray(self._library().jpeg2k_decode(data))
