"""Contexts from training to packets: chosen where they need fewer bits, kept with the run."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from rdedge.bundle.bundle import Bundle
from rdedge.codec import Decoder, Encoder
from rdedge.coding.rows import DIRECTIONS
from rdedge.errors import BundleError, ConfigError, FormatError, TrainingError
from rdedge.format.packet import Run, read_packet
from rdedge.host import contexts, entropy
from rdedge.host.contexts import SIZES, mass
from rdedge.host.export import export
from rdedge.host.spans import image_spans
from rdedge.host.taps import fit_taps
from rdedge.host.train import train

KEPT = ("contexts.bin", "tables.bin", "selection.bin")


@pytest.fixture(scope="module", autouse=True)
def little_data() -> Iterator[None]:
    """Contexts are tried on little data too, and trained for a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entropy, "_LEAST_SYMBOLS", 2000)
        patch.setattr(contexts, "_STEPS", (60, 60))
        yield


def bursts(count: int, seed: int) -> np.ndarray:
    """(count, 32, 2) float32 windows whose two channels are loud at the same frequencies."""
    rng = np.random.default_rng(seed)
    t = np.arange(32)
    loud = np.exp(rng.normal(0, 1.5, (count, 1, 1)))
    tone = np.sin(t[None, :, None] * rng.uniform(0.2, 1.5, (count, 1, 1)) + rng.uniform(0, 6))
    noise = rng.normal(0, 0.05, (count, 32, 2))
    return (loud * tone * np.array([1.0, -0.7]) + noise).astype(np.float32)


def streaks(count: int, seed: int) -> np.ndarray:
    """(count, 64, 64, 1) uint8 pictures of vertical streaks: a patch says what is below it."""
    rng = np.random.default_rng(seed)
    columns = np.cumsum(rng.normal(0, 6, (count, 1, 64)), axis=2)
    x = 128 + columns - columns.mean(axis=2, keepdims=True) + rng.normal(0, 2, (count, 64, 64))
    return np.clip(x, 0, 255).astype(np.uint8)[..., None]


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contexts")
    np.save(folder / "x.npy", bursts(300, 1))
    arguments = {"metric": "nrmse", "max_distortion": 0.05, "kind": "series", "model": "linear"}
    card = train(folder / "x.npy", output=folder / "run", **arguments)
    assert card["selected_by"] == "contexts"
    assert card["rate_weight"] > 0
    return folder / "run"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streaks")
    np.save(folder / "x.npy", streaks(140, 2))
    arguments = {"metric": "psnr", "max_distortion": 36.0, "kind": "image", "model": "linear"}
    card = train(folder / "x.npy", output=folder / "run", **arguments)
    assert card["selected_by"] == "contexts"
    return folder / "run"


