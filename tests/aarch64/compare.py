"""What both sides made and read -> a table of parity, and exit code 1 where they disagree.

    python compare.py FOLDER CSV [--machine NAME] [--emulator NAME]

FOLDER/SIDE/*.json and *.npy as coder.py and bundles.py leave them. Must be equal: the other side's
packets decode to the symbols that their own encoder meant, C and NumPy write the same bytes, the
two sides' packets of the same symbols have the same bytes, bundles and tables made on each side.
May differ, within the limits of the bundle's own recipe: the symbols that the two sides' networks
round to, and what the networks make of the same symbols.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bundles import packets

from rdedge.bundle.bundle import Bundle

SIDES = ("x86_64", "aarch64")
COLUMNS = (
    "set", "samples", "packets", "made_on", "read_on", "bytes", "symbols",
    "c_decodes_wrong", "numpy_decodes_wrong", "numpy_writes_other_bytes",
    "encoders_symbols_differ", "share", "share_limit", "packets_differ", "same_symbols_other_bytes",
    "reconstruction_difference_std", "difference_limit_std", "kind", "machine", "versions",
)  # fmt: skip


class Sides:
    """The two folders, and what is wrong with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wrong: list[str] = []

    def json(self, side: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / side / name).read_text())
        return found

    def array(self, side: str, name: str) -> np.ndarray:
        found: np.ndarray = np.load(self.folder / side / name, allow_pickle=False)
        return found

    def require(self, what: str, found: float, limit: float = 0) -> None:
        if not found <= limit:
            self.wrong.append(f"{what}: {found:g}, at most {limit:g}")


def coder_rows(sides: Sides) -> Iterator[dict[str, Any]]:
    made = {side: sides.json(side, "coder.made.json") for side in SIDES}
    streams = []
    for side in SIDES:
        with np.load(sides.folder / side / "coder.npz", allow_pickle=False) as file:
            ends = file["lengths"].cumsum()[1::2]
            starts = np.concatenate([[0], ends[:-1]])
            data = file["data"].tobytes()
            streams.append([data[i:j] for i, j in zip(starts.tolist(), ends.tolist(), strict=True)])
    differ = sum(a != b for a, b in zip(*streams, strict=True))
    sides.require("random symbols: packets that the two sides write differently", differ)
    tables = {one["tables"] for one in made.values()}
    sides.require("tables fitted on each side that differ", len(tables) - 1)
    for maker, reader in (SIDES, SIDES[::-1]):
        read = sides.json(reader, "coder.read.json")
        what = f"random symbols, {maker} to {reader}"
        sides.require(f"{what}: decoded wrong by C", read["wrong"]["c"])
        sides.require(f"{what}: decoded wrong by NumPy", read["wrong"]["numpy"])
        sides.require(f"{what}: NumPy's packets", made[maker]["numpy_differs"])
        yield {
            "set": "random symbols, tables and lanes",
            "samples": made[maker]["packets"],
            "packets": made[maker]["packets"],
            "made_on": maker,
            "read_on": reader,
            "bytes": made[maker]["bytes"],
            "symbols": made[maker]["symbols"],
            "c_decodes_wrong": read["wrong"]["c"],
            "numpy_decodes_wrong": f"{read['wrong']['numpy']} of {read['read']['numpy']} packets",
            "numpy_writes_other_bytes": made[maker]["numpy_differs"],
            "packets_differ": differ,
            "same_symbols_other_bytes": differ,
        }


def same_symbols_other_bytes(sides: Sides, name: str, symbols: list[np.ndarray]) -> tuple[int, int]:
    """Packets whose bytes differ, and those of them whose symbols do not."""
    parts = [
        list(packets((sides.folder / side / f"{name}.packets").read_bytes())) for side in SIDES
    ]
    differ = other = start = 0
    for a, b in zip(*parts, strict=True):
        end = start + a.sample_count
        if a.to_bytes() != b.to_bytes():
            differ += 1
            other += bool((symbols[0][start:end] == symbols[1][start:end]).all())
        start = end
    return differ, other


