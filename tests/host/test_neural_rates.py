"""InfoNCE and MINE against closed forms, and at their edges."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from rdedge.errors import ConfigError, RdedgeError, ShapeError, TrainingError, ValueRangeError
from rdedge.host.rates.base import Batch
from rdedge.host.rates.neural import InfoNce, Mine, NeuralRate

TERMS = [InfoNce, Mine]
BOTH = pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)


def channel(pairs: int, dim: int, rho: float, seed: int = 0) -> tuple[Tensor, Tensor, float]:
    """x, x_hat and the bits between them, in closed form."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(pairs, dim, generator=generator)
    noise = torch.randn(pairs, dim, generator=generator)
    bits = -0.5 * dim * math.log2(1.0 - rho**2)
    return x, rho * x + math.sqrt(1.0 - rho**2) * noise, bits


def batch_of(x: Tensor, x_hat: Tensor) -> Batch:
    return Batch(x, x_hat, x_hat)


@BOTH
@pytest.mark.parametrize("rho", [0.5, 0.9])
def test_gaussian_channel(term: type[NeuralRate], rho: float) -> None:
    x, x_hat, bits = channel(4000, 2, rho)
    found = term().measure(x, x_hat, steps=150)
    assert 0.8 * bits - 0.05 < found.bits < bits + 0.1
    assert (found.fitted, found.held_out) == (3000, 1000)


@BOTH
def test_independent_pairs_tell_nothing(term: type[NeuralRate]) -> None:
    x, x_hat, _ = channel(2000, 4, 0.0)
    assert abs(term().measure(x, x_hat, steps=100).bits) < 0.05


@BOTH
def test_pairs_learned_by_heart_raise_nothing(term: type[NeuralRate]) -> None:
    """A critic tells 64 pairs of 32 values apart; the figure of others must not show it."""
    x, x_hat, _ = channel(128, 32, 0.0)
    model = term()
    assert model.measure(x, x_hat, steps=200, held_out=0.5).bits < 0.2


def test_info_nce_never_exceeds_log_n() -> None:
    x, x_hat, bits = channel(1000, 16, 0.999)
    model = InfoNce()
    found = model.measure(x, x_hat, steps=150, batch=32)
    assert bits > 60.0
    assert 4.0 < found.bits <= found.ceiling_bits + 1e-5
    assert found.ceiling_bits == 5.0
    for n in (2, 3, 17, 1000):
        assert float(model.estimate(batch_of(x[:n], x_hat[:n]))) <= math.log2(n) + 1e-5


def test_mine_has_no_ceiling() -> None:
    x, x_hat, bits = channel(4000, 16, 0.95)
    found = Mine().measure(x, x_hat, steps=150, batch=64)
    assert math.isinf(found.ceiling_bits)
    assert math.log2(64) < found.bits < bits


@BOTH
def test_identical_samples_tell_nothing(term: type[NeuralRate]) -> None:
    x = torch.full((20, 3), 0.1)
    model = term()
    assert abs(model.measure(x, x, steps=5, batch=4).bits) < 1e-5
    assert abs(float(model.estimate(batch_of(x, x)))) < 1e-5


@BOTH
def test_one_side_constant_tells_nothing(term: type[NeuralRate]) -> None:
    x, _, _ = channel(400, 3, 0.0)
    # Such that the mean in float32 is not the value itself.
    x_hat = torch.full((400, 2), 1.1e7)
    assert abs(term().measure(x, x_hat, steps=50).bits) < 0.05


@BOTH
def test_scale_and_place_do_not_matter(term: type[NeuralRate]) -> None:
    x, x_hat, _ = channel(500, 2, 0.9)
    plain = term().measure(x, x_hat, steps=40).bits
    moved = term().measure(1e4 * x - 3e4, 1e-3 * x_hat + 5.0, steps=40).bits
    assert moved == pytest.approx(plain, abs=0.05)


