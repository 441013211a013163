"""Graphs that hold what they may not: each is named, at export and by check."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from rdedge.bundle.bundle import Bundle
from rdedge.engine.safety import OPERATORS, refuse_unsafe
from rdedge.errors import BundleError


def with_encoder(bundle: Bundle, model: onnx.ModelProto | bytes) -> Bundle:
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return Bundle.make(bundle.manifest, bundle.members | {"encoder.onnx": data})


@pytest.fixture
def model(bundle: Bundle) -> onnx.ModelProto:
    return onnx.load_from_string(bundle.members["encoder.onnx"])


def refused(bundle: Bundle, model: onnx.ModelProto | bytes) -> str:
    with pytest.raises(BundleError) as caught:
        refuse_unsafe(with_encoder(bundle, model))
    assert "encoder.onnx" in caught.value.what
    assert caught.value.do
    return caught.value.what


def test_what_export_makes_is_safe(bundle: Bundle) -> None:
    assert refuse_unsafe(bundle) is True
    assert refuse_unsafe(bundle.device_part()) is True


@pytest.mark.parametrize("operator", ["Loop", "If", "Scan", "RandomNormal", "Sin", "NonZero"])
def test_an_operator_that_is_not_allowed(bundle: Bundle, model, operator: str) -> None:
    assert operator not in OPERATORS
    model.graph.node[0].op_type = operator
    model.graph.node[0].name = "the node"
    # The checker may see it first; either way it is refused.
    refused(bundle, model)


def test_its_node_is_named(bundle: Bundle, model) -> None:
    model.graph.node.append(helper.make_node("Sin", ["x"], ["s"], "the_node"))
    assert "the operator 'Sin' at node 'the_node'" in refused(bundle, model)


def test_a_domain_of_its_own(bundle: Bundle, model) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    model.graph.node.append(
        helper.make_node("FusedGemm", ["x"], ["s"], "n", domain="com.microsoft")
    )
    assert "com.microsoft" in refused(bundle, model)


def test_functions_of_its_own(bundle: Bundle, model) -> None:
    node = helper.make_node("Relu", ["a"], ["b"])
    function = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [node], [helper.make_opsetid("", 18)]
    )
    model.functions.append(function)
    refused(bundle, model)


def test_data_in_another_file(bundle: Bundle, model) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    assert "in another file" in refused(bundle, model)


def test_another_opset(bundle: Bundle, model) -> None:
    model.opset_import[0].version = 19
    assert "opset [19]" in refused(bundle, model)


def test_sizes_that_are_not_the_manifests(bundle: Bundle, model) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 9
    assert "inputs of shapes" in refused(bundle, model)


def test_more_numbers_than_the_manifest_counts(bundle: Bundle, model) -> None:
    model.graph.initializer.append(
        onnx.numpy_helper.from_array(np.zeros(1_000_000, np.float32), "ballast")
    )
    assert "1,0" in refused(bundle, model)


@pytest.mark.parametrize("how", ["value", "value_floats"])
def test_constants_count_too(bundle: Bundle, model, how: str) -> None:
    numbers = np.zeros(1_000_000, np.float32)
    value = onnx.numpy_helper.from_array(numbers) if how == "value" else numbers.tolist()
    model.graph.node.insert(0, helper.make_node("Constant", [], ["ballast"], **{how: value}))
    assert "1,0" in refused(bundle, model)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x00" * 100, b"\xff" * 100])
def test_what_is_no_graph(bundle: Bundle, data: bytes) -> None:
    refused(bundle, data)


def test_a_graph_cut_short(bundle: Bundle) -> None:
    data = bundle.members["encoder.onnx"]
    for size in (1, 100, len(data) // 2, len(data) - 1):
        refused(bundle, data[:size])


def test_where_onnx_is_missing_only_other_files_are_seen(
    bundle: Bundle, model, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "onnx" else real(name, *a)
    )
    assert refuse_unsafe(bundle) is False
    model.graph.node[0].op_type = "Sin"
    assert refuse_unsafe(with_encoder(bundle, model)) is False
    test_data_in_another_file(bundle, onnx.load_from_string(bundle.members["encoder.onnx"]))


def test_a_manifest_that_counts_otherwise(bundle: Bundle) -> None:
    manifest = dataclasses.replace(bundle.manifest, opset=21)
    with pytest.raises(BundleError, match="opset"):
        refuse_unsafe(Bundle.make(manifest, bundle.members))
