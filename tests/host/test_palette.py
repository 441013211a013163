"""`palette` from training to packets: few-valued pictures, changed pixels, restored greys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdedge.bundle.bundle import Bundle
from rdedge.bundle.fallback import Fallback
from rdedge.codec import Decoder, Encoder
from rdedge.errors import ConfigError, TrainingError
from rdedge.host import palette_values, palettes, pixels, restore
from rdedge.host.datasets import Parts, scale_of
from rdedge.host.export import export
from rdedge.host.models.palette import SIZES, PaletteConfig
from rdedge.host.palette_values import few_valued
from rdedge.host.train import resume, train
from rdedge.types import Bound, SampleSpec

INK, PAPER = 12.0, 240.0
BOUND = 21.0


@pytest.fixture(scope="module", autouse=True)
def little() -> Iterator[None]:
    """Networks are trained for a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(palettes, "_RESTORE_STEPS", 60)
        patch.setattr(restore, "_BATCH_PIXELS", 2048)
        patch.setattr(palettes, "_EPOCH_STEPS", 20)
        patch.setattr(palette_values, "_STEPS", 20)
        patch.setattr(pixels, "_BATCH", 512)
        patch.setitem(SIZES, "nano", (24, 12, 8, 6))
        yield


def boards(count: int, size: tuple[int, int], seed: int) -> np.ndarray:
    """(count, *size) uint8: rectangles with grey borders and specks on paper."""
    rng = np.random.default_rng(seed)
    fine = np.zeros((count, 2 * size[0], 2 * size[1]))
    for board in fine:
        for _ in range(5):
            y, x = rng.integers(0, board.shape[0] - 8), rng.integers(0, board.shape[1] - 8)
            board[y : y + rng.integers(7, 20), x : x + rng.integers(7, 20)] = 1.0
    ink = fine.reshape(count, size[0], 2, size[1], 2).mean(axis=(2, 4))
    ink[rng.random(ink.shape) < 0.004] = 1.0
    grey = PAPER + (INK - PAPER) * ink + rng.normal(0, 3, ink.shape)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("palette")
    (found / "boards").mkdir()
    for i, board in enumerate(boards(14, (40, 32), 1)):
        Image.fromarray(board).save(found / "boards" / f"{i:02}.png")
    np.save(found / "vectors.npy", boards(160, (14, 12), 2))
    return found


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    train(
        folder / "boards",
        max_distortion=BOUND,
        metric="psnr",
        output=folder / "run",
        epochs=4,
    )
    return folder / "run"


@pytest.fixture(scope="module")
def bundle(run: Path) -> Bundle:
    export(run, run.parent / "boards.rdb")
    return Bundle.read(run.parent / "boards.rdb")


def test_auto_takes_it_and_says_why(run: Path, bundle: Bundle) -> None:
    card = json.loads((run / "scorecard.json").read_text())
    assert card["model"]["kind"] == card["selected_by"] == bundle.manifest.model == "palette"
    assert "grey values" in card["chosen_because"]
    assert card["met"]
    assert card["distortion"] >= BOUND
    assert len(card["distortion_cross_fitted"]) == 2
    assert bundle.manifest.rate_weight == card["rate_weight"] > 0
    first, second = card["model"]["hidden"]
    each = card["model"]["inputs"] * first + first * second + second
    assert len(card["model"]["values"]) == 2
    assert card["model"]["encoder_macs"] == bundle.manifest.encoder.macs == 40 * 32 * (each + 1)


def test_the_smallest_takes_five_thousand_multiply_adds_a_pixel() -> None:
    pixel = PaletteConfig((1, 1, 1), (0.0, 1.0), 96, (40, 24), 12)
    assert pixel.encoder_macs <= 5000


def test_what_is_sent_comes_back(bundle: Bundle) -> None:
    card = bundle.scorecard["export"]
    assert card["distortion"]["value"] == bundle.scorecard["training"]["distortion"]
    assert card["packet_bytes"] == bundle.scorecard["training"]["packet_bytes"]
    x = boards(3, (40, 32), 9)[..., None]
    for images in (x, x[:, :17, :31], x[:1, :1, :1]):
        packets = [Encoder(bundle, coder=coder).encode(images) for coder in ("c", "numpy")]
        assert packets[0] == packets[1]
        back = [Decoder(bundle, coder=coder).decode(packets[0]) for coder in ("c", "numpy")]
        assert (back[0] == back[1]).all()
        assert back[0].shape == images.shape


def test_changed_pixels_save_bits_and_restored_greys_decibels(bundle: Bundle) -> None:
    x = boards(4, (40, 32), 11)[..., None]
    same = Bundle.make(replace(bundle.manifest, rate_weight=0.0), bundle.members)
    sizes = [len(Encoder(one).encode(x)) for one in (bundle, same)]
    assert sizes[0] < sizes[1]
    values = np.array(bundle.scorecard["training"]["model"]["values"])
    symbols = Encoder(same).symbols(x).reshape(x.shape)
    plain = np.square(values[symbols] - x).mean()
    restored = np.square(Decoder(same).decode(Encoder(same).encode(x)).astype(float) - x).mean()
    assert restored < plain


