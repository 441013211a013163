"""Many rates from one bundle: its levels against models that were trained for each rate.

    python benchmarks/rates.py [--data DIR] [--machine NAME] [--only SET] [--keep DIR]

`linear`, trained for each bound of a set; then one of these bundles with eight levels, some of them
such that they reach the distortions of the others, as each model's own step was set on held-out
data. Held-out samples through packets, the byte that names a level included. Writes
results/rates-MACHINE.csv, replacing the rows of the sets that ran. ratio: bytes to those of the
model that was trained for the bound, at its own step; mse, mse_trained_for_it: of each; no
bytes where no step brings them together. Runs are kept in --keep and not trained again where they
are there.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import sets as series_sets
import torch
from coding import machine_name
from kept import replace_rows
from picture_yardsticks import read

from rdedge.bundle.bundle import Bundle
from rdedge.bundle.manifest import Level
from rdedge.bundle.recipe import Gate
from rdedge.codec import Decoder, Encoder
from rdedge.host.export import export
from rdedge.host.levels import ladder
from rdedge.host.train import train

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DATA = HERE.parents[1] / "shared/data"
FIELDS = (
    "set",
    "trained_for",
    "bound",
    "metric",
    "per_packet",
    "levels",
    "step_octaves",
    "mse_trained_for_it",
    "mse",
    "bytes_trained_for_it",
    "bytes",
    "ratio",
    "machine",
)
BOUNDS = {"magtile": (29.0, 30.6, 33.0), "etth1": (0.0055, 0.011, 0.022)}
LEVELS = 8
# A step is right where the error is nearer than this to what it has to be; after so many tries.
_NEAR, _TRIES = 0.002, 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--only", action="append", choices=BOUNDS, help="a set; several times")
    parser.add_argument("--keep", type=Path, default=Path("rates-runs"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.only or BOUNDS:
        rows = []
        for row in _rows(name, options.data, options.keep / name):
            rows.append(row | {"machine": options.machine})
            replace_rows(RESULTS / f"rates-{options.machine}.csv", FIELDS, name, rows)


def _rows(name: str, data: Path, folder: Path) -> Iterator[dict]:
    folder.mkdir(parents=True, exist_ok=True)
    place, held_out, packings = _place(name, data, folder)
    bundles = {bound: _bundle(place, bound, folder) for bound in BOUNDS[name]}
    elements = sum(x.size for x in held_out)
    for per_packet in packings:
        packed = [
            np.concatenate(held_out[i : i + per_packet])
            for i in range(0, len(held_out), per_packet)
        ]
        alone = {bound: _sent(bundle, packed, 0) for bound, bundle in bundles.items()}
        for trained_for, bundle in reversed(bundles.items()):
            for bound, (least, wanted) in alone.items():
                if bound == trained_for:
                    continue
                octaves, size, squares = _at(bundle, packed, alone[trained_for][1], wanted)
                there = abs(squares / wanted - 1.0) < 2 * _NEAR
                row = {
                    "set": name,
                    "trained_for": trained_for,
                    "bound": bound,
                    "metric": place["metric"],
                    "per_packet": per_packet,
                    "levels": LEVELS,
                    "step_octaves": f"{octaves:.3f}",
                    "mse_trained_for_it": f"{wanted / elements:.6g}",
                    "mse": f"{squares / elements:.6g}",
                    "bytes_trained_for_it": least,
                    "bytes": size if there else "",
                    "ratio": f"{size / least:.4f}" if there else "",
                }
                print(row, flush=True)
                yield row


def _place(name: str, data: Path, folder: Path) -> tuple[dict, list[np.ndarray], tuple[int, ...]]:
    """Arguments of train, held-out samples (1, *shape) each, and how many a packet may hold."""
    if name == "magtile":
        place = {
            "data": str(data / "magtile/train"),
            "held_out_data": str(data / "magtile/test"),
            "group": r"(\d+)\.jpg$",
            "metric": "psnr",
        }
        return place, [x[None] for x in read(data / "magtile/test")], (1,)
    found = getattr(series_sets, name)(data)
    np.save(folder / "train.npy", found.train)
    np.save(folder / "test.npy", found.test)
    place = {
        "data": str(folder / "train.npy"),
        "held_out_data": str(folder / "test.npy"),
        "kind": "series",
        "stride": 16,
        "metric": "mse",
    }
    return place, [x[None] for x in found.test], (1, 8)


def _bundle(place: dict, bound: float, folder: Path) -> Bundle:
    run = folder / f"{bound:g}"
    if not (run / "scorecard.json").exists():
        card = train(**place, model="linear", max_distortion=bound, output=run, force=True)
        print(bound, card["packet_bytes"], card["distortion"], flush=True)
    made = folder / f"{bound:g}.rdb"
    return Bundle.of(made) if made.exists() else export(run, made)


def _at(
    bundle: Bundle, packed: list[np.ndarray], squares: float, wanted: float
) -> tuple[float, int, float]:
    """The octaves from the step that was trained for to that of a summed squared error, the bytes
    there, and the error. squares: at the step that was trained for.
    """
    own = bundle.manifest.levels[0].step
    levels = list(ladder(own, Gate(levels=LEVELS)))
    tried = [(0.0, math.log2(squares / wanted))]
    octaves = -tried[0][1] / 1.5
    for _ in range(_TRIES):
        levels[1] = Level(float(np.float32(own * 2.0**octaves)))
        manifest = dataclasses.replace(bundle.manifest, levels=tuple(levels))
        size, squares = _sent(Bundle.make(manifest, dict(bundle.members)), packed, 1)
        tried.append((octaves, math.log2(squares / wanted)))
        if abs(tried[-1][1]) * math.log(2.0) < _NEAR:
            break
        (a, of_a), (b, of_b) = tried[-2:]
        # The error grows with the step, but for what chance does to it.
        slope = max((of_b - of_a) / (b - a), 0.3)
        octaves = b - min(max(of_b / slope, -1.0), 1.0)
    return tried[-1][0], size, squares


def _sent(bundle: Bundle, packed: list[np.ndarray], level: int) -> tuple[int, float]:
    """Bytes and summed squared errors of packets at a level."""
    encoder, decoder = Encoder(bundle), Decoder(bundle)
    size, squares = 0, 0.0
    for x in packed:
        packet = encoder.encode(x, level=level)
        size += len(packet)
        squares += float(np.square(decoder.decode(packet).astype(np.float64) - x).sum())
    return size, squares


if __name__ == "__main__":
    main()
