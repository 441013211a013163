from __future__ import annotations

import numpy as np
import pytest

from rdedge import native
from rdedge.coding.quantiser import dequantise, quantise
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
