"""Windows of one packet look at the one before them: learned, coded, decoded, and what it saves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from rdedge.bundle.bundle import Bundle
from rdedge.codec import Decoder, Encoder
from rdedge.coding.quantiser import STEADY
from rdedge.format.packet import read_one
from rdedge.host import contexts, entropy
from rdedge.host.copies import _lines
from rdedge.host.datasets import Dataset, divide
from rdedge.host.export import export
from rdedge.host.splits import Split
from rdedge.host.train import train
from rdedge.types import SampleSpec

T = 16


def drifting(count: int, seed: int, start: float = 0.0) -> np.ndarray:
    """(count, T, 2) float32: windows of one recording whose level walks far."""
    rng = np.random.default_rng(seed)
    level = start + np.cumsum(rng.normal(0, 0.05, (count * T, 1)), axis=0)
    rows = level * np.array([1.0, -3.0]) + rng.normal(0, 0.3, (count * T, 2))
    return rows.reshape(count, T, 2).astype(np.float32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    folder = tmp_path_factory.mktemp("following")
    np.save(folder / "x.npy", drifting(300, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entropy, "_LEAST_SYMBOLS", 2000)
        patch.setattr(contexts, "_STEPS", (60, 60))
        card = train(
            folder / "x.npy",
            output=folder / "run",
            metric="mse",
            max_distortion=0.02,
            kind="series",
            model="linear",
        )
        assert card["trellis"]
        yield export(folder / "run", folder / "x.rdb")


def test_means_follow_at_one_step_for_all_levels(bundle: Bundle) -> None:
    assert bundle.contexts is not None
    assert np.flatnonzero(bundle.contexts.following).tolist() == [0, T]
    assert (bundle.selection.quantisers[[0, T]] == STEADY).all()
    encoder, x = Encoder(bundle), drifting(1, 5)
    of_levels = [encoder.symbols(x, level) for level in range(len(bundle.manifest.levels))]
    assert len({tuple(s[0, [0, T]].tolist()) for s in of_levels}) == 1
    assert len({s.tobytes() for s in of_levels}) > 1


@pytest.mark.parametrize("count", [1, 2, 7])
def test_both_coders_make_and_read_the_same(bundle: Bundle, count: int) -> None:
    x = drifting(count, 2, start=900.0)
    packets = [Encoder(bundle, coder=coder).encode(x) for coder in ("c", "numpy")]
    assert packets[0] == packets[1]
    found = [Decoder(bundle, coder=coder).decode(packets[0]) for coder in ("c", "numpy")]
    assert (found[0] == found[1]).all()
    alone = Encoder(bundle)
    one_by_one = [Decoder(bundle).decode(alone.encode(x[i : i + 1])) for i in range(count)]
    assert np.array_equal(np.concatenate(one_by_one), found[0])


def test_what_follows_takes_fewer_bytes(bundle: Bundle) -> None:
    """Far from training a mean is dear, once for each packet."""
    encoder, x = Encoder(bundle), drifting(8, 3, start=900.0)
    streams = read_one(encoder.encode(x)).streams
    together = sum(map(len, streams.values()))
    alone = [read_one(encoder.encode(one[None])).streams for one in x]
    apart = sum(len(data) for streams in alone for data in streams.values())
    assert together < 0.9 * apart
    # In no order they are dearer, and come back all the same.
    mixed = np.concatenate([x[::2], drifting(4, 4, start=-500.0), x[1::2]])
    packet = encoder.encode(mixed)
    errors = np.square(Decoder(bundle).decode(packet) - mixed).mean(axis=(1, 2))
    assert errors.max() < 0.1


def test_gated_windows_of_several_levels_come_back(bundle: Bundle) -> None:
    x = drifting(24, 6, start=50.0)
    x[5] *= np.float32(1.7)
    # Louder windows, which err more at one step: a coarser level serves the others.
    mean = x[16:].mean(axis=1, keepdims=True)
    x[16:] = mean + np.float32(8.0) * (x[16:] - mean)
    x[20] = 0.0
    packet = Encoder(bundle, gate="always").encode(x)
    assert len(read_one(packet).runs) > 1
    for coder in ("c", "numpy"):
        x_hat = Decoder(bundle, coder=coder).decode(packet)
        assert np.square(x_hat.astype(np.float64) - x).mean(axis=(1, 2)).max() <= 0.02


def test_lines_of_windows() -> None:
    assert _lines(np.arange(40) - 1).tolist() == np.arange(40).reshape(5, 8).tolist()
    # Every fourth follows, as where windows overlap; what is left over is left out.
    before = np.where(np.arange(26) < 4, -1, np.arange(26) - 4)
    lines = _lines(before)
    assert (np.diff(lines, axis=1) == 4).all()
    assert len(set(lines.reshape(-1).tolist())) == lines.size >= 20


def test_which_window_stands_before() -> None:
    x = np.arange(20 * 4, dtype=np.float32).reshape(20, 4, 1)
    files = np.repeat([0, 1], [12, 8])
    dataset = Dataset(SampleSpec("series", (4, 1), "float32"), [x], ("a",), files)
    split = Split(range(14), range(14, 17), range(17, 20))
    parts = divide(dataset, split, None, None)
    assert parts.before is not None
    assert parts.before[0].tolist() == [-1, *range(11), -1, 12]
    assert parts.before[1].tolist() == [-1, 0, 1]
    parts = divide(dataset, split, None, 2)
    assert parts.before is not None
    train_, before = parts.train[0], parts.before[0]
    for i in np.flatnonzero(before >= 0):
        assert train_[before[i], -1] + 1 == train_[i, 0]
    assert (before >= 0).sum() == len(train_) - 4
    parts = divide(dataset, split, None, 3)
    assert parts.before is not None
    assert (parts.before[0] == -1).all()
