"""How long it takes to start: whole processes, beside an interpreter that does nothing.

    python benchmarks/startup.py [--machine NAME] [--demo]

Writes results/startup-MACHINE.csv: medians of turns taken one after the other. --demo runs
`rdedge demo` too, once, from an empty folder.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from coding import machine_name

RESULTS = Path(__file__).parent / "results"
CASES = {
    "empty interpreter": ["-c", ""],
    "import rdedge": ["-c", "import rdedge"],
    "import rdedge.codec": ["-c", "import rdedge.codec"],
    "import numpy": ["-c", "import numpy"],
    "rdedge --help": ["-m", "rdedge", "--help"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--turns", type=int, default=15)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(options.turns):
        for name, arguments in CASES.items():
            seconds[name].append(_run(arguments, Path.cwd()))
    empty = np.array(seconds["empty interpreter"])
    rows = [
        {
            "what": name,
            "median_s": round(float(np.median(turns)), 4),
            "over_empty_s": round(float(np.median(np.array(turns) - empty)), 4),
            "turns": len(turns),
        }
        for name, turns in seconds.items()
    ]
    if options.demo:
        with tempfile.TemporaryDirectory() as folder:
            spent = _run(["-m", "rdedge", "demo"], Path(folder))
        rows.append(
            {"what": "rdedge demo", "median_s": round(spent, 1), "over_empty_s": "", "turns": 1}
        )
    for row in rows:
        row |= {"kind": "measured", "machine": options.machine}
        print(row)
    with (RESULTS / f"startup-{options.machine}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _run(arguments: list[str], folder: Path) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
