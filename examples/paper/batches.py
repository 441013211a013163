"""Batches from few clusters against batches by chance: gradients, curves, final rate."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from methods import METHODS, Budget, fit, parts_of, trainer_for
from settings import Digits, Setting
from tables import rounded, save, write_csv

from rdedge.data.sources import ReadOptions
from rdedge.host.batches import Batches, clustered, clusters_for
from rdedge.host.datasets import Parts, divide, load
from rdedge.host.splits import Split
from rdedge.host.training import Trainer
from rdedge.types import Array, Bound

KINDS = ("random", "clustered")
RATES = ("entropy", "renyi", "both")
# Samples of the batch whose gradient counts as the full one with the matrix functional alone: of a
# Gram matrix the gradient is not the mean of those of its parts.
FULL_BATCH = 4096
# Where the noise of full gradients is seeded, far from that of the batches they are compared with.
FULL_SEED = 1_000_000


def run(setting: Setting, digits: Digits, series: Path | None, out: Path) -> None:
    rows: list[dict[str, object]] = []
    gradients: list[dict[str, object]] = []
    curves: dict[tuple[str, str, str], list[list[tuple[int, float, float]]]] = {}
    for data, parts, bound, budget in (
        (
            digits.name,
            parts_of(digits.x, digits.held_out),
            digits.bound,
            setting.amount,
        ),
        (*_series(series), setting.series),
    ):
        for rate in RATES:
            method = replace(METHODS[rate], batches="random")
            for seed in range(setting.batch_seeds):
                for kind in KINDS:
                    fitted = fit(parts, method, bound, budget, seed, batches=kind)
                    curves.setdefault((data, rate, kind), []).append(fitted.curve)
                    rows.append(
                        {
                            "data": data,
                            "rate": rate,
                            "batches": kind,
                            "seed": seed,
                            "bits_per_sample": rounded(fitted.bits, 5),
                            "kind": "actual",
                            "distortion": rounded(fitted.card["distortion"], 5),
                            **fitted.course,
                            "seconds": rounded(fitted.seconds, 3),
                        }
                    )
                    print(rows[-1], file=sys.stderr, flush=True)
                    if kind == "random":
                        trained = fitted
                for when, end in (("start", None), ("end", trained)):
                    trainer = trainer_for(parts, method, bound, budget, seed)
                    if end is not None:
                        trainer.model.load_state_dict(end.model.state_dict())
                        trainer.state.log_multiplier = end.log_multiplier
                    gradients += [
                        {"data": data, "rate": rate, "when": when, "seed": seed, **found}
                        for found in _gradients(trainer, budget, setting, seed)
                    ]
                write_csv(out / "batches.csv", rows)
                write_csv(out / "gradients.csv", gradients)
    _draw(curves, out / "batches.png")


def _series(path: Path | None) -> tuple[str, Parts, Bound]:
    """The windows of a CSV, or of three simulated sensors that hang together."""
    if path is not None:
        dataset = load(str(path), None, ReadOptions(window=64), None)
        parts = divide(dataset, Split.of(dataset.count, None, "series"), None, 16)
        return path.stem, parts, Bound("nrmse", 0.1)
    rng = np.random.default_rng(0)
    t = np.arange(32 * 200)
    drive = np.sin(2 * np.pi * t / 40.0) * (1.0 + 0.5 * np.sin(2 * np.pi * t / 3000.0))
    walk = np.cumsum(rng.normal(0.0, 0.1, len(t)))
    walk -= np.convolve(walk, np.ones(500) / 500, "same")
    rows = np.stack([drive + walk, 2.0 * drive, walk], axis=1)
    rows += rng.normal(0.0, 0.05, rows.shape)
    windows = rows.reshape(-1, 32, 3).astype(np.float32)
    return (
        "simulated sensors",
        parts_of(windows[:160], windows[160:], "series"),
        Bound("nrmse", 0.2),
    )


def _gradients(
    trainer: Trainer, budget: Budget, setting: Setting, seed: int
) -> list[dict[str, object]]:
    """Of the weights of both halves, over the batches of an epoch of each kind: their variance and
    the distance of their mean from the full gradient, both relative to the full one, and the noise
    of either, by which that distance is to be judged.
    """
    count = len(trainer.feed)
    x = trainer.feed.x
    assert x is not None
    clusters = clusters_for(count, budget.batch)
    labels = clustered(x.cpu().numpy(), clusters, seed)
    sizes = np.bincount(labels, minlength=clusters)
    shares = sizes[sizes > 0] / count
    balance = float(np.exp(-(shares * np.log(shares)).sum()) / clusters)
    full, noise = _full_gradient(trainer, budget, seed)
    found: list[dict[str, object]] = []
    for kind in KINDS:
        batches = Batches(count, budget.batch, labels if kind == "clustered" else None)
        order = batches.epoch(torch.Generator().manual_seed(seed))[: setting.gradients]
        each = np.stack([_gradient(trainer, which, seed + i) for i, which in enumerate(order)])
        mean = each.mean(axis=0)
        size = float(np.square(full).sum())
        variance = np.square(each - mean).sum(axis=1).mean() * len(each) / max(len(each) - 1, 1)
        found.append(
            {
                "batches": kind,
                "batch": budget.batch,
                "measured": len(each),
                "clusters": clusters if kind == "clustered" else "",
                "smallest": int(sizes.min()) if kind == "clustered" else "",
                "largest": int(sizes.max()) if kind == "clustered" else "",
                "balance": rounded(balance) if kind == "clustered" else "",
                "variance": rounded(variance / size),
                "bias": rounded(np.sqrt(np.square(mean - full).sum() / size)),
                "noise_of_the_mean": rounded(np.sqrt(variance / len(each) / size)),
                "noise_of_the_full": rounded(noise / np.sqrt(size)),
            }
        )
    return found


def _full_gradient(trainer: Trainer, budget: Budget, seed: int) -> tuple[Array, float]:
    """The mean of two estimates of it that have nothing in common, and its noise: half of their
    distance. With an entropy model an estimate is the mean over all samples, by batches of an
    epoch; with the matrix functional alone, that of one batch of up to FULL_BATCH samples.
    """
    count = len(trainer.feed)
    twice = []
    if trainer.options.rate == "renyi":
        order = torch.randperm(count, generator=torch.Generator().manual_seed(FULL_SEED + seed))
        # Few samples are all in either; the noise in place of rounding still differs.
        one = count if count <= FULL_BATCH else min(FULL_BATCH, count // 2)
        for i in range(2):
            some = order if one == count else order[i * one : (i + 1) * one]
            twice.append(_gradient(trainer, some, FULL_SEED + seed + i))
    else:
        for i in range(2):
            first = FULL_SEED * (i + 1) + seed
            batches = Batches(count, budget.batch).epoch(torch.Generator().manual_seed(first))
            # Added up one by one: hundreds of gradients need not fit in memory.
            each = (len(b) * _gradient(trainer, b, first + j) for j, b in enumerate(batches))
            twice.append(np.asarray(sum(each)) / count)
    return (twice[0] + twice[1]) / 2.0, float(np.linalg.norm(twice[0] - twice[1])) / 2.0


def _gradient(trainer: Trainer, which: torch.Tensor, seed: int) -> Array:
    generator = torch.Generator().manual_seed(seed)
    x, present = trainer.feed.take(which, generator)
    loss = trainer.loss(x, present, False, generator)
    halves = [*trainer.model.g_a.parameters(), *trainer.model.g_s.parameters()]
    weights = list({id(w): w for w in halves}.values())
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    flat = [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]
    return torch.cat([g.flatten() for g in flat]).numpy()


def _draw(
    curves: dict[tuple[str, str, str], list[list[tuple[int, float, float]]]], path: Path
) -> None:
    """Distortion on validation by epoch, each seed a line."""
    panels = sorted({(data, rate) for data, rate, _ in curves})
    figure, axes = plt.subplots(
        1, len(panels), figsize=(2.9 * len(panels), 2.8), layout="constrained", squeeze=False
    )
    for axis, (data, rate) in zip(axes[0], panels, strict=True):
        for kind, colour in zip(KINDS, ("#555555", "#d1001f"), strict=True):
            for i, curve in enumerate(curves[data, rate, kind]):
                epochs, _, distortions = zip(*curve, strict=True)
                label = kind if i == 0 else None
                axis.plot(epochs, distortions, color=colour, label=label, linewidth=0.9)
        axis.set_title(f"{data}, {METHODS[rate].rate}", fontsize=8)
        axis.set_xlabel("epoch", fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0][0].set_ylabel("distortion on validation", fontsize=8)
    axes[0][0].legend(fontsize=7)
    save(figure, path)
    plt.close(figure)