@BOTH
def test_values_far_from_those_fitted_stay_finite(term: type[NeuralRate]) -> None:
    x, x_hat, _ = channel(200, 2, 0.9)
    model = term()
    model.fit(x, x_hat, steps=20, batch=32)
    for far in (1e6, 1e30):
        assert torch.isfinite(model.estimate(batch_of(x.clamp(-1, 1) * far, x_hat)))


@BOTH
def test_the_same_seed_gives_the_same(term: type[NeuralRate]) -> None:
    x, x_hat, _ = channel(500, 3, 0.8)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = term().measure(x, x_hat, steps=20, seed=5).bits
    assert torch.equal(torch.get_rng_state(), before), "the global generator is not ours"
    torch.manual_seed(2)
    again = term()
    again.fit(x, x_hat, steps=3, seed=1)  # what was fitted before leaves no trace
    assert again.measure(x, x_hat, steps=20, seed=5).bits == first
    assert term().measure(x, x_hat, steps=20, seed=6).bits != first


@BOTH
def test_gradient_reaches_x_hat_and_no_critic(term: type[NeuralRate]) -> None:
    x, x_hat, _ = channel(300, 2, 0.9)
    model = term()
    model.fit(x, x_hat, steps=60)
    x_hat.requires_grad_(True)
    bits = model.estimate(batch_of(x, x_hat))
    bits.backward()
    assert x_hat.grad is not None
    assert torch.isfinite(x_hat.grad).all()
    assert x_hat.grad.abs().sum() > 0
    assert all(p.grad is None and not p.requires_grad for p in model.parameters())
    # Against the gradient there is less to say.
    with torch.no_grad():
        lower = model.estimate(batch_of(x, x_hat - 0.3 * x_hat.grad / x_hat.grad.norm()))
    assert lower < bits


@BOTH
def test_fitting_improves(term: type[NeuralRate]) -> None:
    x, x_hat, _ = channel(1500, 3, 0.9)
    seen, unseen = slice(0, 1000), batch_of(x[1000:], x_hat[1000:])
    figures = []
    for steps in (1, 15, 150):
        model = term()
        model.fit(x[seen], x_hat[seen], steps=steps)
        figures.append(float(model.estimate(unseen)))
    assert figures[0] < 0.5
    assert figures[0] < figures[1] < figures[2]


@BOTH
def test_any_shape_and_dtype(term: type[NeuralRate]) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (60, 4, 4), generator=generator, dtype=torch.uint8)
    x_hat = x.double()[:, :2]
    model = term()
    model.fit(x, x_hat, steps=5, batch=16)
    bits = model.estimate(batch_of(x, x_hat))
    assert bits.shape == ()
    assert bits.dtype == torch.float32
    assert torch.isfinite(bits)


@BOTH
def test_two_pairs_are_enough(term: type[NeuralRate]) -> None:
    x, x_hat, _ = channel(2, 3, 0.5)
    model = term()
    model.fit(x, x_hat, steps=3, batch=2)
    assert torch.isfinite(model.estimate(batch_of(x, x_hat)))


def _with(value: float) -> Tensor:
    x = torch.zeros(10, 2)
    x[3, 1] = value
    return x


