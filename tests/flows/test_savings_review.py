"""`rdedge savings` compares at equal distortion, and says what the figures leave out."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from rdedge import Decoder, Encoder
from rdedge.bundle.bundle import Bundle
from rdedge.cli.group import run as cli
from rdedge.codec.files import compress
from rdedge.data.sources import Source
from rdedge.flows import savings as flow
from rdedge.format.container import Container
from rdedge.report.savings import savings_text
from rdedge.types import Bound, SampleSpec


def test_samples_that_miss_the_bound_are_compared_at_what_they_reach(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 17, (40, 8, 8)).astype(np.uint8)
    file = io.BytesIO()
    compress(Encoder(bundle), [Source("noise.npy", "npy", noise, noise.nbytes)], file)
    asked: list[Bound] = []

    def rivals(spec: SampleSpec, samples: object, bound: Bound, *_: object, **__: object) -> list:
        asked.append(bound)
        return []

    monkeypatch.setattr(flow, "rivals", rivals)
    container = Container(file.getvalue())
    found, _ = flow.savings(container, Decoder(bundle), [noise])
    assert found.quality is not None
    assert found.quality.mean > bundle.manifest.bound.value
    assert asked[0].value == found.quality.mean
    assert "no classical codec at hand" in savings_text(found.to_json())


def test_times_and_gaps_are_told_apart(
    series_path: Path, series_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rdz = tmp_path / "log.rdz"
    assert cli(["compress", "-b", str(series_path), str(series_csv), "-o", str(rdz)]) == 0
    more = ["-b", str(series_path), "--data", str(series_csv), "--quick"]
    assert cli(["savings", str(rdz), *more]) == 0
    assert "are times and gaps" in capsys.readouterr().out


def test_where_nothing_is_lost_no_figure_is_nan() -> None:
    each = np.full(5, np.inf)
    assert flow._kept_by_most(each, Bound("psnr", 30.0)) == np.inf
    assert flow._kept_by_most(np.array([30.0, np.inf, np.inf]), Bound("psnr", 30.0)) == 30.0
