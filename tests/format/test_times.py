"""When rows were taken <-> bytes."""

from __future__ import annotations

import numpy as np
import pytest

from rdedge.errors import FormatError
from rdedge.format.times import read_times, write_times
from tests.coding.reference import varint
from tests.format import hostile

SECOND = 10**9
START = 1_767_225_600 * SECOND


def regular(rows, step=SECOND):
    return START + step * np.arange(rows, dtype=np.int64)


@pytest.mark.parametrize(
    ("rows", "step", "size"),
    [
        (1, SECOND, 7),
        (2, SECOND, 9),
        (100_000, SECOND, 11),
        (100_000, 300 * SECOND, 12),
        (100_000, 62_500, 12),
        (100_000, 1, 11),
    ],
)
def test_what_a_regular_series_costs(rows, step, size):
    data = write_times(regular(rows, step))
    assert len(data) == size
    assert np.array_equal(read_times(data, rows), regular(rows, step))


def test_what_a_gap_costs():
    times = regular(10_000)
    times[5000:] += 3600 * SECOND
    assert len(write_times(times)) == len(write_times(regular(10_000))) + 4
    assert np.array_equal(read_times(write_times(times), 10_000), times)


@pytest.mark.parametrize(
    "times",
    [
        [0],
        [-1],
        [0, 0, 0],
        [5, 5, 6],
        [-(2**63), -(2**63) + 1],
        [2**63 - 2, 2**63 - 1],
        [-(2**62), 2**62 - 1],
        [-10, 0, 10**18],
        [-1_500_000_000, 500_000_000],
    ],
)
def test_odd_times(times):
    times = np.array(times, np.int64)
    assert read_times(write_times(times), len(times)).tolist() == times.tolist()


@pytest.mark.parametrize(
    "times",
    [
        np.array([], np.int64),
        np.array([2, 1], np.int64),
        np.array([-(2**63), 0], np.int64),
        np.array([-(2**63), 2**63 - 1], np.int64),
        np.array([1.0, 2.0]),
        np.array([[1], [2]], np.int64),
    ],
)
def test_times_that_cannot_be_written(times):
    with pytest.raises(FormatError):
        write_times(times)


def test_no_more_memory_than_the_source_has_rows():
    data = write_times(regular(1_000_000))
    with pytest.raises(FormatError):
        read_times(data, 999_999)
    assert hostile.peak_bytes(lambda d: read_times(d, 999_999), data) < 100_000


@pytest.mark.parametrize("most", [1, 2, 49, 50, 51, 52, 199, 200, 201])
def test_the_first_rows_of_a_source_cut_short(most):
    times = regular(200)
    times[50:] += 7
    found = read_times(write_times(times), most, cut=True)
    assert found.tolist() == times[:most].tolist()


def test_rows_that_are_not_there_take_no_memory():
    data = write_times(regular(3))
    data = varint(1 << 32) + data[1:]
    assert hostile.peak_bytes(lambda d: read_times(d, 10, cut=True), data) < 100_000
    assert len(read_times(data, 10, cut=True)) == 10


def test_damage_gives_times_or_a_typed_error():
    times = regular(200, 40_000_000)
    times[50:] += 7
    times[120:] += 10**10
    data = write_times(times)
    for damaged in [*hostile.flips(data), *hostile.cuts(data)]:
        found = hostile.outcome(lambda d: read_times(d, 1000), damaged)
        assert isinstance(found, FormatError) or write_times(found) == damaged
