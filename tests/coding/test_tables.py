from __future__ import annotations

import math

import numpy as np
import pytest

from rdedge.coding.tables import (
    COST_BITS,
    TOTAL,
    Tables,
    cross_entropy_bits,
    integer_frequencies,
    tables_from_counts,
)
from rdedge.errors import FormatError, ShapeError, TruncatedError, ValueRangeError
from tests.coding.reference import varint


def one(minimum: int, *frequencies: int) -> Tables:
    return Tables(np.array([minimum]), (np.array(frequencies),))


def test_bytes_are_as_the_format_says():
    tables = Tables(np.array([-3, 64]), (np.array([65000, 535, 1]), np.array([1, 65535])))
    data = tables.to_bytes()
    assert data.hex() == "020502e8fb0397040180010101ffff03"
    again = Tables.from_bytes(data)
    assert again == tables
    assert hash(again) == hash(tables)
    assert again.minimum.tolist() == [-3, 64]
    assert [f.tolist() for f in again.frequencies] == [[65000, 535, 1], [1, 65535]]


def test_tables_cannot_be_changed():
    tables = one(0, 65535, 1)
    for array in (tables.minimum, tables.frequencies[0]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("minimum", "frequencies"),
    [
        (0, [65536]),  # no escape
        (0, [65535, 2]),
        (0, [65535, 0, 1]),
        (0, [65536, 0]),
        (0, [-1, 65537]),
        (0, [65535 - 4095, *[1] * 4096]),  # 4097 entries
        (2**31 - 1, [65000, 535, 1]),  # two symbols from the largest on
        (0, [1.0, 65535.0]),
    ],
)
def test_what_is_no_table(minimum, frequencies):
    with pytest.raises(FormatError):
        Tables(np.array([minimum]), (np.array(frequencies),))


def test_extreme_tables_are_tables():
    one(-(2**31), 65535, 1)
    one(2**31 - 1, 1, 65535)
    one(0, 65536 - 4095, *[1] * 4095)


def test_no_table_or_too_few_minima():
    with pytest.raises(FormatError):
        Tables(np.zeros(0, np.int32), ())
    with pytest.raises(FormatError):
        Tables(np.zeros(2, np.int32), (np.array([65535, 1]),))
    with pytest.raises(FormatError):
        Tables(np.zeros(1), (np.array([65535, 1]),))


GOOD = bytes.fromhex("02050 2e8fb0397040101 800101 ffff03".replace(" ", ""))


def malformed() -> list[tuple[bytes, type[Exception]]]:
    total = varint(65535)
    return [
        (b"", TruncatedError),
        (b"\x00", FormatError),  # no table
        (varint(65536), FormatError),
        (b"\x01\x00\x00" + varint(65535), FormatError),  # no regular entry
        (b"\x01\x00" + varint(4096) + b"\x01" * 4097, FormatError),
        (b"\x01\x00\x01" + total + b"\x02", FormatError),  # sum
        (b"\x01\x00\x02" + total + b"\x00\x01", FormatError),  # zero
        (b"\x01\x00\x01" + varint(65536) + b"\x00", FormatError),
        (b"\x01\x00\x01" + total + b"\x01\x00", FormatError),  # trailing
        (b"\x01\x00\x01" + total + b"\x81\x00", FormatError),  # not canonical
        (b"\x01" + varint(2**32) + b"\x01" + total + b"\x01", FormatError),  # minimum 2^31
        (b"\x01" + varint(2**32 - 2) + b"\x02" + varint(65534) + b"\x01\x01", FormatError),
        (b"\x01\x00" + varint(4000) + b"\x01" * 100, TruncatedError),
        (b"\x01" + b"\xff" * 10 + b"\x01", FormatError),  # more than 64 bits
    ]


@pytest.mark.parametrize(("data", "error"), malformed())
def test_malformed_bytes(data, error):
    with pytest.raises(error) as caught:
        Tables.from_bytes(data)
    assert caught.type is error


