"""`rdedge demo`: the main job from end to end on data that needs no download.

Vectors: the digits that come with scikit-learn. A series: a simulated pump, four channels a second.
Pictures: pieces of scikit-learn's two photographs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rdedge.codec.decoder import Decoder
from rdedge.codec.encoder import Encoder
from rdedge.codec.files import compress, decompress, read_container
from rdedge.data import builtin, sources
from rdedge.data.files import write_aside, write_file
from rdedge.data.sinks import to_bytes
from rdedge.flows.check import check
from rdedge.flows.savings import comparison, originals, savings
from rdedge.host.export import export
from rdedge.host.train import train
from rdedge.report.savings import savings_text

HELD_OUT = 397
MAX_MSE = 4.0

Say = Callable[[str], None]


def demo(folder: Path, say: Say, *, thorough: bool = True) -> None:
    """Do it all in folder, saying after each step what a user would have typed and what came of it.

    Raises whatever a step raises; a failed check of the bundle is a ParityError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held_out = folder / "held-out.npy"
    digits = builtin.load("digits").samples
    write_file(held_out, to_bytes(digits[-HELD_OUT:], "npy", {}), force=True)
    _tour(
        folder,
        "digits",
        "digits",
        held_out,
        {"max_distortion": MAX_MSE, "metric": "mse", "held_out": HELD_OUT},
        say,
        thorough=thorough,
    )
    say("\n--- A series: a simulated pump, one row a second; what a device sends later is coded")
    pump = folder / "pump.csv", folder / "pump-later.csv"
    for path, seed, seconds in zip(pump, (1, 2), (14_400, 3_600), strict=True):
        write_file(path, _pump(seed, seconds), force=True)
    bound = {"max_distortion": 0.1, "metric": "nrmse", "model": "linear"}
    _tour(folder, "pump", str(pump[0]), pump[1], bound, say, thorough=False)
    say("\n--- Pictures: pieces of two photographs, some of them never seen in training")
    pictures = folder / "pictures", folder / "pictures-held-out"
    _cut_photographs(*pictures)
    bound = {"max_distortion": 32.0, "metric": "psnr", "model": "linear"}
    _tour(folder, "photo", str(pictures[0]), pictures[1], bound, say, thorough=False)


def _tour(
    folder: Path,
    name: str,
    data: str,
    held_out: Path,
    bound: dict[str, Any],
    say: Say,
    *,
    thorough: bool,
) -> None:
    """Train, export, check, compress, decompress, account: every command once."""
    run = folder / ("run" if name == "digits" else f"{name}-run")
    rdb, rdz = folder / f"{name}.rdb", folder / f"{name}.rdz"
    decoded = folder / ("decoded" if name == "digits" else f"{name}-decoded")
    apart = {} if "held_out" in bound else {"held_out_data": str(held_out)}
    options = {**bound, **apart}
    shown = {k: f"{v:g}" if isinstance(v, float) else v for k, v in options.items()}
    typed = " ".join(f"--{k.replace('_', '-')} {v}" for k, v in shown.items())
    say(f"$ rdedge train {data} {typed} -o {run}")
    card = train(data, output=run, force=True, **options)
    say(
        f"{card['bound']['metric']} {card['distortion']:.3f} on {card['samples']} held-out samples,"
        f" {card['kept']}, {card['training']['seconds']:.0f} s\n"
    )
    say(f"$ rdedge export {run} -o {rdb}")
    bundle = export(run, rdb, force=True)
    say(
        f"codec {bundle.manifest.identity[:16]}, {rdb.stat().st_size:,} bytes, encoder "
        f"{bundle.manifest.encoder.macs:,} multiply-adds a sample\n"
    )
    say(f"$ rdedge check {rdb}")
    for one in check(bundle).rows:
        say(f"{'fine' if one.fine else 'WRONG'}  {one.what}: {one.value:.3g}")
        one.require()
    say(f"\n$ rdedge compress -b {rdb} {held_out} -o {rdz}")
    read = sources.ReadOptions(columns=bundle.manifest.columns)
    found = sources.read_all([held_out], [], spec=bundle.manifest.sample, options=read)
    with write_aside(rdz, force=True) as file:
        written, total = compress(Encoder(bundle), found, file)
    raw = sum(one.raw_bytes for one in written)
    say(f"{sum(one.samples for one in written)} samples, {raw:,} -> {total:,} bytes\n")
    say(f"$ rdedge decompress -b {rdb} {rdz} -o {decoded}")
    decoder = Decoder(bundle)
    restored = decompress(decoder, read_container(rdz), decoded, force=True)
    say(f"{decoded / restored[0][0]}: {restored[0][1]} samples; {len(restored)} in all\n")
    png = folder / f"{name}.png"
    say(f"$ rdedge savings -b {rdb} {rdz} --data {held_out} --png {png}")
    x = originals([held_out], bundle.manifest)
    saved, x_hat = savings(read_container(rdz), decoder, x, thorough=thorough)
    write_file(png, comparison(bundle.manifest, x, x_hat), force=True)
    say(savings_text(saved.to_json()))


def _pump(seed: int, seconds: int) -> bytes:
    """A CSV of a simulated pump: vibration, pressure, temperature, and the speed it was set to."""
    rng = np.random.default_rng(seed)
    t = np.arange(seconds)
    speed = np.repeat(rng.integers(2, 7, seconds // 600 + 1), 600)[:seconds] * 250.0
    load = speed / 1000.0 + 0.1 * np.sin(2 * np.pi * t / 90.0)
    vibration = 2.0 * load + rng.normal(0, 0.15, seconds) * load
    pressure = 3.0 * load**2 + np.convolve(rng.normal(0, 0.2, seconds), np.ones(8) / 8, "same")
    temperature = 40.0 + 5.0 * np.sin(2 * np.pi * t / 7200.0) + 4.0 * np.cumsum(load - 1.0) / 3600.0
    start = np.datetime64("2026-03-01T00:00:00") + np.timedelta64(seed, "D")
    rows = ["time,vibration mm/s,pressure bar,temperature C,speed 1/min"]
    values = zip(vibration, pressure, temperature, speed, strict=True)
    for i, (v, p, c, s) in enumerate(values):
        # A sensor that falls silent now and then.
        shown = "" if seed == 2 and 100 <= i < 112 else f"{p:.3f}"
        rows.append(f"{start + i},{v:.3f},{shown},{c:.2f},{s:.0f}")
    return ("\n".join(rows) + "\n").encode()


def _cut_photographs(train_folder: Path, held_out: Path) -> None:
    """Pieces of some 107 x 128 pixels, every fifth of them held out."""
    for folder in (train_folder, held_out):
        folder.mkdir(exist_ok=True)
    for name, photograph in builtin.photographs().items():
        pieces = [
            (y, x) for y in range(0, photograph.shape[0] - 96, 106) for x in range(0, 640, 128)
        ]
        for i, (y, x) in enumerate(pieces):
            piece = photograph[None, y : y + 107, x : x + 128]
            folder = held_out if i % 5 == 4 else train_folder
            write_file(folder / f"{name}-{i:02}.png", to_bytes(piece, "image", {}), force=True)
