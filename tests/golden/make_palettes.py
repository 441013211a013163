"""Makes the golden file of palettes, once: `python -m tests.golden.make_palettes`.

What one machine coded with a palette every other must decode to the same pixels, and code to the
same bytes. A file that is there is never replaced.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rdedge.coding.palette_model import PaletteModel
from rdedge.coding.rans import Coder
from tests.coding.palette_cases import case
from tests.golden.once import keep

PATH = Path(__file__).parent / "coding" / "palettes.json"
SEEDS = (0, 1, 2, 4, 7)


def made(seed: int) -> dict[str, object]:
    one = case(seed)
    decisions, index = PaletteModel(one.palette, one.tables).select(one.symbols, one.size)
    streams = Coder(one.tables, np.zeros(1, np.uint16)).encode(decisions, 1, index)
    return {
        "palette": one.palette.to_bytes().hex(),
        "tables": one.tables.to_bytes().hex(),
        "count": one.count,
        "size": list(one.size),
        "symbols": one.symbols.tolist(),
        "latents": streams.latents.hex(),
    }


if __name__ == "__main__":
    keep(PATH, made, SEEDS)
