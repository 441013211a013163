"""What the context model costs to decode: symbols of one sample, and of several side by side.

    taskset -c 1 python benchmarks/context_speed.py BUNDLE [--data DIR] [--machine NAME]

For a bundle of ETTh1's windows or of magnetic tiles (pieces of 128 x 128, and one of 640 x 640).
Writes results/context-speed-MACHINE.csv. From a packet's bytes to its symbols, in C and in NumPy,
the range coder included, the transform not: of the processor's time, medians of turns that both
take one after the other. Parity: both give the same symbols. network_macs: of one symbol.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import sets as series_sets
from coding import machine_name
from kept import replace_rows
from picture_speed import mosaic

from rdedge.bundle.bundle import Bundle
from rdedge.codec import Encoder
from rdedge.codec.symbols import SymbolCodec
from rdedge.format.packet import read_packet

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DATA = HERE.parents[1] / "shared/data"
FIELDS = (
    "case",
    "samples",
    "shape",
    "coder",
    "symbols",
    "bytes",
    "decode_ms",
    "ns_per_symbol",
    "symbols_per_s",
    "elements_per_s",
    "network_macs",
    "inputs",
    "hidden",
    "trellis",
    "equal",
    "kind",
    "machine",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--seconds", type=float, default=10.0, help="for each case and coder")
    options = parser.parse_args()
    bundle = Bundle.of(options.bundle)
    if bundle.contexts is None:
        raise SystemExit(f"{options.bundle} has no contexts")
    image = bundle.manifest.sample.kind == "image"
    name = f"{'magtile' if image else 'etth1'}, {bundle.manifest.model}, {bundle.manifest.bound}"
    rows = []
    for x in _samples(image, options.data):
        for row in _rows(bundle, x, options.seconds):
            rows.append(row | {"case": name, "machine": options.machine})
            print(rows[-1], flush=True)
    replace_rows(RESULTS / f"context-speed-{options.machine}.csv", FIELDS, name, rows)


def _samples(image: bool, data: Path) -> list[np.ndarray]:
    if not image:
        windows = series_sets.etth1(data).test
        return [windows[:n] for n in (1, 8, 64)]
    picture = mosaic(data)
    pieces = picture.reshape(5, 128, 5, 128, 1).transpose(0, 2, 1, 3, 4).reshape(25, 128, 128, 1)
    return [pieces[:1], pieces[:8], pieces, picture]


def _rows(bundle: Bundle, x: np.ndarray, seconds: float) -> list[dict]:
    packet = read_packet(Encoder(bundle, threads=1).encode(x))[0]
    grid = bundle.manifest.grid(x.shape[1:])
    codecs = {coder: SymbolCodec.of(bundle, coder) for coder in ("c", "numpy")}
    found = {coder: codec.unpack(packet, grid) for coder, codec in codecs.items()}
    times: dict[str, list[float]] = {coder: [] for coder in codecs}
    while any(len(t) < 3 or (sum(t) < seconds and len(t) < 200) for t in times.values()):
        for coder, codec in codecs.items():
            if len(times[coder]) >= 3 and sum(times[coder]) > seconds:
                continue
            began = time.process_time()
            codec.unpack(packet, grid)
            times[coder].append(time.process_time() - began)
    contexts = bundle.contexts
    hidden = contexts.weights.shape[0]
    rows = []
    for coder, taken in times.items():
        once = float(np.median(taken))
        symbols = found[coder].size
        rows.append(
            {
                "samples": len(x),
                "shape": "x".join(map(str, x.shape[1:])),
                "coder": coder,
                "symbols": symbols,
                "bytes": len(packet.to_bytes()),
                "decode_ms": f"{1e3 * once:.4g}",
                "ns_per_symbol": f"{1e9 * once / symbols:.4g}",
                "symbols_per_s": f"{symbols / once:.4g}",
                "elements_per_s": f"{x.size / once:.4g}",
                "network_macs": hidden * (contexts.inputs + 3),
                "inputs": contexts.inputs,
                "hidden": hidden,
                "trellis": int(bundle.manifest.trellis is not None),
                "equal": np.array_equal(found["c"], found["numpy"]),
                "kind": "measured",
            }
        )
    return rows


if __name__ == "__main__":
    main()
