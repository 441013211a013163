"""The networks around the linear codecs of series and images: conv1d and conv2d."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from rdedge.codec import Decoder, Encoder
from rdedge.codec.preprocess import fill_missing
from rdedge.data.sinks import to_bytes
from rdedge.errors import ConfigError, StoppedError
from rdedge.host.export import export
from rdedge.host.models import AUTO, MODELS, named, rebuild
from rdedge.host.models.base import Config, Model
from rdedge.host.models.conv1d import Conv1d, Conv1dConfig
from rdedge.host.models.image import SIZES as IMAGE_SIZES
from rdedge.host.models.image import ImageConfig, ImageModel, Transform
from rdedge.host.models.linear import LinearConfig, LinearSeries
from rdedge.host.models.mlp import MlpConfig
from rdedge.host.runs import RunFolder
from rdedge.host.train import resume, train
from tests.host import plant

T, C = plant.WINDOW, len(plant.COLUMNS)
SHAPE = (40, 48, 3)


def pictures(count: int, seed: int = 0) -> list[np.ndarray]:
    """Soft blobs on a slope, (1, H, W, 3) uint8 of two sizes."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        height, width = (40, 48) if i % 3 else (45, 33)
        y, x = np.mgrid[:height, :width][..., None] / 40
        colours = rng.uniform(40, 200, 3) + 30 * x
        for _ in range(4):
            cy, cx = rng.random(2)
            spot = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / rng.uniform(0.01, 0.1))
            colours = colours + rng.uniform(-80, 80, 3) * spot
        noisy = colours + rng.normal(0, 2, colours.shape)
        made.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8)[None])
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "all"
    path.mkdir()
    for i, picture in enumerate(pictures(24)):
        (path / f"p-{i:02}.png").write_bytes(to_bytes(picture, "image", {}))
    return path


def test_each_kind_has_its_models() -> None:
    for kind, names in MODELS.items():
        assert named("auto", kind) == AUTO[kind]
        for name in names:
            assert named(name, kind) == name
    for name, kind in (("mlp", "series"), ("conv2d", "series"), ("conv1d", "image"), ("", "image")):
        with pytest.raises(ConfigError, match="auto"):
            named(name, kind)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="perceptron"):
        rebuild({"kind": "perceptron", "shape": [3]})


CONFIGS: list[tuple[Config, tuple[int, ...]]] = [
    (MlpConfig((5, 3), 7, 11, 13), (5, 3)),
    (LinearConfig((16, 3), (), klt=True), (16, 3)),
    (Conv1dConfig((16, 3), (), True, "conv1d", 1, 2, 8, 3, 16), (16, 3)),
    (Conv1dConfig((16, 3), (1,), False, "conv1d", 1, 1, 4, 2, 8), (16, 3)),
    (ImageConfig((16, 24, 3), 16, 8), (16, 24, 3)),
    (ImageConfig((16, 24, 3), 16, 8, 1, 12, 2, 20), (16, 24, 3)),
    (ImageConfig((16, 24, 1), 8, 8, 2, 8, 1, 8), (16, 24, 1)),
]


@pytest.mark.parametrize(("config", "shape"), CONFIGS, ids=lambda c: getattr(c, "kind", None))
def test_sizes_come_back_from_their_json(config: Config, shape: tuple[int, ...]) -> None:
    model = rebuild(json.loads(json.dumps(config.to_json())))
    assert model.config == config
    assert model.config.kind == config.kind
    x = torch.zeros(2, *shape)
    assert model.g_s(model.g_a(x)).shape == x.shape
    assert model.g_a(x).shape[-1] == config.latents


