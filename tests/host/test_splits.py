"""Which samples train, which aim, which decide: in their order, and never across a group."""

from __future__ import annotations

import pytest

from rdedge.errors import TrainingError
from rdedge.host.splits import MIN_HELD_OUT, MIN_SAMPLES, Split
from rdedge.types import KINDS, SampleKind


def parts(split: Split) -> list[tuple[int, int]]:
    return [(r.start, r.stop) for r in (split.train, split.validation, split.held_out)]


def test_splits_keep_the_order() -> None:
    split = Split.of(1797, 397)
    assert parts(split) == [(0, 1225), (1225, 1400), (1400, 1797)]
    with pytest.raises(TrainingError):
        Split.of(1797, 1790)


def test_about_a_fifth_is_held_out_unless_told() -> None:
    assert parts(Split.of(1000)) == [(0, 683), (683, 780), (780, 1000)]
    assert parts(Split.of(1000, 0)) == [(0, 875), (875, 1000), (1000, 1000)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_fewest_samples_that_can_be_split(kind: SampleKind) -> None:
    least = MIN_SAMPLES[kind]
    split = Split.of(least, kind=kind)
    assert len(split.validation) >= (1 if kind == "image" else MIN_HELD_OUT[kind] // 2)
    assert len(split.held_out) >= MIN_HELD_OUT[kind] == Split.least_held_out(kind)
    assert len(split.train) >= 2
    assert split.checked(least) is split
    with pytest.raises(TrainingError, match=f"{least - 1} samples of kind {kind}"):
        Split.of(least - 1, kind=kind)
    with pytest.raises(TrainingError, match="leave"):
        Split.of(least, least - 2, kind)


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        # Twenty groups of five pictures.
        (range(0, 100, 5), [(0, 70), (70, 80), (80, 100)]),
        # Where a border falls on the start of a group, it stays.
        ([0, 69, 78, 90], [(0, 69), (69, 78), (78, 100)]),
        ([0, 70, 95], [(0, 70), (70, 95), (95, 100)]),
        (range(100), [(0, 69), (69, 78), (78, 100)]),
    ],
)
def test_borders_move_to_where_a_group_starts(
    starts: list[int], expected: list[tuple[int, int]]
) -> None:
    split = Split.of(100, kind="image")
    assert parts(split) == [(0, 69), (69, 78), (78, 100)]
    moved = split.between(starts)
    assert parts(moved) == expected
    assert moved.checked(100) is moved
    assert {moved.validation.start, moved.held_out.start} <= set(starts)


@pytest.mark.parametrize("starts", [[0], [0, 50], [0, 80], [0, 99], [0, 10, 20]])
def test_groups_that_leave_a_part_empty(starts: list[int]) -> None:
    with pytest.raises(TrainingError, match="groups of 100 samples"):
        Split.of(100, kind="image").between(starts)


def test_with_a_file_of_its_own_two_parts_are_enough() -> None:
    split = Split.of(100, 0, "image")
    assert parts(split) == [(0, 88), (88, 100), (100, 100)]
    assert parts(split.between([0, 50, 90])) == [(0, 90), (90, 100), (100, 100)]


def test_two_parts_may_not_be_empty_either() -> None:
    with pytest.raises(TrainingError):
        Split.of(100, 0, "image").between([0])
    with pytest.raises(TrainingError):
        Split.of(100, 0, "image").between([0, 50])


@pytest.mark.parametrize(
    "ranges",
    [
        [(0, 70), (70, 80), (80, 99)],
        [(0, 70), (70, 80), (80, 101)],
        [(1, 70), (70, 80), (80, 100)],
        [(0, 70), (71, 80), (80, 100)],
        [(0, 70), (70, 70), (70, 100)],
        [(0, 0), (0, 80), (80, 100)],
        [(0, 100), (0, 100), (0, 100)],
        [(-5, 70), (70, 80), (80, 100)],
    ],
)
def test_a_split_that_does_not_fit(ranges: list[tuple[int, int]]) -> None:
    with pytest.raises(TrainingError):
        Split(*(range(*ends) for ends in ranges)).checked(100)
