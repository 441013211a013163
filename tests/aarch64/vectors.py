"""The golden vectors of contexts, the trellis, palettes, counts and residuals, on this processor.

    python vectors.py FOLDER

FOLDER is tests/golden/coding. Searches, codes and decodes what is kept there, in C and in NumPy,
and fails at the first symbol or byte that differs. Needs numpy and rdedge alone.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

from rdedge.coding import quantiser
from rdedge.coding.context import Contexts
from rdedge.coding.context_model import ContextModel
from rdedge.coding.counts import Counts, decision_tables
from rdedge.coding.counts_model import CountsModel
from rdedge.coding.means import Moving
from rdedge.coding.palette import Palette
from rdedge.coding.palette_model import PaletteModel
from rdedge.coding.rans import Coder
from rdedge.coding.residual import Residual, read_residual, write_residual
from rdedge.coding.rows import Rows
from rdedge.coding.search import search
from rdedge.coding.tables import Tables
from rdedge.coding.trellis import Trellis, dequantise

BOTH: tuple[Any, ...] = ("c", "numpy")
STEP, WEIGHT = 0.5, 0.3


def of_contexts(kept: dict[str, Any], backend: Any) -> int:
    """Of contexts, with a trellis where the line has one; how many symbols."""
    contexts = Contexts.from_bytes(bytes.fromhex(kept["contexts"]))
    tables = Tables.from_bytes(bytes.fromhex(kept["tables"]))
    fixed, symbols = np.array(kept["fixed"], np.uint16), np.array(kept["symbols"], np.int32)
    rows = Rows.of(kept["count"], tuple(kept["grid"]), contexts.latents, contexts.linked)
    moving = None
    if "trellis" in kept:
        kinds, trellis = np.array(kept["kinds"], np.uint8), Trellis.of(kept["trellis"])
        moving = Moving(trellis, kinds == quantiser.SCALED)
    model = ContextModel(contexts, fixed, tables, backend == "numpy", moving)
    if "trellis" in kept:
        y = np.array([float.fromhex(v) for v in kept["y"]], np.float32)
        shape = (-1, contexts.latents)
        nearest = quantiser.quantise(y, STEP, 0.5, quantisers=kinds).reshape(shape)
        scaled = quantiser.Quantiser(STEP, 0.5, kinds).scaled(y).reshape(shape)
        found = search(model, scaled, nearest, kinds, WEIGHT, rows)
        assert (found.reshape(-1) == symbols).all(), "the search finds others"
        y_hat = dequantise(symbols.reshape(shape), STEP, kinds, trellis, backend == "numpy")
        assert [float(v).hex() for v in y_hat.reshape(-1)] == kept["y_hat"], "other values"
    coder = Coder(tables, np.zeros(1, np.uint16), backend)
    assert coder.backend == backend
    coded, index = model.select(rows.to_coded(symbols, contexts.latents), rows)
    made = coder.encode(coded, 1, index)
    assert (made.latents.hex(), made.escapes.hex()) == (kept["latents"], kept["escapes"])
    decoded = model.decode(coder, made.latents, made.escapes, 1, rows)
    assert (rows.to_natural(decoded, contexts.latents) == symbols).all(), "others come back"
    return symbols.size


def of_palettes(kept: dict[str, Any], backend: Any) -> int:
    tables = Tables.from_bytes(bytes.fromhex(kept["tables"]))
    palette = Palette.from_bytes(bytes.fromhex(kept["palette"]))
    model = PaletteModel(palette, tables, numpy=backend == "numpy")
    coder = Coder(tables, np.zeros(1, np.uint16), backend)
    symbols, size = np.array(kept["symbols"], np.int32), tuple(kept["size"])
    decisions, index = model.select(symbols, size)
    assert coder.encode(decisions, 1, index).latents.hex() == kept["latents"]
    decoded = model.decode(coder, bytes.fromhex(kept["latents"]), 1, kept["count"], size)
    assert (decoded == symbols).all(), "others come back"
    return symbols.size


def of_counts(kept: dict[str, Any], backend: Any) -> int:
    tables, counts = decision_tables(), Counts.from_bytes(bytes.fromhex(kept["counts"]))
    model = CountsModel(counts, tables, kept["latents_each"], numpy=backend == "numpy")
    coder = Coder(tables, np.zeros(1, np.uint16), backend)
    symbols = np.array(kept["symbols"], np.int32)
    decisions, index, _ = model.select(symbols)
    made = coder.encode(decisions, 1, index)
    assert (made.latents.hex(), made.escapes.hex()) == (kept["latents"], kept["escapes"])
    decoded = model.decode(coder, made.latents, made.escapes, 1, kept["samples"])
    assert (decoded == symbols).all(), "others come back"
    return symbols.size


def of_residuals(kept: dict[str, Any], backend: Any) -> int:
    q = np.array(kept["q"], np.int32)
    assert write_residual(Residual(kept["fineness"], q)).hex() == kept["stream"]
    found = read_residual(bytes.fromhex(kept["stream"]), q.size, backend)
    assert found.fineness == kept["fineness"]
    assert (found.q == q).all(), "others come back"
    return q.size


def main() -> None:
    folder, symbols = Path(sys.argv[1]), 0
    for name, check in (
        ("contexts", of_contexts),
        ("trellises", of_contexts),
        ("palettes", of_palettes),
        ("counts", of_counts),
        ("residuals", of_residuals),
    ):
        for line in (folder / f"{name}.json").read_text().splitlines():
            for backend in BOTH:
                symbols += check(json.loads(line), backend)
    print(f"{symbols} symbols of the golden files are the same on {platform.machine()}")


if __name__ == "__main__":
    main()
