"""Makes the golden file of contexts with a trellis, once: `python -m tests.golden.make_trellises`.

What one machine found and coded every other must find, code to the same bytes and decode to the
same values. A file that is there is never replaced.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rdedge.coding import quantiser
from rdedge.coding.rans import Coder
from rdedge.coding.search import search
from rdedge.coding.trellis import dequantise
from tests.coding.trellis_cases import trellis_case
from tests.golden.once import keep

PATH = Path(__file__).parent / "coding" / "trellises.json"
SEEDS = (0, 2, 8, 58, 61)


def made(seed: int) -> dict[str, object]:
    one = trellis_case(seed)
    rows, contexts = one.case.rows, one.case.contexts
    rng = np.random.default_rng([seed, 3])
    y = rng.laplace(0, 1.5, (len(rows.base), contexts.latents)).astype(np.float32)
    flat, step = y.reshape(-1), 0.5
    nearest = quantiser.quantise(flat, step, 0.5, quantisers=one.kinds).reshape(y.shape)
    scaled = quantiser.Quantiser(step, 0.5, one.kinds).scaled(flat).reshape(y.shape)
    model = one.model(False)
    symbols = search(model, scaled, nearest, one.kinds, 0.3, rows)
    coded, index = model.select(rows.to_coded(symbols.reshape(-1), contexts.latents), rows)
    streams = Coder(one.case.tables, np.zeros(1, np.uint16)).encode(coded, 1, index)
    y_hat = dequantise(symbols, step, one.kinds, one.trellis)
    return {
        "contexts": contexts.to_bytes().hex(),
        "tables": one.case.tables.to_bytes().hex(),
        "fixed": one.case.fixed.tolist(),
        "trellis": [list(pair) for pair in one.trellis.transitions],
        "kinds": one.kinds.tolist(),
        "count": one.case.count,
        "grid": list(one.case.grid),
        "y": [float(v).hex() for v in flat],
        "symbols": symbols.reshape(-1).tolist(),
        "y_hat": [float(v).hex() for v in y_hat.reshape(-1)],
        "latents": streams.latents.hex(),
        "escapes": streams.escapes.hex(),
    }


if __name__ == "__main__":
    keep(PATH, made, SEEDS)