def set_rows(sides: Sides, name: str) -> Iterator[dict[str, Any]]:
    bundle = Bundle.read(sides.folder / "inputs" / f"{name.partition('.')[0]}.rdb")
    parity = bundle.recipe["parity"]
    symbols = [sides.array(side, f"{name}.symbols.npy") for side in SIDES]
    encoders_differ = int((symbols[0] != symbols[1]).sum())
    share = encoders_differ / symbols[0].size
    differ, other = same_symbols_other_bytes(sides, name, symbols)
    # A bundle promises nothing of noise, nor of samples that were sought at the edges of rounding.
    promised = not name.endswith((".random", ".edge"))
    std = np.asarray(bundle.manifest.scale.std)
    unit = 1.0 if np.issubdtype(np.dtype(bundle.manifest.sample.dtype), np.integer) else 0.0
    limit = max(parity["max_output_difference"], unit / float(std.min()))
    sides.require(f"{name}: packets of the same symbols with other bytes", other)
    if promised:
        sides.require(f"{name}: share of symbols", share, parity["max_symbol_share"])
    for maker, reader in (SIDES, SIDES[::-1]):
        made = sides.json(maker, "bundles.made.json")["sets"][name]
        read = sides.json(reader, "bundles.read.json")[name]
        own = sides.array(maker, f"{name}.npy").astype(np.float64)
        theirs = sides.array(reader, f"{name}.theirs.npy").astype(np.float64)
        gaps = np.isnan(own)
        sides.require(f"{name}: gaps that differ", float((gaps != np.isnan(theirs)).sum()))
        difference = float(np.nanmax(np.abs(own - theirs) / std))
        what = f"{name}, {maker} to {reader}"
        sides.require(f"{what}: decoded wrong by C", read["c"])
        sides.require(f"{what}: decoded wrong by NumPy", read["numpy"])
        sides.require(f"{what}: NumPy's packets", made["numpy_differs"])
        if promised:
            sides.require(f"{what}: difference of reconstructions", difference, limit)
        yield {
            "set": name,
            "samples": made["samples"],
            "packets": made["packets"],
            "made_on": maker,
            "read_on": reader,
            "bytes": made["bytes"],
            "symbols": read["symbols"],
            "c_decodes_wrong": read["c"],
            "numpy_decodes_wrong": read["numpy"],
            "numpy_writes_other_bytes": made["numpy_differs"],
            "encoders_symbols_differ": encoders_differ,
            "share": f"{share:.3g}",
            "share_limit": parity["max_symbol_share"] if promised else "",
            "packets_differ": differ,
            "same_symbols_other_bytes": other,
            "reconstruction_difference_std": f"{difference:.3g}",
            "difference_limit_std": f"{limit:.3g}" if promised else "",
        }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--machine", default="unnamed")
    parser.add_argument("--emulator", default="an emulator")
    asked = parser.parse_args()
    sides = Sides(asked.folder)
    made = {side: sides.json(side, "bundles.made.json") for side in SIDES}
    for side in SIDES:
        if made[side]["machine"] != side or not made[side]["coder"].startswith("C ("):
            sides.wrong.append(f"{side} ran on {made[side]['machine']} with {made[side]['coder']}")
    rows = list(coder_rows(sides))
    for name in made[SIDES[0]]["sets"]:
        rows += set_rows(sides, name)
    for name, digest in made[SIDES[0]]["bundles"].items():
        sides.require(
            f"{name}.rdb: made again on each side, bytes differ",
            float(digest != made[SIDES[1]]["bundles"][name]),
        )
    versions = "; ".join(
        f"{side}: python {one['python']}, numpy {one['numpy']}, onnxruntime {one['onnxruntime']}"
        for side, one in made.items()
    )
    always = {
        "kind": f"measured, aarch64 emulated by {asked.emulator}",
        "machine": asked.machine,
        "versions": versions,
    }
    with asked.csv.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | always for row in rows)
    print(versions)
    for row in rows:
        share = f", encoders differ in {row['share']}" if "share" in row else ""
        print(
            f"{row['set']}: {row['samples']} samples made on {row['made_on']}, read on "
            f"{row['read_on']}: {row['c_decodes_wrong']} of {row['symbols']} symbols wrong{share}"
        )
    for one in sides.wrong:
        print(f"WRONG  {one}", file=sys.stderr)
    print(f"{len(made['x86_64']['bundles'])} bundles, {len(rows)} comparisons, ", end="")
    print(f"{len(sides.wrong)} of them wrong; {asked.csv}")
    return int(bool(sides.wrong))


if __name__ == "__main__":
    sys.exit(main())
