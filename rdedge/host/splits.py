"""Which samples train, which aim the multiplier, which decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rdedge.errors import TrainingError
from rdedge.types import SampleKind

VALIDATION_SHARE = 1 / 8
HELD_OUT_SHARE = 0.22
SplitKind = SampleKind | Literal["lines"]
# A window, an image or a block of lines says more than a vector.
MIN_SAMPLES: dict[SplitKind, int] = {"vector": 64, "series": 16, "image": 8, "lines": 8}
MIN_HELD_OUT: dict[SplitKind, int] = {"vector": 4, "series": 2, "image": 1, "lines": 1}


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
    def least_held_out(kind: SplitKind) -> int:
        """Fewer held-out samples than this decide nothing."""
        return MIN_HELD_OUT[kind]

    @staticmethod
    def of(count: int, held_out: int | None = None, kind: SplitKind = "vector") -> Split:
        """Split count samples: the last held_out (default: 22 %) are held out, of the others the
        last eighth is for validation. Raises TrainingError where there are too few. With held_out
        0 another file decides.
        """
        least, few = MIN_SAMPLES[kind], MIN_HELD_OUT[kind]
        if count < least:
            raise TrainingError(
                f"{count} samples of kind {kind}",
                expected=f"at least {least}",
                do="collect more samples: a few thousand give a usable model",
            )
        if held_out is None:
            held_out = int(count * HELD_OUT_SHARE)
        rest = count - held_out
        validation = int(rest * VALIDATION_SHARE)
        if kind != "vector":
            validation = max(validation, few)
        if validation < few or rest - validation < 2:
            raise TrainingError(
                f"{held_out} of {count} samples held out leave {max(rest, 0)} to train on",
                expected=f"at least {round(few / VALIDATION_SHARE)}",
                do="hold out fewer with --held-out, or collect more samples",
            )
        return Split(range(rest - validation), range(rest - validation, rest), range(rest, count))

    def between(self, starts: Sequence[int]) -> Split:
        """The same with its borders moved on to where the next group starts, so that none is cut.

        starts: ascending, from 0. Raises TrainingError where a part is left empty.
        """
        count = self.held_out.stop
        ends = [next((s for s in starts if s >= at), count) for at in self._borders()]
        apart = self.held_out.start == count
        if not 0 < ends[0] < ends[1] or (ends[1] == count and not apart):
            raise TrainingError(
                f"{len(starts)} groups of {count} samples do not make three parts",
                expected="more groups",
                do="leave --group out, or collect more",
            )
        return Split(range(ends[0]), range(ends[0], ends[1]), range(ends[1], count))

    def _borders(self) -> tuple[int, int]:
        return self.train.stop, self.validation.stop

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
