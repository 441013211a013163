"""Contexts and a trellis (FORMAT.md 4.7, 4.8): C and NumPy alike, what is found is sound."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge.coding import quantiser
from rdedge.coding.context import Contexts
from rdedge.coding.context_model import ContextModel
from rdedge.coding.means import Moving
from rdedge.coding.quantiser import SCALED
from rdedge.coding.rans import Coder
from rdedge.coding.rows import Rows
from rdedge.coding.search import search
from rdedge.coding.tables import COST_BITS, Tables
from rdedge.coding.trellis import EIGHT, Trellis, dequantise
from rdedge.errors import FormatError, ValueRangeError
from tests.coding.context_cases import bank_of, random_contexts
from tests.coding.trellis_cases import TrellisCase, trellis_case
from tests.golden import make_trellises as golden


def scaled_of(one: TrellisCase, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Latents in steps, and the symbols of those that the trellis leaves out."""
    rng = np.random.default_rng([seed, 2])
    rows, latents = len(one.case.rows.base), one.case.contexts.latents
    scale = float(rng.choice([0.4, 3.0, 90.0]))
    scaled = rng.laplace(0, scale, (rows, latents)).astype(np.float32)
    return scaled, np.rint(scaled).astype(np.int32)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_c_and_numpy_select_and_decode_alike(seed: int) -> None:
    one = trellis_case(seed)
    rows, tables = one.case.rows, one.case.tables
    models = [one.model(numpy) for numpy in (False, True)]
    ordered = rows.to_coded(one.case.symbols, one.case.contexts.latents)
    for parity in (None, 0, 1):
        found = [model.select(ordered, rows, parity) for model in models]
        assert all((a == b).all() for a, b in zip(*found, strict=True))
    coded, index = models[0].select(ordered, rows)
    inputs = [model.inputs(ordered, rows) for model in models]
    assert all((a == b).all() for a, b in zip(*inputs, strict=True))
    moves = rows.to_coded(np.tile(one.kinds == SCALED, len(rows.base)), one.kinds.size)
    assert inputs[0][1][moves].max(initial=0) <= 1
    assert (coded == ordered)[moves].all()
    for model, backend in zip(models, ("c", "numpy"), strict=True):
        coder = Coder(tables, np.zeros(1, np.uint16), backend)
        made = coder.encode(coded, 4, index)
        assert (model.decode(coder, made.latents, made.escapes, made.lanes, rows) == ordered).all()


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 3))
def test_the_search_is_alike_and_near(seed: int, weight: float) -> None:
    one = trellis_case(seed)
    scaled, fixed = scaled_of(one, seed)
    found = [
        search(one.model(numpy), scaled, fixed, one.kinds, weight, one.case.rows)
        for numpy in (False, True)
    ]
    assert (found[0] == found[1]).all()
    assert (found[0][:, one.kinds != SCALED] == fixed[:, one.kinds != SCALED]).all()
    if weight == 0:
        # Either quantiser has a point within a step of everything, the odd one of all but near 0.
        y_hat = dequantise(found[0], 1.0, one.kinds, one.trellis)
        assert np.abs(y_hat - scaled)[:, one.kinds == SCALED].max(initial=0) <= 2.0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_search_costs_less_than_what_costs_least_error(seed: int) -> None:
    """By error + weight * bits, with the tables that its own symbols select; within a little, for
    it takes contexts to stay as they are.
    """
    one, weight = trellis_case(seed), 0.5
    scaled, fixed = scaled_of(one, seed)
    model, rows = one.model(False), one.case.rows

    def cost(symbols: np.ndarray) -> float:
        y_hat = dequantise(symbols, 1.0, one.kinds, one.trellis)
        error = np.where(one.kinds == SCALED, y_hat - scaled.astype(np.float64), 0.0)
        coded, index = model.select(rows.to_coded(symbols.reshape(-1), model.latents), rows)
        bits = one.case.tables.costs_of(index, coded).sum() * 2.0**-COST_BITS
        return float(np.square(error).sum() + weight * bits)

    found = search(model, scaled, fixed, one.kinds, weight, rows)
    careless = search(model, scaled, fixed, one.kinds, 0.0, rows)
    assert cost(found) <= 1.05 * cost(careless) + 5.0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0**30, -(2.0**40)])
@pytest.mark.parametrize("numpy", [False, True])
def test_what_has_no_symbol_is_refused(value: float, numpy: bool) -> None:
    one = next(c for c in map(trellis_case, range(99)) if c.kinds[-1] == SCALED)
    scaled, fixed = scaled_of(one, 0)
    scaled[-1, -1] = value
    with pytest.raises(ValueRangeError, match=f"latent {one.kinds.size - 1} of row"):
        search(one.model(numpy), scaled, fixed, one.kinds, 0.3, one.case.rows)


def test_taps_and_a_trellis_are_refused() -> None:
    contexts = random_contexts(np.random.default_rng(5), 9, image=False)
    assert any(contexts.taps)
    moving = Moving(EIGHT, np.ones(9, bool))
    with pytest.raises(FormatError, match="taps of latents that move"):
        ContextModel(contexts, np.full(9, 24, np.uint16), bank_of(24), moving=moving)


def test_the_vector_of_the_format_page() -> None:
    symbols = np.array([[1, 0, -3, 2]], np.int32)
    assert EIGHT.parities(symbols).tolist() == [[0, 0, 1, 1]]
    assert dequantise(symbols, 1.0).tolist() == [[2, 0, -5, 3]]


@pytest.mark.parametrize("line", golden.PATH.read_text().splitlines())
def test_what_was_coded_once_is_decoded_and_coded_alike(line: str) -> None:
    kept = json.loads(line)
    contexts = Contexts.from_bytes(bytes.fromhex(kept["contexts"]))
    tables = Tables.from_bytes(bytes.fromhex(kept["tables"]))
    trellis, kinds = Trellis.of(kept["trellis"]), np.array(kept["kinds"], np.uint8)
    fixed = np.array(kept["fixed"], np.uint16)
    rows = Rows.of(kept["count"], tuple(kept["grid"]), contexts.latents, contexts.linked)
    latents, escapes = (bytes.fromhex(kept[name]) for name in ("latents", "escapes"))
    y = np.array([float.fromhex(v) for v in kept["y"]], np.float32).reshape(-1, contexts.latents)
    symbols = np.array(kept["symbols"], np.int32).reshape(y.shape)
    for numpy, backend in ((False, "c"), (True, "numpy")):
        model = ContextModel(contexts, fixed, tables, numpy, Moving(trellis, kinds == SCALED))
        coder = Coder(tables, np.zeros(1, np.uint16), backend)
        decoded = model.decode(coder, latents, escapes, 1, rows)
        assert (rows.to_natural(decoded, contexts.latents).reshape(y.shape) == symbols).all()
        y_hat = dequantise(symbols, 0.5, kinds, trellis, numpy)
        assert [float(v).hex() for v in y_hat.reshape(-1)] == kept["y_hat"]
        nearest = quantiser.quantise(y.reshape(-1), 0.5, 0.5, quantisers=kinds).reshape(y.shape)
        scaled = quantiser.Quantiser(0.5, 0.5, kinds).scaled(y.reshape(-1)).reshape(y.shape)
        assert (search(model, scaled, nearest, kinds, 0.3, rows) == symbols).all()
        coded, index = model.select(rows.to_coded(symbols.reshape(-1), contexts.latents), rows)
        again = coder.encode(coded, 1, index)
        assert (again.latents, again.escapes) == (latents, escapes)
