"""Graphs in fp16 and int8: what changes in them, what it costs in bytes, what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from rdedge import canonical, resources
from rdedge.bundle.bundle import Bundle
from rdedge.bundle.recipe import Calibration, LayerException
from rdedge.cli.group import run
from rdedge.codec import Decoder, Encoder
from rdedge.engine.onnx_runtime import OnnxRuntimeRunner
from rdedge.errors import ConfigError, ParityError
from rdedge.flows.check import check
from rdedge.host.export import Draft, export
from rdedge.host.graphs import to_onnx
from rdedge.host.lower import lower
from rdedge.host.models.image import ImageConfig, ImageModel
from rdedge.host.models.linear import LinearConfig, LinearSeries
from rdedge.host.precision import PRODUCTS, convert, int8_share

PRECISIONS = ("fp16", "int8")


def run_graph(graph: bytes, x: np.ndarray) -> np.ndarray:
    return OnnxRuntimeRunner(graph, "graph", backend="ort-cpu").run(x)


def products(graph: bytes) -> list[onnx.NodeProto]:
    return [n for n in onnx.load_from_string(graph).graph.node if n.op_type in PRODUCTS]


def mine(folder: Path, name: str, *edits: tuple[str, str]) -> str:
    text = (resources.find("export") / f"{name}.toml").read_text("utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return str(path)


@pytest.fixture(scope="module", params=PRECISIONS)
def lowered(request, run_folder, tmp_path_factory) -> Bundle:
    path = tmp_path_factory.mktemp("lower") / "x.rdb"
    export(run_folder, path, recipe=request.param)
    return Bundle.read(path)


def test_it_is_judged_by_bytes_at_equal_distortion(lowered: Bundle, bundle: Bundle) -> None:
    facts, after = lowered.scorecard["precision"], lowered.scorecard["export"]
    before = facts["fp32"]
    assert before["packet_bytes"] == bundle.scorecard["export"]["packet_bytes"]
    assert after["packet_bytes"] <= 1.03 * before["packet_bytes"]
    assert after["distortion"]["value"] == pytest.approx(before["distortion"]["value"], rel=5e-3)
    assert after["distortion"]["value"] <= before["distortion"]["value"]
    assert lowered.manifest.precision == facts["encoder"]
    assert lowered.members["decoder.onnx"] == bundle.members["decoder.onnx"]
    # Other tables and another step: another codec.
    assert lowered.manifest.identity != bundle.manifest.identity
    assert len(lowered.members["encoder.onnx"]) < len(bundle.members["encoder.onnx"])
    assert check(lowered).fine


def test_the_tables_are_fitted_to_the_encoder_that_runs(
    lowered: Bundle, held_out: np.ndarray
) -> None:
    packet = Encoder(lowered).encode(held_out)
    assert len(packet) == lowered.scorecard["export"]["packet_bytes"]
    error = np.square(Decoder(lowered).decode(packet).astype(float) - held_out).mean()
    assert error == pytest.approx(lowered.scorecard["export"]["distortion"]["value"])


def test_products_are_what_changes(lowered: Bundle) -> None:
    model = onnx.load_from_string(lowered.members["encoder.onnx"])
    onnx.checker.check_model(model, full_check=True)
    assert [o.domain for o in model.opset_import] == [""]
    types = {
        v.name: v.type.tensor_type.elem_type
        for v in (*onnx.shape_inference.infer_shapes(model).graph.value_info,)
    } | {t.name: t.data_type for t in model.graph.initializer}
    ends = (*model.graph.input, *model.graph.output)
    assert {v.type.tensor_type.elem_type for v in ends} == {onnx.TensorProto.FLOAT}
    by_output = {name: node for node in model.graph.node for name in node.output}
    for node in products(lowered.members["encoder.onnx"]):
        for factor in node.input[:2]:
            if lowered.manifest.precision == "fp16":
                assert types[factor] == onnx.TensorProto.FLOAT16
            else:
                assert by_output[factor].op_type == "DequantizeLinear"
    if lowered.manifest.precision == "int8":
        pairs = [n for n in model.graph.node if n.op_type.endswith("quantizeLinear")]
        pairs += [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
        values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        assert pairs
        for node in pairs:
            zero = values[node.input[2]]
            assert zero.dtype == np.int8
            assert not zero.any(), "symmetric, as TensorRT wants it"
        weights = [values[n.input[1]] for n in pairs if n.input[0] in values]
        assert all(scale.ndim == 1 and scale.size > 1 for scale in weights), "per channel"
        assert lowered.scorecard["precision"]["int8_macs"] == 1.0


def test_layers_that_are_excepted_stay(run_folder: Path, tmp_path: Path) -> None:
    rule = '\n[[exceptions]]\nnodes = "node_linear_2"\nhalf = "encoder"\nprecision = "fp32"\n'
    recipe = mine(tmp_path, "int8", ("[reference]", rule + "\n[reference]"))
    with pytest.raises(ParityError, match="% of the encoder's multiply-adds are int8") as caught:
        export(run_folder, tmp_path / "x.rdb", recipe=recipe)
    assert "at least 90 %" in caught.value.expected
    assert not (tmp_path / "x.rdb").exists()
    recipe = mine(
        tmp_path,
        "int8",
        ("[reference]", rule + "\n[reference]"),
        ("min_int8_macs = 0.9", "min_int8_macs = 0.5"),
    )
    bundle = export(run_folder, tmp_path / "x.rdb", recipe=recipe)
    macs = bundle.manifest.encoder.macs
    hidden = next(n for n in products(bundle.members["encoder.onnx"]) if n.name == "node_linear_2")
    weight = next(
        t
        for t in onnx.load_from_string(bundle.members["encoder.onnx"]).graph.initializer
        if t.name == hidden.input[1]
    )
    assert weight.data_type == onnx.TensorProto.FLOAT
    share = bundle.scorecard["precision"]["int8_macs"]
    assert share == pytest.approx(1.0 - np.prod(weight.dims) / macs)


def test_an_exception_that_names_nothing_names_what_there_is(
    run_folder: Path, tmp_path: Path
) -> None:
    rule = '[[exceptions]]\nnodes = "conv*"\n\n[reference]'
    with pytest.raises(ConfigError, match=r"'conv\*' names no layer") as caught:
        export(
            run_folder,
            tmp_path / "x.rdb",
            recipe=mine(tmp_path, "int8", ("[reference]", rule)),
        )
    assert "node_linear" in caught.value.expected


def test_bytes_beyond_the_recipe_are_refused(run_folder: Path, tmp_path: Path) -> None:
    """One sample calibrates badly, and ranges that cut a tenth of all values cost bytes."""
    recipe = mine(
        tmp_path,
        "int8",
        ('method = "minmax" ', 'method = "percentile" '),
        ("percentile = 99.999", "percentile = 90.0"),
        ("max_extra_bytes = 0.03", "max_extra_bytes = 0.0"),
    )
    with pytest.raises(ParityError, match=r"more bytes at equal|at no quantiser step"):
        export(run_folder, tmp_path / "x.rdb", recipe=recipe)
    assert not (tmp_path / "x.rdb").exists()


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_other_methods_of_calibration(run_folder: Path, tmp_path: Path, method: str, capfd) -> None:
    recipe = mine(tmp_path, "int8", ('method = "minmax" ', f'method = "{method}" '))
    bundle = export(run_folder, tmp_path / "x.rdb", recipe=recipe)
    assert bundle.recipe["calibration"]["method"] == method
    assert bundle.scorecard["precision"]["int8_macs"] == 1.0
    assert capfd.readouterr() == ("", ""), "the quantiser's own progress is not shown"


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
def test_batches_of_any_shape_calibrate(method: str) -> None:
    """The last batch is smaller than the others, and images have sizes of their own."""
    model = ImageModel(ImageConfig((32, 32, 1), 4, 8, 0, 16, 0, 16))
    graph = to_onnx(model.g_a, (2, 24, 32, 1), (0, 1, 2), "a", "b", 18)
    rng = np.random.default_rng(0)
    batches = [
        rng.normal(size=(*shape, 1)).astype(np.float32) for shape in ((4, 24, 32), (1, 32, 8))
    ]
    low = convert(graph, "int8", batches, Calibration(method))
    assert int8_share(low, batches[0]) == 1.0
    # In two batches as in one: all that occurs.
    if method == "minmax":
        same = [batches[0][:3], batches[0][3:]]
        assert convert(graph, "int8", same, Calibration()) == convert(
            graph, "int8", batches[:1], Calibration()
        )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_without_a_product_there_is_nothing_to_convert(precision: str) -> None:
    """All channels on their lattice: whole numbers less a level, no transform."""
    x = np.arange(4 * 16 * 2, dtype=np.float32).reshape(4, 16, 2) % 5
    model = LinearSeries(LinearConfig((16, 2), (0, 1), False))
    model.start(x, np.ones(2), {0: (1.0, 0.0), 1: (1.0, 0.0)})
    graph = to_onnx(model.g_a, (4, 16, 2), (0,), "x", "y", 18)
    assert not products(graph)
    assert convert(graph, precision, [x], Calibration()) == graph
    assert int8_share(graph, x) == 1.0


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_series_on_lattices_stays_fp32(tmp_path: Path, precision: str, capsys) -> None:
    rng = np.random.default_rng(0)
    rows = np.c_[np.arange(2000), np.cumsum(rng.integers(-1, 2, 2000)) % 7]
    np.savetxt(tmp_path / "x.csv", rows, delimiter=",", header="time,a", comments="", fmt="%d")
    options = ["--metric", "nrmse", "--max-distortion", "0.001", "--model", "linear"]
    base = [str(tmp_path / "x.csv"), *options, "--window", "32", "-o", str(tmp_path / "run")]
    assert run(["train", *base]) == 0
    out = str(tmp_path / "x.rdb")
    assert run(["export", str(tmp_path / "run"), "--recipe", precision, "-o", out]) == 0
    assert f"no layer to convert to {precision}" in capsys.readouterr().out
    bundle = Bundle.read(Path(out))
    assert bundle.manifest.precision == "fp32"
    assert bundle.recipe["graph"]["precision"] == precision
    assert check(bundle).fine


@pytest.mark.parametrize("value", [None, 0.0])
def test_what_is_exact_leaves_no_room(
    bundle: Bundle, run_folder: Path, value: float | None
) -> None:
    draft = Draft.of(run_folder, recipe="int8")
    card = bundle.scorecard
    exact = card["export"] | {"distortion": {"metric": "mse", "value": value}}
    members = bundle.members | {"scorecard.json": canonical.dumps(card | {"export": exact})}
    plain = Bundle.make(bundle.manifest, members)
    with pytest.raises(ParityError, match="exactly, which leaves no room for the int8 encoder"):
        lower(plain, draft.recipe, draft.basis.parts, Bundle.make, lambda made: None)


def test_an_exception_of_the_half_in_fp32_is_read_too(run_folder: Path, tmp_path: Path) -> None:
    rule = '[[exceptions]]\nnodes = "conv*"\nhalf = "decoder"\n\n[reference]'
    recipe = mine(tmp_path, "int8", ("[reference]", rule))
    with pytest.raises(ConfigError, match=r"'conv\*' names no layer of the decoder"):
        export(run_folder, tmp_path / "x.rdb", recipe=recipe)


def test_a_recipe_without_a_name_is_none(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no recipe is called ''"):
        export(run_folder, tmp_path / "x.rdb", recipe="")


def test_a_precision_that_the_profile_lacks(run_folder: Path, tmp_path: Path) -> None:
    text = (resources.find("devices") / "cpu-host.toml").read_text("utf-8")
    path = tmp_path / "plain.toml"
    path.write_text(text.replace('"fp32", "fp16", "int8"', '"fp32"'), "utf-8")
    with pytest.raises(ConfigError, match="precision 'int8' for cpu-host") as caught:
        export(run_folder, tmp_path / "x.rdb", target=str(path), recipe="int8")
    assert caught.value.expected == "what it runs: fp32"


def test_a_jetson_gets_fp16(run_folder: Path, tmp_path: Path) -> None:
    bundle = export(run_folder, tmp_path / "x.rdb", target="orin-nx-8gb")
    assert bundle.manifest.precision == "fp16"
    assert bundle.recipe["graph"]["precision"] == "fp16"
    assert bundle.profile["name"] == "orin-nx-8gb"


@pytest.mark.parametrize("precision", PRECISIONS)
def test_levels_far_from_those_of_training_survive(precision: str) -> None:
    """What fp16 cannot hold and int8 was not calibrated for: a level of 100,000 steps."""
    rng = np.random.default_rng(0)
    x = rng.normal(0.0, 3.0, (64, 16, 3)).astype(np.float32)
    model = LinearSeries(LinearConfig((16, 3), (), True))
    model.start(x, np.ones(3), {})
    graph = to_onnx(model.g_a, (4, 16, 3), (0,), "x", "y", 18)
    low = convert(graph, precision, [x], Calibration())
    y = run_graph(low, x + np.float32(100_000.0))
    exact = run_graph(graph, x + np.float32(100_000.0))
    assert np.abs(y - exact).max() < 0.5


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_both_halves_of_an_image_model(precision: str, half: str) -> None:
    torch.manual_seed(0)
    model = ImageModel(ImageConfig((32, 32, 3), 8, 8, 1, 16, 1, 16))
    net, shape = (model.g_a, (2, 24, 32, 3)) if half == "encoder" else (model.g_s, (2, 3, 4, 8))
    graph = to_onnx(net, shape, (0, 1, 2), "a", "b", 18)
    x = np.random.default_rng(0).normal(size=(3, *shape[1:])).astype(np.float32)
    low = convert(graph, precision, [x], Calibration())
    exact, found = run_graph(graph, x), run_graph(low, x)
    assert found.shape == exact.shape
    assert 0 < np.abs(found - exact).max() < 0.05 * np.abs(exact).max()
    assert int8_share(low, x[:1]) == (precision == "int8")
    config = model.config
    of_graph = sum(_macs_by_hand(graph, x[:1]).values())
    patches = 12
    one = (config.encoder_macs if half == "encoder" else config.decoder_macs) / 16
    assert of_graph == patches * one, "the multiply-adds of the graph are those of the manifest"


def _macs_by_hand(graph: bytes, x: np.ndarray) -> Counter[str]:
    from rdedge.host.precision import _macs, _shapes

    model = onnx.load_from_string(graph)
    sizes = _shapes(model, x)
    return Counter({n.name: _macs(n, sizes) for n in products(graph)})


def test_an_exception_is_only_for_its_half() -> None:
    with pytest.raises(ConfigError, match="half 'middle'"):
        LayerException("node*", "middle")
    with pytest.raises(ConfigError, match="precision 'fp64'"):
        LayerException("node*", "encoder", "fp64")
    with pytest.raises(ConfigError, match="nodes is empty"):
        LayerException(" ")


def test_engines_are_built_for_the_shapes_of_the_recipe(run_folder: Path, tmp_path: Path) -> None:
    from rdedge.engine.part import Range, default_shapes

    recipe = mine(tmp_path, "default", ("[reference]", "[shapes]\nbatch = [2, 4, 8]\n[reference]"))
    bundle = export(run_folder, tmp_path / "x.rdb", recipe=recipe)
    assert default_shapes(bundle).batch == Range(2, 4, 8)
    text = Path(recipe).read_text("utf-8").replace("batch =", "height =")
    Path(recipe).write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="height or width to samples of kind vector"):
        export(run_folder, tmp_path / "y.rdb", recipe=recipe)
    for wrong in ("[4, 2, 8]", "[0, 1, 2]", "[1, 2]", "[1, 2, 2000000]"):
        Path(recipe).write_text(text.replace("[2, 4, 8]", wrong), "utf-8")
        with pytest.raises(ConfigError, match="height is"):
            export(run_folder, tmp_path / "y.rdb", recipe=recipe)
