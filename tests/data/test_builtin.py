"""Toy sets: the same everywhere, around what is said to be there, with the noise that is named."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from rdedge.cli.group import run as cli
from rdedge.data import builtin
from rdedge.data.sources import ReadOptions
from rdedge.errors import ConfigError
from rdedge.flows.labels import labels_of
from rdedge.host.datasets import load, load_again
from rdedge.host.runs import RunFolder

DIGESTS = {
    "mixture": "d793b198e5d0f909",
    "spiral": "3394fd57b5013e0d",
    "ring": "e8d889f52f43a1f5",
}
TOYS = tuple(DIGESTS)


@pytest.mark.parametrize("name", TOYS)
def test_a_toy_set_is_the_same_each_time_and_in_random_order(name):
    found = builtin.load(name)
    x = found.samples
    assert (x.shape, str(x.dtype), found.sample_kind) == ((4000, 2), "float32", "vector")
    assert x.tobytes() == builtin.load(name).samples.tobytes()
    # As far as rounding of another machine's sine can reach.
    digest = hashlib.sha256(np.round(x, 3).astype("<f4").tobytes()).hexdigest()
    assert digest[:16] == DIGESTS[name]
    halves = x[:2000].astype(np.float64), x[2000:].astype(np.float64)
    assert np.abs(halves[0].mean(axis=0) - halves[1].mean(axis=0)).max() < 0.1
    assert np.abs(np.corrcoef(x[:-1, 0], x[1:, 0])[0, 1]) < 0.05


def test_noise_is_as_large_as_it_is_said_to_be():
    assert set(builtin.NOISE) == set(TOYS)
    r = np.linalg.norm(builtin.load("ring").samples, axis=1)
    assert r.std() == pytest.approx(builtin.NOISE["ring"], rel=0.03)
    x = builtin.load("spiral").samples
    turns = np.linspace(0, 2, 20_001)
    curve = (0.3 + 0.85 * turns)[:, None] * np.stack(
        [np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=1
    )
    off = [np.sqrt(np.square(curve - point).sum(axis=1).min()) for point in x[:1000]]
    assert np.sqrt(np.mean(np.square(off))) == pytest.approx(builtin.NOISE["spiral"], rel=0.06)
    below = builtin.load("mixture").samples
    below = below[(below[:, 1] < -0.2) & (np.abs(below[:, 0]) < 0.4)]
    assert len(below) / 4000 == pytest.approx(0.2, abs=0.02)
    assert below[:, 0].std() == pytest.approx(builtin.NOISE["mixture"], rel=0.06)


def test_a_name_is_read_like_a_file(tmp_path, monkeypatch):
    found = load("ring")
    assert (found.count, found.spec.shape, found.spec.kind) == (4000, (2,), "vector")
    with pytest.raises(ConfigError, match="ring as samples of kind image"):
        load("ring", options=ReadOptions(kind="image"))
    with pytest.raises(ConfigError, match="mixture, spiral, ring"):
        load(3)  # type: ignore[arg-type]
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "x.npy", np.zeros((70, 3), np.float32))
    (tmp_path / "x.npy").rename(tmp_path / "ring")
    assert not builtin.is_name("ring")


@pytest.fixture(scope="module")
def ring_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy") / "ring"
    assert (
        cli(["train", "ring", "--max-distortion", "0.05", "--epochs", "3", "-o", str(folder)]) == 0
    )
    return folder


def test_toys_have_no_labels(ring_run):
    parts = load_again(RunFolder(ring_run).description()).parts
    assert builtin.has_labels("digits")
    assert not builtin.has_labels("ring")
    assert labels_of(ring_run, parts, None, None)[1:] == (None, None)
    with pytest.raises(ConfigError, match="labels 'x' of ring"):
        labels_of(ring_run, parts, "x", None)