def test_the_gate_promises_each_picture(bundle: Bundle) -> None:
    x = boards(6, (40, 32), 12)[..., None]
    x[0] = np.random.default_rng(0).integers(0, 256, x[0].shape)
    bundle = Bundle.make(replace(bundle.manifest, fallbacks=(Fallback("zstd"),)), bundle.members)
    encoder = Encoder(bundle, gate="always")
    back = Decoder(bundle).decode(encoder.encode(x)).astype(float)
    errors = np.square(back - x).reshape(6, -1).mean(axis=1)
    assert (10 * np.log10(255.0**2 / np.maximum(errors, 1e-9)) >= BOUND).all()
    # Noise has another codec; a board whose changed pixels miss the bound is sent as it is.
    assert encoder.tally.fallbacks["zstd"] >= 1
    changed = Decoder(bundle).decode(Encoder(bundle).encode(x)).astype(float)
    missed = 10 * np.log10(255.0**2 / np.square(changed - x).reshape(6, -1).mean(axis=1)) < BOUND
    assert encoder.tally.levels[0] > (~missed).sum()


def test_vectors_that_are_pictures(folder: Path) -> None:
    card = train(
        folder / "vectors.npy",
        max_distortion=24.0,
        metric="psnr",
        output=folder / "of-vectors",
        model="palette",
        epochs=3,
    )
    assert card["met"]
    assert "chosen_because" not in card
    bundle = export(folder / "of-vectors", folder / "vectors.rdb")
    assert bundle.palette is not None
    assert bundle.palette.size == (14, 12)
    x = boards(5, (14, 12), 5)
    packet = Encoder(bundle).encode(x)
    assert Encoder(bundle, coder="numpy").encode(x) == packet
    back = Decoder(bundle, coder="numpy").decode(packet)
    assert (back == Decoder(bundle).decode(packet)).all()
    assert back.shape == x.shape


def test_a_run_goes_on(run: Path) -> None:
    before = json.loads((run / "scorecard.json").read_text())
    again = resume(run)
    assert again["packet_bytes"] == before["packet_bytes"]
    assert again["entropy_sha256"] == before["entropy_sha256"]


def test_a_damaged_palette_of_a_run_is_refused(run: Path, tmp_path: Path) -> None:
    kept = (run / "palette.bin").read_bytes()
    for data in (kept[:-1] + bytes([kept[-1] ^ 1]), None):
        if data is None:
            (run / "palette.bin").unlink()
        else:
            (run / "palette.bin").write_bytes(data)
        try:
            with pytest.raises(TrainingError):
                export(run, tmp_path / "x.rdb")
        finally:
            (run / "palette.bin").write_bytes(kept)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((10, 16, 16, 3), "uint8"), ((80, 5), "uint8"), ((80, 4, 4, 4), "float32")]
)
def test_what_is_no_grey_picture_is_refused(
    shape: tuple[int, ...], dtype: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 2, shape).astype(dtype))
    kind = "image" if shape[-1] == 3 else "vector"
    with pytest.raises(ConfigError, match="palette"):
        train(
            tmp_path / "x.npy",
            max_distortion=1.0,
            output=tmp_path / "run",
            model="palette",
            kind=kind,
        )
    assert not (tmp_path / "run").exists()


def test_what_has_many_values_is_refused_and_left_by_auto(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 24, 24, 1)).astype(np.uint8)
    np.save(tmp_path / "x.npy", noise)
    with pytest.raises(ConfigError, match="8 grey values"):
        train(
            tmp_path / "x.npy",
            max_distortion=1.0,
            output=tmp_path / "run",
            model="palette",
            kind="image",
        )
    np.save(tmp_path / "x.npy", np.full_like(noise, 7))
    with pytest.raises(TrainingError, match="one grey"):
        train(
            tmp_path / "x.npy",
            max_distortion=1.0,
            output=tmp_path / "run",
            model="palette",
            kind="image",
        )


def test_auto_leaves_vectors_whose_bound_is_coarse() -> None:
    parts = Parts(SampleSpec("vector", (14, 12), "uint8"), *[[boards(40, (14, 12), 2)]] * 3)
    scale = scale_of(parts)
    assert few_valued(parts, Bound("psnr", 15.0), scale) is None
    parts.train[0][:] = np.where(parts.train[0] > 128, 255, 0)
    assert few_valued(parts, Bound("psnr", 99.0), scale) is not None


def test_options_that_say_nothing_to_it_are_refused(folder: Path, tmp_path: Path) -> None:
    for option in ({"latents": 4}, {"rate": "none"}, {"batch": 8}, {"learning_rate": 0.1}):
        with pytest.raises(ConfigError, match="palette"):
            train(
                folder / "boards",
                max_distortion=BOUND,
                metric="psnr",
                output=tmp_path / "run",
                model="palette",
                **option,
            )
