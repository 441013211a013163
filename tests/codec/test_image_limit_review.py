"""What an encoder writes of large images, a decoder reads."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from rdedge import Decoder, Encoder
from rdedge.bundle.bundle import Bundle
from rdedge.codec import decoder, encoder, files
from rdedge.data.sources import Source
from rdedge.errors import ShapeError
from rdedge.format.container import Container
from rdedge.host.export import export
from rdedge.host.train import train

LIMIT = 24 * 32 * 4


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:24, :32]
    waves = [np.sin(x / 5 + i) + np.cos(y / 4 - i) for i in range(20)]
    noise = rng.normal(0, 3, (20, 24, 32))
    return (128 + 40 * np.array(waves) + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def bundle(images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    place = tmp_path_factory.mktemp("images")
    np.save(place / "x.npy", images)
    train(
        place / "x.npy",
        kind="image",
        max_distortion=32.0,
        metric="psnr",
        model="linear",
        output=place / "run",
    )
    return export(place / "run", place / "x.rdb")


def test_a_packet_that_no_decoder_reads_is_not_written(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (encoder, decoder):
        monkeypatch.setattr(module, "MAX_IMAGE_ELEMENTS", LIMIT)
    other = np.zeros((5, 32, 24, 1), np.uint8)
    with pytest.raises(ShapeError, match="images of 3840 elements"):
        Encoder(bundle).encode(other)
    packet = Encoder(bundle).encode(other[:4])
    assert Decoder(bundle).decode(packet).shape == (4, 32, 24, 1)


def test_compress_cuts_batches_of_large_images(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (encoder, decoder, files):
        monkeypatch.setattr(module, "MAX_IMAGE_ELEMENTS", LIMIT)
    x = np.arange(9 * 32 * 24, dtype=np.uint8).reshape(9, 32, 24, 1)
    source = Source("x.npy", "npy", x, x.nbytes, sample_kind="image")
    file = io.BytesIO()
    written, _ = files.compress(Encoder(bundle), [source], file)
    assert written[0].packets == 3
    (restored,) = files.restore(Decoder(bundle), Container(file.getvalue()))
    assert restored.samples.shape == x.shape


def test_an_account_counts_images_as_large_as_they_are(bundle: Bundle, tmp_path: Path) -> None:
    from rdedge.ledger.account import account

    sizes = ((24, 32), (7, 90), (1, 1))
    made = [np.zeros((2, *size, 1), np.uint8) for size in sizes]
    sources = [
        Source(f"{i}.npy", "npy", x, x.nbytes, sample_kind="image") for i, x in enumerate(made)
    ]
    file = io.BytesIO()
    files.compress(Encoder(bundle), sources, file)
    found = account(Container(file.getvalue()), bundle.manifest.sample)
    assert [s.raw_bytes for s in found.sources] == [x.nbytes for x in made]
    assert found.elements == found.raw_bytes == sum(x.size for x in made)
