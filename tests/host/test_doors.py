"""Bad settings, edited runs, foreign files at the doors of the host: typed errors, nothing lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch

from rdedge.errors import (
    BoundMissedError,
    ConfigError,
    OutputError,
    RdedgeError,
    ShapeError,
    SourceError,
    StoppedError,
    TrainingError,
    ValueRangeError,
)
from rdedge.host.export import export
from rdedge.host.train import resume, train


def vectors(count: int = 300, width: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 3)) @ rng.normal(size=(3, width)) * 5.0).astype(np.float32)


@pytest.fixture
def data(tmp_path: Path) -> str:
    np.save(tmp_path / "x.npy", vectors())
    return str(tmp_path / "x.npy")


@pytest.fixture
def finished(data: str, tmp_path: Path) -> Path:
    train(data, max_distortion=0.5, output=tmp_path / "run", epochs=2)
    return tmp_path / "run"


def test_a_folder_of_other_files_is_not_touched(data: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("history.csv", "model.safetensors", "scorecard.json"):
        (mine / name).write_text("precious")
    for force in (False, True):
        with pytest.raises(OutputError, match="no run"):
            train(data, max_distortion=0.5, output=mine, epochs=1, force=force)
    assert all(p.read_text() == "precious" for p in mine.iterdir())
    assert len(list(mine.iterdir())) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"device": "cuda:99"},
        {"device": "meta"},
        {"device": "mps"},
        {"device": None},
        {"seed": -1},
        {"seed": 1 << 70},
        {"batch": 0},
        {"batch": -4},
        {"epochs": 0},
        {"epochs": 2.5},
        {"minutes": float("nan")},
        {"minutes": 0},
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"width": float("nan")},
        {"width": 1e9},
        {"width": "wide"},
        {"latents": 0},
        {"latents": 6},
        {"latents": 2.5},
        {"held_out": 0},
        {"held_out": 5000},
        {"augment": "flip"},
        {"augment": "shift"},
        {"model": "transformer"},
        {"metric": "taste"},
        {"max_distortion": "4"},
        {"max_distortion": True},
        {"max_distortion": 1e-300},
        {"metric": "psnr", "max_distortion": 5000.0},
        {"metric": "mae", "max_distortion": 1e300},
        {"metric": "nrmse", "max_distortion": 1e200},
    ],
    ids=str,
)
def test_a_wrong_setting_costs_nothing(finished: Path, data: str, wrong: dict[str, Any]) -> None:
    """Said before anything on disk is touched, even where a run may be replaced."""
    before = {p.name: p.read_bytes() for p in finished.iterdir()}
    settings: dict[str, Any] = {"max_distortion": 0.5, "epochs": 1, **wrong}
    with pytest.raises((ConfigError, TrainingError)):
        train(data, output=finished, force=True, **settings)
    assert {p.name: p.read_bytes() for p in finished.iterdir()} == before


def test_an_array_is_not_the_name_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ndarray"):
        train(vectors(), max_distortion=1.0, output=tmp_path / "r")  # type: ignore[arg-type]


def test_held_out_files_are_looked_at_first(data: str, tmp_path: Path) -> None:
    def attempt(x: np.ndarray, **more: Any) -> None:
        np.save(tmp_path / "h.npy", x)
        train(
            data,
            max_distortion=0.5,
            output=tmp_path / "r",
            epochs=1,
            held_out_data=str(tmp_path / "h.npy"),
            **more,
        )

    bad = vectors(20)
    bad[3, 2] = np.nan
    with pytest.raises(ValueRangeError, match=r"h\.npy.*\(3, 2\)"):
        attempt(bad)
    with pytest.raises(TrainingError, match="1 held-out samples"):
        attempt(vectors(1))
    with pytest.raises(TrainingError, match="very samples"):
        attempt(vectors())
    with pytest.raises(ShapeError, match="held-out"):
        attempt(vectors(20, 4))
    with pytest.raises(ConfigError, match="one of --held-out"):
        attempt(vectors(20), held_out=10)
    assert not (tmp_path / "r").exists()


def test_data_that_float32_cannot_tell_apart(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", 1e9 + vectors().astype(np.float64))
    with pytest.raises(ValueRangeError, match="offset"):
        train(str(tmp_path / "x.npy"), max_distortion=0.05, output=tmp_path / "r")
    np.save(tmp_path / "x.npy", 1e39 * vectors().astype(np.float64))
    with pytest.raises(ValueRangeError, match="float32"):
        train(str(tmp_path / "x.npy"), max_distortion=1e70, output=tmp_path / "r")


@pytest.mark.parametrize("scale", [1e-20, 1e-12, 1e12, 1e17])
def test_units_far_from_one_train_all_the_same(tmp_path: Path, scale: float) -> None:
    np.save(tmp_path / "x.npy", (vectors() * scale).astype(np.float32))
    card = train(
        str(tmp_path / "x.npy"), max_distortion=0.1, metric="nrmse", output=tmp_path / "r", epochs=3
    )
    assert card["met"]
    assert card["distortion"] > 0.09


def test_more_elements_than_samples(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", (rng.normal(size=(90, 4)) @ rng.normal(size=(4, 3000))))
    with pytest.raises(ConfigError, match="latents"):
        train(str(tmp_path / "x.npy"), max_distortion=0.5, output=tmp_path / "r", latents=80)
    card = train(str(tmp_path / "x.npy"), max_distortion=0.5, output=tmp_path / "r", epochs=1)
    assert card["met"]


def test_a_missed_bound_is_not_exported_in_silence(data: str, tmp_path: Path) -> None:
    with pytest.raises(BoundMissedError):
        train(data, max_distortion=0.01, output=tmp_path / "r", latents=1, epochs=2)
    with pytest.raises(BoundMissedError, match="--allow-missed"):
        export(tmp_path / "r", tmp_path / "x.rdb")
    assert not (tmp_path / "x.rdb").exists()
    # A folder that is not there is found before the work.
    with pytest.raises(OutputError, match=r"cannot write .*is no folder"):
        export(tmp_path / "r", tmp_path / "missing" / "x.rdb", allow_missed=True)
    bundle = export(tmp_path / "r", tmp_path / "x.rdb", allow_missed=True)
    assert bundle.scorecard["training"]["met"] is False


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


RUN_EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no data": lambda v: v.pop("data"),
    "no model": lambda v: v.pop("model"),
    "no held_out_data": lambda v: v.pop("held_out_data"),
    "data is text": lambda v: v.update(data="x"),
    "bound": lambda v: v["bound"].update(value=0.001),
    "metric": lambda v: v["bound"].update(metric="psnr"),
    "split text": lambda v: v.update(split="abc"),
    "split overlaps": lambda v: v.update(split=[[0, 300], [0, 300], [0, 300]]),
    "split negative": lambda v: v.update(split=[[-5, 200], [200, 250], [250, 300]]),
    "latents": lambda v: v["model"].update(latents=10**13),
    "latents text": lambda v: v["model"].update(latents="x"),
    "scale": lambda v: v["scale"].update(extra=1),
    "peak": lambda v: v["scale"].update(peak=1e6),
    "hash": lambda v: v["data"].update(sha256="0" * 64),
}


@pytest.mark.parametrize("name", RUN_EDITS)
def test_an_edited_run_is_not_exported(finished: Path, tmp_path: Path, name: str) -> None:
    edit(finished / "run.json", RUN_EDITS[name])
    with pytest.raises(TrainingError):
        export(finished, tmp_path / "x.rdb")
    assert not (tmp_path / "x.rdb").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("step"),
        lambda v: v.update(step="x"),
        lambda v: v.update(step=100.0),
        lambda v: v.pop("model_sha256"),
        lambda v: v["bound"].update(value=9),
    ],
)
def test_an_edited_scorecard_is_not_exported(
    finished: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    edit(finished / "scorecard.json", change)
    with pytest.raises(TrainingError):
        export(finished, tmp_path / "x.rdb")


def test_other_weights_are_noticed(finished: Path, tmp_path: Path) -> None:
    path = finished / "model.safetensors"
    tensors = safetensors.torch.load(path.read_bytes())
    tensors["g_s.linear.weight"].zero_()
    path.write_bytes(safetensors.torch.save(tensors))
    with pytest.raises(TrainingError, match="scorecard"):
        export(finished, tmp_path / "x.rdb")


def stopped(data: str, folder: Path) -> None:
    calls = iter([False] * 12 + [True])
    with pytest.raises(StoppedError):
        train(data, max_distortion=0.5, output=folder, epochs=9, stop=lambda: next(calls))


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(epoch=1 + v["epoch"]),
        lambda v: v.update(epoch="x"),
        lambda v: v.update(extra=1),
        lambda v: v.update(finished=True),
        lambda v: v.update(log_multiplier=1e300),
        lambda v: v.update(seconds=-1e9),
        lambda v: v.pop("seconds") and v.update(log_multiplier=None),
    ],
)
def test_a_checkpoint_and_its_state_belong_together(
    data: str, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    stopped(data, tmp_path / "r")
    edit(tmp_path / "r" / "checkpoint.json", change)
    with pytest.raises(TrainingError):
        resume(tmp_path / "r")


def test_a_checkpoint_must_be_whole(data: str, tmp_path: Path) -> None:
    stopped(data, tmp_path / "r")
    path = tmp_path / "r" / "checkpoint.safetensors"
    tensors = safetensors.torch.load(path.read_bytes())
    with safetensors.safe_open(str(path), framework="pt") as file:
        metadata = file.metadata()
    for broken in (
        {k: v for k, v in tensors.items() if not k.startswith("best.")},
        {k: v for k, v in tensors.items() if not k.startswith("model.")},
        tensors | {"foreign.x": tensors["model.prior.mean"].clone()},
        tensors | {"adam.x": tensors["model.prior.mean"].clone()},
    ):
        path.write_bytes(safetensors.torch.save(broken, metadata=metadata))
        with pytest.raises(TrainingError):
            resume(tmp_path / "r")


def test_moved_data_is_found_where_told(data: str, tmp_path: Path) -> None:
    np.save(tmp_path / "h.npy", vectors()[:40] + np.float32(0.01))
    train(
        data,
        max_distortion=0.5,
        output=tmp_path / "r",
        epochs=2,
        held_out_data=str(tmp_path / "h.npy"),
    )
    (tmp_path / "x.npy").rename(tmp_path / "x2.npy")
    (tmp_path / "h.npy").rename(tmp_path / "h2.npy")
    with pytest.raises(TrainingError, match="--data"):
        export(tmp_path / "r", tmp_path / "x.rdb")
    with pytest.raises(TrainingError, match="--held-out-data"):
        export(tmp_path / "r", tmp_path / "x.rdb", data=str(tmp_path / "x2.npy"))
    with pytest.raises(TrainingError, match=r"h2\.npy is not what"):
        export(tmp_path / "r", tmp_path / "x.rdb", data=str(tmp_path / "h2.npy"))
    export(
        tmp_path / "r",
        tmp_path / "x.rdb",
        data=str(tmp_path / "x2.npy"),
        held_out_data=str(tmp_path / "h2.npy"),
    )


def test_every_failure_of_the_host_is_typed(tmp_path: Path) -> None:
    for name in ("", "nothing.npy", "folder", "\0"):
        (tmp_path / "folder").mkdir(exist_ok=True)
        with pytest.raises((RdedgeError, ValueError)):
            train(str(tmp_path / name) if name else name, max_distortion=1.0, output=tmp_path / "r")


def test_a_run_json_of_somebody_else_is_not_replaced(data: str, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "run.json").write_text('{"name": "other tool"}')
    (tmp_path / "r" / "model.safetensors").write_text("precious")
    with pytest.raises(OutputError, match="no run"):
        train(data, max_distortion=0.5, output=tmp_path / "r", epochs=1, force=True)
    assert (tmp_path / "r" / "model.safetensors").read_text() == "precious"


def test_a_run_that_cannot_be_removed_is_said(finished: Path, data: str) -> None:
    (finished / "scorecard.json").unlink()
    (finished / "scorecard.json").mkdir()
    with pytest.raises(OutputError, match=r"scorecard\.json"):
        train(data, max_distortion=0.5, output=finished, epochs=1, force=True)


def test_training_never_ends_worse_than_it_started(tmp_path: Path) -> None:
    """At a bound that networks in float32 only spoil, the linear start is what remains."""
    x = np.random.default_rng(0).normal(size=(600, 6)).astype(np.float32) * 1000
    np.save(tmp_path / "x.npy", x)
    card = train(str(tmp_path / "x.npy"), max_distortion=1e-2, output=tmp_path / "r", epochs=3)
    assert card["met"]
    assert card["kept"] == "start: mlp"
    export(tmp_path / "r", tmp_path / "x.rdb")


def test_an_index_without_a_name_is_no_feature(tmp_path: Path) -> None:
    rows = "\n".join(f"{i},{i % 7},{i % 5}" for i in range(100))
    (tmp_path / "x.csv").write_text(",a,b\n" + rows + "\n")
    with pytest.raises(SourceError, match="index"):
        train(str(tmp_path / "x.csv"), max_distortion=0.5, output=tmp_path / "r")
