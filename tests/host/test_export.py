from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from rdedge.bundle.bundle import Bundle
from rdedge.cli.group import run
from rdedge.codec import Encoder
from rdedge.errors import ConfigError, OutputError, ParityError, TrainingError
from rdedge.host.export import export


def test_the_same_run_gives_the_same_bytes(
    run_folder: Path, bundle_path: Path, tmp_path: Path
) -> None:
    export(run_folder, tmp_path / "again.rdb")
    assert (tmp_path / "again.rdb").read_bytes() == bundle_path.read_bytes()


def test_the_graphs_are_plain_and_self_contained(bundle: Bundle) -> None:
    for name in ("encoder.onnx", "decoder.onnx"):
        data = bundle.members[name]
        model = onnx.load_from_string(data)
        onnx.checker.check_model(model, full_check=True)
        assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
        assert bundle.manifest.opset == 18
        assert not model.functions
        assert all(t.data_location == onnx.TensorProto.DEFAULT for t in model.graph.initializer)
        assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
        assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}


def test_no_trace_of_the_machine_is_left(bundle_path: Path, run_folder: Path) -> None:
    data = bundle_path.read_bytes()
    for trace in (b".py", b"site-packages", str(Path.home()).encode(), str(run_folder).encode()):
        assert trace not in data


def test_the_manifest_counts_what_the_graphs_hold(bundle: Bundle) -> None:
    model = onnx.load_from_string(bundle.members["encoder.onnx"])
    floats = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
    held = sum(int(np.prod(t.dims)) for t in floats)
    assert held == bundle.manifest.encoder.parameters


def test_parity_is_measured(bundle: Bundle) -> None:
    parity = bundle.scorecard["parity"]
    assert parity["samples"] == 397
    assert parity["backends"][0] == "torch"
    assert 0 <= parity["max_latent_difference"] < 0.01
    assert 0 <= parity["max_symbol_share"] < 0.001


def test_parity_sees_a_difference(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ONNX encoder that is off by a hundredth of a latent must not leave the house."""
    import rdedge.host.proof as module

    real = module.analyse

    def off(*arguments: Any) -> list[np.ndarray]:
        return [y * np.float32(1.05) for y in real(*arguments)]

    monkeypatch.setattr(module, "analyse", off)
    with pytest.raises(ParityError, match="latent_difference"):
        export(run_folder, tmp_path / "x.rdb")
    assert not list(tmp_path.iterdir()), "nothing is left half-written"


def test_reference_vectors_are_redone(bundle: Bundle) -> None:
    reference = bundle.reference
    encoder = Encoder(bundle)
    assert np.array_equal(encoder.symbols(reference.inputs), reference.symbols)
    assert encoder.encode(reference.inputs) == reference.packet


def test_a_recipe_of_ones_own(run_folder: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        '[graph]\nopset = 20\nprecision = "fp32"\n[reference]\nsamples = 3\n[parity]\n'
        "max_latent_difference = 0.01\nmax_symbol_share = 0.01\nmax_output_difference = 0.01\n"
    )
    bundle = export(run_folder, tmp_path / "x.rdb", recipe=str(recipe))
    assert bundle.manifest.opset == 20
    assert len(bundle.reference.inputs) == 3
    recipe.write_text(recipe.read_text().replace("opset", "opsets"))
    with pytest.raises(ConfigError, match="'opset', perhaps"):
        export(run_folder, tmp_path / "y.rdb", recipe=str(recipe))


def test_wrong_targets_and_places_are_said(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cpu-host"):
        export(run_folder, tmp_path / "x.rdb", target="toaster")
    with pytest.raises(TrainingError, match=r"run\.json|scorecard\.json"):
        export(tmp_path, tmp_path / "x.rdb")
    (tmp_path / "x.rdb").write_bytes(b"mine")
    with pytest.raises(OutputError, match="--force"):
        export(run_folder, tmp_path / "x.rdb")
    assert (tmp_path / "x.rdb").read_bytes() == b"mine"


def test_an_unfinished_run_is_refused(run_folder: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    shutil.copytree(run_folder, half)
    (half / "scorecard.json").unlink()
    with pytest.raises(TrainingError, match="--resume"):
        export(half, tmp_path / "x.rdb")


def test_a_run_of_digits_may_be_called_digits(
    run_folder: Path, bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rdedge train digits -o digits`: the folder must not be taken for the data."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run_folder, tmp_path / "digits")
    export("digits", tmp_path / "x.rdb")
    assert (tmp_path / "x.rdb").read_bytes() == bundle_path.read_bytes()


def test_a_key_that_cannot_be_read_is_said_before_the_work(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rdedge.host.export.Draft.of", pytest.fail)
    with pytest.raises(ConfigError, match="cannot read the key"):
        export(run_folder, tmp_path / "x.rdb", sign=tmp_path / "none.pem")


def test_a_bundle_that_is_there_survives_what_fails(run_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(b"yesterday's")
    with pytest.raises(ConfigError):
        export(run_folder, path, recipe="none", force=True)
    assert path.read_bytes() == b"yesterday's"
    assert [p.name for p in tmp_path.iterdir()] == ["x.rdb"]


def test_the_device_part_says_what_the_server_needs(run_folder: Path, tmp_path: Path, capsys):
    base = ["export", str(run_folder), "--target", "orin-nx-8gb"]
    assert run([*base, "--device-only", "-o", str(tmp_path / "d.rdb")]) == 0
    assert "for the server export once more" in capsys.readouterr().out
    assert run([*base, "-o", str(tmp_path / "s.rdb")]) == 0
    part, whole = (Bundle.read(tmp_path / f"{name}.rdb") for name in "ds")
    assert part.manifest.identity == whole.manifest.identity


def test_a_bundle_is_no_run(bundle_path: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"has no run\.json"):
        export(bundle_path, tmp_path / "x.rdb")
