"""More units than elements: where they start, what they share, and that they get on the road."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from rdedge import Decoder, Encoder
from rdedge.bundle.bundle import Bundle
from rdedge.errors import ConfigError, StoppedError, TrainingError
from rdedge.flows.check import check
from rdedge.host.export import export
from rdedge.host.models import config_of, rebuild
from rdedge.host.models.klt import klt
from rdedge.host.models.overcomplete import (
    Overcomplete,
    OvercompleteConfig,
    config_for,
    start_in_pairs,
)
from rdedge.host.runs import RunFolder
from rdedge.host.train import resume, train

BOTH = pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
KINDS = ("overcomplete", "overcomplete-tied")
EACH = pytest.mark.parametrize("kind", KINDS)


def vectors(count: int = 400, width: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = 5.0 * rng.normal(size=(count, 3)) @ rng.normal(size=(3, width))
    return (x + 0.5 * rng.normal(size=x.shape) + 3.0).astype(np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("overcomplete") / "vectors.npy"
    np.save(path, vectors())
    return path


@pytest.fixture(scope="module", params=KINDS)
def finished(request: pytest.FixtureRequest, data: Path) -> Path:
    """A run of each kind, trained for a few epochs."""
    folder = data.parent / str(request.param)
    settings = {"rate": "renyi", "model": request.param, "epochs": 8, "learning_rate": 0.01}
    train(data, max_distortion=1.0, output=folder, **settings)
    return folder


@pytest.fixture(scope="module")
def bundle(finished: Path) -> Bundle:
    return export(finished, finished.parent / f"{finished.name}.rdb")


def started(x: np.ndarray, tied: bool, latents: int | None = None) -> Overcomplete:
    torch.manual_seed(0)
    model = Overcomplete(config_for(x, latents=latents, width=1.0, tied=tied))
    start_in_pairs(model, x, 1.0)
    return model


@torch.no_grad()
def through(model: Overcomplete, x: np.ndarray) -> np.ndarray:
    return model.g_s(model.g_a(torch.from_numpy(x).float())).numpy()


def projected(x: np.ndarray, components: int) -> np.ndarray:
    flat = x.reshape(len(x), -1).astype(np.float64)
    mean, _, basis = klt(flat, components)
    return ((flat - mean) @ basis.T @ basis + mean).reshape(x.shape)


# The start


@BOTH
@pytest.mark.parametrize("components", [1, 2, 4, 6])
def test_the_start_is_the_klt(tied: bool, components: int) -> None:
    """Before rounding; as many components as there are pairs."""
    x = vectors()
    model = started(x, tied, 2 * components)
    assert np.allclose(through(model, x), projected(x, components), atol=1e-3)


def test_the_other_units_say_nothing_at_the_start() -> None:
    x = vectors()
    assert np.allclose(through(started(x, False, 40), x), x, atol=1e-3)


def test_other_units_that_are_tied_are_small_and_silent_at_the_mean() -> None:
    x = vectors()
    model = started(x, True, 40)
    mean = x.mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32)
    assert np.allclose(through(model, mean), mean, atol=1e-3)
    assert np.square(through(model, x) - x).mean() < 0.02 * x.var()


@BOTH
def test_pictures_of_many_elements_start_with_the_first_64(tied: bool, digits: np.ndarray) -> None:
    x = digits[:500].repeat(2, axis=1)
    model = started(x, tied)
    assert model.config.latents == 256
    assert model.config.shape == (16, 8)
    assert np.square(through(model, x) - x).mean() < 0.05 * x.astype(float).var()


@BOTH
def test_rounding_costs_about_what_was_asked(tied: bool) -> None:
    """A pair rounds twice: up to twice the error of one lattice, and the softplus rounds it off."""
    x = vectors()
    model = started(x, tied)
    with torch.no_grad():
        y = torch.round(model.g_a(torch.from_numpy(x)))
        mse = float(((model.g_s(y) - torch.from_numpy(x)) ** 2).mean())
    assert 0.5 < mse < 2.5


def test_the_start_follows_from_the_seed() -> None:
    one, other = started(vectors(), True, 40), started(vectors(), True, 40)
    for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@BOTH
def test_latents_are_never_negative_nor_too_large(tied: bool) -> None:
    x = vectors()
    model = started(x, tied, 30)
    for scale in (0.0, 1.0, 1e3, 1e12):
        y = model.g_a(torch.from_numpy(x) * scale)
        assert torch.isfinite(y).all()
        assert (y >= 0.0).all()
    assert float(model.g_a(torch.from_numpy(x)).detach().min()) < 0.1, "many are at rest"


# Sizes


@BOTH
def test_sizes(tied: bool) -> None:
    x = vectors().reshape(-1, 2, 3)
    config = config_for(x, latents=None, width=1.0, tied=tied)
    assert config.latents == 12
    assert config.latents > config.elements
    assert config_for(x, latents=None, width=2.5, tied=tied).latents == 30
    assert config_for(x, latents=None, width=0.05, tied=tied).latents == 2
    assert config_for(x, latents=5, width=8.0, tied=tied).latents == 5
    assert config.kind == ("overcomplete-tied" if tied else "overcomplete")
    assert (config.encoder_macs, config.decoder_macs) == (72, 72)
    for latents in (-1, 0, 1, 65_537):
        with pytest.raises(ConfigError, match=f"{latents} units"):
            config_for(x, latents=latents, width=1.0, tied=tied)
    with pytest.raises(TrainingError, match="the same"):
        config_for(np.full((100, 5), 3.0), latents=None, width=1.0, tied=tied)


@BOTH
def test_sizes_go_to_json_and_back(tied: bool) -> None:
    config = OvercompleteConfig((4, 3), 31, tied)
    again = config_of(json.loads(json.dumps(config.to_json())))
    assert again == config
    model = rebuild(config.to_json())
    assert isinstance(model, Overcomplete)
    assert model.config == config
    assert model.g_a(torch.zeros(2, 4, 3)).shape == (2, 31)
    assert model.g_s(torch.zeros(2, 31)).shape == (2, 4, 3)


@BOTH
def test_constant_elements_and_few_samples(tied: bool) -> None:
    x = vectors(40)
    x[:, 2:4] = 7.0
    assert np.allclose(through(started(x, tied), x), x, atol=1e-3)
    few = vectors(5, 9)
    found = through(started(few, tied), few)
    assert np.isfinite(found).all()
    if not tied:
        assert np.allclose(found, few, atol=1e-3)


# What is shared


def halves_share(model: Any) -> bool:
    return model.g_s.weight is model.g_a.weight


@BOTH
def test_tied_weights_are_one_parameter(tied: bool) -> None:
    model = started(vectors(), tied)
    assert halves_share(model) is tied
    assert halves_share(copy.deepcopy(model)) is tied
    assert halves_share(copy.deepcopy(model).double()) is tied
    assert copy.deepcopy(model).halves[0].weight is not model.halves[0].weight
    twin = copy.deepcopy(model)
    assert (twin.g_a, twin.g_s) == twin.halves, "the halves of a copy are its own"
    own = sum(p.numel() for half in model.halves for p in half.parameters())
    assert own - sum(p.numel() for p in {*model.g_a.parameters(), *model.g_s.parameters()}) == (
        72 if tied else 0
    )


@BOTH
def test_one_step_moves_both_halves_of_a_tied_model(tied: bool) -> None:
    model = started(vectors(), tied)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    before = model.halves[1].weight.detach().clone()
    model.g_a(torch.from_numpy(vectors())).square().mean().backward()
    optimizer.step()
    assert halves_share(model) is tied
    assert torch.equal(model.halves[1].weight, before) is not tied


# Runs


def test_a_run_keeps_what_is_shared(finished: Path) -> None:
    card = json.loads((finished / "scorecard.json").read_text())
    assert card["met"]
    assert card["kept"].endswith(finished.name)
    assert card["model"]["latents"] == 12
    loaded = RunFolder(finished).load_model(card["model_sha256"], card["model"])
    assert isinstance(loaded, Overcomplete)
    assert halves_share(loaded) is (finished.name == "overcomplete-tied")
    # Not in model.safetensors: that may be the start, whose halves are alike in either case.
    checkpoint = safetensors.torch.load_file(finished / "checkpoint.safetensors")
    same = torch.equal(checkpoint["model.g_a.weight"], checkpoint["model.g_s.weight"])
    assert same is (finished.name == "overcomplete-tied")
    start = started(vectors()[:300], finished.name == "overcomplete-tied")
    assert not torch.equal(checkpoint["model.g_a.weight"], start.halves[0].weight), "it trained"


def test_a_run_becomes_a_bundle_that_proves_itself(bundle: Bundle, finished: Path) -> None:
    parity = bundle.scorecard["parity"]
    assert parity["max_latent_difference"] < 0.01
    assert parity["max_symbol_share"] < 0.001
    found = check(Bundle.read(finished.parent / f"{finished.name}.rdb"))
    assert found.rows
    assert found.fine
    x = vectors(seed=0)[-50:]
    packet = Encoder(bundle).encode(x)
    x_hat = Decoder(bundle).decode(packet)
    assert np.square(x_hat - x).mean() < 1.5
    assert len(packet) < x.nbytes / 8
    assert Encoder(bundle).symbols(x).min() >= 0


@EACH
def test_units_as_asked(kind: str, data: Path, tmp_path: Path) -> None:
    settings = {"max_distortion": 4.0, "model": kind, "epochs": 2}
    card = train(data, output=tmp_path / "r", latents=9, **settings)
    assert card["model"]["latents"] == 9
    card = train(data, output=tmp_path / "s", width=3.0, **settings)
    assert card["model"]["latents"] == 36
    with pytest.raises(ConfigError, match="1 units"):
        train(data, output=tmp_path / "t", latents=1, **settings)
    with pytest.raises(ConfigError, match="size small"):
        train(data, output=tmp_path / "t", size="small", **settings)
    assert not (tmp_path / "t").exists()


@EACH
def test_a_stopped_run_resumes_to_the_same_end(kind: str, data: Path, tmp_path: Path) -> None:
    """With clusters that are found anew, and the matrix term's eigenvalues."""
    settings: dict[str, Any] = {
        "max_distortion": 0.5,
        "model": kind,
        "epochs": 6,
        "rate": "renyi",
        "alpha": 1.01,
        "batches": "clustered",
        "batch": 32,
        "input_noise": 0.1,
    }
    train(data, output=tmp_path / "whole", **settings)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == 30

    with pytest.raises(StoppedError, match="--resume"):
        train(data, output=tmp_path / "cut", stop=stop, **settings)
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    description = RunFolder(tmp_path / "cut").description()
    assert {name: description["options"][name] for name in ("rate", "alpha", "batches")} == {
        "rate": "renyi",
        "alpha": 1.01,
        "batches": "clustered",
    }
    assert resume(tmp_path / "cut")["met"]
    cut, whole = ((tmp_path / name) for name in ("cut", "whole"))
    assert (cut / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    # The model may be the start that was kept; the checkpoint is what was trained.
    ends = [safetensors.torch.load_file(f / "checkpoint.safetensors") for f in (cut, whole)]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
