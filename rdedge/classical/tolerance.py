"""What the codecs of floats within a tolerance have in common."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from rdedge.classical.base import ClassicalCodec, Ladder, SampleForm, ladder
from rdedge.errors import ShapeError, ValueRangeError
from rdedge.types import Array

# Powers of two, in the unit of the sample. Whoever knows the sample's scale brings it near 1.
_TOLERANCES = tuple(2.0**k for k in range(30, -31, -1))


class ToleranceCodec(ClassicalCodec):
    """Arrays of float32 or float64 with 1 to 4 axes, no value wrong by more than a tolerance."""

    takes: ClassVar[frozenset[SampleForm]] = frozenset({"series"})
    models = "numbers"
    kinds: ClassVar[tuple[str, ...]] = ("",)

    def ladders(self) -> tuple[Ladder, ...]:
        """One for each kind that the library knows, over the tolerance."""
        return tuple(
            ladder(kind, "tolerance", _TOLERANCES, kind=kind)
            if kind
            else ladder("tolerance", "tolerance", _TOLERANCES)
            for kind in self.kinds
        )

    def check(self, x: Array) -> None:
        """Raise ShapeError or ValueRangeError where x cannot be coded."""
        if x.dtype.name not in ("float32", "float64") or not 1 <= x.ndim <= 4 or x.size == 0:
            raise ShapeError(
                f"{self.name} cannot code an array of shape {x.shape} and dtype {x.dtype}",
                expected="float32 or float64, 1 to 4 axes, at least one element",
            )
        if not np.all(np.isfinite(x)):
            raise ValueRangeError(
                f"{self.name} got a value that is not finite", do="leave such samples out"
            )
