"""Random contexts with a trellis."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rdedge.coding.context_model import ContextModel
from rdedge.coding.means import Moving
from rdedge.coding.quantiser import EXACT, NEAREST, SCALED, STEADY
from rdedge.coding.trellis import EIGHT, Trellis
from tests.coding.context_cases import Case, case
from tests.coding.trellises import FOUR


@dataclass(frozen=True)
class TrellisCase:
    """kinds: (L,) uint8 of quantisers. The symbols of the case are those of a row's states."""

    case: Case
    trellis: Trellis
    kinds: np.ndarray

    def model(self, numpy: bool) -> ContextModel:
        one = self.case
        moving = Moving(self.trellis, self.kinds == SCALED)
        return ContextModel(one.contexts, one.fixed, one.tables, numpy, moving)


def trellis_case(seed: int) -> TrellisCase:
    """The same for the same seed and version of NumPy."""
    one = case(seed)
    rng = np.random.default_rng([seed, 1])
    kinds = rng.choice(
        [SCALED, NEAREST, EXACT, STEADY], one.contexts.latents, p=[0.6, 0.1, 0.2, 0.1]
    )
    kinds = kinds.astype(np.uint8)
    # What follows the row to the left moves no state.
    kinds[one.contexts.following & (kinds == SCALED)] = STEADY
    taps = [() if kinds[k] == SCALED else of for k, of in enumerate(one.contexts.taps)]
    one = replace(one, contexts=replace(one.contexts, taps=tuple(taps)))
    return TrellisCase(one, EIGHT if rng.random() < 0.7 else FOUR, kinds)
