"""A graph of float32 -> one whose products are fp16 or int8, as TensorRT wants it.

int8 by the tools of ONNX Runtime, which every exporting host has: its static quantisation writes
explicit Q/DQ pairs, symmetric, weights per channel, which TensorRT takes as they are. NVIDIA's
modelopt would do the same, and bring a tool chain for large models that nothing here needs. Only
products (convolutions, matrix products) change: they are where the time goes. What comes before the
first of them sees raw units and what comes after the last adds up latents; both stay in float32.
"""

from __future__ import annotations

import contextlib
import fnmatch
import io
import logging
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rdedge.bundle.recipe import Calibration, LayerException
from rdedge.engine.onnx_runtime import module as ort_module
from rdedge.errors import ConfigError, MissingError
from rdedge.host.graphs import onnx_module, saved
from rdedge.types import Array

# Operators that multiply and add, of which nearly all of a graph's work is.
PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def convert(
    graph: bytes,
    precision: str,
    batches: list[Array],
    calibration: Calibration,
    exceptions: tuple[LayerException, ...] = (),
) -> bytes:
    """graph: an ONNX file with one input -> the same in this precision, input and output float32.

    batches: (n, ...) float32 each, what the graph will see, for the ranges of int8. exceptions:
    those of this half. A graph without products, or with none that is not excepted, comes back as
    it is. Raises ConfigError for an exception that names no product, MissingError.
    """
    if precision == "fp32" and not exceptions:
        return graph
    model = onnx_module().load_from_string(graph)
    kept = _kept(model, exceptions)
    if precision == "fp32" or set(kept) >= set(_products(model)):
        return graph
    if precision == "fp16":
        return saved(_to_fp16(model, kept))
    return saved(_to_int8(model, batches, calibration, kept))


def _products(model: Any) -> list[str]:
    return [node.name for node in model.graph.node if node.op_type in PRODUCTS]


def _kept(model: Any, exceptions: tuple[LayerException, ...]) -> list[str]:
    """Names of the products that the exceptions name."""
    names = _products(model)
    kept: list[str] = []
    for one in exceptions:
        found = fnmatch.filter(names, one.nodes)
        if not found:
            raise ConfigError(
                f"the exception {one.nodes!r} names no layer of the {one.half}",
                expected=f"one of {', '.join(names)}, or a pattern with *" if names else "none",
            )
        kept += found
    return kept


def _to_fp16(model: Any, kept: list[str]) -> Any:
    """Casts around every run of products; ONNX Runtime's and onnxconverter-common's own converter
    casts what the graph is given first, and raw units need not fit into fp16.
    """
    onnx = onnx_module()
    fp16, fp32 = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    graph = model.graph
    inner = _between_products(model) - set(kept)
    inferred = onnx.shape_inference.infer_shapes(model).graph
    # Shapes and indices stay what they are.
    floats = {v.name for v in inferred.value_info if v.type.tensor_type.elem_type == fp32}
    floats |= {v.name for v in (*graph.input, *graph.output)}
    floats |= {tensor.name for tensor in graph.initializer if tensor.data_type == fp32}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    halves: dict[str, str] = {}
    outside = {name for node in graph.node if node.name not in inner for name in node.input}
    outside |= {output.name for output in graph.output}
    inside: set[str] = set()
    nodes: list[Any] = []

    def half(name: str) -> str:
        """The fp16 twin of a float32 tensor; of a weight it takes the place."""
        if name in halves or name not in floats:
            return halves.get(name, name)
        weight = weights.get(name)
        twin = halves[name] = f"{name}_fp16"
        if weight is None:
            nodes.append(onnx.helper.make_node("Cast", [name], [twin], f"{twin}_cast", to=fp16))
        else:
            values = onnx.numpy_helper.to_array(weight).astype(np.float16)
            graph.initializer.append(onnx.numpy_helper.from_array(values, twin))
        return twin

    for node in graph.node:
        if node.name not in inner:
            nodes.append(node)
            continue
        node.input[:] = [name if name in inside else half(name) for name in node.input]
        outputs = list(node.output)
        for place, name in enumerate(outputs):
            if name in outside & floats:
                halves[name] = node.output[place] = f"{name}_fp16"
            else:
                inside.add(name)
        nodes.append(node)
        for name in outputs:
            if name in outside & floats:
                nodes.append(
                    onnx.helper.make_node("Cast", [halves[name]], [name], f"{name}_cast", to=fp32)
                )
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input}
    for name in set(weights) - used:
        graph.initializer.remove(weights[name])
    # Types of before, which anybody infers anew.
    del graph.value_info[:]
    return model


