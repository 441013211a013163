"""Prediction from neighbouring patches (FORMAT.md 4.6): C, NumPy and the page say the same."""

from __future__ import annotations

import numpy as np
import pytest

from rdedge import native
from rdedge.coding.prediction import predict, restore

needs_c = pytest.mark.skipif(native.library() is None, reason="no C library")
ALL = np.arange(3)


def by_the_page(symbols: np.ndarray, latents: np.ndarray) -> np.ndarray:
    """Symbols (N, H, W, L), by FORMAT.md word for word."""
    found = symbols.astype(object)
    for n, y, x, k in np.ndindex(*symbols.shape):
        if k not in latents:
            continue
        left = int(symbols[n, y, x - 1, k]) if x else 0
        above = int(symbols[n, y - 1, x, k]) if y else 0
        corner = int(symbols[n, y - 1, x - 1, k]) if x and y else 0
        guess = sorted((left, above, left + above - corner))[1] if x and y else left + above
        found[n, y, x, k] = (int(symbols[n, y, x, k]) - guess + 2**31) % 2**32 - 2**31
    return found.astype(np.int32)


def images(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    symbols = rng.integers(-9, 10, shape).astype(np.int32)
    wild = rng.random(shape) < 0.1
    symbols[wild] = rng.choice([-(2**31), 2**31 - 1, 2**30, -(2**30)], int(wild.sum()))
    return symbols


@pytest.mark.parametrize("numpy", [pytest.param(False, marks=needs_c), True])
@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 3), (2, 1, 9, 3), (2, 9, 1, 3), (3, 4, 7, 3), (1, 20, 20, 1)]
)
@pytest.mark.parametrize("latents", [[0], [2, 0], [0, 1, 2], []])
def test_what_is_left_and_back(shape, latents, numpy):
    wanted = np.array([k for k in latents if k < shape[3]], np.intp)
    symbols = images(np.random.default_rng(len(latents)), shape)
    before = symbols.copy()
    left = predict(symbols.copy(), wanted, numpy)
    assert np.array_equal(symbols, before), "a copy"
    assert np.array_equal(left, by_the_page(symbols, wanted))
    others = np.setdiff1d(np.arange(shape[3]), wanted)
    assert np.array_equal(left[..., others], symbols[..., others])
    restore(left, wanted, numpy)
    assert np.array_equal(left, before)


@needs_c
def test_any_symbols_are_what_is_left_of_some(monkeypatch):
    """Hostile ones too: restoring wraps around, in C as in NumPy."""
    symbols = np.random.default_rng(5).integers(-(2**31), 2**31, (2, 6, 5, 3)).astype(np.int32)
    in_c, in_numpy = symbols.copy(), symbols.copy()
    restore(in_c, ALL)
    restore(in_numpy, ALL, numpy=True)
    assert np.array_equal(in_c, in_numpy)
    assert np.array_equal(predict(in_c.copy(), ALL), symbols)
    monkeypatch.setenv("RDEDGE_NATIVE", "0")
    assert np.array_equal(predict(in_c.copy(), ALL), symbols)


@pytest.mark.parametrize("numpy", [pytest.param(False, marks=needs_c), True])
def test_a_slope_leaves_nothing_but_its_start(numpy):
    y, x = np.mgrid[:6, :8]
    symbols = (3 * y + 2 * x).astype(np.int32)[None, :, :, None]
    left = predict(symbols.copy(), np.array([0]), numpy)[0, :, :, 0]
    assert (left[0, 1:] == 2).all()
    assert (left[1:, 0] == 3).all()
    assert (
        left[1:, 1:]
        == symbols[0, 1:, 1:, 0] - np.maximum(symbols[0, 1:, :-1, 0], symbols[0, :-1, 1:, 0])
    ).all()
