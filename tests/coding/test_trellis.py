"""Trellis-coded and rate-distortion optimised quantisation against their definitions."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge import native
from rdedge.coding import quantiser
from rdedge.coding.quantiser import EXACT, NEAREST, PREDICTED, SCALED
from rdedge.coding.tables import Tables, tables_from_counts
from rdedge.coding.trellis import EIGHT, SYMBOL_MAX, Trellis, dequantise, quantise
from rdedge.errors import ConfigError, FormatError, ShapeError, ValueRangeError
from tests.coding import trellises as helpers
from tests.coding.trellises import (
    FOUR,
    candidates,
    cost,
    f32,
    geometric,
    paths,
    zeros,
)

GOLDEN = json.loads(Path(__file__).with_name("trellis.json").read_text())
BACKENDS = [False, True] if native.library() else [True]
both = pytest.mark.parametrize("numpy", BACKENDS, ids=lambda n: "numpy" if n else "c")
needs_c = pytest.mark.skipif(native.library() is None, reason="no C library")


def test_golden_values():
    assert GOLDEN["transitions"] == [list(pair) for pair in EIGHT.transitions]
    for vector in GOLDEN["values"]:
        symbols, kinds = np.array([vector["symbols"]], np.int32), None
        if "quantisers" in vector:
            kinds = np.array(vector["quantisers"], np.uint8)
        for numpy in BACKENDS:
            assert EIGHT.parities(symbols, kinds, numpy)[0].tolist() == vector["parities"]
            got = dequantise(symbols, vector["step"], kinds, numpy=numpy)
            assert got.dtype == np.float32
            assert got[0].tolist() == vector["values"]


@both
def test_golden_symbols(numpy):
    tables = Tables.from_bytes(bytes.fromhex(GOLDEN["tables"]))
    for vector in GOLDEN["searches"]:
        y = np.array(vector["y"], np.float32).reshape(1, -1)
        index = np.array([vector["index"]], np.uint16)
        found = quantise(y, vector["step"], vector["lambda"], index, tables, numpy=numpy)
        assert found[0].tolist() == vector["symbols"]


@needs_c
@settings(deadline=None, max_examples=300)
@given(st.data(), helpers.cases(), helpers.trellises())
def test_c_and_numpy_make_the_same(data, case, trellis):
    y, step, *_ = case
    kinds = data.draw(helpers.kinds(y.shape[1]))
    found = [quantise(*case, kinds, trellis, numpy=numpy) for numpy in BACKENDS]
    assert np.array_equal(*found)
    parities = [trellis.parities(found[0], kinds, numpy) for numpy in BACKENDS]
    assert np.array_equal(*parities)
    back = [dequantise(found[0], step, kinds, trellis, numpy) for numpy in BACKENDS]
    assert back[0].tobytes() == back[1].tobytes()


@needs_c
def test_c_and_numpy_make_the_same_of_several_blocks():
    rng = np.random.default_rng(0)
    y = rng.laplace(0, 4, (700, 300)).astype(np.float32)
    tables = geometric(1, 2)
    index = rng.integers(0, 2, y.shape).astype(np.uint16)
    found = [quantise(y, 1.5, 0.3, index, tables, numpy=numpy) for numpy in BACKENDS]
    assert np.array_equal(*found)


@settings(deadline=None, max_examples=50)
@given(helpers.cases(latents=5), helpers.trellises())
def test_no_way_through_the_states_is_cheaper(case, trellis):
    """Every path over what the encoder looks at, with any tables."""
    y, step, lam, index, tables = case
    v = y * np.float32(1.0 / float(np.float32(step)))
    for numpy in BACKENDS:
        found = quantise(*case, trellis=trellis, numpy=numpy)
        for row, symbols, tabled in list(zip(v, found.tolist(), index, strict=True))[:2]:
            own = cost(row, symbols, lam, tabled, tables, trellis)
            best = min(
                cost(row, path, lam, tabled, tables, trellis)
                for path in paths(row, trellis, candidates)
            )
            assert own <= best * (1 + 1e-12)


@both
@pytest.mark.parametrize("lam", [0.0, 0.2, 1.0, 4.0])
def test_no_symbols_at_all_are_cheaper(lam, numpy):
    """With costs that grow evenly, what is looked at holds the best of all symbols."""
    rng = np.random.default_rng(int(lam * 10))
    tables = geometric(2, reach=4)
    y = rng.normal(0, 2.5, (30, 3)).clip(-7, 7).astype(np.float32)
    found = quantise(y, 1.0, lam, zeros(y), tables, numpy=numpy)
    for row, symbols in zip(y, found.tolist(), strict=True):
        best = min(
            cost(row, path, lam, zeros(row), tables, EIGHT)
            for path in itertools.product(range(-5, 6), repeat=3)
        )
        assert cost(row, symbols, lam, zeros(row), tables, EIGHT) <= best * (1 + 1e-12)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 2**32), st.sampled_from([0.05, 0.35, 2.0]), st.sampled_from([EIGHT, FOUR]))
def test_random_ways_are_never_cheaper(seed, lam, trellis):
    rng = np.random.default_rng(seed)
    tables = geometric(1, 3)
    y = rng.laplace(0, 3, (1, 40)).astype(np.float32)
    index = rng.integers(0, 2, (1, 40, 2)).astype(np.uint16)
    for numpy in BACKENDS:
        found = quantise(y, 0.5, lam, index, tables, trellis=trellis, numpy=numpy)[0].tolist()
        own = cost(2 * y[0], found, lam, index[0], tables, trellis)
        for _ in range(200):
            state, path = 0, []
            for a, k in zip((2 * y[0]).tolist(), found, strict=True):
                near = candidates(a, state & 1)
                path.append(k if k in near and rng.random() < 0.8 else int(rng.choice(near)))
                state = trellis.transitions[state][path[-1] & 1]
            assert own <= cost(2 * y[0], path, lam, index[0], tables, trellis) * (1 + 1e-12)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32), st.sampled_from([0.1, 3.0, 1e4]))
def test_the_error_where_bits_cost_nothing(seed, spread):
    """Each state has a point within a step, so the rows are as good; a single latent may give way
    for those after it, by as much as the points of a parity are apart.
    """
    y = np.random.default_rng(seed).normal(0, spread, (4, 30)).astype(np.float32)
    for numpy in BACKENDS:
        symbols = quantise(y, 0.25, 0.0, zeros(y), geometric(1), numpy=numpy)
        error = (y.astype(np.float64) - dequantise(symbols, 0.25, numpy=numpy)) / 0.25
        assert np.abs(error).max() <= 2
        assert (np.square(error).sum(axis=1) <= 30).all()


def test_eight_states_gain_nine_tenths_of_a_decibel():
    """On a Gaussian at a high rate, at equal entropy: what holds only if a state's parity is its
    quantiser (published: 0.5 dB from the rate-distortion function; one by one is at 1.53).
    """

    def distance(y, y_hat, symbols):
        """In dB, of the error to what a Gaussian of this entropy needs."""
        counts = np.unique(symbols, return_counts=True)[1] / symbols.size
        rate = -(counts * np.log2(counts)).sum()
        return 10 * np.log10(np.square(y - y_hat).mean() / y.var() * 4**rate)

    y = np.random.default_rng(1).normal(0, 1, (400, 250)).astype(np.float32)
    k = np.arange(-60, 61)
    found = []
    for step, weight in ((0.15, None), (0.087, FOUR), (0.087, EIGHT)):
        pitch = step if weight is None else 2 * step
        tables = tables_from_counts([-60], [np.append(np.exp(-np.square(k * pitch) / 2), 1e-6)])
        if weight is None:
            symbols = quantiser.quantise(y.reshape(-1), step, 0.5).reshape(y.shape)
            found.append(distance(y, quantiser.dequantise(symbols, step), symbols))
        else:
            symbols = quantise(y, step, 0.35, zeros(y), tables, trellis=weight)
            found.append(distance(y, dequantise(symbols, step, trellis=weight), symbols))
    alone, four, eight = found
    assert 1.45 < alone < 1.6
    assert alone - four > 0.8
    assert alone - eight > 0.9
    assert eight > 0


@both
def test_what_the_trellis_leaves_out(numpy):
    y = f32(0.7, 2.6, 3.0, -0.7, -3.0, 1.4)
    kinds = np.array([SCALED, NEAREST, EXACT | PREDICTED, SCALED, EXACT, SCALED], np.uint8)
    found = quantise(y, 2.0, 0.1, zeros(y), geometric(1), kinds, numpy=numpy)
    plain = quantiser.quantise(y[0], 2.0, 0.5, quantisers=kinds)
    assert np.array_equal(found[0, kinds != SCALED], plain[kinds != SCALED])
    inside = y[:, kinds == SCALED]
    alone = quantise(inside, 2.0, 0.1, zeros(inside), geometric(1), numpy=numpy)
    assert np.array_equal(found[:, kinds == SCALED], alone)
    back = dequantise(found, 2.0, kinds, numpy=numpy)
    assert back[0, 1:3].tolist() == [2.0, 3.0]
    assert np.array_equal(back[:, kinds == SCALED], dequantise(alone, 2.0, numpy=numpy))


@both
def test_bits_draw_to_zero(numpy):
    y = f32(*np.linspace(-1.9, 1.9, 21))
    assert not quantise(y, 1.0, 1e6, zeros(y), geometric(3), numpy=numpy).any()


@both
def test_one_row_of_the_index_serves_all(numpy):
    rng = np.random.default_rng(5)
    y = rng.normal(0, 4, (20, 7)).astype(np.float32)
    row = np.array([0, 1, 1, 0, 1, 0, 0], np.uint16)
    shared = np.broadcast_to(row, y.shape)
    whole = quantise(y, 1.0, 0.3, np.ascontiguousarray(shared), geometric(1, 3), numpy=numpy)
    assert np.array_equal(quantise(y, 1.0, 0.3, shared, geometric(1, 3), numpy=numpy), whole)
    apart = np.asfortranarray(y)
    assert np.array_equal(quantise(apart, 1.0, 0.3, shared, geometric(1, 3), numpy=numpy), whole)


@both
def test_a_table_for_each_quantiser(numpy):
    """Where the odd quantiser's table makes zeros dear, its zeros go."""
    y = np.random.default_rng(6).normal(0, 1, (50, 40)).astype(np.float32)
    dear = tables_from_counts(
        [-20, -20], [geometric(1).frequencies[0] * 1.0, np.r_[np.ones(20), 1e-9, np.ones(21)]]
    )
    index = np.broadcast_to(np.array([0, 1], np.uint16), (50, 40, 2))
    found = quantise(y, 0.5, 0.5, index, dear, numpy=numpy)
    assert not ((found == 0) & (EIGHT.parities(found) == 1)).any()
    one = quantise(y, 0.5, 0.5, zeros(y), dear, numpy=numpy)
    assert ((one == 0) & (EIGHT.parities(one) == 1)).any()


