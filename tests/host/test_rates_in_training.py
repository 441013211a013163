"""Whatever is minimised: runs meet their bound, say what became of them, and refuse nonsense."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from rdedge import Decoder, Encoder, metrics
from rdedge.cli.group import run as cli
from rdedge.data.png import png_bytes
from rdedge.errors import BoundMissedError, ConfigError, TrainingError
from rdedge.host.datasets import Parts
from rdedge.host.export import export
from rdedge.host.models.mlp import Mlp, auto_config, start_from_klt
from rdedge.host.options import TrainingOptions
from rdedge.host.rates.objective import Objective, input_and_output
from rdedge.host.rates.priors import FactorizedPrior
from rdedge.host.runs import RunFolder
from rdedge.host.train import train
from rdedge.host.training import Trainer
from rdedge.types import Bound, SampleSpec
from tests.host import plant

# What to minimise, in all its forms.
WAYS: dict[str, dict[str, Any]] = {
    "renyi": {"rate": "renyi"},
    "renyi of order 1.01": {"rate": "renyi", "alpha": 1.01, "kernel_width": "0.5 median"},
    "renyi of order 1": {"rate": "renyi", "alpha": 1.0, "kernel_width": 3.0},
    "renyi in clusters": {"rate": "renyi", "batches": "clustered", "batch": 32},
    "both": {"rate": "both"},
    "both in clusters": {"rate": "both", "batches": "clustered"},
    "entropy in clusters": {"rate": "entropy", "batches": "clustered"},
    "none": {"rate": "none"},
    "denoising": {"rate": "none", "input_noise": 1.0},
    "noise": {"rate": "entropy", "input_noise": 0.5},
}


def vectors(count: int = 400, width: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 3)) @ rng.normal(size=(3, width)) * 5.0).astype(np.float32)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.npy"
    np.save(path, vectors())
    return path


def history(folder: Path) -> list[list[float]]:
    rows = (folder / "history.csv").read_text().splitlines()[1:]
    return [[float(v) for v in row.split(",")] for row in rows]


def trained(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of the last epoch, kept or not."""
    tensors = safetensors.torch.load_file(folder / "checkpoint.safetensors")
    return {k: v for k, v in tensors.items() if k.startswith("model.g_")}


# Runs


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", ["mlp", "overcomplete-tied"])
def test_the_bound_is_met(way: str, model: str, data: Path, tmp_path: Path) -> None:
    settings = {"epochs": 4, "model": model} | WAYS[way]
    card = train(data, max_distortion=0.5, output=tmp_path / "r", **settings)
    assert card["met"]
    assert 0.45 < card["distortion"] <= 0.5
    assert card["training"]["rate"] == WAYS[way]["rate"]
    assert card["training"]["diverged"] == 0
    asked_for_bytes = WAYS[way]["rate"] == "entropy"
    assert asked_for_bytes or card["kept"] == model, "the start only where the fewest bytes count"
    estimate = card["training"]["estimated_bits_per_element"]
    assert estimate["kind"] == "estimated"
    assert (estimate["value"] > 0.0) is (WAYS[way]["rate"] != "none")
    rows = history(tmp_path / "r")
    assert rows
    assert np.isfinite(rows).all()
    options = RunFolder(tmp_path / "r").description()["options"]
    assert {k: options[k] for k in WAYS[way]} == WAYS[way]
    if WAYS[way]["rate"] == "none":
        assert len({row[4] for row in rows}) == 1, "nothing is traded for the distortion"
        assert {row[2] for row in rows} == {0.0}


@pytest.mark.parametrize("way", ["renyi", "both", "denoising"])
def test_packets_of_digits(way: str, tmp_path: Path, held_out: np.ndarray) -> None:
    settings = {"epochs": 4, "held_out": len(held_out)} | WAYS[way]
    card = train("digits", max_distortion=6.0, output=tmp_path / "r", **settings)
    assert card["met"]
    made = export(tmp_path / "r", tmp_path / "x.rdb")
    packet = Encoder(made).encode(held_out)
    assert len(packet) == pytest.approx(card["packet_bytes"], rel=0.01)
    x_hat = Decoder(made).decode(packet)
    assert ((x_hat.astype(float) - held_out) ** 2).mean() <= 6.05


def test_each_rate_trains_another_model(data: Path, tmp_path: Path) -> None:
    found = {}
    for i, (way, settings) in enumerate(WAYS.items()):
        train(data, max_distortion=0.5, output=tmp_path / str(i), epochs=2, **settings)
        tensors = trained(tmp_path / str(i))
        found[way] = torch.cat([v.flatten() for v in tensors.values()]).numpy().tobytes()
    assert len(set(found.values())) == len(WAYS)


