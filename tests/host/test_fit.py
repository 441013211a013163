"""Fitting step, rounding and tables to fixed latents."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rdedge.coding.quantiser import EXACT, NEAREST, SCALED
from rdedge.coding.tables import cross_entropy_bits
from rdedge.host.classes import Band, GroupLayout, Layout, estimated_bits
from rdedge.host.fit import (
    Latents,
    cross_fit,
    fit_layout,
    fit_rounding,
    fit_step,
    fit_tables,
    rows_of,
)
from rdedge.host.rates.priors import FactorizedPrior
from rdedge.metrics import Scale
from rdedge.types import Bound

SCALE = Scale(peak=1.0, std=(1.0,))


def identity(y_hat: list[np.ndarray], _: object) -> list[np.ndarray]:
    """Rows (n, 1, L) come back as samples (n, L)."""
    return [y.reshape(len(y), -1) for y in y_hat]


def latents(y: np.ndarray, x: np.ndarray, quantisers: np.ndarray | None = None) -> Latents:
    """One batch of samples of one row."""
    return Latents([y[:, None]], [x], identity, quantisers)


def test_the_step_is_the_largest_that_meets_the_bound() -> None:
    y = np.random.default_rng(1).normal(scale=4.0, size=(4000, 3)).astype(np.float32)
    found = fit_step(latents(y, y), Bound("mse", 0.05), SCALE)
    assert found is not None
    step, distortion = found
    assert distortion <= 0.05
    assert abs(step - np.sqrt(12 * 0.05)) < 0.02, "a uniform quantiser's error is step^2 / 12"
    assert step == float(np.float32(step))


def test_a_bound_beyond_reach_is_said() -> None:
    y = np.ones((10, 2), np.float32)
    assert fit_step(latents(y, y + 10.0), Bound("mse", 0.5), SCALE) is None
    assert cross_fit(latents(y, y + 10.0), Bound("mse", 0.5), SCALE) == []


def test_cross_fitting_looks_at_the_other_half() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(scale=4.0, size=(2000, 2)).astype(np.float32)
    x = y.copy()
    x[1000:] += rng.normal(scale=0.2, size=(1000, 2)).astype(np.float32)
    other = cross_fit(latents(y, x), Bound("mse", 0.1), SCALE)
    assert other[0] > 0.12 > 0.08 > other[1]


def test_minimum_bounds_turn_the_other_way() -> None:
    y = np.random.default_rng(3).normal(scale=4.0, size=(2000, 2)).astype(np.float32)
    found = fit_step(latents(y, y), Bound("psnr", 20.0), SCALE)
    assert found is not None
    assert 20.0 <= found[1] < 20.1


def test_tables_code_near_the_entropy_of_what_they_were_fitted_on() -> None:
    rng = np.random.default_rng(4)
    scale = np.array([0.2, 1.0, 5.0])
    symbols = np.rint(rng.laplace(scale=scale, size=(6000, 3))).astype(np.int32)
    other = np.rint(rng.laplace(scale=scale, size=(6000, 3))).astype(np.int32)
    selection, tables = fit_tables(
        symbols, other, FactorizedPrior(3, torch.from_numpy(scale).float()), 1.0
    )
    index = selection.fixed
    assert index is not None
    assert index.tolist() == [0, 1, 2]
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
    _, tables = fit_tables(symbols, symbols, FactorizedPrior(1, torch.ones(1)), 1.0)
    assert len(tables.frequencies[0]) <= 4096


def test_what_lies_outside_a_table_is_the_escapes() -> None:
    """A tenth of the symbols far away: their mass is not that of the window's edge."""
    symbols = np.zeros((1000, 1), np.int32)
    symbols[:100] = 5000
    _, tables = fit_tables(symbols, symbols, FactorizedPrior(1, torch.ones(1)), 1.0)
    share = tables.frequencies[0] / 2**16
    assert 0.08 < share[-1] < 0.12
    assert share[:-1].max() > 0.85


def test_a_latent_of_a_wide_range_does_not_widen_the_others() -> None:
    rng = np.random.default_rng(5)
    symbols = np.stack(
        [np.rint(rng.exponential(1e5, 4000)), np.rint(rng.normal(0, 1, 4000))], axis=1
    ).astype(np.int32)
    _, tables = fit_tables(symbols, symbols, FactorizedPrior(2, torch.tensor([1e5, 1.0])), 1.0)
    assert len(tables.frequencies[1]) < 64


