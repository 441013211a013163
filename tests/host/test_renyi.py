"""Matrix-based Renyi entropies against closed forms, and against eigenvalues taken by NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rdedge.errors import ConfigError, ShapeError, ValueRangeError
from rdedge.host.rates.base import Batch
from rdedge.host.rates.renyi import (
    RULES,
    MatrixRate,
    Width,
    conditional_entropy,
    entropy,
    gram,
    joint_entropy,
    kernel_width,
    mutual_information,
    parse_width,
    squared_distances,
)

ORDERS = (0.3, 0.5, 1 - 1e-9, 1, 1 + 1e-9, 1.01, 1.5, 2, 3, 50)
EVERY_ORDER = pytest.mark.parametrize("alpha", ORDERS)
WIDTHS: tuple[Width, ...] = (*RULES, "0.5 median")


def normal(count: int, width: int = 3, seed: int = 0) -> Tensor:
    """(count, width) float64."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, width)))


def blocks(*sizes: int) -> Tensor:
    """As many places far apart as there are sizes, each with so many equal samples; float64."""
    places = 1e3 * torch.eye(len(sizes), dtype=torch.float64)
    return places.repeat_interleave(torch.tensor(sizes), dim=0)


def by_numpy(a: np.ndarray, alpha: float) -> float:
    """Equation (1) as it stands, of a matrix with a trace."""
    p = np.linalg.eigvalsh(a / np.trace(a))
    p = p[p > 1e-15]
    if abs(alpha - 1.0) < 1e-7:
        return float(-(p * np.log2(p)).sum())
    return float(np.log2((p**alpha).sum()) / (1.0 - alpha))


def kernel_by_numpy(x: np.ndarray, width: float) -> np.ndarray:
    away = ((x[:, None] - x[None]) ** 2).sum(-1)
    return np.exp(-away / (2.0 * width**2))


# Closed forms


@EVERY_ORDER
@pytest.mark.parametrize("count", [1, 2, 7, 64])
@pytest.mark.parametrize("width", [*WIDTHS, 1.0])
def test_equal_samples_have_no_entropy(alpha: float, count: int, width: Width) -> None:
    for dtype in (torch.float32, torch.float64):
        x = torch.full((count, 3), 2.5, dtype=dtype)
        assert float(entropy(gram(x, width), alpha)) == pytest.approx(0.0, abs=2e-6)


@EVERY_ORDER
@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_samples_far_apart_have_log_n_bits(alpha: float, count: int) -> None:
    for x in (blocks(*[1] * count), blocks(*[1] * count).float()):
        assert float(entropy(gram(x, 1.0), alpha)) == pytest.approx(math.log2(count), abs=1e-5)


@EVERY_ORDER
@pytest.mark.parametrize(("places", "each"), [(2, 5), (4, 4), (8, 2)])
def test_equal_blocks_have_the_log_of_their_number(alpha: float, places: int, each: int) -> None:
    a = gram(blocks(*[each] * places), 1.0)
    assert float(entropy(a, alpha)) == pytest.approx(math.log2(places), abs=1e-5)


@EVERY_ORDER
def test_unequal_blocks_have_the_entropy_of_their_shares(alpha: float) -> None:
    sizes = (1, 2, 5, 8)
    p = np.array(sizes) / sum(sizes)
    wanted = float(-(p * np.log2(p)).sum())
    if abs(alpha - 1.0) > 1e-6:
        wanted = math.log2((p**alpha).sum()) / (1.0 - alpha)
    assert float(entropy(gram(blocks(*sizes), 1.0), alpha)) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("alpha", [0.5, 1, 1.01, 2, 3])
