"""Learned codecs of sources whose R(D) is known, beside what no codec can beat.

    OMP_NUM_THREADS=1 python benchmarks/limits.py [--machine NAME] [--epochs N] [--only SOURCE]

Writes results/limits-MACHINE.csv, where the rows of the sources that were run replace those that
are there, and .png of all. Each row is one bound: an `mlp` trained for it on
20,000 vectors of 32 elements, exported, 10,000 held-out vectors compressed into one container and
decompressed again. Bits are of the container, all included, and of the packet alone, as the
scorecard of training has it. Beside them stand, at the distortion that was measured, R(D) of the
source and the best entropy-coded scalar quantisers after a Karhunen-Loeve transform that knows the
true covariance (rdedge.limits).
The bounds are those that these quantisers reach at 0.5 to 3 bits an element. Distortions are mean
squared errors, and every source has a variance of 1 per element.

iid: independent elements. ar1: a process x_t = 0.9 x_(t-1) + e_t, cut into vectors. correlated: a
random rotation of components whose variances spread over three orders of magnitude. levels:
independent elements on 16 levels, a two-sided geometric distribution of 3.71 bits; R(D) by
Blahut's and Arimoto's algorithm, on reproductions four times as fine, the quantiser by dynamic
programming.
iid-series, ar1-series: the same sources as one channel of a series, `linear` on windows of 256.
"""

from __future__ import annotations

import argparse
import csv
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from coding import machine_name
from kept import replace_rows

from rdedge import metrics
from rdedge.codec import Decoder, Encoder
from rdedge.codec.files import compress, restore
from rdedge.data.sources import Source
from rdedge.format.container import Container
from rdedge.host.export import export
from rdedge.host.train import train
from rdedge.limits.discrete import rate_discrete
from rdedge.limits.gaussian import ar1_covariance, rate_ar1, rate_correlated
from rdedge.limits.levels import ecsq_levels
from rdedge.limits.scalar import ecsq_correlated, ecsq_correlated_distortion

RESULTS = Path(__file__).parent / "results"
RATES = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
TRAIN, HELD_OUT, SIZE, RHO, WINDOW = 20_000, 10_000, 32, 0.9, 256
# Of the levels, at a variance of 1.
LEVELS = np.arange(16.0)
SHARES = 0.75 ** np.abs(LEVELS - 7.0)
SHARES /= SHARES.sum()
LEVELS = (LEVELS - SHARES @ LEVELS) / np.sqrt(SHARES @ (LEVELS - SHARES @ LEVELS) ** 2)
FINE = np.linspace(LEVELS[0], LEVELS[-1], 61)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--only", action="append", choices=SOURCES, help="one or several sources")
    parser.add_argument("--keep", type=Path, help="keep data, runs and bundles in this folder")
    options = parser.parse_args()
    path = RESULTS / f"limits-{options.machine}.csv"
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        for source in options.only or SOURCES:
            rows = []
            for rate in RATES:
                rows.append(_case(source, rate, folder, options))
                print(rows[-1], flush=True)
            replace_rows(path, tuple(rows[0]), source, rows)
    with path.open(newline="") as file:
        _draw(list(csv.DictReader(file)), path.with_suffix(".png"))


@dataclass(frozen=True)
class Law:
    """What is known of a source, at a mean squared error per element or the rate that takes it."""

    floor: Callable[[float], float]
    scalar: Callable[[float], float]
    bound_at: Callable[[float], float]


def _gaussian(covariance: np.ndarray) -> Law:
    return Law(
        lambda d: rate_correlated(covariance, d),
        lambda d: ecsq_correlated(covariance, d),
        lambda rate: ecsq_correlated_distortion(covariance, rate),
    )


def _iid(count: int, rng: np.random.Generator) -> tuple[Law, np.ndarray]:
    return _gaussian(np.eye(SIZE)), rng.standard_normal((count, SIZE))


def _ar1(count: int, rng: np.random.Generator) -> tuple[Law, np.ndarray]:
    # One process, without an end between two vectors.
    noise = rng.standard_normal(count * SIZE) * np.sqrt(1.0 - RHO * RHO)
    x = np.empty(count * SIZE)
    last = rng.standard_normal()
    for t, e in enumerate(noise):
        last = RHO * last + e
        x[t] = last
    return _gaussian(ar1_covariance(RHO, SIZE)), x.reshape(count, SIZE)


def _correlated(count: int, rng: np.random.Generator) -> tuple[Law, np.ndarray]:
    basis = np.linalg.qr(rng.standard_normal((SIZE, SIZE)))[0]
    variances = np.geomspace(1e-3, 1.0, SIZE)
    variances /= variances.mean()
    x = (rng.standard_normal((count, SIZE)) * np.sqrt(variances)) @ basis.T
    covariance = basis * variances @ basis.T
    return _gaussian(0.5 * (covariance + covariance.T)), x


