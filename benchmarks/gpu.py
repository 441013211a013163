"""One encoder by ONNX Runtime and by torch.compile, side by side, batch 1 and 64, with parity.

    python benchmarks/gpu.py RUN BUNDLE [--data FILE.npy] [--device cuda|cpu] [--machine NAME]

RUN is the run folder that BUNDLE was exported from, with no lower precision. Writes
results/gpu-MACHINE.csv, replacing the rows of the same bundle: medians of whole calls from and to
arrays of the host, and how far the latents are from those of ONNX Runtime's CPU provider, in
quantiser steps. Both run in turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from coding import machine_name
from kept import replace_rows

from rdedge.bundle.bundle import Bundle
from rdedge.codec.preprocess import prepare
from rdedge.engine.part import Part
from rdedge.engine.runner import open_runner
from rdedge.host.runs import RunFolder

RESULTS = Path(__file__).parent / "results"
BATCHES, ROUNDS, WARM = (1, 64), 200, 20
FIELDS = (
    "bundle",
    "runs",
    "device",
    "batch",
    "median_ms",
    "latents_off_steps",
    "symbols_differ",
    "machine",
)
Encode = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, help="samples; without it the reference inputs")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--machine", default=machine_name())
    options = parser.parse_args()
    bundle = Bundle.read(options.bundle)
    x = bundle.reference.inputs if options.data is None else np.load(options.data)
    x = prepare(x, bundle.manifest.sample, bundle.manifest.patch)
    part = Part.of(bundle, "encoder")
    base = open_runner(part, "ort-cpu")
    on_gpu = options.device == "cuda"
    candidates: dict[str, Encode] = {
        "onnxruntime": (open_runner(part, "ort-cuda") if on_gpu else base).run,
        "torch.compile": _compiled(options.run, options.device),
    }
    device = torch.cuda.get_device_name() if on_gpu else "CPU"
    rows = []
    for batch in BATCHES:
        some = np.resize(x, (batch, *x.shape[1:]))
        expected = base.run(some).reshape(batch, -1)
        step = bundle.manifest.levels[0].step
        times = _in_turns(candidates, some)
        for name, encode in candidates.items():
            y = encode(some).reshape(batch, -1)
            differ = np.rint(y / step) != np.rint(expected / step)
            rows.append(
                {
                    "bundle": options.bundle.stem,
                    "runs": name,
                    "device": device,
                    "batch": batch,
                    "median_ms": f"{1000 * times[name]:.4g}",
                    "latents_off_steps": f"{np.abs(y - expected).max() / step:.3g}",
                    "symbols_differ": f"{differ.mean():.3g}",
                    "machine": options.machine,
                }
            )
            print(rows[-1])
    replace_rows(RESULTS / f"gpu-{options.machine}.csv", FIELDS, options.bundle.stem, rows)


def _compiled(run: Path, device: str) -> Encode:
    folder = RunFolder(run)
    card = folder.read_json("scorecard.json")
    model = folder.load_model(str(card["model_sha256"]), dict(card["model"])).eval().to(device)
    g_a = torch.compile(model.g_a, dynamic=False)

    def encode(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return g_a(torch.from_numpy(x).to(device)).float().cpu().numpy()

    return encode


def _in_turns(candidates: dict[str, Encode], x: np.ndarray) -> dict[str, float]:
    """Median seconds of a call."""
    found: dict[str, list[float]] = {name: [] for name in candidates}
    for i in range(WARM + ROUNDS):
        for name, encode in candidates.items():
            started = time.perf_counter()
            encode(x)
            if i >= WARM:
                found[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in found.items()}


if __name__ == "__main__":
    main()
