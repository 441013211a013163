"""Bundles that several tests of the codec share."""

from __future__ import annotations

import numpy as np
import pytest

from rdedge.bundle.bundle import Bundle


@pytest.fixture(scope="session")
def image_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    from rdedge.host.export import export
    from rdedge.host.train import train

    place = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(4)
    rows, columns = np.mgrid[0:32, 0:40]
    waves = [
        128 + 90 * np.sin(rows / rng.uniform(3, 9) + k) * np.cos(columns / rng.uniform(3, 9))
        for k in range(24)
    ]
    noisy = np.stack(waves)[..., None] + rng.normal(0, 4, (24, 32, 40, 1))
    np.save(place / "waves.npy", np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    train(
        place / "waves.npy",
        max_distortion=34.0,
        metric="psnr",
        model="linear",
        kind="image",
        output=place / "run",
    )
    export(place / "run", place / "waves.rdb", allow_missed=True)
    return Bundle.read(place / "waves.rdb")


def drift(count: int, seed: int = 0) -> np.ndarray:
    """(count, 3) float32: three signals that wander together, and a knock now and then."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(0, 1, (count + 40, 3)) @ np.array([[1, 0.5, 0.2], [0, 1, 0.4], [0, 0, 1]])
    smooth = np.stack([np.convolve(c, np.hanning(40), "valid")[:count] for c in mixed.T], axis=1)
    knocks = (rng.random((count, 3)) < 0.004) * rng.normal(0, 3, (count, 3))
    return (smooth + 0.1 * rng.normal(0, 1, (count, 3)) + knocks).astype(np.float32)


@pytest.fixture(scope="session")
def drift_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Trained for a bound on the largest error."""
    from rdedge.host.export import export
    from tests.host import plant

    place = tmp_path_factory.mktemp("drift")
    np.save(place / "drift.npy", drift(6400))
    plant.linear(place / "drift.npy", place / "run", max_distortion=0.6, metric="max-abs")
    export(place / "run", place / "drift.rdb", allow_missed=True)
    return Bundle.read(place / "drift.rdb")
