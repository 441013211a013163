"""One small run and its bundle, trained once for all tests that need a real codec."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from rdedge.bundle.bundle import Bundle
from rdedge.data import builtin

HELD_OUT = 397

# A busy machine is no failure. Where CI is set the examples are the same each time; elsewhere they
# are new ones, which is how faults are found.
settings.register_profile("rdedge", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("rdedge")


@pytest.fixture(scope="session", autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is measured or built of a test's bundle stays with the test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def digits() -> np.ndarray:
    """scikit-learn's digits, (1797, 8, 8) uint8."""
    return builtin.load("digits").samples


@pytest.fixture(scope="session")
def held_out(digits: np.ndarray) -> np.ndarray:
    return digits[-HELD_OUT:]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from rdedge.host.train import train

    folder = tmp_path_factory.mktemp("host") / "run"
    train("digits", max_distortion=4.0, output=folder, held_out=HELD_OUT, epochs=15)
    return folder


@pytest.fixture(scope="session")
def bundle_path(run_folder: Path) -> Path:
    from rdedge.host.export import export

    path = run_folder.parent / "digits.rdb"
    export(run_folder, path)
    return path


@pytest.fixture(scope="session")
def bundle(bundle_path: Path) -> Bundle:
    return Bundle.read(bundle_path)


@pytest.fixture(scope="session")
def series_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with times and gaps, 70 windows and 11 rows of tests.host.plant."""
    from tests.host import plant

    path = tmp_path_factory.mktemp("series") / "log.csv"
    plant.write_csv(path, 70 * plant.WINDOW + 11)
    return path


@pytest.fixture(scope="session")
def series_run(series_csv: Path) -> Path:
    from rdedge.host.train import train
    from tests.host import plant

    folder = series_csv.parent / "run"
    train(
        series_csv,
        max_distortion=0.02,
        metric="nrmse",
        window=plant.WINDOW,
        model="linear",
        output=folder,
    )
    return folder


@pytest.fixture(scope="session")
def series_path(series_run: Path) -> Path:
    from rdedge.host.export import export

    path = series_run.parent / "series.rdb"
    export(series_run, path)
    return path


@pytest.fixture(scope="session")
def series_bundle(series_path: Path) -> Bundle:
    return Bundle.read(series_path)
