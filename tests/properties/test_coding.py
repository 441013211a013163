"""C and NumPy are one coder: the same bytes, each decodes the other's, both as FORMAT.md says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge import native
from rdedge.coding.quantiser import quantise
from rdedge.coding.rans import Coder
from rdedge.coding.tables import Tables, cross_entropy_bits, tables_from_counts
from rdedge.errors import FormatError, ValueRangeError
from tests.coding import reference

needs_c = pytest.mark.skipif(native.library() is None, reason="no C library")

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


@st.composite
def some_tables(draw) -> Tables:
    minimum, weights = [], []
    for _ in range(draw(st.integers(1, 5))):
        entries = draw(
            st.lists(st.sampled_from([0, 1, 3, 50, 10**4, 10**9]), min_size=2, max_size=40)
        )
        low = st.one_of(
            st.integers(-50, 50), st.sampled_from([INT32_MIN, INT32_MAX - len(entries) + 2])
        )
        minimum.append(draw(low))
        weights.append(np.array(entries, np.float64) + 1e-9)
    return tables_from_counts(minimum, weights)


@st.composite
def coding_cases(draw):
    tables = draw(some_tables())
    index = draw(st.lists(st.integers(0, len(tables) - 1), min_size=1, max_size=9))
    symbol = st.one_of(
        st.integers(-60, 60),
        st.sampled_from([int(m) for m in tables.minimum]),
        st.sampled_from([INT32_MIN, INT32_MAX]),
        st.integers(INT32_MIN, INT32_MAX),
    )
    symbols = draw(st.lists(symbol, max_size=200))
    lanes = 1 << draw(st.integers(0, 7))
    return tables, index, symbols, lanes


@needs_c
@settings(deadline=None, max_examples=200)
@given(coding_cases())
def test_same_bytes_and_back(case):
    tables, index, symbols, lanes = case
    array = np.array(symbols, np.int32)
    coders = [Coder(tables, np.array(index, np.uint16), backend) for backend in ("c", "numpy")]
    coded = [coder.encode(array, lanes) for coder in coders]
    assert coded[0] == coded[1]
    latents, escapes = coded[0].latents, coded[0].escapes
    assert (latents, escapes) == reference.encode(tables, index, symbols, lanes)
    for coder in coders:
        assert coder.decode(latents, escapes, len(symbols), lanes).tolist() == symbols
    if lanes == 1:
        bits = 8 * (len(latents) + len(escapes))
        ideal = cross_entropy_bits(array, np.array(index, np.uint16), tables)
        assert bits <= ideal * 1.001 + 64


@needs_c
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(0, 40_000))
def test_same_bytes_when_long(seed, log_lanes, count):
    rng = np.random.default_rng(seed)
    tables = reference.gaussian_tables(rng.uniform(0.2, 30, int(rng.integers(1, 90))).tolist())
    index = rng.integers(0, len(tables), int(rng.integers(1, 50_000))).astype(np.uint16)
    symbols = np.round(rng.normal(0, rng.uniform(0.1, 40), count)).astype(np.int32)
    coders = [Coder(tables, index, backend) for backend in ("c", "numpy")]
    for lanes in (1 << log_lanes, None):
        coded = [coder.encode(symbols, lanes) for coder in coders]
        assert coded[0] == coded[1]
        for coder in coders:
            back = coder.decode(coded[0].latents, coded[0].escapes, count, coded[0].lanes)
            assert np.array_equal(back, symbols)


@needs_c
@settings(deadline=None, max_examples=300)
@given(some_tables(), st.binary(max_size=80), st.binary(max_size=8), st.integers(0, 60), st.data())
def test_any_bytes_give_an_error_or_what_encodes_to_them(tables, latents, escapes, count, data):
    lanes = 1 << data.draw(st.integers(0, 3))
    outcomes = []
    for backend in ("c", "numpy"):
        coder = Coder(tables, np.zeros(1, np.uint16), backend)
        try:
            symbols = coder.decode(latents, escapes, count, lanes)
        except FormatError as error:
            outcomes.append(repr(error))
        else:
            coded = coder.encode(symbols, lanes)
            assert (coded.latents, coded.escapes) == (latents, escapes)
            outcomes.append(str(symbols.tolist()))
    assert outcomes[0] == outcomes[1]


@needs_c
@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.floats(width=32), max_size=40),
    st.floats(1e-30, 1e30),
    st.floats(0.0, 0.5, exclude_min=True),
)
def test_quantiser_is_the_same(values, step, rounding):
    y = np.array(values, np.float32)
    outcomes = []
    with pytest.MonkeyPatch.context() as patch:
        for native_on in ("1", "0"):
            patch.setenv("RDEDGE_NATIVE", native_on)
            try:
                outcomes.append(quantise(y, step, rounding).tolist())
            except ValueRangeError as error:
                outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
