"""What encode() adds to its graph's session.run, beside a memcpy and the rANS of the same symbols.

    taskset -c 1 python benchmarks/encode.py BUNDLE [--machine NAME]

Writes results/encode-MACHINE.csv: nanoseconds for each element of the samples, medians of turns
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

from rdedge.codec import Decoder, Encoder
from rdedge.codec.preprocess import to_network
from rdedge.data import builtin
from rdedge.format.packet import read_packet

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("--machine", default=machine_name())
    options = parser.parse_args()
    encoder, decoder = Encoder(options.bundle, threads=1), Decoder(options.bundle, threads=1)
    digits = builtin.load("digits").samples
    rows = [_row(encoder, decoder, digits, n) for n in (1, 16, 64, 256, 1024, 4096, 16384)]
    for row in rows:
        row["machine"] = options.machine
        print(row)
    with (RESULTS / f"encode-{options.machine}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _row(encoder: Encoder, decoder: Decoder, digits: np.ndarray, batch: int) -> dict[str, object]:
    x = np.ascontiguousarray(np.resize(digits, (batch, *digits.shape[1:])))
    values, copy = to_network(x), np.empty_like(x)
    symbols = encoder.symbols(x)
    flat = symbols.reshape(-1)
    coder = encoder.symbol_codec.coder
    packet = encoder.encode(x)
    parity = np.array_equal(decoder.symbol_codec.unpack(read_packet(packet)[0]), symbols)
    turns = []
    for _ in range(max(15, 20_000 // batch)):
        marks = [time.perf_counter()]
        for work in (
            lambda: encoder.encode(x),
            lambda: encoder.runner.run(values),
            lambda: coder.encode(flat),
            lambda: np.copyto(copy, x),
        ):
            work()
            marks.append(time.perf_counter())
        turns.append(np.diff(marks))
    encode, run, rans, memcpy = 1e9 * np.median(turns, axis=0) / x.size
    added = float(np.median([t[0] - t[1] for t in turns]) * 1e9 / x.size)
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
