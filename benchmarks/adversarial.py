"""Samples that nobody trained for, gated: whether any goes over its bound, and what they cost.

    python benchmarks/adversarial.py [--machine NAME] [--share SHARE] [--only CASE]

Trains small bundles of vectors, series and pictures on data that comes with the package, and sends
99,232 samples through them with gate = always: noise of every loudness, constants, extremes of the
dtype, single spikes, subnormals, steps, and real samples turned over. Judged by another decoder:
symbols by the NumPy coder, the graph by onnx's own reference evaluator in NumPy. Beside the bytes,
those of the bundle's last fallback (zstd) for the same samples, each alone and as it came.
Writes results/adversarial-MACHINE.csv, replacing the rows of the cases that ran.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from coding import machine_name
from kept import replace_rows
from onnx.reference import ReferenceEvaluator

from rdedge import metrics
from rdedge.bundle.bundle import Bundle
from rdedge.codec import Decoder, Encoder
from rdedge.codec.fallbacks import Fallbacks
from rdedge.data import builtin
from rdedge.flows.demo import _pump
from rdedge.host.export import export
from rdedge.host.train import train

RESULTS = Path(__file__).parent / "results"
FIELDS = (
    "case",
    "metric",
    "bound",
    "kind",
    "samples",
    "per_packet",
    "over",
    "worst",
    "fallbacks",
    "residual_packets",
    "bytes",
    "zstd_bytes",
    "ms_per_sample",
    "machine",
)
# Samples of each case, and how many to a packet.
CASES = {
    "vectors": (80_000, 64),
    "series": (9_600, 8),
    "series-alone": (4_800, 1),
    "series-largest": (4_800, 4),
    "pictures": (160, 1),
}
KINDS = ("noise", "constants", "extremes", "spikes", "subnormal", "steps", "turned", "mixed")


class Judge(Decoder):
    """A decoder that shares no coder and no runtime with the device's."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, coder="numpy")
        graph = ReferenceEvaluator(bundle.members["decoder.onnx"])

        class Runner:
            name, backend = "onnx reference", "ort-cpu"

            def run(self, x: np.ndarray) -> np.ndarray:
                (found,) = graph.run(None, {graph.input_names[0]: x})
                return found

            def close(self) -> None:
                pass

        self.runner = Runner()


def made(kind: str, shape: tuple[int, ...], real: np.ndarray, rng: np.random.Generator):
    """Samples (n, *sample) of a kind, in the dtype of real ones."""
    n, dtype = shape[0], real.dtype
    whole = np.issubdtype(dtype, np.integer)
    ends = np.iinfo(dtype) if whole else np.finfo(dtype)
    each = (n,) + (1,) * (len(shape) - 1)
    spread, middle = float(real.std()), float(real.mean())
    loud = np.exp2(rng.uniform(-8, 8 if whole else 60, each)) * spread
    some = real[rng.integers(0, len(real), n)].astype(np.float64)
    if kind == "noise":
        x = middle + loud * rng.standard_normal(shape)
    elif kind == "constants":
        x = np.broadcast_to(middle + loud * rng.standard_normal(each), shape)
    elif kind == "extremes":
        x = rng.choice([float(ends.min), 0.0, float(ends.max)], shape)
    elif kind == "spikes":
        x = some.reshape(n, -1)
        at = rng.integers(0, x.shape[1], n)
        x[np.arange(n), at] += (loud * rng.choice([-1.0, 1.0], each)).reshape(n)
        x = x.reshape(shape)
    elif kind == "subnormal":
        x = rng.standard_normal(shape) * (1.0 if whole else 1e-41)
    elif kind == "steps":
        x = some + loud * (rng.random(shape) < 0.5)
    elif kind == "turned":
        x = middle - 4.0 * (some - middle)
    else:
        x = np.where(rng.random(each) < 0.5, some, middle + loud * rng.standard_normal(shape))
    low, high = float(ends.min), float(ends.max)
    x = np.clip(np.rint(x) if whole else x, low, high)
    with np.errstate(over="ignore"):
        return x.astype(dtype)


