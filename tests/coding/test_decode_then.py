"""A stream whose first symbols say by which tables the others are coded (FORMAT.md 4.5)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rdedge import native
from rdedge.coding import rans
from rdedge.coding.quantiser import EXACT, NEAREST, SCALED
from rdedge.coding.rans import Coded, Coder
from rdedge.coding.selection import Group, Selection, Selector
from rdedge.coding.tables import Tables, tables_from_counts
from rdedge.errors import FormatError
from tests.coding import reference
from tests.coding.reference import BACKENDS

GOLDEN = Path(__file__).parents[1] / "golden" / "coding" / "classes.hex"
TABLES = reference.gaussian_tables([0.4, 3.0, 40.0])
HEAD_INDEX = np.array([1, 0], np.uint16)


def rest_index(head: np.ndarray, rest: int) -> np.ndarray:
    """Symbol i of the rest is coded with a table that symbol i of the head names, cyclically."""
    if head.size == 0:
        return np.zeros(rest, np.uint16)
    bad = np.abs(head) > 1000
    if bad.any():
        raise FormatError(f"class {head[bad][0]}", expected="a class")
    return np.resize(np.abs(head) % 3, rest).astype(np.uint16)


def case(count: int, rest: int, seed: int = 0, escapes: bool = True) -> tuple[np.ndarray, ...]:
    """The symbols of head and rest, and the index of both together."""
    rng = np.random.default_rng(seed)
    head = np.rint(rng.normal(0, 2, count)).astype(np.int32)
    later = np.rint(rng.normal(0, 5, rest)).astype(np.int32)
    if escapes and count:
        head[:: max(1, count // 3)] = 400
    if escapes and rest:
        later[-1], later[0] = -(2**31), 2**31 - 1
    index = np.concatenate([np.resize(HEAD_INDEX, count), rest_index(head, rest)])
    return head, later, index


def decode(coder: Coder, latents: bytes, escapes: bytes, count: int, lanes: int, rest: int):
    return coder.decode_then(
        latents, escapes, count, lanes, lambda head: rest_index(head, rest), rest, least=1 << 60
    )


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 64, 4096])
@pytest.mark.parametrize("count", [0, 1, 5, 63, 64, 65, 200])
@pytest.mark.parametrize("rest", [1, 7, 640])
def test_head_and_rest_come_back(lanes, count, rest):
    """Wherever the border lies between the lanes; as one stream with one long index."""
    head, later, index = case(count, rest)
    symbols = np.concatenate([head, later])
    expected = reference.encode(TABLES, index.tolist(), symbols.tolist(), lanes)
    for backend in ("numpy", "c") if native.library() else ("numpy",):
        coder = Coder(TABLES, HEAD_INDEX, backend)
        coded = coder.encode(symbols, lanes, index)
        assert (coded.latents, coded.escapes, coded.lanes) == (*expected, lanes)
        assert np.array_equal(decode(coder, *expected, count, lanes, rest), symbols)
        whole = Coder(TABLES, index, backend)
        assert whole.encode(symbols, lanes) == coded
        assert np.array_equal(whole.decode(*expected, symbols.size, lanes), symbols)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("lanes", [1, 8, 64, None])
@pytest.mark.parametrize(("count", "rest"), [(16_387, 40_001), (3, 60_000), (40_000, 5)])
def test_long_heads_and_long_rests(backend, lanes, count, rest):
    """More than the blocks in which NumPy looks tables up."""
    head, later, index = case(count, rest)
    coder = Coder(TABLES, HEAD_INDEX, backend)
    coded = coder.encode(np.concatenate([head, later]), lanes, index)
    back = decode(coder, coded.latents, coded.escapes, count, coded.lanes, rest)
    assert np.array_equal(back, np.concatenate([head, later]))
    assert lanes is not None or coded.lanes > 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_rest_is_asked_for_once_and_with_the_head(backend):
    head, later, index = case(70, 500)
    coder = Coder(TABLES, HEAD_INDEX, backend)
    coded = coder.encode(np.concatenate([head, later]), 8, index)
    asked = []

    def then(symbols: np.ndarray) -> np.ndarray:
        asked.append(symbols.tolist())
        return rest_index(symbols, 500)

    coder.decode_then(coded.latents, coded.escapes, 70, 8, then, 500, 1 << 60)
    assert asked == [head.tolist()]


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_table_for_all(backend):
    tables = reference.gaussian_tables([2.0])
    symbols = np.arange(-9, 11, dtype=np.int32)
    coder = Coder(tables, np.zeros(2, np.uint16), backend)
    for lanes in (1, 8):
        coded = coder.encode(symbols, lanes, np.zeros(20, np.uint16))
        assert np.array_equal(
            coder.decode_then(
                coded.latents, coded.escapes, 3, lanes, lambda _: np.zeros(17, np.uint16), 17, 0
            ),
            symbols,
        )


def outcome(coder: Coder, latents: bytes, escapes: bytes, count: int, lanes: int, rest: int):
    """The symbols, or that it is refused. A stream that decodes is the one that encodes again."""
    try:
        symbols = decode(coder, latents, escapes, count, lanes, rest)
    except FormatError:
        return "refused"
    index = np.concatenate([np.resize(HEAD_INDEX, count), rest_index(symbols[:count], rest)])
    again = coder.encode(symbols, lanes, index)
    assert (again.latents, again.escapes) == (latents, escapes)
    return symbols.tolist()


@pytest.mark.parametrize("lanes", [1, 2, 8, 16])
@pytest.mark.parametrize(("count", "rest"), [(3, 5), (11, 60)])
def test_every_flipped_bit_and_every_cut(lanes, count, rest):
    head, later, index = case(count, rest, seed=3)
    symbols = np.concatenate([head, later])
    coders = [Coder(TABLES, HEAD_INDEX, "numpy")]
    if native.library() is not None:
        coders.append(Coder(TABLES, HEAD_INDEX, "c"))
    coded = coders[0].encode(symbols, lanes, index)
    streams = (coded.latents, coded.escapes)
    for which in (0, 1):
        data = streams[which]
        damaged = [
            data[:i] + bytes([data[i] ^ 1 << b]) + data[i + 1 :]
            for i in range(len(data))
            for b in range(8)
        ]
        damaged += [data[:length] for length in range(len(data))] + [data + b"\0", data + bytes(4)]
        for one in damaged:
            changed = (one, streams[1]) if which == 0 else (streams[0], one)
            results = [outcome(c, *changed, count, lanes, rest) for c in coders]
            assert results[0] == results[-1]
            assert results[0] != symbols.tolist()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("lanes", [1, 2, 8, 64])
@pytest.mark.parametrize("count", [3, 1000, 20_000])
def test_words_that_run_out(backend, lanes, count):
    """Wherever a long stream ends early: in the head, in the rest, blocks before the end."""
    head, later, index = case(count, 40_000, escapes=False)
    coder = Coder(TABLES, HEAD_INDEX, backend)
    symbols = np.concatenate([head, later])
    coded = coder.encode(symbols, lanes, index)
    states = 8 * lanes if lanes > 1 else 5 + (len(coded.latents) - 5) % 4
    words = (len(coded.latents) - states) // 4
    for share in (0.0, 0.01, 0.2, 0.45, 0.7, 0.99):
        data = coded.latents[: states + 4 * int(share * words)]
        found = outcome(coder, data, b"", count, lanes, 40_000)
        # One lane that has come to zero goes on with first entries, which are free: another stream.
        assert found == "refused" or (lanes == 1 and found != symbols.tolist())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("lanes", [8, 64])
def test_words_that_run_out_of_one_index(backend, lanes):
    symbols = np.rint(np.random.default_rng(1).normal(0, 3, 60_000)).astype(np.int32)
    coder = Coder(TABLES, HEAD_INDEX, backend)
    coded = coder.encode(symbols, lanes)
    words = (len(coded.latents) - 8 * lanes) // 4
    for share in range(0, 100, 7):
        data = coded.latents[: 8 * lanes + 4 * (words * share // 100)]
        with pytest.raises(FormatError):
            coder.decode(data, coded.escapes, symbols.size, lanes)


@pytest.mark.parametrize("backend", BACKENDS)
def test_more_symbols_than_the_bytes_can_hold(backend):
    """Said before anything is decoded or memory is taken."""
    coder = Coder(TABLES, HEAD_INDEX, backend)

    def then(_: np.ndarray) -> np.ndarray:
        raise AssertionError("must not be asked")

    for count, rest in ((1, 2**20), (2**20, 1), (2**40, 2**40)):
        with pytest.raises(FormatError, match="no more symbols than the bytes can hold"):
            coder.decode_then(bytes(100), b"", count, 1, then, rest, (count + rest) << 20)
    with pytest.raises(FormatError):
        coder.decode_then(bytes(100), b"", 1, 3, then, 1, 0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("lanes", [1, None])
def test_what_is_encoded_is_earned_by_the_tables_of_all(backend, lanes, monkeypatch):
    """The head's table costs next to nothing; that says nothing of the rest. From a state of zero
    the first entry of any table is free, so one lane would prove no count.
    """
    monkeypatch.setattr(rans, "UNEARNED_MAX", 1000)
    tables = Tables(np.array([0, 7]), (np.array([65535, 1]), np.array([32768, 32768])))
    coder = Coder(tables, np.zeros(1, np.uint16), backend)
    count, rest = 10, 2000
    symbols = np.concatenate([np.zeros(count, np.int32), np.full(rest, 7, np.int32)])
    index = np.repeat(np.array([0, 1], np.uint16), (count, rest))
    coded = coder.encode(symbols, lanes, index)
    assert coded.lanes == 2
    least = int(tables.least_cost[index].sum())
    back = coder.decode_then(
        coded.latents, coded.escapes, count, 2, lambda _: index[count:], rest, least
    )
    assert np.array_equal(back, symbols)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_then_raises_goes_through(backend):
    head, later, index = case(9, 20)
    head[4] = 2000
    coder = Coder(TABLES, HEAD_INDEX, backend)
    coded = coder.encode(np.concatenate([head, later]), 2, index)
    with pytest.raises(FormatError, match="class 2000"):
        decode(coder, coded.latents, coded.escapes, 9, 2, 20)
    symbols = decode(coder, *_stream(coder, 9, 20), 9, 2, 20)
    assert symbols.size == 29, "the coder is as good as before"


def _stream(coder: Coder, count: int, rest: int) -> tuple[bytes, bytes]:
    head, later, index = case(count, rest)
    coded = coder.encode(np.concatenate([head, later]), 2, index)
    return coded.latents, coded.escapes


@pytest.mark.parametrize("backend", BACKENDS)
def test_lanes_follow_the_index_that_is_given(backend):
    """The head's table says nothing of how long the stream becomes."""
    quiet = tables_from_counts([0, -9], [np.array([1.0, 1e-6]), np.append(np.ones(19), 1e-6)])
    coder = Coder(quiet, np.zeros(1, np.uint16), backend)
    symbols = np.resize(np.arange(-9, 10), 100_000).astype(np.int32)
    coded = coder.encode(symbols, None, np.ones(100_000, np.uint16))
    assert coded.lanes == Coder(quiet, np.ones(1, np.uint16), backend).encode(symbols).lanes > 8


