"""Contexts (FORMAT.md 4.8): C and NumPy alike, decoding undoes encoding, what is refused."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge.coding.context import DIRECTIONS, PHASES, Contexts, Rows, logarithms
from rdedge.coding.context_model import ContextModel
from rdedge.coding.rans import Coder
from rdedge.coding.tables import Tables, tables_from_counts
from rdedge.errors import FormatError


def bank_of(places: int) -> Tables:
    """Two-sided geometric tables, ever wider; one more for latents that have a fixed one."""
    k = np.arange(-6, 7)
    weights = [np.append(0.3 + 0.05 * t * 0.9 ** np.abs(k), 0.01) for t in range(places + 1)]
    return tables_from_counts([-6] * (places + 1), weights)


def random_contexts(rng: np.random.Generator, latents: int, *, image: bool) -> Contexts:
    inputs, hidden, sizes = int(rng.integers(1, 7)), int(rng.integers(1, 9)), (4, 2, 3)
    spans = []
    for k in range(latents):
        if rng.random() < 0.2:
            spans.append(None)
            continue
        of_latent = []
        for _ in range(inputs):
            found = []
            for _ in range(int(rng.integers(0, 4))):
                direction = int(rng.integers(0, len(DIRECTIONS))) if image else 0
                most = k if direction == 0 else latents
                if most:
                    first = int(rng.integers(0, most))
                    found.append((direction, first, int(rng.integers(1, most - first + 1))))
            of_latent.append(tuple(found))
        spans.append(tuple(of_latent))
    fixed = np.array([s is None for s in spans])
    taps = []
    for k in range(latents):
        found = []
        for _ in range(0 if fixed[k] else int(rng.integers(0, 5))):
            direction = int(rng.integers(0, len(DIRECTIONS))) if image else 0
            most = k if direction == 0 else latents
            if most:
                found.append((direction, int(rng.integers(0, most)), int(rng.integers(-300, 301))))
        taps.append(tuple(found))
    biases = rng.integers(-40000, 40000, (latents, hidden)).astype(np.int32)
    out_biases = rng.integers(-4000, 8000, (latents, 3)).astype(np.int32)
    biases[fixed] = out_biases[fixed] = 0
    return Contexts(
        rng.integers(0, 2, inputs).astype(np.uint8),
        tuple(spans),
        tuple(taps),
        rng.integers(-4095, 4096, (hidden, inputs)).astype(np.int16),
        biases,
        rng.integers(-60, 61, (3, hidden)).astype(np.int16),
        out_biases,
        sizes,
        rng.integers(0, 24, 24 * 2 * PHASES).astype(np.uint16),
    )


def case(seed: int) -> tuple[Contexts, Tables, np.ndarray, Rows, np.ndarray]:
    """Contexts, tables, fixed tables, rows and symbols in the order of coding."""
    rng = np.random.default_rng(seed)
    latents = int(rng.integers(1, 12))
    image = bool(rng.random() < 0.6)
    grid = (int(rng.integers(1, 6)), int(rng.integers(1, 6))) if image else ()
    count = int(rng.integers(1, 5)) if image else int(rng.integers(1, 100))
    rows = Rows.of(count, grid, latents)
    scale = float(rng.choice([0.3, 2.0, 60.0]))
    symbols = np.rint(rng.laplace(0, scale, len(rows.base) * latents)).astype(np.int32)
    if rng.random() < 0.3:
        symbols[rng.integers(0, symbols.size)] = rng.choice([-(2**31), 2**31 - 1])
    contexts = random_contexts(rng, latents, image=image)
    return contexts, bank_of(24), np.full(latents, 24, np.uint16), rows, symbols


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_c_and_numpy_select_and_decode_alike(seed: int) -> None:
    contexts, tables, fixed, rows, symbols = case(seed)
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
    contexts, tables, fixed, rows, symbols = case(seed)
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
    contexts, tables, fixed, rows, symbols = case(seed)
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
        contexts = case(seed)[0]
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
