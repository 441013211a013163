from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rdedge import metrics
from rdedge.errors import (
    BoundMissedError,
    ConfigError,
    OutputError,
    ShapeError,
    SourceError,
    StoppedError,
    TrainingError,
    ValueRangeError,
)
from rdedge.host.datasets import Parts
from rdedge.host.models.mlp import Mlp, auto_config, start_from_klt
from rdedge.host.options import TrainingOptions
from rdedge.host.runs import RunFolder
from rdedge.host.splits import Split
from rdedge.host.train import resume, train
from rdedge.host.training import Trainer
from rdedge.types import Bound, SampleSpec


def vectors(count: int = 400, width: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 3)) @ rng.normal(size=(3, width)) * 5.0).astype(np.float32)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.npy"
    np.save(path, vectors())
    return path


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_a_run_meets_its_bound_and_says_what_it_was_made_from(run_folder: Path) -> None:
    card = json.loads((run_folder / "scorecard.json").read_text())
    assert card["met"]
    assert card["distortion"] <= 4.0
    assert card["distortion"] > 3.9, "the step is fitted until the bound is just met"
    assert card["bits_per_element"]["kind"] == "actual"
    assert len(card["distortion_cross_fitted"]) == 2
    run = json.loads((run_folder / "run.json").read_text())
    assert run["data"]["path"] == "digits"
    assert len(run["data"]["sha256"]) == 64
    assert run["options"]["seed"] == 0
    assert run["machine"]["torch"] == torch.__version__
    lines = (run_folder / "history.csv").read_text().splitlines()
    assert lines[0] == "epoch,epochs,rate,distortion,multiplier,remaining_s"
    assert len(lines) >= 10


@pytest.mark.parametrize(
    ("metric", "value"),
    [("mse", 0.5), ("psnr", 35.0), ("mae", 0.4), ("max-abs", 1.5), ("nrmse", 0.1)],
)
def test_every_metric_is_met(data: Path, tmp_path: Path, metric: str, value: float) -> None:
    card = train(str(data), max_distortion=value, metric=metric, output=tmp_path / "r", epochs=6)
    bound = Bound(metric, value)
    assert bound.met_by(card["distortion"])
    assert abs(card["distortion"] / value - 1.0) < 0.05, "met, and not by wasting bits"


