"""Batches by chance and by likeness: every sample once an epoch, whatever the clusters are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from rdedge.errors import ConfigError
from rdedge.host.batches import FEW, Batches, clustered, clusters_for


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(clusters: int, each: int, width: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(clusters * each, width) float32 in no order, and where each is from."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(clusters), each))
    centres = 30.0 * rng.normal(size=(clusters, width))
    x = centres[labels] + rng.normal(size=(len(labels), width))
    return x.astype(np.float32), labels


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(1, 300),
    batch=st.integers(1, 400),
    clusters=st.none() | st.integers(1, 20),
    seed=st.integers(0, 1000),
)
@example(count=1, batch=1, clusters=1, seed=0)
@example(count=1, batch=400, clusters=None, seed=0)
@example(count=300, batch=1, clusters=20, seed=0)
@example(count=7, batch=4, clusters=7, seed=0)
def test_every_sample_is_in_one_batch(
    count: int, batch: int, clusters: int | None, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    # Clusters of all sizes, numbers left out, and negative ones.
    labels = None if clusters is None else rng.zipf(1.5, count).clip(max=clusters) * 3 - 5
    batches = Batches(count, batch, labels)
    for epoch in range(2):
        made = batches.epoch(generator(epoch))
        assert len(made) == len(batches)
        numbers = torch.cat(made)
        assert numbers.dtype == torch.int64
        assert numbers.sort().values.tolist() == list(range(count))
        sizes = [len(b) for b in made]
        assert max(sizes) - min(sizes) <= 1, "none is much smaller than the others"
        assert min(sizes) >= min(count, batch)
        assert max(sizes) < 2 * batch or count < 2 * batch


@pytest.mark.parametrize("labelled", [False, True])
def test_the_generator_decides(labelled: bool) -> None:
    labels = np.arange(200) % 5 if labelled else None
    batches = Batches(200, 16, labels)

    def epoch(seed: int) -> list[list[int]]:
        return [b.tolist() for b in batches.epoch(generator(seed))]

    first = epoch(1)
    assert epoch(2) != first
    assert epoch(1) == first, "an epoch leaves nothing behind"
    other = Batches(200, 16, None if labels is None else labels.copy())
    assert [b.tolist() for b in other.epoch(generator(1))] == first


def test_batches_are_from_few_clusters() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(8), 128))

    def clusters_met(batches: Batches) -> float:
        made = [b for epoch in range(5) for b in batches.epoch(generator(epoch))]
        return float(np.mean([len(np.unique(labels[b.numpy()])) for b in made]))

    few, many = clusters_met(Batches(1024, 64, labels)), clusters_met(Batches(1024, 64))
    assert few <= FEW
    assert many > 7.5


def test_clusters_meet_others_each_epoch() -> None:
    labels = np.repeat(np.arange(8), 128)
    batches = Batches(1024, 64, labels)
    pairs = {
        tuple(np.unique(labels[b.numpy()]).tolist())
        for epoch in range(20)
        for b in batches.epoch(generator(epoch))
    }
    assert len({p for p in pairs if len(p) == 2}) == 28, "every two of eight"


def test_uneven_clusters_stay_together_as_far_as_they_go() -> None:
    """Leftovers of clusters are mixed; whole halves of batches are not."""
    sizes = (500, 300, 150, 50)
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(4), sizes))
    made = Batches(1000, 50, labels).epoch(generator())
    met = [len(np.unique(labels[b.numpy()])) for b in made]
    assert np.mean(met) < 2.5


@settings(max_examples=200, deadline=None)
@given(count=st.integers(1, 10**7), batch=st.integers(1, 1 << 24))
@example(count=1, batch=1)
@example(count=1, batch=1 << 24)
def test_clusters_for(count: int, batch: int) -> None:
    found = clusters_for(count, batch)
    assert 1 <= found <= 64
    assert found <= count
    # Each gives about as many as a batch takes of one.
    assert found == 1 or count / found >= batch / FEW


def test_clusters_for_more_samples_are_more() -> None:
    found = [clusters_for(count, 128) for count in (1, 100, 1000, 10_000, 100_000, 10_000_000)]
    assert found == sorted(found)
    assert found[0] == 1
    assert found[3] == 25
    assert found[-1] == 64


# Clusters


@pytest.mark.parametrize("shape", [(6,), (2, 3), (200,)])
def test_blobs_are_found_again(shape: tuple[int, ...]) -> None:
    x, labels = blobs(5, 60, int(np.prod(shape)))
    found = clustered(x.reshape(-1, *shape), 5, seed=0)
    assert found.shape == (300,)
    assert found.dtype == np.int64
    assert adjusted_rand_score(labels, found) > 0.9


def test_integers_are_samples_too() -> None:
    x, labels = blobs(4, 50)
    x = np.round(x - x.min()).clip(0, 255).astype(np.uint8)
    assert adjusted_rand_score(labels, clustered(x, 4, seed=1)) > 0.9


def test_the_same_seed_finds_the_same_clusters() -> None:
    x = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    assert np.array_equal(clustered(x, 7, seed=3), clustered(x, 7, seed=3))
    assert clustered(x, 7, seed=2**40).shape == (500,), "any seed of a run will do"


@pytest.mark.parametrize("clusters", [0, -1, 4])
def test_no_clusters_and_too_many_are_refused(clusters: int) -> None:
    x = np.random.default_rng(0).normal(size=(3, 2))
    with pytest.raises(ConfigError, match=f"{clusters} clusters of 3 samples"):
        clustered(x, clusters, seed=0)


def test_odd_data() -> None:
    """Nothing warns and nothing is NaN: warnings are errors here."""
    assert clustered(np.ones((1, 3), np.float32), 1, seed=0).tolist() == [0]
    same = clustered(np.full((50, 4), 7.25, np.float32), 5, seed=0)
    assert same.shape == (50,)
    assert len(np.unique(same)) == 1, "equal samples are in one cluster"
    x, labels = blobs(3, 40)
    x[:, 1:3] = 1e6
    assert adjusted_rand_score(labels, clustered(x, 3, seed=0)) > 0.9
    line = np.repeat(np.arange(4.0, dtype=np.float32), 10)[:, None]
    assert adjusted_rand_score(line[:, 0], clustered(line, 4, seed=0)) > 0.9
    few = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
    found = clustered(few, 10, seed=0)
    assert len(np.unique(found)) == 3, "no more clusters than there are different samples"
    made = Batches(60, 8, found).epoch(generator())
    assert torch.cat(made).sort().values.tolist() == list(range(60))
