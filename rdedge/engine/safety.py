"""What a graph of a bundle may hold: looked into where the onnx package is installed.

ONNX Runtime and TensorRT parse graphs with code that was written for trusted ones. A bundle's need
little: a short list of operators of the standard domain, on one input and one output of the sizes
that the manifest names. A device has no onnx package; it relies on the bundle's hashes.
"""

from __future__ import annotations

import importlib.util
import math
from typing import Any

from rdedge.bundle.bundle import Bundle
from rdedge.bundle.manifest import Manifest
from rdedge.engine.graph import refuse_external
from rdedge.engine.part import HALVES, Half
from rdedge.errors import BundleError

OPERATORS = frozenset(
    (
        "Abs",
        "Add",
        "Cast",
        "Clip",
        "Concat",
        "Constant",
        "Conv",
        "ConvTranspose",
        "DequantizeLinear",
        "Div",
        "Exp",
        "Flatten",
        "Gather",
        "GatherND",
        "Gemm",
        "Identity",
        "Log",
        "MatMul",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "QuantizeLinear",
        "ReduceMean",
        "ReduceSum",
        "Relu",
        "Reshape",
        "Round",
        "Shape",
        "Slice",
        "Softplus",
        "Squeeze",
        "Sub",
        "Transpose",
        "Unsqueeze",
    )
)
# Numbers that a graph may hold for each parameter that the manifest counts (scales and zero points
# of int8 are numbers too), and beside them: axes, shapes, indices.
_EACH, _BESIDE = 2, 1 << 16


def refuse_unsafe(bundle: Bundle) -> bool:
    """Raise BundleError where a graph of the bundle holds what it may not; False where nobody could
    look into it, because onnx is not installed: then only tensors in other files are refused.
    """
    for half in HALVES:
        graph = bundle.members.get(f"{half}.onnx")
        if graph is None:
            continue
        refuse_external(graph, f"{half}.onnx")
        if _onnx_is_there():
            _refuse(graph, half, bundle.manifest)
    return _onnx_is_there()


def _onnx_is_there() -> bool:
    return importlib.util.find_spec("onnx") is not None


def _refuse(data: bytes, half: Half, manifest: Manifest) -> None:
    import onnx

    what = f"{half}.onnx"
    try:
        model = onnx.load_from_string(data)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and the checker's own, by cause
        raise _unsafe(what, str(error).splitlines()[0][:200], "a sound ONNX graph") from error
    graph = model.graph
    domains = {o.domain for o in model.opset_import} | {node.domain for node in graph.node}
    custom = sorted(domains - {"", "ai.onnx"})
    if custom or model.functions:
        names = custom or [function.name for function in model.functions]
        raise _unsafe(what, f"it brings its own operators: {', '.join(names)}", "standard ones")
    for node in graph.node:
        if node.op_type not in OPERATORS:
            raise _unsafe(
                what,
                f"the operator {node.op_type!r} at node {node.name!r}",
                ", ".join(sorted(OPERATORS)),
            )
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            raise _unsafe(what, f"a graph inside node {node.name!r}", "none")
    versions = [o.version for o in model.opset_import]
    if versions != [manifest.opset]:
        raise _unsafe(what, f"opset {versions}", f"{manifest.opset}, by the manifest")
    _refuse_sizes(graph, half, manifest)


def _refuse_sizes(graph: Any, half: Half, manifest: Manifest) -> None:
    what = f"{half}.onnx"
    spec, latents = manifest.sample, manifest.latents
    image = spec.kind == "image"
    sample = (None, None, spec.shape[2]) if image else spec.shape
    rows = (None, None, latents) if image else (latents,)
    ends = (sample, rows) if half == "encoder" else (rows, sample)
    for name, found, wanted in zip(
        ("input", "output"), (graph.input, graph.output), ends, strict=True
    ):
        shapes = [
            tuple(
                d.dim_value if d.HasField("dim_value") else None
                for d in v.type.tensor_type.shape.dim
            )
            for v in found
        ]
        if len(shapes) != 1 or not _fits(shapes[0], wanted):
            raise _unsafe(what, f"{name}s of shapes {shapes}", f"one of (N, {wanted})")
    tensors = [*graph.initializer, *(s.values for s in graph.sparse_initializer)]
    for node in graph.node:
        for a in node.attribute:
            tensors += [a.t, *a.tensors, a.sparse_tensor.values]
    held = sum(math.prod(t.dims) for t in tensors if t.data_type)
    held += sum(len(a.ints) + len(a.floats) for node in graph.node for a in node.attribute)
    counted: int = getattr(manifest, half).parameters
    if held > _EACH * counted + _BESIDE:
        raise _unsafe(
            what, f"it holds {held:,} numbers", f"about the manifest's {counted:,} parameters"
        )


def _fits(shape: tuple[int | None, ...], wanted: tuple[int | None, ...]) -> bool:
    """Whether a graph's shape (N, ...) is the wanted one; None: any size."""
    return len(shape) == 1 + len(wanted) and all(
        a is None or b is None or a == b for a, b in zip(shape[1:], wanted, strict=True)
    )


def _unsafe(what: str, found: str, expected: str) -> BundleError:
    return BundleError(
        f"{what}: {found}",
        expected=expected,
        do="do not use this bundle; export it again with rdedge export",
    )
