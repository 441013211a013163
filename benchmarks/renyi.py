"""S_alpha and its gradient against a plain implementation by eigenvalues.

    python benchmarks/renyi.py [--machine NAME] [--samples N] [--repeats R]

Writes results/renyi-MACHINE.csv. The plain one is what one writes first: torch.linalg.eigvalsh, a
sum of powers, autograd. Both get the same Gram matrices in float64; runs alternate, and each figure
is the median. Beside the times stands how far values and gradients are apart.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from coding import machine_name
from torch import Tensor

from rdedge.host.rates.renyi import entropy, gram

RESULTS = Path(__file__).parent / "results"


def plain(a: Tensor, alpha: float) -> Tensor:
    values = torch.linalg.eigvalsh(a).clamp_min(1e-300)
    if alpha == 1.0:
        return -(values * torch.log2(values)).sum()
    return torch.log2((values**alpha).sum()) / (1.0 - alpha)


def timed(term: Callable[[Tensor], Tensor], a: Tensor) -> tuple[float, Tensor, Tensor]:
    """Seconds, value and gradient."""
    a = a.clone().requires_grad_()
    started = time.perf_counter()
    bits = term(a)
    bits.backward()
    seconds = time.perf_counter() - started
    assert a.grad is not None
    return seconds, bits.detach(), a.grad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    n = options.samples
    a = gram(torch.randn(n, 32, dtype=torch.float64), "half")
    rows = []
    for alpha in (0.5, 1.0, 1.01, 2.0, 3.0):
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(options.repeats):
            t, bits, slope = timed(lambda a, alpha=alpha: entropy(a, alpha), a)
            ours.append(t)
            t, plain_bits, plain_slope = timed(lambda a, alpha=alpha: plain(a, alpha), a)
            theirs.append(t)
        # Of matrices whose trace stays 1 only what lies within that counts.
        centre = torch.eye(n, dtype=torch.float64) / n
        apart = slope - plain_slope
        apart = apart - centre * apart.diagonal().sum()
        rows.append(
            {
                "samples": n,
                "alpha": alpha,
                "bits": float(f"{float(bits):.6g}"),
                "ms": round(1e3 * median(ours), 3),
                "plain_ms": round(1e3 * median(theirs), 3),
                "times_faster": round(median(p / o for p, o in zip(theirs, ours, strict=True)), 3),
                "bits_apart": float(f"{abs(float(bits - plain_bits)):.2g}"),
                "gradient_apart": float(f"{float(apart.abs().max() / slope.abs().max()):.2g}"),
                "repeats": options.repeats,
                "machine": options.machine,
            }
        )
        print(rows[-1], flush=True)
    with (RESULTS / f"renyi-{options.machine}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
