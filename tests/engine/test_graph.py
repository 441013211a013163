from __future__ import annotations

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from rdedge.engine.graph import precision_of, refuse_external
from rdedge.errors import BundleError
from tests.engine import make


def nested(location: int) -> bytes:
    """A product inside both branches of an If, its weights perhaps in another file."""

    def branch(name: str) -> onnx.GraphProto:
        weights = numpy_helper.from_array(make.WEIGHTS, name)
        weights.data_location = location
        constant = helper.make_node("Constant", [], [name + "c"], value=weights)
        return helper.make_graph(
            [constant, helper.make_node("MatMul", ["x", name + "c"], ["y" + name])],
            name,
            [],
            [helper.make_tensor_value_info("y" + name, TensorProto.FLOAT, ("N", 2))],
        )

    node = helper.make_node("If", ["c"], ["y"], then_branch=branch("a"), else_branch=branch("b"))
    condition = helper.make_tensor("c", TensorProto.BOOL, (), [True])
    return make.model([node], (condition,)).SerializeToString()


def test_a_graph_that_holds_all_is_let_through():
    refuse_external(make.product(), "it")
    refuse_external(nested(0), "it")


@pytest.mark.parametrize("location", ["w.bin", "/etc/passwd", "../w.bin", ""])
def test_external_data_is_refused_wherever_it_is_said_to_lie(location):
    with pytest.raises(BundleError, match=r"it keeps the tensor 'w' in another file"):
        refuse_external(make.external(location), "it")


def test_external_data_is_found_inside_of_nodes():
    with pytest.raises(BundleError, match=r"'[ab]' and 1 more in another file"):
        refuse_external(nested(1), "it")


def test_external_data_is_found_in_functions_and_sparse_tensors():
    model = onnx.load_from_string(make.product())
    function = model.functions.add()
    attribute = function.node.add().attribute.add()
    attribute.t.name, attribute.t.data_location = "f", TensorProto.EXTERNAL
    with pytest.raises(BundleError, match="'f' in another file"):
        refuse_external(model.SerializeToString(), "it")
    model = onnx.load_from_string(make.product())
    sparse = model.graph.sparse_initializer.add()
    sparse.values.name, sparse.values.data_location = "s", TensorProto.EXTERNAL
    with pytest.raises(BundleError, match="'s' in another file"):
        refuse_external(model.SerializeToString(), "it")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x07", "number 0|wire type"),
        (b"\x3a\xff", "cut short"),
        (b"\x3a\x05\x0a", "cut short"),
        (b"\x38\x01", "field 7 of a model is a number"),
        (b"\x3b", "wire type 3"),
        (b"\x80" * 12, "more than 64 bits"),
        (b"\x02\x00", "number 0"),
        (b"\x09\x00", "cut short"),
    ],
)
def test_what_is_no_message_is_refused(data, why):
    with pytest.raises(BundleError, match=rf"no ONNX file: .*({why})"):
        refuse_external(data, "it")


def field(tag: int, data: bytes) -> bytes:
    """A field of bytes, its length as a varint."""
    size, found = len(data), bytearray([tag])
    while size > 127:
        found.append(size & 127 | 128)
        size >>= 7
    return bytes([*found, size]) + data


def test_depth_is_limited():
    graph = b""
    for _ in range(80):  # the node of a graph has an attribute that is a graph
        graph = field(0x0A, field(0x2A, field(0x32, graph)))
    with pytest.raises(BundleError, match="nested more than 64 deep"):
        refuse_external(field(0x3A, graph), "it")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_are_let_through_or_refused(data, at):
    graph = make.product()
    for some in (data, graph[:at] + data + graph[at:]):
        try:
            refuse_external(some, "it")
        except BundleError:
            continue


def test_what_a_graph_computes_in():
    assert precision_of(make.product(), "it") == "fp32"
    assert precision_of(make.product(make.WEIGHTS.astype("float16")), "it") == "fp16"
    scale = helper.make_tensor("s", TensorProto.FLOAT, (), [0.5])
    quantised = make.model([helper.make_node("QuantizeLinear", ["x", "s"], ["y"])], (scale,))
    assert precision_of(quantised.SerializeToString(), "it") == "int8"
