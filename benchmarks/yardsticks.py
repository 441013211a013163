"""What the classical codecs need for digits at a bound: the figures that rdedge is held against.

    python benchmarks/yardsticks.py [--machine NAME] [--mnist PATH] [--quick] [--print]

Writes results/yardsticks-MACHINE.csv. scikit-learn's digits: the last 397 of 1,797, values 0 to 16,
mean squared error at most 2, 4 and 8. MNIST, where --mnist names an .npz with the arrays `train`
and `test` (N, 28, 28) uint8: all of `test` at a pooled psnr of at least 20 and 24 dB. All samples
of a set are coded as one file, and every figure is of bytes that were decoded and compared. What
the decoder needs beside the file (tables of levels) is counted; what the setting says is not.
Searches look at the test samples themselves, which favours the classical codecs.

seconds: wall-clock time of encoding once at the setting that was found, the search not counted.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from coding import machine_name

from rdedge.classical import registry
from rdedge.classical.yardsticks import yardsticks
from rdedge.metrics import Scale
from rdedge.types import Bound

RESULTS = Path(__file__).parent / "results"
MNIST = Path(__file__).parents[2] / "shared/data/mnist/mnist-20k.npz"


@dataclass(frozen=True)
class Case:
    """Samples x (N, D), the height and width that they are shown at, and the bounds to keep."""

    name: str
    x: np.ndarray
    side: int
    scale: Scale
    bounds: tuple[Bound, ...]


def cases(mnist: Path) -> Iterator[Case]:
    from sklearn.datasets import load_digits

    x = load_digits().data.astype(np.uint8)
    train, test = x[:-397], x[-397:]
    scale = Scale(peak=16.0, std=Scale.of(train).std)
    yield Case("digits", test, 8, scale, tuple(Bound("mse", v) for v in (2.0, 4.0, 8.0)))
    if not mnist.exists():
        print(f"no MNIST at {mnist}", file=sys.stderr)
        return
    with np.load(mnist) as file:
        train, test = file["train"], file["test"].reshape(-1, 784)
    yield Case("mnist", test, 28, Scale.of(train), tuple(Bound("psnr", v) for v in (20.0, 24.0)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--mnist", type=Path, default=MNIST)
    parser.add_argument("--quick", action="store_true", help="without what takes much longer")
    parser.add_argument("--print", action="store_true", help="print only, write no file")
    options = parser.parse_args()
    versions = {name: registry.get(name).version() for name in registry.available()}
    rows = []
    for case in cases(options.mnist):
        for bound in case.bounds:
            for found in yardsticks(
                case.x, case.side, case.side, bound, case.scale, thorough=not options.quick
            ):
                row = {
                    "data": case.name,
                    "samples": len(case.x),
                    "bound": str(bound),
                    "codec": found.codec,
                    "setting": found.setting,
                    "bytes": found.size_bytes,
                    "bits_per_digit": round(8 * found.size_bytes / len(case.x), 2),
                    "distortion": round(found.distortion.value, 4),
                    "encode_s": round(found.encode_s.value, 4),
                    "kind": found.distortion.kind,
                    "version": versions[found.codec],
                    "machine": options.machine,
                }
                rows.append(row)
                print(
                    f"{row['data']:7} {row['bound']:11} {row['codec']:9} {row['bytes']:>8} B"
                    f" {row['bits_per_digit']:>8} bits/digit  {row['distortion']:>8}"
                    f" {row['encode_s']:>8} s  {row['setting']}",
                    flush=True,
                )
    if not options.print:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"yardsticks-{options.machine}.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
