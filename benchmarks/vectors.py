"""Bytes of digits at a bound, learned and classical.

    python benchmarks/vectors.py [--machine NAME] [--mnist PATH] [--epochs N] [--keep DIR]

Writes results/vectors-MACHINE.csv. Each row is one bound: a model trained for it, exported, its
held-out samples compressed into one container and decompressed again with the bundle. Bytes are of
the container, all included. Beside it stand, from results/yardsticks-MACHINE.csv, the best
classical codec as it comes (levels reduced or lossy) and the best with levels weighed pixel by
pixel by a search of ours. scikit-learn's digits: 1,400 to train, the last 397 held out. MNIST
(--mnist): 20,000 to train, the first 5,000 of its test set held out.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import tempfile
from pathlib import Path

import numpy as np
from coding import machine_name

from rdedge import metrics
from rdedge.codec import Decoder, Encoder
from rdedge.codec.files import compress, restore
from rdedge.data.sources import Source
from rdedge.format.container import Container
from rdedge.host.export import export
from rdedge.host.train import train

RESULTS = Path(__file__).parent / "results"
MNIST = Path(__file__).parents[2] / "shared/data/mnist/mnist-20k.npz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--mnist", type=Path, default=MNIST)
    parser.add_argument("--epochs", type=int, help="for MNIST")
    parser.add_argument("--keep", type=Path, help="keep runs and bundles in this folder")
    parser.add_argument("--only", help="one data set")
    options = parser.parse_args()
    yardsticks = _yardsticks(options.machine)
    cases = [("digits", "mse", v) for v in (2.0, 4.0, 8.0)]
    if options.mnist.exists():
        cases += [("mnist", "psnr", v) for v in (20.0, 24.0)]
    else:
        print(f"no MNIST at {options.mnist}: only scikit-learn's digits", file=sys.stderr)
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        for data, metric, value in cases:
            if options.only in (None, data):
                rows.append(_case(data, metric, value, folder, options, yardsticks))
                print(rows[-1], flush=True)
    path = RESULTS / f"vectors-{options.machine}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _yardsticks(machine: str) -> list[dict[str, str]]:
    with (RESULTS / f"yardsticks-{machine}.csv").open() as file:
        return list(csv.DictReader(file))


def _case(
    data: str,
    metric: str,
    value: float,
    folder: Path,
    options: argparse.Namespace,
    yardsticks: list[dict[str, str]],
) -> dict[str, object]:
    run = folder / f"{data}-{value:g}"
    if data == "digits":
        from sklearn.datasets import load_digits

        x = load_digits().images.astype(np.uint8)[-397:]
        card = train(
            "digits", max_distortion=value, metric=metric, output=run, held_out=397, force=True
        )
    else:
        x = np.load(options.mnist)["test"]
        name = str(options.mnist)
        card = train(
            name,
            max_distortion=value,
            metric=metric,
            output=run,
            key="train",
            held_out_data=name,
            held_out_key="test",
            epochs=options.epochs,
            augment="shift",
            force=True,
        )
    bundle = export(run, folder / f"{run.name}.rdb", force=True)
    file = io.BytesIO()
    _, total = compress(Encoder(bundle), [Source("x.npy", "npy", x, x.nbytes)], file, 1 << 20)
    decoder = Decoder(bundle)
    x_hat = next(restore(decoder, Container(file.getvalue()))).samples
    bound = f"{metric} {'>=' if metric == 'psnr' else '<='} {value:g}"
    rivals = [r for r in yardsticks if r["data"] == data and r["bound"] == bound]
    plain = min((r for r in rivals if "weighed" not in r["setting"]), key=_bytes)
    best = min(rivals, key=_bytes)
    parity = bundle.scorecard["parity"]
    return {
        "data": data,
        "bound": bound,
        "samples": len(x),
        "bytes": total,
        "bits_per_digit": round(8 * total / len(x), 2),
        "distortion": round(metrics.mean(metric, x, x_hat, bundle.manifest.scale), 4),
        "cross_fitted": " ".join(f"{d:.3f}" for d in card["distortion_cross_fitted"]),
        "classical": f"{plain['codec']}, {plain['setting']}",
        "classical_bytes": int(plain["bytes"]),
        "ratio": round(total / int(plain["bytes"]), 3),
        "classical_weighed": f"{best['codec']}, {best['setting']}",
        "classical_weighed_bytes": int(best["bytes"]),
        "ratio_weighed": round(total / int(best["bytes"]), 3),
        "train_s": round(card["training"]["seconds"], 1),
        "latents": bundle.manifest.latents,
        "encoder_macs": bundle.manifest.encoder.macs,
        "decoder_macs": bundle.manifest.decoder.macs,
        "symbols_that_differ": parity["max_symbol_share"],
        "kind": "actual",
        "machine": options.machine,
    }


def _bytes(row: dict[str, str]) -> int:
    return int(row["bytes"])


if __name__ == "__main__":
    main()
