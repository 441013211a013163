"""Makes the golden file of residuals, once: `python -m tests.golden.make_residuals`.

A file that is there is never replaced.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rdedge.coding.residual import Residual, write_residual
from tests.golden.once import keep

PATH = Path(__file__).parent / "coding" / "residuals.json"
SEEDS = (0, 1, 2, 3, 4, 5)
# FORMAT.md, section 4.9, once more.
MASSES = (
    *(49152, 32768, 23170, 16384, 11585, 8192, 5793, 4096),
    *(2896, 2048, 1448, 1024, 724, 512, 256, 64),
)
SHARES = (
    (24576, 6144, 1536, 384, 96, 24, 6, 1),
    (8192, 6144, 4608, 3456, 2592, 1944, 1458, 1093),
)


def made(seed: int) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(20, 300))
    q = np.where(rng.random(count) < 0.5 ** (seed + 1), rng.geometric(0.6, count), 0)
    q *= rng.choice([-1, 1], count)
    q[0] = (-1, 5, 1, 40, -9, 1_000_000)[seed]
    data = write_residual(Residual(seed % 4, q.astype(np.int32)))
    return {"fineness": seed % 4, "q": q.tolist(), "stream": data.hex()}


if __name__ == "__main__":
    keep(PATH, made, SEEDS)
