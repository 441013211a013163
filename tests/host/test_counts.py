"""Series that repeat themselves: counts are taken where they need fewer bits."""

from __future__ import annotations

import numpy as np
import pytest

from rdedge.bundle.bundle import Bundle
from rdedge.codec import Decoder, Encoder
from rdedge.coding.counts import OUTSIDE, decision_tables
from rdedge.coding.counts_model import CountsModel
from rdedge.coding.quantiser import EXACT, SCALED
from rdedge.host.classes import GroupLayout, Layout
from rdedge.host.counts import counts_suit, fit_counts
from rdedge.host.export import export
from rdedge.host.train import train

T = 32


def rows(count: int, seed: int) -> np.ndarray:
    """(count,): near 30 but for a motif of twelve that changes every few hundred rows."""
    rng = np.random.default_rng(seed)
    found = []
    while sum(map(len, found)) < count:
        motif = np.full(12, 30.0)
        motif[rng.choice(12, 4, replace=False)] = rng.choice([44.0, 58.0, 72.0, 93.0], 4)
        found.append(np.tile(motif, int(rng.integers(20, 40))))
    noise: np.ndarray = np.concatenate(found)[:count] + rng.normal(0, 0.6, count)
    return noise


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("counts")
    series = rows(20_000, 1).astype(np.float32)
    np.save(folder / "train.npy", series.reshape(-1, T, 1))
    np.save(folder / "test.npy", rows(T * 60, 2).astype(np.float32).reshape(-1, T, 1))
    card = train(
        folder / "train.npy",
        held_out_data=folder / "test.npy",
        kind="series",
        metric="mse",
        max_distortion=4.0,
        model="linear",
        minutes=0.5,
        output=folder / "run",
    )
    assert card["selected_by"] == "counts"
    export(folder / "run", folder / "one.rdb")
    return Bundle.read(folder / "one.rdb")


def test_they_are_chosen_and_keep_the_promise(bundle: Bundle) -> None:
    assert bundle.counts is not None
    assert bundle.contexts is None
    x = rows(T * 40, 7).astype(np.float32).reshape(-1, T, 1)
    encoder, decoder = Encoder(bundle, gate="always"), Decoder(bundle, coder="numpy")
    alone = [encoder.encode(one[None]) for one in x]
    together = encoder.encode(x)
    for data, some in zip([*alone, together], [*x[:, None], x], strict=True):
        error = np.square(decoder.decode(data) - some).mean(axis=(1, 2))
        assert error.max() <= 4.0
    # What a window shows the next one need not be told: that is most of it.
    assert len(together) < 0.6 * (sum(map(len, alone)) - 14 * len(alone))


def test_a_shift_costs_more_and_comes_back(bundle: Bundle) -> None:
    x = (rows(T * 6, 9) + 400.0).astype(np.float32).reshape(-1, T, 1)
    encoder, decoder = Encoder(bundle, gate="always"), Decoder(bundle)
    data = encoder.encode(x)
    assert np.square(decoder.decode(data) - x).mean(axis=(1, 2)).max() <= 4.0
    # Most values are outside what training has shown.
    ungated = Encoder(bundle, gate="never").encode(x)
    assert len(ungated) > 3 * len(Encoder(bundle, gate="never").encode(x - 400))
    assert Decoder(bundle, coder="numpy").decode(ungated).tobytes() == (
        decoder.decode(ungated).tobytes()
    )


def layout(channels: int, kind: int = SCALED) -> Layout:
    group = GroupLayout(np.zeros(T, np.int64), np.full(T, kind, np.uint8))
    return Layout((), (group,) * channels, (), timed=True)


def test_only_values_in_time_suit_them() -> None:
    assert counts_suit(layout(2))
    assert not counts_suit(layout(1, EXACT))
    assert not counts_suit(Layout.plain(T))


def test_channels_have_frequencies_of_their_own() -> None:
    rng = np.random.default_rng(3)
    symbols = np.stack([rng.integers(0, 3, (200, T)), rng.integers(4, 6, (200, T))], axis=1)
    _, tables, counts = fit_counts(layout(2), symbols.reshape(200, -1).astype(np.int32))
    assert tables == decision_tables()
    assert counts.channels == 2
    likely = counts.frequencies[:, 0] / 65536
    place = -counts.minimum
    assert likely[0, place : place + 3].sum() > 0.9
    assert likely[1, place + 4 : place + 6].sum() > 0.9
    model = CountsModel(counts, tables, 2 * T)
    bits = model.costs(symbols.reshape(-1).astype(np.int32), alone=True).reshape(200, 2, T)
    # No pattern to find: near log2 of 3 and of 2, and the price of having looked for one.
    assert bits[:, 0].mean() == pytest.approx(np.log2(3), rel=0.2)
    assert bits[:, 1].mean() == pytest.approx(1.0, rel=0.2)


def test_wild_values_do_not_widen_what_is_told_apart() -> None:
    symbols = np.zeros((100, T), np.int32)
    symbols[:, ::5] = 3
    symbols[7, 7] = 2_000_000_000
    _, tables, counts = fit_counts(layout(1), symbols)
    assert counts.symbols < 12
    decisions, index, _ = CountsModel(counts, tables, T).select(symbols[7])
    assert (index == OUTSIDE).sum() == 1
    assert decisions[index == OUTSIDE][0] == 2_000_000_000 - counts.minimum
