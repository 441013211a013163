"""Which backend is taken, what is said about it, and what each refuses."""

from __future__ import annotations

import logging

import numpy as np
import onnxruntime as ort
import pytest

from rdedge.codec import Decoder, Encoder
from rdedge.engine import cuda, engines, tensorrt
from rdedge.engine.build import Options
from rdedge.engine.cache import Cache, folder
from rdedge.engine.engines import engine_for, target
from rdedge.engine.onnx_runtime import OnnxRuntimeRunner
from rdedge.engine.part import Part
from rdedge.engine.runner import BACKENDS, backends_at_hand, open_runner
from rdedge.engine.tensorrt import TensorRT
from rdedge.errors import BundleError, ConfigError, EngineError, MissingError
from tests.engine import make
from tests.engine.conftest import ORIN
from tests.engine.double import Trt

NO_GPU = cuda.Driver(why="cannot load libcuda.so.1")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "ask", lambda: NO_GPU)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "rdedge.engine"]


def build(part: Part) -> None:
    engine_for(part, target(), Options(), Cache(folder()))


def test_a_plain_machine_takes_the_cpu_and_says_nothing(no_gpu, caplog):
    found = open_runner(make.part())
    assert found.name == f"onnxruntime {ort.__version__} CPU"
    assert found.backend == "ort-cpu"
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(found.run(x), x @ make.WEIGHTS, rtol=1e-6)
    found.close()
    assert said(caplog) == []


def test_an_engine_that_was_built_is_taken(orin: Trt, caplog):
    build(make.part())
    found = open_runner(make.part())
    assert found.backend == "tensorrt"
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(found.run(x), x @ make.WEIGHTS, rtol=1e-6)
    assert said(caplog) == []
    assert orin.log.count("build") == 1


def test_without_an_engine_the_next_is_taken_and_that_is_said_once(orin: Trt, caplog):
    bundle = make.bundle()
    encoder, decoder = Encoder(bundle), Decoder(bundle)
    assert encoder.runner.backend == decoder.runner.backend == "ort-cpu"
    (text,) = said(caplog)
    for words in ("onnxruntime", "although there is a GPU, Orin", "rdedge build"):
        assert words in text
    assert "no engine for TensorRT 10.3.0" in text
    assert "has no CUDAExecutionProvider" in text
    assert "build" not in orin.log


def test_a_plain_log_goes_to_stderr_once():
    assert logging.getLogger("rdedge.engine").handlers == []
    assert logging.lastResort is not None
    assert logging.lastResort.level == logging.WARNING


def test_asked_for_by_name_an_engine_is_built(orin: Trt):
    bundle = make.bundle()
    encoder = Encoder(bundle, backend="tensorrt")
    assert encoder.runner.backend == "tensorrt"
    assert orin.log.count("build") == 1
    assert Encoder(bundle, backend="tensorrt").runner.backend == "tensorrt"
    assert orin.log.count("build") == 1
    x = np.array([[0, 1, 2], [255, 128, 7]], np.uint8)
    packet = encoder.encode(x)
    assert packet == Encoder(bundle, backend="ort-cpu").encode(x)
    ours = Decoder(bundle, backend="tensorrt").decode(packet)
    np.testing.assert_array_equal(ours, Decoder(bundle, backend="ort-cpu").decode(packet))


def test_a_refused_engine_is_built_again_and_that_is_said(orin: Trt, caplog):
    build(make.part())
    orin.refusals = 1
    assert open_runner(make.part(), "tensorrt").backend == "tensorrt"
    assert orin.log.count("build") == 2
    assert any("Version tag does not match" in text for text in said(caplog))


def test_a_refused_engine_is_not_built_again_unasked(orin: Trt, caplog):
    build(make.part())
    orin.refusals = 1
    assert open_runner(make.part()).backend == "ort-cpu"
    assert "Version tag does not match" in said(caplog)[0]


@pytest.mark.parametrize("name", ["RDEDGE_BACKEND", None])
def test_the_choice_can_be_overridden(orin: Trt, monkeypatch, caplog, name):
    build(make.part())
    if name:
        monkeypatch.setenv(name, "ort-cpu")
    found = open_runner(make.part(), None if name else "ort-cpu")
    assert found.backend == "ort-cpu"
    assert said(caplog) == []


def test_onnxruntime_is_the_best_of_its_providers(orin: Trt):
    build(make.part())
    assert open_runner(make.part(), "onnxruntime").backend == "ort-cpu"


@pytest.mark.parametrize(
    ("backend", "why"),
    [
        ("ort-cuda", "has no CUDAExecutionProvider.*onnxruntime-gpu"),
        ("ort-tensorrt", "has no TensorrtExecutionProvider"),
        ("tensorrt", "no GPU to build for: cannot load libcuda.so.1"),
    ],
)
def test_a_backend_asked_for_that_is_not_there_is_an_error(no_gpu, backend, why):
    with pytest.raises(MissingError, match=why):
        open_runner(make.part(), backend)


