"""The host's part: trains small bundles and lays out what both sides encode.

    python -m tests.aarch64.prepare FOLDER

FOLDER/inputs gets NAME.rdb, NAME.SET.npy, and files for the commands: today.npy, log.csv.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from rdedge.data import builtin
from rdedge.host.export import export
from rdedge.host.train import train
from tests.host import plant

SAMPLES = 10_000
# Networks of convolutions take a second for five windows under emulation: few samples.
WINDOWS, RANDOM_WINDOWS = 200, 100
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
    np.save(folder / "today.npy", x[-397:])


def series(folder: Path, runs: Path) -> None:
    """A linear and a conv1d of one log; windows with gaps, and noise of five deviations."""
    log = runs / "log.csv"
    plant.write_csv(log, 70 * plant.WINDOW)
    x = plant.rows(SAMPLES * plant.WINDOW, 1).reshape(SAMPLES, plant.WINDOW, -1)
    mean, std = np.nanmean(x, (0, 1)), np.nanstd(x, (0, 1))
    rng = np.random.default_rng(1)
    noise = mean + 5 * std * rng.standard_normal(x.shape)
    noise = noise.astype(np.float32)
    for model in ("linear", "conv1d"):
        train(
            log, max_distortion=0.1, metric="nrmse", window=plant.WINDOW, model=model,
            output=runs / model, epochs=None if model == "linear" else EPOCHS,
        )  # fmt: skip
        export(runs / model, folder / f"{model}.rdb")
        np.save(folder / f"{model}.log.npy", x if model == "linear" else x[:WINDOWS])
        random = noise if model == "linear" else noise[:RANDOM_WINDOWS]
        np.save(folder / f"{model}.random.npy", random)
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
    np.save(folder / "photo.real.npy", x[-PIECES:])
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