def test_blocks_that_cross_are_independent(alpha: float) -> None:
    """Rows and columns of a 4 by 8 table: knowing one says nothing of the other."""
    rows, columns = blocks(*[8] * 4), blocks(*[1] * 8).repeat(4, 1)
    a, b = gram(rows, 1.0), gram(columns, 1.0)
    assert float(joint_entropy(a, b, alpha)) == pytest.approx(5.0, abs=1e-6)
    assert float(conditional_entropy(a, b, alpha)) == pytest.approx(2.0, abs=1e-6)
    assert float(mutual_information(a, b, alpha)) == pytest.approx(0.0, abs=1e-6)
    assert float(mutual_information(a, a, alpha)) == pytest.approx(2.0, abs=1e-6)
    assert float(conditional_entropy(a, a, alpha)) == pytest.approx(0.0, abs=1e-6)


@EVERY_ORDER
@pytest.mark.parametrize("seed", range(3))
def test_numpy_says_the_same(alpha: float, seed: int) -> None:
    """By another way: squared differences, eigenvalues, powers; nothing shared."""
    x, y = normal(12, 3, seed), normal(12, 2, seed + 10)
    # Narrow enough that no eigenvalue is near the end of float64, where orders below 1 differ.
    k, m = kernel_by_numpy(x.numpy(), 0.8), kernel_by_numpy(y.numpy(), 0.5)
    a, b = gram(x, 0.8), gram(y, 0.5)
    assert np.allclose(a.numpy(), k / 12, atol=1e-12)
    marginal, other, joint = (by_numpy(v, alpha) for v in (k, m, k * m))
    assert float(entropy(a, alpha)) == pytest.approx(marginal, abs=1e-6)
    assert float(entropy(5.0 * a, alpha)) == pytest.approx(marginal, abs=1e-6), "over its trace"
    assert float(joint_entropy(a, b, alpha)) == pytest.approx(joint, abs=1e-6)
    assert float(conditional_entropy(a, b, alpha)) == pytest.approx(joint - other, abs=1e-6)
    information = marginal + other - joint
    assert float(mutual_information(a, b, alpha)) == pytest.approx(information, abs=1e-6)


def test_continuous_where_alpha_is_one() -> None:
    a = gram(normal(20), 0.7)
    limit = float(entropy(a, 1))
    for exponent in range(4, 15):
        away = 10.0**-exponent
        for alpha in (1 - away, 1 + away):
            assert float(entropy(a, alpha)) == pytest.approx(limit, abs=10 * away + 1e-9)


@pytest.mark.parametrize("alpha", [0.5, 1.5, 2])
def test_continuous_where_the_way_of_computing_changes(alpha: float) -> None:
    a, b = gram(normal(20), 0.7), gram(normal(20, seed=1), 0.7)
    for near in (alpha * (1 - 1e-9), alpha * (1 + 1e-9)):
        assert float(entropy(a, near)) == pytest.approx(float(entropy(a, alpha)), abs=1e-7)
        found = float(mutual_information(a, b, near))
        assert found == pytest.approx(float(mutual_information(a, b, alpha)), abs=1e-7)


# What entropies have in common (arXiv 1211.2459)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 16),
    dims=st.integers(1, 5),
    seed=st.integers(0, 1000),
    width=st.floats(0.05, 20.0),
    alphas=st.tuples(st.floats(0.3, 20.0), st.floats(0.3, 20.0)),
)
def test_orders_and_bounds(
    count: int, dims: int, seed: int, width: float, alphas: tuple[float, float]
) -> None:
    x, y = normal(count, dims, seed), normal(count, 2, seed + 1)
    if seed % 3 == 0:
        y = x + 0.1 * y[:, :1]
    a, b = gram(x, width), gram(y, "median")
    low, high = min(alphas), max(alphas)
    # Below 1 what rounding leaves of eigenvalues is lifted: p^0.3 of 1e-15 is 3e-5.
    slack = 1e-2 if low < 1.0 else 1e-8
    assert float(entropy(a, high)) <= float(entropy(a, low)) + slack, "falls in alpha"
    for alpha in alphas:
        s, t = float(entropy(a, alpha)), float(entropy(b, alpha))
        joint = float(joint_entropy(a, b, alpha))
        assert -1e-9 <= s <= math.log2(count) + slack
        assert joint <= math.log2(count) + slack
        assert joint >= max(s, t) - slack
        assert float(conditional_entropy(a, b, alpha)) >= -slack
        # For larger orders it does not hold: see the next test.
        if alpha <= 1.0:
            assert float(mutual_information(a, b, alpha)) >= -slack
            assert float(conditional_entropy(a, b, alpha)) <= s + slack, "knowing does not hurt"


