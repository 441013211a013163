"""The host's part: trains small bundles and lays out what both sides encode.

    python -m tests.aarch64.prepare FOLDER

FOLDER/inputs gets NAME.rdb, NAME.SET.npy, and files for the commands: today.npy, log.csv.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from rdedge import Encoder
from rdedge.data import builtin
from rdedge.host.export import export
from rdedge.host.train import train
from tests.host import plant

SAMPLES = 10_000
RANDOM_WINDOWS = 500
# Filling gaps takes a third of the time under emulation: so many windows may have some.
WITH_GAPS = 1_000
# Networks of convolutions take a second for five windows under emulation: few samples.
WINDOWS = 100
EDGES = 400
INT8_SAMPLES = 2_000
PIECE, PIECES, TRAINING_PIECES = 32, 40, 400
# Enough for networks that code, and no more: what is compared is machines.
EPOCHS = 3


def digits(folder: Path, runs: Path) -> None:
    """An mlp. Its samples: the digits, and the same moved by a pixel."""
    train(
        "digits", max_distortion=4.0, output=runs / "digits", held_out=397, epochs=EPOCHS,
        model="mlp",
    )  # fmt: skip
    export(runs / "digits", folder / "digits.rdb")
    export(runs / "digits", folder / "digits-int8.rdb", recipe="int8", allow_missed=True)
    # Not among the bundles: it has no decoder.
    export(runs / "digits", folder / "digits.device", device_only=True)
    x = builtin.load("digits").samples
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    places = [(1, 1), *((i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1))]
    moved = np.concatenate([padded[:, i : i + 8, j : j + 8] for i, j in places])
    np.save(folder / "digits.real.npy", moved[:SAMPLES])
    rng = np.random.default_rng(0)
    random = rng.integers(0, 17, (SAMPLES, 8, 8), np.uint8)
    # Far outside what the tables expect.
    random[::8] = rng.integers(0, 256, random[::8].shape, np.uint8)
    np.save(folder / "digits.random.npy", random)
    np.save(folder / "digits-int8.real.npy", moved[:INT8_SAMPLES])
    np.save(folder / "today.npy", x[-397:])


def at_edges(bundle: Path, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Samples between a and b, as close as float32 comes to where a symbol goes over to the next.

    Where two machines' floats differ in the last bit, they round these to different symbols.
    """
    encoder = Encoder(bundle)
    symbols = encoder.symbols(a)
    low, high = np.zeros(len(a)), np.ones(len(a))
    for _ in range(40):
        middle = (low + high) / 2
        t = middle[:, None, None]
        same = (encoder.symbols((a + t * (b - a)).astype(np.float32)) == symbols).all(axis=1)
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return (a + high[:, None, None] * (b - a)).astype(np.float32)


def series(folder: Path, runs: Path) -> None:
    """A linear and a conv1d of one log: windows with gaps, noise, and windows at the edges."""
    log = runs / "log.csv"
    plant.write_csv(log, 70 * plant.WINDOW)
    x = plant.rows(3 * SAMPLES * plant.WINDOW, 1).reshape(-1, plant.WINDOW, len(plant.COLUMNS))
    whole = x[~np.isnan(x).any((1, 2))]
    x = np.concatenate([x[:WITH_GAPS], whole])[:SAMPLES]
    assert len(x) == SAMPLES, len(x)
    mean, std = np.nanmean(x, (0, 1)), np.nanstd(x, (0, 1))
    rng = np.random.default_rng(1)
    noise = mean + 5 * std * rng.standard_normal((RANDOM_WINDOWS, *x.shape[1:]))
    noise = noise.astype(np.float32)
    for model in ("linear", "conv1d"):
        train(
            log, max_distortion=0.1, metric="nrmse", window=plant.WINDOW, model=model,
            output=runs / model, epochs=None if model == "linear" else EPOCHS,
        )  # fmt: skip
        export(runs / model, folder / f"{model}.rdb")
        few = slice(None) if model == "linear" else slice(WINDOWS)
        np.save(folder / f"{model}.log.npy", x[few])
        np.save(folder / f"{model}.random.npy", noise[few])
        a, b = whole[few][:EDGES], whole[few][-EDGES:][::-1]
        np.save(folder / f"{model}.edge.npy", at_edges(folder / f"{model}.rdb", a, b))
    plant.write_csv(folder / "log.csv", 70 * plant.WINDOW + 11, seed=2)


def photographs(folder: Path, runs: Path) -> None:
    """A conv2d of pieces of two photographs."""
    pieces = [
        photograph[i : i + PIECE, j : j + PIECE]
        for photograph in builtin.photographs().values()
        for i in range(0, photograph.shape[0] - PIECE + 1, PIECE)
        for j in range(0, photograph.shape[1] - PIECE + 1, PIECE)
    ]
    x = np.stack(pieces)[:TRAINING_PIECES]
    np.save(runs / "photo.npy", x)
    train(
        runs / "photo.npy", max_distortion=30.0, metric="psnr", kind="image", model="conv2d",
        size="nano", output=runs / "photo", epochs=EPOCHS,
    )  # fmt: skip
    export(runs / "photo", folder / "photo.rdb")
    export(runs / "photo", folder / "photo-int8.rdb", recipe="int8", allow_missed=True)
    np.save(folder / "photo.real.npy", x[-PIECES:])
    np.save(folder / "photo-int8.real.npy", x[-PIECES:])
    rng = np.random.default_rng(2)
    # Of a size of their own.
    random = rng.integers(0, 256, (PIECES // 4, 37, 50, 3), np.uint8)
    np.save(folder / "photo.random.npy", random)


def main() -> None:
    folder = Path(sys.argv[1])
    inputs, runs = folder / "inputs", folder / "runs"
    for one in (inputs, runs, folder / "x86_64", folder / "aarch64"):
        one.mkdir(parents=True)
    digits(inputs, runs)
    series(inputs, runs)
    photographs(inputs, runs)


if __name__ == "__main__":
    main()
