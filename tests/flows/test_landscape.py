"""`rdedge landscape`: from finished runs to a picture and numbers, or to an error that helps."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rdedge.cli.group import run as cli
from rdedge.data import builtin
from rdedge.errors import ConfigError, OutputError, TrainingError
from rdedge.flows.landscape import Options, Subject, landscape, landscape_of, write
from rdedge.host.landscape import energy
from rdedge.host.runs import RunFolder
from rdedge.types import SampleSpec

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs on the ring, of two bounds."""
    folder = tmp_path_factory.mktemp("landscape")
    found = []
    for name, bound in (("fine", "0.05"), ("coarse", "0.1")):
        found.append(folder / name)
        options = ["--metric", "mse", "--epochs", "5", "-o", str(found[-1])]
        assert cli(["train", "ring", "--max-distortion", bound, *options]) == 0
    return found


def test_runs_side_by_side(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ring.png"
    arguments = ["landscape", *map(str, runs), "-o", str(out), "--size", "40"]
    assert cli(arguments) == 0
    text = capsys.readouterr().out
    assert text.startswith("Energy landscape, ring: 880 held-out samples")
    assert "fine" in text
    assert "bound mse 0.1" in text
    assert out.read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((tmp_path / "ring.csv").read_text().splitlines()))
    assert {(r["run"], r["direction"]) for r in rows} == {
        (name, way) for name in ("fine", "coarse") for way in ("random", "normal")
    }
    assert len(rows) == 24
    assert cli(arguments) == 1
    assert "exists" in capsys.readouterr().err
    again = [*arguments, "-f", "--json", "--distance", "0.5", "--distance", "0.1"]
    assert cli(again) == 0
    found = json.loads(capsys.readouterr().out)
    assert [s["distance"] for s in found["runs"][0]["steps"]] == [0.1, 0.5, 0.1, 0.5]
    assert found["runs"][0]["stated"] == 0.5, "nearest to a quarter of the spread, about 1"


def test_it_is_the_energy_of_the_model_that_was_kept(runs: list[Path]) -> None:
    found = landscape(runs, Options(size=16))
    assert [p.name for p in found.panels] == ["fine", "coarse"]
    assert found.points.shape == (880, 2)
    assert all(p.surface.shape == (16, 16) for p in found.panels)
    folder = RunFolder(runs[1])
    card = folder.read_json("scorecard.json")
    model = folder.load_model(card["model_sha256"], card["model"])
    numbers = found.panels[1].numbers
    x = builtin.load("ring").samples[-880:]
    assert numbers.energy_mean == energy(model, x).mean()
    # Rounding only adds to it, by and large: the scorecard's figure is an element's.
    assert 0.0 < numbers.energy_mean < 1.5 * 2 * card["mse"]
    assert landscape(runs[1:], Options(size=16)).panels[0].numbers == numbers


def test_planes_of_digits(run_folder: Path, tmp_path: Path) -> None:
    found = landscape([run_folder], Options(size=16))
    assert found.axes[0] == "first principal direction"
    assert len(found.points) == 100
    assert "25%" in found.notes[0]
    assert found.panels[0].numbers.width_normal is None
    found = landscape([run_folder], Options(through=(3, 50, 200), size=16))
    assert [m.label for m in found.marked] == ["3", "50", "200"]
    assert found.marked[0].picture.shape == (8, 8)
    assert not found.points.size
    write(tmp_path / "digits.png", found)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["digits.csv", "digits.png"]


def test_windows_of_a_series_with_gaps(series_run: Path, tmp_path: Path) -> None:
    found = landscape([series_run], Options(size=16, through=(0, 2, 5)))
    assert "filled" in found.notes[0]
    assert "float32 rounds off" in found.notes[1], "its transform loses nothing before it rounds"
    assert all(m.is_lines for m in found.marked)
    write(tmp_path / "series.png", found)


class Half(nn.Module):
    """Gives back the first of two values."""

    def __init__(self) -> None:
        super().__init__()
        self.g_a = nn.Linear(2, 1, bias=False)
        self.g_s = nn.Linear(1, 2, bias=False)
        with torch.no_grad():
            self.g_a.weight.copy_(torch.tensor([[1.0, 0.0]]))
            self.g_s.weight.copy_(torch.tensor([[1.0], [0.0]]))


def test_a_model_that_was_never_saved() -> None:
    x = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    spec = SampleSpec("vector", (2,), "float32")
    found = landscape_of([Subject("half", "by hand", Half())], spec, x, Options(size=16))
    (panel,) = found.panels
    up = np.linspace(*found.up, 16)
    np.testing.assert_allclose(panel.surface, np.tile(up[:, None] ** 2, 16), rtol=1e-5)


def test_runs_that_do_not_belong_together(
    runs: list[Path], run_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="other held-out samples"):
        landscape([runs[0], run_folder])
    with pytest.raises(ConfigError, match="no run"):
        landscape([])
    with pytest.raises(TrainingError, match=r"no run\.json"):
        landscape([tmp_path])
    unfinished = tmp_path / "unfinished"
    shutil.copytree(runs[0], unfinished)
    (unfinished / "scorecard.json").unlink()
    with pytest.raises(TrainingError, match=r"no scorecard\.json"):
        landscape([unfinished])
    (unfinished / "scorecard.json").write_text("{}")
    with pytest.raises(TrainingError, match="damaged"):
        landscape([unfinished])


def test_pictures_are_refused() -> None:
    spec = SampleSpec("image", (8, 8, 1), "uint8")
    with pytest.raises(ConfigError, match="--kind vector"):
        landscape_of([], spec, np.zeros((4, 8, 8, 1), np.uint8))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--size", "0"], "16 to 1000"),
        (["--size", "1000000"], "16 to 1000"),
        (["--through", "1,2"], "three different"),
        (["--through", "1,2,1"], "three different"),
        (["--through", "1,2,x"], "three whole numbers"),
        (["--through", "1,2,880"], "0 to 879"),
        (["--through", "-1,2,8"], "0 to 879"),
        (["--through", "1,2,3", "--principal"], "one of the two"),
        (["--distance", "0"], "more than 0"),
        (["--distance", "-1"], "more than 0"),
        (["--distance", "nan"], "more than 0"),
        (["-o", "picture.jpg"], r".png"),
    ],
)
def test_wrong_usage_is_said_and_nothing_written(
    options: list[str],
    said: str,
    runs: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli(["landscape", str(runs[0]), "-o", "a.png", *options]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_csv_is_in_the_way_too(runs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"a\.csv exists"):
        write(tmp_path / "a.png", landscape(runs[:1], Options(size=16)))
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "mine"
