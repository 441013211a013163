"""The promise: bytes with the bound kept in every window, and what each part of it brings.

    python benchmarks/promise.py [--data DIR] [--machine NAME] [--only CASE]

Trains `linear` for the mean and for every window, exports, and encodes the held-out windows, each a
packet of its own, frames included: as they are (level 0), and gated, with the margin that `check`
measured. Judged by a second decoder with the NumPy coder. With a bound on the largest error, also
without residuals. Writes results/promise-MACHINE.csv, replacing the rows of the cases that ran.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import sets as series_sets
import torch
from coding import machine_name
from kept import replace_rows

from rdedge import metrics
from rdedge.bundle.bundle import Bundle
from rdedge.codec import Decoder, Encoder
from rdedge.flows.check import check, keep_margin
from rdedge.host.export import export
from rdedge.host.train import train

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DATA = HERE.parents[1] / "shared/data"
FIELDS = (
    "case",
    "metric",
    "bound",
    "trained_for",
    "residual",
    "gate",
    "per_packet",
    "bits_per_element",
    "share_at_level_0",
    "over",
    "worst",
    "fallbacks",
    "residual_packets",
    "margin",
    "ms_per_sample",
    "machine",
)
CASES = {
    "skab": ("skab", "mse", 0.011),
    "etth1": ("etth1", "mse", 0.011),
    "nab_temperature": ("nab_temperature", "mse", 0.011),
    "nab_cpu": ("nab_cpu", "mse", 0.011),
    "skab-largest": ("skab", "max-abs", 0.3),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--only", action="append", help="a case; may be given several times")
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / f"promise-{options.machine}.csv"
    for name in options.only or CASES:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["RDEDGE_CACHE"] = f"{folder}/cache"
            rows = list(_rows(name, options.data, Path(folder)))
        replace_rows(path, FIELDS, name, [row | {"machine": options.machine} for row in rows])


def _rows(case: str, data: Path, folder: Path):
    name, metric, value = CASES[case]
    found = getattr(series_sets, name)(data)
    np.save(folder / "train.npy", found.train)
    np.save(folder / "test.npy", found.test)
    for trained_for in ("mean", "every"):
        card = train(
            folder / "train.npy",
            held_out_data=folder / "test.npy",
            kind="series",
            stride=16,
            metric=metric,
            max_distortion=value,
            bound=trained_for,
            model="linear",
            output=folder / "run",
            force=True,
        )
        bundle = export(folder / "run", folder / "codec.rdb", force=True)
        checked = check(bundle)
        keep_margin(bundle, checked)
        plain = dataclasses.replace(bundle.manifest, residual=0.0)
        bundles = [bundle]
        if bundle.manifest.residual:
            # The same graphs; its reference packet is another codec's.
            bundles.append(Bundle.make(plain, dict(bundle.members)))
            keep_margin(bundles[1], checked)
        modes = [(bundle, "never", 1), *((b, "always", n) for b in bundles for n in (1, 8))]
        for one, gate, per_packet in modes:
            row = {
                "case": case,
                "metric": metric,
                "bound": value,
                "trained_for": trained_for,
                "residual": int(one.manifest.residual > 0),
                "share_at_level_0": f"{card['share_within']:.3f}",
                **_sent(one, gate, per_packet, found.test),
            }
            print(row, flush=True)
            yield row


def _sent(bundle: Bundle, gate: str, per_packet: int, x: np.ndarray) -> dict[str, object]:
    encoder, decoder = Encoder(bundle, gate=gate), Decoder(bundle, coder="numpy")
    started = time.perf_counter()
    parts = range(0, len(x), per_packet)
    packets = [encoder.encode(x[i : i + per_packet]) for i in parts]
    seconds = time.perf_counter() - started
    x_hat = np.concatenate([decoder.decode(packet) for packet in packets])
    bound, scale = bundle.manifest.bound, bundle.manifest.scale
    each = metrics.per_sample(bound.metric, x, x_hat, scale)
    return {
        "gate": gate,
        "per_packet": per_packet,
        "bits_per_element": f"{8 * sum(map(len, packets)) / x.size:.4f}",
        "over": int((each > bound.value).sum()),
        "worst": f"{each.max():.6g}",
        "fallbacks": sum(encoder.tally.fallbacks.values()),
        "residual_packets": encoder.tally.residuals,
        "margin": "" if encoder.margin is None else f"{encoder.margin.deviations:.3g}",
        "ms_per_sample": f"{1e3 * seconds / len(x):.1f}",
    }


if __name__ == "__main__":
    main()
