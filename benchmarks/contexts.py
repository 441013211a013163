"""`linear` with classes and with contexts, on the same split and at the same bound.

    python benchmarks/contexts.py [--data DIR] [--machine NAME] [--only SET]

Trains each twice, in the same process one after the other, and counts held-out packets as a device
sends them, a window or a picture each, frames included. Writes results/contexts-MACHINE.csv,
replacing the rows of the sets that were run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import sets as series_sets
import torch
from coding import machine_name
from kept import replace_rows

from rdedge.host import entropy
from rdedge.host.train import train

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DATA = HERE.parents[1] / "shared/data"
FIELDS = (
    "set",
    "metric",
    "bound",
    "distortion",
    "selected_by",
    "rate_weight",
    "packets",
    "packet_bytes",
    "bits_per_element",
    "train_s",
    "machine",
)
_SERIES, _PICTURES = ("skab", "etth1", "nab_temperature", "nab_cpu"), (30.6, 33.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--only", action="append", help="a set; may be given several times")
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / f"contexts-{options.machine}.csv"
    for name in options.only or (*_SERIES, "magtile"):
        with tempfile.TemporaryDirectory() as folder:
            rows = list(_rows(name, options.data, Path(folder)))
        replace_rows(path, FIELDS, name, [row | {"machine": options.machine} for row in rows])


def _rows(name: str, data: Path, folder: Path):
    if name == "magtile":
        place = {
            "data": data / "magtile/train",
            "held_out_data": data / "magtile/test",
            "group": r"(\d+)\.jpg$",
            "metric": "psnr",
        }
        bounds = _PICTURES
    else:
        found = getattr(series_sets, name)(data)
        np.save(folder / "train.npy", found.train)
        np.save(folder / "test.npy", found.test)
        place = {
            "data": folder / "train.npy",
            "held_out_data": folder / "test.npy",
            "kind": "series",
            "stride": 16,
            "metric": "mse",
        }
        bounds = (0.011,)
    usual = entropy._LEAST_SYMBOLS
    for bound in bounds:
        for least in (1 << 62, usual):
            entropy._LEAST_SYMBOLS = least
            started = time.monotonic()
            card = train(
                **place, model="linear", max_distortion=bound, output=folder / "r", force=True
            )
            seconds = time.monotonic() - started
            yield {
                "set": name,
                "metric": place["metric"],
                "bound": bound,
                "distortion": f"{card['distortion']:.6g}",
                "selected_by": card["selected_by"],
                "rate_weight": card["rate_weight"],
                "packets": card["packets"],
                "packet_bytes": card["packet_bytes"],
                "bits_per_element": f"{card['bits_per_element']['value']:.5g}",
                "train_s": f"{seconds:.0f}",
            }
            print(name, bound, card["selected_by"], card["bits_per_element"]["value"], flush=True)


if __name__ == "__main__":
    main()
