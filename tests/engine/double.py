"""A double of cuda.bindings.runtime and of TensorRT's runtime, in plain memory.

Copies copy and engines compute (an "engine" is the ONNX file itself, run by ONNX Runtime), but not
before the stream is waited for, as on a GPU: what is read or freed too early is wrong here too.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numpy as np
import onnxruntime as ort

CudaError = IntEnum(
    "CudaError",
    {"cudaSuccess": 0, "cudaErrorMemoryAllocation": 2, "cudaErrorIllegalAddress": 700},
)
MemcpyKind = IntEnum("MemcpyKind", {"cudaMemcpyHostToDevice": 1, "cudaMemcpyDeviceToHost": 2})


class Cudart:
    """holds: buffers and streams not given back. room: bytes of the GPU. failing: names of calls
    that give cudaErrorIllegalAddress.
    """

    cudaError_t = CudaError  # noqa: N815
    cudaMemcpyKind = MemcpyKind  # noqa: N815

    def __init__(self) -> None:
        self.device: dict[int, Any] = {}
        self.host: dict[int, Any] = {}
        self.streams: dict[int, list[Callable[[], None]]] = {}
        self.room = 1 << 20
        self.failing: set[str] = set()
        self.calls: list[str] = []

    def holds(self) -> int:
        return len(self.device) + len(self.host) + len(self.streams)

    def _code(self, name: str) -> CudaError:
        self.calls.append(name)
        return CudaError.cudaErrorIllegalAddress if name in self.failing else CudaError(0)

    def _allocate(self, name: str, size: int, where: dict[int, Any]) -> tuple[Any, ...]:
        code = self._code(name)
        if code:
            return code, None
        if where is self.device and sum(map(len, where.values())) + size > self.room:
            return CudaError.cudaErrorMemoryAllocation, None
        memory = (ctypes.c_ubyte * size)(*([0xAA] * size))
        where[ctypes.addressof(memory)] = memory
        return code, ctypes.addressof(memory)

    def cudaMalloc(self, size: int) -> tuple[Any, ...]:  # noqa: N802
        return self._allocate("cudaMalloc", size, self.device)

    def cudaMallocHost(self, size: int) -> tuple[Any, ...]:  # noqa: N802
        return self._allocate("cudaMallocHost", size, self.host)

    def cudaFree(self, pointer: int) -> tuple[Any, ...]:  # noqa: N802
        assert not any(self.streams.values()), "freed while something is under way"
        del self.device[pointer]
        return (self._code("cudaFree"),)

    def cudaFreeHost(self, pointer: int) -> tuple[Any, ...]:  # noqa: N802
        assert not any(self.streams.values()), "freed while something is under way"
        del self.host[pointer]
        return (self._code("cudaFreeHost"),)

    def cudaStreamCreate(self) -> tuple[Any, ...]:  # noqa: N802
        code = self._code("cudaStreamCreate")
        number = len(self.streams) + 7
        self.streams[number] = []
        return code, number

    def cudaStreamDestroy(self, stream: int) -> tuple[Any, ...]:  # noqa: N802
        del self.streams[stream]
        return (self._code("cudaStreamDestroy"),)

    def cudaStreamSynchronize(self, stream: int) -> tuple[Any, ...]:  # noqa: N802
        for step in self.streams[stream]:
            step()
        self.streams[stream].clear()
        return (self._code("cudaStreamSynchronize"),)

    def cudaMemcpyAsync(  # noqa: N802
        self, to: int, source: int, size: int, kind: MemcpyKind, stream: int
    ) -> tuple[Any, ...]:
        code = self._code("cudaMemcpyAsync")
        if code:
            return (code,)
        sides = (self.device, self.host) if kind == 1 else (self.host, self.device)
        for address, memory in zip((to, source), sides, strict=True):
            assert size <= len(memory[address]), "a copy beyond the end"
        self.streams[stream].append(lambda: ctypes.memmove(to, source, size) and None)
        return (code,)

    def cudaGetErrorString(self, code: CudaError) -> tuple[Any, ...]:  # noqa: N802
        return CudaError(0), code.name.encode()


class Severity(IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1


class Logger:
    Severity = Severity


class DataType(IntEnum):
    FLOAT = 0
    HALF = 1


class TensorIOMode(IntEnum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class Context:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shape: tuple[int, ...] = ()
        self._addresses: dict[str, int] = {}
        engine.trt.log.append("create_execution_context")

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name == "x"
        self._engine.trt.log.append(f"set_input_shape {shape}")
        self._shape = shape
        return self._engine.trt.takes_shapes

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._shape if name == "x" else (self._shape[0], self._engine.width)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._engine.trt.log.append(f"set_tensor_address {name}")
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        trt, cudart = self._engine.trt, self._engine.trt.cudart
        if not trt.executes:
            trt.logger.log(Severity.ERROR, "Error Code 1: Cuda Runtime (in the double)")
            return False
        shape, addresses = self._shape, dict(self._addresses)

        def step() -> None:
            x = _floats(cudart.device[addresses["x"]], shape)
            y = self._engine.session.run(None, {"x": x})[0]
            _floats(cudart.device[addresses["y"]], y.shape)[...] = y

        cudart.streams[stream].append(step)
        return True


def _floats(memory: Any, shape: tuple[int, ...]) -> np.ndarray:
    return np.frombuffer(memory, np.float32, int(np.prod(shape))).reshape(shape)


class Engine:
    """Named x and y; dtype: of y."""

    num_io_tensors = 2

    def __init__(self, trt: Trt, data: bytes) -> None:
        self.trt = trt
        self.session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
        self.height = self.session.get_inputs()[0].shape[1]
        self.width = self.session.get_outputs()[0].shape[1]

    def get_tensor_name(self, index: int) -> str:
        return "xy"[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == "x" else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType.FLOAT if name == "x" else self.trt.dtype

    def get_tensor_profile_shape(self, name: str, index: int) -> list[tuple[int, ...]]:
        assert (name, index) == ("x", 0)
        low, high = self.trt.batches
        return [(low, self.height), (low, self.height), (high, self.height)]

    def create_execution_context(self) -> Context | None:
        if not self.trt.prepares:
            self.trt.logger.log(Severity.ERROR, "OutOfMemory (requested 12 bytes)")
            return None
        return Context(self)


class Trt:
    """The module. What it refuses can be set; log: what was called."""

    ILogger = Logger
    DataType = DataType
    TensorIOMode = TensorIOMode

    def __init__(self, cudart: Cudart) -> None:
        self.cudart = cudart
        self.log: list[str] = []
        self.batches = (1, 4)
        self.dtype = DataType.FLOAT
        self.refusals = 0
        self.starts = self.takes_shapes = self.prepares = self.executes = True
        trt = self

        class Runtime:
            def __init__(self, logger: Any) -> None:
                trt.logger = logger
                if not trt.starts:
                    raise TypeError("pybind11::init(): factory function returned nullptr")
                self.engine_host_code_allowed = False

            def deserialize_cuda_engine(self, data: bytes) -> Engine | None:
                trt.host_code = self.engine_host_code_allowed
                if trt.refusals:
                    trt.refusals -= 1
                    trt.logger.log(Severity.ERROR, "Version tag does not match")
                    return None
                return Engine(trt, data)

        self.Runtime = Runtime
