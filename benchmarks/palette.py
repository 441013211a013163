"""`palette` on pictures of few grey values: bytes at a bound, and what they cost.

    python benchmarks/palette.py [--data DIR] [--machine NAME] [--keep DIR] [--only SET]
                                 [--size SIZE] [--bound DB]

Sets: deeppcb (boards under a line-scan camera, in grey, without those test images that overlap a
training image, each a packet) and mnist (20,000 digits to train, 5,000 held out, in one packet).
Everything counts: frames, the coder's final state, escapes. Runs stay in --keep and are not trained
again where they are there. Times are of one core: of the whole encoder with changed pixels, without
(weight 0), and of the decoder up to the symbols, where the network runs; medians over held-out
samples. Writes results/palette-MACHINE.csv, replacing the rows of the sets that were run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from coding import machine_name
from kept import replace_rows
from PIL import Image

from rdedge.bundle.bundle import Bundle
from rdedge.codec import Encoder
from rdedge.format.packet import read_packet
from rdedge.host.datasets import load_again
from rdedge.host.export import export
from rdedge.host.train import train
from rdedge.types import Array

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DATA = HERE.parents[1] / "shared/data"
# Boards that overlap one of the training part.
OVERLAPPING = ("44000061", "44000113", "13000115", "13000165", "77000070")
# Set -> bounds in dB, sizes, epochs.
SETS = {
    "deeppcb": ((40.1, 34.3), ("nano", "small"), 60),
    "mnist": ((24.0, 20.0), ("nano",), 20),
}
FIELDS = (
    "set",
    "metric",
    "bound",
    "size",
    "values",
    "distortion",
    "cross_fitted",
    "samples",
    "packets",
    "packet_bytes",
    "bits_per_pixel",
    "bits_per_sample",
    "rate_weight",
    "network_macs",
    "network_share",
    "decoder_graph_macs",
    "encode_ms_per_sample",
    "encode_unchanged_ms_per_sample",
    "decode_ms_per_sample",
    "decode_ns_per_pixel",
    "train_s",
    "kind",
    "machine",
)
_TIMED = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--keep", type=Path, help="where runs are kept")
    parser.add_argument("--only", action="append", choices=list(SETS))
    parser.add_argument("--size", action="append", choices=["nano", "small"])
    parser.add_argument("--bound", action="append", type=float, help="of the set's bounds")
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / f"palette-{options.machine}.csv"
    with tempfile.TemporaryDirectory() as folder:
        keep = Path(folder) if options.keep is None else options.keep
        keep.mkdir(parents=True, exist_ok=True)
        for name in options.only or SETS:
            bounds, sizes, epochs = SETS[name]
            place = _place(name, options.data, keep)
            rows = []
            for bound in options.bound or bounds:
                for size in options.size or sizes:
                    run = keep / f"{name}-{bound:g}-{size}"
                    if not (run / "scorecard.json").exists():
                        train(
                            max_distortion=bound,
                            metric="psnr",
                            model="palette",
                            size=size,
                            epochs=epochs,
                            output=run,
                            force=True,
                            **place,
                        )
                    rows.append(_row(name, run, keep, place) | {"machine": options.machine})
                    print(rows[-1], flush=True)
            replace_rows(path, FIELDS, name, rows)


def _place(name: str, data: Path, keep: Path) -> dict[str, str]:
    """The files of a set, as arguments of train."""
    if name == "mnist":
        file = str(data / "mnist/mnist-20k.npz")
        return {"data": file, "key": "train", "held_out_data": file, "held_out_key": "test"}
    for part in ("train", "test"):
        folder = keep / "boards" / part
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted((data / name / part).iterdir()):
            if part == "train" or not file.name.startswith(OVERLAPPING):
                Image.open(file).convert("L").save(folder / f"{file.stem}.png")
    return {"data": str(keep / "boards/train"), "held_out_data": str(keep / "boards/test")}


def _row(name: str, run: Path, keep: Path, place: dict[str, str]) -> dict:
    bundle = export(run, keep / f"{run.name}.rdb", force=True, **place)
    card = bundle.scorecard["training"]
    made, held_out = bundle.scorecard["export"], _held_out(run, place)
    elements = sum(x.size for x in held_out)
    model, samples = card["model"], made["samples"]
    first, second = model["hidden"]
    decisions = len(model["values"]) - 1
    macs = model["inputs"] * first + first * second + second * decisions
    pixels = int(np.prod(model["shape"]))
    plain = Bundle.make(replace(bundle.manifest, rate_weight=0.0), bundle.members)
    some = held_out[:_TIMED] if len(held_out) > 1 else [held_out[0][:1000]]
    encoders = [Encoder(one) for one in (bundle, plain)]
    times = [np.median([_ms(lambda e=e, x=x: e.encode(x)) for x in some]) for e in encoders]
    packets = [encoders[0].encode(x) for x in some]
    codec, grid = encoders[0].symbol_codec, bundle.manifest.grid
    decoding = np.median(
        [
            _ms(lambda p=p, x=x: codec.unpack(read_packet(p)[0], grid(x.shape[1:])))
            for p, x in zip(packets, some, strict=True)
        ]
    )
    each = len(some[0])
    return {
        "set": name,
        "metric": card["bound"]["metric"],
        "bound": card["bound"]["value"],
        "size": run.name.rsplit("-", 1)[1],
        "values": len(model["values"]),
        "distortion": round(made["distortion"]["value"], 3),
        "cross_fitted": " ".join(f"{v:.2f}" for v in card["distortion_cross_fitted"]),
        "samples": samples,
        "packets": made["packets"],
        "packet_bytes": made["packet_bytes"],
        "bits_per_pixel": f"{8.0 * made['packet_bytes'] / elements:.5f}",
        "bits_per_sample": round(8.0 * made["packet_bytes"] / samples, 2),
        "rate_weight": f"{card['rate_weight']:.4g}",
        "network_macs": macs,
        "network_share": f"{_share(encoders[0], some):.3f}",
        "decoder_graph_macs": (model["decoder_macs"] - model["encoder_macs"]) // pixels,
        "encode_ms_per_sample": f"{times[0] / each:.4g}",
        "encode_unchanged_ms_per_sample": f"{times[1] / each:.4g}",
        "decode_ms_per_sample": f"{decoding / each:.4g}",
        "decode_ns_per_pixel": f"{1e6 * decoding / some[0].size:.4g}",
        "train_s": round(card["training"]["seconds"]),
        "kind": "actual",
    }


def _held_out(run: Path, place: dict[str, str]) -> list[Array]:
    found = load_again(json.loads((run / "run.json").read_text()), **place)
    return found.parts.held_out


def _ms(call: Callable[[], object]) -> float:
    """Processor time of the better of two calls."""
    found = []
    for _ in range(2):
        started = time.process_time()
        call()
        found.append(1e3 * (time.process_time() - started))
    return min(found)


def _share(encoder: Encoder, samples: list[Array]) -> float:
    """Of the pixels, how many have neighbours that are not all alike."""
    palette = encoder.bundle.palette
    assert palette is not None
    rights = [right for _, right in palette.offsets]
    top, left, right = max(up for up, _ in palette.offsets), -min(rights), max(0, *rights)
    differ = count = 0
    for x in samples:
        height, width = x.shape[1:3]
        symbols = encoder.symbols(x).reshape(len(x), height, width)
        plane = np.pad(palette.codes[symbols], ((0, 0), (top, 0), (left, right)))
        plane[:, :top] = plane[:, :, :left] = palette.codes[-1]
        plane[:, :, left + width :] = palette.codes[-1]
        views = [plane[:, top - up :, left + r :][:, :height, :width] for up, r in palette.offsets]
        other = np.zeros(views[0].shape, bool)
        for view in views[1:]:
            other |= view != views[0]
        differ, count = differ + int(other.sum()), count + other.size
    return differ / count


if __name__ == "__main__":
    main()
