"""C and NumPy are one coder: the same bytes, each decodes the other's, both as FORMAT.md says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge import native
from rdedge.coding.prediction import predict, restore
from rdedge.coding.quantiser import EXACT, SCALED, dequantise, quantise
from rdedge.coding.rans import Coder
from rdedge.coding.selection import Selection, Selector
from rdedge.coding.tables import Tables, cross_entropy_bits, tables_from_counts
from rdedge.errors import FormatError, ValueRangeError
from tests.coding import reference, selections

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


def word_for_word(y: np.float32, step: float, rounding: float, kind: int) -> tuple[int, np.float32]:
    """FORMAT.md 4.4: the symbol of a latent, and what the decoder graph is fed with."""
    inverse = np.float32(1) if kind == EXACT else np.float32(1.0 / float(np.float32(step)))
    offset = np.float32(rounding if kind == SCALED else 0.5)
    with np.errstate(all="ignore"):
        v = y * inverse
        magnitude = np.abs(v) + offset
    if not magnitude < 2**31:
        raise ValueRangeError("no symbol")
    symbol = int(np.floor(magnitude)) * (-1 if v < 0 else 1)
    unit = np.float32(1) if kind == EXACT else np.float32(step)
    with np.errstate(over="ignore"):
        return symbol, np.float32(symbol) * unit


@needs_c
@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=6),
    st.floats(1e-30, 1e30),
    st.floats(0.0, 0.5, exclude_min=True),
    st.data(),
)
def test_quantisers_are_those_of_the_page(kinds, step, rounding, data):
    """In C, in NumPy and in plain Python: the same symbols, or the same place without one."""
    quantisers = np.array(kinds, np.uint8)
    near = st.builds(lambda k, e: k * step * (1 + e), st.integers(-9, 9), st.floats(-0.3, 0.3))
    value = st.one_of(st.floats(width=32), near, st.integers(-9, 9).map(float))
    rows = data.draw(st.integers(1, 5))
    with np.errstate(over="ignore"):
        y = np.array(
            data.draw(st.lists(value, min_size=rows * len(kinds), max_size=rows * len(kinds))),
            np.float32,
        )
    outcomes: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        for native_on in ("1", "0"):
            patch.setenv("RDEDGE_NATIVE", native_on)
            try:
                symbols = quantise(y, step, rounding, quantisers=quantisers)
            except ValueRangeError as error:
                outcomes.append(str(error))
            else:
                back = dequantise(symbols.reshape(rows, -1), step, quantisers).reshape(-1)
                outcomes.append((symbols.tolist(), back.tolist()))
    assert outcomes[0] == outcomes[1]
    expected = []
    for i, one in enumerate(y):
        try:
            expected.append(word_for_word(one, step, rounding, kinds[i % len(kinds)]))
        except ValueRangeError:
            assert str(outcomes[0]).startswith(f"latent {i} is")
            return
    assert outcomes[0] == ([s for s, _ in expected], [float(v) for _, v in expected])


@needs_c
@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 7))
def test_classes_and_latents_come_back(seed, rows, log_lanes):
    """Any selection, tables and symbols: one choice, one stream, from both, for both."""
    rng = np.random.default_rng(seed)
    tables = selections.random_tables(rng, 6)
    selection = selections.random_selection(rng, 6)
    symbols = selections.random_symbols(rng, rows, selection.latents).reshape(-1)
    made = []
    for backend in ("c", "numpy"):
        selector = Selector(selection, tables, numpy=backend == "numpy")
        classes = selector.choose(symbols)
        heads = selection.selectors if selector.choices else np.zeros(1, np.uint16)
        index = np.concatenate(
            [np.resize(heads, classes.size), selector.index(classes, rows)]
        ).astype(np.uint16)
        coder = Coder(tables, heads, backend)
        coded = coder.encode(np.concatenate([classes, symbols]), 1 << log_lanes, index)
        made.append((classes.tolist(), index.tolist(), coded))
        back = coder.decode_then(
            coded.latents,
            coded.escapes,
            classes.size,
            coded.lanes,
            lambda found, s=selector: s.index(found, rows),
            symbols.size,
            rows * selector.least,
        )
        assert np.array_equal(back, np.concatenate([classes, symbols]))
    assert made[0] == made[1]
    if log_lanes == 0:
        chosen, index_list, coded = made[0]
        every = np.concatenate([np.array(chosen, np.int32), symbols])
        ideal = cross_entropy_bits(every, np.array(index_list, np.uint16), tables)
        assert 8 * (len(coded.latents) + len(coded.escapes)) <= ideal * 1.001 + 64


@needs_c
@settings(deadline=None, max_examples=300)
@given(
    st.integers(0, 2**32 - 1),
    st.binary(max_size=80),
    st.binary(max_size=8),
    st.integers(1, 9),
    st.integers(0, 4),
)
def test_any_bytes_with_classes_give_an_error_or_what_encodes_to_them(
    seed, latents, escapes, rows, log_lanes
):
    rng = np.random.default_rng(seed)
    tables, selection = selections.random_tables(rng, 4), selections.random_selection(rng, 4)
    outcomes: list[object] = []
    for backend in ("c", "numpy"):
        selector = Selector(selection, tables, numpy=backend == "numpy")
        heads = selection.selectors if selector.choices else np.zeros(1, np.uint16)
        coder = Coder(tables, heads, backend)
        count, rest = rows * selector.choices, rows * selection.latents
        try:
            symbols = coder.decode_then(
                latents,
                escapes,
                count,
                1 << log_lanes,
                lambda found, s=selector: s.index(found, rows),
                rest,
                rows * selector.least,
            )
        except FormatError:
            outcomes.append("refused")
            continue
        index = np.concatenate([np.resize(heads, count), selector.index(symbols[:count], rows)])
        coded = coder.encode(symbols, 1 << log_lanes, index.astype(np.uint16))
        assert (coded.latents, coded.escapes) == (latents, escapes)
        outcomes.append(symbols.tolist())
    assert outcomes[0] == outcomes[1]


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60))
def test_any_bytes_are_no_selection_or_that_one(data):
    try:
        selection = Selection.from_bytes(data)
    except FormatError:
        return
    assert selection.to_bytes() == data


@needs_c
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
def test_prediction_is_undone(seed, count, height, width):
    rng = np.random.default_rng(seed)
    reach = int(rng.choice([3, 1000, 2**31]))
    symbols = rng.integers(-reach, reach, (count, height, width, 2)).astype(np.int32)
    latents = np.flatnonzero(rng.random(2) < 0.7)
    left = [predict(symbols, latents, numpy) for numpy in (False, True)]
    assert np.array_equal(left[0], left[1])
    for one, numpy in zip(left, (False, True), strict=True):
        restore(one, latents, numpy)
        assert np.array_equal(one, symbols)