def test_symbols_keep_their_shape() -> None:
    y = np.array([[0.49, -0.51], [1.5, -1.5]], np.float32)
    found = latents(y, y)
    assert found.symbols(1.0, 0.5)[0].tolist() == [[[0, -1]], [[2, -2]]]
    assert found.decoded(0.5, 0.5)[0].tolist() == [[0.5, -0.5], [1.5, -1.5]]


def test_near_one_the_walk_finds_what_the_scan_finds() -> None:
    y = np.random.default_rng(6).normal(scale=4.0, size=(3000, 2)).astype(np.float32)
    for bound in (Bound("mse", 0.05), Bound("mse", 0.3), Bound("psnr", 30.0)):
        scanned = fit_step(latents(y, y), bound, SCALE)
        walked = fit_step(latents(y, y), bound, SCALE, near=True)
        assert scanned is not None
        assert walked is not None
        assert bound.met_by(walked[1])
        assert walked[0] == pytest.approx(scanned[0], rel=0.02)
    assert fit_step(latents(y, y + 10.0), Bound("mse", 0.5), SCALE, near=True) is None
    everything = fit_step(latents(y, y), Bound("mse", 1e6), SCALE, near=True)
    assert everything is not None
    assert everything[0] >= 4.0, "no step is too coarse"


def test_each_latent_is_quantised_in_its_way() -> None:
    y = np.array([[1.4, 1.4, 7.0], [-0.6, -0.6, -3.0]], np.float32)
    found = latents(y, y, np.array([SCALED, NEAREST, EXACT], np.uint8))
    assert found.symbols(1.0, 0.25)[0].tolist() == [[[1, 1, 7]], [[0, -1, -3]]]
    assert found.decoded(2.0, 0.25)[0].tolist() == [[0.0, 2.0, 7.0], [0.0, 0.0, -3.0]]


def test_batches_of_several_shapes_are_fitted_together() -> None:
    """Images: each a batch of its own, whose rows differ in number."""
    rng = np.random.default_rng(7)
    y = [rng.normal(scale=3.0, size=(1, rows, 2)).astype(np.float32) for rows in (3, 50, 8, 20)]
    x = [part.reshape(1, -1) for part in y]

    def synthesis(y_hat: list[np.ndarray], shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
        assert [part[0].size for part in y_hat] == [shape[0] for shape in shapes]
        return [part.reshape(1, -1) for part in y_hat]

    found = Latents(y, x, synthesis)
    assert found.count == 4
    assert found.part(slice(1, 3)).y == y[1:3]
    assert rows_of(found.symbols(1.0, 0.5)).shape == (81, 2)
    fitted = fit_step(found, Bound("mse", 0.1), SCALE)
    assert fitted is not None
    assert fitted[1] <= 0.1
    assert len(cross_fit(found, Bound("mse", 0.1), SCALE)) == 2
    assert latents(y[1][0], y[1][0]).part(slice(0, 7)).count == 7


def test_one_sample_has_no_halves() -> None:
    y = np.ones((1, 2), np.float32)
    assert cross_fit(latents(y, y), Bound("mse", 0.1), SCALE) == []


def one_class(count: int) -> Layout:
    bands = tuple(Band(symmetric=True) for _ in range(count))
    return Layout(bands, (GroupLayout(np.arange(count), np.zeros(count, np.uint8)),), (1,))


def test_the_rounding_is_the_one_that_saves_bits() -> None:
    """Rare large values among zeros: a dead zone pays, and the bound is still met."""
    rng = np.random.default_rng(8)
    y = rng.laplace(scale=0.4, size=(6000, 2)).astype(np.float32)
    layout, bound = one_class(2), Bound("mse", 0.15)
    train, validation = latents(y[:4000], y[:4000]), latents(y[4000:], y[4000:])
    rounding, step, bits = fit_rounding(
        lambda s, r: fit_layout(layout, train, s, r), validation, bound, SCALE
    )
    assert rounding < 0.5
    assert ((validation.decoded(step, rounding)[0] - y[4000:]) ** 2).mean() <= 0.15
    nearest = fit_step(validation, bound, SCALE, 0.5)
    assert nearest is not None
    assert step < nearest[0], "what the dead zone errs more, a smaller step makes up for"
    selection, tables = fit_layout(layout, train, nearest[0], 0.5)
    at_half = estimated_bits(selection, tables, validation.coded(nearest[0], 0.5))
    assert bits < at_half


def test_no_rounding_meets_what_cannot_be_met() -> None:
    y = np.ones((50, 2), np.float32)
    found = fit_rounding(
        lambda s, r: fit_layout(one_class(2), latents(y, y), s, r),
        latents(y, y + 9.0),
        Bound("mse", 0.5),
        SCALE,
    )
    assert found == (0.5, 1.0, float("inf"))
