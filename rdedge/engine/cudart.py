"""CUDA's runtime by cuda.bindings: calls whose codes are looked at, and buffers that grow."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from rdedge.engine import cuda
from rdedge.errors import EngineError, MissingError
from rdedge.types import Array

_LESS = "close other programs on the GPU, or encode smaller batches"


def runtime() -> Any:
    """cuda.bindings.runtime. Raises MissingError where it is not installed."""
    try:
        from cuda.bindings import runtime as found
    except ImportError as error:
        # Its major version must not be newer than what the driver offers.
        major = cuda.ask().version.partition(".")[0]
        what = f"'cuda-bindings=={major}.*'" if major else "cuda-bindings"
        raise MissingError(
            f"cuda-bindings, which moves data to the GPU, cannot be loaded: {error}",
            do=f"pip install {what}",
        ) from error
    return found


def call(cudart: Any, name: str, *arguments: Any) -> Any:
    """cudart.name(*arguments) without its code. Raises EngineError where that is an error."""
    code, *values = getattr(cudart, name)(*arguments)
    if int(code) != 0:
        _, text = cudart.cudaGetErrorString(code)
        said = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        memory = code == cudart.cudaError_t.cudaErrorMemoryAllocation
        raise EngineError(f"{name} failed: {said}", do=_LESS if memory else "run rdedge doctor")
    return values[0] if values else None


class Buffer:
    """float32 for one tensor, on the GPU and in page-locked memory beside it.

    device, host: addresses, 0 where there is nothing yet. capacity: bytes of each. It grows and
    never shrinks, and may only do so while nothing is under way on the GPU.
    """

    def __init__(self, cudart: Any) -> None:
        self._cudart = cudart
        self.device = self.host = self.capacity = 0

    def reserve(self, size: int) -> None:
        """Have room for size bytes. Raises EngineError where there is not so much memory; then the
        buffer is empty.
        """
        if size <= self.capacity:
            return
        self.free()
        try:
            self.device = int(call(self._cudart, "cudaMalloc", size))
            self.host = int(call(self._cudart, "cudaMallocHost", size))
        except EngineError as error:
            self.free()
            raise EngineError(
                f"no room for {math.ceil(size / 2**20)} MiB: {error.what}", do=error.do
            ) from error
        self.capacity = size

    def view(self, shape: tuple[int, ...]) -> Array:
        """The page-locked memory as float32 of this shape, not a copy: valid until it grows."""
        count = math.prod(shape)
        assert 4 * count <= self.capacity
        return np.ctypeslib.as_array((ctypes.c_float * count).from_address(self.host)).reshape(
            shape
        )

    def free(self) -> None:
        """Give all back; codes are passed over, since nothing can be done about them."""
        if self.device:
            self._cudart.cudaFree(self.device)
        if self.host:
            self._cudart.cudaFreeHost(self.host)
        self.device = self.host = self.capacity = 0
