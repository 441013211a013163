"""What a bundle makes of samples, each in a packet of its own, and how a task judges it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rdedge import metrics
from rdedge.bundle.bundle import Bundle
from rdedge.codec.decoder import Decoder
from rdedge.codec.encoder import Encoder
from rdedge.errors import ConfigError
from rdedge.flows.labels import Labels, labels_of
from rdedge.host.datasets import Parts
from rdedge.tasks import Judge, load
from rdedge.types import Array


@dataclass(frozen=True)
class Coded:
    """sizes: (N,) bytes of packets; x_hat: batches as the samples came; encode_s: median seconds of
    wall clock for all of them, on one core.
    """

    sizes: Array
    x_hat: list[Array]
    encode_s: float

    def distortion(self, metric: str, samples: Sequence[Array], scale: metrics.Scale) -> float:
        """What a mean bound is held against."""
        return metrics.mean(metric, samples, self.x_hat, scale)


def coded(bundle: Bundle, samples: Sequence[Array], *, timed: int = 1) -> Coded:
    """samples: batches (n, *shape). Ungated. timed: how often all are encoded, for the time."""
    encoder, decoder = Encoder(bundle, threads=1), Decoder(bundle)
    batches = [np.ascontiguousarray(x) for x in samples]
    ones = [x[i : i + 1] for x in batches for i in range(len(x))]
    encoder.encode(ones[0])
    seconds = []
    for _ in range(timed):
        started = time.perf_counter()
        packets = [encoder.encode(one) for one in ones]
        seconds.append(time.perf_counter() - started)
    decoded = iter([decoder.decode(packet) for packet in packets])
    x_hat = [np.concatenate([next(decoded) for _ in range(len(x))]) for x in batches]
    return Coded(np.array([len(p) for p in packets]), x_hat, float(np.median(seconds)))


@dataclass(frozen=True)
class Judged:
    """A task ready to judge, with the labels of the held-out samples."""

    judge: Judge
    labels: Labels

    def score(self, samples: Sequence[Array]) -> float:
        return self.judge(plain(samples), self.labels)


def plain(samples: Sequence[Array]) -> Any:
    """Batches -> one array, or a list of pictures where they differ in size."""
    if len({x.shape[1:] for x in samples}) == 1:
        return np.concatenate(list(samples))
    return [picture for x in samples for picture in x]


def judged(
    parts: Parts, task: str | None, labels: str | None, task_data: str | None, run: Path
) -> Judged | None:
    """The task, trained on raw samples where it needs that; None where there is none."""
    if task is None:
        if labels is not None or task_data is not None:
            raise ConfigError("labels or task data without a task", expected="--task too")
        return None
    found = load(task)
    learned, marks, held_out = labels_of(run, parts, labels, task_data)
    judge = found.judge(plain(learned), marks) if found.needs_training else found.judge()
    return Judged(judge, plain(parts.held_out) if held_out is None else held_out)


def try_task(task: str, samples: Sequence[Array]) -> None:
    """Raise what a task without labels raises on raw samples: before minutes of training, where it
    learns nothing itself.
    """
    found = load(task)
    if not found.needs_training:
        found.judge()(plain(samples), plain(samples))


def as_batches(decoded: Sequence[Array], samples: Sequence[Array]) -> list[Array]:
    """Decoded samples one by one -> batches as the originals come."""
    left = iter(decoded)
    return [np.stack([next(left).reshape(one.shape) for one in x]) for x in samples]
