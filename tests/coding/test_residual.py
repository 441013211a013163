"""The stream of residuals: the page's vector, its tables, both coders, hostile bytes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdedge.coding import residual
from rdedge.coding.rans import Backend
from rdedge.coding.residual import Residual, best_table, read_residual, write_residual
from rdedge.errors import FormatError
from tests.coding import reference
from tests.golden import make_residuals

CODERS: tuple[Backend, ...] = ("c", "numpy")


@pytest.mark.parametrize("coder", CODERS)
def test_the_vector_of_the_page(coder: Backend) -> None:
    found = read_residual(bytes.fromhex("230604"), 8, coder)
    assert (found.fineness, found.q.tolist()) == (1, [0, 0, 0, -1, 0, 2, 0, 0])


def test_the_tables_of_the_page() -> None:
    tables = residual.tables()
    assert len(tables) == 32
    for t, found in enumerate(tables.frequencies):
        k, m = divmod(t, 16)
        mass = make_residuals.MASSES[m]
        pairs = [max(1, mass * w >> 16) for w in make_residuals.SHARES[k]]
        assert found[1:17].tolist() == [f for f in pairs for _ in range(2)]
        assert found[17] == max(1, mass - 2 * sum(pairs))
        assert found.astype(int).sum() == 1 << 16
    assert not tables.minimum.any()


@given(
    st.integers(0, 1 << 30),
    st.integers(1, 400),
    st.floats(0.001, 1.0),
    st.sampled_from([1, 2, 9, 1000, 1 << 29]),
    st.integers(0, 3),
)
def test_there_and_back_with_both_coders(
    seed: int, count: int, share: float, most: int, fineness: int
) -> None:
    rng = np.random.default_rng(seed)
    q = np.where(rng.random(count) < share, rng.integers(-most, most + 1, count), 0)
    q[rng.integers(count)] = 1
    wanted = Residual(fineness, q.astype(np.int32))
    data = {write_residual(wanted, coder) for coder in CODERS}
    assert len(data) == 1
    stream = data.pop()
    for coder in CODERS:
        found = read_residual(stream, count, coder)
        assert found.fineness == fineness
        assert np.array_equal(found.q, q)
    # Head, `more` and a length, and what rANS adds.
    assert 8 * len(stream) <= best_table(q)[1] + 8 * 5 + 16


def test_many_values_take_several_lanes() -> None:
    rng = np.random.default_rng(0)
    q = np.where(rng.random(100_000) < 0.3, rng.integers(-3, 4, 100_000), 0).astype(np.int32)
    data = write_residual(Residual(0, q))
    assert data[0] & 0x80
    assert data[1] == 3
    for coder in CODERS:
        assert np.array_equal(read_residual(data, q.size, coder).q, q)


def test_sparse_values_beyond_what_any_stream_holds_are_earned() -> None:
    q = np.zeros((1 << 20) + 5, np.int32)
    q[77] = -1
    data = write_residual(Residual(0, q), "c")
    assert len(data) < 300
    assert np.array_equal(read_residual(data, q.size, "numpy").q, q)
    with pytest.raises(FormatError, match="no more symbols"):
        read_residual(data, 1 << 27, "c")


def test_golden() -> None:
    lines = make_residuals.PATH.read_text().splitlines()
    assert len(lines) == len(make_residuals.SEEDS)
    for seed, line in zip(make_residuals.SEEDS, lines, strict=True):
        known = json.loads(line)
        assert known == make_residuals.made(seed)
        found = read_residual(bytes.fromhex(known["stream"]), len(known["q"]), "numpy")
        assert found.q.tolist() == known["q"]


def test_by_the_definition_of_rans() -> None:
    """With one lane and no escapes: the reference coder gives the same bytes after the head."""
    q = np.array([0] * 40 + [3, -2, 0, 0, 1] + [0] * 9, np.int32)
    table, _ = best_table(q)
    data = write_residual(Residual(2, q), "c")
    assert data[0] == table | 2 << 5
    symbols = [2 * v if v >= 0 else -2 * v - 1 for v in q.tolist()]
    expected, escapes = reference.encode(residual.tables(), [table], symbols, 1)
    assert (data[1:], escapes) == (expected, b"")