def test_an_unknown_backend_is_named(no_gpu, monkeypatch):
    with pytest.raises(ConfigError, match=r"'gpu'.*tensorrt, ort-tensorrt, ort-cuda, ort-cpu"):
        open_runner(make.part(), "gpu")
    monkeypatch.setenv("RDEDGE_BACKEND", "cpu")
    with pytest.raises(ConfigError, match="'cpu'"):
        open_runner(make.part())


class Session:
    """Of an onnxruntime that has CUDA, and falls back where it does not load."""

    loaded = True

    def __init__(self, graph, options, providers, enable_fallback):
        assert enable_fallback == 0
        self.session = RealSession(graph, options, ["CPUExecutionProvider"])
        names = [one if isinstance(one, str) else one[0] for one in providers]
        self.running = names if self.loaded else ["CPUExecutionProvider"]
        Session.providers = providers

    def get_providers(self):
        return self.running

    def __getattr__(self, name):
        return getattr(self.session, name)


RealSession = ort.InferenceSession


@pytest.fixture
def ort_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: names)
    monkeypatch.setattr(ort, "InferenceSession", Session)
    monkeypatch.setattr(Session, "loaded", True)


def test_the_name_says_what_really_runs(ort_gpu):
    found = OnnxRuntimeRunner(make.product(), "encoder.onnx", backend="ort-cuda")
    assert found.name == f"onnxruntime {ort.__version__} CUDA"
    assert Session.providers[0] == ("CUDAExecutionProvider", {"use_tf32": "0"})


def test_a_provider_that_silently_does_not_load_is_no_success(ort_gpu, orin, monkeypatch, caplog):
    monkeypatch.setattr(Session, "loaded", False)
    with pytest.raises(MissingError, match=r"could not load CUDA.* and would run CPUExec"):
        open_runner(make.part(), "ort-cuda")
    assert open_runner(make.part()).backend == "ort-cpu"
    (text,) = said(caplog)
    assert text.index("ort-tensorrt: ") < text.index("ort-cuda: ")


def test_tensorrt_of_onnxruntime_keeps_no_engines_and_knows_the_precision(ort_gpu):
    found = OnnxRuntimeRunner(make.product(), "x", backend="ort-tensorrt", workspace_mib=3)
    assert found.name.endswith("TensorRT")
    name, options = Session.providers[0]
    assert name == "TensorrtExecutionProvider"
    assert options == {"trt_engine_cache_enable": "0", "trt_max_workspace_size": str(3 << 20)}


def test_no_onnxruntime(no_gpu, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingError, match=r"onnxruntime is not installed|cannot be loaded"):
        open_runner(make.part())
    assert [one.there for one in backends_at_hand()] == [False] * 4


def test_a_graph_that_is_none_is_refused(no_gpu):
    with pytest.raises(BundleError, match=r"encoder.onnx is no ONNX file"):
        open_runner(make.part(b"an encoder"))
    with pytest.raises(BundleError, match="another file"):
        open_runner(make.part(make.external("w.bin")))


def test_a_run_that_fails_is_named(no_gpu):
    with pytest.raises(EngineError, match=r"cannot run encoder.onnx on \(2, 4\)"):
        open_runner(make.part()).run(np.zeros((2, 4), np.float32))


def test_no_cuda_bindings(orin: Trt, monkeypatch):
    import sys

    from rdedge.engine import cudart

    monkeypatch.undo()
    monkeypatch.setattr(engines.cuda, "ask", lambda: ORIN)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(MissingError, match=r"pip install 'cuda-bindings==12\.\*'"):
        cudart.runtime()


def test_no_tensorrt(orin: Trt, monkeypatch):
    monkeypatch.setattr(tensorrt, "installed", list)
    with pytest.raises(MissingError, match=r"TensorRT is not installed.*--system-site-packages"):
        open_runner(make.part(), "tensorrt")


def test_an_unsafe_cache_is_not_used_and_that_is_said(orin: Trt, tmp_path, caplog):
    build(make.part())
    (tmp_path / "engines").chmod(0o777)
    assert open_runner(make.part()).backend == "ort-cpu"
    assert "others can write it" in said(caplog)[0]
    with pytest.raises(ConfigError, match="an engine is code"):
        open_runner(make.part(), "tensorrt")


def test_what_is_at_hand_on_a_plain_machine(no_gpu):
    found = {one.backend: one for one in backends_at_hand()}
    assert tuple(found) == BACKENDS
    assert [name for name, one in found.items() if one.there] == ["ort-cpu"]
    assert found["ort-cpu"].why == f"onnxruntime {ort.__version__} CPU"
    assert "no GPU: cannot load libcuda" in found["tensorrt"].why
    assert "has no CUDAExecutionProvider" in found["ort-cuda"].why


def test_what_is_at_hand_on_a_jetson(orin: Trt, ort_gpu, monkeypatch):
    assert [one.there for one in backends_at_hand()] == [True] * 4
    assert backends_at_hand()[0].why == "tensorrt 10.3.0 Orin"
    monkeypatch.undo()
    monkeypatch.setattr(cuda, "ask", lambda: ORIN)
    rtx = TensorRT("tensorrt_rtx_bindings", "1.7.1.116")
    monkeypatch.setattr(tensorrt, "installed", lambda: [rtx])
    first = backends_at_hand()[0]
    assert not first.there
    assert "offers nothing for SM 8.7" in first.why
