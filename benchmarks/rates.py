"""Many rates from one bundle: its levels against models that were trained for each rate.

    python benchmarks/rates.py [--data DIR] [--machine NAME] [--only SET] [--keep DIR]

`linear`, trained for each bound of a set; bundles with eight levels, over 2.5 octaves of steps (as
recipes have them) or 4; held-out samples through packets, at every level. Writes
results/rates-MACHINE.csv, replacing the rows of the sets that ran: for each bundle and each bound,
its bytes where its mean squared error is that of the bundle which was trained for the bound, and
ratio: to the bytes of that one, at the step that it was trained for. Empty: beyond its levels.

Two neighbouring levels meet the error together: of the packets, in an order that chance gives, the
first are of the one and the others of the other; these are the bytes. smooth_ratio: of a line
through the logarithms of the two levels' bytes and errors instead, an estimate of what a level just
between them would need. Runs are kept in --keep and not trained again where they are there.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import sets as series_sets
import torch
from coding import machine_name
from kept import replace_rows
from picture_yardsticks import read

from rdedge.bundle.bundle import Bundle
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
    "octaves",
    "mse",
    "bytes_trained_for_it",
    "bytes",
    "ratio",
    "smooth_ratio",
    "machine",
)
BOUNDS = {"magtile": (29.0, 30.6, 33.0), "etth1": (0.0055, 0.011, 0.022)}
LEVELS = 8
# What each set's bundle was trained for, and the octaves that its levels are spread over.
TRIED = {
    "magtile": ((30.6, 2.5), (33.0, 4.0)),
    "etth1": ((0.0055, 2.5), (0.011, 2.5), (0.022, 2.5), (0.0055, 4.0)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--only", action="append", choices=BOUNDS, help="a set; several times")
    parser.add_argument("--keep", type=Path, default=Path("rates-runs"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.only or BOUNDS:
        rows = _rows(name, options.data, options.keep / name)
        rows = [row | {"machine": options.machine} for row in rows]
        replace_rows(RESULTS / f"rates-{options.machine}.csv", FIELDS, name, rows)


def _rows(name: str, data: Path, folder: Path) -> list[dict]:
    folder.mkdir(parents=True, exist_ok=True)
    place, held_out, packings = _place(name, data, folder)
    bundles = {bound: _bundle(place, bound, folder) for bound in BOUNDS[name]}
    rows = []
    for per_packet in packings:
        alone = {
            bound: [v[0] for v in _levels(_laddered(b, 2.5), held_out, per_packet, 1)]
            for bound, b in bundles.items()
        }
        for trained_for, octaves in TRIED[name]:
            found = _laddered(bundles[trained_for], octaves)
            sizes, squares = _levels(found, held_out, per_packet, LEVELS)
            for bound, (best, least) in alone.items():
                wanted, total = least.sum(), best.sum()
                mixed = _mixed(sizes, squares, wanted)
                smooth = _smooth(sizes.sum(axis=1), squares.sum(axis=1), wanted)
                row = {
                    "set": name,
                    "trained_for": trained_for,
                    "bound": bound,
                    "metric": place["metric"],
                    "per_packet": per_packet,
                    "levels": len(sizes),
                    "octaves": octaves,
                    "mse": f"{wanted / sum(x.size for x in held_out):.6g}",
                    "bytes_trained_for_it": int(total),
                    "bytes": mixed or "",
                    "ratio": f"{mixed / total:.4f}" if mixed else "",
                    "smooth_ratio": f"{smooth / total:.4f}" if mixed else "",
                }
                print(row, flush=True)
                rows.append(row)
    return rows


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
    place_of = folder / f"{bound:g}.rdb"
    return Bundle.of(place_of) if place_of.exists() else export(run, place_of)


def _laddered(bundle: Bundle, octaves: float) -> Bundle:
    """The same with eight levels over so many octaves."""
    steps = ladder(bundle.manifest.levels[0].step, Gate(levels=LEVELS, octaves=octaves))
    manifest = dataclasses.replace(bundle.manifest, levels=steps)
    return Bundle.make(manifest, dict(bundle.members))


def _levels(
    bundle: Bundle, samples: list[np.ndarray], per_packet: int, levels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Bytes and summed squared errors of each level and packet: (levels, packets) each; the level
    that was trained for comes first.
    """
    encoder, decoder = Encoder(bundle), Decoder(bundle)
    parts = [
        np.concatenate(samples[i : i + per_packet]) for i in range(0, len(samples), per_packet)
    ]
    sizes = np.empty((levels, len(parts)), np.int64)
    squares = np.empty(sizes.shape)
    for level in range(len(sizes)):
        for i, x in enumerate(parts):
            packet = encoder.encode(x, level=level)
            sizes[level, i] = len(packet)
            squares[level, i] = np.square(decoder.decode(packet).astype(np.float64) - x).sum()
    return sizes, squares


def _around(squares: np.ndarray, wanted: float) -> tuple[int, int] | None:
    """The levels just finer and just coarser than a summed error; None beyond the last."""
    order = np.argsort(squares)
    at = int(np.searchsorted(squares[order], wanted, side="right"))
    if squares[order[at - 1]] == wanted and at:
        return int(order[at - 1]), int(order[at - 1])
    return (int(order[at - 1]), int(order[at])) if 0 < at < len(order) else None


def _mixed(sizes: np.ndarray, squares: np.ndarray, wanted: float) -> int:
    """Bytes where the first packets of some order are of the coarser level, as many as may be; 0
    where no level is fine, or coarse, enough.
    """
    found = _around(squares.sum(axis=1), wanted)
    if found is None:
        return 0
    finer, coarser = found
    order = np.random.default_rng(0).permutation(sizes.shape[1])
    total = squares[finer].sum() + np.cumsum(squares[coarser][order] - squares[finer][order])
    within = np.flatnonzero(total <= wanted)
    some = order[: within[-1] + 1] if within.size else order[:0]
    return int(sizes[finer].sum() + (sizes[coarser][some] - sizes[finer][some]).sum())


def _smooth(sizes: np.ndarray, squares: np.ndarray, wanted: float) -> float:
    """By the line through the logarithms of both levels."""
    found = _around(squares, wanted)
    if found is None:
        return 0.0
    finer, coarser = found
    if finer == coarser:
        return float(sizes[finer])
    share = np.log(wanted / squares[finer]) / np.log(squares[coarser] / squares[finer])
    return float(sizes[finer] * (sizes[coarser] / sizes[finer]) ** share)


if __name__ == "__main__":
    main()
