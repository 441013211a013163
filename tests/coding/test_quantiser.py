from __future__ import annotations

import numpy as np
import pytest

from rdedge import native
from rdedge.coding.quantiser import EXACT, NEAREST, PREDICTED, SCALED, dequantise, quantise
from rdedge.errors import ConfigError, ShapeError, ValueRangeError


@pytest.fixture(params=["c", "numpy"])
def backend(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setenv("RDEDGE_NATIVE", "0")
    elif native.library() is None:
        pytest.skip("no C library")
    return request.param


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_nearest_rounds_halves_away_from_zero(backend):
    y = f32(0.0, -0.0, 0.49, 0.5, -0.5, 1.49, -1.5, 2.5)
    assert quantise(y, 1.0, 0.5).tolist() == [0, 0, 0, 1, -1, 1, -2, 3]


def test_less_rounding_widens_the_cell_of_zero(backend):
    assert quantise(f32(0.6, -0.6, 0.7, -1.6, 1.8), 1.0, 0.25).tolist() == [0, 0, 0, -1, 2]


def test_step(backend):
    y = f32(1.0, -3.0, 10.1)
    symbols = quantise(y, 0.5, 0.5)
    assert symbols.tolist() == [2, -6, 20]
    assert dequantise(symbols, 0.5).tolist() == [1.0, -3.0, 10.0]
    assert dequantise(symbols, 0.5).dtype == np.float32


def test_largest_symbols(backend):
    largest = 2147483520.0  # the largest float32 below 2^31
    assert quantise(f32(largest, -largest), 1.0, 0.5).tolist() == [2147483520, -2147483520]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0**31, -(2.0**31), 3e38])
def test_values_without_a_symbol(backend, value):
    with pytest.raises(ValueRangeError, match="latent 2 is"):
        quantise(f32(0, 1, value, np.nan), 1.0, 0.5)


@pytest.mark.parametrize("step", [0.0, -1.0, np.nan, np.inf, 1e-40, 1e38])
def test_steps_that_are_none(step):
    with pytest.raises(ConfigError):
        quantise(f32(1.0), step, 0.5)


@pytest.mark.parametrize("rounding", [0.0, 0.51, -0.1, np.nan])
def test_roundings_that_are_none(rounding):
    with pytest.raises(ConfigError):
        quantise(f32(1.0), 1.0, rounding)


def test_wrong_arrays():
    for y in (np.zeros(3), np.zeros((2, 2), np.float32), [1.0]):
        with pytest.raises(ShapeError):
            quantise(y, 1.0, 0.5)


def test_no_latents(backend):
    assert quantise(f32(), 1.0, 0.5).shape == (0,)


def test_symbols_too_large_for_a_float_give_infinity_without_a_warning():
    assert np.isinf(dequantise(np.array([2**31 - 1], np.int32), 1e36)).all()


KINDS = np.array([SCALED, NEAREST, EXACT], np.uint8)


def test_each_place_of_a_row_in_its_own_way(backend):
    y = f32(2.6, 2.6, 3.0, -2.6, -2.6, -3.0, 0.9, 1.0, 0.0)
    symbols = quantise(y, 2.0, 0.25, quantisers=KINDS)
    assert symbols.tolist() == [1, 1, 3, -1, -1, -3, 0, 1, 0]
    assert quantise(y, 2.0, 0.5, quantisers=KINDS).tolist() == [1, 1, 3, -1, -1, -3, 0, 1, 0]
    back = dequantise(symbols.reshape(3, 3), 2.0, KINDS)
    assert back.dtype == np.float32
    assert back.tolist() == [[2.0, 2.0, 3.0], [-2.0, -2.0, -3.0], [0.0, 2.0, 0.0]]


def test_the_rounding_belongs_to_the_scaled_alone(backend):
    y = f32(0.7, 0.7, 0.7)
    assert quantise(y, 1.0, 0.25, quantisers=KINDS).tolist() == [0, 1, 1]


def test_predicted_says_nothing_of_how_it_is_quantised(backend):
    y = f32(0.7, 2.6, 3.0)
    marked = KINDS | np.uint8(PREDICTED)
    found = quantise(y, 2.0, 0.25, quantisers=marked)
    assert np.array_equal(found, quantise(y, 2.0, 0.25, quantisers=KINDS))
    assert np.array_equal(dequantise(found, 2.0, marked), dequantise(found, 2.0, KINDS))


def test_all_scaled_is_as_none_given(backend):
    y = np.random.default_rng(0).normal(0, 9, 60).astype(np.float32)
    plain = quantise(y, 0.7, 0.3)
    assert np.array_equal(quantise(y, 0.7, 0.3, quantisers=np.zeros(5, np.uint8)), plain)
    assert np.array_equal(dequantise(plain, 0.7, np.zeros(60, np.uint8)), dequantise(plain, 0.7))


def test_symbols_of_rows_go_where_they_are_told(backend):
    out = np.full(6, 99, np.int32)
    assert quantise(f32(1, 2, 3, 4, 5, 6), 2.0, 0.5, out, KINDS) is out
    assert out.tolist() == [1, 1, 3, 2, 3, 6]
    apart = np.repeat(f32(1, 2, 3, 4, 5, 6), 2)[::2]
    assert quantise(apart, 2.0, 0.5, quantisers=KINDS).tolist() == out.tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("place", [0, 4, 8])
def test_values_of_rows_without_a_symbol(backend, value, place):
    y = np.zeros(9, np.float32)
    y[place] = value
    with pytest.raises(ValueRangeError, match=f"latent {place} is"):
        quantise(y, 0.5, 0.5, quantisers=KINDS)


def test_what_one_step_can_hold_another_cannot(backend):
    """2^31 is a symbol at a step of 2, and no whole number that comes back as it is."""
    y = f32(2.0**31, 2.0**31, 0.0)
    assert quantise(y, 2.0, 0.5, quantisers=KINDS).tolist() == [2**30, 2**30, 0]
    with pytest.raises(ValueRangeError, match="latent 2 is"):
        quantise(f32(0.0, 0.0, 2.0**31), 2.0, 0.5, quantisers=KINDS)


def test_rows_must_be_whole(backend):
    with pytest.raises(ShapeError, match="rows of 3"):
        quantise(f32(1, 2, 3, 4), 1.0, 0.5, quantisers=KINDS)
    assert quantise(f32(), 1.0, 0.5, quantisers=KINDS).size == 0


def test_whole_numbers_come_back_as_they_are(backend):
    """All up to 2^23; beyond, where floats have no halves, the even ones."""
    whole = f32(8_388_607.0, -8_388_608.0, 2147483520.0)
    exact = np.full(3, EXACT, np.uint8)
    symbols = quantise(whole, 1e-3, 0.1, quantisers=exact)
    assert np.array_equal(dequantise(symbols, 1e-3, exact), whole)