def test_the_same_seed_gives_the_same_weights(data: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        settings = WAYS["renyi in clusters"] | {"alpha": 1.01, "epochs": 3}
        train(data, max_distortion=0.5, output=tmp_path / name, **settings)
    one, other = trained(tmp_path / "a"), trained(tmp_path / "b")
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_the_estimate_is_at_most_log_n(data: Path, tmp_path: Path) -> None:
    settings = {"epochs": 3, "batch": 16, "kernel_width": 1e-3, "rate": "renyi"}
    train(data, max_distortion=0.5, output=tmp_path / "r", **settings)
    for row in history(tmp_path / "r"):
        # Batches of 16 to 31 samples, where 16 does not divide their number.
        assert 4.0 / 6.0 <= row[2] * (1 + 1e-3) < 5.0 / 6.0, "log2 of them, over six elements"


@pytest.mark.parametrize("settings", [{}, {"alpha": 1.01}, {"batches": "clustered"}])
def test_series(settings: dict[str, Any], series_csv: Path, tmp_path: Path) -> None:
    card = plant.linear(
        series_csv,
        tmp_path / "r",
        model="conv1d",
        size="nano",
        rate="renyi",
        epochs=1,
        **settings,
    )
    assert card["met"]
    assert card["training"]["rate"] == "renyi"
    assert np.isfinite(history(tmp_path / "r")).all()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grey") / "pictures"
    folder.mkdir()
    y, x = np.mgrid[:32, :40]
    for i in range(20):
        rng = np.random.default_rng(i)
        waves = np.sin(x / rng.uniform(3, 9)) + np.cos(y / rng.uniform(3, 9))
        grey = (110 + 40 * waves + rng.normal(0, 2, waves.shape)).clip(0, 255).astype(np.uint8)
        (folder / f"{i:02}.png").write_bytes(png_bytes(grey[..., None]))
    return folder


@pytest.mark.parametrize("rate", ["renyi", "both", "none"])
def test_pictures(rate: str, pictures: Path, tmp_path: Path) -> None:
    card = train(
        pictures,
        max_distortion=34.0,
        metric="psnr",
        model="conv2d",
        rate=rate,
        epochs=1,
        output=tmp_path / "r",
    )
    assert card["met"]
    assert card["training"]["rate"] == rate
    assert np.isfinite(history(tmp_path / "r")).all()


# Refused, and nothing written


def test_clusters_of_pictures_are_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="clustered batches of pictures"):
        train(
            pictures,
            max_distortion=34.0,
            metric="psnr",
            batches="clustered",
            epochs=1,
            output=tmp_path / "r",
        )
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "option",
    [
        {"rate": "renyi"},
        {"rate": "entropy"},
        {"alpha": 2.0},
        {"kernel_width": "median"},
        {"batches": "clustered"},
        {"input_noise": 0.0},
    ],
    ids=lambda option: next(iter(option)),
)
@pytest.mark.parametrize("kind", ["series", "image"])
def test_linear_descends_on_nothing(
    option: dict[str, Any], kind: str, series_csv: Path, pictures: Path, tmp_path: Path
) -> None:
    name = next(iter(option)).replace("_", " ")
    data = series_csv if kind == "series" else pictures
    settings: dict[str, Any] = {"metric": "psnr", "max_distortion": 34.0, "model": "linear"}
    if kind == "series":
        settings["window"] = plant.WINDOW
    with pytest.raises(ConfigError, match=f"{name} .* for the model linear"):
        train(data, output=tmp_path / "r", **settings, **option)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "option",
    [
        {"rate": "foo"},
        {"rate": ""},
        {"alpha": 0.0},
        {"alpha": -1.0},
        {"alpha": float("nan")},
        {"alpha": float("inf")},
        {"alpha": True},
        {"kernel_width": "foo"},
        {"kernel_width": ""},
        {"kernel_width": 0.0},
        {"kernel_width": "-1 median"},
        {"kernel_width": float("nan")},
        {"kernel_width": True},
        {"batches": "foo"},
        {"input_noise": -0.1},
        {"input_noise": float("nan")},
        {"input_noise": float("inf")},
    ],
    ids=str,
)
def test_unknown_values(option: dict[str, Any], data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        TrainingOptions(epochs=1, **option)
    with pytest.raises(ConfigError):
        train(data, max_distortion=0.5, output=tmp_path / "r", **{"rate": "renyi"} | option)
    assert [p.name for p in tmp_path.iterdir()] == ["vectors.npy"]


@pytest.mark.parametrize("rate", ["renyi", "both"])
def test_one_sample_is_no_batch_for_a_gram_matrix(rate: str) -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        TrainingOptions(epochs=1, batch=1, rate=rate)
    TrainingOptions(epochs=1, batch=1)


def test_a_width_for_input_and_one_for_output() -> None:
    assert input_and_output("half") == ("half", "input")
    assert input_and_output(3.0) == (3.0, "input")
    assert input_and_output("half, 2 median") == ("half", " 2 median")
    for wrong in ("half,", ",half", "half,foo", "1,0", "1,2,3"):
        with pytest.raises(ConfigError, match="kernel width"):
            input_and_output(wrong)
    prior = FactorizedPrior(1, torch.ones(1))
    matrix = Objective("renyi", prior, 1, 2.0, "0.5 median, 3").matrix
    assert matrix is not None
    assert (matrix.width, matrix.output_width) == ("0.5 median", " 3")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rate", "foo"], "--rate"),
        (["--rate", "both", "--alpha", "0"], "alpha is 0"),
        (["--rate", "both", "--alpha", "nan"], "alpha is nan"),
        (["--alpha", "much"], "--alpha"),
        (["--rate", "renyi", "--kernel-width", "foo"], "kernel width of 'foo'"),
        (["--rate", "renyi", "--kernel-width", "0"], "kernel width of '0'"),
        (["--alpha", "1.01"], "alpha 1.01 for the rate entropy"),
        (["--rate", "none", "--kernel-width", "2"], "kernel width 2 for the rate none"),
        (["--batches", "foo"], "--batches"),
        (["--input-noise", "-1"], "input noise is -1"),
        (["--model", "overcomplete", "--latents", "1"], "1 units"),
        (["--model", "overcomplete", "--size", "nano"], "size nano"),
        (["--model", "linear", "--rate", "renyi"], "linear"),
    ],
)
def test_wrong_options_leave_with_2(
    arguments: list[str],
    said: str,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["train", str(data), "--max-distortion", "0.5", "-o", str(tmp_path / "r")]
    assert cli([*command, "--epochs", "1", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err
    assert [p.name for p in tmp_path.iterdir()] == ["vectors.npy"]


def test_options_as_typed(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", str(data), "--max-distortion", "0.5", "-o", str(tmp_path / "r")]
    options = ["--rate", "both", "--alpha", "1.01", "--kernel-width", "0.5 median"]
    options += ["--batches", "clustered", "--input-noise", "0.1", "--model", "overcomplete-tied"]
    assert cli([*command, "--epochs", "2", "--json", *options]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["training"]["rate"] == "both"
    assert card["model"]["kind"] == "overcomplete-tied"
    found = RunFolder(tmp_path / "r").description()["options"]
    wanted = ("both", 1.01, "0.5 median", "clustered", 0.1)
    names = ("rate", "alpha", "kernel_width", "batches", "input_noise")
    assert tuple(found[name] for name in names) == wanted
    assert cli(["train", "--resume", str(tmp_path / "r"), "--rate", "renyi"]) == 2
    assert "--rate cannot be changed" in capsys.readouterr().err


# What goes wrong on the way


@pytest.mark.parametrize("rate", ["entropy", "renyi", "both"])
def test_a_multiplier_that_runs_away_is_said(rate: str, data: Path, tmp_path: Path) -> None:
    """Three numbers do not fit into one latent: no multiplier gets there."""
    with pytest.raises(BoundMissedError, match="not met") as caught:
        train(
            data,
            max_distortion=0.01,
            output=tmp_path / "r",
            latents=1,
            epochs=400,
            rate=rate,
            batch=20,
        )
    assert "ran away in epoch" in caught.value.what
    assert "train longer" not in caught.value.do, "that did not come nearer"
    card = json.loads((tmp_path / "r" / "scorecard.json").read_text())
    assert not card["met"]
    assert 0 < card["training"]["diverged"] <= 400
    assert card["training"]["epochs"] < 100, "neither phase goes on to its end"
    assert np.isfinite(history(tmp_path / "r")).all()


def test_a_bound_in_reach_is_no_divergence(data: Path, tmp_path: Path) -> None:
    settings = {"latents": 3, "epochs": 40, "rate": "renyi"}
    card = train(data, max_distortion=0.1, output=tmp_path / "r", **settings)
    assert card["training"]["diverged"] == 0


def trainer(rate: str, away: float = 0.0) -> Trainer:
    """away: how far the prior is moved from where it starts."""
    x = vectors()
    torch.manual_seed(0)
    model = Mlp(auto_config(x, 0.5, latents=None, width=1.0))
    start_from_klt(model, x, 0.5)
    with torch.no_grad():
        model.prior.mean += away
    parts = Parts(SampleSpec("vector", x.shape[1:], str(x.dtype)), [x], [x[:50]], [x[50:60]])
    options = TrainingOptions(epochs=2, rate=rate)
    start = copy.deepcopy(model)
    return Trainer(model, start, parts, Bound("mse", 0.5), metrics.Scale.of(x), options)


@pytest.mark.parametrize("rate", ["entropy", "renyi", "both", "none"])
@pytest.mark.parametrize("half", ["g_a", "g_s"])
def test_weights_that_are_no_numbers(rate: str, half: str) -> None:
    t = trainer(rate)
    with torch.no_grad():
        getattr(t.model, half).linear.weight[0, 0] = float("nan")
    with pytest.raises(TrainingError, match="loss is nan"):
        t.validate()
    with pytest.raises(TrainingError, match="loss is nan"):
        t.run()


@pytest.mark.parametrize("rate", ["renyi", "none"])
def test_a_prior_that_is_fitted_aside_leaves_the_model_alone(rate: str) -> None:
    """Not even by the length of a gradient that is clipped."""
    ends = []
    for away in (0.0, 3.0):
        t = trainer(rate, away)
        t.run()
        ends.append({k: v for k, v in t.tensors().items() if k.startswith("model.g_")})
    assert all(torch.equal(ends[0][k], ends[1][k]) for k in ends[0])
