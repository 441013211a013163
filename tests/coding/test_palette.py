"""Palettes (FORMAT.md 4.10): C and NumPy alike, decoding undoes encoding, what is refused."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge.coding.palette import Palette
from rdedge.coding.palette_model import PaletteModel
from rdedge.coding.palette_planes import Planes
from rdedge.coding.rans import Coder
from rdedge.coding.tables import Tables
from rdedge.errors import FormatError, ValueRangeError
from tests.coding.palette_cases import Case, case, two_answers
from tests.golden import make_palettes as golden

INDEX = np.zeros(1, np.uint16)


def models(one: Case) -> list[PaletteModel]:
    return [PaletteModel(one.palette, one.tables, numpy=numpy) for numpy in (False, True)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_c_and_numpy_select_and_decode_alike(seed: int) -> None:
    one = case(seed)
    (decisions, index), others = (model.select(one.symbols, one.size) for model in models(one))
    assert (decisions == others[0]).all()
    assert (index == others[1]).all()
    costs = [model.costs(one.symbols, one.size) for model in models(one)]
    assert (costs[0] == costs[1]).all()
    assert costs[0].sum() == one.tables.costs_of(index, decisions).sum()
    for lanes in (1, 4):
        for model, backend in zip(models(one), ("c", "numpy"), strict=True):
            made = Coder(one.tables, INDEX, backend).encode(decisions, lanes, index)
            assert not made.escapes
            for other in ("c", "numpy"):
                coder = Coder(one.tables, INDEX, other)
                back = model.decode(coder, made.latents, made.lanes, one.count, one.size)
                assert (back == one.symbols).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 400))
def test_a_damaged_stream_is_refused_by_both_alike(seed: int, place: int) -> None:
    one = case(seed)
    made = Coder(one.tables, INDEX).encode(*_ordered(one))
    data = bytearray(made.latents)
    if not data:
        return
    data[place % len(data)] ^= 1 << (place % 8)
    found = []
    for model, backend in zip(models(one), ("c", "numpy"), strict=True):
        coder = Coder(one.tables, INDEX, backend)
        try:
            back = model.decode(coder, bytes(data), made.lanes, one.count, one.size)
            assert back.min() >= 0
            assert back.max() < one.palette.values
            found.append(back.tobytes())
        except FormatError as error:
            found.append(str(error))
    assert found[0] == found[1]


def _ordered(one: Case) -> tuple[np.ndarray, int, np.ndarray]:
    decisions, index = PaletteModel(one.palette, one.tables).select(one.symbols, one.size)
    return decisions, 1, index


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.3))
def test_changed_pixels_are_alike_and_worth_it(seed: int, weight: float) -> None:
    one = case(seed)
    found = [model.change(one.symbols, one.scaled, weight, one.size) for model in models(one)]
    assert (found[0] == found[1]).all()
    values = np.array(one.palette.positions) / 65535
    where = np.interp(one.scaled, np.arange(one.palette.values), values)
    model = PaletteModel(one.palette, one.tables)

    def lagrangian(symbols: np.ndarray) -> float:
        # A pixel beyond the ends lies as far from all values: that much is the same for all.
        bits = model.costs(symbols, one.size).astype(np.int64).sum() * 2.0**-20
        inside = (one.scaled >= 0) & (one.scaled <= one.palette.values - 1)
        assert (symbols[~inside & (weight == 0)] == one.symbols[~inside & (weight == 0)]).all()
        return float(np.square(where - values[symbols]).sum() + weight * bits)

    inside = (one.scaled >= 0) & (one.scaled <= one.palette.values - 1)
    if inside.all():
        assert lagrangian(found[0]) <= lagrangian(one.symbols) + 1e-9


def test_a_lone_speck_goes_and_a_worthy_one_stays() -> None:
    # One neighbour, to the left; what is like it is likely.
    palette = replace(
        case(0).palette,
        size=(0, 0),
        codes=np.array([-64, 64, -64], np.int8),
        positions=(0, 65535),
        offsets=((0, -1),),
        levels=2,
        shifts=(0, 0, 6),
        weights=np.array([[1]], np.int16),
        biases=np.array([0], np.int32),
        of_lines=np.zeros((0, 1), np.int32),
        of_columns=np.zeros((0, 1), np.int32),
        weights_2=np.array([[1]], np.int16),
        biases_2=np.array([0], np.int32),
        out_weights=np.array([[1]], np.int16),
        out_biases=np.array([0], np.int32),
    )
    tables = two_answers(np.array([64, 65535 - 64]))
    symbols = np.array([0, 0, 1, 0, 0], np.int32)
    for numpy in (False, True):
        model = PaletteModel(palette, tables, numpy=numpy)
        assert model.select(symbols, (1, 5))[1].tolist() == [0, 0, 0, 1, 0]
        bits = 2 * np.log2(65536 / 64)
        for weight, left in ((1.01 / bits, 0), (0.99 / bits, 1)):
            found = model.change(symbols, symbols.astype(np.float32), weight, (1, 5))
            assert found.sum() == left


def test_the_bytes_come_back() -> None:
    for seed in range(20):
        palette = case(seed).palette
        data = palette.to_bytes()
        again = Palette.from_bytes(data)
        assert again.to_bytes() == data
        assert again.offsets == palette.offsets
        for end in range(0, len(data), 7):
            with pytest.raises(FormatError):
                Palette.from_bytes(data[:end])
        with pytest.raises(FormatError):
            Palette.from_bytes(data + b"\0")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_palette_or_refused(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        Palette.from_bytes(data)


def test_fronts_never_look_ahead() -> None:
    for seed in range(30):
        one = case(seed)
        s = Planes.of(one.palette, 2, one.size)
        front_of = np.full(s.pixels, -1)
        for front, (at, natural) in enumerate(s.fronts()):
            assert (front_of[natural] == -1).all()
            assert len(at) <= s.of_front
            front_of[natural] = front
        fronts = front_of.reshape(2, *one.size)
        for up, right in one.palette.offsets:
            for y in range(up, one.size[0]):
                for x in range(max(0, -right), min(one.size[1], one.size[1] - right)):
                    assert (fronts[:, y - up, x + right] < fronts[:, y, x]).all()


def test_symbols_and_tables_that_are_none_are_refused() -> None:
    one = case(1)
    model = PaletteModel(one.palette, one.tables)
    for wrong in (-1, one.palette.values):
        symbols = one.symbols.copy()
        symbols[-1] = wrong
        with pytest.raises(ValueRangeError):
            model.select(symbols, one.size)
    three = Tables(np.array([0]), (np.array([65533, 1, 1, 1]),))
    few = two_answers(np.full(one.palette.tables_needed + 1, 9))
    for tables in (three, few):
        with pytest.raises(FormatError):
            PaletteModel(one.palette, tables)


def test_a_count_of_pixels_must_be_earned() -> None:
    one = next(c for c in map(case, range(100)) if c.palette.size == (0, 0))
    model = PaletteModel(one.palette, two_answers(np.full(one.palette.tables_needed, 30000)))
    for backend in ("c", "numpy"):
        coder = Coder(model.tables, INDEX, backend)
        with pytest.raises(FormatError):
            model.decode(coder, b"\x01", 1, 1, (1 << 14, 1 << 14))


def test_the_vector_of_the_format_page() -> None:
    palette = Palette(
        size=(0, 0),
        codes=np.array([-64, 64, -64], np.int8),
        positions=(0, 65535),
        offsets=((1, 0), (0, -1)),
        levels=8,
        shifts=(6, 0, 0),
        weights=np.array([[1, 2]], np.int16),
        biases=np.array([192], np.int32),
        of_lines=np.zeros((0, 1), np.int32),
        of_columns=np.zeros((0, 1), np.int32),
        weights_2=np.array([[1]], np.int16),
        biases_2=np.array([0], np.int32),
        out_weights=np.array([[1]], np.int16),
        out_biases=np.array([1], np.int32),
    )
    assert palette.slope == 1
    assert palette.to_bytes().hex() == (
        "00000202010108c040c006000000ffff03010000010204800302000202"
    )
    tables = two_answers(np.arange(1, 9) * 7000)
    symbols = np.array([0, 1, 1, 1, 0, 1], np.int32)
    for numpy in (False, True):
        model = PaletteModel(palette, tables, numpy=numpy)
        decisions, index = model.select(symbols, (2, 3))
        assert decisions.tolist() == [0, 1, 1, 1, 0, 1]
        assert index.tolist() == [1, 1, 1, 5, 7, 3]
    made = Coder(tables, INDEX).encode(decisions, 1, index)
    assert made.latents.hex() == "3a05"


def test_golden() -> None:
    lines = golden.PATH.read_text().splitlines()
    assert len(lines) == len(golden.SEEDS)
    for line in lines:
        kept = json.loads(line)
        palette = Palette.from_bytes(bytes.fromhex(kept["palette"]))
        tables = Tables.from_bytes(bytes.fromhex(kept["tables"]))
        symbols = np.array(kept["symbols"], np.int32)
        size = tuple(kept["size"])
        latents = bytes.fromhex(kept["latents"])
        for numpy, backend in ((False, "c"), (True, "numpy")):
            model, coder = PaletteModel(palette, tables, numpy=numpy), Coder(tables, INDEX, backend)
            assert (model.decode(coder, latents, 1, kept["count"], size) == symbols).all()
            decisions, index = model.select(symbols, size)
            assert coder.encode(decisions, 1, index).latents == latents
