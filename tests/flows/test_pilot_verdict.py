"""The verdict of a pilot, and the bound that a task proposes: what each figure does to them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rdedge.flows.pilot_bound import UNSTEADY, propose, tighter
from rdedge.flows.pilot_verdict import Seen, answer, verdict
from rdedge.metrics import Scale
from rdedge.report.curve import Point
from rdedge.types import Bound, Measured

FINE = Seen(700, 1000, "webp", "quality 30", 0.0, 0, 40)


def keys(seen: Seen) -> tuple[str, list[str]]:
    found, reasons = answer(seen)
    return found, [reason["key"].removeprefix("reason.") for reason in reasons]


@pytest.mark.parametrize(
    ("changes", "found", "first"),
    [
        ({}, "go", "saves-bytes"),
        ({"ours": 850}, "go-with-fallback", "saves-bytes"),
        ({"ours": 950}, "do-not", "classical-close"),
        ({"fallback_share": 0.06}, "go-with-fallback", "fallback"),
        ({"over": 1}, "do-not", "promise-broken"),
        ({"fall": 0.02, "allowed": 0.01}, "do-not", "task-lost"),
        ({"money": (-0.1, 0.2, "today")}, "do-not", "no-money"),
        ({"money": (0.1, 0.2, "today"), "year": -5.0}, "do-not", "no-year"),
        ({"money": (0.1, 0.2, "today"), "year": 5.0}, "go", "saves-bytes"),
        ({"year": 50.0, "payback_months": 25.0}, "do-not", "payback-late"),
        ({"year": 50.0, "payback_months": 23.0}, "go", "saves-bytes"),
    ],
)
def test_one_figure_decides(changes: dict, found: str, first: str) -> None:
    verdict_of, reasons = keys(replace(FINE, **changes))
    assert (verdict_of, reasons[0]) == (found, first)


def test_a_score_that_rises_is_said_to_rise() -> None:
    _, reasons = answer(replace(FINE, fall=-0.05, allowed=0.01))
    (one,) = (r for r in reasons if r["key"] == "reason.task-better")
    assert one["values"] == {"rise": 0.05}


def test_a_score_that_does_not_follow_the_error_is_left_out() -> None:
    found, reasons = keys(replace(FINE, fall=0.5, allowed=0.01, unsteady=0.3))
    assert found == "go"
    assert "task-unsteady" in reasons
    assert "task-lost" not in reasons


def point(bits: float, mse: float, score: float | None = None) -> Point:
    return Point("rdedge", "", True, True, Measured(bits, "actual"), mse, None, score)


def test_the_alternative_is_measured_by_what_is_sent() -> None:
    made = verdict(FINE, replace(point(1.0, 1.0), codec="webp", learned=False), 8000)
    # We send 0.7 bits where it sends 1.
    assert made["alternative"]["share_of_saving"] == pytest.approx((8 - 1) / (8 - 0.7))


@pytest.mark.parametrize(
    ("scores", "chosen", "reason"),
    [
        # From the fewest bits to the most, of 0.9 on raw data.
        ((0.5, 0.895, 0.9, 0.9), 1, "task"),
        ((0.895, 0.5, 0.9, 0.9), 2, "task"),
        ((0.5, 0.6, 0.7, 0.8), 3, "task"),
        ((0.9, 0.4, 0.9, 0.3), None, UNSTEADY),
        ((0.9, 0.9, 0.9, 0.9), 0, "task"),
    ],
)
def test_the_task_decides_while_it_holds_from_the_finest_on(
    scores: tuple[float, ...], chosen: int | None, reason: str
) -> None:
    points = [point(b, m, s) for b, m, s in zip((1, 2, 3, 4), (8, 4, 2, 1), scores, strict=True)]
    at, reasons = propose(points, "mse", Scale(10.0, (10.0,)), 0.0, 0.9, 0.01)
    assert reasons[0].reason == reason
    if chosen is None:
        assert not reasons[0].decided
        assert next(one.reason for one in reasons if one.decided) == "knee"
    else:
        assert at == chosen
        assert reasons[0].decided


def test_a_bound_is_halved_while_fallbacks_lose_the_task_twice_at_most() -> None:
    points = [point(b, m, 0.9) for b, m in ((1, 8), (2, 4))]
    scale = Scale(10.0, (10.0,))
    _, why = propose(points, "mse", scale, 0.0, 0.9, 0.01)
    first = Bound("mse", 8.0)
    second = tighter(first, first, why, 0.9, 0.5, scale)
    assert second == Bound("mse", 4.0)
    third = tighter(first, second, why, 0.9, 0.5, scale)
    assert third == Bound("mse", 2.0)
    assert tighter(first, third, why, 0.9, 0.5, scale) is None
    assert tighter(first, first, why, 0.9, 0.895, scale) is None
    assert tighter(first, first, why, None, None, scale) is None
    decibels = Bound("psnr", 37.7)
    _, why = propose(points, "psnr", Scale(255.0, (60.0,)), 0.0, 0.9, 0.01)
    assert tighter(decibels, decibels, why, 0.9, 0.5, Scale(255.0, (60.0,))) == Bound("psnr", 40.7)
    # What the task did not decide it does not move.
    _, unsteady = propose([point(1, 8, 0.9), point(2, 4, 0.1)], "mse", scale, 0.0, 0.9, 0.01)
    assert tighter(first, first, unsteady, 0.9, 0.5, scale) is None
