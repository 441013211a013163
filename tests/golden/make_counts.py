"""Makes the golden file of counts, once: `python -m tests.golden.make_counts`.

What one machine coded by counts every other must decode to the same symbols, and code to the same
bytes. A file that is there is never replaced.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rdedge.coding.counts import decision_tables
from rdedge.coding.counts_model import CountsModel
from rdedge.coding.rans import Coder
from tests.coding.counts_cases import case
from tests.golden.once import keep

PATH = Path(__file__).parent / "coding" / "counts.json"
SEEDS = (0, 1, 2, 3, 5, 8)


def made(seed: int) -> dict[str, object]:
    one, tables = case(seed), decision_tables()
    decisions, index, _ = CountsModel(one.counts, tables, one.latents).select(one.symbols)
    streams = Coder(tables, np.zeros(1, np.uint16)).encode(decisions, 1, index)
    return {
        "seed": seed,
        "counts": one.counts.to_bytes().hex(),
        "samples": one.samples,
        "latents_each": one.latents,
        "symbols": one.symbols.tolist(),
        "latents": streams.latents.hex(),
        "escapes": streams.escapes.hex(),
    }


if __name__ == "__main__":
    keep(PATH, made, SEEDS)
