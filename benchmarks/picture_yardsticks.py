"""What the classical codecs need for pictures of industry at a bound, every picture a packet.

    taskset -c 1 python benchmarks/picture_yardsticks.py --data DIR [--machine NAME] [--only SET]
        [--codecs NAME,...] [--stream] [--print]

Writes results/picture-yardsticks-MACHINE.csv. --data, or the variable RDEDGE_DATA, names a folder
with magtile/test (magnetic tiles, 58 grey pictures of mixed sizes) and deeppcb/test (20 boards of
640 x 640, grey, all but binary). The bound is a psnr of the squared error pooled over all pixels of
all pictures: 29.0, 30.6, 33.0 dB and 32, 34.3, 40 dB. One setting serves all pictures of a set.
Every figure is of whole files that were decoded and compared. Searches look at the test pictures
themselves, which favours the classical codecs.

bytes: files with their containers. side_bytes: a table of grey levels, which both ends hold
beforehand (--stream: in bytes). encode_s: the library's seconds for all pictures at the setting
that was found, the search not counted. --stream: all pictures in one file instead.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from pathlib import Path

import numpy as np
from coding import machine_name

from rdedge.classical import registry
from rdedge.classical.base import PICTURES
from rdedge.classical.picture_yardsticks import picture_yardsticks
from rdedge.metrics import Scale
from rdedge.types import Bound

RESULTS = Path(__file__).parent / "results"
SETS = {"magtile": (29.0, 30.6, 33.0), "deeppcb": (32.0, 34.3, 40.0)}


def read(folder: Path) -> list[np.ndarray]:
    """All pictures of a folder by name, grey: (H, W, 1) uint8."""
    from PIL import Image

    pictures = []
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".jpg", ".png")):
        with Image.open(path) as image:
            pictures.append(np.asarray(image.convert("L"))[..., None])
    return pictures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--data", type=Path, default=os.environ.get("RDEDGE_DATA"))
    parser.add_argument("--only", choices=SETS, help="one set")
    parser.add_argument("--codecs", help="names, separated by commas; all that are installed")
    parser.add_argument("--stream", action="store_true", help="all pictures in one file")
    parser.add_argument("--print", action="store_true", help="print only, write no file")
    options = parser.parse_args()
    if options.data is None:
        parser.error("name a folder with --data, or in RDEDGE_DATA")
    names = options.codecs.split(",") if options.codecs else _names()
    rows = []
    for name, bounds in SETS.items():
        folder = options.data / name / "test"
        if options.only not in (None, name):
            continue
        if not folder.is_dir():
            print(f"no pictures at {folder}", file=sys.stderr)
            continue
        pictures = read(folder)
        for value in bounds:
            rows += _rows(name, pictures, Bound("psnr", value), names, options)
    if rows and not options.print:
        RESULTS.mkdir(exist_ok=True)
        sent = "-stream" if options.stream else ""
        path = RESULTS / f"picture-yardsticks{sent}-{options.machine}.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        print(path)
    return 0 if rows else 1


def _names() -> list[str]:
    return [n for n in registry.available() if registry.get(n).takes & {*PICTURES, "array"}]


def _rows(
    name: str,
    pictures: list[np.ndarray],
    bound: Bound,
    names: list[str],
    options: argparse.Namespace,
) -> list[dict[str, object]]:
    pixels = sum(p.size for p in pictures)
    scale = Scale.of([p[None] for p in pictures])
    started = time.perf_counter()
    found = picture_yardsticks(pictures, bound, scale, packetised=not options.stream, codecs=names)
    print(f"{name}, {bound}: searched for {time.perf_counter() - started:.1f} s", flush=True)
    rows = []
    for f in found:
        row = {
            "data": name,
            "pictures": len(pictures),
            "pixels": pixels,
            "bound": str(bound),
            "sent_as": "stream" if options.stream else "packets",
            "codec": f.codec,
            "setting": f.setting,
            "bytes": f.size_bytes,
            "bits_per_pixel": round(8 * f.size_bytes / pixels, 4),
            "distortion": round(f.distortion.value, 3),
            "side_bytes": f.side_bytes,
            "encode_s": round(f.encode_s.value, 4),
            "encode_us_per_kilopixel": round(1e9 * f.encode_s.value / pixels, 2),
            "kind": f.distortion.kind,
            "version": registry.get(f.codec).version(),
            "machine": options.machine,
        }
        rows.append(row)
        print(
            f"{row['codec']:9} {row['bits_per_pixel']:>7} bits/pixel {row['distortion']:>7} dB"
            f" {row['encode_s']:>8} s  {row['setting']}",
            flush=True,
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
