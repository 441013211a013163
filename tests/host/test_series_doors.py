"""Bad settings and edited runs of series: typed errors, nothing lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rdedge.data.sources import ReadOptions
from rdedge.errors import ConfigError, SourceError, TrainingError
from rdedge.host.datasets import load
from rdedge.host.export import export
from tests.host import plant
from tests.host.plant import linear

T, C = plant.WINDOW, len(plant.COLUMNS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 3},
        {"batch": 8},
        {"learning_rate": 1e-3},
        {"latents": 4},
        {"model": "mlp"},
        {"model": "conv2d"},
        {"size": "huge"},
        {"augment": "shift"},
        {"held_out": 1},
        {"columns": ("pressure",)},
        {"columns": ("valve", "valve")},
        {"time_column": "pressure"},
        {"group": "log"},
    ],
    ids=str,
)
def test_settings_that_do_not_fit_a_series(
    series_csv: Path, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises((ConfigError, SourceError, TrainingError)):
        linear(series_csv, tmp_path / "r", **wrong)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("header", ["time,a,a", "time,,a", "time,a,"])
def test_columns_without_a_name_of_their_own(tmp_path: Path, header: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(header + "\n" + "2026-01-01,1,2\n" * 40)
    with pytest.raises(SourceError, match="name"):
        load(path, options=ReadOptions(window=2))
    unnamed = tmp_path / "y.csv"
    unnamed.write_text("2026-01-01,1,2\n" * 40)
    assert load(unnamed, options=ReadOptions(window=2)).columns == ()


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no reading": lambda v: v.pop("reading"),
    "reading is text": lambda v: v.update(reading="x"),
    "another window": lambda v: v["reading"]["options"].update(window=16),
    "a window that is none": lambda v: v["reading"]["options"].update(window=0),
    "a column less": lambda v: v["reading"]["options"].update(columns=list(plant.COLUMNS[:4])),
    "columns of numbers": lambda v: v["reading"]["options"].update(columns=[1]),
    "another kind": lambda v: v["reading"]["options"].update(kind="vector"),
    "an option more": lambda v: v["reading"]["options"].update(colour="red"),
    "a stride of nothing": lambda v: v["reading"].update(stride=0),
    "a stride of text": lambda v: v["reading"].update(stride="x"),
    "another stride": lambda v: v["reading"].update(stride=1),
    "a group": lambda v: v["reading"].update(group="log"),
    "one deviation for all": lambda v: v["scale"].update(std=[1.0]),
    "deviations of text": lambda v: v["scale"].update(std=["x"] * C),
    "no deviations": lambda v: v["scale"].pop("std"),
    "exact channels": lambda v: v["model"].update(exact=[]),
    "a model of another shape": lambda v: v["model"].update(shape=[T, 1]),
    "a model without its kind": lambda v: v["model"].pop("kind"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_run_is_not_exported(series_run: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "run"
    copy.mkdir()
    for file in series_run.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    edit(copy / "run.json", EDITS[name])
    with pytest.raises(TrainingError):
        export(copy, tmp_path / "x.rdb")
    assert not (tmp_path / "x.rdb").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("rounding"),
        lambda v: v.update(rounding="x"),
        lambda v: v.update(rounding=0.6),
        lambda v: v.update(rounding=float("nan")),
        lambda v: v.update(step=0.0),
        lambda v: v.update(step=1e39),
        lambda v: v["model"].update(shape=[T, C + 1]),
        lambda v: v["model"].update(exact=[0, plant.VALVE]),
        lambda v: v["model"].update(exact=[C]),
        lambda v: v["model"].update(klt="yes"),
        lambda v: v["model"].update(kind="perceptron"),
        lambda v: v.pop("model"),
    ],
)
def test_an_edited_scorecard_is_not_exported(
    series_run: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    copy = tmp_path / "run"
    copy.mkdir()
    for file in series_run.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    edit(copy / "scorecard.json", change)
    with pytest.raises(TrainingError):
        export(copy, tmp_path / "x.rdb")
