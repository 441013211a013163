"""Values that repeat themselves (FORMAT.md 4.11): what the member counts.bin says.

What stood where in a channel is counted while it is coded. Several predictors (tables of training,
counts after the last 0 to 3 symbols, what stood a period before) are mixed by how well each has
done so far, all of it in integers, and what comes out names the tables of binary decisions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.tables import TOTAL, Tables
from rdedge.errors import FormatError, TruncatedError
from rdedge.format.reader import Reader
from rdedge.format.varint import append_varint, append_zigzag, read_zigzag

__all__ = ["Counts", "decision_tables"]

SYMBOLS_MAX, CHANNELS_MAX, LAGS_MAX = 62, 256, 8
# Of a channel's symbols the last so many are looked at.
REACH = 512
# Longest run of symbols that counts are kept after.
ORDERS = 4
# The tables of training, and after each symbol; counts of each order.
PREDICTORS = 2 + ORDERS
PRIOR_MIN = 64
# In all: rows of frequencies.
FREQUENCIES_MAX = 1 << 17
# Tables of decisions, by how likely a yes is: eight to an octave on either side of a half.
LEVELS = 256
OUTSIDE = LEVELS
_ANSWERS = 2

Int64s = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Counts:
    """The member counts.bin.

    minimum: the first of n symbols that are told apart; all others are *outside*, entry n.
    lags: after how many symbols a channel may repeat itself. priors: (6 + lags,) int64, what each
    predictor counts for at first, of 65536. frequencies: (C, n + 2, n + 1) int64, of entries: in
    all, and after each entry; rows of 65536.
    Raises FormatError where they are not what section 4.11 allows.
    """

    minimum: int
    lags: tuple[int, ...]
    priors: Int64s
    frequencies: Int64s

    def __post_init__(self) -> None:
        wrong = next(self._faults(), "")
        if wrong:
            raise FormatError(f"counts: {wrong}", expected="what FORMAT.md section 4.11 allows")

    @property
    def channels(self) -> int:
        return len(self.frequencies)

    @property
    def symbols(self) -> int:
        """How many symbols are told apart: n."""
        return int(self.frequencies.shape[2]) - 1

    @property
    def predictors(self) -> int:
        return PREDICTORS + len(self.lags)

    def refuse_tables(self, tables: Tables) -> None:
        """Raise FormatError where these are not the tables of decisions and of what is outside."""
        regular, minimum = tables.regular, tables.minimum
        fits = (
            len(tables) == LEVELS + 1
            and (regular[:LEVELS] == _ANSWERS).all()
            and regular[OUTSIDE] == 1
            and not minimum.any()
        )
        if not fits:
            raise FormatError(
                f"counts: {len(tables)} tables",
                expected=f"{LEVELS} for the symbols 0 and 1, and one for the symbol 0",
            )

    def refuse_latents(self, latents: int) -> None:
        """Raise FormatError where so many are not the same number of each channel."""
        if not latents or latents % self.channels:
            raise FormatError(
                f"counts: {latents} latents", expected=f"a multiple of {self.channels} channels"
            )

    def _faults(self) -> Iterator[str]:
        shape = self.frequencies.shape
        if len(shape) != 3 or shape[1] != shape[2] + 1:
            yield f"frequencies of shape {shape}"
            return
        if not 1 <= self.channels <= CHANNELS_MAX or not 2 <= self.symbols <= SYMBOLS_MAX:
            yield f"{self.channels} channels and {self.symbols} symbols"
        if self.frequencies.size > FREQUENCIES_MAX:
            yield f"{self.frequencies.size} frequencies"
        if self.frequencies.min() < 1 or (self.frequencies.sum(axis=2) != TOTAL).any():
            yield f"frequencies that do not add up to {TOTAL}"
        if not -(1 << 31) <= self.minimum <= (1 << 31) - SYMBOLS_MAX:
            yield f"a first symbol of {self.minimum}"
        if len(self.lags) > LAGS_MAX or any(not 1 <= lag <= REACH for lag in self.lags):
            yield f"the lags {self.lags}"
        if (
            self.priors.shape != (self.predictors,)
            or self.priors.min() < PRIOR_MIN
            or self.priors.sum() != TOTAL
        ):
            yield f"{self.priors.size} priors for {self.predictors} predictors"

    def to_bytes(self) -> bytes:
        out = bytearray()
        append_varint(out, self.symbols)
        append_zigzag(out, self.minimum)
        append_varint(out, self.channels)
        append_varint(out, len(self.lags))
        for number in chain(self.lags, self.priors.tolist(), self.frequencies.ravel().tolist()):
            append_varint(out, number)
        return bytes(out)

    @staticmethod
    def from_bytes(data: bytes) -> Counts:
        """Read counts.bin. Raises FormatError or TruncatedError for anything else."""
        reader = Reader(data, "counts")

        def varints(count: int) -> list[int]:
            if count > reader.left:
                raise TruncatedError(f"counts: {reader.left} bytes of numbers", expected=f"{count}")
            return [reader.varint("a number", 1, TOTAL) for _ in range(count)]

        n = reader.varint("the number of symbols", 2, SYMBOLS_MAX)
        minimum, reader.offset = read_zigzag(data, reader.offset)
        channels = reader.varint("the number of channels", 1, CHANNELS_MAX)
        lags = varints(reader.varint("the number of lags", 0, LAGS_MAX))
        priors = np.array(varints(PREDICTORS + len(lags)), np.int64)
        frequencies = np.array(varints(channels * (n + 2) * (n + 1)), np.int64)
        if reader.left:
            raise FormatError(f"counts: {reader.left} bytes follow", expected="0")
        return Counts(minimum, tuple(lags), priors, frequencies.reshape(channels, n + 2, n + 1))


def level_of(yes: Int64s) -> Int64s:
    """The table of a decision whose yes is so likely, 1 to 65535 of 65536."""
    rare = np.minimum(yes, TOTAL - yes)
    # Exact: float64 holds all of them.
    octave = np.frexp(rare)[1].astype(np.int64) - 1
    level = 8 * octave + ((rare << 3 >> octave) & 7)
    found: Int64s = np.where(2 * yes <= TOTAL, level, LEVELS - 1 - level)
    return found


def decision_tables() -> Tables:
    """The tables that suit: of each level the mean over what is likely so, and one that escapes."""
    yes = np.arange(1, TOTAL, dtype=np.int64)
    levels = level_of(yes)
    sums = np.bincount(levels, yes, LEVELS)
    counts = np.maximum(np.bincount(levels, minlength=LEVELS), 1)
    # Levels that no likelihood has take their place's.
    means = np.rint(sums / counts).astype(np.int64).clip(1, TOTAL - 2)
    weights = [np.array([TOTAL - 1 - k, k, 1], np.uint16) for k in means.tolist()]
    weights.append(np.array([1, TOTAL - 1], np.uint16))
    return Tables(np.zeros(LEVELS + 1, np.int64), tuple(weights))
