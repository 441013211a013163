"""Labels for a task, read as the run's data was, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rdedge.errors import ConfigError, RdedgeError, SourceError
from rdedge.flows.curve import Options, curve, distinct
from rdedge.flows.labels import read_labels
from rdedge.types import Bound
from tests.host import plant

DIGITS, F1 = "rdedge.tasks.digits:accuracy", "rdedge.tasks.skab:f1"


def log(path: Path, windows: int, seed: int, labels: bool) -> None:
    """Two columns, `;` between, times of no common name in the last, marks beside."""
    count = windows * plant.WINDOW
    x = plant.rows(count, seed)[:, [plant.FLOW, plant.VIBRATION]]
    lines = ["flow;vibration;" + ("mark;" if labels else "") + "moment"]
    for i, (a, b) in enumerate(np.nan_to_num(x).tolist()):
        mark = f"{int(i % 50 == 0)};" if labels else ""
        lines.append(f"{a:.3f};{b:.3f};{mark}{plant.START // 10**9 + i}")
    path.write_text("\n".join(lines) + "\n")


def test_a_training_file_without_the_column_is_in_order(tmp_path: Path) -> None:
    log(tmp_path / "train.csv", 40, 0, labels=False)
    log(tmp_path / "judged.csv", 10, 1, labels=True)
    plant.linear(
        tmp_path / "train.csv",
        tmp_path / "run",
        held_out_data=tmp_path / "judged.csv",
        time_column="moment",
        separator=";",
        columns=("flow", "vibration"),
    )
    options = Options(classical=False, task=F1, labels="mark")
    found = curve([tmp_path / "run"], options)
    assert found.raw_task_score is not None


@pytest.mark.parametrize(
    "options",
    [
        Options(classical=False, labels="x"),
        Options(classical=False, task_data="x.npz"),
        Options(classical=False, task=DIGITS, labels="x"),
    ],
    ids=["no task", "no task for data", "labels of their own"],
)
def test_options_that_say_nothing_are_refused(run_folder: Path, options: Options) -> None:
    with pytest.raises(ConfigError, match="labels"):
        curve([run_folder], options)


@pytest.mark.parametrize("data", [b"", b"PK nothing", None])
def test_labels_that_cannot_be_read(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "x.npz"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(SourceError, match="cannot read labels"):
        read_labels(path, "y")


def test_task_data_that_is_not_there(run_folder: Path) -> None:
    options = Options(classical=False, task=DIGITS, task_data="nothing.npz")
    with pytest.raises(RdedgeError):
        curve([run_folder], options)


def test_no_classical_search_where_nothing_was_lost() -> None:
    assert distinct([0.0, 0.01, 0.5], Bound("mse", 0.5)) == [0.01, 0.5]
    assert distinct([float("inf"), 30.0], Bound("psnr", 30.0)) == [30.0]