def layers_macs(half: nn.Module, x: torch.Tensor) -> int:
    """Multiply-adds of a half's layers for one sample, as they run."""
    counted: list[int] = []

    def count(layer: nn.Module, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
        assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        at = given[0] if isinstance(layer, nn.ConvTranspose2d) else made
        places = 1 if isinstance(layer, nn.Linear) else int(np.prod(at.shape[2:]))
        counted.append(layer.weight.numel() * places)

    layers = [
        m
        for m in half.modules()
        if isinstance(m, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    half(x)
    for hook in hooks:
        hook.remove()
    return sum(counted)


@pytest.mark.parametrize(("config", "shape"), CONFIGS, ids=lambda c: getattr(c, "kind", None))
def test_the_counts_are_what_the_layers_do(config: Config, shape: tuple[int, ...]) -> None:
    model = rebuild(config.to_json())
    x = torch.zeros(1, *shape)
    # The maps over time and channels are products with matrices, not layers.
    rest = (
        LinearConfig(config.shape, config.exact, config.klt).encoder_macs
        if isinstance(config, LinearConfig)
        else 0
    )
    assert layers_macs(model.g_a, x) + rest == config.encoder_macs
    assert layers_macs(model.g_s, model.g_a(x)) + rest == config.decoder_macs


@pytest.mark.parametrize("exact", [(), (1,)])
def test_conv1d_begins_as_linear(exact: tuple[int, ...]) -> None:
    x = fill_missing(plant.rows(30 * T, seed=3).reshape(30, T, C))[0][:, :, [0, 3, 1]]
    config = LinearConfig((T, 3), exact, klt=not exact)
    linear = LinearSeries(config)
    linear.start(x, np.array([0.5, 0.25, 0.1]), dict.fromkeys(exact, (0.25, 0.0)))
    model = Conv1d(Conv1dConfig((T, 3), exact, not exact, "conv1d", 1, 2, 8, 2, 8))
    model.start(linear, x)
    given = torch.from_numpy(x)
    with torch.no_grad():
        y = linear.g_a(given)
        assert torch.allclose(model.g_a(given), y, atol=1e-4)
        assert torch.allclose(model.g_s(y), linear.g_s(y), atol=1e-4)
        assert torch.isfinite(model.prior.bits(torch.round(y))).all()


def test_networks_see_no_level_and_nothing_far_away() -> None:
    """What they add to a window does not change with its level, and stays bounded."""
    config = Conv1dConfig((T, 2), (), False, "conv1d", 1, 2, 8, 2, 8)
    torch.manual_seed(0)
    model = Conv1d(config)
    for half in model.halves:
        nn.init.normal_(half.filter.network[-1].weight)
    z = torch.randn(4, 2, T)
    encoder, decoder = model.halves
    with torch.no_grad():
        added = decoder.filtered(z) - z
        assert torch.allclose(decoder.filtered(z + 1000) - (z + 1000), added, atol=1e-2)
        # What comes out of the encoder moves by the level, in the first coefficient of a channel.
        x = z.transpose(1, 2)
        moved = (encoder(x + 1000) - encoder(x)).reshape(4, 2, T)
        assert torch.allclose(moved[:, :, 0], torch.full((4, 2), 1000 * T**0.5), rtol=1e-5)
        assert float(moved[:, :, 1:].abs().max()) < 0.1
        for half in model.halves:
            assert float((half.filter(1e6 * z) - 1e6 * z).abs().max()) < 1e3


def test_conv2d_begins_as_linear() -> None:
    images = [x for x in pictures(6) if x.shape[1:] == SHAPE]
    transform = Transform.of(images, 8, 20.0)
    linear = ImageModel(ImageConfig(SHAPE, transform.latents, 8))
    deep = ImageModel(ImageConfig(SHAPE, transform.latents, 8, *IMAGE_SIZES["nano"]))
    for model in (linear, deep):
        model.start(transform)
    given = torch.from_numpy(np.concatenate(images).astype(np.float32))
    with torch.no_grad():
        y = linear.g_a(given)
        assert y.shape == (len(images), 5, 6, transform.latents)
        assert torch.allclose(deep.g_a(given), y, atol=1e-4)
        assert torch.allclose(deep.g_s(y), linear.g_s(y), atol=1e-3)
        mse = float(((linear.g_s(torch.round(y)) - given) ** 2).mean())
    assert 5.0 < mse < 40.0, "the step of reverse water-filling should land near the bound"


def test_patches_are_transformed_without_loss() -> None:
    """All components kept: the blocks are orthonormal, by KLT where patches abound, else by DCT."""
    few = [x for x in pictures(3) if x.shape[1:] == SHAPE]
    for images, grey in ((few, False), ([x[..., :1] for x in pictures(90)[1::3]], True)):
        transform = Transform.of(images, 8, 1.0)
        size = 64 * (1 if grey else 3)
        assert np.allclose(transform.basis @ transform.basis.T, np.eye(size), atol=1e-9)
        assert (np.diff(transform.variances) <= 1e-9).all()
        shape = images[0].shape[1:]
        model = ImageModel(ImageConfig(shape, size, 8))
        model.start(transform)
        given = torch.from_numpy(images[0].astype(np.float32))
        with torch.no_grad():
            assert float((model.g_s(model.g_a(given)) - given).abs().max()) < 1e-2


# Runs


def conv1d(data: Path, run: Path, **settings: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "max_distortion": 0.1,
        "metric": "nrmse",
        "window": T,
        "size": "nano",
        "epochs": 3,
        "batch": 32,
    }
    return train(data, output=run, force=True, **(wanted | settings))


def conv2d(data: Path, run: Path, **settings: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "max_distortion": 30.0,
        "metric": "psnr",
        "size": "nano",
        "epochs": 3,
        "latents": 16,
    }
    return train(data, output=run, force=True, **(wanted | settings))


def weights(run: Path) -> dict[str, bytes]:
    """All tensors of the checkpoint, Adam's moments too, and the model that was kept."""
    tensors = safetensors.torch.load((run / "checkpoint.safetensors").read_bytes())
    assert any(name.startswith("adam.") for name in tensors)
    found = {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}
    return {**found, "kept": (run / "model.safetensors").read_bytes()}


def stopping(after: int) -> Any:
    calls = iter([False] * after + [True])
    return lambda: next(calls)


def test_a_stopped_conv1d_resumes_to_the_same_end(series_csv: Path, tmp_path: Path) -> None:
    """With gaps, which count for nothing; by `auto`."""
    card = conv1d(series_csv, tmp_path / "whole")
    assert card["met"]
    assert set(card["bytes_of"]) == {"trained", "start"}
    assert card["packet_bytes"] == min(card["bytes_of"].values())
    with pytest.raises(StoppedError):
        conv1d(series_csv, tmp_path / "cut", stop=stopping(10))
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    again = resume(tmp_path / "cut")
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    for one in (card, again):
        del one["training"]
    assert again == card
    assert RunFolder(tmp_path / "cut").description()["model"]["kind"] == "conv1d"
    bundle = export(tmp_path / "cut", tmp_path / "x.rdb")
    assert bundle.scorecard["export"]["packet_bytes"] == pytest.approx(
        card["packet_bytes"], rel=0.05
    )


def test_a_stopped_conv2d_resumes_to_the_same_end(folder: Path, tmp_path: Path) -> None:
    """Crops and flips are those of the epoch, whenever it is trained."""
    card = conv2d(folder, tmp_path / "whole")
    assert card["met"]
    with pytest.raises(StoppedError):
        conv2d(folder, tmp_path / "cut", stop=stopping(5))
    again = resume(tmp_path / "cut")
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    for one in (card, again):
        del one["training"]
    assert again == card


def test_the_trained_network_is_exported_with_its_layers(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where it is no better than its start, which is what a few epochs make of it."""
    monkeypatch.setattr("rdedge.host.train._better", _trained)
    card = conv2d(folder, tmp_path / "run", epochs=1)
    assert card["kept"] == "conv2d"
    bundle = export(tmp_path / "run", tmp_path / "x.rdb")
    assert bundle.manifest.model == "conv2d"
    assert bundle.manifest.patch == 8
    assert bundle.scorecard["parity"]["max_output_difference"] < 0.01
    encoder, decoder = Encoder(bundle), Decoder(bundle)
    for shape in (SHAPE, (45, 33, 3), (8, 8, 3), (5, 100, 3), (1, 1, 3)):
        x = pictures(1, seed=7)[0]
        x = np.ascontiguousarray(np.resize(x, (2, *shape)))
        x_hat = decoder.decode(encoder.encode(x))
        assert x_hat.shape == x.shape
        assert x_hat.dtype == np.uint8


def _trained(trainer: Any, parts: Any) -> tuple[Model, dict[str, Any], Any]:
    from rdedge.host.evaluate import evaluate

    return trainer.model, *evaluate(trainer.model, parts, trainer.bound, trainer.scale)


def test_the_start_is_kept_where_training_only_harms(series_csv: Path, tmp_path: Path) -> None:
    card = conv1d(series_csv, tmp_path / "r", learning_rate=1.0, epochs=1)
    assert card["kept"] == "start: linear"
    assert card["model"]["kind"] == "linear"
    assert card["bytes_of"]["start"] == card["packet_bytes"]
    bundle = export(tmp_path / "r", tmp_path / "x.rdb")
    assert bundle.manifest.model == "linear"