@pytest.mark.parametrize("backend", BACKENDS)
def test_threads_may_share_a_coder(backend):
    coder = Coder(TABLES, HEAD_INDEX, backend)

    def there_and_back(seed: int) -> bool:
        head, later, index = case(50 + seed, 900, seed)
        symbols = np.concatenate([head, later])
        coded = coder.encode(symbols, 8, index)
        back = decode(coder, coded.latents, coded.escapes, head.size, 8, later.size)
        return np.array_equal(back, symbols)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(there_and_back, range(60)))


def golden_case() -> tuple[Selection, Tables, np.ndarray, int]:
    """Selection, tables, rows of symbols and lanes; nothing random, nothing in floats."""
    tables = Tables(
        np.array([-1, -4, 0, 0]),
        (
            np.array([2000, 61000, 2000, 536]),
            np.array([5000, 6000, 8000, 9000, 9000, 9000, 8000, 6000, 5536]),
            np.array([40000, 20000, 5536]),
            np.array([30000, 20000, 15000, 536]),
        ),
    )
    groups = (
        Group(
            np.array([[1, 0, 0, 0], [1, 1, 1, 1]], np.uint16),
            np.array([NEAREST, SCALED, SCALED, SCALED], np.uint8),
            2,
        ),
        Group(np.array([[1, 1]], np.uint16), np.array([EXACT, EXACT], np.uint8)),
        Group(np.array([[0], [1], [3]], np.uint16), np.array([SCALED], np.uint8), 3),
    )
    rows = np.array([[(i * i * 7919 >> 3) % 7 - 3 for i in range(k, k + 7)] for k in range(25)])
    rows[::2, 1:4] //= 4
    rows[3, 1], rows[9, 6], rows[20, 5] = 300, 2, -(2**31)
    return Selection(groups), tables, rows.astype(np.int32), 4


@pytest.mark.parametrize("backend", BACKENDS)
def test_golden_bytes_with_classes(backend):
    selection, tables, rows, lanes = golden_case()
    stored, latents, escapes = (
        bytes.fromhex(line.partition(":")[2]) for line in GOLDEN.read_text().splitlines()
    )
    assert selection.to_bytes() == stored
    selector = Selector(Selection.from_bytes(stored), tables, numpy=backend == "numpy")
    classes = selector.choose(rows.reshape(-1))
    assert set(classes[1::2].tolist()) == {0, 1, 2}, "every class is in use"
    index = np.concatenate([np.tile(selection.selectors, 25), selector.index(classes, 25)])
    symbols = np.concatenate([classes, rows.reshape(-1)])
    coder = Coder(tables, selection.selectors, backend)
    assert coder.encode(symbols, lanes, index) == Coded(latents, escapes, lanes)
    back = coder.decode_then(
        latents, escapes, 50, lanes, lambda c: selector.index(c, 25), 175, 25 * selector.least
    )
    assert np.array_equal(back, symbols)
