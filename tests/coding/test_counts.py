"""Counts (FORMAT.md 4.11): C and NumPy alike, decoding undoes encoding, repeats cost little."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rdedge.coding.counts import LEVELS, OUTSIDE, Counts, decision_tables, level_of
from rdedge.coding.counts_model import CountsModel
from rdedge.coding.rans import Coder
from rdedge.errors import FormatError
from tests.coding.counts_cases import Case, case
from tests.golden import make_counts as golden

INDEX = np.zeros(1, np.uint16)
TABLES = decision_tables()


def models(one: Case) -> list[CountsModel]:
    return [CountsModel(one.counts, TABLES, one.latents, numpy=numpy) for numpy in (False, True)]


@given(st.integers(0, 2**32 - 1), st.booleans())
@example(3, True)
def test_c_and_numpy_select_and_decode_alike(seed: int, alone: bool) -> None:
    one = case(seed)
    found, others = (model.select(one.symbols, alone) for model in models(one))
    for a, b in zip(found, others, strict=True):
        assert (a == b).all()
    decisions, index, taken = found
    assert taken.sum() == decisions.size
    costs = models(one)[0].costs(one.symbols, alone)
    assert costs.sum() == pytest.approx(TABLES.costs_of(index, decisions).sum() * 2.0**-20)
    if alone:
        return
    for lanes in (1, 4):
        made = Coder(TABLES, INDEX, "c").encode(decisions, lanes, index)
        assert Coder(TABLES, INDEX, "numpy").encode(decisions, lanes, index) == made
        for model, backend in zip(models(one), ("c", "numpy"), strict=True):
            coder = Coder(TABLES, INDEX, backend)
            back = model.decode(coder, made.latents, made.escapes, made.lanes, one.samples)
            assert (back == one.symbols).all()


@given(st.integers(0, 2**32 - 1), st.integers(0, 400))
def test_a_damaged_stream_is_refused_by_both_alike(seed: int, place: int) -> None:
    one = case(seed)
    decisions, index, _ = models(one)[0].select(one.symbols)
    made = Coder(TABLES, INDEX).encode(decisions, 1, index)
    latents, escapes = bytearray(made.latents), bytearray(made.escapes)
    damaged = escapes if escapes and place % 3 == 0 else latents
    if not damaged:
        return
    damaged[place % len(damaged)] ^= 1 << (place % 8)
    found = []
    for model, backend in zip(models(one), ("c", "numpy"), strict=True):
        coder = Coder(TABLES, INDEX, backend)
        try:
            back = model.decode(coder, bytes(latents), bytes(escapes), 1, one.samples)
            found.append(back.tobytes())
        except FormatError as error:
            found.append(str(error))
    assert found[0] == found[1]


@given(st.integers(0, 2**32 - 1))
def test_the_member_comes_back(seed: int) -> None:
    counts = case(seed).counts
    again = Counts.from_bytes(counts.to_bytes())
    assert again.to_bytes() == counts.to_bytes()
    assert (again.minimum, again.lags) == (counts.minimum, counts.lags)
    assert (again.frequencies == counts.frequencies).all()


def test_what_repeats_itself_costs_less_and_less() -> None:
    one = case(0)
    even = np.full((1, 10, 9), 65536 // 9)
    even[:, :, 0] += 65536 - even[0, 0].sum()
    counts = Counts(0, (7,), np.array([9362] * 6 + [65536 - 6 * 9362]), even)
    motif = np.random.default_rng(4).integers(0, 8, 7)
    model = CountsModel(counts, TABLES, 70)
    spent = model.costs(np.resize(motif, 280).astype(np.int32)).reshape(4, 70).sum(axis=1)
    # The first window has to show the motif, at three bits a value; later ones have nothing new.
    assert spent[0] < 70 * 3.0 / 2
    assert spent[3] < spent[0] / 4
    alone = model.costs(np.resize(motif, 280).astype(np.int32), alone=True).reshape(4, 70)
    assert alone.sum(axis=1).tolist() == [pytest.approx(spent[0])] * 4
    assert one.latents


def test_levels_are_ordered_and_close_to_what_they_stand_for() -> None:
    yes = np.arange(1, 65536)
    levels = level_of(yes)
    assert levels.min() == 0
    assert levels.max() == LEVELS - 1
    assert (np.diff(levels) >= 0).all()
    p = np.array([f[1] for f in TABLES.frequencies[:LEVELS]], float)[levels] / 65536
    true = yes / 65536
    lost = true * np.log2(true / p) + (1 - true) * np.log2((1 - true) / (1 - p))
    entropy = -true * np.log2(true) - (1 - true) * np.log2(1 - true)
    # Of a bit; where one answer is all but sure that the escape takes 1 of 65536 shows.
    assert (lost[100:-100] / entropy[100:-100]).max() < 0.005
    assert lost.max() < 1e-3


def test_tables_and_latents_that_do_not_suit_are_refused() -> None:
    one = next(one for one in map(case, range(9)) if one.counts.channels == 3)
    with pytest.raises(FormatError, match="multiple of 3 channels"):
        CountsModel(one.counts, TABLES, 4)
    fewer = replace(
        TABLES, minimum=TABLES.minimum[:OUTSIDE], frequencies=TABLES.frequencies[:OUTSIDE]
    )
    with pytest.raises(FormatError, match="256 tables"):
        CountsModel(one.counts, fewer, one.latents)


@pytest.mark.parametrize("line", golden.PATH.read_text().splitlines())
def test_the_golden_file_is_what_is_made(line: str) -> None:
    kept = json.loads(line)
    assert golden.made(kept["seed"]) == kept


@pytest.mark.parametrize("line", golden.PATH.read_text().splitlines())
@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_the_golden_file_decodes(line: str, backend: str) -> None:
    kept = json.loads(line)
    counts = Counts.from_bytes(bytes.fromhex(kept["counts"]))
    model = CountsModel(counts, TABLES, kept["latents_each"], numpy=backend == "numpy")
    coder = Coder(TABLES, INDEX, backend)
    streams = (bytes.fromhex(kept[name]) for name in ("latents", "escapes"))
    assert model.decode(coder, *streams, 1, kept["samples"]).tolist() == kept["symbols"]


def test_the_example_of_the_format() -> None:
    counts = Counts.from_bytes(
        bytes.fromhex("02000100" + "aa55" * 5 + "ae55" + "c0b802a8c3019804" * 4)
    )
    for numpy in (False, True):
        model = CountsModel(counts, TABLES, 4, numpy=numpy)
        decisions, index, taken = model.select(np.array([0, 0, 3, 0], np.int32))
        assert decisions.tolist() == [1, 1, 0, 0, 3, 1]
        assert index.tolist() == [139, 141, 145, 173, 256, 139]
        assert taken.tolist() == [1, 1, 3, 1]
