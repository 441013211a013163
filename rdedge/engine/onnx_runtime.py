"""Runs a graph with ONNX Runtime, by its TensorRT, CUDA or CPU provider.

Its TensorRT provider builds an engine at each start: it could keep engines, but checks neither
whose they are nor their bytes, so it is not asked to. `rdedge build` and the backend `tensorrt`
start at once.
"""

from __future__ import annotations

import os
from typing import Any

from rdedge.engine.graph import precision_of, refuse_external
from rdedge.errors import BundleError, ConfigError, EngineError, MissingError
from rdedge.types import Array

# Backend -> provider, its name in ours.
PROVIDERS = {
    "ort-tensorrt": ("TensorrtExecutionProvider", "TensorRT"),
    "ort-cuda": ("CUDAExecutionProvider", "CUDA"),
    "ort-cpu": ("CPUExecutionProvider", "CPU"),
}


def module() -> Any:
    """The package. Raises MissingError where it is not installed or cannot be loaded.

    From 1.29 on it sends telemetry unless told not to; a device's link costs money, and what runs
    there is nobody else's business. Who sets ORT_DISABLE_TELEMETRY decides otherwise.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime as ort
    except ImportError as error:
        if getattr(error, "name", None) != "onnxruntime":
            raise MissingError(
                f"onnxruntime is installed but cannot be loaded: {str(error).splitlines()[0]}",
                do="install the libraries that it names, or the build for this machine",
            ) from error
        raise MissingError(
            "onnxruntime is not installed",
            do="pip install 'rdedge[runtime]'; on a Jetson take NVIDIA's onnxruntime-gpu "
            "instead, and let the virtual environment see it (--system-site-packages)",
        ) from error
    if not hasattr(ort, "get_available_providers"):
        raise MissingError(
            f"onnxruntime is damaged: {getattr(ort, '__file__', None)} is not the package",
            do="pip install --force-reinstall onnxruntime, or remove what stands in its place",
        )
    return ort


class OnnxRuntimeRunner:
    """A session of ONNX Runtime.

    backend: a key of PROVIDERS. threads: of the CPU provider, for one operator; None leaves the
    choice to ONNX Runtime. workspace_mib: of the TensorRT provider. Raises MissingError where the
    provider is not there or cannot be loaded: ONNX Runtime itself would go on with a slower one.
    """

    def __init__(
        self,
        graph: bytes,
        what: str,
        threads: int | None = None,
        *,
        backend: str = "ort-cpu",
        workspace_mib: int | None = None,
    ) -> None:
        refuse_external(graph, what)
        if backend not in PROVIDERS:
            raise ConfigError(f"backend {backend!r}", expected=", ".join(PROVIDERS))
        ort = module()
        self.what, self.backend = what, backend
        provider, short = PROVIDERS[backend]
        if provider not in ort.get_available_providers():
            raise MissingError(
                f"this onnxruntime {ort.__version__} has no {provider}",
                do="install NVIDIA's onnxruntime-gpu for this machine in place of onnxruntime",
            )
        options = ort.SessionOptions()
        options.log_severity_level = 4
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = ort.InferenceSession(
                graph, options, _providers(backend, graph, what, workspace_mib), enable_fallback=0
            )
        except Exception as error:  # onnxruntime raises classes of its own, by cause
            said = str(error).splitlines()[0]
            if backend != "ort-cpu":
                raise EngineError(f"{provider} cannot load {what}: {said}") from error
            raise BundleError(
                f"{what} cannot be loaded by onnxruntime {ort.__version__}: {said}",
                do="update onnxruntime, or export with a lower opset",
            ) from error
        running = self._session.get_providers()
        if provider not in running:
            raise MissingError(
                f"onnxruntime {ort.__version__} could not load {provider} and would run "
                f"{', '.join(running)}",
                do="install the CUDA, cuDNN and TensorRT libraries that this onnxruntime was built "
                "for",
            )
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type != "tensor(float)":
            raise BundleError(
                f"{what} has {len(inputs)} inputs and {len(outputs)} outputs",
                expected="one input and one output of float32",
            )
        self._input = inputs[0].name
        self._output = [outputs[0].name]
        self.name = f"onnxruntime {ort.__version__} {short}"

    def run(self, x: Array) -> Array:
        """x: (N, ...) float32; returns (N, ...) float32. Raises EngineError where a GPU fails."""
        try:
            result: Array = self._session.run(self._output, {self._input: x})[0]
        except Exception as error:  # of onnxruntime's own classes
            raise EngineError(
                f"{self.name} cannot run {self.what} on {x.shape}: {str(error).splitlines()[0]}",
                do="run rdedge check; set RDEDGE_BACKEND to another backend",
            ) from error
        return result

    def close(self) -> None:
        """Nothing to give back: the session goes with the runner."""


def _providers(backend: str, graph: bytes, what: str, workspace_mib: int | None) -> list[Any]:
    """The provider with its options, and those that take what it leaves, as ONNX Runtime needs."""
    cpu = "CPUExecutionProvider"
    # float32 as the graph says, not with factors rounded to 10 bits (onnxruntime 1.18 and later).
    cuda = ("CUDAExecutionProvider", {"use_tf32": "0"})
    if backend == "ort-cpu":
        return [cpu]
    if backend == "ort-cuda":
        return [cuda, cpu]
    options = {"trt_engine_cache_enable": "0"}
    precision = precision_of(graph, what)
    if precision != "fp32":
        options[f"trt_{precision}_enable"] = "1"
    if workspace_mib is not None:
        options["trt_max_workspace_size"] = str(workspace_mib << 20)
    return [("TensorrtExecutionProvider", options), cuda, cpu]
