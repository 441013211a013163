"""Reproduce what "Rate-Distortion Auto-Encoders" (arXiv 1312.7381) shows, in actual coded bits.

    python examples/paper/reproduce.py -o DIR [--setting small|full] [--mnist FILE] [--skab DIR]
                                       [--series FILE.csv] [--only NAME,...] [--machine NAME]

Writes into DIR a CSV and figures for each experiment, and README.md, a page that says what agrees
with the paper's claims and what does not. `small` needs no data but what is installed and takes
less than a minute. `full` needs MNIST as an .npz with train, train_labels, test, test_labels, and
for the series SKAB's folder and a CSV with a column of times. The page is written from whatever
tables are in DIR, so experiments can be run one by one, or two at a time.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

import amount
import batches
import manifold
import outliers
import page
import rates
import toys
from methods import one_thread
from settings import SETTINGS, digits_of

EXPERIMENTS = {
    "toys": lambda o, s, d: toys.run(s, o.output),
    "manifold": lambda o, s, d: manifold.run(s, o.output),
    "rates": lambda o, s, d: rates.run(s, d, o.output),
    "outliers": lambda o, s, d: outliers.run(s, d, o.skab, o.output),
    "amount": lambda o, s, d: amount.run(s, d, o.output),
    "batches": lambda o, s, d: batches.run(s, d, o.series, o.output),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--setting", choices=sorted(SETTINGS), default="small")
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--skab", type=Path)
    parser.add_argument("--series", type=Path)
    parser.add_argument("--only", default=",".join(EXPERIMENTS))
    parser.add_argument("--machine", default=platform.machine())
    options = parser.parse_args()
    setting = SETTINGS[options.setting]
    wanted = [name for name in options.only.split(",") if name]
    if unknown := set(wanted) - set(EXPERIMENTS):
        parser.error(f"no experiment is called {', '.join(sorted(unknown))}")
    if setting.name == "full" and options.mnist is None:
        parser.error("the full setting needs --mnist")
    options.output.mkdir(parents=True, exist_ok=True)
    digits = digits_of(setting, options.mnist)
    one_thread()
    for name in wanted:
        started = time.monotonic()
        EXPERIMENTS[name](options, setting, digits)
        took = {"seconds": round(time.monotonic() - started, 1), "torch": torch.__version__}
        took |= {"machine": options.machine, "setting": setting.name}
        (options.output / f"{name}.json").write_text(json.dumps(took) + "\n")
        print(f"{name}: {took['seconds']} s", flush=True)
    page.write(options.output)
    print(options.output / "README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
