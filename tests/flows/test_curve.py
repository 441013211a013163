"""`rdedge curve`: points that are what bundles and codecs really do, pages written whole."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from rdedge import metrics
from rdedge.cli.group import run as cli
from rdedge.errors import ConfigError, SourceError
from rdedge.flows.curve import Options, curve, write
from rdedge.flows.rivals import rivals
from rdedge.host.export import Draft
from rdedge.metrics import Scale
from rdedge.types import Bound, SampleSpec


def test_one_run_becomes_a_curve(series_run: Path) -> None:
    found = curve([series_run], Options(classical=False))
    packets = [p for p in found.points if p.packetised]
    assert len(packets) == 5
    rates = [p.bits_per_element.value for p in sorted(packets, key=lambda p: p.distortion)]
    assert rates == sorted(rates, reverse=True)
    own = next(p for p in packets if "step x" not in p.setting)
    draft = Draft.of(series_run)
    measured = draft.bundle().scorecard["export"]
    assert own.bits_per_element.value == pytest.approx(measured["bits_per_element"]["value"])
    assert own.distortion == pytest.approx(measured["distortion"]["value"])
    assert own.encode_s_per_sample is not None
    assert own.encode_s_per_sample.kind == "actual"
    streams = [p for p in found.points if not p.packetised]
    assert min(p.bits_per_element.value for p in streams) < min(rates)


def test_pages_are_written_and_not_over_others(
    series_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "curve"
    assert cli(["curve", str(series_run), "-o", str(out), "--no-classical"]) == 0
    assert "learned: rdedge (linear" in capsys.readouterr().out
    rows = list(csv.DictReader((out / "curve.csv").read_text().splitlines()))
    assert len(rows) == len(json.loads((out / "curve.json").read_text())["points"]) == 10
    assert (out / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (out / "curve.svg").read_bytes()[:500]
    assert cli(["curve", str(series_run), "-o", str(out), "--no-classical"]) == 1
    assert "exists" in capsys.readouterr().err


def test_runs_that_do_not_belong_together(series_run: Path, run_folder: Path) -> None:
    with pytest.raises(ConfigError, match="other held-out samples"):
        curve([series_run, run_folder], Options(classical=False))
    with pytest.raises(ConfigError, match="no run"):
        curve([])


def test_a_task_is_scored_on_what_was_decoded(run_folder: Path, tmp_path: Path) -> None:
    found = curve([run_folder], Options(classical=False, task="rdedge.tasks.digits:accuracy"))
    assert found.raw_task_score is not None
    assert found.raw_task_score > 0.9
    scores = [p.task for p in sorted(found.points, key=lambda p: p.distortion)]
    assert all(s is not None and 0.3 < s <= 1.0 for s in scores)
    assert scores[0] >= scores[-1]  # type: ignore[operator]
    with pytest.raises(ConfigError, match="does not name a task"):
        curve([run_folder], Options(classical=False, task="nothing"))
    write(tmp_path, found)


def test_labels_of_a_table_need_samples_to_learn_from(series_run: Path) -> None:
    options = Options(classical=False, task="rdedge.tasks.skab:f1", labels="no such column")
    with pytest.raises((ConfigError, SourceError), match="no such column"):
        curve([series_run], options)


KINDS = {
    "image": (SampleSpec("image", (24, 32, 1), "uint8"), (24, 32, 1)),
    "series": (SampleSpec("series", (16, 2), "float32"), (16, 2)),
    "vector": (SampleSpec("vector", (9,), "float32"), (9,)),
    "digits": (SampleSpec("vector", (8, 8), "uint8"), (8, 8)),
}


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("packetised", [True, False])
def test_classical_codecs_keep_the_bound_and_what_they_decode_is_what_was_measured(
    kind: str, packetised: bool
) -> None:
    spec, shape = KINDS[kind]
    rng = np.random.default_rng(0)
    waves = np.cumsum(rng.normal(0, 1, (6, *shape)), axis=1)
    if spec.dtype == "uint8":
        x = (128 + 8 * waves).clip(0, 255).astype(np.uint8)
    else:
        x = waves.astype(np.float32)
    if kind == "series":
        x[1, 3:5, 0] = np.nan
    scale = Scale.of(x, by_channel=kind == "series")
    bound = Bound("mse", 20.0 if spec.dtype == "uint8" else 0.05)
    samples = [x[i : i + 1] for i in range(6)] if kind == "image" else [x]
    found = rivals(spec, samples, bound, scale, packetised=packetised)
    assert {f.codec for f in found} >= {"zstd", "lzma"}
    filled = np.nan_to_num(x, nan=0.0)
    for one in found:
        assert bound.met_by(one.distortion.value)
        assert one.decoded is not None
        back = np.stack(one.decoded()).reshape(x.shape)
        if kind != "series":
            again = metrics.mean("mse", filled, back.astype(filled.dtype), scale)
            assert again == pytest.approx(one.distortion.value, rel=1e-3, abs=1e-6)