@both
@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (3, 0)])
def test_nothing(shape, numpy):
    y = np.zeros(shape, np.float32)
    assert quantise(y, 1.0, 0.1, zeros(y), geometric(1), numpy=numpy).shape == shape
    symbols = np.zeros(shape, np.int32)
    assert dequantise(symbols, 1.0, numpy=numpy).shape == shape
    assert EIGHT.parities(symbols, numpy=numpy).shape == shape


@both
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0**30, -(2.0**31), 3e38])
@pytest.mark.parametrize("kind", [SCALED, NEAREST])
def test_values_without_a_symbol(kind, value, numpy):
    y = np.zeros((3, 4), np.float32)
    y[1, 2], y[2, 0] = value, np.nan
    kinds = np.array([SCALED, SCALED, kind, SCALED], np.uint8)
    scale = 1.0 if kind == SCALED else 0.25
    with pytest.raises(ValueRangeError, match="latent 2 of row 1"):
        quantise(y, scale, 0.1, zeros(y), geometric(1), kinds, numpy=numpy)


@both
def test_the_largest_values(numpy):
    largest = float(np.nextafter(np.float32(2**30), np.float32(0)))
    y = f32(largest, -largest, largest)
    symbols = quantise(y, 1.0, 0.0, zeros(y), geometric(1), numpy=numpy)
    assert np.array_equal(dequantise(symbols, 1.0, numpy=numpy), y)


