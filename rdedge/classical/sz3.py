"""SZ3 through pysz: floats within a tolerance. For benchmarks: pysz has no wheel for aarch64."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

from rdedge.classical.base import Setting, library
from rdedge.classical.tolerance import ToleranceCodec
from rdedge.types import Array


class Sz3(ToleranceCodec):
    """Arrays of floats with loss; each kind is one of SZ3's predictors."""

    name = "sz3"
    module = "pysz"
    package = "pysz"
    extra = "sz3"
    kinds: ClassVar[tuple[str, ...]] = ("INTERP_LORENZO", "INTERP", "LORENZO_REG", "NOPRED")

    def version(self) -> str:
        return f"SZ3 in pysz {version('pysz')}"

    def lossless(self) -> tuple[Setting, ...]:
        return ()

    def _library(self) -> Any:
        return library(self.module, self.package, self.extra, self.name)

    def _encode(self, x: Array, setting: Setting) -> bytes:
        lib = self._library()
        config = lib.szConfig(x.shape)
        config.errorBoundMode = lib.szErrorBoundMode.ABS
        config.absErrorBound = float(setting.option("tolerance"))
        config.cmprAlgo = getattr(lib.szAlgorithm, setting.option("kind"))
        return bytes(lib.sz.compress(x, config)[0].tobytes())

    def _decode(self, data: bytes, shape: tuple[int, ...], dtype: str) -> Array:
        body = np.frombuffer(data, np.uint8).copy()
        return np.asarray(self._library().sz.decompress(body, np.dtype(dtype), shape)[0])
