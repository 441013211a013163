"""A made-up plant, logged every 100 ms: what series are like, with all that is odd about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

WINDOW = 32
COLUMNS = ("flow [l/min]", "vibration", "vibration 2", "valve", "set point")
FLOW, VIBRATION, TWIN, VALVE, CONSTANT = range(5)
# 2026-01-01T00:00:00Z.
START = 1_767_225_600_000_000_000


def rows(count: int, seed: int = 0) -> np.ndarray:
    """(count, 5) float32, NaN where a value is missing.

    A slow wave with noise; noise, loud in every other second; the same once more; a valve with
    positions in steps of a quarter; a constant. Of flow one value in 50 is missing, of vibration a
    whole window, both times, of the valve a second and the last rows but two.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(count)
    x = np.empty((count, 5))
    x[:, FLOW] = 40 + 6 * np.sin(t / 37) + 2 * np.sin(t / 5) + rng.normal(0, 0.2, count)
    x[:, VIBRATION] = rng.laplace(0, np.where(t // 64 % 2, 0.02, 1.0))
    x[:, TWIN] = x[:, VIBRATION]
    moves = np.where(rng.random(count) < 0.02, rng.choice([-0.25, 0.25, 0.5], count), 0.0)
    x[:, VALVE] = np.cumsum(moves) % 4
    x[:, CONSTANT] = 21.5
    x[rng.random(count) < 0.02, FLOW] = np.nan
    x[2 * WINDOW : 3 * WINDOW, VIBRATION : TWIN + 1] = np.nan
    x[100:110, VALVE] = x[count - 7 : count - 2, VALVE] = np.nan
    return np.round(x, 3).astype(np.float32)


def times(count: int) -> list[str]:
    """Every 100 ms, but for a second's pause after 500 rows."""
    ms = 100 * np.arange(count) + 1000 * (np.arange(count) >= 500)
    at = np.datetime64(START, "ns") + ms.astype("timedelta64[ms]")
    return [str(one.astype("datetime64[ms]")) for one in at]


def write_csv(path: Path, count: int, seed: int = 0) -> np.ndarray:
    """Write such a log; returns its rows."""
    x = rows(count, seed)
    lines = [",".join(("time", *COLUMNS))]
    for moment, row in zip(times(count), x.tolist(), strict=True):
        lines.append(",".join([moment, *("" if np.isnan(v) else f"{v:.7g}" for v in row)]))
    path.write_text("\n".join(lines) + "\n")
    return x


def linear(data: Path, folder: Path, **settings: Any) -> dict[str, Any]:
    """Train a `linear` on data; the scorecard."""
    from rdedge.host.train import train

    wanted = {"max_distortion": 0.1, "metric": "nrmse", "window": WINDOW, "model": "linear"}
    return train(data, output=folder, force=True, **(wanted | settings))
