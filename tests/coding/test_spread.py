from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge.coding.rans import Coder
from rdedge.coding.spread import gather, mirrored, spread
from rdedge.coding.tables import Tables, cross_entropy_bits
from tests.coding import reference
from tests.coding.reference import BACKENDS

MIRRORED = np.array([int(f"{y:016b}"[::-1], 2) for y in range(1 << 16)])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 65535), st.integers(1, 65535), st.data())
def test_an_entrys_slots_are_taken_in_their_order(low, f, data):
    f = min(f, 65536 - low)
    slots = np.flatnonzero((low <= MIRRORED) & (low + f > MIRRORED))
    assert slots.size == f
    for x in (0, f - 1, data.draw(st.integers(0, f - 1))):
        assert spread(x, low, f) == slots[x]
        assert gather(int(slots[x]), low, f) == x


def test_mirrored():
    assert [mirrored(y) for y in range(1 << 16)] == MIRRORED.tolist()


def test_the_example_of_the_page():
    low = -16384 % 65536
    assert [spread(x, low, 16384) for x in range(3)] == [3, 7, 11]
    assert [spread(x, 0, 32768) for x in range(3)] == [0, 2, 4]


@pytest.mark.parametrize("backend", BACKENDS)
def test_likeliest_symbols_take_nothing(backend):
    tables = Tables(np.array([-1]), (np.array([200, 65000, 200, 136]),))
    coder = Coder(tables, np.zeros(1, np.uint16), backend)
    assert coder.encode(np.zeros(1000, np.int32), 1).latents == b""
    one = coder.encode(np.array([0, 0, 1, *[0] * 60], np.int32), 1)
    # Worth 9 bits; two bytes before states were spread, one entry's start alone.
    assert len(one.latents) <= 2


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("std", "count"), [(0.3, 12), (0.5, 40), (1.0, 25), (8.0, 2)])
def test_a_short_stream_takes_what_its_symbols_are_worth(backend, std, count):
    """Up to whole bytes, of which half a one is lost on average, and two bits more."""
    tables = reference.gaussian_tables([std])
    index = np.zeros(1, np.uint16)
    coder = Coder(tables, index, backend)
    rng = np.random.default_rng(7)
    over = []
    for _ in range(200):
        symbols = np.round(rng.normal(0, std, count)).astype(np.int32)
        coded = coder.encode(symbols, 1)
        bits = 8 * (len(coded.latents) + len(coded.escapes))
        over.append(bits - cross_entropy_bits(symbols, index, tables))
    assert np.mean(over) < 6
    assert max(over) < 14
