from __future__ import annotations

import numpy as np
import torch

from rdedge.coding.tables import cross_entropy_bits
from rdedge.host.fit import cross_fit, fit_step, fit_tables, symbols_of
from rdedge.host.rates import FactorizedPrior
from rdedge.metrics import Scale
from rdedge.types import Bound

SCALE = Scale(peak=1.0, std=(1.0,))


def identity(y_hat: np.ndarray) -> np.ndarray:
    return y_hat


def test_the_step_is_the_largest_that_meets_the_bound() -> None:
    y = np.random.default_rng(1).normal(scale=4.0, size=(4000, 3)).astype(np.float32)
    found = fit_step(y, y, identity, Bound("mse", 0.05), SCALE)
    assert found is not None
    step, distortion = found
    assert distortion <= 0.05
    assert abs(step - np.sqrt(12 * 0.05)) < 0.02, "a uniform quantiser's error is step^2 / 12"
    assert step == float(np.float32(step))


def test_a_bound_beyond_reach_is_said() -> None:
    y = np.ones((10, 2), np.float32)
    assert fit_step(y, y + 10.0, identity, Bound("mse", 0.5), SCALE) is None
    assert cross_fit(y, y + 10.0, identity, Bound("mse", 0.5), SCALE) == []


def test_cross_fitting_looks_at_the_other_half() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(scale=4.0, size=(2000, 2)).astype(np.float32)
    x = y.copy()
    x[1000:] += rng.normal(scale=0.2, size=(1000, 2)).astype(np.float32)
    other = cross_fit(y, x, identity, Bound("mse", 0.1), SCALE)
    assert other[0] > 0.12 > 0.08 > other[1]


def test_minimum_bounds_turn_the_other_way() -> None:
    y = np.random.default_rng(3).normal(scale=4.0, size=(2000, 2)).astype(np.float32)
    found = fit_step(y, y, identity, Bound("psnr", 20.0), SCALE)
    assert found is not None
    assert 20.0 <= found[1] < 20.1


def test_tables_code_near_the_entropy_of_what_they_were_fitted_on() -> None:
    rng = np.random.default_rng(4)
    scale = np.array([0.2, 1.0, 5.0])
    symbols = np.rint(rng.laplace(scale=scale, size=(6000, 3))).astype(np.int32)
    other = np.rint(rng.laplace(scale=scale, size=(6000, 3))).astype(np.int32)
    tables = fit_tables(symbols, other, FactorizedPrior(3, torch.from_numpy(scale).float()), 1.0)
    index = np.arange(3, dtype=np.uint16)
    entropy = 0.0
    for j in range(3):
        _, counts = np.unique(symbols[:, j], return_counts=True)
        p = counts / counts.sum()
        entropy -= float(np.sum(counts * np.log2(p)))
    assert cross_entropy_bits(symbols.reshape(-1), index, tables) < 1.01 * entropy
    assert cross_entropy_bits(other.reshape(-1), index, tables) < 1.02 * entropy


def test_outliers_escape_and_do_not_blow_up_the_tables() -> None:
    symbols = np.zeros((500, 1), np.int32)
    symbols[0], symbols[1] = 2**31 - 1, -(2**31) + 1
    tables = fit_tables(symbols, symbols, FactorizedPrior(1, torch.ones(1)), 1.0)
    assert len(tables.frequencies[0]) <= 4096


def test_what_lies_outside_a_table_is_the_escapes() -> None:
    """A tenth of the symbols far away: their mass is not that of the window's edge."""
    symbols = np.zeros((1000, 1), np.int32)
    symbols[:100] = 5000
    tables = fit_tables(symbols, symbols, FactorizedPrior(1, torch.ones(1)), 1.0)
    share = tables.frequencies[0] / 2**16
    assert 0.08 < share[-1] < 0.12
    assert share[:-1].max() > 0.85


def test_a_latent_of_a_wide_range_does_not_widen_the_others() -> None:
    rng = np.random.default_rng(5)
    symbols = np.stack(
        [np.rint(rng.exponential(1e5, 4000)), np.rint(rng.normal(0, 1, 4000))], axis=1
    ).astype(np.int32)
    tables = fit_tables(symbols, symbols, FactorizedPrior(2, torch.tensor([1e5, 1.0])), 1.0)
    assert len(tables.frequencies[1]) < 64


def test_symbols_keep_their_shape() -> None:
    y = np.array([[0.49, -0.51], [1.5, -1.5]], np.float32)
    assert symbols_of(y, 1.0).tolist() == [[0, -1], [2, -2]]