def _levels(count: int, rng: np.random.Generator) -> tuple[Law, np.ndarray]:
    squares = (LEVELS[:, None] - FINE[None, :]) ** 2

    def bound_at(rate: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(50):
            middle = 0.5 * (low + high)
            if ecsq_levels(SHARES, LEVELS, middle) > rate:
                low = middle
            else:
                high = middle
        return high

    law = Law(
        lambda d: rate_discrete(SHARES, squares, d, gap=1e-4),
        lambda d: ecsq_levels(SHARES, LEVELS, d),
        bound_at,
    )
    return law, rng.choice(LEVELS, (count, SIZE), p=SHARES)


SOURCES = {
    "iid": _iid,
    "ar1": _ar1,
    "correlated": _correlated,
    "levels": _levels,
    "iid-series": _iid,
    "ar1-series": lambda *how: (_gaussian(ar1_covariance(RHO, WINDOW)), _ar1(*how)[1]),
}


def _case(source: str, rate: float, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    rng = np.random.default_rng(list(SOURCES).index(source))
    law, samples = SOURCES[source](TRAIN + HELD_OUT, rng)
    x = samples.astype(np.float32)
    series, held_out = source.endswith("series"), HELD_OUT
    if series:
        x, held_out = x.reshape(-1, WINDOW, 1), HELD_OUT * SIZE // WINDOW
    data = folder / f"{source}.npy"
    np.save(data, x)
    x = x[-held_out:]
    run = folder / f"{source}-{rate:g}"
    card = train(
        data,
        max_distortion=law.bound_at(rate),
        metric="mse",
        output=run,
        model="linear" if series else "mlp",
        kind="series" if series else "vector",
        held_out=held_out,
        **({} if series else {"epochs": options.epochs}),
        force=True,
    )
    bundle = export(run, folder / f"{run.name}.rdb", force=True)
    file = io.BytesIO()
    _, total = compress(Encoder(bundle), [Source("x.npy", "npy", x, x.nbytes)], file, 1 << 20)
    x_hat = next(restore(Decoder(bundle), Container(file.getvalue()))).samples
    distortion = metrics.mean("mse", x, x_hat, bundle.manifest.scale)
    bits, best = 8.0 * total / x.size, law.scalar(distortion)
    floor = law.floor(distortion)
    return {
        "source": source,
        "elements": WINDOW if series else SIZE,
        "samples": len(x),
        "bound": round(card["bound"]["value"], 6),
        "distortion": round(distortion, 6),
        "bytes": total,
        "bits": round(bits, 4),
        "packet_bits": round(8.0 * card["packet_bytes"] / x.size, 4),
        "rate_distortion": round(floor, 4),
        "rate_distortion_endless": round(rate_ar1(RHO, 1.0, distortion), 4)
        if source.startswith("ar1")
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


def _draw(rows: list[dict[str, str]], path: Path) -> None:
    """Above: rate by distortion. Below: how far above R(D) codec and scalar quantisers are."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullFormatter

    sources = list(dict.fromkeys(row["source"] for row in rows))
    figure, axes = plt.subplots(
        2, len(sources), figsize=(3.9 * len(sources), 6.2), squeeze=False, layout="constrained"
    )
    for (above, below), source in zip(axes.T, sources, strict=True):
        law = SOURCES[source](1, np.random.default_rng(list(SOURCES).index(source)))[0]
        own = [row for row in rows if row["source"] == source]
        measured, bits, over = (
            [float(row[name]) for row in own]
            for name in ("distortion", "bits", "above_rate_distortion")
        )
        d = np.geomspace(0.8 * min(measured), min(1.0, 1.3 * max(measured)), 60)
        floor = np.array([law.floor(v) for v in d])
        best = np.array([law.scalar(v) for v in d])
        above.plot(d, floor, "k-", label="R(D): no codec can beat it")
        above.plot(d, best, "--", color="tab:blue", label="best scalar quantisers")
        above.plot(measured, bits, "o", color="tab:red", label="rdedge, actual")
        above.set(xscale="log", title=source, ylabel="bits an element")
        below.axhline(0.0, color="black")
        below.plot(d, best - floor, "--", color="tab:blue")
        below.plot(measured, over, "o", color="tab:red")
        below.set(xscale="log", xlabel="mean squared error (variance 1)", ylim=(-0.02, 0.4))
        below.set_ylabel("bits above R(D)")
        for axis in (above, below):
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.grid(color="#dddddd", linewidth=0.6)
            axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(frameon=False)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
