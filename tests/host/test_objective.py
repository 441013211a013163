"""What training minimises: which parameters each loss moves, and what its figures mean."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn

from rdedge.host.rates.base import Batch
from rdedge.host.rates.objective import RATES, Objective
from rdedge.host.rates.priors import ClassPrior, FactorizedPrior
from rdedge.host.rates.renyi import MatrixRate

SAMPLES, WIDTH, LATENTS = 24, 5, 3


class Setting:
    """A linear codec in the middle of a step: noisy latents, and what came of them."""

    def __init__(self, rate: str, alpha: float = 2.0, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.encoder, self.decoder = nn.Linear(WIDTH, LATENTS), nn.Linear(LATENTS, WIDTH)
        self.prior = FactorizedPrior(LATENTS, torch.ones(LATENTS))
        self.objective = Objective(rate, self.prior, 1, alpha, "median")
        x = torch.randn(SAMPLES, WIDTH)
        y = 3.0 * self.encoder(x)
        self.batch = Batch(x, y + torch.rand(y.shape) - 0.5, self.decoder(y))

    def gradients(self) -> dict[str, list[Tensor | None]]:
        """Of each part; None where the loss does not reach."""
        self.objective.loss(self.batch).backward()
        parts = {"encoder": self.encoder, "decoder": self.decoder, "prior": self.prior}
        return {name: [p.grad for p in part.parameters()] for name, part in parts.items()}


def moved(gradients: Iterable[Tensor | None]) -> bool:
    return any(g is not None and bool(g.abs().max() > 0.0) for g in gradients)


@pytest.mark.parametrize(
    ("rate", "reached"),
    [
        ("entropy", {"encoder", "prior"}),
        ("renyi", {"encoder", "decoder", "prior"}),
        ("both", {"encoder", "decoder", "prior"}),
        ("none", {"prior"}),
    ],
)
def test_whom_the_loss_reaches(rate: str, reached: set[str]) -> None:
    found = Setting(rate).gradients()
    assert {name for name, gradients in found.items() if moved(gradients)} == reached


@pytest.mark.parametrize("alpha", [1, 1.01, 2])
def test_the_fit_of_the_prior_says_nothing_to_the_model(alpha: float) -> None:
    """With renyi the codec's gradient is that of the matrix term alone, to the bit."""
    found = Setting("renyi", alpha).gradients()
    alone = Setting("renyi", alpha)
    MatrixRate(alpha, "median").estimate(alone.batch).backward()
    for name in ("encoder", "decoder"):
        wanted = [p.grad for p in getattr(alone, name).parameters()]
        for got, want in zip(found[name], wanted, strict=True):
            assert got is not None
            assert want is not None
            assert torch.equal(got, want)


@pytest.mark.parametrize("rate", RATES)
def test_the_prior_is_fitted_to_the_latents_whatever_the_rate(rate: str) -> None:
    found = Setting(rate).gradients()["prior"]
    alone = Setting(rate)
    alone.prior.estimate(alone.batch).backward()
    for got, parameter in zip(found, alone.prior.parameters(), strict=True):
        assert got is not None
        assert parameter.grad is not None
        assert torch.allclose(got, parameter.grad)


def test_both_is_the_sum() -> None:
    sums = [Setting(rate).gradients()["encoder"][0] for rate in ("entropy", "renyi", "both")]
    assert all(g is not None for g in sums)
    entropy, renyi, both = (g for g in sums if g is not None)
    assert torch.allclose(both, entropy + renyi, atol=1e-5)


def test_what_the_loss_and_the_bits_are_worth() -> None:
    for alpha in (1.01, 2.0):
        losses, bits = {}, {}
        for rate in RATES:
            setting = Setting(rate, alpha)
            losses[rate] = float(setting.objective.loss(setting.batch).detach())
            bits[rate] = setting.objective.bits(setting.batch, len(setting.batch.x))
            assert isinstance(bits[rate], float)
            assert bits[rate] == pytest.approx(losses[rate], abs=1e-4)
        prior = Setting("entropy")
        with torch.no_grad():
            assert losses["entropy"] == pytest.approx(float(prior.prior.estimate(prior.batch)))
            matrix = float(MatrixRate(alpha, "median").estimate(prior.batch))
        assert losses["renyi"] == pytest.approx(matrix, abs=1e-4)
        assert losses["both"] == pytest.approx(losses["entropy"] + matrix, abs=1e-4)
        assert losses["none"] == 0.0


