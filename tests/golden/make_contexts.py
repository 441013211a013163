"""Makes the golden file of contexts, once: `python -m tests.golden.make_contexts`.

What one machine coded with contexts every other must decode to the same symbols, and code to the
same bytes. A file that is there is never replaced.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rdedge.coding.context_model import ContextModel
from rdedge.coding.rans import Coder
from tests.coding.context_cases import case
from tests.golden.once import keep

PATH = Path(__file__).parent / "coding" / "contexts.json"
SEEDS = (0, 2, 8, 58, 61, 91)


def made(seed: int) -> dict[str, object]:
    one = case(seed)
    model = ContextModel(one.contexts, one.fixed, one.tables)
    coded, index = model.select(one.rows.to_coded(one.symbols, one.contexts.latents), one.rows)
    streams = Coder(one.tables, np.zeros(1, np.uint16)).encode(coded, 1, index)
    return {
        "contexts": one.contexts.to_bytes().hex(),
        "tables": one.tables.to_bytes().hex(),
        "fixed": one.fixed.tolist(),
        "count": one.count,
        "grid": list(one.grid),
        "symbols": one.symbols.tolist(),
        "latents": streams.latents.hex(),
        "escapes": streams.escapes.hex(),
    }


if __name__ == "__main__":
    keep(PATH, made, SEEDS)
