"""Which values are missing <-> bytes."""

from __future__ import annotations

import numpy as np
import pytest

from rdedge.errors import FormatError
from rdedge.format.mask import read_mask, write_mask
from tests.format import hostile


def test_runs_in_the_order_sample_channel_time():
    mask = np.zeros((2, 4, 2), bool)
    mask[0, 1:3, 0] = True
    assert write_mask(mask) == b"\x01\x02"
    mask[0, 3, 0] = mask[0, :, 1] = True
    assert write_mask(mask) == b"\x01\x07"
    assert np.array_equal(read_mask(b"\x01\x07", (2, 4, 2)), mask)


def test_the_first_and_the_last():
    first, last, every = np.zeros((3, 2, 3, 1), bool)
    first[0, 0] = last[-1, -1] = every[:] = True
    assert write_mask(first) == b"\x00\x01"
    assert write_mask(last) == b"\x05"
    assert write_mask(every) == b"\x00"
    for mask in (first, last, every):
        assert np.array_equal(read_mask(write_mask(mask), mask.shape), mask)


@pytest.mark.parametrize("mask", [np.zeros((2, 3, 1), bool), np.ones((2, 3), bool)])
def test_what_is_no_mask(mask):
    with pytest.raises(FormatError):
        write_mask(mask)


def test_damage_gives_a_mask_or_a_typed_error():
    mask = np.random.default_rng(1).random((3, 20, 4)) < 0.2
    data = write_mask(mask)
    for damaged in [*hostile.flips(data), *hostile.cuts(data)]:
        found = hostile.outcome(lambda d: read_mask(d, mask.shape), damaged)
        assert isinstance(found, FormatError) or write_mask(found) == damaged
