"""Images from a folder to a bundle and back: any size, depth and number of channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rdedge import Decoder, Encoder
from rdedge.bundle.bundle import Bundle
from rdedge.cli.group import run as cli
from rdedge.codec.symbols import SymbolCodec
from rdedge.data.png import png_bytes
from rdedge.errors import ConfigError, FormatError, MismatchError, ShapeError, TrainingError
from rdedge.flows.check import check
from rdedge.format.packet import Packet, Run, read_packet
from rdedge.host.datasets import load
from rdedge.host.evaluate import seam_ratio
from rdedge.host.export import export
from rdedge.host.models import rebuild
from rdedge.host.models.image import ImageConfig
from rdedge.host.rates.priors import predicted
from rdedge.host.splits import Split
from rdedge.host.train import resume, train

SIZES = ((48, 64), (37, 80), (64, 33))


def picture(seed: int, shape: tuple[int, int], channels: int, dtype: str) -> np.ndarray:
    """Smooth waves and some noise, (H, W, C)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    phase = rng.uniform(0, 6, channels)
    waves = np.stack([np.sin(x / 9 + p) + np.cos(y / 7 + 2 * p) for p in phase], axis=-1)
    top = float(np.iinfo(dtype).max)
    grey = 0.5 + 0.2 * waves + rng.normal(0, 0.02, waves.shape)
    return (top * grey.clip(0, 1)).round().astype(dtype)


def folder(path: Path, count: int = 24, channels: int = 1, dtype: str = "uint8") -> Path:
    path.mkdir(parents=True)
    for i in range(count):
        made = picture(i, SIZES[i % 3], channels, dtype)
        (path / f"tile{i // 2}-exp{i % 2}.png").write_bytes(png_bytes(made))
    return path


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("grey") / "pictures")


@pytest.fixture(scope="module")
def bundle(grey: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    place = tmp_path_factory.mktemp("run")
    train(grey, max_distortion=34.0, metric="psnr", model="linear", output=place / "run")
    return export(place / "run", place / "grey.rdb")


@pytest.mark.parametrize(("channels", "dtype"), [(3, "uint8"), (1, "uint16"), (3, "uint16")])
def test_colour_and_depth(channels: int, dtype: str, tmp_path: Path) -> None:
    data = folder(tmp_path / "pictures", 12, channels, dtype)
    card = train(data, max_distortion=0.05, metric="nrmse", model="linear", output=tmp_path / "run")
    assert card["met"]
    made = export(tmp_path / "run", tmp_path / "x.rdb")
    assert made.manifest.sample.dtype == dtype
    assert made.manifest.sample.shape[2] == channels
    encoder, decoder = Encoder(made), Decoder(made)
    x = picture(99, (41, 50), channels, dtype)[None]
    x_hat = decoder.decode(encoder.encode(x))
    assert x_hat.shape == x.shape
    assert x_hat.dtype == x.dtype
    assert np.std(x_hat.astype(float) - x) < 0.1 * np.std(x.astype(float))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    count=st.integers(1, 3),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    seed=st.integers(0, 9),
)
def test_any_size_comes_back(
    bundle: Bundle, count: int, height: int, width: int, seed: int
) -> None:
    x = np.random.default_rng(seed).integers(0, 256, (count, height, width, 1), np.uint8)
    packet = Encoder(bundle, coder="c").encode(x)
    assert packet == Encoder(bundle, coder="numpy").encode(x)
    x_hat = Decoder(bundle, coder="numpy").decode(packet)
    assert np.array_equal(x_hat, Decoder(bundle, coder="c").decode(packet))
    assert x_hat.shape == x.shape
    assert x_hat.dtype == x.dtype


def test_the_bundle_proves_itself_and_says_what_it_needs(bundle: Bundle) -> None:
    assert check(bundle).fine
    manifest = bundle.manifest
    assert manifest.sample.kind == "image"
    assert manifest.patch in (8, 16)
    assert bundle.selection.predicted.tolist() == [0]
    card = bundle.scorecard["training"]
    assert 0.5 < card["seam_ratio"] < 3.0


def test_a_packet_names_a_shape_only_where_it_is_another(bundle: Bundle) -> None:
    encoder, decoder = Encoder(bundle), Decoder(bundle)
    usual = np.zeros((1, *bundle.manifest.sample.shape), np.uint8)
    assert read_packet(encoder.encode(usual))[0].shape is None
    packet, _ = read_packet(encoder.encode(usual[:, :20]))
    assert packet.shape == (20, *usual.shape[2:])
    for shape in (bundle.manifest.sample.shape, (20, 20, 3), (20, 20), (20, 20, 1, 1)):
        forged = Packet(packet.codec_key, packet.runs, packet.streams, shape=shape)
        with pytest.raises(MismatchError):
            decoder.decode_packet(forged)
    huge = Packet(packet.codec_key, (Run(0, 0, 1),), packet.streams, shape=(1 << 24, 1 << 24, 1))
    with pytest.raises(FormatError):
        decoder.decode_packet(huge)


def test_other_channels_and_depths_are_refused(bundle: Bundle) -> None:
    encoder = Encoder(bundle)
    for x in (np.zeros((1, 20, 20, 3), np.uint8), np.zeros((1, 20, 20, 1), np.uint16)):
        with pytest.raises(ShapeError):
            encoder.encode(x)