def test_information_of_order_two_can_be_negative() -> None:
    """Two samples alike in x and far apart in y. By hand at order 2: with k, m the two kernels,
    I = log2 of mean(k^2 m^2) / (mean(k^2) mean(m^2)) over all pairs, and for wide kernels the sign
    is that of the covariance of the squared distances (0, 1, 1) and (1, 1/4, 1/4): 1/9 - 4/9 * 1/3.
    """
    x = torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64)
    y = torch.tensor([[0.0], [1.0], [0.5]], dtype=torch.float64)
    width = 5.0
    a, b = gram(x, width), gram(y, width)
    k, m = (kernel_by_numpy(v.numpy(), width) for v in (x, y))
    wanted = math.log2((k**2 * m**2).mean() / ((k**2).mean() * (m**2).mean()))
    assert float(mutual_information(a, b, 2)) == pytest.approx(wanted, abs=1e-12)
    assert wanted < 0.0
    assert wanted == pytest.approx((1 / 9 - 4 / 27) / width**4 / math.log(2.0), rel=0.1)
    assert float(mutual_information(a, b, 1.01)) > 0.0


@pytest.mark.parametrize("alpha", [0.7, 1, 1.01, 2, 3])
@pytest.mark.parametrize("width", [*WIDTHS, 0.8])
def test_order_and_place_say_nothing(alpha: float, width: Width) -> None:
    x, y = normal(20), normal(20, seed=1)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    for one, other in ((x[order], y[order]), (x + 1e6, y - 1e6)):
        for f in (joint_entropy, conditional_entropy, mutual_information):
            wanted = float(f(gram(x, width), gram(y, width), alpha))
            assert float(f(gram(one, width), gram(other, width), alpha)) == pytest.approx(
                wanted, abs=1e-6
            )


@pytest.mark.parametrize("width", WIDTHS)
def test_a_rule_follows_the_scale(width: Width) -> None:
    x = normal(20)
    for factor in (1e-30, 1e-3, 7.0, 1e30):
        assert torch.allclose(gram(factor * x, width), gram(x, width), atol=1e-12)
        assert kernel_width(factor * x, width) == pytest.approx(factor * kernel_width(x, width))


def test_a_large_offset_in_float32() -> None:
    # Steps of 1/8 are what float32 has left at 1e6, so nothing is lost by the offset itself.
    x = (8.0 * normal(40)).round().float() / 8.0
    near, far = gram(x, "median"), gram(x + 1e6, "median")
    assert torch.allclose(near, far, atol=1e-4)
    assert float(entropy(far, 2)) == pytest.approx(float(entropy(near, 2)), abs=2e-3)


def test_distances() -> None:
    x = normal(9).reshape(9, 3, 1)
    wanted = ((x.flatten(1)[:, None] - x.flatten(1)[None]) ** 2).sum(-1)
    found = squared_distances(x)
    assert torch.allclose(found, wanted)
    assert (found.diagonal() == 0.0).all()
    assert (squared_distances(torch.full((5, 3), 0.1)) >= 0.0).all()


# Widths


@pytest.mark.parametrize("width", [0, 0.0, -1.0, math.nan, math.inf, True, None, (1.0,)])
def test_wrong_widths(width: Width) -> None:
    for make in (parse_width, lambda w: gram(normal(4), w), lambda w: MatrixRate(2.0, w)):
        with pytest.raises(ConfigError, match="kernel width"):
            make(width)