@pytest.mark.parametrize(
    ("kind", "recipe"),
    [
        ("series", "default"),
        ("series", "fp16"),
        ("images", "default"),
        ("images", "fp16"),
        ("images", "int8"),
    ],
)
def test_any_precision_and_coder(
    kind: str, recipe: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(kind)
    bundle = export(run, tmp_path / "x.rdb", recipe=recipe)
    assert bundle.contexts is not None
    assert bundle.selection.fixed is not None
    card = json.loads((run / "scorecard.json").read_text())
    made = bundle.scorecard["export"]
    assert made["distortion"]["value"] == pytest.approx(card["distortion"], rel=0.02)
    x = bundle.reference.inputs[:3]
    packets = [Encoder(bundle, coder=coder).encode(x) for coder in ("c", "numpy")]
    assert packets[0] == packets[1]
    decoded = [Decoder(bundle, coder=coder).decode(packets[0]) for coder in ("c", "numpy")]
    assert (decoded[0] == decoded[1]).all()
    assert (decoded[0] == bundle.reference.outputs[:3]).all() or kind == "images"


def test_fewer_bytes_than_with_classes(
    series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entropy, "_LEAST_SYMBOLS", 1 << 62)
    arguments = {"metric": "nrmse", "max_distortion": 0.05, "kind": "series", "model": "linear"}
    classes = train(series.parent / "x.npy", output=tmp_path / "r", **arguments)
    assert classes["selected_by"] == "classes"
    card = json.loads((series / "scorecard.json").read_text())
    assert card["one_packet_bytes"] < classes["one_packet_bytes"]


def test_patches_are_foretold_from_above(images: Path, tmp_path: Path) -> None:
    bundle = export(images, tmp_path / "x.rdb")
    assert bundle.contexts is not None
    above = DIRECTIONS.index((-1, 0))
    taps = [tap for of_latent in bundle.contexts.taps for tap in of_latent]
    assert any(direction == above and weight > 64 for direction, _, weight in taps)


def test_every_level_comes_back(series: Path, tmp_path: Path) -> None:
    bundle = export(series, tmp_path / "x.rdb")
    encoder, decoder = Encoder(bundle), Decoder(bundle)
    x = bursts(20, 9)
    errors = []
    steps = [level.step for level in bundle.manifest.levels]
    for level in np.argsort(steps):
        x_hat = decoder.decode(encoder.encode(x, level=int(level)))
        errors.append(float(np.square(x_hat - x).mean()))
    assert errors[0] < errors[len(errors) // 2] < errors[-1]


@pytest.mark.parametrize("name", KEPT)
def test_altered_tables_of_a_run_are_not_exported(series: Path, tmp_path: Path, name: str) -> None:
    data = (series / name).read_bytes()
    try:
        (series / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        with pytest.raises(TrainingError, match="not those that the scorecard"):
            export(series, tmp_path / "x.rdb")
        (series / name).unlink()
        # Not every run has contexts: without them its tables are others.
        missed = "not those that" if name == "contexts.bin" else name
        with pytest.raises(TrainingError, match=missed):
            export(series, tmp_path / "x.rdb")
    finally:
        (series / name).write_bytes(data)


def test_contexts_that_do_not_fit_the_bundle(series: Path, images: Path, tmp_path: Path) -> None:
    bundle = export(series, tmp_path / "x.rdb")
    other = export(images, tmp_path / "y.rdb")
    members = dict(bundle.members) | {"contexts.bin": other.members["contexts.bin"]}
    plain = dataclasses.replace(bundle.manifest, trellis=None)
    for manifest in (bundle.manifest, plain):
        with pytest.raises(BundleError, match="contexts of"):
            Bundle.make(manifest, members)
    assert bundle.contexts is not None
    # The last latent, which moves the trellis, foretold from the one before it.
    taps = (*bundle.contexts.taps[:-1], ((0, bundle.contexts.latents - 2, 256),))
    tapped = dataclasses.replace(bundle.contexts, taps=taps).to_bytes()
    members = dict(bundle.members) | {"contexts.bin": tapped}
    with pytest.raises(BundleError, match="a trellis, and taps of latents"):
        Bundle.make(bundle.manifest, members)
    Bundle.make(plain, members)
    members = {k: v for k, v in bundle.members.items() if k != "contexts.bin"}
    with pytest.raises(BundleError, match="a trellis without"):
        Bundle.make(bundle.manifest, members)
    with pytest.raises(BundleError, match="a rate_weight without"):
        Bundle.make(plain, members)
    members = dict(bundle.members) | {"contexts.bin": b"\x01"}
    with pytest.raises(BundleError, match=r"contexts\.bin is damaged"):
        Bundle.make(bundle.manifest, members)


def test_probabilities_add_up() -> None:
    k = torch.arange(-4000, 4001)
    for away, trellis in [*((a, False) for a in range(8)), (0, True), (1, True)]:
        for level in ((0, 0, 0), (8, 1, 4), (20, 2, 8), (SIZES[0] - 1, 0, 2)):
            parameters = torch.tensor([[level[0] / 4 - 3.0, float(level[1]), level[2] * 0.75 - 3]])
            of_all = torch.full_like(k, away), parameters.expand(len(k), 3)
            moves = torch.full_like(k, trellis, dtype=torch.bool)
            total = mass(k, *of_all, moves).double().sum()
            assert float(total) == pytest.approx(1.0, abs=2e-3)


def test_taps_find_what_foretells() -> None:
    rng = np.random.default_rng(0)
    symbols = np.rint(rng.normal(0, 8, (40, 6, 6, 4))).astype(np.int32)
    for line in range(1, 6):
        symbols[:, line, :, 2] = symbols[:, line - 1, :, 2] + rng.integers(-1, 2, (40, 6))
    taps = fit_taps([symbols], np.array([True, True, True, False]))
    assert taps[2][0][:2] == (DIRECTIONS.index((-1, 0)), 2)
    assert 200 < taps[2][0][2] < 290
    assert taps[3] == ()
    assert sum(len(t) for k, t in enumerate(taps) if k != 2) <= 4
    assert len(image_spans(symbols.reshape(-1, 4))) == 4


def test_a_forged_count_takes_no_memory(images: Path, tmp_path: Path) -> None:
    bundle = export(images, tmp_path / "x.rdb")
    decoder = Decoder(bundle)
    packet, _ = read_packet(Encoder(bundle).encode(bundle.reference.inputs[:1]))
    forged = dataclasses.replace(packet, runs=(Run(0, 0, 1 << 24),))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="no more symbols than"):
            decoder.decode(forged.to_bytes())
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("quantiser", ["rounded", "lowered", "trellis"])
def test_a_quantiser_that_is_asked_for(quantiser: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", bursts(300, 4))
    arguments = {"metric": "nrmse", "max_distortion": 0.05, "kind": "series", "model": "linear"}
    card = train(tmp_path / "x.npy", output=tmp_path / "run", quantiser=quantiser, **arguments)
    assert card["selected_by"] == ("classes" if quantiser == "rounded" else "contexts")
    assert (card["rate_weight"] > 0) == (quantiser != "rounded")
    assert (card["trellis"] is not None) == (quantiser == "trellis")
    bundle = export(tmp_path / "run", tmp_path / "x.rdb")
    assert (bundle.manifest.trellis is not None) == (quantiser == "trellis")
    x = bursts(40, 5)
    back = [
        Decoder(bundle, coder=coder).decode(Encoder(bundle, coder=coder).encode(x))
        for coder in ("c", "numpy")
    ]
    assert back[0].tobytes() == back[1].tobytes()
    assert np.square(back[0] - x).mean() < 0.01 * x.var()


def test_an_unknown_quantiser_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", bursts(300, 4))
    with pytest.raises(ConfigError, match="quantiser is 'vector'"):
        train(tmp_path / "x.npy", max_distortion=0.1, output=tmp_path / "run", quantiser="vector")


def test_vectors_get_contexts_too(tmp_path: Path) -> None:
    """Latents that are loud together; a trellis and contexts against a table for each."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1500, 16)) * np.exp(rng.normal(0, 1.2, (1500, 1)))
    np.save(tmp_path / "x.npy", x.astype(np.float32))
    sizes = {}
    for quantiser in ("rounded", "auto"):
        card = train(
            tmp_path / "x.npy",
            max_distortion=0.05 * x.var(),
            epochs=1,
            output=tmp_path / quantiser,
            quantiser=quantiser,
        )
        sizes[quantiser] = card["packet_bytes"]
    assert card["selected_by"] == "contexts"
    assert card["trellis"] is not None
    assert sizes["auto"] < 0.95 * sizes["rounded"]
    bundle = export(tmp_path / "auto", tmp_path / "x.rdb")
    assert bundle.contexts is not None
