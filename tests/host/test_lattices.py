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
from rdedge.host.models.linear import LinearConfig
from rdedge.host.series import gathered, lattices_of, start_linear
from rdedge.host.spans import lag_of, series_spans
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


def bursts(count: int, seed: int) -> np.ndarray:
    """(count, T, 1) float32: near 30 but for two values in twelve, which come again."""
    rng = np.random.default_rng(seed)
    t = np.arange(count * T)
    high = np.repeat(rng.choice([44.0, 58.0, 93.0], t.size // 12 + 1), 12)[: t.size]
    x = np.where(t % 12 == 3, high, np.where(t % 12 == 4, 0.5 * high + 15.0, 30.0))
    return (x + rng.normal(0, 0.8, t.size)).reshape(count, T, 1).astype(np.float32)


def test_values_that_repeat_themselves_stay_in_the_time_domain() -> None:
    x = bursts(120, 3)
    parts = Parts(SampleSpec("series", (T, 1), "float32"), [x[:100]], [x[100:]], [x[100:]])
    model = start_linear(parts, Bound("mse", 4.0), metrics.Scale(1.0, (1.0,)))
    assert model.config.timed
    assert model.config.encoder_macs == 0
    assert LinearConfig.from_json(model.config.to_json()) == model.config
    assert float(model.g_a.mean) == pytest.approx(30, abs=2)
    with torch.no_grad():
        y = model.g_a(torch.from_numpy(x))
        back = model.g_s(torch.round(y)).numpy()
    assert y.shape == (120, T)
    assert np.square(back - x).mean() < 4.0
    assert float((torch.round(y) == 0).float().mean()) > 0.75

    assert model.layout is not None
    rows = torch.round(y).numpy().astype(np.int32)
    assert lag_of(model.layout, rows) == 12
    spans = series_spans(model.layout, 12)
    assert spans[0] is None
    widths = {len(inputs) for inputs in spans[1:] if inputs is not None}
    assert widths == {len(series_spans(model.layout)[1] or ()) + 6}
    assert ((0, 8, 1),) in (spans[20] or ()), "what stood there a period before"
    for k, inputs in enumerate(spans):
        for some in inputs or ():
            assert all(first >= 0 and first + n <= k for _, first, n in some)


def test_nothing_gathers_where_values_are_spread_evenly() -> None:
    values = np.random.default_rng(0).uniform(0, 50, 5000)
    step, _ = gathered([values[:4000], values[4000:]], 1.0)
    assert step == pytest.approx(12**0.5, rel=0.06)
