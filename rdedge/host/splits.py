"""Which samples train, which aim the multiplier, which decide."""

from __future__ import annotations

from dataclasses import dataclass

from rdedge.errors import TrainingError
from rdedge.types import Array

VALIDATION_SHARE = 1 / 8
HELD_OUT_SHARE = 0.22
MIN_SAMPLES = 64


@dataclass(frozen=True)
class Split:
    """Three parts, each a range of samples in the order of the file, never shuffled: what lies
    close together in a file is often alike, and a random split would show training its own test.

    train: weights and tables. validation: multiplier, early stop. held_out: the verdict.
    """

    train: range
    validation: range
    held_out: range

    @staticmethod
    def of(count: int, held_out: int | None = None) -> Split:
        """Split count samples: the last held_out (default: 22 %) are held out, of the others the
        last eighth is for validation. Raises TrainingError where there are too few.
        """
        if held_out is None:
            held_out = int(count * HELD_OUT_SHARE)
        rest = count - held_out
        validation = int(rest * VALIDATION_SHARE)
        if count < MIN_SAMPLES or validation < 4 or held_out < 4:
            raise TrainingError(
                f"{count} samples, {held_out} of them held out",
                expected=f"at least {MIN_SAMPLES}, and at least 4 held out",
                do="collect more samples: a few thousand give a usable model",
            )
        return Split(range(rest - validation), range(rest - validation, rest), range(rest, count))

    def take(self, x: Array) -> tuple[Array, Array, Array]:
        """(train, validation, held out) of x: (N, ...), as views."""
        parts = (self.train, self.validation, self.held_out)
        a, b, c = (x[part.start : part.stop] for part in parts)
        return a, b, c
