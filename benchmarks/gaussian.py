"""Learned codecs of Gaussian sources beside what no codec can beat.

    OMP_NUM_THREADS=1 python benchmarks/gaussian.py [--machine NAME] [--epochs N] [--only SOURCE]

Writes results/gaussian-MACHINE.csv and .png. Each row is one bound: an `mlp` trained for it on
20,000 vectors of 32 elements, exported, 5,000 held-out vectors compressed into one container and
decompressed again. Bits are of the container, all included, and of the packet alone, as the
scorecard of training has it. Beside them stand, at the distortion that was measured, R(D) of the
source and the best entropy-coded scalar quantisers after a Karhunen-Loeve transform that knows the
true covariance (rdedge.limits).
The bounds are those that these quantisers reach at 0.5 to 3 bits an element. Distortions are mean
squared errors, and every source has a variance of 1 per element.

iid: independent elements. ar1: a process x_t = 0.9 x_(t-1) + e_t, cut into vectors. correlated: a
random rotation of components whose variances spread over three orders of magnitude.
"""

from __future__ import annotations

import argparse
import csv
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from coding import machine_name

from rdedge import metrics
from rdedge.codec import Decoder, Encoder
from rdedge.codec.files import compress, restore
from rdedge.data.sources import Source
from rdedge.format.container import Container
from rdedge.host.export import export
from rdedge.host.train import train
from rdedge.limits.gaussian import ar1_covariance, rate_ar1, rate_correlated
from rdedge.limits.scalar import ecsq_correlated, ecsq_correlated_distortion

RESULTS = Path(__file__).parent / "results"
RATES = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
TRAIN, HELD_OUT, SIZE, RHO = 20_000, 5_000, 32, 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--only", choices=SOURCES, help="one source")
    parser.add_argument("--keep", type=Path, help="keep data, runs and bundles in this folder")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        for source in SOURCES:
            if options.only in (None, source):
                for rate in RATES:
                    rows.append(_case(source, rate, folder, options))
                    print(rows[-1], flush=True)
    path = RESULTS / f"gaussian-{options.machine}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    _draw(rows, path.with_suffix(".png"))


def _iid(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return np.eye(SIZE), rng.standard_normal((count, SIZE))


def _ar1(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    # One process, without an end between two vectors.
    noise = rng.standard_normal(count * SIZE) * np.sqrt(1.0 - RHO * RHO)
    x = np.empty(count * SIZE)
    last = rng.standard_normal()
    for t, e in enumerate(noise):
        last = RHO * last + e
        x[t] = last
    return ar1_covariance(RHO, SIZE), x.reshape(count, SIZE)


def _correlated(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    basis = np.linalg.qr(rng.standard_normal((SIZE, SIZE)))[0]
    variances = np.geomspace(1e-3, 1.0, SIZE)
    variances /= variances.mean()
    x = (rng.standard_normal((count, SIZE)) * np.sqrt(variances)) @ basis.T
    covariance = basis * variances @ basis.T
    return 0.5 * (covariance + covariance.T), x


SOURCES = {"iid": _iid, "ar1": _ar1, "correlated": _correlated}


def _case(source: str, rate: float, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    rng = np.random.default_rng(list(SOURCES).index(source))
    covariance, samples = SOURCES[source](TRAIN + HELD_OUT, rng)
    x = samples.astype(np.float32)
    data = folder / f"{source}.npy"
    np.save(data, x)
    x = x[TRAIN:]
    run = folder / f"{source}-{rate:g}"
    card = train(
        data,
        max_distortion=ecsq_correlated_distortion(covariance, rate),
        metric="mse",
        output=run,
        model="mlp",
        kind="vector",
        held_out=HELD_OUT,
        epochs=options.epochs,
        force=True,
    )
    bundle = export(run, folder / f"{run.name}.rdb", force=True)
    file = io.BytesIO()
    _, total = compress(Encoder(bundle), [Source("x.npy", "npy", x, x.nbytes)], file, 1 << 20)
    x_hat = next(restore(Decoder(bundle), Container(file.getvalue()))).samples
    distortion = metrics.mean("mse", x, x_hat, bundle.manifest.scale)
    bits, best = 8.0 * total / x.size, ecsq_correlated(covariance, distortion)
    floor = rate_correlated(covariance, distortion)
    return {
        "source": source,
        "elements": SIZE,
        "samples": len(x),
        "bound": round(card["bound"]["value"], 6),
        "distortion": round(distortion, 6),
        "bytes": total,
        "bits": round(bits, 4),
        "packet_bits": round(8.0 * card["packet_bytes"] / x.size, 4),
        "rate_distortion": round(floor, 4),
        "rate_distortion_endless": round(rate_ar1(RHO, 1.0, distortion), 4)
        if source == "ar1"
        else "",
        "scalar": round(best, 4),
        "above_rate_distortion": round(bits - floor, 4),
        "above_scalar": round(bits - best, 4),
        "kept": card["kept"],
        "latents": bundle.manifest.latents,
        "train_s": round(card["training"]["seconds"], 1),
        "kind": "actual",
        "machine": options.machine,
    }


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Above: rate by distortion. Below: how far above R(D) codec and scalar quantisers are."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullFormatter

    sources = list(dict.fromkeys(row["source"] for row in rows))
    figure, axes = plt.subplots(
        2, len(sources), figsize=(4.4 * len(sources), 6.4), squeeze=False, layout="constrained"
    )
    for (above, below), source in zip(axes.T, sources, strict=True):
        covariance = SOURCES[source](1, np.random.default_rng(list(SOURCES).index(source)))[0]
        own = [row for row in rows if row["source"] == source]
        measured = [row["distortion"] for row in own]
        d = np.geomspace(0.8 * min(measured), min(1.0, 1.3 * max(measured)), 80)
        floor = np.array([rate_correlated(covariance, v) for v in d])
        best = np.array([ecsq_correlated(covariance, v) for v in d])
        above.plot(d, floor, "k-", label="R(D): no codec can beat it")
        above.plot(d, best, "--", color="tab:blue", label="best scalar quantisers")
        above.plot(measured, [r["bits"] for r in own], "o", color="tab:red", label="rdedge, actual")
        above.set(xscale="log", title=source, ylabel="bits an element")
        below.axhline(0.0, color="black")
        below.plot(d, best - floor, "--", color="tab:blue")
        below.plot(measured, [r["above_rate_distortion"] for r in own], "o", color="tab:red")
        below.set(xscale="log", xlabel="mean squared error (variance 1)", ylim=(-0.02, 0.4))
        below.set_ylabel("bits above R(D)")
        for axis in (above, below):
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.grid(color="#dddddd", linewidth=0.6)
            axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