@BOTH
@pytest.mark.parametrize(
    ("x", "x_hat", "options", "error", "words"),
    [
        (torch.zeros(10, 2), torch.zeros(9, 2), {}, ShapeError, "as many samples"),
        (torch.zeros(()), torch.zeros(()), {}, ShapeError, "as many samples"),
        (torch.zeros(1, 2), torch.zeros(1, 2), {}, ShapeError, "2 or more"),
        (torch.zeros(10, 0), torch.zeros(10, 2), {}, ShapeError, "no values"),
        (_with(math.nan), torch.zeros(10, 2), {}, ValueRangeError, "x holds"),
        (torch.zeros(10, 2), _with(-math.inf), {}, ValueRangeError, "x_hat holds"),
        (_with(1e31), torch.zeros(10, 2), {}, ValueRangeError, "too large"),
        (torch.zeros(10, 2), torch.zeros(10, 2), {"batch": 1}, ConfigError, "batch of 1"),
        (torch.zeros(10, 2), torch.zeros(10, 2), {"steps": 0}, ConfigError, "0 steps"),
        (torch.zeros(10, 2), torch.zeros(10, 2), {"learning_rate": 0.0}, ConfigError, "above 0"),
        (
            torch.zeros(10, 2),
            torch.zeros(10, 2),
            {"learning_rate": math.nan},
            ConfigError,
            "finite",
        ),
    ],
)
def test_what_cannot_be_fitted(
    term: type[NeuralRate],
    x: Tensor,
    x_hat: Tensor,
    options: dict[str, float],
    error: type[RdedgeError],
    words: str,
) -> None:
    for call in (term().fit, term().measure):
        with pytest.raises(error, match=words):
            call(x, x_hat, **options)  # type: ignore[operator]


@BOTH
def test_what_cannot_be_estimated(term: type[NeuralRate]) -> None:
    x, x_hat, _ = channel(50, 3, 0.5)
    model = term()
    with pytest.raises(ConfigError, match="call fit first"):
        model.estimate(batch_of(x, x_hat))
    model.fit(x, x_hat, steps=2)
    with pytest.raises(ShapeError, match="fitted on"):
        model.estimate(batch_of(x, x_hat[:, :2]))
    with pytest.raises(ShapeError, match="2 or more"):
        model.estimate(batch_of(x[:1], x_hat[:1]))
    with pytest.raises(ShapeError, match="as many"):
        model.estimate(batch_of(x, x_hat[1:]))
    with pytest.raises(ValueRangeError, match="x_hat"):
        model.estimate(batch_of(x, x_hat * math.nan))


@BOTH
@pytest.mark.parametrize("held_out", [0.0, 1.0, math.nan, 0.01])
def test_a_share_that_leaves_nothing(term: type[NeuralRate], held_out: float) -> None:
    x, x_hat, _ = channel(50, 2, 0.5)
    with pytest.raises((ConfigError, ShapeError), match=r"held_out|judge"):
        term().measure(x, x_hat, held_out=held_out)


@BOTH
def test_a_critic_that_diverges_is_no_critic(term: type[NeuralRate]) -> None:
    x, x_hat, _ = channel(100, 3, 0.9)
    model = term()
    with pytest.raises(TrainingError, match="diverged"):
        model.fit(x, x_hat, steps=20, learning_rate=1e30)
    with pytest.raises(ConfigError, match="call fit first"):
        model.estimate(batch_of(x, x_hat))


def test_options_of_the_terms() -> None:
    with pytest.raises(ConfigError, match="hidden"):
        InfoNce(hidden=0)
    for decay in (-0.1, 1.0, math.nan):
        with pytest.raises(ConfigError, match="decay"):
            Mine(decay=decay)
    assert [(term.name, term.bounds) for term in TERMS] == [("infonce", "lower"), ("mine", "lower")]


def test_the_average_takes_the_place_of_the_mean() -> None:
    """Without memory the gradient is that of the bound itself."""
    x, x_hat, _ = channel(64, 2, 0.9)
    model = Mine(decay=0.0)
    model.fit(x, x_hat, steps=3)
    critic = model.critic
    assert critic is not None
    critic.requires_grad_(True)
    gradients = []
    for make in (model._loss, lambda *a: -_bound(model, *a)):
        critic.zero_grad()
        make(critic, x, x_hat).backward()
        gradients.append([p.grad.clone() for p in critic.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def _bound(model: Mine, critic: torch.nn.Module, x: Tensor, x_hat: Tensor) -> Tensor:
    joint, log_mean = model._terms(critic, x, x_hat, 4)
    return joint - log_mean
