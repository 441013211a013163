"""The runner against a double that copies and computes; on hardware nobody has seen it yet."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from rdedge.engine import tensorrt
from rdedge.engine.build import Options
from rdedge.engine.cache import Cache
from rdedge.engine.engines import Target, header_for
from rdedge.engine.tensorrt import TensorRT
from rdedge.engine.tensorrt_runner import RefusedError, TensorRTRunner
from rdedge.errors import EngineError, ShapeError
from tests.engine import double, make
from tests.engine.double import Trt

FOUND = TensorRT("tensorrt", "10.3.0")


@pytest.fixture
def opened(orin: Trt, tmp_path: Path):
    def open_it(graph: bytes | None = None, options: Options | None = None) -> TensorRTRunner:
        cache = Cache(tmp_path / "engines")
        cache.make()
        part = make.part(graph)
        header = header_for(part, Target(FOUND, ("8.7",), "Orin"), options or Options())
        return TensorRTRunner(cache.write(header, part.graph), FOUND, part.what, "Orin")

    return open_it


def batch(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).normal(size=(rows, 3)).astype(np.float32)


def test_it_gives_what_the_graph_gives(opened):
    runner = opened()
    assert (runner.name, runner.backend) == ("tensorrt 10.3.0 Orin", "tensorrt")
    for rows in (1, 4, 2, 4):
        y = runner.run(batch(rows))
        np.testing.assert_allclose(y, batch(rows) @ make.WEIGHTS, rtol=1e-6)
        assert y.dtype == np.float32


def test_what_it_gave_stays_when_it_runs_again(opened):
    runner = opened()
    first = runner.run(batch(2))
    kept = first.copy()
    runner.run(batch(4))
    np.testing.assert_array_equal(first, kept)


def test_what_is_not_contiguous_float32_is_made_so(opened):
    x = np.asfortranarray(batch(4).astype(np.float64))[::2]
    np.testing.assert_allclose(opened().run(x), x @ make.WEIGHTS, rtol=1e-6)


def test_a_large_batch_is_cut_into_equal_runs(opened, orin):
    runner = opened()
    np.testing.assert_allclose(runner.run(batch(9)), batch(9) @ make.WEIGHTS, rtol=1e-6)
    assert [line for line in orin.log if "shape" in line] == ["set_input_shape (3, 3)"]


def test_shapes_and_addresses_are_set_only_when_they_change(opened, orin):
    runner = opened()
    for rows in (2, 2, 1, 4, 1):
        runner.run(batch(rows))
    shapes = [line for line in orin.log if "shape" in line]
    assert shapes == [f"set_input_shape ({rows}, 3)" for rows in (2, 1, 4, 1)]
    # The buffers of 2 do for 1; those of 4 are new, and do for all.
    assert [line for line in orin.log if "address" in line] == 2 * [
        "set_tensor_address x",
        "set_tensor_address y",
    ]
    assert orin.cudart.calls.count("cudaMalloc") == 4
    assert orin.cudart.calls.count("cudaFree") == 2
    assert sorted(map(len, orin.cudart.device.values())) == [4 * 2 * 4, 4 * 3 * 4]


@pytest.mark.parametrize("shape", [(0, 3), (1, 4), (3,), (1, 3, 1), ()])
def test_a_shape_beyond_the_engine_is_refused(opened, shape):
    with pytest.raises(ShapeError, match=r"expected: \(1, 3\) to \(4, 3\).*rdedge build --batch"):
        opened().run(np.zeros(shape, np.float32))


def test_a_batch_below_the_engine_is_refused(opened, orin):
    orin.batches = (3, 4)
    runner = opened()
    assert runner.run(batch(7)).shape == (7, 2)  # 4 and 3
    with pytest.raises(ShapeError):
        runner.run(batch(5))


def test_everything_is_given_back(opened, orin):
    runner = opened()
    runner.run(batch(4))
    assert len(orin.cudart.device) == len(orin.cudart.host) == 2
    runner.close()
    runner.close()
    assert orin.cudart.holds() == 0
    with pytest.raises(EngineError, match="closed"):
        runner.run(batch(1))


def test_a_runner_that_is_forgotten_gives_everything_back(opened, orin):
    runner = opened()
    runner.run(batch(4))
    del runner
    gc.collect()
    assert orin.cudart.holds() == 0


def test_too_little_memory_is_said_and_leaves_nothing(opened, orin):
    runner = opened()
    runner.run(batch(1))
    orin.cudart.room = 32
    with pytest.raises(EngineError, match=r"no room for 1 MiB.*cudaErrorMemory.*smaller batches"):
        runner.run(batch(4))
    orin.cudart.room = 1 << 20
    np.testing.assert_allclose(runner.run(batch(4)), batch(4) @ make.WEIGHTS, rtol=1e-6)


@pytest.mark.parametrize("name", ["cudaMemcpyAsync", "cudaStreamSynchronize", "cudaMallocHost"])
def test_an_error_of_cuda_is_named_and_the_next_run_is_right(opened, orin, name):
    runner = opened()
    orin.cudart.failing = {name}
    with pytest.raises(EngineError, match=f"{name} failed: cudaErrorIllegalAddress"):
        runner.run(batch(2))
    orin.cudart.failing = set()
    assert not any(orin.cudart.streams.values())
    np.testing.assert_allclose(runner.run(batch(3)), batch(3) @ make.WEIGHTS, rtol=1e-6)


def test_an_execution_that_is_refused_says_what_tensorrt_said(opened, orin):
    runner = opened()
    orin.executes = False
    with pytest.raises(EngineError, match=r"cannot run encoder.onnx: Error Code 1: Cuda Runtime"):
        runner.run(batch(2))
    orin.executes, orin.takes_shapes = True, False
    with pytest.raises(EngineError, match="refuses the shape"):
        runner.run(batch(3))
    orin.takes_shapes = True
    np.testing.assert_allclose(runner.run(batch(3)), batch(3) @ make.WEIGHTS, rtol=1e-6)


def test_an_engine_that_tensorrt_refuses(opened, orin):
    orin.refusals = 1
    with pytest.raises(RefusedError, match=r"Version tag does not match.*rdedge build"):
        opened()
    assert not orin.cudart.streams


def test_a_tensorrt_that_does_not_start(opened, orin):
    orin.starts = False
    with pytest.raises(EngineError, match=r"TensorRT 10.3.0 cannot start: .*nullptr"):
        opened()


def test_no_memory_to_prepare(opened, orin):
    orin.prepares = False
    with pytest.raises(EngineError, match=r"OutOfMemory.*too little memory.*--workspace"):
        opened()


def test_an_engine_of_another_type_is_refused(opened, orin):
    orin.dtype = double.DataType.HALF
    with pytest.raises(RefusedError, match="2 inputs and outputs, 1 of them float32"):
        opened()


@pytest.mark.parametrize("compatible", [True, False])
def test_code_in_an_engine_runs_only_where_it_was_asked_for(opened, orin, compatible):
    opened(options=Options(version_compatible=compatible))
    assert orin.host_code is compatible


def public(thing: object) -> set[str]:
    return {name for name in vars(thing) if not name.startswith("_")}


def test_the_double_has_nothing_that_the_real_ones_lack():
    from cuda.bindings import runtime

    trt = tensorrt.load("tensorrt_rtx_bindings")
    assert public(double.Cudart) - {"holds"} <= set(dir(runtime))
    assert set(double.CudaError.__members__) <= set(dir(runtime.cudaError_t))
    assert set(double.MemcpyKind.__members__) <= set(dir(runtime.cudaMemcpyKind))
    assert public(double.Context) <= set(dir(trt.IExecutionContext))
    assert public(double.Engine) <= set(dir(trt.ICudaEngine))
    assert public(double.Trt(double.Cudart()).Runtime) <= set(dir(trt.Runtime))
    assert hasattr(trt.Runtime, "engine_host_code_allowed")
    for name in ("DataType", "TensorIOMode"):
        assert set(getattr(double, name).__members__) <= set(dir(getattr(trt, name)))
    assert int(runtime.cudaError_t.cudaErrorMemoryAllocation) == 2
    assert int(trt.ILogger.Severity.ERROR) == 1


def test_the_real_cudart_answers_as_the_runner_expects():
    """Without a driver each call gives a code, and values beside it."""
    from rdedge.engine import cudart

    real = cudart.runtime()
    code, count = real.cudaGetDeviceCount()
    if int(code) == 0 and count:
        buffer = cudart.Buffer(real)
        buffer.reserve(64)
        assert buffer.device
        buffer.free()
        return
    with pytest.raises(EngineError, match="cudaStreamCreate failed: "):
        cudart.call(real, "cudaStreamCreate")
    with pytest.raises(EngineError, match="no room for 1 MiB: cudaMalloc failed: "):
        cudart.Buffer(real).reserve(64)
