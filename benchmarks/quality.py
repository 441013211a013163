"""Learned and classical codecs at three bounds for each set: what `rdedge curve` shows, kept.

    python benchmarks/quality.py [--data DIR] [--only SET] [--keep DIR] [--machine NAME]

The sets, their bounds and the minutes of training stand in quality.toml. Writes
results/quality-MACHINE.csv: a row for each set, bound and codec, packet by packet and as one
stream, with the encode time on one core; the rows of the sets that were run replace those that are
there. Runs are kept in --keep and not trained again where they are there. Series are windows of 64
rows cut as sets.py says, standardised; differences and Rice codes (rice.py) stand beside them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import sets as series_sets
import tomllib
import torch
from coding import machine_name
from kept import replace_rows
from rice import Rice

from rdedge.classical.series import series_yardsticks
from rdedge.errors import BoundMissedError
from rdedge.flows.curve import Options, curve
from rdedge.host.train import train
from rdedge.metrics import Scale
from rdedge.report.curve import Curve
from rdedge.report.curve_png import curve_png
from rdedge.types import Bound

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DATA = HERE.parents[1] / "shared/data"
FIELDS = (
    "set",
    "metric",
    "distortion",
    "codec",
    "setting",
    "learned",
    "packets",
    "bits_per_element",
    "kind",
    "encode_ms_per_sample",
    "task",
    "machine",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--only", action="append", help="a set; may be given several times")
    parser.add_argument("--keep", type=Path, default=Path("quality-runs"))
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--no-classical", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, one in tomllib.loads((HERE / "quality.toml").read_text())["sets"].items():
        if options.only and name not in options.only:
            continue
        try:
            place = prepare(name, one, options.data, options.keep)
        except (OSError, ImportError) as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            continue
        found = _curve(name, one, place, options.keep, not options.no_classical)
        rows = _rows(name, found, options.machine)
        if "series" in one and not options.no_classical:
            rows += _rice(name, one, place, options.machine)
        replace_rows(RESULTS / f"quality-{options.machine}.csv", FIELDS, name, rows)
        folder = options.keep / name
        (folder / "curve.png").write_bytes(curve_png(found))
        print(f"{name}: {len(rows)} rows", flush=True)


def prepare(name: str, one: dict, data: Path, keep: Path) -> dict[str, str]:
    """The files of a set, as arguments of train; made where they are not files already."""
    folder = keep / name
    folder.mkdir(parents=True, exist_ok=True)
    if "series" in one:
        found = getattr(series_sets, one["series"])(data)
        np.save(folder / "train.npy", found.train)
        np.save(folder / "held-out.npy", found.test)
        return {
            "data": str(folder / "train.npy"),
            "held_out_data": str(folder / "held-out.npy"),
            "kind": "series",
        }
    if one["data"] == "digits":
        return {"data": "digits", "held_out": 397}
    if one["data"] == "skimage":
        return {"data": str(_skimage(folder / "pictures"))}
    path = data / one["data"]
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there")
    place = {"data": str(path), **{k: one[k] for k in ("key", "held_out_key", "group") if k in one}}
    if "held_out_key" in one:
        place["held_out_data"] = str(path)
    if "held_out_data" in one:
        place["held_out_data"] = str(data / one["held_out_data"])
    if "leave_out" in one:
        # Some of its files are stored in colour, though they are grey.
        for part in ("data", "held_out_data"):
            place[part] = str(_grey(data / one[part], folder / part, one["leave_out"]))
    return place


def _grey(source: Path, folder: Path, leave_out: list[str]) -> Path:
    """Pictures in grey, without those whose names hold one of leave_out."""
    from PIL import Image

    folder.mkdir(exist_ok=True)
    for file in sorted(source.iterdir()):
        if not any(part in file.name for part in leave_out):
            Image.open(file).convert("L").save(folder / f"{file.stem}.png")
    return folder


def _skimage(folder: Path) -> Path:
    """scikit-image's own pictures, in grey, cut into pieces of 128 x 128."""
    from PIL import Image
    from skimage import data

    folder.mkdir(exist_ok=True)
    for name in ("camera", "coins", "moon", "page", "text", "clock", "brick", "grass", "gravel"):
        try:
            picture = getattr(data, name)()
        except Exception:  # not among those that come with the package
            continue
        for y in range(0, picture.shape[0] - 127, 128):
            for x in range(0, picture.shape[1] - 127, 128):
                piece = Image.fromarray(picture[y : y + 128, x : x + 128])
                piece.save(folder / f"{name}-{y:03}-{x:03}.png")
    return folder


def _curve(name: str, one: dict, place: dict[str, str], keep: Path, classical: bool) -> Curve:
    runs = []
    for bound in one["bounds"]:
        run = keep / name / f"{bound:g}"
        runs.append(run)
        if (run / "scorecard.json").exists():
            continue
        try:
            card = train(
                **place,
                metric=one["metric"],
                max_distortion=bound,
                **{k: one[k] for k in ("minutes", "size", "model") if k in one},
                output=run,
                force=True,
            )
        except BoundMissedError as error:
            print(f"{name} at {bound}: {error}", file=sys.stderr)
            runs.pop()
            continue
        kept = {k: card[k] for k in ("kept", "bits_per_element", "distortion")}
        print(f"{name} at {bound}: {json.dumps(kept)}", flush=True)
    options = Options(classical=classical, task=one.get("task"))
    return curve(runs, options, lambda text: print(text, flush=True))


def _rows(name: str, found: Curve, machine: str) -> list[dict]:
    return [
        {
            "set": name,
            "metric": found.metric,
            "distortion": f"{p.distortion:.6g}",
            "codec": p.codec,
            "setting": p.setting,
            "learned": int(p.learned),
            "packets": int(p.packetised),
            "bits_per_element": f"{p.bits_per_element.value:.5g}",
            "kind": p.bits_per_element.kind,
            "encode_ms_per_sample": ""
            if p.encode_s_per_sample is None
            else f"{1000 * p.encode_s_per_sample.value:.4g}",
            "task": "" if p.task is None else f"{p.task:.4f}",
            "machine": machine,
        }
        for p in found.points
    ]


def _rice(name: str, one: dict, place: dict[str, str], machine: str) -> list[dict]:
    """Differences and Rice codes, packet by packet, with the 12 bytes of a packet's frame."""
    learned, held_out = np.load(place["data"]), np.load(place["held_out_data"])
    rows = []
    for bound in one["bounds"]:
        scale = Scale.of(learned, by_channel=True)
        limit = Bound(one["metric"], bound)
        found = series_yardsticks(learned, held_out, limit, scale, packetised=True, codecs=[Rice()])
        best = found[0]
        bits = 8 * (best.size_bytes + 12 * len(held_out)) / held_out.size
        rows.append(
            {
                "set": name,
                "metric": one["metric"],
                "distortion": f"{best.distortion.value:.6g}",
                "codec": best.codec,
                "setting": best.setting + ", 12 bytes of frame a window",
                "learned": 0,
                "packets": 1,
                "bits_per_element": f"{bits:.5g}",
                "kind": "actual",
                "encode_ms_per_sample": "",
                "task": "",
                "machine": machine,
            }
        )
    return rows


if __name__ == "__main__":
    main()