def test_the_same_seed_gives_the_same_weights(data: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(str(data), max_distortion=0.5, output=tmp_path / name, epochs=3, seed=seed)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


def test_a_stopped_run_resumes_to_the_same_end(data: Path, tmp_path: Path) -> None:
    train(str(data), max_distortion=0.5, output=tmp_path / "whole", epochs=6)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == 15

    with pytest.raises(StoppedError, match="--resume"):
        train(str(data), max_distortion=0.5, output=tmp_path / "cut", epochs=6, stop=stop)
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    card = resume(tmp_path / "cut")
    assert card["met"]
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    history = (tmp_path / "cut" / "history.csv").read_text().splitlines()
    assert len(history) == len((tmp_path / "whole" / "history.csv").read_text().splitlines())


def test_control_c_leaves_a_checkpoint_and_exits_1(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "rdedge",
        "train",
        "digits",
        "--max-distortion",
        "4",
        "-o",
        str(run),
        "--epochs",
        "100000",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    limit = time.monotonic() + 120
    while not (run / "checkpoint.json").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "--resume" in errors
    assert "Traceback" not in errors
    assert not [p for p in run.iterdir() if p.suffix == ".part"]
    state = json.loads((run / "checkpoint.json").read_text())
    asked: list[bool] = []
    with pytest.raises(StoppedError, match=f"epoch {state['epoch'] + 1} of"):
        resume(run, stop=lambda: asked.append(True) or True)


def test_a_missed_bound_is_said_and_the_run_kept(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BoundMissedError, match="not met on held-out data"):
        train(str(data), max_distortion=0.01, output=tmp_path / "r", latents=1, epochs=3)
    card = json.loads((tmp_path / "r" / "scorecard.json").read_text())
    assert not card["met"]
    assert (tmp_path / "r" / "model.safetensors").exists()


def test_held_out_data_of_its_own(data: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", a=vectors()[:50], b=vectors()[:60])
    with pytest.raises(SourceError, match="--key"):
        train(
            str(data),
            max_distortion=0.5,
            output=tmp_path / "r",
            epochs=2,
            held_out_data=str(tmp_path / "other.npz"),
        )
    card = train(
        str(data),
        max_distortion=0.5,
        output=tmp_path / "r",
        epochs=2,
        held_out_data=str(tmp_path / "other.npz"),
        held_out_key="b",
    )
    assert card["samples"] == 60
    np.save(tmp_path / "wrong.npy", vectors(50, 7))
    with pytest.raises(ShapeError, match="held-out"):
        train(
            str(data),
            max_distortion=0.5,
            output=tmp_path / "s",
            epochs=2,
            held_out_data=str(tmp_path / "wrong.npy"),
        )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named(tmp_path: Path, bad: float) -> None:
    x = vectors()
    x[17, 3] = bad
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(ValueRangeError, match=r"\(17, 3\)"):
        train(str(tmp_path / "x.npy"), max_distortion=1.0, output=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_too_few_samples_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", vectors(20))
    with pytest.raises(TrainingError, match="20 samples"):
        train(str(tmp_path / "x.npy"), max_distortion=1.0, output=tmp_path / "r")


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_bound_must_be_one(data: Path, tmp_path: Path, value: float) -> None:
    with pytest.raises(ConfigError, match="bound"):
        train(str(data), max_distortion=value, output=tmp_path / "r")


def test_a_run_is_not_replaced_by_accident(data: Path, tmp_path: Path) -> None:
    train(str(data), max_distortion=0.5, output=tmp_path / "r", epochs=1)
    with pytest.raises(OutputError, match="--force"):
        train(str(data), max_distortion=0.5, output=tmp_path / "r", epochs=1)
    train(str(data), max_distortion=0.5, output=tmp_path / "r", epochs=1, force=True)


def test_changed_data_is_noticed(data: Path, tmp_path: Path) -> None:
    calls = iter([False] * 12 + [True])
    with pytest.raises(StoppedError):
        train(
            str(data), max_distortion=0.5, output=tmp_path / "r", epochs=9, stop=lambda: next(calls)
        )
    np.save(data, vectors(seed=5))
    with pytest.raises(TrainingError, match="not what the run was made from"):
        resume(tmp_path / "r")


def test_damaged_runs_are_typed_errors(data: Path, tmp_path: Path) -> None:
    calls = iter([False] * 12 + [True])
    with pytest.raises(StoppedError):
        train(
            str(data), max_distortion=0.5, output=tmp_path / "r", epochs=9, stop=lambda: next(calls)
        )
    checkpoint = tmp_path / "r" / "checkpoint.safetensors"
    whole = checkpoint.read_bytes()
    for cut in (0, 7, 100, len(whole) - 1):
        checkpoint.write_bytes(whole[:cut])
        with pytest.raises(TrainingError, match="damaged"):
            resume(tmp_path / "r")
    with pytest.raises(TrainingError, match=r"run\.json"):
        resume(tmp_path / "nothing")


def trainer(bound: Bound) -> Trainer:
    x = vectors()
    model = Mlp(auto_config(x, 0.5, latents=None, width=1.0))
    start_from_klt(model, x, 0.5)
    spec = SampleSpec("vector", x.shape[1:], str(x.dtype))
    parts = Parts(spec, [x], [x[:50]], [x[50:60]])
    start = copy.deepcopy(model)
    options = TrainingOptions(epochs=2)
    return Trainer(model, start, parts, bound, metrics.Scale.of(x), options)


@pytest.mark.parametrize(
    ("metric", "value", "worse", "better"),
    [("mse", 0.5, 0.7, 0.3), ("psnr", 30.0, 28.0, 33.0), ("nrmse", 0.1, 0.2, 0.05)],
)
def test_the_multiplier_rises_while_the_bound_is_missed(
    metric: str, value: float, worse: float, better: float
) -> None:
    t = trainer(Bound(metric, value))
    before = t.state.log_multiplier
    t.dual.ascend(t.state, worse)
    assert t.state.log_multiplier > before
    t.dual.ascend(t.state, better)
    t.dual.ascend(t.state, better)
    assert t.state.log_multiplier < before + 0.2
    between = t.state.log_multiplier
    t.dual.ascend(t.state, value)
    assert t.state.log_multiplier == pytest.approx(between)


def test_divergence_is_caught() -> None:
    t = trainer(Bound("mse", 0.5))
    with torch.no_grad():
        t.model.g_s.linear.weight[0, 0] = float("nan")
    with pytest.raises(TrainingError, match="loss is nan"):
        t.run()


def test_splits_keep_the_order() -> None:
    split = Split.of(1797, 397)
    assert (split.train.start, split.held_out.stop) == (0, 1797)
    assert split.train.stop == split.validation.start
    assert split.validation.stop == split.held_out.start == 1400
    with pytest.raises(TrainingError):
        Split.of(1797, 1790)


def test_the_run_folder_holds_nothing_that_executes(run_folder: Path) -> None:
    names = {p.name for p in run_folder.iterdir()}
    assert names == {
        "run.json",
        "checkpoint.safetensors",
        "checkpoint.json",
        "history.csv",
        "model.safetensors",
        "scorecard.json",
    }
    card = json.loads((run_folder / "scorecard.json").read_text())
    loaded: Any = RunFolder(run_folder).load_model(card["model_sha256"], card["model"])
    assert isinstance(loaded, Mlp)
