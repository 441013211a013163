"""One half of a model -> a self-contained ONNX graph."""

from __future__ import annotations

import io
import logging
import warnings
from typing import Any

import torch
from torch import nn

from rdedge.errors import MissingError


def to_onnx(
    half: nn.Module,
    shape: tuple[int, ...],
    free: tuple[int, ...],
    input_name: str,
    output_name: str,
    opset: int,
) -> bytes:
    """One half as a self-contained ONNX graph with free axes; the same half, the same bytes.

    shape: of an example input, (batch, ...); free: which of its axes may have any size.
    """
    onnx = onnx_module()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The exporter warns of its own internals; what it made is checked below and by parity.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            half.eval(),
            (torch.zeros(shape),),
            dynamo=True,
            opset_version=opset,
            input_names=[input_name],
            output_names=[output_name],
            verbose=False,
            dynamic_shapes=(dict.fromkeys(free, torch.export.Dim.DYNAMIC),),
        )
    assert program is not None
    return saved(onnx.load_from_string(program.model_proto.SerializeToString()))


def onnx_module() -> Any:
    """The onnx package. Raises MissingError."""
    try:
        import onnx
        import onnxscript  # noqa: F401  torch.onnx needs it
    except ImportError as error:
        raise MissingError(
            f"{error.name} is not installed", do="pip install 'rdedge[export]'"
        ) from error
    return onnx


def saved(model: Any) -> bytes:
    """The bytes of an onnx.ModelProto, checked, without what tools note of where they ran."""
    onnx = onnx_module()
    _strip(model)
    onnx.checker.check_model(model, full_check=True)
    buffer = io.BytesIO()
    onnx.save_model(model, buffer)
    return buffer.getvalue()


def _strip(model: Any) -> None:
    """Remove what exporters note of the machine they ran on: paths, stack traces, versions."""
    model.doc_string = model.producer_version = ""
    model.producer_name = "rdedge"
    del model.metadata_props[:]
    for function in model.functions:
        function.doc_string = ""
    graph = model.graph
    graph.name, graph.doc_string = "rdedge", ""
    del graph.metadata_props[:]
    for item in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    used = {node.domain for node in graph.node}
    for unused in [o for o in model.opset_import if o.domain and o.domain not in used]:
        model.opset_import.remove(unused)
