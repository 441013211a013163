"""One side's half of the coder's cross-check: random symbols -> streams, and the other side's back.

    python coder.py FOLDER SIDE --make
    python coder.py FOLDER SIDE --make --read OTHER

Writes FOLDER/SIDE/coder.npz (the streams) and one JSON a direction. Needs numpy and rdedge alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from cases import COUNT, SHARED, Numbers, cases, weights

from rdedge.coding.rans import Coded, Coder
from rdedge.coding.tables import tables_from_counts

SEED = "coder"
BOTH: tuple[Any, ...] = ("c", "numpy")
# NumPy takes some 50 ms a case under emulation: it does one in eleven, so that its places among
# those that share tables differ; C does all.
NUMPY_EVERY = 11
TABLES = 500


class Streams:
    """What was coded, case after case, in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.coded: list[Coded] = []

    def write(self) -> None:
        parts = [part for one in self.coded for part in (one.latents, one.escapes)]
        np.savez(
            self.path,
            data=np.frombuffer(b"".join(parts), np.uint8),
            lengths=np.array([len(part) for part in parts], np.int64),
            lanes=np.array([one.lanes for one in self.coded], np.int64),
        )

    def read(self) -> Streams:
        with np.load(self.path, allow_pickle=False) as file:
            data, ends, lanes = file["data"].tobytes(), file["lengths"].cumsum(), file["lanes"]
        starts = ends - np.diff(ends, prepend=0)
        parts = [data[i:j] for i, j in zip(starts.tolist(), ends.tolist(), strict=True)]
        self.coded = [
            Coded(latents, escapes, n)
            for latents, escapes, n in zip(parts[::2], parts[1::2], lanes.tolist(), strict=True)
        ]
        return self


def fitted_tables() -> str:
    """SHA-256 of tables fitted to random counts: what a bundle is made of, floats inside."""
    numbers = Numbers("tables")
    counts = [weights(numbers).astype(np.float64) + 1e-9 for _ in range(TABLES)]
    return hashlib.sha256(tables_from_counts([0] * TABLES, counts).to_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("side")
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--read", metavar="OTHER")
    asked = parser.parse_args()
    mine = asked.folder / asked.side
    made = Streams(mine / "coder.npz")
    theirs = Streams(asked.folder / (asked.read or "") / "coder.npz")
    if asked.read:
        theirs.read()
    numpy_differs = symbols = 0
    wrong = {"c": 0, "numpy": 0}
    read = {"c": 0, "numpy": 0}
    for i, case in enumerate(cases(SEED, COUNT)):
        symbols += case.symbols.size
        every = BOTH if i % NUMPY_EVERY == 0 else BOTH[:1]
        if i % SHARED == 0:
            coders = {name: Coder(case.tables, case.index, name) for name in BOTH}
            assert all(coder.backend == name for name, coder in coders.items())
        for name in every:
            coder = coders[name]
            if asked.make:
                coded = coder.encode(case.symbols, case.lanes)
                if name == "c":
                    made.coded.append(coded)
                else:
                    numpy_differs += coded != made.coded[-1]
            if asked.read:
                one = theirs.coded[i]
                decoded = coder.decode(one.latents, one.escapes, case.symbols.size, one.lanes)
                wrong[name] += int((decoded != case.symbols).sum())
                read[name] += 1
    if asked.make:
        made.write()
        found: dict[str, Any] = {
            "packets": len(made.coded),
            "symbols": symbols,
            "bytes": sum(len(one.latents) + len(one.escapes) for one in made.coded),
            "escaped": sum(bool(one.escapes) for one in made.coded),
            "numpy_differs": numpy_differs,
            "tables": fitted_tables(),
        }
        (mine / "coder.made.json").write_text(json.dumps(found))
    if asked.read:
        (mine / "coder.read.json").write_text(json.dumps({"read": read, "wrong": wrong}))


if __name__ == "__main__":
    main()