def bundles(case: str, folder: Path) -> tuple[Bundle, np.ndarray]:
    """The bundle of a case and real samples."""
    if case == "vectors":
        real = builtin.load("digits").samples
        train("digits", max_distortion=4.0, output=folder / "r", epochs=60)
    elif case == "pictures":
        photographs = [p[..., :1] for p in builtin.photographs().values()]
        tiles = [
            p[y : y + 48, x : x + 48]
            for p in photographs
            for y in range(0, 384, 48)
            for x in range(0, 624, 48)
        ]
        real = np.stack(tiles)
        np.save(folder / "x.npy", real)
        arguments = {"kind": "image", "metric": "psnr", "max_distortion": 32.0}
        train(folder / "x.npy", output=folder / "r", model="linear", **arguments)
    else:
        bound = ("max-abs", 0.5) if case == "series-largest" else ("mse", 0.05)
        lines = _pump(1, 14_400).decode().splitlines()[1:]
        rows = np.array([line.split(",")[1:4] for line in lines], np.float32)
        rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
        real = rows[: len(rows) // 32 * 32].reshape(-1, 32, 3)
        np.save(folder / "x.npy", real)
        arguments = {"kind": "series", "metric": bound[0], "max_distortion": bound[1]}
        train(folder / "x.npy", output=folder / "r", model="linear", **arguments)
    return export(folder / "r", folder / "x.rdb", allow_missed=True), real


def sent(case: str, bundle: Bundle, real: np.ndarray, count: int, per_packet: int):
    """A row for each kind of samples."""
    encoder, judge = Encoder(bundle, gate="always"), Judge(bundle)
    bound, scale = bundle.manifest.bound, bundle.manifest.scale
    last = Fallbacks(bundle.manifest).codecs[-1]
    for k, kind in enumerate(KINDS):
        rng = np.random.default_rng([k, count])
        n = max(per_packet, count // len(KINDS) // per_packet * per_packet)
        x = made(kind, (n, *real.shape[1:]), real, rng)
        before, residuals = sum(encoder.tally.fallbacks.values()), encoder.tally.residuals
        started = time.perf_counter()
        packets = [encoder.encode(x[i : i + per_packet]) for i in range(0, n, per_packet)]
        seconds = time.perf_counter() - started
        x_hat = np.concatenate([judge.decode(packet) for packet in packets])
        each = metrics.per_sample(bound.metric, x, x_hat, scale)
        over = each < bound.value if bound.is_minimum else each > bound.value
        zstd = [len(last.encode(x[i : i + per_packet], 0)) for i in range(0, n, per_packet)]
        yield {
            "case": case,
            "metric": bound.metric,
            "bound": bound.value,
            "kind": kind,
            "samples": n,
            "per_packet": per_packet,
            "over": int((over | np.isnan(each)).sum()),
            "worst": f"{each.min() if bound.is_minimum else each.max():.6g}",
            "fallbacks": sum(encoder.tally.fallbacks.values()) - before,
            "residual_packets": encoder.tally.residuals - residuals,
            "bytes": sum(map(len, packets)),
            "zstd_bytes": sum(zstd),
            "ms_per_sample": f"{1e3 * seconds / n:.2f}",
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--share", type=float, default=1.0, help="of the samples")
    parser.add_argument("--only", action="append", help="a case; may be given several times")
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / f"adversarial-{options.machine}.csv"
    total = over = 0
    for case in options.only or CASES:
        count, per_packet = CASES[case]
        with tempfile.TemporaryDirectory() as folder:
            bundle, real = bundles(case, Path(folder))
            rows = []
            for row in sent(case, bundle, real, int(count * options.share), per_packet):
                print(row, flush=True)
                rows.append(row | {"machine": options.machine})
        if options.share == 1.0:
            replace_rows(path, FIELDS, case, rows)
        total += sum(row["samples"] for row in rows)
        over += sum(row["over"] for row in rows)
    print(f"{over} of {total} samples over their bound")


if __name__ == "__main__":
    main()
