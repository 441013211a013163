"""Choosing what codes: the tables of a trellis and what a bit is worth, brought together."""

from __future__ import annotations

import numpy as np

from rdedge.coding.trellis import EIGHT
from rdedge.host.classes import Layout
from rdedge.host.contexts import fit_bank, start_contexts, unnamed
from rdedge.host.entropy import Entropy, weighed
from rdedge.host.fit import NEAREST, Latents, fit_step
from rdedge.metrics import Scale
from rdedge.types import Bound

SIZE, D = 32, 0.09
# Of independent Gaussian values of variance 1, in bits.
R = -0.5 * np.log2(D)


def gaussian(count: int, seed: int) -> Latents:
    x = np.random.default_rng(seed).normal(size=(count, SIZE)).astype(np.float32)
    return Latents([x], [x], lambda y_hat, _: list(y_hat))


def test_weights_bring_gaussian_values_nearer_to_their_bound() -> None:
    """What tables counted for other symbols hide: a bit that is worth more saves bits."""
    train, other = gaussian(3000, 1), gaussian(1000, 2)
    layout, step = Layout.plain(SIZE).unbound(False), 0.6 * float(np.sqrt(12 * D))
    fits: list[tuple[float, float]] = []

    def fit(found: Entropy, start: float) -> tuple[float, float]:
        at = fit_step(other, Bound("mse", D), Scale(1.0, (1.0,)), found.how, True, start)
        assert at is not None
        fits.append((found.rate_weight, found.bits(other, at[0]) / other.x[0].size))
        return fits[-1][1], at[0]

    start = unnamed(start_contexts(layout, train, step))
    selection, tables, contexts = fit_bank(layout, start, train, 2.0 * step, NEAREST, EIGHT)
    first = Entropy(selection, tables, contexts, trellis=EIGHT)
    found = list(weighed(layout, first, train, (0.28, 0.45), fit, step))
    assert [one.rate_weight for one in found] == [0.28, 0.45]
    of = {w: [bits for weight, bits in fits if weight == w] for w in (0.28, 0.45)}
    assert of[0.28][0] > 1.01 * of[0.28][-1], "counted on what it makes, not on rounded values"
    assert of[0.45][0] > 1.01 * of[0.45][-1]
    assert of[0.45][-1] < of[0.28][-1]
    # A scalar quantiser is 0.254 above, at high rates.
    assert 0.08 < of[0.45][-1] - R < 0.16


def test_a_weight_that_meets_no_bound_is_counted_no_further() -> None:
    train = gaussian(200, 1)
    layout = Layout.plain(SIZE).unbound(False)
    start = unnamed(start_contexts(layout, train, 1.0))
    selection, tables, contexts = fit_bank(layout, start, train, 2.0, NEAREST, EIGHT)
    first = Entropy(selection, tables, contexts, trellis=EIGHT)
    asked = []

    def fit(found: Entropy, start: float) -> tuple[float, float]:
        asked.append(found.rate_weight)
        return np.inf, start

    found = list(weighed(layout, first, train, (0.28, 0.45), fit, 1.0))
    assert asked == [0.28, 0.45]
    assert all(one.tables == tables for one in found)
