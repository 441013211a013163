"""Contexts (FORMAT.md 4.8): C and NumPy alike, decoding undoes encoding, what is refused."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge.coding.context import Contexts, logarithms
from rdedge.coding.context_model import ContextModel
from rdedge.coding.rans import Coder
from rdedge.coding.rows import Rows
from rdedge.coding.tables import Tables
from rdedge.errors import FormatError
from tests.coding.context_cases import bank_of, case
from tests.golden import make_contexts as golden


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_c_and_numpy_select_and_decode_alike(seed: int) -> None:
    one = case(seed)
    contexts, tables, fixed, rows = one.contexts, one.tables, one.fixed, one.rows
    symbols = one.symbols
    models = [ContextModel(contexts, fixed, tables, numpy=numpy) for numpy in (False, True)]
    ordered = rows.to_coded(symbols, contexts.latents)
    assert (rows.to_natural(ordered, contexts.latents) == symbols).all()
    (coded, index), (coded_too, index_too) = (model.select(ordered, rows) for model in models)
    assert (coded == coded_too).all()
    assert (index == index_too).all()
    inputs = [model.inputs(ordered, rows) for model in models]
    assert (inputs[0][0] == coded).all()
    assert (inputs[1][0] == coded).all()
    assert (inputs[0][1] == inputs[1][1]).all()
    assert (inputs[0][2] == inputs[1][2]).all()
    for lanes in (1, 4, 16):
        for model, backend in zip(models, ("c", "numpy"), strict=True):
            coder = Coder(tables, np.zeros(1, np.uint16), backend)
            made = coder.encode(coded, lanes, index)
            back = model.decode(coder, made.latents, made.escapes, made.lanes, rows)
            assert (back == ordered).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 400))
def test_a_damaged_stream_is_refused_by_both_alike(seed: int, place: int) -> None:
    one = case(seed)
    contexts, tables, fixed, rows = one.contexts, one.tables, one.fixed, one.rows
    symbols = one.symbols
    ordered = rows.to_coded(symbols, contexts.latents)
    models = [ContextModel(contexts, fixed, tables, numpy=numpy) for numpy in (False, True)]
    coded, index = models[0].select(ordered, rows)
    made = Coder(tables, np.zeros(1, np.uint16)).encode(coded, 1, index)
    data = bytearray(made.latents + made.escapes)
    if not data:
        return
    data[place % len(data)] ^= 1 << (place % 8)
    latents, escapes = bytes(data[: len(made.latents)]), bytes(data[len(made.latents) :])
    found = []
    for model, backend in zip(models, ("c", "numpy"), strict=True):
        coder = Coder(tables, np.zeros(1, np.uint16), backend)
        try:
            found.append(model.decode(coder, latents, escapes, made.lanes, rows).tobytes())
        except FormatError as error:
            found.append(str(error))
    assert found[0] == found[1]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 3))
def test_lowered_symbols_are_alike_and_worth_it(seed: int, weight: float) -> None:
    one = case(seed)
    contexts, tables, fixed, rows = one.contexts, one.tables, one.fixed, one.rows
    symbols = one.symbols
    rng = np.random.default_rng(seed)
    coded = rows.to_coded(symbols.clip(-1000, 1000), contexts.latents)
    scaled = (coded + rng.uniform(-0.5, 0.5, coded.size)).astype(np.float32)
    free = rng.random(contexts.latents) < 0.8
    found = []
    for numpy in (False, True):
        model, lowered = ContextModel(contexts, fixed, tables, numpy=numpy), coded.copy()
        of_lowered = model.lower(lowered, scaled, free, weight, rows)
        again = model.select(lowered, rows)
        assert all((a == b).all() for a, b in zip(of_lowered, again, strict=True))
        found.append(lowered)
    assert (found[0] == found[1]).all()
    assert (np.abs(found[0]) <= np.abs(coded)).all()
    if weight == 0:
        assert (found[0] == coded).all()


def test_the_bytes_come_back() -> None:
    for seed in range(40):
        contexts = case(seed).contexts
        data = contexts.to_bytes()
        again = Contexts.from_bytes(data)
        assert again.to_bytes() == data
        assert again.spans == contexts.spans
        assert again.taps == contexts.taps
        for end in range(len(data)):
            with pytest.raises(FormatError):
                Contexts.from_bytes(data[:end])
        with pytest.raises(FormatError):
            Contexts.from_bytes(data + b"\0")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_contexts_or_refused(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        Contexts.from_bytes(data)


def test_logarithms() -> None:
    table = logarithms().astype(int)
    v = np.arange(table.size)
    exact = 16 * np.log2(1 + v / 16)
    assert (np.diff(table) >= 0).all()
    assert np.abs(table - exact).max() < 2.4
    assert table[0] == 0
    assert table[-1] == 160


def test_fronts_never_look_ahead() -> None:
    for grid in ((1, 1), (1, 7), (7, 1), (3, 4), (5, 5)):
        rows = Rows.of(2, grid, 3)
        assert sorted(rows.natural) == list(range(2 * grid[0] * grid[1]))
        front = np.repeat(np.arange(len(rows.first) - 1), np.diff(rows.first))
        there = rows.neighbours >= 0
        own = np.broadcast_to(front, rows.neighbours.shape)
        assert (front[rows.neighbours[there]] < own[there]).all()
        places = rows.base[:, None] + np.arange(3) * rows.stride[:, None]
        assert sorted(places.reshape(-1)) == list(range(len(rows.base) * 3))


def test_the_vector_of_the_format_page() -> None:
    contexts = Contexts(
        np.array([0], np.uint8),
        (None, (((0, 0, 1),),), (((0, 0, 2),),)),
        ((), (), ((0, 1, 256),)),
        np.array([[128]], np.int16),
        np.zeros((3, 1), np.int32),
        np.array([[128], [0], [0]], np.int16),
        np.zeros((3, 3), np.int32),
        (8, 1, 1),
        np.arange(64, dtype=np.uint16),
    )
    fixed = np.array([64, 0, 0], np.uint16)
    for numpy in (False, True):
        model = ContextModel(contexts, fixed, bank_of(64), numpy=numpy)
        coded, index = model.select(np.array([5, -3, 2], np.int32), Rows.of(1, (), 3))
        assert coded.tolist() == [5, -3, -5]
        assert index.tolist() == [64, 24, 20]
        _, away, inputs = model.inputs(np.array([5, -3, 2], np.int32), Rows.of(1, (), 3))
        assert away.tolist() == [0, 0, 12]
        assert inputs.tolist() == [[0], [40], [36]]


@pytest.mark.parametrize("line", golden.PATH.read_text().splitlines())
def test_what_was_coded_once_is_decoded_and_coded_alike(line: str) -> None:
    kept = json.loads(line)
    contexts = Contexts.from_bytes(bytes.fromhex(kept["contexts"]))
    tables = Tables.from_bytes(bytes.fromhex(kept["tables"]))
    fixed, symbols = np.array(kept["fixed"], np.uint16), np.array(kept["symbols"], np.int32)
    rows = Rows.of(kept["count"], tuple(kept["grid"]), contexts.latents, contexts.linked)
    latents, escapes = (bytes.fromhex(kept[name]) for name in ("latents", "escapes"))
    for numpy, backend in ((False, "c"), (True, "numpy")):
        model = ContextModel(contexts, fixed, tables, numpy=numpy)
        coder = Coder(tables, np.zeros(1, np.uint16), backend)
        decoded = model.decode(coder, latents, escapes, 1, rows)
        assert (rows.to_natural(decoded, contexts.latents) == symbols).all()
        coded, index = model.select(rows.to_coded(symbols, contexts.latents), rows)
        again = coder.encode(coded, 1, index)
        assert (again.latents, again.escapes) == (latents, escapes)
