"""Classes fitted to rows of symbols: near the entropy, the same each time, for rows of any kind."""

from __future__ import annotations

import numpy as np
import pytest

from rdedge.coding.quantiser import EXACT, NEAREST, SCALED
from rdedge.coding.selection import Selection
from rdedge.coding.tables import Tables
from rdedge.host.classes import (
    Band,
    GroupLayout,
    Layout,
    estimated_bits,
    fit_classes,
    gained,
)
from rdedge.host.models.linear import LinearConfig, layout

QUIET, LOUD = 0.3, 9.0


def of_groups(groups: int, length: int, classes: int) -> Layout:
    """Groups of one family, all of whose latents share a band."""
    group = GroupLayout(np.zeros(length, np.int64), np.zeros(length, np.uint8))
    return Layout((Band(symmetric=True),), (group,) * groups, (classes,))


def two_loudnesses(rows: int, groups: int, length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Symbols (rows, groups * length), and which groups are loud, (rows, groups)."""
    rng = np.random.default_rng(seed)
    loud = rng.random((rows, groups)) < 0.25
    scale = np.where(loud, LOUD, QUIET)[:, :, None]
    symbols = np.rint(rng.laplace(scale=scale, size=(rows, groups, length)))
    return symbols.reshape(rows, -1).astype(np.int32), loud


def entropy(values: np.ndarray) -> float:
    """Bits of all values, each by its own share."""
    _, counts = np.unique(values, return_counts=True)
    return float(-(counts * np.log2(counts / counts.sum())).sum())


def same(a: tuple[Selection, Tables], b: tuple[Selection, Tables]) -> bool:
    return a[0].to_bytes() == b[0].to_bytes() and a[1] == b[1]


def test_two_loudnesses_are_told_apart() -> None:
    """Nearly as few bits as by an oracle that knows which group is loud, on data of its own."""
    shape = (2000, 3, 16)
    train, _ = two_loudnesses(*shape, seed=0)
    test, loud = two_loudnesses(*shape, seed=1)
    grouped = test.reshape(2000, 3, 16)
    oracle = entropy(loud) + entropy(grouped[loud]) + entropy(grouped[~loud])
    selection, tables = fit_classes(of_groups(3, 16, 2), train)
    bits = estimated_bits(selection, tables, test)
    assert bits < 1.02 * oracle
    one_selection, one_tables = fit_classes(of_groups(3, 16, 1), train)
    assert bits < 0.85 * estimated_bits(one_selection, one_tables, test)


@pytest.mark.parametrize("classes", [2, 3, 16, 40])
def test_classes_that_are_not_needed_cost_little(classes: int) -> None:
    train, _ = two_loudnesses(1500, 2, 16, seed=2)
    test, loud = two_loudnesses(1500, 2, 16, seed=3)
    grouped = test.reshape(1500, 2, 16)
    oracle = entropy(loud) + entropy(grouped[loud]) + entropy(grouped[~loud])
    selection, tables = fit_classes(of_groups(2, 16, classes), train)
    assert all(group.classes == classes for group in selection.groups)
    assert estimated_bits(selection, tables, test) < 1.06 * oracle


def test_one_class_needs_no_name() -> None:
    symbols, _ = two_loudnesses(500, 2, 8, seed=4)
    selection, tables = fit_classes(of_groups(2, 8, 1), symbols)
    assert selection.fixed is not None
    assert selection.selectors.size == 0
    bits = estimated_bits(selection, tables, symbols)
    assert bits < 1.02 * entropy(symbols)


def test_the_same_symbols_give_the_same_classes() -> None:
    symbols, _ = two_loudnesses(700, 2, 8, seed=5)
    fitted = [fit_classes(of_groups(2, 8, 4), symbols) for _ in range(2)]
    assert same(fitted[0], fitted[1])
    other = fit_classes(of_groups(2, 8, 4), symbols[::-1].copy() + 1)
    assert not same(fitted[0], other)


def test_more_groups_than_the_clustering_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rdedge.host.classes._MOST_GROUPS", 400)
    train, _ = two_loudnesses(2000, 2, 16, seed=6)
    test, loud = two_loudnesses(1000, 2, 16, seed=7)
    grouped = test.reshape(1000, 2, 16)
    oracle = entropy(loud) + entropy(grouped[loud]) + entropy(grouped[~loud])
    fitted = fit_classes(of_groups(2, 16, 2), train)
    assert estimated_bits(*fitted, test) < 1.05 * oracle
    assert same(fitted, fit_classes(of_groups(2, 16, 2), train))


@pytest.mark.parametrize("classes", [1, 4])
def test_a_constant_is_nearly_free(classes: int) -> None:
    """All zeros, and next to them what is not."""
    nothing = np.zeros((300, 32), np.int32)
    fitted = fit_classes(of_groups(2, 16, classes), nothing)
    assert estimated_bits(*fitted, nothing) < 0.1 * nothing.size
    half, _ = two_loudnesses(300, 2, 16, seed=8)
    half[:, :16] = 0
    fitted = fit_classes(of_groups(2, 16, classes), half)
    assert estimated_bits(*fitted, half) < 1.1 * entropy(half)


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_handful_of_rows_is_enough_to_go_on(rows: int) -> None:
    """Fewer rows than classes: nothing fails, and any symbol can still be coded."""
    symbols, _ = two_loudnesses(rows, 2, 4, seed=9)
    fitted = fit_classes(of_groups(2, 4, 16), symbols)
    wild = np.array([[-(2**31), 2**31 - 1, 0, 1, -1, 5000, -5000, 7]], np.int32)
    assert np.isfinite(estimated_bits(*fitted, wild))


def test_what_is_beyond_all_entries_is_the_escapes() -> None:
    """A third of the symbols so far away that no table reaches: an escape costs what it is worth,
    not what is left over for it.
    """
    rng = np.random.default_rng(10)
    symbols = np.rint(rng.laplace(scale=2.0, size=(2000, 6)))
    far = rng.random(symbols.shape) < 1 / 3
    symbols[far] = rng.choice([-50_000, 50_000], int(far.sum()))
    symbols = symbols.astype(np.int32)
    for band in (Band(symmetric=True), Band(), Band(by_class=False), Band(False, wide=True)):
        group = GroupLayout(np.zeros(6, np.int64), np.zeros(6, np.uint8))
        selection, tables = fit_classes(Layout((band,), (group,), (1,)), symbols)
        table = tables.frequencies[int(selection.groups[0].tables[0, 0])] / 65536
        assert 0.3 < table[-1] < 0.36
        assert band.wide or table[:-1].max() > 0.05
        assert table[0] < 0.01, "no mass is lost to the edges"
        assert table[-2] < 0.01


@pytest.mark.parametrize("value", [2147483520, -2147483520])
def test_symbols_at_the_ends_of_int32_have_tables(value: int) -> None:
    symbols = np.full((40, 3), value, np.int32)
    for band in (Band(), Band(by_class=False), Band(by_class=False, wide=True)):
        group = GroupLayout(np.zeros(3, np.int64), np.zeros(3, np.uint8))
        fitted = fit_classes(Layout((band,), (group,), (2,)), symbols)
        assert np.isfinite(estimated_bits(*fitted, symbols))


def test_families_have_classes_of_their_own() -> None:
    bands = (Band(symmetric=True), Band(), Band(by_class=False, wide=True))
    first = GroupLayout(np.array([2, 0, 0]), np.array([NEAREST, SCALED, SCALED], np.uint8))
    second = GroupLayout(np.array([1, 1]), np.full(2, EXACT, np.uint8), family=1)
    both = Layout(bands, (first, second, first), (3, 2))
    symbols, _ = two_loudnesses(400, 1, 8, seed=11)
    selection, tables = fit_classes(both, symbols)
    assert [(g.length, g.classes) for g in selection.groups] == [(3, 3), (2, 2), (3, 3)]
    assert selection.quantisers.tolist() == [1, 0, 0, 2, 2, 1, 0, 0] == both.quantisers.tolist()
    one, other, third = selection.groups
    assert len(set(one.tables[:, 0].tolist())) == 1, "one table for all classes"
    assert np.array_equal(one.tables, third.tables), "one family, the same tables"
    assert one.selector != third.selector, "but each group has its own likely class"
    assert not set(one.tables.reshape(-1).tolist()) & set(other.tables.reshape(-1).tolist())
    assert selection.tables_needed <= len(tables)


def test_louder_copies_prepare_for_what_training_did_not_show() -> None:
    rng = np.random.default_rng(12)
    y = rng.laplace(scale=0.6, size=(1500, 32)).astype(np.float32)
    plain = of_groups(2, 16, 8)
    symbols = np.rint(y).astype(np.int32)
    louder = gained(plain, y, 1.0, 0.5)
    assert louder.shape == (3000, 32)
    assert louder.dtype == np.int32
    assert np.abs(louder).sum(axis=1).max() > np.abs(symbols).sum(axis=1).max()
    storm = np.rint(rng.laplace(scale=3.0, size=(500, 32))).astype(np.int32)
    calm = np.rint(rng.laplace(scale=0.6, size=(500, 32))).astype(np.int32)
    without, with_them = fit_classes(plain, symbols), fit_classes(plain, symbols, louder)
    assert estimated_bits(*with_them, storm) < 0.95 * estimated_bits(*without, storm)
    assert estimated_bits(*with_them, calm) < 1.03 * estimated_bits(*without, calm)


def test_gains_leave_alone_what_is_not_scaled() -> None:
    group = GroupLayout(np.zeros(3, np.int64), np.array([NEAREST, SCALED, EXACT], np.uint8))
    y = np.full((50, 3), 7.0, np.float32)
    found = gained(Layout((Band(),), (group,), (2,)), y, 0.5, 0.5)
    assert (found[:, 0] == 14).all()
    assert (found[:, 2] == 7).all()
    assert len(set(found[:, 1].tolist())) > 5


@pytest.mark.parametrize("klt", [False, True])
@pytest.mark.parametrize("exact", [(), (0,)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("length", [1, 2, 3, 64])
def test_windows_of_any_size(length: int, channels: int, exact: tuple[int, ...], klt: bool) -> None:
    """Also of two rows, of one channel, and with every channel on its lattice."""
    config = LinearConfig((length, channels), exact, klt)
    rng = np.random.default_rng(13)
    symbols = np.rint(rng.laplace(scale=2.0, size=(60, config.latents))).astype(np.int32)
    found = layout(config)
    assert len(found.quantisers) == config.latents
    selection, tables = fit_classes(found, symbols)
    assert selection.latents == config.latents
    assert len(selection.groups) == channels
    assert np.isfinite(estimated_bits(selection, tables, symbols))
    assert same((selection, tables), fit_classes(found, symbols))


def test_estimated_bits_are_those_of_the_coder() -> None:
    from rdedge.codec.symbols import SymbolCodec

    symbols, _ = two_loudnesses(3000, 2, 16, seed=14)
    selection, tables = fit_classes(of_groups(2, 16, 6), symbols)
    packet = SymbolCodec(bytes(4), tables, selection).pack(symbols.reshape(-1), 3000, lanes=1)
    bits = estimated_bits(selection, tables, symbols)
    assert bits <= 8 * len(packet) <= 1.001 * bits + 8 * 24
