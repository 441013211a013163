"""JPEG XL through imagecodecs (libjxl), at its greater efforts, as a bare codestream."""

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


class JpegXl(ClassicalCodec):
    """Pictures of every form, with loss or without."""

    name = "jpegxl"
    takes: ClassVar[frozenset[SampleForm]] = frozenset(PICTURES)
    module = "imagecodecs"
    package = "imagecodecs"
    extra = "jxl"

    def version(self) -> str:
        lib = self._library()
        return f"{lib.jpegxl_version()} in imagecodecs {lib.__version__}"

    def ladders(self) -> tuple[Ladder, ...]:
        # 25 is the coarsest that the library takes.
        distances = tuple(float(f"{d:.3g}") for d in np.geomspace(25.0, 0.05, 100))
        # More effort is not always fewer bytes at the same error.
        return (
            ladder("effort 7", "distance", distances, effort=7),
            ladder("effort 9", "distance", distances, effort=9),
        )

    def lossless(self) -> tuple[Setting, ...]:
        return tuple(
            Setting(f"lossless, effort {e}", (("effort", e),), lossless=True, slow=e == 10)
            for e in (9, 10, 7)
        )

    def _library(self) -> Any:
        return library(self.module, self.package, self.extra, self.name)

    def _encode(self, x: Array, setting: Setting) -> bytes:
        # One thread and no container: the fewest bytes, the same on every machine.
        options = {"lossless": setting.lossless, "usecontainer": False, "numthreads": 1}
        return bytes(self._library().jpegxl_encode(x, **options, **dict(setting.options)))

    def _decode(self, data: bytes, shape: tuple[int, ...], dtype: str) -> Array:
        return np.asarray(self._library().jpegxl_decode(data))
