"""`rdedge pilot` from data to its folder: figures that are what happened, and bad data."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rdedge import metrics
from rdedge.bundle.bundle import Bundle
from rdedge.classical import registry
from rdedge.cli.group import run as cli
from rdedge.codec.decoder import Decoder
from rdedge.codec.encoder import Encoder
from rdedge.errors import ConfigError, OutputError
from rdedge.flows import pilot_ledger, stages
from rdedge.flows.pilot import Options, Reading, pilot
from tests.host import plant
from tests.report import recompute, redo


@pytest.fixture(autouse=True, scope="module")
def two_codecs() -> Iterator[None]:
    """What is searched has its own tests; two codecs say whether the pilot compares."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "available", lambda: ["webp", "zstd"])
        yield


LINEAR = Options(model="linear", minutes=0.02, metric="nrmse", devices=50, tariff="lte-steps")
PLANT = Reading(window=plant.WINDOW)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A pilot of a small plant."""
    folder = tmp_path_factory.mktemp("pilot")
    plant.write_csv(folder / "plant.csv", 70 * plant.WINDOW)
    out = folder / "out"
    return out, pilot(str(folder / "plant.csv"), out, LINEAR, PLANT, command="rdedge pilot")


def test_the_folder_holds_what_it_says(made: tuple[Path, dict[str, Any]]) -> None:
    out, value = made
    assert json.loads((out / "pilot.json").read_text()) == value
    assert {*value["files"], "run", "report.html"} == {one.name for one in out.iterdir()}
    assert [one.name for one in out.parent.iterdir() if one.name.startswith(".")] == []
    assert value["verdict"]["answer"] in ("go", "go-with-fallback", "do-not")
    assert value["data"]["split"]["by"] == "time"
    assert value["bound"]["proposed"]
    assert value["inference"]["kind"] == "estimated"


def test_every_figure_is_that_of_ledger_curve_and_tariff(
    made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, value = made
    found, count = redo.faults(out)
    assert found == []
    assert count > 60
    assert recompute.faults((out / "report.html").read_text("utf-8"), value) == []
    # A digit that is changed anywhere is seen.
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    (copy / "tariff.toml").write_text(
        (out / "tariff.toml").read_text().replace("price = 0.02", "price = 0.03")
    )
    assert any(one.startswith("saving.value") for one in redo.faults(copy)[0])
    shutil.copy(out / "tariff.toml", copy)
    ours = value["chosen"]["bytes"]
    changed = value | {"chosen": value["chosen"] | {"bytes": ours + 1}}
    (copy / "pilot.json").write_text(json.dumps(changed))
    assert redo.faults(copy)[0] == [
        f"chosen.bytes: {ours + 1}, and from ledger, curve and tariff {ours}"
    ]


def test_the_saving_is_redone_by_the_command_that_the_page_names(
    made: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    out, value = made
    (command,) = (one["command"] for one in value["redo"] if one["figure"] == "saving")
    assert command == "rdedge savings ledger --tariff tariff.toml"
    words = [str(out / w) if (out / w).exists() else w for w in command.split()[1:]]
    assert cli([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["saving"]
    for key in ("value", "low", "high", "yearly", "payback_months"):
        assert found[key] == value["saving"][key]


def test_its_curve_is_the_one_in_the_csv(made: tuple[Path, dict[str, Any]]) -> None:
    out, value = made
    rows = list(csv.DictReader((out / "curve.csv").read_text().splitlines()))
    assert len(rows) == len(value["curve"])
    for row, point in zip(rows, value["curve"], strict=True):
        assert float(row["bits_per_element"]) == point["bits_per_element"]
        assert float(row["distortion"]) == (point["distortion"]["value"] or 0.0)
    learned = [p for p in value["curve"] if p["learned"]]
    assert len(learned) >= 5
    assert any(not p["learned"] for p in value["curve"])
    best = value["best_classical"]
    equal = [
        p["bits_per_element"]
        for p in value["curve"]
        if not p["learned"]
        and p["distortion"]["value"]
        <= value["curve"][value["chosen"]["run"]]["distortion"]["value"]
    ]
    assert best["bits_per_element"] == min(equal)


def test_the_bundle_keeps_the_promise_that_pilot_json_says(
    made: tuple[Path, dict[str, Any]],
) -> None:
    out, value = made
    bundle = Bundle.of(out / "bundle.rdb")
    assert bundle.manifest.identity == value["chosen"]["identity"]
    assert bundle.manifest.bound.value == value["bound"]["value"]
    encoder, decoder = Encoder(bundle, gate=None), Decoder(bundle, coder="numpy")
    assert encoder.mode == "always"
    held_out = plant.rows(70 * plant.WINDOW).reshape(70, plant.WINDOW, -1)
    held_out = held_out[-value["data"]["held_out"] :]
    packets = [encoder.encode(x[None]) for x in held_out]
    assert sum(map(len, packets)) == value["chosen"]["bytes"]
    x_hat = np.concatenate([decoder.decode(p) for p in packets])
    each = metrics.per_sample("nrmse", held_out, x_hat, bundle.manifest.scale)
    assert (each <= value["bound"]["value"]).all()
    promise = value["chosen"]["promise"]
    assert promise["kept"]
    assert promise["of"] == len(held_out)
    assert promise["worst"] == pytest.approx(each.max(), rel=1e-4)


def test_samples_shown_are_those_that_came_back(made: tuple[Path, dict[str, Any]]) -> None:
    out, value = made
    with np.load(out / "samples.npz", allow_pickle=False) as found:
        shown = value["samples"]["shown"]
        assert sum(name.startswith("x_hat_") for name in found.files) == len(shown)
        scale = Bundle.of(out / "bundle.rdb").manifest.scale
        worst = [one["distortion"] for one in value["samples"]["worst"]]
        for n, distortion in enumerate(worst):
            x, x_hat = found[f"worst_x_{n}"], found[f"worst_x_hat_{n}"]
            again = metrics.per_sample("nrmse", x[None], x_hat[None], scale)[0]
            assert again == pytest.approx(distortion)
    assert worst == sorted(worst, reverse=True)


def test_a_pilot_is_replaced_only_with_force(made: tuple[Path, dict[str, Any]]) -> None:
    out, _ = made
    with pytest.raises(OutputError, match="a pilot already"):
        pilot("digits", out, LINEAR)
    other = out.parent / "other"
    other.mkdir()
    (other / "mine.txt").write_text("keep me")
    with pytest.raises(OutputError, match="no pilot"):
        pilot("digits", other, LINEAR, force=True)
    assert (other / "mine.txt").read_text() == "keep me"


def test_too_few_samples_are_a_verdict_with_how_many_are_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.normal(size=(40, 12)).astype(np.float32))
    out = tmp_path / "out"
    assert cli(["pilot", str(tmp_path / "x.npy"), "-o", str(out)]) == 0
    assert "too-few" in capsys.readouterr().out
    value = json.loads((out / "pilot.json").read_text())
    assert value["verdict"]["answer"] == "too-few"
    (reason,) = value["verdict"]["reasons"]
    assert reason["values"]["samples"] == 40
    assert reason["values"]["needed"] == 64
    assert reason["values"]["missing"] == 24
    (count,) = (c for c in value["data"]["checks"] if c["name"] == "count")
    assert count["values"]["least_to_train"] == 64
    assert value["curve"] == []
    assert value["chosen"] is None


def test_constant_data_is_a_no(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.full((200, 8), 7, np.uint8))
    value = pilot(str(tmp_path / "x.npy"), tmp_path / "out", Options(minutes=0.02))
    assert value["verdict"]["answer"] == "do-not"
    assert value["verdict"]["reasons"][0]["key"] == "reason.data-constant"


def test_jpegs_are_said_to_be_compressed_already(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "boards"
    folder.mkdir()
    slow = np.cumsum(np.cumsum(rng.normal(size=(60, 40, 40)), axis=1), axis=2)
    for i, x in enumerate(slow):
        grey = np.clip(128 + x * 40 / x.std(), 0, 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"lot{i // 6}_{i:02}.jpg", quality=70)
    options = Options(model="linear", minutes=0.01, tariff="lte-steps")
    value = pilot(str(folder), tmp_path / "out", options)
    assert redo.faults(tmp_path / "out")[0] == []
    # The files are what is used today; the best classical codec is another one.
    saved = {one["against"]: one["value"] for one in value["saving"]["by_reference"]}
    assert saved["raw"] > saved["today"] > saved["best-classical"]
    assert value["comparison"][1]["setting"] == "as they came"
    checks = {c["name"]: c for c in value["data"]["checks"]}
    assert checks["compressed"]["status"] == "warn"
    assert checks["compressed"]["values"]["lossy"] == 60
    assert value["data"]["split"]["by"] == "group"
    assert value["data"]["split"]["why"]["values"]["groups"] == 10
    assert value["today"]["codec"] == "files"
    assert value["today"]["assumed"]
    held_out = sorted(folder.iterdir())[-value["data"]["held_out"] :]
    exact = sum(one.stat().st_size for one in held_out)
    assert value["today"]["bytes"] == pytest.approx(exact, rel=0.1)


def test_a_best_codec_that_cannot_run_beside_is_priced_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object, **__: object) -> None:
        raise ConfigError("it learns from training data")

    monkeypatch.setattr(pilot_ledger, "Instead", cannot)
    plant.write_csv(tmp_path / "plant.csv", 60 * plant.WINDOW)
    out = tmp_path / "out"
    value = pilot(str(tmp_path / "plant.csv"), out, LINEAR, PLANT)
    assert redo.faults(out)[0] == []
    priced = {one["against"] for one in value["saving"]["by_reference"]}
    assert priced == {"raw", "best-classical"}
    instead = redo.table(out, "instead")
    best = value["best_classical"]
    assert {row["codec"] for row in instead} == {best["codec"]}
    assert sum(row["bytes"] for row in instead) == pytest.approx(best["bytes"], rel=0.02)


TASKS = {
    "raises": "def task(samples, labels):\n    raise KeyError('no such board')\n",
    "returns a word": "def task(samples, labels):\n    return 'fine'\n",
    "returns nan": "def task(samples, labels):\n    return float('nan')\n",
}


@pytest.mark.parametrize("name", list(TASKS))
def test_a_task_that_gives_no_number_ends_it_and_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"bad_task_{list(TASKS).index(name)}"
    (tmp_path / f"{module}.py").write_text(TASKS[name])
    monkeypatch.chdir(tmp_path)
    plant.write_csv(tmp_path / "plant.csv", 60 * plant.WINDOW)
    options = Options(model="linear", minutes=0.02, task=f"{module}:task")
    said: list[str] = []
    with pytest.raises(ConfigError, match=f"the task {module}:task"):
        pilot("plant.csv", tmp_path / "out", options, PLANT, tell=said.append)
    assert not any("training" in one for one in said), "it is tried before minutes of training"
    assert not (tmp_path / "out").exists()
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".out")] == []


def test_a_task_decides_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "near_task.py").write_text(
        "import numpy as np\n"
        "def task(samples, labels):\n"
        "    d = np.nan_to_num(samples - labels)[..., 0]\n"
        "    return 1.0 - float(np.sqrt((d * d).mean())) / 4.5\n"
    )
    monkeypatch.chdir(tmp_path)
    plant.write_csv(tmp_path / "plant.csv", 70 * plant.WINDOW)
    options = Options(model="linear", minutes=0.02, task="near_task:task", fall=0.05)
    value = pilot("plant.csv", tmp_path / "out", options, PLANT)
    assert value["task"]["raw_score"] == 1.0
    learned = [p for p in value["curve"] if p["learned"]]
    kept = [p for p in learned if 1.0 - p["score"] < 0.05]
    chosen = value["curve"][value["chosen"]["run"]]
    assert chosen["bits_per_element"] == min(p["bits_per_element"] for p in kept)
    (decided,) = (w for w in value["bound"]["why"] if w["decided"])
    assert decided["reason"] == "task"
    assert {w["reason"] for w in value["bound"]["why"]} == {"task", "noise", "knee"}
    assert all(p["score"] is not None for p in value["curve"])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (Options(max_distortion=4.0), "without a metric"),
        (Options(labels="y"), "without a task"),
        (Options(fall=0.0), "fall 0"),
        (Options(minutes=math.nan), "minutes nan"),
        (Options(target="moon"), "moon"),
        (Options(task="nothing"), "does not name a task"),
    ],
)
def test_options_that_cannot_work_are_refused_at_once(
    options: Options, match: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=match):
        pilot("digits", tmp_path / "out", options)


def test_a_bound_that_is_asked_for_is_the_promise(tmp_path: Path) -> None:
    plant.write_csv(tmp_path / "plant.csv", 70 * plant.WINDOW)
    options = Options(0.2, "nrmse", model="linear", minutes=0.02, today="zstd")
    value = pilot(str(tmp_path / "plant.csv"), tmp_path / "out", options, PLANT)
    assert value["bound"]["value"] == 0.2
    assert not value["bound"]["proposed"]
    assert value["chosen"]["promise"]["worst"] <= 0.2
    assert value["today"]["codec"] == "zstd"
    assert value["curve"][value["chosen"]["run"]]["distortion"]["value"] == pytest.approx(
        0.2, rel=0.02
    )


def test_its_plan_goes_on_with_its_own_ledger_and_stops_where_a_promise_breaks(
    made: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("duckdb", reason="ledgers are read with duckdb")
    out, value = made
    found = stages.load(out / "stages.toml")
    assert [one.devices for one in found.stage] == [1, 10, 50]
    assert found.bundle == value["chosen"]["identity"]
    short = replace(found.stage[0], days=1, samples=value["data"]["held_out"])
    path = tmp_path / "stages.toml"
    # A day of a plan this short is never over: all but the days is there.
    path.write_text(replace(found, stage=(short,)).to_toml())
    command = ["review", str(out / "ledger"), "--plan", str(path), "--json"]
    assert cli([*command, "--tariff", str(out / "tariff.toml")]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [f["status"] for f in shown["figures"]] == ["in"] * 5
    # Without prices nothing is said of money.
    assert cli(command) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [f["status"] for f in shown["figures"]] == ["in"] * 4 + ["unknown"]
    sent = sum(f["actual"] for f in shown["figures"] if f["name"] == "bytes_per_sample")
    assert sent * value["data"]["held_out"] == pytest.approx(value["chosen"]["bytes"])
    assert [r["values"]["what"] for r in shown["reasons"]] == ["days"]
    dear = replace(short.figure[0], predicted=1.0, low=1.0, high=1.0, stop_above=2.0)
    strict = replace(short, figure=(dear, *short.figure[1:]))
    path.write_text(replace(found, stage=(strict,)).to_toml())
    assert cli(["review", str(out / "ledger"), "--plan", str(path)]) == 1
    assert "STOP" in capsys.readouterr().out
    other = replace(found, bundle="00" * 32)
    path.write_text(other.to_toml())
    assert cli(["review", str(out / "ledger"), "--plan", str(path)]) == 1
    assert "no packet of the codec" in capsys.readouterr().err
