"""Which samples meet in a batch: by chance, or by likeness (arXiv 1312.7381).

A Gram matrix of a few samples from everywhere shows only that they differ. Batches from few
clusters show the structure of a neighbourhood. Every sample is in one batch an epoch either way.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch
from torch import Tensor

from rdedge.errors import ConfigError, MissingError
from rdedge.host.models.klt import klt
from rdedge.types import Array

BATCHES = ("random", "clustered", "auto")
# Clusters that a batch is drawn from.
FEW = 2
# Principal components that likeness is judged by.
_COMPONENTS = 32
_MOST_CLUSTERS = 64


def clusters_for(count: int, batch: int) -> int:
    """Clusters for so many samples: a quarter of the square root, 2 to 64, and no more than give
    each about as many samples as a batch takes from one.
    """
    wanted = round(math.sqrt(count) / 4.0)
    return max(1, min(wanted, _MOST_CLUSTERS, count * FEW // max(batch, 1)))


def clustered(x: Array, clusters: int, seed: int) -> Array:
    """Which cluster each sample of x: (N, ...) is in, (N,) int64: k-means on the first 32 principal
    components (D. Sculley, Web-scale k-means clustering, 2010).

    Raises ConfigError for fewer samples than clusters. Where samples are alike, clusters may be
    empty.
    """
    if not 1 <= clusters <= len(x):
        raise ConfigError(
            f"{clusters} clusters of {len(x)} samples", expected="1 to as many as samples"
        )
    try:
        from sklearn.cluster import MiniBatchKMeans
        from sklearn.exceptions import ConvergenceWarning
    except ImportError as error:
        raise MissingError(
            "clusters need scikit-learn, which is not installed",
            do="pip install 'rdedge[train]', or take --batches random",
        ) from error
    flat = x.reshape(len(x), -1)
    mean, _, basis = klt(flat, min(_COMPONENTS, *flat.shape))
    components = (flat.astype(np.float64) - mean) @ basis.T
    # Squares of huge values would be beyond float32.
    components /= np.abs(components).max(initial=0.0) or 1.0
    components = components.astype(np.float32)
    found = MiniBatchKMeans(clusters, random_state=seed % 2**32, n_init=3, batch_size=1024)
    with warnings.catch_warnings():
        # Fewer distinct samples than clusters: some stay empty, which is said above.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels: Array = found.fit_predict(components).astype(np.int64)
    return labels


class Batches:
    """The batches of each epoch.

    count: samples. batch: samples of one; where it does not divide count, some batches have a few
    more. labels: (count,) int64, the cluster of each sample; None: batches by chance.
    """

    def __init__(self, count: int, batch: int, labels: Array | None = None) -> None:
        self.count, self.size = count, max(1, count // batch)
        self.chunk = max(1, batch // FEW)
        self.members: list[Tensor] | None = None
        if labels is not None:
            assert len(labels) == count
            found = (np.flatnonzero(labels == k) for k in np.unique(labels))
            self.members = [torch.from_numpy(m) for m in found]

    def __len__(self) -> int:
        return self.size

    def epoch(self, generator: torch.Generator) -> list[Tensor]:
        """The numbers of the samples of each batch: every sample once."""
        if self.members is None:
            order = torch.randperm(self.count, generator=generator)
            return list(torch.tensor_split(order, self.size))
        chunks, left = [], []
        for members in self.members:
            order = members[torch.randperm(len(members), generator=generator)]
            whole = len(order) // self.chunk * self.chunk
            chunks += list(torch.split(order[:whole], self.chunk)) if whole else []
            left.append(order[whole:])
        # What no longer fills a chunk stays in the order of clusters, which are alike or not.
        chunks += list(torch.split(torch.cat(left), self.chunk))
        chunks = [c for c in chunks if len(c)]
        shuffled = torch.randperm(len(chunks), generator=generator).tolist()
        return list(torch.tensor_split(torch.cat([chunks[i] for i in shuffled]), self.size))