@pytest.mark.parametrize(
    "width", ["", "foo", "input", "0 median", "-1 median", "e median", "median 2", "nan", "1e999"]
)
def test_wrong_rules(width: str) -> None:
    with pytest.raises(ConfigError, match="kernel width"):
        parse_width(width)
    with pytest.raises(ConfigError, match="kernel width"):
        MatrixRate(2.0, width)
    if width != "input":
        with pytest.raises(ConfigError, match="kernel width"):
            MatrixRate(2.0, "median", width)


@pytest.mark.parametrize(
    ("width", "wanted"),
    [
        (2, (2.0, None)),
        ("1e-3", (1e-3, None)),
        ("median", (1.0, "median")),
        (" 0.5*median ", (0.5, "median")),
        ("2 silverman", (2.0, "silverman")),
    ],
)
def test_right_widths(width: Width, wanted: tuple[float, str | None]) -> None:
    assert parse_width(width) == wanted


def test_rules_by_hand() -> None:
    line = torch.tensor([[0.0], [1.0], [3.0]])
    assert kernel_width(line, "median") == pytest.approx(2.0)
    assert kernel_width(line, "0.5 median") == pytest.approx(1.0)
    spread = math.sqrt(14.0 / 9.0)
    assert kernel_width(line, "silverman") == pytest.approx(spread * (4 / 9) ** 0.2)
    twins = torch.cat([line[:1].repeat(10, 1), line[1:]])
    assert kernel_width(twins, "median") > 0.9, "twins say nothing about scale"
    assert 0.0 < float(entropy(gram(twins, "median"), 2)) < math.log2(3)


@EVERY_ORDER
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_widths_without_end(alpha: float, dtype: torch.dtype) -> None:
    x = normal(16).to(dtype)
    for wide in (1e12, 1e30):
        assert float(entropy(gram(x, wide), alpha)) == pytest.approx(0.0, abs=2e-6)
    for narrow in (1e-6, 1e-30):
        assert float(entropy(gram(x, narrow), alpha)) == pytest.approx(4.0, abs=1e-5)


# Wrong input


@pytest.mark.parametrize("alpha", [0.0, -1.0, math.nan, math.inf, True, None, "2"])
def test_wrong_orders(alpha: float) -> None:
    a = gram(normal(4), 1.0)
    calls: tuple[Callable[[], object], ...] = (
        lambda: entropy(a, alpha),
        lambda: joint_entropy(a, a, alpha),
        lambda: mutual_information(a, a, alpha),
        lambda: MatrixRate(alpha),
    )
    for call in calls:
        with pytest.raises(ConfigError, match="order alpha"):
            call()


def test_wrong_shapes() -> None:
    for empty in (torch.zeros(0, 3), torch.zeros(3, 0), torch.zeros(())):
        for width in ("median", 1.0):
            with pytest.raises(ShapeError, match="batch of shape"):
                gram(empty, width)
    for shape in ((0, 0), (3, 4), (3,)):
        with pytest.raises(ShapeError, match="Gram matrix of shape"):
            entropy(torch.zeros(shape), 2)
    a, b = gram(normal(4), 1.0), gram(normal(5), 1.0)
    for f in (joint_entropy, conditional_entropy, mutual_information):
        with pytest.raises(ShapeError, match="4 and 5 samples"):
            f(a, b, 2.0)
    with pytest.raises(ShapeError):
        MatrixRate().estimate(Batch(normal(4), normal(4), normal(5)))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("width", [*WIDTHS, 1.0])
def test_what_is_not_finite_is_refused(bad: float, width: Width) -> None:
    x = normal(5)
    x[3, 1] = bad
    with pytest.raises(ValueRangeError, match="not finite"):
        gram(x, width)
    for batch in (Batch(x, x, normal(5)), Batch(normal(5), x, x)):
        with pytest.raises(ValueRangeError, match="not finite"):
            MatrixRate(width=width).estimate(batch)
