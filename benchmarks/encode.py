"""What encode() adds to its graph's session.run, beside a memcpy and the rANS of the same symbols.

    taskset -c 1 python benchmarks/encode.py BUNDLE [--machine NAME] [--picture PICTURE]

Writes results/encode-MACHINE.csv for a bundle of the digits, results/encode-picture-MACHINE.csv for
one of pictures, with --picture: one of 640 x 640 pixels, beside WebP at method 6 and JPEG XL at
effort 7 on the same core, each at the quality that comes nearest to the bundle's. Nanoseconds for
each element of the samples, medians of turns
that are taken one after the other in one process. `added` is encode less session.run on the same
batch; `budget` is memcpy of the samples plus coding their symbols. Parity: the packet decodes to
the symbols that the graph gave.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from coding import machine_name

from rdedge.classical import registry
from rdedge.codec import Decoder, Encoder
from rdedge.codec.preprocess import to_network
from rdedge.coding.prediction import predict
from rdedge.data import builtin, sources
from rdedge.format.packet import read_packet

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    encoder, decoder = Encoder(options.bundle, threads=1), Decoder(options.bundle, threads=1)
    if options.picture:
        _picture(encoder, decoder, options)
        return
    digits = builtin.load("digits").samples
    rows = [_row(encoder, decoder, digits, n) for n in (1, 16, 64, 256, 1024, 4096, 16384)]
    for row in rows:
        row["machine"] = options.machine
        print(row)
    with (RESULTS / f"encode-{options.machine}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _picture(encoder: Encoder, decoder: Decoder, options: argparse.Namespace) -> None:
    """One picture, and the classical codecs at their distance to it."""
    x = sources.read(options.picture).samples
    if x.shape[1:3] != (640, 640):
        raise SystemExit(f"{options.picture} is {x.shape[1:3]}, not 640 x 640")
    pixels = x.shape[1] * x.shape[2]
    row = {"codec": f"rdedge {encoder.manifest.model}", **_row(encoder, decoder, x, 1, turns=60)}
    packet = encoder.encode(x)
    error = float(np.mean((decoder.decode(packet).astype(float) - x) ** 2))
    macs = encoder.manifest.encoder.macs / np.prod(encoder.spec.shape[:2])
    row |= {
        "encode_ms": round(row["encode_ns"] * x.size / 1e6, 3),
        "bits_per_pixel": round(8 * len(packet) / pixels, 4),
        "mse": round(error, 2),
        "macs_per_pixel": round(float(macs)),
    }
    rows = [row]
    for name, ladder_name in (("webp", "method 6"), ("jpegxl", "effort 7")):
        codec = registry.get(name)
        ladder = next(one for one in codec.ladders() if ladder_name in one.settings[0].text)
        best = None
        for setting in ladder.settings[:: max(1, len(ladder.settings) // 50)]:
            data = codec.encode(x[0, :, :, 0], setting).data
            back = codec.decode(data, x.shape[1:3], str(x.dtype)).astype(float)
            away = abs(float(np.mean((back - x[0, :, :, 0]) ** 2)) - error)
            if best is None or away < best[0]:
                best = (away, setting, len(data), float(np.mean((back - x[0, :, :, 0]) ** 2)))
        seconds = []
        for _ in range(9):
            started = time.perf_counter()
            codec.encode(x[0, :, :, 0], best[1])
            seconds.append(time.perf_counter() - started)
        rows.append(
            dict.fromkeys(row, "")
            | {
                "codec": f"{name} {best[1].text}",
                "encode_ms": round(1e3 * float(np.median(seconds)), 3),
                "bits_per_pixel": round(8 * best[2] / pixels, 4),
                "mse": round(best[3], 2),
                "kind": "measured",
            }
        )
    for one in rows:
        one["machine"] = options.machine
        print(one)
    with (RESULTS / f"encode-picture-{options.machine}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _row(
    encoder: Encoder,
    decoder: Decoder,
    samples: np.ndarray,
    batch: int,
    turns: int | None = None,
) -> dict[str, object]:
    x = np.ascontiguousarray(np.resize(samples, (batch, *samples.shape[1:])))
    values, copy = to_network(x), np.empty_like(x)
    symbols = encoder.symbols(x)
    flat = symbols.reshape(-1)
    codec, grid = encoder.symbol_codec, encoder.manifest.grid(x.shape[1:])
    coder, index = codec.coder, None
    if not codec.way.fixed:
        # What the coder is given: classes, then symbols, and the table of each.
        planes = symbols.reshape(-1, *grid, codec.latents).copy()
        planes = predict(planes, encoder.bundle.selection.predicted)
        classes = codec.way.selector.choose(planes.reshape(-1))
        rows = flat.size // codec.latents
        selectors = np.tile(codec.way.selector.selection.selectors, rows)
        index = np.concatenate([selectors, codec.way.selector.index(classes, rows)])
        flat = np.concatenate([classes, planes.reshape(-1)])
    packet = encoder.encode(x)
    parity = np.array_equal(codec.unpack(read_packet(packet)[0], grid), symbols)
    times = []
    for _ in range(turns or max(15, 20_000 // batch)):
        marks = [time.perf_counter()]
        for work in (
            lambda: encoder.encode(x),
            lambda: encoder.runner.run(values),
            lambda: coder.encode(flat, None, index),
            lambda: np.copyto(copy, x),
        ):
            work()
            marks.append(time.perf_counter())
        times.append(np.diff(marks))
    encode, run, rans, memcpy = 1e9 * np.median(times, axis=0) / x.size
    added = float(np.median([t[0] - t[1] for t in times]) * 1e9 / x.size)
    return {
        "batch": batch,
        "encode_ns": round(encode, 3),
        "session_run_ns": round(run, 3),
        "rans_ns": round(rans, 3),
        "memcpy_ns": round(memcpy, 3),
        "added_ns": round(added, 3),
        "budget_ns": round(rans + memcpy, 3),
        "ratio": round(added / (rans + memcpy), 2),
        "added_us_per_packet": round(added * x.size / 1e3, 2),
        "symbols_decode_equal": parity,
        "coder": coder.backend,
        "kind": "measured",
    }


if __name__ == "__main__":
    main()