def test_every_cut_is_truncated_and_every_flip_is_refused_or_other_tables():
    tables = tables_from_counts([-5, 9], [np.arange(1.0, 9.0), np.ones(3)])
    data = tables.to_bytes()
    for length in range(len(data)):
        with pytest.raises(TruncatedError):
            Tables.from_bytes(data[:length])
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            other = Tables.from_bytes(bytes(damaged))
        except FormatError:
            continue
        assert other.to_bytes() == bytes(damaged)
        assert other != tables


def cost(p: np.ndarray, f: np.ndarray) -> float:
    return float(-(p / p.sum()) @ np.log2(f / TOTAL))


@pytest.mark.parametrize("seed", range(20))
def test_frequencies_cannot_be_bettered_by_moving_a_unit(seed):
    rng = np.random.default_rng(seed)
    p = rng.exponential(size=int(rng.integers(1, 200))) ** rng.integers(1, 12)
    if seed % 4 == 0:
        p[rng.integers(0, p.size, p.size // 2)] = 0
        p[0] += 1e-3
    f = integer_frequencies(p)
    assert f.sum() == TOTAL
    assert f.min() >= 1
    q = p / p.sum()
    best_gain = (q * np.log1p(1 / f)).max()
    with np.errstate(divide="ignore"):
        losses = np.where(f > 1, -q * np.log1p(-1 / np.maximum(f, 2)), np.inf)
    assert best_gain <= losses.min() * (1 + 1e-9) or f.size == 1


def test_frequencies_of_all_sizes():
    assert integer_frequencies(np.array([3.0])).tolist() == [TOTAL]
    assert integer_frequencies(np.array([1.0, 3.0])).tolist() == [16384, 49152]
    assert integer_frequencies(np.ones(TOTAL)).tolist() == [1] * TOTAL
    assert integer_frequencies(np.array([0.0, 1.0, 0.0])).tolist() == [1, TOTAL - 2, 1]
    steep = integer_frequencies(np.exp(-np.arange(4096.0)))
    assert steep.sum() == TOTAL
    assert steep.min() == 1
    tiny = integer_frequencies(np.array([1e-300, 1e-300]))
    assert tiny.tolist() == [32768, 32768]


def test_rounding_costs_next_to_nothing():
    p = np.exp(-0.5 * (np.arange(-40, 41) / 8.0) ** 2)
    f = integer_frequencies(p)
    entropy = cost(p, p / p.sum() * TOTAL)
    assert 0 <= cost(p, f.astype(float)) - entropy < 5e-4


@pytest.mark.parametrize("weights", [[-1.0, 2.0], [0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_weights_that_mean_nothing(weights):
    with pytest.raises(ValueRangeError):
        integer_frequencies(np.array(weights))


def test_weights_of_a_wrong_shape():
    with pytest.raises(ShapeError):
        integer_frequencies(np.ones((2, 2)))
    with pytest.raises(ShapeError):
        integer_frequencies(np.ones(0))


def test_costs_are_the_logarithm_rounded_down():
    f = np.array([1, 2, 3, 5, 1000, 32767, 32768, 40000, 65534, 65535])
    for k in f.tolist():
        tables = one(0, k, TOTAL - k) if k != 1 else one(0, 1, 65535)
        exact = min(math.log2(TOTAL / k), math.log2(TOTAL / (TOTAL - k)))
        least = int(tables.least_cost[0]) / (1 << COST_BITS)
        assert exact - 2**-18 < least <= exact
        entropy = sum(-x / TOTAL * math.log2(x / TOTAL) for x in (k, TOTAL - k))
        assert abs(int(tables.mean_cost[0]) / (1 << COST_BITS) - entropy) < 2**-18


def test_cross_entropy_by_hand():
    tables = Tables(np.array([0, -1]), (np.array([32768, 16384, 16384]), np.array([65535, 1])))
    index = np.array([0, 1], np.uint16)
    symbols = np.array([0, -1, 1, 63, 2], np.int32)
    regular = 1 + math.log2(65536 / 65535) + 2
    # 63 above table 1 is written as 2 * 63, one byte; 2 above table 0 as 0, one byte.
    escaped = 16 + 8 + 2 + 8
    assert cross_entropy_bits(symbols, index, tables) == pytest.approx(regular + escaped)
    assert cross_entropy_bits(symbols[:0], index, tables) == 0
