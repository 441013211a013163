"""Groups, classes and the index that follows from them: selection.bin and the choice of classes."""

from __future__ import annotations

import numpy as np
import pytest

from rdedge.coding.quantiser import EXACT, NEAREST, PREDICTED, SCALED
from rdedge.coding.selection import CLASSES_MAX, LATENTS_MAX, Group, Selection, Selector
from rdedge.coding.tables import TABLES_MAX, tables_from_counts
from rdedge.errors import FormatError, TruncatedError
from tests.coding import selections
from tests.coding.reference import BACKENDS, varint
from tests.format import hostile


def ids(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint16)


def kinds(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)


# A plain group of two latents, and one of three with two classes named by table 300.
TWO = Selection(
    (
        Group(ids([5, 6]), kinds(SCALED, NEAREST)),
        Group(ids([0, 1, 2], [3, 4, 200]), kinds(EXACT, SCALED, PREDICTED | NEAREST), 300),
    )
)


def same(a: Selection, b: Selection) -> bool:
    return len(a.groups) == len(b.groups) and all(
        one.selector == other.selector
        and np.array_equal(one.tables, other.tables)
        and np.array_equal(one.quantisers, other.quantisers)
        for one, other in zip(a.groups, b.groups, strict=True)
    )


def test_bytes_are_as_the_format_says():
    data = TWO.to_bytes()
    assert data.hex(" ") == "02 02 01 00 01 05 06 03 02 ac 02 02 00 05 00 01 02 03 04 c8 01"
    assert same(Selection.from_bytes(data), TWO)


@pytest.mark.parametrize("seed", range(20))
def test_any_selection_comes_back(seed):
    rng = np.random.default_rng(seed)
    selection = selections.random_selection(rng, int(rng.choice([2, 300, TABLES_MAX])))
    data = selection.to_bytes()
    again = Selection.from_bytes(data)
    assert same(again, selection)
    assert again.to_bytes() == data


def test_what_follows_from_the_groups():
    assert TWO.latents == 5
    assert TWO.quantisers.tolist() == [0, 1, 2, 0, 5]
    assert TWO.predicted.tolist() == [4]
    assert TWO.selectors.tolist() == [300]
    assert TWO.fixed is None
    assert TWO.tables_needed == 301
    assert [(g.length, g.classes) for g in TWO.groups] == [(2, 1), (3, 2)]
    plain = Selection.plain(4)
    assert plain.fixed is not None
    assert plain.fixed.tolist() == [0, 1, 2, 3]
    assert plain.quantisers.tolist() == [SCALED] * 4
    assert (plain.selectors.size, plain.predicted.size, plain.tables_needed) == (0, 0, 4)


def test_the_largest_selections_are_selections():
    widest = Selection.plain(LATENTS_MAX)
    assert same(Selection.from_bytes(widest.to_bytes()), widest)
    most = Selection((Group(np.zeros((CLASSES_MAX, 2), np.uint16), kinds(0, 0), TABLES_MAX - 1),))
    assert same(Selection.from_bytes(most.to_bytes()), most)


def group(length: int = 1, classes: int = 1, quantiser: int = 0, table: int = 0) -> bytes:
    """A group as it stands in selection.bin, whatever its numbers."""
    selector = varint(1) if classes > 1 else b""
    tables = varint(table) * (length * classes)
    return varint(length) + varint(classes) + selector + bytes([quantiser]) * length + tables


