"""Series from a table to a codec: times, gaps, constants, twins and lattices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rdedge import metrics
from rdedge.bundle.bundle import Bundle
from rdedge.cli.group import run
from rdedge.codec import Decoder, Encoder
from rdedge.codec.preprocess import fill_missing
from rdedge.coding.quantiser import EXACT, NEAREST, SCALED
from rdedge.data.sources import ReadOptions, read
from rdedge.errors import (
    BoundMissedError,
    ShapeError,
    SourceError,
    TrainingError,
)
from rdedge.host.datasets import divide, load, overlapping, scale_of
from rdedge.host.export import export
from rdedge.host.fit import ROUNDINGS
from rdedge.host.models.linear import LinearConfig, LinearSeries
from rdedge.host.runs import RunFolder
from rdedge.host.series import start_linear
from rdedge.host.splits import Split
from rdedge.host.train import resume
from rdedge.types import Bound, SampleSpec
from tests.host import plant
from tests.host.plant import linear

T, C = plant.WINDOW, len(plant.COLUMNS)
ROWS = 70 * T + 11
SERIES = ReadOptions("series", window=T)


def card_of(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / "scorecard.json").read_text())
    return value


# What a run says


def test_a_run_meets_its_bound_and_says_what_it_was_made_from(
    series_run: Path, series_csv: Path
) -> None:
    card = card_of(series_run)
    assert card["met"]
    assert 0.0196 < card["distortion"] <= 0.02, "the step is fitted until the bound is just met"
    assert card["rounding"] in ROUNDINGS
    assert card["model"]["kind"] == "linear"
    assert card["kept"].endswith("linear")
    assert (card["samples"], card["packets"]) == (15, 15), "each window is a packet of its own"
    assert card["one_packet_bytes"] < card["packet_bytes"]
    assert card["bits_per_element"] == {
        "value": pytest.approx(8 * card["packet_bytes"] / (15 * T * C)),
        "kind": "actual",
    }
    assert len(card["distortion_cross_fitted"]) == 2
    description = RunFolder(series_run).description()
    assert description["data"]["path"] == str(series_csv)
    assert description["data"]["columns"] == list(plant.COLUMNS)
    assert description["data"]["samples"] == 70, "a last window that is not full trains nothing"
    assert description["reading"]["stride"] == T // 4
    assert description["reading"]["options"]["window"] == T
    assert len(description["scale"]["std"]) == C
    names = {path.name for path in series_run.iterdir()}
    assert names == {"run.json", "model.safetensors", "scorecard.json"}


def test_notes_say_what_the_columns_are(series_csv: Path) -> None:
    notes = " | ".join(load(series_csv, options=SERIES).notes)
    assert "vibration 2: the same as vibration" in notes
    assert "valve: steps of 0.25" in notes
    assert "set point: always 21.5" in notes
    assert "flow [l/min]: 40 values are missing" in notes


def test_the_same_run_gives_the_same_files(
    series_run: Path, series_csv: Path, series_path: Path, tmp_path: Path
) -> None:
    linear(series_csv, tmp_path / "again", max_distortion=0.02)
    for name in ("model.safetensors", "run.json"):
        assert (tmp_path / "again" / name).read_bytes() == (series_run / name).read_bytes()
    export(tmp_path / "again", tmp_path / "again.rdb")
    first, second = Bundle.read(series_path), Bundle.read(tmp_path / "again.rdb")
    assert first.manifest.identity == second.manifest.identity
    changing = {"scorecard.json"}  # it says how long training took
    assert {k: v for k, v in first.members.items() if k not in changing} == {
        k: v for k, v in second.members.items() if k not in changing
    }


def test_a_finished_run_resumes_to_itself(series_csv: Path, tmp_path: Path) -> None:
    before = linear(series_csv, tmp_path / "run")
    weights = (tmp_path / "run" / "model.safetensors").read_bytes()
    after = resume(tmp_path / "run")
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == weights
    del before["training"], after["training"]
    assert after == before


@pytest.mark.parametrize(
    ("metric", "value"), [("mse", 0.05), ("psnr", 45.0), ("mae", 0.1), ("max-abs", 0.8)]
)
def test_every_metric_is_met(series_csv: Path, tmp_path: Path, metric: str, value: float) -> None:
    columns = ("vibration", "flow [l/min]", "valve")
    card = linear(series_csv, tmp_path / "r", metric=metric, max_distortion=value, columns=columns)
    assert Bound(metric, value).met_by(card["distortion"])
    assert abs(card["distortion"] / value - 1.0) < 0.05


def test_a_bound_that_cannot_be_met_is_said(
    series_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rdedge.host.fit._STEPS", np.array([3.9, 4.0]))
    with pytest.raises(BoundMissedError, match="not met on held-out data"):
        linear(series_csv, tmp_path / "r", max_distortion=0.03)
    assert not card_of(tmp_path / "r")["met"]
    assert (tmp_path / "r" / "model.safetensors").exists()


# The bundle


def test_the_bundle_does_what_the_run_says(series_bundle: Bundle, series_run: Path) -> None:
    found, card = series_bundle.scorecard["export"], card_of(series_run)
    assert found["packet_bytes"] == pytest.approx(card["packet_bytes"], rel=0.02)
    assert found["distortion"]["value"] <= 0.02
    assert series_bundle.scorecard["parity"]["max_latent_difference"] < 0.01
    assert series_bundle.manifest.columns == plant.COLUMNS
    assert series_bundle.manifest.rounding == card["rounding"]


def test_the_lattice_is_coded_as_it_is(series_bundle: Bundle, series_run: Path) -> None:
    """Time domain, whole numbers; all other channels through the transform."""
    assert card_of(series_run)["model"]["exact"] == [plant.VALVE]
    kinds = [set(group.quantisers.tolist()) for group in series_bundle.selection.groups]
    assert kinds == [{SCALED, NEAREST}] * 4 + [{EXACT}]
    assert [group.length for group in series_bundle.selection.groups] == [T] * 4 + [T + 1]


def test_check_finds_the_bundle_fine(series_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(series_path)]) == 0
    assert "fine" in capsys.readouterr().out


# There and back


def cells(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()]


@pytest.mark.parametrize("batch", [None, 1, 7])
def test_a_table_comes_back(
    series_path: Path, series_csv: Path, tmp_path: Path, batch: int | None
) -> None:
    """Names, rows, times and gaps as they were; the valve exactly, the rest within the bound."""
    rdz, out = tmp_path / "log.rdz", tmp_path / "out"
    more = [] if batch is None else ["--batch", str(batch)]
    base = ["compress", "-q", "-b", str(series_path), str(series_csv), "-o", str(rdz)]
    assert run([*base, *more]) == 0
    assert rdz.stat().st_size < 0.3 * series_csv.stat().st_size
    assert run(["decompress", "-q", "-b", str(series_path), str(rdz), "-o", str(out)]) == 0
    before, after = cells(series_csv), cells(out / "log.csv")
    assert len(after) == len(before) == ROWS + 1
    assert after[0] == before[0] == ["time", *plant.COLUMNS]
    assert [row[0] for row in after] == [row[0] for row in before]
    assert [[cell == "" for cell in row] for row in after] == [
        [cell == "" for cell in row] for row in before
    ]
    x, x_hat = (
        read(path, options=SERIES).samples.reshape(-1, C)[:ROWS]
        for path in (series_csv, out / "log.csv")
    )
    valve = ~np.isnan(x[:, plant.VALVE])
    assert np.array_equal(x[valve, plant.VALVE], x_hat[valve, plant.VALVE])
    scale = Bundle.read(series_path).manifest.scale
    assert metrics.mean("nrmse", x[None], x_hat[None], scale) < 0.06
    # The constant is no more exact than the bound asks, relative to the quietest channel.
    assert np.allclose(x_hat[:, plant.CONSTANT], 21.5, atol=0.1)


def test_a_table_with_other_columns_beside_and_in_another_order(
    series_path: Path, series_csv: Path, tmp_path: Path
) -> None:
    """Channels are found by their names."""
    rows = cells(series_csv)
    shuffled = [[row[5], row[1], "note", row[0], row[3], row[2], row[4]] for row in rows[:200]]
    path = tmp_path / "other.csv"
    path.write_text("\n".join(",".join(row) for row in shuffled) + "\n")
    rdz, out = tmp_path / "x.rdz", tmp_path / "out"
    assert run(["compress", "-q", "-b", str(series_path), str(path), "-o", str(rdz)]) == 0
    assert run(["decompress", "-q", "-b", str(series_path), str(rdz), "-o", str(out)]) == 0
    after = cells(out / "other.csv")
    assert sorted(after[0]) == sorted(["time", *plant.COLUMNS])
    at = {name: after[0].index(name) for name in after[0]}
    assert [row[at["time"]] for row in after] == [row[0] for row in rows[:200]]
    assert [row[at["valve"]] for row in after[1:]] == [row[4] for row in rows[1:200]]


def test_a_table_without_a_column_of_the_codec_is_refused(
    series_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.csv").write_text("time,valve\n2026-01-01,1\n2026-01-02,2\n")
    rdz = tmp_path / "x.rdz"
    assert run(["compress", "-b", str(series_path), str(tmp_path / "x.csv"), "-o", str(rdz)]) == 1
    assert "flow" in capsys.readouterr().err
    assert not rdz.exists()


def test_a_container_cut_short_gives_the_rows_that_are_whole(
    series_path: Path, series_csv: Path, tmp_path: Path
) -> None:
    rdz, out = tmp_path / "x.rdz", tmp_path / "out"
    base = ["-q", "-b", str(series_path)]
    assert run(["compress", *base, str(series_csv), "-o", str(rdz), "--batch", "10"]) == 0
    rdz.write_bytes(rdz.read_bytes()[:-100])
    assert run(["decompress", *base, str(rdz), "-o", str(out)]) == 1
    assert run(["decompress", *base, str(rdz), "-o", str(out), "--salvage"]) == 1
    before, after = cells(series_csv), cells(out / "log.csv")
    assert 1 < len(after) < len(before)
    assert (len(after) - 1) % (10 * T) == 0
    assert [row[0] for row in after] == [row[0] for row in before[: len(after)]]


# Other data


def waves(rows: int = 40 * T, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(rows)[:, None]
    return (np.sin(t / np.array([5.0, 11.0, 23.0])) + rng.normal(0, 0.1, (rows, 3))).astype("f4")


def saved(path: Path, x: np.ndarray) -> Path:
    np.save(path, x)
    return path


@pytest.mark.parametrize("window", [1, 2, 50])
@pytest.mark.parametrize("channels", [1, 3])
def test_windows_of_any_length(tmp_path: Path, window: int, channels: int) -> None:
    path = saved(tmp_path / "x.npy", waves()[:, :channels])
    card = linear(path, tmp_path / "r", window=window, kind="series")
    assert card["met"]
    assert card["model"]["shape"] == [window, channels]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float64"])
def test_other_dtypes_train_as_well(tmp_path: Path, dtype: str) -> None:
    path = saved(tmp_path / "x.npy", (waves() * 50 + 100).astype(dtype))
    assert 0.09 < linear(path, tmp_path / "r", kind="series")["distortion"] <= 0.1


def test_integers_come_back_as_integers(tmp_path: Path) -> None:
    x = (waves() * 50 + 100).astype(np.int16)
    linear(saved(tmp_path / "x.npy", x), tmp_path / "r", kind="series")
    bundle = export(tmp_path / "r", tmp_path / "x.rdb")
    windows = x[: 4 * T].reshape(4, T, 3)
    x_hat = Decoder(bundle).decode(Encoder(bundle).encode(windows))
    assert x_hat.dtype == np.int16
    assert metrics.mean("nrmse", windows, x_hat, bundle.manifest.scale) < 0.15


def test_channels_that_say_nothing_do_not_disturb(tmp_path: Path) -> None:
    """One that is always missing, one that never changes, one that is mostly missing."""
    x = np.concatenate([waves(), np.full((40 * T, 3), 7.0, np.float32)], axis=1)
    x[:, 3] = np.nan
    x[np.random.default_rng(0).random(40 * T) < 0.95, 0] = np.nan
    path = saved(tmp_path / "x.npy", x)
    card = linear(path, tmp_path / "r", kind="series")
    assert card["met"]
    # Half the values are there, and half of them are constant.
    assert card["bits_per_element"]["value"] < 4
    description = RunFolder(tmp_path / "r").description()
    std = description["scale"]["std"]
    assert len(std) == 6
    assert std[3] == std[4] == std[5] == min(std) > 0


@pytest.mark.parametrize(("value", "said"), [(7.0, "the same"), (np.nan, "are missing")])
def test_data_that_does_not_vary_is_refused(tmp_path: Path, value: float, said: str) -> None:
    path = saved(tmp_path / "x.npy", np.full((40 * T, 2), value, np.float32))
    with pytest.raises(TrainingError, match=said):
        linear(path, tmp_path / "r", kind="series")


def test_windows_that_are_too_large_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.npy", np.tile(waves(20 * 256), (1, 100)))
    with pytest.raises(TrainingError, match=r"256 rows and 300 columns.*--window"):
        linear(path, tmp_path / "r", kind="series", window=256)


def test_too_few_windows_are_refused(tmp_path: Path) -> None:
    assert linear(saved(tmp_path / "x.npy", waves(16 * T)), tmp_path / "r", kind="series")["met"]
    with pytest.raises(TrainingError, match="15 samples of kind series"):
        linear(saved(tmp_path / "x.npy", waves(15 * T)), tmp_path / "s", kind="series")


def test_some_columns_of_a_table(series_csv: Path, tmp_path: Path) -> None:
    card = linear(series_csv, tmp_path / "r", columns=("valve", "vibration"))
    assert card["model"]["shape"] == [T, 2]
    description = RunFolder(tmp_path / "r").description()
    assert description["data"]["columns"] == ["valve", "vibration"]
    assert description["reading"]["options"]["columns"] == ["valve", "vibration"]


def test_held_out_rows_of_their_own(series_csv: Path, tmp_path: Path) -> None:
    other = tmp_path / "later.csv"
    plant.write_csv(other, 20 * T, seed=5)
    card = linear(series_csv, tmp_path / "r", held_out_data=other)
    assert card["samples"] == 20
    with pytest.raises(TrainingError, match="very samples"):
        linear(series_csv, tmp_path / "r", held_out_data=series_csv)
    (tmp_path / "few.csv").write_text("time,valve\n2026-01-01,1\n2026-01-02,2\n")
    with pytest.raises((ShapeError, SourceError)):
        linear(series_csv, tmp_path / "r", held_out_data=tmp_path / "few.csv")


# Several files


def test_windows_do_not_reach_from_one_file_into_the_next() -> None:
    x = np.arange(5 * 4, dtype=np.float32).reshape(5, 4, 1)
    (found,), files = overlapping(x, np.array([0, 0, 0, 1, 1]), 3)
    assert files.tolist() == [0, 0, 0, 1, 1]
    assert found[:, :, 0].tolist() == [
        [0, 1, 2, 3],
        [3, 4, 5, 6],
        [6, 7, 8, 9],
        [12, 13, 14, 15],
        [15, 16, 17, 18],
    ]
    (whole,), _ = overlapping(x, np.zeros(5, np.int64), 4)
    assert np.array_equal(whole, x)


def test_a_folder_of_tables_is_one_data_set(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    for name, count in (("a", 10 * T + 5), ("b", 12 * T), ("c", 11 * T + 31)):
        plant.write_csv(folder / f"{name}.csv", count, seed=ord(name))
    dataset = load(folder, options=SERIES)
    assert dataset.count == 33
    assert dataset.files.tolist() == [0] * 10 + [1] * 12 + [2] * 11
    split = Split.of(dataset.count, kind="series")
    parts = divide(dataset, split, None, T // 2)
    (windows,) = parts.train
    # Of a 10 and of b 12 windows in training, less what a border cuts: (n - 1) * 2 + 1 each.
    assert split.train.stop == 23
    assert len(windows) == (2 * 10 - 1) + (2 * 12 - 1) + 1
    assert len(scale_of(parts).std) == C
    assert linear(folder, tmp_path / "r")["met"]


def test_files_of_other_columns_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.csv").write_text("time,a\n" + "2026-01-01,1\n" * 40)
    (folder / "b.csv").write_text("time,b\n" + "2026-01-01,1\n" * 40)
    with pytest.raises(ShapeError, match="different columns"):
        load(folder, options=ReadOptions(window=2))


# The model itself


@pytest.mark.parametrize("klt", [False, True])
@pytest.mark.parametrize("exact", [(), (1,), (0, 2), (0, 1, 2)])
def test_the_transform_gives_back_what_it_was_given(klt: bool, exact: tuple[int, ...]) -> None:
    config = LinearConfig((16, 3), exact, klt and len(exact) < 2)
    assert LinearConfig.from_json(config.to_json()) == config
    x = np.rint(waves(20 * 16) * 8).astype(np.float32).reshape(20, 16, 3)
    model = LinearSeries(config)
    model.start(x, np.array([0.5, 0.7, 0.9]), {c: (1.0, float(c - 5)) for c in exact})
    with torch.no_grad():
        y = model.g_a(torch.from_numpy(x))
        x_hat = model.g_s(y)
    assert y.shape == (20, config.latents)
    assert float((x_hat - torch.from_numpy(x)).abs().max()) < 1e-3
    assert model.layout is not None
    whole = y[:, torch.from_numpy(model.layout.quantisers) == EXACT]
    assert torch.equal(whole, torch.round(whole))
    if not exact and not klt:
        power = ((x - np.median(x, axis=(0, 1))) / np.array([0.5, 0.7, 0.9])) ** 2
        assert float((y**2).sum()) == pytest.approx(float(power.sum()), rel=1e-4), "orthonormal"


def test_the_start_is_near_the_bound() -> None:
    """Reverse water-filling says the step; unquantised time and channels say nothing else."""
    x = waves(60 * T).reshape(60, T, 3)
    spec = SampleSpec("series", (T, 3), "float32")
    from rdedge.host.datasets import Parts

    parts = Parts(spec, [x[:40]], [x[40:50]], [x[50:]])
    model = start_linear(parts, Bound("mse", 0.004), scale_of(parts))
    with torch.no_grad():
        y = torch.round(model.g_a(torch.from_numpy(fill_missing(x)[0])))
        mse = float(((model.g_s(y).numpy() - x) ** 2).mean())
    assert 0.001 < mse < 0.008
