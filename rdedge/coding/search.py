"""Finds a row's symbols where a trellis quantises and contexts choose the tables.

What a symbol costs hangs on all before it, and what it may stand for on the way through the states;
so the search looks at contexts as a first choice makes them, for both quantisers, finds the
cheapest way through the states with those (Viterbi, trellis.py), and once more with the contexts
which that makes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.context_model import ContextModel
from rdedge.coding.quantiser import SCALED, Kinds
from rdedge.coding.rows import Rows
from rdedge.coding.trellis import quantise

__all__ = ["search"]

Int32s = NDArray[np.int32]
Floats = NDArray[np.float32]

_PASSES = 2


def search(
    model: ContextModel, scaled: Floats, symbols: Int32s, kinds: Kinds, weight: float, rows: Rows
) -> Int32s:
    """The symbols of rows, (R, L) int32, by squared error + weight * bits.

    model: with a trellis. scaled: (R, L) float32, the latents in quantiser steps. symbols: (R, L)
    int32, of those that are not SCALED the ones that are kept. kinds: (L,) uint8. weight: of a bit,
    in squared steps.
    Raises ValueRangeError for a value that is not finite, or 2^30 steps or more from 0.
    """
    assert model.moving is not None
    with np.errstate(invalid="ignore"):
        nearest = np.copysign(np.floor((np.abs(scaled) + np.float32(1)) / 2), scaled)
        # What is out of range is refused below.
        nearest = np.nan_to_num(nearest).clip(-(2.0**30), 2.0**30)
    found = np.where(kinds == SCALED, nearest, symbols).astype(np.int32)
    for _ in range(_PASSES):
        ordered = rows.to_coded(found.reshape(-1), model.latents)
        tables = [
            rows.to_natural(model.select(ordered, rows, parity)[1], model.latents)
            for parity in (0, 1)
        ]
        index = np.stack(tables, axis=-1).reshape(*scaled.shape, 2)
        found = quantise(
            scaled,
            1.0,
            weight,
            index,
            model.tables,
            kinds,
            model.moving.trellis,
            model.numpy,
        )
    return found
