"""Which samples train, which aim the multiplier, which decide."""

from __future__ import annotations

from dataclasses import dataclass

from rdedge.errors import TrainingError
from rdedge.types import Array

VALIDATION_SHARE = 1 / 8
HELD_OUT_SHARE = 0.22
MIN_SAMPLES = 64
MIN_HELD_OUT = 4


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
        last eighth is for validation. Raises TrainingError where there are too few. With held_out
        0 another file decides.
        """
        if count < MIN_SAMPLES:
            raise TrainingError(
                f"{count} samples",
                expected=f"at least {MIN_SAMPLES}",
                do="collect more samples: a few thousand give a usable model",
            )
        if held_out is None:
            held_out = int(count * HELD_OUT_SHARE)
        rest = count - held_out
        validation = int(rest * VALIDATION_SHARE)
        if validation < MIN_HELD_OUT:
            raise TrainingError(
                f"{held_out} of {count} samples held out leave {max(rest, 0)} to train on",
                expected=f"at least {round(MIN_HELD_OUT / VALIDATION_SHARE)}",
                do="hold out fewer with --held-out, or collect more samples",
            )
        return Split(range(rest - validation), range(rest - validation, rest), range(rest, count))

    def checked(self, count: int) -> Split:
        """The split itself, if its parts follow one another from 0 to count; else TrainingError."""
        ends = (self.train.stop, self.validation.stop, self.held_out.stop)
        starts = (self.train.start, self.validation.start, self.held_out.start)
        if starts != (0, *ends[:2]) or ends[2] != count or not 0 < ends[0] < ends[1] <= ends[2]:
            raise TrainingError(
                f"run.json splits {count} samples into {starts} to {ends}",
                expected="three parts that follow one another",
                do="train it again",
            )
        return self

    def take(self, x: Array) -> tuple[Array, Array, Array]:
        """(train, validation, held out) of x: (N, ...), as views."""
        parts = (self.train, self.validation, self.held_out)
        a, b, c = (x[part.start : part.stop] for part in parts)
        return a, b, c
