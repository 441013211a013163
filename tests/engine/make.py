"""Small ONNX files, and a bundle around two of them that really run."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rdedge.bundle.bundle import Bundle
from rdedge.engine.part import Half, Part, Range
from tests.bundle import tiny

WEIGHTS = np.array([[1.0, -0.5], [0.25, 2.0], [-1.5, 0.75]], np.float32)


def model(
    nodes: list[Any],
    tensors: tuple[Any, ...] = (),
    takes: tuple[Any, ...] = ("N", 3),
    gives: tuple[Any, ...] = ("N", 2),
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, takes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, gives)],
        list(tensors),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def product(weights: np.ndarray = WEIGHTS) -> bytes:
    """y = x @ weights."""
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    found = model(
        [node],
        (numpy_helper.from_array(weights, "w"),),
        ("N", weights.shape[0]),
        ("N", weights.shape[1]),
    )
    return found.SerializeToString()


def unsupported() -> bytes:
    """Two operators that ONNX has and TensorRT lacks, one after the other."""
    nodes = [
        helper.make_node("StringNormalizer", ["x"], ["t"], name="spelled"),
        helper.make_node("Det", ["t"], ["y"], name="determined"),
    ]
    return model(nodes).SerializeToString()


def external(location: str) -> bytes:
    """A product whose weights lie in another file."""
    found = onnx.load_from_string(product())
    tensor = found.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return found.SerializeToString()


def part(graph: bytes | None = None, half: Half = "encoder", **changes: Any) -> Part:
    axes = changes.pop("axes", (Range(1, 1, 8),))
    return Part(half, "ab" * 32, product() if graph is None else graph, axes, **changes)


@cache
def bundle(profile: bytes = b'{"name":"cpu-host"}') -> Bundle:
    return Bundle.make(
        tiny.manifest(),
        tiny.members(
            **{
                "encoder.onnx": product(),
                "decoder.onnx": product(WEIGHTS.T.copy()),
                "profile.json": profile,
            }
        ),
    )
