from __future__ import annotations

import numpy as np
import pytest
import torch

from rdedge.errors import ConfigError, TrainingError
from rdedge.host.models.klt import klt, step_for
from rdedge.host.models.mlp import Mlp, MlpConfig, auto_config, start_from_klt
from rdedge.host.rates.priors import FactorizedPrior


def test_water_filling_meets_the_distortion_exactly() -> None:
    variances = np.array([10.0, 5.0, 1.0, 0.25])
    step = step_for(variances, 2.25)
    level = step**2 / 12.0
    assert level == pytest.approx((2.25 - 0.25) / 3)
    assert np.minimum(variances, level).sum() == pytest.approx(2.25)


def test_uncorrelated_elements_are_left_as_they_are() -> None:
    """To turn what is independent would only mix it; one strong correlation is reason enough."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 32)) * np.linspace(1.0, 2.0, 32)
    _, variances, basis = klt(x)
    assert np.array_equal(np.sort(np.abs(basis), axis=1)[:, -1], np.ones(32))
    assert (np.diff(variances) <= 0).all()
    x[:, 3] += 0.25 * x[:, 7]
    assert np.abs(klt(x)[2]).max() < 1.0, "one pair of 496"
    few = klt(rng.normal(size=(40, 64)))[2]
    assert few.shape == (64, 64)
    assert np.allclose(few @ few.T, np.eye(64), atol=1e-9)
    constant = np.zeros((50, 3))
    constant[:, 1] = rng.normal(size=50)
    assert np.allclose(np.abs(klt(constant, 1)[2]), [[0.0, 1.0, 0.0]])


def test_klt_is_orthonormal_and_sorted(digits: np.ndarray) -> None:
    _, variances, basis = klt(digits.reshape(len(digits), -1), 20)
    assert np.allclose(basis @ basis.T, np.eye(20), atol=1e-9)
    assert (np.diff(variances) <= 1e-9).all()


def test_the_start_is_the_best_linear_codec(digits: np.ndarray) -> None:
    """Untrained, unquantised, all components kept: the model gives back what it was given."""
    x = digits[:600]
    config = MlpConfig((8, 8), 64, 32, 32)
    model = Mlp(config)
    start_from_klt(model, x, 4.0)
    values = torch.from_numpy(x.astype(np.float32))
    with torch.no_grad():
        x_hat = model.g_s(model.g_a(values))
        y = torch.round(model.g_a(values))
        mse = float(((model.g_s(y) - values) ** 2).mean())
    assert float((x_hat - values).abs().max()) < 1e-3
    assert 2.0 < mse < 4.4, "the step of reverse water-filling should land near the bound"


def test_the_counts_are_what_the_layers_have() -> None:
    config = MlpConfig((5, 3), 7, 11, 13)
    model = Mlp(config)

    def macs(half: torch.nn.Module) -> int:
        return sum(m.weight.numel() for m in half.modules() if isinstance(m, torch.nn.Linear))

    assert macs(model.g_a) == config.encoder_macs
    assert macs(model.g_s) == config.decoder_macs
    assert MlpConfig.from_json(config.to_json()) == config


def test_constant_data_has_nothing_to_learn() -> None:
    with pytest.raises(TrainingError, match="the same"):
        auto_config(np.full((100, 5), 3.0), 1.0, latents=None, width=1.0)


def test_more_latents_than_elements_are_refused() -> None:
    x = np.random.default_rng(0).normal(size=(100, 5))
    with pytest.raises(ConfigError, match="6 latents"):
        auto_config(x, 0.1, latents=6, width=1.0)


def test_the_prior_is_a_distribution() -> None:
    prior = FactorizedPrior(3, torch.tensor([0.3, 2.0, 9.0]))
    mass = prior.mass_around(np.zeros(3, np.int64), 400, 0.7)
    assert mass.shape == (3, 801)
    assert np.allclose(mass.sum(1), 1.0, atol=1e-4)
    assert (mass >= 0).all()


def test_bits_are_finite_and_have_gradients_far_from_the_data() -> None:
    prior = FactorizedPrior(2, torch.ones(2))
    y = torch.tensor([[0.0, 1e4], [-1e4, 3.0]], requires_grad=True)
    bits = prior.bits(y).sum()
    bits.backward()
    assert torch.isfinite(bits)
    assert y.grad is not None
    assert torch.isfinite(y.grad).all()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in prior.parameters())


def test_bits_of_one_logistic_follow_its_cumulative_function() -> None:
    prior = FactorizedPrior(1, torch.ones(1), components=1)
    with torch.no_grad():
        prior.mean.fill_(0.25)
        prior.log_scale.fill_(float(np.log(0.8)))

    def cumulative(v: float) -> float:
        return 1.0 / (1.0 + np.exp(-(v - 0.25) / 0.8))

    expected = -np.log2(cumulative(2.5) - cumulative(1.5))
    with torch.no_grad():
        bits = float(prior.bits(torch.tensor([[2.0]])))
    assert bits == pytest.approx(expected, rel=1e-5)