MALFORMED = {
    "nothing": (b"", TruncatedError),
    "no group": (b"\x00", FormatError),
    "too many groups": (varint(65536), FormatError),
    "a group that is not there": (b"\x02" + group(), TruncatedError),
    "no latent": (b"\x01" + varint(0) + b"\x01", FormatError),
    "too many latents": (b"\x01" + group(65536), FormatError),
    "too many latents together": (b"\x02" + group(40_000) * 2, FormatError),
    "a length of 64 bits": (b"\x01" + varint(2**64 - 1) + b"\x01", FormatError),
    "no class": (b"\x01\x01\x00\x00\x00", FormatError),
    "too many classes": (b"\x01" + group(1, 257), FormatError),
    "a quantiser that is none": (b"\x01" + group(quantiser=8 + 3), FormatError),
    "a predicted one that is none": (b"\x01" + group(quantiser=PREDICTED + 8), FormatError),
    "a quantiser with an unknown bit": (b"\x01" + group(quantiser=8), FormatError),
    "the last quantiser": (b"\x01" + group(quantiser=255), FormatError),
    "a table beyond all": (b"\x01" + group(table=TABLES_MAX), FormatError),
    "a selector beyond all": (
        b"\x01\x01\x02" + varint(TABLES_MAX) + b"\x00\x00\x00",
        FormatError,
    ),
    "bytes left over": (b"\x01" + group() + b"\x00", FormatError),
    "no shortest varint": (b"\x81\x00" + group(), FormatError),
    "no shortest varint of a table": (b"\x01\x01\x01\x00\x80\x00", FormatError),
    "more than 64 bits": (b"\x01\x01\x01\x00" + b"\xff" * 10 + b"\x01", FormatError),
    "fewer bytes than latents": (
        b"\x01" + varint(60_000) + b"\x01" + b"\x00" * 100,
        TruncatedError,
    ),
    "fewer bytes than tables": (
        b"\x01" + varint(60_000) + varint(256) + b"\x00" * 60_100,
        TruncatedError,
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_bytes(name):
    data, error = MALFORMED[name]
    with pytest.raises(error) as caught:
        Selection.from_bytes(data)
    assert caught.type is error


def test_every_cut_is_truncated_and_every_flip_is_refused_or_another():
    data = TWO.to_bytes()
    for cut in hostile.cuts(data):
        with pytest.raises(TruncatedError):
            Selection.from_bytes(cut)
    for flipped in hostile.flips(data):
        try:
            other = Selection.from_bytes(flipped)
        except FormatError:
            continue
        assert other.to_bytes() == flipped


def test_no_memory_is_taken_for_what_is_not_there():
    data = b"\x01" + varint(65535) + varint(256) + b"\x00" * 2000
    assert hostile.peak_bytes(Selection.from_bytes, data) < 100_000
    data = varint(65535) + group() * 100
    assert hostile.peak_bytes(Selection.from_bytes, data) < 200_000


@pytest.mark.parametrize(
    "groups",
    [
        (),
        (Group(np.zeros((1, 0), np.uint16), kinds()),),
        (Group(np.zeros((0, 1), np.uint16), kinds(0)),),
        (Group(np.zeros((257, 1), np.uint16), kinds(0), 0),),
        (Group(np.zeros((1, 1), np.int64), kinds(0)),),
        (Group(np.zeros(1, np.uint16)[None, None], kinds(0)),),
        (Group(ids([0]), kinds(0, 0)),),
        (Group(ids([0]), kinds(8)),),
        (Group(ids([0]), kinds(0), 1),),
        (Group(ids([0], [0]), kinds(0)),),
        (Group(np.zeros((1, 40_000), np.uint16), np.zeros(40_000, np.uint8)),) * 2,
    ],
    ids=range(11),
)
def test_what_is_no_selection(groups):
    with pytest.raises(FormatError):
        Selection(groups)


def selectors(selection: Selection, tables) -> list[Selector]:
    """With the C library, where it is there, and with NumPy."""
    return [Selector(selection, tables), Selector(selection, tables, numpy=True)]


@pytest.mark.parametrize("seed", range(40))
def test_the_class_is_the_cheapest(seed):
    """The first of the cheapest, its own name included, as brute force finds it."""
    rng = np.random.default_rng(seed)
    tables = selections.random_tables(rng, 12)
    selection = selections.random_selection(rng, 12)
    rows = selections.random_symbols(rng, 30, selection.latents)
    expected = selections.cheapest(selection, tables, rows)
    for selector in selectors(selection, tables):
        assert selector.choices == selection.selectors.size
        classes = selector.choose(rows.reshape(-1))
        assert classes.dtype == np.int32
        assert classes.tolist() == expected


@pytest.mark.parametrize("seed", range(20))
def test_the_index_is_what_the_classes_say(seed):
    rng = np.random.default_rng(seed)
    tables = selections.random_tables(rng, 12)
    selection = selections.random_selection(rng, 12)
    several = [g.classes for g in selection.groups if g.classes > 1]
    classes = rng.integers(0, several, (50, len(several))).astype(np.int32).reshape(-1)
    expected = selections.tables_of(selection, classes.tolist(), 50)
    for selector in selectors(selection, tables):
        index = selector.index(classes, 50)
        assert index.dtype == np.uint16
        assert index.tolist() == expected


@pytest.mark.parametrize("bad", [-1, 2, 3, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("place", [0, 1, 5])
def test_a_class_that_is_none_is_named(bad, place):
    """Also one that only another group of the row has."""
    groups = [Group(ids(*[[0]] * s), kinds(0), 0) for s in (2, 3)]
    selection = Selection((groups[0], Group(ids([0]), kinds(0)), groups[1]))
    tables = tables_from_counts([0], [np.ones(4)])
    classes = np.zeros(6, np.int32)
    classes[place] = bad
    for selector in selectors(selection, tables):
        if bad == 2 and place % 2:
            assert selector.index(classes, 3).tolist() == [0] * 9
            continue
        with pytest.raises(FormatError, match=f"class {bad};"):
            selector.index(classes, 3)


def test_the_first_bad_class_is_the_one_that_is_named():
    selection = Selection((Group(ids([0], [0]), kinds(0), 0),))
    classes = np.array([0, 1, 7, 0, 9], np.int32)
    for selector in selectors(selection, tables_from_counts([0], [np.ones(4)])):
        with pytest.raises(FormatError, match="class 7"):
            selector.index(classes, 5)


def test_nothing_to_choose():
    tables = tables_from_counts([0, 0, 0], [np.ones(2)] * 3)
    for selector in selectors(Selection.plain(3), tables):
        assert selector.choices == 0
        none = selector.choose(np.arange(12, dtype=np.int32))
        assert none.size == 0
        assert selector.index(none, 4).tolist() == [0, 1, 2] * 4
    for selector in selectors(TWO, tables_from_counts([0] * 301, [np.ones(2)] * 301)):
        assert selector.choose(np.zeros(0, np.int32)).size == 0


def test_rows_need_not_be_contiguous():
    rng = np.random.default_rng(0)
    tables = selections.random_tables(rng, 301)
    rows = selections.random_symbols(rng, 20, 2 * TWO.latents)
    apart = rows.reshape(-1)[::2]
    for selector in selectors(TWO, tables):
        classes = selector.choose(apart)
        assert classes.tolist() == selector.choose(apart.copy()).tolist()
        doubled = np.repeat(classes, 2)
        assert np.array_equal(selector.index(doubled[::2], 20), selector.index(classes, 20))


def test_tables_that_are_not_there_are_said():
    with pytest.raises(FormatError, match="names table 300"):
        Selector(TWO, tables_from_counts([0] * 300, [np.ones(2)] * 300))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_least_that_a_row_costs(backend):
    """Of each latent the cheapest class, of each class the cheapest name."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        tables = selections.random_tables(rng, 12)
        selection = selections.random_selection(rng, 12)
        least = 0
        for g in selection.groups:
            costs = [[int(tables.least_cost[t]) for t in row] for row in g.tables]
            least += sum(min(column) for column in zip(*costs, strict=True))
            least += 0 if g.selector is None else int(tables.least_cost[g.selector])
        assert Selector(selection, tables, numpy=backend == "numpy").least == least


def test_a_louder_class_is_taken_for_louder_symbols():
    quiet, loud = np.exp(-np.abs(np.arange(-8, 9)) * 2.0), np.ones(17)
    tables = tables_from_counts(
        [-8, -8, 0], [np.append(quiet, 1e-6), np.append(loud, 1e-6), np.array([0.5, 0.5, 1e-6])]
    )
    selection = Selection((Group(ids([0] * 6, [1] * 6), np.zeros(6, np.uint8), 2),))
    symbols = np.array([[0, 0, 1, 0, -1, 0], [5, -8, 3, 7, -2, 6]], np.int32)
    for selector in selectors(selection, tables):
        assert selector.choose(symbols.reshape(-1)).tolist() == [0, 1]
