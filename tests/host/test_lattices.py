"""Channels that stay in the time domain: on which lattice, and foretold by what came before."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rdedge import metrics
from rdedge.coding.quantiser import EXACT
from rdedge.data.survey import Lattice, lattice
from rdedge.host.contexts import train_contexts
from rdedge.host.datasets import Parts
from rdedge.host.evaluate import latents_of
from rdedge.host.series import lattices_of, start_linear
from rdedge.types import Bound, SampleSpec

T = 32


def thirds(count: int, seed: int, share: float = 0.5) -> np.ndarray:
    """A walk of means of three whole numbers, (count,); the share of whole ones among them."""
    rng = np.random.default_rng(seed)
    whole = np.cumsum(rng.choice([-1, 0, 0, 0, 1], count)) % 9
    part = np.where(rng.random(count) < share, 0, rng.choice([-1, 1], count))
    return whole + part / 3


@pytest.mark.parametrize("share", [0.34, 0.5])
def test_a_coarser_lattice_is_one_of_preferred_levels(share: float) -> None:
    values = thirds(20_000, 1, share)
    found = lattice(values)
    assert found is not None
    steps = lattices_of(found, values, most=1.0)
    assert steps[0] == (found.step, found.origin)
    assert found.step == pytest.approx(1 / 3)
    if share < 0.4:
        assert len(steps) == 1, "as often as chance would have it"
        return
    ((step, origin),) = steps[1:]
    assert step == pytest.approx(1)
    assert origin == pytest.approx(round(origin), abs=1e-6)
    assert lattices_of(found, values, most=0.01) == steps[:1], "it errs by 0.056"


def test_one_level_says_nothing_of_others() -> None:
    assert lattices_of(Lattice(2.0, 1.0, 5, 0.0), np.array([1.0, 3.0, 5.0, 7.0]), 1.0) == [
        (2.0, 1.0)
    ]


def windows(count: int, seed: int) -> np.ndarray:
    """(count, T, 3) float32: a channel in thirds among two of noise."""
    rng = np.random.default_rng(seed)
    noise = np.cumsum(rng.normal(0, 0.4, (count, T, 2)), axis=1)
    flow = thirds(count * T, seed).reshape(count, T, 1)
    return np.concatenate([noise[..., :1], flow, noise[..., 1:]], axis=2).astype(np.float32)


def test_whole_numbers_come_back_where_training_had_thirds() -> None:
    x = windows(240, 0)
    parts = Parts(SampleSpec("series", (T, 3), "float32"), [x[:200]], [x[200:]], [x[200:]])
    scale = metrics.Scale(1.0, (1.0,) * 3)
    model = start_linear(parts, Bound("mse", 0.06), scale)
    assert model.config.exact == (1,)
    assert float(model.g_s.lattice[0]) == pytest.approx(1, abs=1e-3)
    other = windows(10, 5)
    other[:, :, 1] = np.rint(other[:, :, 1])
    with torch.no_grad():
        back = model.g_s(model.g_a(torch.from_numpy(other))).numpy()
    assert np.abs(back[:, :, 1] - other[:, :, 1]).max() < 0.02

    train = latents_of(model, parts.train, parts.spec)
    assert model.layout is not None
    contexts = train_contexts(model.layout, train, 1.0, 0.42)
    has_taps = np.array([len(taps) > 0 for taps in contexts.taps])
    exact = model.layout.quantisers == EXACT
    assert has_taps[exact].sum() > T / 2, "a walk is foretold by where it was"
    assert not has_taps[~exact].any()
