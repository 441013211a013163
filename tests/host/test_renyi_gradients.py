"""Gradients of matrix-based entropies, and the rate term that training descends on."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from rdedge.host.rates.base import Batch
from rdedge.host.rates.renyi import (
    RULES,
    MatrixRate,
    Width,
    conditional_entropy,
    entropy,
    gram,
    joint_entropy,
    mutual_information,
)

PAIRS = (joint_entropy, conditional_entropy, mutual_information)
Pair = Callable[[Tensor, Tensor, float], Tensor]


def normal(count: int, width: int = 3, seed: int = 0) -> Tensor:
    """(count, width) float64."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, width)))


def check(f: Callable[..., Tensor], *inputs: Tensor) -> None:
    """Analytical against numerical gradient."""
    needed = tuple(x.clone().requires_grad_(True) for x in inputs)
    assert torch.autograd.gradcheck(f, needed, eps=1e-6, atol=1e-6, rtol=1e-4)


def slope_of(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    x = x.clone().requires_grad_(True)
    f(x).backward()
    assert x.grad is not None
    return x.grad


@pytest.mark.parametrize("alpha", [0.5, 1 - 1e-9, 1, 1 + 1e-9, 1.01, 1.5, 2, 3, 50])
def test_entropy(alpha: float) -> None:
    check(lambda x: entropy(gram(x, 0.8), alpha), normal(6))
    check(lambda m: entropy(m @ m.T, alpha), normal(5, 7))


@pytest.mark.parametrize("alpha", [0.7, 1, 1.01, 2, 3])
@pytest.mark.parametrize("f", PAIRS)
def test_pairs(f: Pair, alpha: float) -> None:
    check(lambda x, y: f(gram(x, 0.8), gram(y, 1.1), alpha), normal(5), normal(5, 2, 1))


@pytest.mark.parametrize("alpha", [0.7, 1, 1.01, 1.5, 2, 3])
@pytest.mark.parametrize(
    "corners",
    [
        [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]],
        [[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]],
        [[0.0, 0.0], [9.0, 0.0], [0.0, 90.0], [900.0, 0.0]],
    ],
    ids=["square", "triangle", "far apart"],
)
def test_repeated_eigenvalues(corners: list[list[float]], alpha: float) -> None:
    """Eigenvectors of one eigenvalue are free to turn; the gradient must not hang on them."""
    x = torch.tensor(corners, dtype=torch.float64)
    check(lambda v: entropy(gram(v, 0.8), alpha), x)
    for f in PAIRS:
        check(lambda v, f=f: f(gram(v, 0.8), gram(x, 1.0), alpha), x)


@pytest.mark.parametrize("alpha", [1, 1.01, 1.5, 2, 3])
def test_twins(alpha: float) -> None:
    """Of samples that meet an eigenvalue vanishes; the entropy is even in what parts them."""
    x = torch.cat([normal(3), normal(3)])
    check(lambda v: entropy(gram(v, 0.8), alpha), x)
    same = torch.full((4, 2), 0.3, dtype=torch.float64)
    check(lambda v: entropy(gram(v, 0.8), alpha), same)
    assert slope_of(lambda v: entropy(gram(v, 0.8), alpha), same).abs().max() < 1e-12


@pytest.mark.parametrize("alpha", [0.6, 0.75, 1, 1.01, 1.5, 2, 3])
def test_twins_are_the_limit_of_samples_that_meet(alpha: float) -> None:
    """What pulls at the others does not jump where two samples meet."""
    x, other = normal(4), normal(1, seed=5)

    def slope(apart: float) -> Tensor:
        both = torch.cat([x, x[:1] + apart * other])
        return slope_of(lambda v: entropy(gram(v, 0.8), alpha), both)

    met = slope(0.0)
    assert torch.isfinite(met).all()
    # Near the meeting point the gradient of what meets goes with apart^(2 alpha - 1).
    near = 1e-5
    tolerance = 10.0 * near ** min(1.0, 2.0 * alpha - 1.0) * (1.0 - math.log(near))
    assert torch.allclose(slope(near), met, atol=tolerance)


