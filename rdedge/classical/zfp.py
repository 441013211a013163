"""ZFP through zfpy, by fixed accuracy or without loss.

One byte stands in place of ZFP's own header of 12: the tolerance's exponent. ZFP rounds tolerances
down to powers of two, and the array's shape and dtype are known to both ends. ZFP's stream does not
show where it was cut or altered; what carries it must.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rdedge.classical.base import Setting, library
from rdedge.classical.tolerance import ToleranceCodec
from rdedge.types import Array

_LOSSLESS = -128


class Zfp(ToleranceCodec):
    """Arrays of floats, with loss or without."""

    name = "zfp"
    module = "zfpy"
    package = "zfpy"
    extra = "series"

    def version(self) -> str:
        return f"zfpy {self._library().__version__}"

    def lossless(self) -> tuple[Setting, ...]:
        return (Setting("lossless", lossless=True),)

    def _library(self) -> Any:
        return library(self.module, self.package, self.extra, self.name)

    def _encode(self, x: Array, setting: Setting) -> bytes:
        exponent = _LOSSLESS
        options = {}
        if not setting.lossless:
            exponent = math.frexp(setting.option("tolerance"))[1] - 1
            options = {"tolerance": 2.0**exponent}
        body = self._library().compress_numpy(x, write_header=False, **options)
        return exponent.to_bytes(1, "little", signed=True) + bytes(body)

    def _decode(self, data: bytes, shape: tuple[int, ...], dtype: str) -> Array:
        lib = self._library()
        if len(data) < 2:
            raise ValueError("too short")
        exponent = int.from_bytes(data[:1], "little", signed=True)
        options = {} if exponent == _LOSSLESS else {"tolerance": 2.0**exponent}
        # ZFP reads on where a stream was cut: give it zeros to read, never other memory.
        blocks = math.prod(-(-side // 4) for side in shape)
        most = blocks * (4 ** len(shape) * (np.dtype(dtype).itemsize + 1) + 16)
        body = data[1:] + bytes(max(0, most + 64 - len(data)))
        kind = lib.dtype_to_ztype(np.dtype(dtype))
        return np.array(lib._decompress(body, kind, shape, **options))
