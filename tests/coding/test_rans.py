from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rdedge import native
from rdedge.coding import rans
from rdedge.coding.rans import Coded, Coder, choose_lanes
from rdedge.coding.tables import Tables, cross_entropy_bits
from rdedge.errors import ConfigError, FormatError, MissingError, ShapeError, TruncatedError
from tests.coding import reference
from tests.coding.reference import BACKENDS

GOLDEN = Path(__file__).parents[1] / "golden" / "coding"
ZERO = np.zeros(1, np.uint16)
EXTREMES = [-(2**31), 2**31 - 1, 0, -1]


def skewed(first: int, rest: int = 1) -> Tables:
    """One table whose first entry has almost everything."""
    return Tables(np.array([first]), (np.array([65536 - rest, rest]),))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("lanes", [1, 2, 8, 64, 4096])
@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 20_000])
def test_decoding_gives_the_symbols_back(backend, lanes, count):
    tables = reference.gaussian_tables([0.4, 3.0, 40.0])
    index = np.array([0, 2, 1, 1, 2], np.uint16)
    rng = np.random.default_rng(count)
    symbols = np.round(rng.normal(0, 5, count)).astype(np.int32)
    symbols[1 : 5 * (count > 9) : 1] = EXTREMES[: max(0, len(symbols[1 : 5 * (count > 9)]))]
    coder = Coder(tables, index, backend)
    coded = coder.encode(symbols, lanes)
    assert coded.lanes == lanes
    assert np.array_equal(coder.decode(coded.latents, coded.escapes, count, lanes), symbols)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_symbols_take_no_bytes(backend):
    coder = Coder(reference.gaussian_tables([1.0]), ZERO, backend)
    assert coder.encode(np.zeros(0, np.int32)) == Coded(b"", b"", 1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("std", [0.3, 2.0, 60.0])
def test_size_is_the_cross_entropy(backend, std):
    tables = reference.gaussian_tables([std])
    symbols = np.round(np.random.default_rng(5).normal(0, std, 200_000)).astype(np.int32)
    coder = Coder(tables, ZERO, backend)
    for some in (symbols, symbols[:1000], symbols[:16]):
        coded = coder.encode(some)
        bits = 8 * (len(coded.latents) + len(coded.escapes))
        ideal = cross_entropy_bits(some, ZERO, tables)
        # One lane starts at zero and ends in whole bytes; each of several starts with 31 bits.
        overhead = 12 if coded.lanes == 1 else 64 * coded.lanes
        assert abs(bits - ideal) <= 0.001 * ideal + overhead
        assert coded.lanes == 1 or 100 * 8 * coded.lanes <= len(coded.latents)


def test_lanes_are_a_256th_of_the_size():
    for bits, lanes in [(0, 1), (32767, 1), (32768, 2), (10**6, 32), (1e12, 1024), (7.9e5, 32)]:
        assert choose_lanes(bits) == lanes
        assert lanes == 1 or 8 * lanes * 256 <= bits / 8


@pytest.mark.parametrize("backend", BACKENDS)
def test_lanes_follow_the_size_where_the_tables_promised_more(backend):
    tables = Tables(np.array([0]), (np.array([32768, *[1] * 1000, 31768]),))
    symbols = np.zeros(400_000, np.int32)
    coded = Coder(tables, ZERO, backend).encode(symbols)
    assert 100 * 8 * coded.lanes <= len(coded.latents)


def test_both_backends_choose_the_same_lanes():
    tables = reference.gaussian_tables([0.5, 9.0])
    index = np.random.default_rng(1).integers(0, 2, 9001).astype(np.uint16)
    symbols = np.random.default_rng(2).integers(-9, 9, 30_000).astype(np.int32)
    coded = [Coder(tables, index, backend).encode(symbols) for backend in (None, "numpy")]
    assert coded[0] == coded[1]
    assert coded[0].lanes > 1


def golden_cases() -> dict[str, tuple[Tables, list[int], list[int], int]]:
    """Name -> tables, index, symbols, lanes; nothing random, nothing in floats."""
    narrow = Tables(np.array([-1]), (np.array([8000, 49536, 7000, 1000]),))
    pair = Tables(
        np.array([-2, 100]),
        (np.array([4000, 12000, 33000, 12000, 4000, 536]), np.array([65535, 1])),
    )
    many = [(i * i * 7919 >> 3) % 5 - 2 for i in range(300)]
    return {
        "one-lane-state-only": (narrow, [0], [0, 0, 1, 0, -1, 0, 0, 0], 1),
        "one-lane-words": (pair, [0], many, 1),
        "four-lanes": (pair, [0], many, 4),
        "two-tables": (pair, [0, 1, 0], [100 if i % 3 == 1 else s for i, s in enumerate(many)], 8),
        "escapes": (pair, [0, 1], [-3, 3, 2, 101, 99, 2**31 - 1, -(2**31), 100, 0, 7000], 1),
        "no-symbols-two-lanes": (narrow, [0], [], 2),
    }


@pytest.mark.parametrize("name", golden_cases())
@pytest.mark.parametrize("backend", BACKENDS)
def test_golden_bytes(backend, name):
    tables, index, symbols, lanes = golden_cases()[name]
    latents, escapes = (
        bytes.fromhex(line.partition(":")[2])
        for line in (GOLDEN / f"{name}.hex").read_text().splitlines()
    )
    coder = Coder(tables, np.array(index, np.uint16), backend)
    assert coder.encode(np.array(symbols, np.int32), lanes) == Coded(latents, escapes, lanes)
    assert coder.decode(latents, escapes, len(symbols), lanes).tolist() == symbols
    assert reference.encode(tables, index, symbols, lanes) == (latents, escapes)


def outcome(coder: Coder, latents: bytes, escapes: bytes, count: int, lanes: int):
    """The symbols, or the error. A stream that decodes is the one that encodes again."""
    try:
        symbols = coder.decode(latents, escapes, count, lanes)
    except FormatError as error:
        return repr(error), str(error)
    again = coder.encode(symbols, lanes)
    assert (again.latents, again.escapes) == (latents, escapes)
    return symbols.tolist()


@pytest.mark.parametrize("lanes", [1, 2, 16])
@pytest.mark.parametrize("count", [3, 60])
def test_every_flipped_bit_and_every_cut(lanes, count):
    tables = reference.gaussian_tables([0.4, 3.0])
    index = np.array([0, 1], np.uint16)
    symbols = np.round(np.random.default_rng(3).normal(0, 2, count)).astype(np.int32)
    symbols[0], symbols[-1] = -(2**31), 400
    coders = [Coder(tables, index, "numpy")]
    if native.library() is not None:
        coders.append(Coder(tables, index, "c"))
    coded = coders[0].encode(symbols, lanes)
    streams = [coded.latents, coded.escapes]
    for which in (0, 1):
        changed = list(streams)
        for bit in range(8 * len(streams[which])):
            damaged = bytearray(streams[which])
            damaged[bit // 8] ^= 1 << bit % 8
            changed[which] = bytes(damaged)
            results = [outcome(c, changed[0], changed[1], count, lanes) for c in coders]
            assert results[0] == results[-1]
            assert results[0] != symbols.tolist()
        for length in range(len(streams[which])):
            changed[which] = streams[which][:length]
            results = [outcome(c, changed[0], changed[1], count, lanes) for c in coders]
            assert results[0] == results[-1]
            assert results[0] != symbols.tolist()
        changed[which] = streams[which] + bytes(4)
        for coder in coders:
            with pytest.raises(FormatError):
                coder.decode(changed[0], changed[1], count, lanes)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("latents", "escapes", "count", "lanes", "error"),
    [
        (b"\x01\x00", b"", 1, 1, FormatError),  # a state with a zero last byte
        (b"\0\0\0\0\0\x01\0\0\0", b"", 1, 1, FormatError),  # below 2^31 with words
        (b"\xff" * 8, b"", 1, 1, FormatError),  # 2^63 and above
        (b"\xff" * 16, b"", 1, 2, FormatError),
        (b"\0" * 16, b"", 1, 2, FormatError),  # below 2^31
        (b"", b"", 0, 2, TruncatedError),
        (b"\0\0\0\x80\0\0\0\0" * 2 + b"\0", b"", 0, 2, TruncatedError),
        (b"\0\0\0\x80\0\0\0\0" * 2 + b"\0" * 4, b"", 0, 2, FormatError),  # a word left over
        (b"\x05", b"", 0, 1, FormatError),  # not the start state
        (b"\xff\xff", b"", 1, 1, TruncatedError),  # an escape without its value
        (b"\xff\xff", b"\x80\x00", 1, 1, FormatError),  # not the shortest form
        (b"\xff\xff", b"\xff\xff\xff\xff\xff\x00", 1, 1, FormatError),
        (b"\xff\xff", b"\xff\xff\xff\xff", 1, 1, TruncatedError),
        (b"\xff\xff", b"\xff\xff\xff\xff\xff", 1, 1, FormatError),  # too long, and cut short
        (b"\xff\xff", b"\xff\xff\xff\xff\xff\xff", 1, 1, FormatError),
        (b"\xff\xff", b"\x80\x80\x80\x80\x20", 1, 1, FormatError),  # beyond int32
        (b"\xff\xff", b"\x00\x00", 1, 1, FormatError),  # one escape too many
        (b"", b"\x00", 1, 1, FormatError),
    ],
)
def test_malformed_streams(backend, latents, escapes, count, lanes, error):
    coder = Coder(skewed(0), ZERO, backend)
    with pytest.raises(error) as caught:
        coder.decode(latents, escapes, count, lanes)
    assert caught.type is error


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_count_must_be_earned(backend):
    tables = reference.gaussian_tables([1.0])
    coder = Coder(tables, ZERO, backend)
    for count in (2**20 + 1, 2**40, 2**62):
        with pytest.raises(FormatError, match="no more symbols than the bytes can hold"):
            coder.decode(bytes(100), b"", count, 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_free_symbols_get_a_second_lane(backend, monkeypatch):
    """From a small state the likeliest entry costs nothing, so one lane proves no count."""
    monkeypatch.setattr(rans, "UNEARNED_MAX", 1000)
    tables = Tables(np.array([7]), (np.array([32768, 32768]),))
    coder = Coder(tables, ZERO, backend)
    few = np.full(1000, 7, np.int32)
    assert coder.encode(few) == Coded(b"", b"", 1)
    many = np.full(1001, 7, np.int32)
    coded = coder.encode(many, lanes=1)
    assert coded.lanes == 2
    assert np.array_equal(coder.decode(coded.latents, coded.escapes, 1001, 2), many)


@pytest.mark.parametrize("lanes", [2, 32])
@pytest.mark.parametrize("largest", [65535, 65000, 40000, 30000, 3000])
def test_what_several_lanes_encode_is_earned(largest, lanes, monkeypatch):
    monkeypatch.setattr(rans, "UNEARNED_MAX", 0)
    rest = 65536 - largest
    parts = [largest] * (65536 // largest) + [65536 % largest] * (65536 % largest > 0)
    tables = Tables(np.array([0]), (np.array([largest, rest] if rest < largest else parts),))
    coder = Coder(tables, ZERO)
    for count in (1, 100, 50_000):
        symbols = np.zeros(count, np.int32)
        coded = coder.encode(symbols, lanes)
        assert np.array_equal(coder.decode(coded.latents, b"", count, lanes), symbols)
        assert 8 * len(coded.latents) >= count * math.log2(65536 / largest) * 0.999


def test_wrong_arguments():
    tables = reference.gaussian_tables([1.0])
    coder = Coder(tables, ZERO)
    with pytest.raises(ShapeError):
        Coder(tables, np.zeros(0, np.uint16))
    with pytest.raises(ShapeError):
        Coder(tables, np.zeros(1, np.int64))
    with pytest.raises(FormatError, match="selects table 1"):
        Coder(tables, np.ones(1, np.uint16))
    with pytest.raises(ConfigError):
        Coder(tables, ZERO, "fortran")
    with pytest.raises(ShapeError):
        coder.encode(np.zeros((2, 2), np.int32))
    with pytest.raises(ShapeError):
        coder.encode(np.zeros(2, np.int64))
    with pytest.raises(ShapeError):
        coder.decode(b"", b"", -1, 1)
    for lanes in (0, 3, 8192, -1):
        with pytest.raises(FormatError):
            coder.encode(np.zeros(2, np.int32), lanes)
        with pytest.raises(FormatError):
            coder.decode(b"", b"", 0, lanes)


def test_symbols_need_not_be_contiguous_and_streams_need_not_be_bytes():
    coder = Coder(reference.gaussian_tables([2.0]), ZERO)
    symbols = np.arange(-8, 8, dtype=np.int32)[::-2]
    coded = coder.encode(symbols)
    latents = memoryview(bytearray(coded.latents))
    assert np.array_equal(coder.decode(latents, bytearray(), 8, coded.lanes), symbols)


def test_without_the_library_numpy_codes(monkeypatch):
    monkeypatch.setenv("RDEDGE_NATIVE", "0")
    tables = reference.gaussian_tables([1.0])
    assert Coder(tables, ZERO).backend == "numpy"
    with pytest.raises(MissingError, match="RDEDGE_NATIVE=0"):
        Coder(tables, ZERO, "c")


@pytest.mark.parametrize("backend", BACKENDS)
def test_threads_may_share_a_coder(backend):
    coder = Coder(reference.gaussian_tables([3.0]), ZERO, backend)
    batches = [
        np.round(np.random.default_rng(seed).normal(0, 4, 3000)).astype(np.int32)
        for seed in range(8)
    ]

    def there_and_back(symbols: np.ndarray) -> bool:
        coded = coder.encode(symbols)
        back = coder.decode(coded.latents, coded.escapes, symbols.size, coded.lanes)
        return np.array_equal(back, symbols)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(there_and_back, batches * 10))
