"""stages.toml and what a review says: written and read back, ranges that hold, three answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdedge.errors import ConfigError
from rdedge.flows.review import GO_ON, STAY, STOP, Actual, judged
from rdedge.flows.stages import Figure, Plan, Predicted, Stage, load, plan, stops, wilson_upper

SEEN = Predicted(
    sizes=np.array([40.0, 44.0, 39.0, 52.0, 41.0, 47.0]),
    distortions=np.array([0.1, 0.12, 0.09, 0.11, 0.1, 0.13]),
    fallbacks=1,
    best_bytes=80.0,
    score=0.95,
    raw_score=0.955,
    fall=0.01,
    saving=(0.5, 1.0, 1.5),
)


def made(seen: Predicted = SEEN, devices: int = 200, per_day: float = 100.0) -> Plan:
    return plan(
        seen,
        created="2026-11-27",
        bundle="ab" * 32,
        metric="nrmse",
        bound=0.15,
        devices=devices,
        samples_per_day=per_day,
        currency="EUR",
    )


def actual(stage: Stage, **figures: float) -> Actual:
    """Exactly what was predicted, but for figures."""
    known = {f.name: f.predicted for f in stage.figure} | figures
    return Actual(stage.devices, float(stage.days), stage.samples, ("ab" * 32,), known)


def test_a_plan_is_written_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "stages.toml"
    path.write_text(made().to_toml(), "utf-8")
    assert load(path) == made()
    assert [stage.devices for stage in load(path).stage] == [1, 10, 200]
    assert [stage.devices for stage in made(devices=1).stage] == [1]
    assert [stage.devices for stage in made(devices=7).stage] == [1, 7]


finite = st.floats(0.0, 1e9)


@given(
    sizes=st.lists(st.integers(1, 10**6), min_size=1, max_size=30),
    distortions=st.lists(finite, min_size=1, max_size=30),
    best=st.none() | st.floats(0.01, 1e7),
    fallbacks=st.integers(0, 30),
    score=st.none() | st.floats(-10, 10),
    saving=st.none() | st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3).map(sorted),
    devices=st.integers(1, 10**6),
    per_day=st.floats(1e-3, 1e9),
)
def test_whatever_a_pilot_saw_its_plan_is_sound_and_its_own_prediction_goes_on(
    sizes: list[int],
    distortions: list[float],
    best: float | None,
    fallbacks: int,
    score: float | None,
    saving: list[float] | None,
    devices: int,
    per_day: float,
) -> None:
    seen = Predicted(
        np.array(sizes, float),
        np.array(distortions),
        min(fallbacks, len(sizes)),
        best,
        score,
        None if score is None else score + 0.003,
        0.01,
        None if saving is None else (saving[0], saving[1], saving[2]),
    )
    found = made(seen, devices, per_day)
    for stage in found.stage:
        assert judged(found, stage, actual(stage)).answer == GO_ON
        for figure in stage.figure:
            for limit in (figure.low, figure.high):
                assert limit is None or figure.judge(limit) == "in"
        for figure in stops(stage):
            if figure.stop_above is not None:
                beyond = figure.stop_above + max(1.0, abs(figure.stop_above))
                review = judged(found, stage, actual(stage, **{figure.name: beyond}))
                assert review.answer == STOP


def test_a_stage_stays_where_a_figure_leaves_its_range_or_little_is_there() -> None:
    found = made()
    stage = found.stage[0]
    bytes_ = stage.figure[0]
    assert bytes_.high is not None
    assert bytes_.stop_above is not None
    between = (bytes_.high + bytes_.stop_above) / 2
    review = judged(found, stage, actual(stage, bytes_per_sample=between))
    assert review.answer == STAY
    assert [row.status for row in review.rows].count("out") == 1
    little = replace(actual(stage), days=3.0)
    assert judged(found, stage, little).answer == STAY
    assert judged(found, stage, little).reasons[0]["key"] == "review.too_little"
    unknown = replace(actual(stage), figures={})
    assert judged(found, stage, unknown).answer == STAY


def test_one_sample_beyond_the_promise_stops() -> None:
    found = made()
    review = judged(found, found.stage[1], actual(found.stage[1], over_share=1e-6))
    assert review.answer == STOP
    assert review.to_json()["figures"][2]["status"] == "stop"


def test_ranges_narrow_with_devices_and_hold_what_samples_vary_by() -> None:
    one, _, fleet = made().stage
    assert one.figure[0].low is not None
    assert fleet.figure[0].low is not None
    assert one.figure[0].low < fleet.figure[0].low < SEEN.sizes.mean()


def test_wilson() -> None:
    # No fallback among n: the upper end is z^2 / (n + z^2).
    assert wilson_upper(0, 100)[1] == pytest.approx(1.645**2 / (100 + 1.645**2))
    assert wilson_upper(50, 100)[0] == 0.5


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("version = 1", "version 2"),
        ('name = "bytes_per_sample"', "a figure 'bits'"),
        ("devices = 1\n", "0 devices"),
        ('metric = "nrmse"', "metric"),
    ],
)
def test_an_edited_plan_that_is_wrong_says_so(tmp_path: Path, change: str, match: str) -> None:
    wrong = {
        "version = 1": "version = 2",
        'name = "bytes_per_sample"': 'name = "bits"',
        "devices = 1\n": "devices = 0\n",
        'metric = "nrmse"': "metrik = 3",
    }
    path = tmp_path / "stages.toml"
    text = made().to_toml()
    assert change in text
    path.write_text(text.replace(change, wrong[change], 1), "utf-8")
    with pytest.raises(ConfigError, match=match):
        load(path)


def test_limits_in_another_order() -> None:
    with pytest.raises(ConfigError, match="another order"):
        Figure("score", "of the task", 0.5, 0.6, 0.7)
    with pytest.raises(ConfigError, match="no stage"):
        made().named("moon", 1)
    assert made().named(None, 3).name == "ten devices"
    assert made().named(None, 10**6).name == "fleet"
