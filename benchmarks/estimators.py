"""Estimators of mutual information against the closed form of Gaussian channels.

    python benchmarks/estimators.py [--machine NAME] [--seeds N] [--dims D ...]

Writes results/estimators-MACHINE.csv, and estimators-MACHINE.png: bias against the dimension. Pin
it to one core (OMP_NUM_THREADS=1 taskset -c 1); it takes some minutes there.

The channel: X ~ N(0, I_d), Y = rho X + sqrt(1 - rho^2) Z, so I(X; Y) = -d/2 log2(1 - rho^2). rho is
0 (nothing to say), 0.5, 0.9, or what makes the total 2 bits.

entropy: E[bits(y)] - h(noise), where y is Y in steps so small (8 to the noise's standard deviation)
that the mass of a unit interval is a density; bits(y) by a FactorizedPrior fitted to the first
three quarters and taken on the rest. It is given what the others are not: the noise's entropy. Its
model fits, too, since the components of Y are independent. infonce, mine: critics fitted to the
first three quarters, judged on the rest. renyi: the matrix functional, mean over batches; nothing
is fitted, the width is the median distance unless the name says otherwise.

One row is one estimator on one channel: mean, bias and standard deviation (of one run) over seeds,
seconds of one run, of the processor (time.thread_time), fitting included. pairs: all that a run
sees. batch: of a step of fitting, of InfoNCE's comparison, of a Gram matrix. Figures: estimated.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from coding import machine_name
from torch import Tensor

from rdedge.host.rates.base import Batch
from rdedge.host.rates.neural import InfoNce, Mine, NeuralRate
from rdedge.host.rates.priors import FactorizedPrior
from rdedge.host.rates.renyi import MatrixRate

RESULTS = Path(__file__).parent / "results"
DIMS = (2, 4, 8, 16, 32, 64)
HELD_OUT = 0.25
STEPS = 300
STEPS_PER_NOISE = 8.0


@dataclass(frozen=True)
class Channel:
    """dim: d. rho: correlation of each pair of components. label: what is held."""

    dim: int
    rho: float
    label: str

    @property
    def bits(self) -> float:
        return 0.5 * self.dim * math.log2(1.0 / (1.0 - self.rho**2))

    def draw(self, pairs: int, seed: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(pairs, self.dim, generator=generator)
        z = torch.randn(pairs, self.dim, generator=generator)
        return x, self.rho * x + math.sqrt(1.0 - self.rho**2) * z


Estimate = Callable[[Channel, Tensor, Tensor, int, int], float]


@dataclass(frozen=True)
class Estimator:
    """estimate: channel, x, y, batch, seed -> bits. color and style: in the picture."""

    name: str
    bounds: str
    pairs: int
    batch: int
    estimate: Estimate
    color: str
    style: str = "-"


def entropy(channel: Channel, x: Tensor, y: Tensor, batch: int, seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    noise = math.sqrt(1.0 - channel.rho**2)
    scale = STEPS_PER_NOISE / noise
    y = scale * y
    cut = len(y) - round(HELD_OUT * len(y))
    prior = FactorizedPrior(channel.dim, y[:cut].std(0))
    # Means move in units of the spread, the other parameters in units of one.
    optimiser = torch.optim.Adam(
        [
            {"params": [prior.mean], "lr": 0.02 * scale},
            {"params": [prior.log_scale, prior.logit], "lr": 0.02},
        ]
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        rows = torch.randperm(cut, generator=generator)[:batch]
        loss = prior.bits(y[rows]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        bits = float(prior.bits(y[cut:]).mean())
    return bits - 0.5 * channel.dim * math.log2(2.0 * math.pi * math.e * STEPS_PER_NOISE**2)


def neural(term: type[NeuralRate]) -> Estimate:
    def estimate(channel: Channel, x: Tensor, y: Tensor, batch: int, seed: int) -> float:
        found = term().measure(x, y, held_out=HELD_OUT, steps=STEPS, batch=batch, seed=seed)
        return found.bits

    return estimate


def matrix(alpha: float, width: str = "median") -> Estimate:
    term = MatrixRate(alpha=alpha, width=width, output_width="input")

    @torch.no_grad()
    def estimate(channel: Channel, x: Tensor, y: Tensor, batch: int, seed: int) -> float:
        parts = [slice(s, s + batch) for s in range(0, len(x) - batch + 1, batch)]
        return statistics.fmean(float(term.estimate(Batch(x[p], y[p], y[p]))) for p in parts)

    return estimate


ESTIMATORS = [
    Estimator("entropy", "upper", 4096, 256, entropy, "black"),
    Estimator("infonce", InfoNce.bounds, 4096, 256, neural(InfoNce), "tab:blue"),
    Estimator("mine", Mine.bounds, 4096, 256, neural(Mine), "tab:green"),
    Estimator("renyi 2", "neither", 2048, 256, matrix(2.0), "tab:orange"),
    Estimator("renyi 2", "neither", 2048, 1024, matrix(2.0), "tab:orange", "--"),
    Estimator("renyi 1.01", "neither", 2048, 256, matrix(1.01), "tab:red"),
    Estimator("renyi 1.01", "neither", 2048, 1024, matrix(1.01), "tab:red", "--"),
    Estimator(
        "renyi 1.01, 0.3 median", "neither", 2048, 256, matrix(1.01, "0.3 median"), "tab:purple"
    ),
]


def channels(dims: list[int]) -> list[Channel]:
    found = []
    for d in dims:
        found += [Channel(d, rho, f"rho = {rho:g}") for rho in (0.0, 0.5, 0.9)]
        found.append(Channel(d, math.sqrt(1.0 - 2.0 ** (-4.0 / d)), "2 bits in all"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--dims", type=int, nargs="+", default=DIMS)
    parser.add_argument("--folder", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for estimator in ESTIMATORS:  # what is loaded on first use is not timed
        _row(Channel(2, 0.5, ""), estimator, 2, "")
    rows = []
    for channel in channels(options.dims):
        for estimator in ESTIMATORS:
            rows.append(_row(channel, estimator, options.seeds, options.machine))
            print(rows[-1], flush=True)
    path = options.folder / f"estimators-{options.machine}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    picture(rows, channels(options.dims), path.with_suffix(".png"))


def _row(channel: Channel, estimator: Estimator, seeds: int, machine: str) -> dict[str, Any]:
    found, seconds = [], []
    for seed in range(seeds):
        x, y = channel.draw(estimator.pairs, seed)
        start = time.thread_time()
        found.append(estimator.estimate(channel, x, y, estimator.batch, seed))
        seconds.append(time.thread_time() - start)
    mean = statistics.fmean(found)
    return {
        "estimator": estimator.name,
        "bounds": estimator.bounds,
        "dim": channel.dim,
        "rho": round(channel.rho, 4),
        "true_bits": round(channel.bits, 4),
        "mean_bits": round(mean, 4),
        "bias_bits": round(mean - channel.bits, 4),
        "std_bits": round(statistics.stdev(found), 4),
        "seconds": round(statistics.fmean(seconds), 3),
        "pairs": estimator.pairs,
        "batch": estimator.batch,
        "seeds": seeds,
        "machine": machine,
    }


def picture(rows: list[dict[str, Any]], shown: list[Channel], path: Path) -> None:
    """Bias against the dimension, one panel for each strength."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(12, 8), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2, sharex=True).flat
    for axes, label in zip(panels, dict.fromkeys(c.label for c in shown), strict=True):
        inside = [c for c in shown if c.label == label]
        dims = [c.dim for c in inside]
        for e in ESTIMATORS:
            own = [
                next(
                    r
                    for r in rows
                    if (r["estimator"], r["batch"]) == (e.name, e.batch)
                    and (r["dim"], r["rho"]) == (c.dim, round(c.rho, 4))
                )
                for c in inside
            ]
            axes.errorbar(
                dims,
                [r["bias_bits"] for r in own],
                [r["std_bits"] for r in own],
                color=e.color,
                linestyle=e.style,
                marker="o",
                markersize=4,
                capsize=2,
                label=f"{e.name} (batch {e.batch}; {e.bounds})",
            )
        axes.axhline(0.0, color="grey", linewidth=0.8)
        axes.plot(
            dims, [-c.bits for c in inside], color="grey", linestyle=":", label="always 0 bits"
        )
        axes.set_xscale("log", base=2)
        axes.set_yscale("symlog", linthresh=0.1)
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xticks(dims, [str(d) for d in dims])
        low, high = inside[0].bits, inside[-1].bits
        known = f"I = {low:.3g}" + (f" to {high:.3g}" if high - low > 1e-9 else "")
        axes.set_title(f"{label}: {known} bits", fontsize=11)
        axes.set_ylabel("bias, bits")
        axes.set_xlabel("dimension")
        axes.grid(alpha=0.3)
    figure.suptitle(
        f"Estimated less true mutual information, Gaussian channel, {rows[0]['seeds']} seeds"
    )
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    main()