@both
@pytest.mark.parametrize("symbol", [SYMBOL_MAX + 1, -SYMBOL_MAX - 1, 2**31 - 1, -(2**31)])
def test_symbols_without_a_value(symbol, numpy):
    symbols = np.array([[1, 0], [1, symbol]], np.int32)
    for read in (lambda: dequantise(symbols, 1.0, numpy=numpy), lambda: EIGHT.parities(symbols)):
        with pytest.raises(FormatError, match=f"latent 1 of row 1 is the symbol {symbol}"):
            read()
    kinds = np.array([SCALED, EXACT], np.uint8)
    assert dequantise(symbols, 9.0, kinds, numpy=numpy)[1, 1] == np.float32(symbol)
    largest = np.array([[1, SYMBOL_MAX, -SYMBOL_MAX]], np.int32)
    assert np.abs(dequantise(largest, 1.0, numpy=numpy)).max() == 2.0**31
    assert np.isinf(dequantise(largest, 1e37, numpy=numpy)).any()


def test_bad_input():
    y, tables = f32(1, 2, 3), geometric(1)
    for step in (0.0, -1.0, math.nan, math.inf, 1e-40):
        with pytest.raises(ConfigError, match="a step of"):
            quantise(y, step, 0.1, zeros(y), tables)
    for lam in (-0.1, math.nan, math.inf):
        with pytest.raises(ConfigError, match="a lambda of"):
            quantise(y, 1.0, lam, zeros(y), tables)
    for wrong in (y[0], y.astype(np.float64), y.tolist()):
        with pytest.raises(ShapeError, match="latents that are not"):
            quantise(wrong, 1.0, 0.1, zeros(y), tables)
    for index in (zeros(y)[0], zeros(y)[:, :2], zeros(y).astype(np.int64)):
        with pytest.raises(ShapeError, match="an index of shape"):
            quantise(y, 1.0, 0.1, index, tables)
    with pytest.raises(FormatError, match="selects table 1"):
        quantise(y, 1.0, 0.1, zeros(y) + np.uint16(1), tables)
    with pytest.raises(ShapeError, match="quantisers of shape"):
        quantise(y, 1.0, 0.1, zeros(y), tables, np.zeros(2, np.uint8))
    with pytest.raises(FormatError, match="quantiser 8"):
        quantise(y, 1.0, 0.1, zeros(y), tables, np.array([0, 8, 0], np.uint8))
    for symbols in (np.zeros(3, np.int32), np.zeros((1, 3), np.int64)):
        with pytest.raises(ShapeError, match="symbols of shape"):
            dequantise(symbols, 1.0)


@pytest.mark.parametrize(
    "pairs",
    [
        *([], [[0, 0]], [[0, 1], [0, 0]], [[0, 1], [1, 2]], [[0, 1, 1], [0, 1]], [[0, 1]] * 9),
        *(None, 3, "01", {}, [0, 1], [[0, 1.0], [0, 1]], [[False, True], [0, 1]]),
        [[0, -1], [0, 1]],
    ],
    ids=str,
)
def test_machines_that_are_none(pairs):
    with pytest.raises(FormatError, match="of a trellis"):
        Trellis.of(pairs)


def test_a_machine_comes_back_from_its_lists():
    assert Trellis.of(json.loads(json.dumps(EIGHT.transitions))) == EIGHT
    assert Trellis.of(GOLDEN["transitions"]) == EIGHT