@pytest.mark.parametrize("alpha", [0.3, 0.5, 1, 1.01, 2, 50])
@pytest.mark.parametrize("width", [*RULES, "0.5 median", 1.0, 1e-6, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_at_the_edges(alpha: float, width: Width, dtype: torch.dtype) -> None:
    for x in (
        normal(8).to(dtype),
        torch.cat([normal(4), normal(4)]).to(dtype),
        torch.cat([torch.zeros(7, 3), torch.ones(1, 3)]).to(dtype),
        normal(8, 1).to(dtype) + 1e6,
        1e-12 * normal(8).to(dtype),
        1e12 * normal(8).to(dtype),
    ):
        # The width is not differentiated: of the sum nothing is lost where a rule finds no width.
        slope = slope_of(lambda v: entropy(gram(v, width), alpha) + 0.0 * v.sum(), x)
        assert torch.isfinite(slope).all()


@pytest.mark.parametrize("alpha", [1, 1.01, 2])
def test_finite_at_the_ends_of_float32(alpha: float) -> None:
    x = normal(16).float()
    for narrow in (1e-30, 1e-22, 1e30):
        assert torch.isfinite(slope_of(lambda v, w=narrow: entropy(gram(v, w), alpha), x)).all()
    wanted = float(entropy(gram(x, "median"), alpha))
    for factor in (1e-30, 1e-22, 1e22, 1e30):
        scaled = factor * x
        assert float(entropy(gram(scaled, "median"), alpha)) == pytest.approx(wanted, abs=1e-4)
        slope = slope_of(lambda v: entropy(gram(v, "median"), alpha), scaled)
        assert torch.isfinite(slope).all()
        assert float(MatrixRate(alpha).estimate(batch_of(scaled, scaled))) > 0.1


@pytest.mark.parametrize("rule", ["median", "silverman"])
def test_equal_samples_stay_in_the_graph(rule: str) -> None:
    x = torch.full((5, 2), 0.25)
    for alpha in (0.3, 1, 1.01, 2):
        assert (slope_of(lambda v, alpha=alpha: entropy(gram(v, rule), alpha), x) == 0.0).all()


def test_directions_of_the_whole() -> None:
    """The gradient of what does not hang on place adds up to nothing over the samples."""
    for alpha in (0.7, 1, 1.01, 2):
        slope = slope_of(lambda v, alpha=alpha: entropy(gram(v, 0.8), alpha), normal(10))
        assert torch.allclose(slope.sum(dim=0), torch.zeros(3, dtype=torch.float64), atol=1e-12)
        # Samples drawn apart have more entropy.
        assert float((slope * normal(10)).sum()) > 0.0


# The rate term


def batch_of(x: Tensor, x_hat: Tensor) -> Batch:
    return Batch(x, x_hat, x_hat)


def test_what_it_is() -> None:
    rate = MatrixRate()
    assert (rate.name, rate.bounds, rate.alpha) == ("renyi", "neither", 2.0)
    assert not list(rate.parameters())


@pytest.mark.parametrize("alpha", [0.7, 1, 1.01, 2, 3])
def test_the_rate_is_the_information_of_input_and_output(alpha: float) -> None:
    x, x_hat = normal(16), normal(16) + 0.3 * normal(16, seed=1)
    wanted = mutual_information(gram(x, 0.8), gram(x_hat, 0.8), alpha)
    assert torch.equal(MatrixRate(alpha, 0.8).estimate(batch_of(x, x_hat)), wanted)
    pictures = batch_of(x.reshape(16, 3, 1), x_hat.reshape(16, 3, 1))
    assert torch.equal(MatrixRate(alpha, 0.8).estimate(pictures), wanted)


@pytest.mark.parametrize("alpha", [1, 1.01, 2, 3])
@pytest.mark.parametrize("width", [*RULES, 0.5, 1e-6])
def test_at_most_log_n(alpha: float, width: Width) -> None:
    for count in (1, 2, 16):
        x = normal(count)
        for x_hat in (x, 1e3 * x, normal(count, seed=1)):
            bits = float(MatrixRate(alpha, width).estimate(batch_of(x, x_hat)))
            assert bits <= math.log2(count) + 1e-9


@pytest.mark.parametrize("alpha", [1, 1.01, 2])
def test_it_falls_as_the_output_is_drawn_to_its_mean(alpha: float) -> None:
    x = normal(32)
    mean = x.mean(dim=0)
    bits = [
        float(MatrixRate(alpha, "median").estimate(batch_of(x, mean + c * (x - mean))))
        for c in (1.0, 0.8, 0.5, 0.2, 0.05, 0.0)
    ]
    assert bits == sorted(bits, reverse=True)
    assert bits[0] > 0.4
    assert bits[-1] == pytest.approx(0.0, abs=1e-6), "a constant says nothing"


@pytest.mark.parametrize("alpha", [1, 1.01, 2])
def test_a_copy_tells_all_at_any_scale(alpha: float) -> None:
    """Of x_hat = x the information is 2 S(X) - S(X, X); a rule makes it the same at any scale."""
    wanted = None
    for factor in (1e-3, 1.0, 1e3):
        x = factor * normal(16)
        found = float(MatrixRate(alpha, "median").estimate(batch_of(x, x)))
        wanted = found if wanted is None else wanted
        assert found == pytest.approx(wanted, abs=1e-9)


def test_a_width_of_the_outputs_own() -> None:
    x = normal(32)
    small = batch_of(x, 0.01 * x)
    copied = float(MatrixRate(2.0, "median").estimate(batch_of(x, x)))
    same = MatrixRate(2.0, "median", "input")
    own = MatrixRate(2.0, "median", "median")
    assert float(same.estimate(small)) < 0.01, "seen from the input's width all outputs are one"
    assert float(own.estimate(small)) == pytest.approx(copied, abs=1e-9)
    fixed = float(MatrixRate(2.0, 0.7, 0.3).estimate(small))
    wanted = mutual_information(gram(x, 0.7), gram(0.01 * x, 0.3), 2.0)
    assert fixed == pytest.approx(float(wanted))


@pytest.mark.parametrize("alpha", [1, 1.01, 2])
@pytest.mark.parametrize("width", [*RULES, 0.5])
@pytest.mark.parametrize("output", ["input", "median", 0.5])
def test_equal_samples(alpha: float, width: Width, output: Width) -> None:
    """Nothing goes in, so nothing can be told, whatever comes out; and nothing is NaN."""
    rate, same = MatrixRate(alpha, width, output), torch.full((8, 3), 4.0)
    for x, x_hat in ((same, same), (same, normal(8).float()), (normal(8).float(), same)):
        x_hat = x_hat.clone().requires_grad_(True)
        bits = rate.estimate(batch_of(x, x_hat))
        assert bits.detach().item() == pytest.approx(0.0, abs=2e-6)
        (bits + 0.0 * x_hat.sum()).backward()
        assert x_hat.grad is not None
        assert torch.isfinite(x_hat.grad).all()


@pytest.mark.parametrize("alpha", [1, 1.01, 2])
def test_float32_says_the_same(alpha: float) -> None:
    x, x_hat = normal(64), normal(64) + 0.3 * normal(64, seed=1)
    wanted = float(MatrixRate(alpha).estimate(batch_of(x, x_hat)))
    single = x_hat.float().requires_grad_(True)
    bits = MatrixRate(alpha).estimate(batch_of(x.float(), single))
    assert bits.detach().item() == pytest.approx(wanted, abs=1e-4)
    bits.backward()
    slope = slope_of(lambda v: MatrixRate(alpha).estimate(batch_of(x, v)), x_hat)
    assert single.grad is not None
    assert single.grad.dtype == torch.float32
    assert torch.allclose(single.grad.double(), slope, atol=1e-4)


@pytest.mark.parametrize("alpha", [1 - 1e-9, 1.0, 1 + 1e-9, 1 + 2e-8, 1 + 1e-6, 1.01])
def test_no_jump_around_one_where_eigenvalues_vanish(alpha: float) -> None:
    """A wide kernel in two dimensions leaves most of 64 eigenvalues at nothing but rounding."""
    x = normal(64, 2).double()
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).double()
    slope = slope_of(lambda v: entropy(gram(v, 20.0), alpha), x)

    def at(step: float) -> float:
        return float(entropy(gram(x + step * direction, 20.0), alpha))

    numeric = (at(1e-3) - at(-1e-3)) / 2e-3
    assert float((slope * direction).sum()) == pytest.approx(numeric, rel=1e-3)