def test_only_a_plain_auto_encoder_knows_of_no_rounding() -> None:
    assert [rate for rate in RATES if not Setting(rate).objective.quantised] == ["none"]


def test_nothing_is_trained_twice() -> None:
    """The matrix term has no parameters: an optimiser of the model's has them all."""
    for rate in RATES:
        setting = Setting(rate)
        assert set(setting.objective.parameters()) == set(setting.prior.parameters())


# Pictures


def patches_by_hand(x: Tensor, side: int) -> Tensor:
    """All patches of (N, H, W, C), picture by picture, row by row."""
    found = [
        picture[top : top + side, left : left + side]
        for picture in x
        for top in range(0, x.shape[1], side)
        for left in range(0, x.shape[2], side)
    ]
    return torch.stack(found)


def of_pictures(rate: str, side: int) -> Objective:
    return Objective(rate, ClassPrior(4, 2), side, 2.0, "median")


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_compared_by_their_patches(channels: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 16, 24, channels)
    x_hat = (x + 0.3 * torch.randn(x.shape)).requires_grad_(True)
    y = torch.randn(2, 2, 3, 4)
    objective = of_pictures("renyi", 8)
    loss = objective.loss(Batch(x, y, x_hat))
    cut, cut_hat = (patches_by_hand(v, 8) for v in (x, x_hat))
    wanted = 6.0 * MatrixRate(2.0, "median").estimate(Batch(cut, y, cut_hat))
    assert loss.detach().item() == pytest.approx(wanted.detach().item(), abs=1e-4)
    assert objective.bits(Batch(x, y, x_hat), len(x)) == pytest.approx(
        wanted.detach().item(), abs=1e-4
    )
    loss.backward()
    assert x_hat.grad is not None
    (slope,) = torch.autograd.grad(wanted, x_hat)
    assert torch.allclose(x_hat.grad, slope, atol=1e-6)
    assert moved(p.grad for p in objective.prior.parameters())


def test_of_many_patches_some_are_compared() -> None:
    """A Gram matrix of all patches of large pictures would not fit; 512 of them are spread over
    all pictures, and stand for the others.
    """
    torch.manual_seed(0)
    x = torch.randn(3, 128, 128, 1)
    x_hat = x.clone().requires_grad_(True)
    objective = of_pictures("renyi", 8)
    loss = objective.loss(Batch(x, torch.randn(3, 16, 16, 4), x_hat))
    loss.backward()
    assert 0.0 < loss.detach().item() <= 256 * 9.0 + 1e-3, "256 patches a picture, log2 of 512"
    assert x_hat.grad is not None
    touched = (patches_by_hand(x_hat.grad, 8).abs().amax(dim=(1, 2, 3)) > 0.0).reshape(3, 256)
    assert int(touched.sum()) <= 512
    assert (touched.sum(dim=1) > 100).all()


def test_a_patch_that_says_nothing_costs_nothing() -> None:
    torch.manual_seed(0)
    grey = torch.full((2, 16, 16, 1), 9.0)
    batch = Batch(torch.randn(2, 16, 16, 1), torch.randn(2, 2, 2, 4), grey)
    assert of_pictures("renyi", 8).bits(batch, len(batch.x)) == pytest.approx(0.0, abs=1e-4)


def test_bits_of_many_are_the_mean_over_batches_as_in_training() -> None:
    """No sample is left out of the entropy model's figure, none of the functional's is foreign."""
    torch.manual_seed(3)
    x, y = torch.randn(50, 4), torch.randn(50, 2)
    prior = FactorizedPrior(2, torch.ones(2))
    x_hat = x + 0.1 * torch.randn(50, 4)
    renyi = Objective("renyi", prior, 1, 2.0, 1.0)
    halves = [Batch(x[i], y[i], x_hat[i]) for i in (slice(0, 25), slice(25, 50))]
    with torch.no_grad():
        wanted = sum(float(renyi.matrix.estimate(h)) for h in halves if renyi.matrix) / 2
        mean = float(prior.bits(y).mean())
    assert renyi.bits(Batch(x, y, x_hat), 20) == pytest.approx(wanted, rel=1e-6)
    assert Objective("entropy", prior, 1, 2.0, 1.0).bits(Batch(x, y, x_hat), 20) == pytest.approx(
        mean, rel=1e-6
    )
