"""One interface for whatever runs a graph, and the choice between the backends at hand."""

from __future__ import annotations

from typing import Any, Protocol

from rdedge.errors import BundleError, ConfigError, MissingError
from rdedge.types import Array

BACKENDS = ("onnxruntime",)


class Runner(Protocol):
    """A graph with one input and one output, ready to run."""

    name: str

    def run(self, x: Array) -> Array:
        """x: (N, ...) float32, C-contiguous; returns (N, ...) float32."""
        ...


class OnnxRuntimeRunner:
    """Runs a graph with ONNX Runtime's CPU provider.

    threads: for one operator; None leaves the choice to ONNX Runtime.
    """

    def __init__(self, graph: bytes, what: str, threads: int | None = None) -> None:
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
        options = ort.SessionOptions()
        options.log_severity_level = 4
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = ort.InferenceSession(graph, options, ["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises classes of its own, by cause
            raise BundleError(
                f"{what} cannot be loaded by onnxruntime {ort.__version__}: "
                f"{str(error).splitlines()[0]}",
                do="update onnxruntime, or export with a lower opset",
            ) from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type != "tensor(float)":
            raise BundleError(
                f"{what} has {len(inputs)} inputs and {len(outputs)} outputs",
                expected="one input and one output of float32",
            )
        self._input = inputs[0].name
        self._output = [outputs[0].name]
        self.input_shape: list[Any] = inputs[0].shape
        self.output_shape: list[Any] = outputs[0].shape
        self.name = f"onnxruntime {ort.__version__} CPU"

    def run(self, x: Array) -> Array:
        result: Array = self._session.run(self._output, {self._input: x})[0]
        return result


def open_runner(
    graph: bytes, what: str, backend: str | None = None, threads: int | None = None
) -> OnnxRuntimeRunner:
    """A runner for graph, the bytes of an ONNX file. backend: one of BACKENDS; None: the best here.

    Raises ConfigError, MissingError or BundleError.
    """
    if backend not in (None, *BACKENDS):
        raise ConfigError(f"no backend is called {backend!r}", expected=", ".join(BACKENDS))
    return OnnxRuntimeRunner(graph, what, threads)
