"""Runs an engine of TensorRT.

Written against the documented API of TensorRT 10 and 11 and cuda.bindings, and tested with a
double of both that copies and computes; not run on hardware yet.
"""

from __future__ import annotations

import math
import threading
import weakref
from typing import Any

import numpy as np

from rdedge.engine import cudart as cuda
from rdedge.engine import tensorrt
from rdedge.engine.cache import Stored
from rdedge.engine.tensorrt import TensorRT
from rdedge.errors import EngineError, ShapeError
from rdedge.types import Array


class RefusedError(EngineError):
    """TensorRT does not take an engine, which may have to be built again."""


class TensorRTRunner:
    """One engine with its memory. Batches beyond its range are cut into several runs.

    what: the graph, for errors. gpu: for the name. Threads may share it; they wait for each other.
    Raises MissingError without cuda-bindings, RefusedError where TensorRT does not take the engine,
    EngineError where it cannot be prepared.
    """

    backend = "tensorrt"

    def __init__(self, stored: Stored, found: TensorRT, what: str, gpu: str) -> None:
        self.what = what
        self.name = f"{found.flavour} {found.version} {gpu}".strip()
        self._cudart = cuda.runtime()
        self._trt = tensorrt.load(found.module)
        self._lock = threading.Lock()
        runtime, engine = self._deserialised(stored, found)
        self._input, self._output = self._tensors(engine)
        # Of profile 0, the only one: shapes from min to max.
        self._min, _, self._max = (
            tuple(shape) for shape in engine.get_tensor_profile_shape(self._input, 0)
        )
        with tensorrt.listening(self._trt) as errors:
            self._context = engine.create_execution_context()
            if self._context is None:
                raise tensorrt.failure(f"{found} cannot prepare to run {what}", errors)
        self._stream = cuda.call(self._cudart, "cudaStreamCreate")
        self._buffers = (cuda.Buffer(self._cudart), cuda.Buffer(self._cudart))
        self._shape: tuple[int, ...] = ()
        self._addresses = (0, 0)
        # The context before its engine, the engine before its runtime.
        held = [runtime, engine, self._context]
        self._finalizer = weakref.finalize(
            self, _release, self._cudart, self._stream, self._buffers, held
        )

    def _deserialised(self, stored: Stored, found: TensorRT) -> tuple[Any, Any]:
        with tensorrt.listening(self._trt) as errors:
            runtime = tensorrt.started(self._trt, "Runtime", found, errors)
            if stored.header.options.version_compatible:
                # Such an engine brings code of TensorRT's with it; the cache vouches for it.
                runtime.engine_host_code_allowed = True
            engine = runtime.deserialize_cuda_engine(stored.data)
            if engine is None:
                error = tensorrt.failure(f"{found} does not take {stored.path}", errors)
                raise RefusedError(error.what, do=error.do or "build it again with rdedge build")
        return runtime, engine

    def _tensors(self, engine: Any) -> tuple[str, str]:
        """The names of the only input and the only output, both of float32."""
        names: dict[Any, list[str]] = {}
        modes = self._trt.TensorIOMode
        for i in range(engine.num_io_tensors):
            name = engine.get_tensor_name(i)
            if engine.get_tensor_dtype(name) == self._trt.DataType.FLOAT:
                names.setdefault(engine.get_tensor_mode(name), []).append(name)
        inputs, outputs = names.get(modes.INPUT, []), names.get(modes.OUTPUT, [])
        if engine.num_io_tensors != 2 or len(inputs) != 1 or len(outputs) != 1:
            raise RefusedError(
                f"the engine of {self.what} has {engine.num_io_tensors} inputs and outputs, "
                f"{len(inputs) + len(outputs)} of them float32",
                expected="one input and one output of float32",
            )
        return inputs[0], outputs[0]

    def run(self, x: Array) -> Array:
        """x: (N, ...) float32; returns (N, ...) float32.

        Raises ShapeError for a shape beyond the engine's ranges, EngineError where CUDA or
        TensorRT fail.
        """
        x = np.ascontiguousarray(x, np.float32)
        runs = self._runs(x.shape)
        with self._lock:
            if not self._finalizer.alive:
                raise EngineError(f"the runner of {self.what} is closed")
            found = [self._run(block) for block in np.array_split(x, runs)]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _runs(self, shape: tuple[int, ...]) -> int:
        """How many runs a batch takes, as equal as can be. Raises ShapeError."""
        runs = max(1, math.ceil(shape[0] / self._max[0])) if shape else 1
        fine = len(shape) == len(self._min) and all(
            low <= size <= high
            for low, size, high in zip(
                self._min, (shape[0] // runs, *shape[1:]), self._max, strict=True
            )
        )
        if not fine:
            raise ShapeError(
                f"{self.what} is given the shape {shape}",
                expected=f"{self._min} to {self._max}, which its engine was built for",
                do="build it for such shapes with rdedge build --batch or --size, or set "
                "RDEDGE_BACKEND to another backend",
            )
        return runs

    def _run(self, x: Array) -> Array:
        context, (source, sink) = self._context, self._buffers
        if x.shape != self._shape:
            self._shape = ()
            self._require(context.set_input_shape(self._input, x.shape), f"the shape {x.shape}")
        shape = tuple(context.get_tensor_shape(self._output))
        if not shape or min(shape) < 0:
            raise EngineError(f"{self.what} gives an output of the unknown shape {shape}")
        self._shape = x.shape
        source.reserve(x.nbytes)
        sink.reserve(4 * math.prod(shape))
        addresses = (source.device, sink.device)
        if addresses != self._addresses:
            self._addresses = (0, 0)
            for name, address in zip((self._input, self._output), addresses, strict=True):
                self._require(context.set_tensor_address(name, address), f"memory for {name}")
            self._addresses = addresses
        source.view(x.shape)[...] = x
        kinds = self._cudart.cudaMemcpyKind
        to_gpu, from_gpu = kinds.cudaMemcpyHostToDevice, kinds.cudaMemcpyDeviceToHost
        try:
            self._copy(source.device, source.host, x.nbytes, to_gpu)
            with tensorrt.listening(self._trt) as errors:
                if not context.execute_async_v3(int(self._stream)):
                    raise tensorrt.failure(f"TensorRT cannot run {self.what}", errors)
            self._copy(sink.host, sink.device, 4 * math.prod(shape), from_gpu)
        finally:
            # Also after an error: what is under way must not write into memory that is used again.
            cuda.call(self._cudart, "cudaStreamSynchronize", self._stream)
        y: Array = sink.view(shape).copy()
        return y

    def _copy(self, target: int, source: int, size: int, kind: Any) -> None:
        cuda.call(self._cudart, "cudaMemcpyAsync", target, source, size, kind, self._stream)

    def _require(self, fine: bool, what: str) -> None:
        if not fine:
            raise EngineError(f"TensorRT refuses {what} for {self.what}")

    def close(self) -> None:
        """Give the memory back; it cannot run any more."""
        with self._lock:
            self._context = None
            self._finalizer()


def _release(cudart: Any, stream: Any, buffers: tuple[cuda.Buffer, ...], held: list[Any]) -> None:
    while held:
        held.pop()
    for buffer in buffers:
        buffer.free()
    cudart.cudaStreamDestroy(stream)