def test_files_come_back_under_their_names(grey: Path, bundle: Bundle, tmp_path: Path) -> None:
    bundle.write(tmp_path / "x.rdb")
    rdb, rdz, out = (str(tmp_path / n) for n in ("x.rdb", "x.rdz", "out"))
    assert cli(["compress", "-b", rdb, str(grey), "-o", rdz]) == 0
    assert cli(["decompress", "-b", rdb, rdz, "-o", out]) == 0
    names = sorted(p.name for p in (Path(out) / "pictures").iterdir())
    assert names == sorted(p.name for p in grey.iterdir())
    assert cli(["savings", "-b", rdb, rdz, "--data", str(grey), "--no-classical"]) == 0


def test_an_unreadable_picture_is_left_out_named_and_ends_in_1(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = folder(tmp_path / "pictures", 12)
    (data / "broken.png").write_bytes((data / "tile0-exp0.png").read_bytes()[:50])
    bundle.write(tmp_path / "x.rdb")
    where = ["-b", str(tmp_path / "x.rdb"), str(data), "-o", str(tmp_path / "x.rdz")]
    assert cli(["compress", *where]) == 1
    assert "broken.png" in capsys.readouterr().err
    arguments = [str(data), "--model", "linear", "--metric", "psnr", "--max-distortion", "30"]
    assert cli(["train", *arguments, "-o", str(tmp_path / "run")]) == 1
    said = capsys.readouterr()
    assert "broken.png" in said.err
    assert "1 files of DATA could not be read" in said.err
    assert "psnr 30" in said.out


def test_mixed_depths_are_refused(tmp_path: Path) -> None:
    data = folder(tmp_path / "pictures", 12)
    (data / "deep.png").write_bytes(png_bytes(picture(0, (40, 40), 1, "uint16")))
    with pytest.raises(ShapeError, match="uint16"):
        train(data, max_distortion=30.0, metric="psnr", output=tmp_path / "run")


def test_conv2d_starts_as_linear_and_resumes_to_the_same_weights(
    grey: Path, tmp_path: Path
) -> None:
    options = {"max_distortion": 32.0, "metric": "psnr", "model": "conv2d", "size": "nano"}
    asked = iter([False] * 5 + [True])
    with pytest.raises(TrainingError, match="stopped"):
        train(grey, output=tmp_path / "a", epochs=3, stop=lambda: next(asked, True), **options)
    resumed = resume(tmp_path / "a")
    whole = train(grey, output=tmp_path / "b", epochs=3, **options)
    assert resumed["model_sha256"] == whole["model_sha256"]
    assert set(whole["bytes_of"]) == {"trained", "start"}
    assert whole["packet_bytes"] == min(whole["bytes_of"].values())


@pytest.mark.parametrize("size", ["nano", "small", "base"])
def test_sizes_are_light_to_encode(size: str) -> None:
    from rdedge.host.models.image import SIZES as WIDTHS

    config = ImageConfig((640, 640, 1), 128, 16, *WIDTHS[size])
    model = rebuild(config.to_json())
    assert model.config.to_json() == config.to_json()
    limit = {"nano": 1000, "small": 5000, "base": 12000}[size]
    assert config.encoder_macs / 640**2 < limit
    assert config.decoder_macs > config.encoder_macs


def test_groups_stay_together(grey: Path) -> None:
    dataset = load(grey, group=r"(tile\d+)")
    assert dataset.count == 24
    assert dataset.starts == tuple(range(0, 24, 2))
    split = Split.of(24, None, "image").between(dataset.starts)
    for part in (split.train, split.validation, split.held_out):
        assert part.start % 2 == 0
        assert len(part) > 0
    with pytest.raises(ConfigError, match="finds nothing"):
        load(grey, group=r"camera(\d+)")


def test_pictures_of_one_grey_have_nothing_to_learn(tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    for i in range(12):
        made = np.full((40, 40, 1), 7, np.uint8)
        (tmp_path / "flat" / f"{i}.png").write_bytes(png_bytes(made))
    with pytest.raises((TrainingError, ConfigError)):
        train(
            tmp_path / "flat",
            max_distortion=30.0,
            metric="psnr",
            model="linear",
            output=tmp_path / "run",
        )


def test_the_prior_predicts_as_the_format_says() -> None:
    import torch

    from rdedge.coding.prediction import predict

    plane = np.random.default_rng(0).integers(-9, 9, (2, 5, 7), np.int32)
    left = predict(plane[..., None].copy(), np.array([0]))[..., 0]
    assert np.array_equal(predicted(torch.from_numpy(plane).float()).numpy(), left)


def test_seams_are_where_patches_meet() -> None:
    x = np.zeros((1, 32, 32, 1), np.float32)
    error = np.full_like(x, 1.0)
    assert seam_ratio([x], [error], 16) == pytest.approx(1.0)
    error[:, [0, 15, 16, 31]] = 2.0
    error[:, :, [0, 15, 16, 31]] = 2.0
    assert seam_ratio([x], [error], 16) == pytest.approx(4.0)
    assert seam_ratio([x], [x], 16) is None


def test_a_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch, grey: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    assert cli(["train", str(grey), "--metric", "psnr", "--max-distortion", "30", "-o", "x"]) == 1
    assert "rdedge[images]" in capsys.readouterr().err


def test_the_symbol_codec_is_that_of_the_bundle(bundle: Bundle) -> None:
    codec = SymbolCodec.of(bundle)
    symbols = np.zeros((1, 6 * codec.latents), np.int32)
    packet, _ = read_packet(codec.pack(symbols.reshape(-1), 1, grid=(2, 3), shape=(20, 20, 1)))
    assert np.array_equal(codec.unpack(packet, (2, 3)), symbols)
