"""The commands on series, through the same door as a user."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from rdedge.cli.group import run
from tests.host import plant

T, C = plant.WINDOW, len(plant.COLUMNS)


@pytest.fixture
def rdz(tmp_path: Path, series_path: Path, series_csv: Path) -> Path:
    path = tmp_path / "log.rdz"
    assert run(["compress", "-q", "-b", str(series_path), str(series_csv), "-o", str(path)]) == 0
    return path


def test_train_says_what_it_notices_and_what_came_of_it(
    series_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", str(series_csv), "--max-distortion", "0.1", "--metric", "nrmse"]
    more = ["--window", str(T), "--columns", "valve,vibration,vibration 2", "--model", "linear"]
    assert run([*arguments, *more, "-o", str(tmp_path / "run")]) == 0
    told = capsys.readouterr()
    assert "vibration 2: the same as vibration" in told.err
    assert "steps of 0.25" in told.err
    assert re.search(r"nrmse 0\.(0\d*|1) on ", told.out)
    assert "15 held-out samples" in told.out
    assert "linear: " in told.out
    assert run(["train", "--resume", str(tmp_path / "run"), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["kept"] == "linear"
    assert card["packets"] == 15
    assert card["rounding"] <= 0.5


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (["--window", "0"], 2),
        (["--kind", "movie"], 2),
        (["--size", "huge"], 2),
        (["--stride", "0"], 2),
        (["--columns", "pressure"], 1),
        (["--time-column", "pressure"], 1),
        (["--model", "mlp"], 2),
        (["--window", "1000"], 1),
        (["--kind", "image"], 1),
    ],
    ids=str,
)
def test_wrong_options_are_said(
    series_csv: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    code: int,
) -> None:
    base = ["train", str(series_csv), "--max-distortion", "1", "-o", str(tmp_path / "r")]
    assert run([*base, *more]) == code
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_inspect_shows_windows(
    series_path: Path, rdz: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(series_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"] == "linear"
    assert found["sample"]["shape"] == [T, C]
    assert found["scorecard"]["training"]["model"]["kind"] == "linear"
    assert found["members"]["selection.bin"] > 0
    assert run(["inspect", str(rdz), "--json"]) == 0
    (batch,) = json.loads(capsys.readouterr().out)["batches"]
    assert [p["samples"] for p in batch["packets"]] == [71]
    assert batch["source_name"] == "log.csv"


def test_savings_leave_gaps_out(
    series_path: Path,
    series_csv: Path,
    rdz: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    png = tmp_path / "log.png"
    base = ["savings", str(rdz), "-b", str(series_path), "--data", str(series_csv)]
    assert run([*base, "--no-classical", "--png", str(png), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["raw_bytes"] == 71 * T * C * 4
    assert found["container_bytes"] == rdz.stat().st_size
    quality = found["distortion"]
    assert quality["metric"] == "nrmse"
    assert 0.015 < quality["mean"] < 0.025
    assert quality["mean"] <= quality["p95"] <= quality["worst"]
    assert png.read_bytes()[:4] == b"\x89PNG"


def test_windows_come_through_pipes_and_arrays(
    series_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of an array without names: what is not there is NaN."""
    rows = plant.rows(3 * T + 5, seed=4)
    np.save(tmp_path / "rows.npy", rows)
    base = ["-q", "-b", str(series_path)]
    source, rdz, out = tmp_path / "rows.npy", tmp_path / "x.rdz", tmp_path / "out"
    assert run(["compress", *base, str(source), "-o", str(rdz)]) == 0
    assert run(["decompress", *base, str(rdz), "-o", str(out)]) == 0
    back = np.load(out / "rows.npy")
    assert back.shape == rows.shape
    assert np.array_equal(np.isnan(back), np.isnan(rows))
    windows = rows[: 3 * T].reshape(3, T, C)
    np.save(source, windows)
    assert run(["compress", *base, "-f", str(source), "-o", str(rdz)]) == 0
    assert run(["decompress", *base, "-f", str(rdz), "-o", str(out)]) == 0
    assert np.load(out / "rows.npy").shape == windows.shape


def test_infinity_in_a_table_is_named(
    series_path: Path, series_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = series_csv.read_text().splitlines()[:80]
    lines[50] = lines[50].replace(",21.5", ",inf")
    (tmp_path / "x.csv").write_text("\n".join(lines) + "\n")
    rdz = tmp_path / "x.rdz"
    assert run(["compress", "-b", str(series_path), str(tmp_path / "x.csv"), "-o", str(rdz)]) == 1
    assert "row 51" in capsys.readouterr().err
    assert not rdz.exists()