def _between_products(model: Any) -> set[str]:
    """Names of all products and of what lies between them: after one and before another."""
    nodes = list(model.graph.node)
    after: set[str] = set()
    for node in nodes:  # in topological order, by the ONNX specification
        if node.op_type in PRODUCTS or after & set(node.input):
            after |= set(node.output)
    before: set[str] = set()
    for node in reversed(nodes):
        if node.op_type in PRODUCTS or before & set(node.output):
            before |= set(node.input)
    return {
        node.name
        for node in nodes
        if node.op_type in PRODUCTS or (after & set(node.output) and before & set(node.output))
    }


def _to_int8(model: Any, batches: list[Array], calibration: Calibration, kept: list[str]) -> Any:
    onnx = onnx_module()
    try:
        ort_module()
        from onnxruntime import quantization
    except ImportError as error:
        raise _missing(error) from error
    name = model.graph.input[0].name

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.set_range(0, len(batches))

        def __len__(self) -> int:
            return len(batches)

        def set_range(self, start_index: int, end_index: int) -> None:
            self._left = iter([{name: batch} for batch in batches[start_index:end_index]])

        def get_next(self) -> dict[str, Array] | None:
            return next(self._left, None)

    method = {
        "minmax": quantization.CalibrationMethod.MinMax,
        "percentile": quantization.CalibrationMethod.Percentile,
        "entropy": quantization.CalibrationMethod.Entropy,
    }[calibration.method]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "int8.onnx"
        quantization.quantize_static(
            model,
            path,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=list(PRODUCTS),
            nodes_to_exclude=kept,
            calibrate_method=method,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                # TensorRT adds biases in float; int32 ones it refuses.
                "QuantizeBias": False,
                # What adds up latents is not rounded to int8; a product's input is, right before.
                "OpTypesToExcludeOutputQuantization": list(PRODUCTS),
                "QDQKeepRemovableActivations": True,
                "CalibPercentile": calibration.percentile,
                # One batch after the other: histograms refuse batches of several shapes, and all
                # activations of all batches need not fit into memory.
                "CalibStridedMinMax": 1,
            },
        )
        return onnx.load_model(path)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser prints its progress and advises preprocessing, which is not needed here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _missing(error: ImportError) -> MissingError:
    return MissingError(
        f"onnxruntime cannot convert graphs here: {error}", do="pip install 'rdedge[export]'"
    )


def int8_share(graph: bytes, x: Array) -> float:
    """Share of a graph's multiply-adds whose both factors are int8, for an input x float32; 1 where
    it has none.
    """
    onnx = onnx_module()
    model = onnx.load_from_string(graph)
    if not _products(model):
        return 1.0
    by_output = {name: node for node in model.graph.node for name in node.output}
    sizes = _shapes(model, x)

    def quantised(name: str) -> bool:
        node = by_output.get(name)
        return node is not None and node.op_type == "DequantizeLinear"

    total = int8 = 0
    for node in model.graph.node:
        if node.op_type in PRODUCTS:
            macs = _macs(node, sizes)
            total += macs
            int8 += macs * all(map(quantised, node.input[:2]))
    return int8 / total if total else 1.0


def _macs(node: Any, sizes: dict[str, tuple[int, ...]]) -> int:
    """Multiply-adds of a product."""
    a, b, out = (sizes[name] for name in (*node.input[:2], node.output[0]))
    if node.op_type == "Conv":
        return math.prod(out) * math.prod(b[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(a) * math.prod(b[1:])
    transposed = any(at.name == "transA" and at.i for at in node.attribute)
    return math.prod(out) * (a[-2] if transposed else a[-1])


def _shapes(model: Any, x: Array) -> dict[str, tuple[int, ...]]:
    """The shape of every factor and result of a product, found by running the graph."""
    ort = ort_module()

    onnx = onnx_module()
    names = {
        name
        for node in model.graph.node
        if node.op_type in PRODUCTS
        for name in (*node.input[:2], node.output[0])
    }
    sizes = {t.name: tuple(t.dims) for t in model.graph.initializer if t.name in names}
    wanted = sorted(names - set(sizes))
    known = {output.name for output in model.graph.output}
    for name in wanted:
        if name not in known:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    options = ort.SessionOptions()
    options.log_severity_level = 4
    # Optimised away, a name would have no shape.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found = session.run(wanted, {model.graph.input[0].name: x})
    return sizes | {name: np.shape(value) for name, value in zip(wanted, found, strict=True)}
