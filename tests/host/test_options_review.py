"""Options that say nothing to the data or the model are refused, not ignored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rdedge.cli.group import run as cli
from rdedge.errors import BoundMissedError, ConfigError, TrainingError
from rdedge.host.train import train


@pytest.mark.parametrize(
    "options",
    [{"window": 5}, {"columns": ("a",)}, {"key": "x"}, {"separator": ";"}, {"kind": "image"}],
    ids=lambda options: next(iter(options)),
)
def test_nothing_says_how_to_read_digits(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="digits"):
        train("digits", max_distortion=8.0, output=tmp_path / "run", **options)


def test_options_of_series_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="stride"):
        train("digits", max_distortion=8.0, output=tmp_path / "run", stride=3)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(2000, 2)))
    with pytest.raises(ConfigError, match="data without names"):
        train(tmp_path / "x.npy", max_distortion=0.1, output=tmp_path / "run", columns=("a", "b"))


def test_the_advice_fits_the_metric_and_the_model(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (20, 16, 24)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    arguments = ["train", str(tmp_path / "x.npy"), "--kind", "image", "--metric", "psnr"]
    more = ["--max-distortion", "30", "--model", "linear", "--held-out", "2", "--latents", "1"]
    assert cli([*arguments, *more, "-o", str(tmp_path / "run")]) == 1
    with pytest.raises(BoundMissedError) as caught:
        train(
            tmp_path / "x.npy",
            kind="image",
            metric="psnr",
            max_distortion=30.0,
            model="linear",
            latents=1,
            output=tmp_path / "again",
        )
    assert "lower the bound, or give more --latents; " in caught.value.do


def test_a_part_without_a_value_decides_nothing(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(3200, 2)).astype(np.float32)
    x[-900:] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(TrainingError, match="held-out part"):
        train(
            tmp_path / "x.npy",
            kind="series",
            metric="psnr",
            max_distortion=30.0,
            model="linear",
            output=tmp_path / "run",
        )
    x[-200:] = 1.0
    np.save(tmp_path / "x.npy", x)
    card = train(
        tmp_path / "x.npy",
        kind="series",
        metric="psnr",
        max_distortion=15.0,
        model="linear",
        output=tmp_path / "run",
    )
    assert card["met"]
