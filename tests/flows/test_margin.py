"""The margin, from `rdedge check` to what a gate subtracts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rdedge.bundle.bundle import Bundle
from rdedge.cli.group import run
from rdedge.codec import Encoder
from rdedge.codec.measure import margin_for
from rdedge.engine import margins
from rdedge.engine.margins import OF_BUNDLE
from rdedge.flows.check import check, keep_margin
from rdedge.flows.margin import pairs_of
from tests.host import plant


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RDEDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_check_measures_is_what_the_gate_leaves(
    series_bundle: Bundle,
    series_path: Path,
    series_csv: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    limit = series_bundle.recipe["parity"]["max_output_difference"]
    before = Encoder(series_bundle, gate="always")
    assert before.margin is not None
    assert (before.margin.deviations, before.margin.verified) == (limit, False)
    target = str(tmp_path / "a.rdz")
    gated = ["compress", str(series_csv), "-b", str(series_path), "-o", target, "--gate", "always"]
    assert run(gated) == 0
    said = capsys.readouterr().err
    assert "has not measured this decoder" in said
    assert f"rdedge check {series_path}" in said
    first = Path(target).stat().st_size

    assert run(["check", str(series_path)]) == 0
    assert "the margin is kept in" in capsys.readouterr().out
    after = Encoder(series_bundle, gate="always")
    assert after.margin is not None
    assert after.margin.verified
    (pair,) = margins.load(series_bundle.manifest.identity)
    assert pair.other == OF_BUNDLE
    assert after.margin.deviations == max(4 * pair.deviations, 2.0**-16)
    assert after.margin.deviations < limit
    assert run([*gated, "--force"]) == 0
    assert "has not measured" not in capsys.readouterr().err
    assert Path(target).stat().st_size < first
    assert run(["inspect", str(series_path), "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["margins"]
    assert shown["deviations"] == pair.deviations


def test_a_check_that_fails_keeps_nothing(series_bundle: Bundle) -> None:
    from dataclasses import replace

    identity = series_bundle.manifest.identity
    report = check(series_bundle)
    assert "kept in" in keep_margin(series_bundle, report)
    assert margins.load(identity)
    bad = replace(report, rows=(replace(report.rows[0], value=1.0, limit=0.0),))
    assert "no margin is kept" in keep_margin(series_bundle, bad)
    assert not margins.load(identity)


def test_a_damaged_file_leaves_the_recipes_limit(series_bundle: Bundle, cache: Path) -> None:
    keep_margin(series_bundle, check(series_bundle))
    (path,) = cache.iterdir()
    path.write_bytes(b"{}")
    encoder = Encoder(series_bundle, gate="always")
    assert encoder.margin is not None
    assert not encoder.margin.verified
    assert "damaged" in encoder.margin.source


def test_another_runtime_is_not_verified(series_bundle: Bundle) -> None:
    keep_margin(series_bundle, check(series_bundle))
    assert not margin_for(series_bundle, "onnxruntime 99 CPU").verified


def test_a_folder_that_cannot_be_written_is_said(
    series_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RDEDGE_CACHE", "/proc/nowhere")
    assert "the margin is not kept" in keep_margin(series_bundle, check(series_bundle))


def test_integers_are_as_far_apart_as_their_roundings_may_hide(bundle: Bundle) -> None:
    reference = bundle.reference.outputs
    assert reference is not None
    hidden = 16 / (2 * reference.size)
    exact = reference.astype(np.float32)
    off = np.where(reference > 0, exact - np.float32(0.75), exact)
    pairs = pairs_of(bundle, [("a", exact), ("b", off)])
    of = {(pair.one, pair.other): pair for pair in pairs}
    assert of["a", OF_BUNDLE].difference == pytest.approx(hidden)
    assert of["b", OF_BUNDLE].difference == pytest.approx(0.25 + hidden)
    assert of["a", "b"].difference == pytest.approx(0.75)
    std = bundle.manifest.scale.std[0]
    assert of["a", "b"].deviations == pytest.approx(0.75 / std)
    assert of["a", OF_BUNDLE].distortion == 0.0


def test_missing_values_are_no_difference(series_bundle: Bundle) -> None:
    reference = series_bundle.reference.outputs
    assert reference is not None
    floats = np.nan_to_num(reference)
    floats[0, 0, plant.VALVE] += 0.5
    (pair,) = pairs_of(series_bundle, [("a", floats)])
    assert pair.difference == pytest.approx(0.5)
    assert pair.values <= reference.size
