"""What the codecs that take the bytes of an array have in common."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np

from rdedge.classical.base import ClassicalCodec, Ladder, SampleForm
from rdedge.types import Array


class ArrayCodec(ClassicalCodec):
    """A codec of bytes, hence of arrays of any shape and dtype, always without loss."""

    takes: ClassVar[frozenset[SampleForm]] = frozenset({"array"})

    def ladders(self) -> tuple[Ladder, ...]:
        return ()

    @abstractmethod
    def _bytes(self, data: bytes, size: int) -> bytes:
        """Undo the library's compression; never makes much more than size bytes."""

    def _decode(self, data: bytes, shape: tuple[int, ...], dtype: str) -> Array:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        raw = self._bytes(data, size)
        if len(raw) != size:
            raise ValueError(f"{len(raw)} bytes inside, {size} needed")
        return np.frombuffer(raw, dtype=dtype).reshape(shape)
