"""Tables chosen by what is decoded before a latent (FORMAT.md 4.8): a small network in integers.

What both ends know already, of a latent's own row and of the rows to the left and above, foretells
its mean (a weighted sum of symbols) and how it is spread about that: from means of magnitudes a
network makes three levels (how wide, how heavy a tail, how likely a zero), which with the mean's
fraction name one table of a bank. All of it is integers, in C or in NumPy, the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.tables import TABLES_MAX
from rdedge.errors import FormatError, TruncatedError
from rdedge.format.varint import append_varint, append_zigzag, read_varint, read_zigzag
from rdedge.types import Array

__all__ = ["DIRECTIONS", "MAGNITUDE", "MEAN", "PHASES", "Contexts", "Rows", "Span", "Tap"]

# Where the rows lie whose latents are looked at, as (lines, places): 0 is the row itself.
DIRECTIONS = ((0, 0), (0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))
_TO_THE_LEFT = {DIRECTIONS.index((0, -1)), DIRECTIONS.index((0, -2))}
# Kinds of inputs: how large latents are that are known, how far the mean is from zero.
MAGNITUDE, MEAN = 0, 1
# Quarters of a step that tables tell apart, near zero and beyond.
PHASES = 4
TAPS_MAX, TAP_MAX = 16, 8191
# Of what context.c lays out on its stack, and so that no sum leaves 32 bits.
INPUTS_MAX = HIDDEN_MAX = 64
WEIGHT_MAX, BIAS_MAX, OUT_BIAS_MAX = 4095, 1 << 24, 1 << 28
COUNT_MAX, SPANS_MAX, PLACES_MAX = 4096, 1 << 20, 1 << 16
MAGNITUDE_MAX, ACTIVATION_MAX = 1023, 4095
HEADS = 3
# Layouts of more rows are not kept for the next packet.
_KEPT_ROWS = 1 << 14

Bytes = NDArray[np.uint8]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]

# Direction, first latent, how many. Direction, latent, 256ths of it.
Span = tuple[int, int, int]
Tap = tuple[int, int, int]


def logarithms() -> Bytes:
    """16 * log2(1 + v / 16), in straight pieces between powers of two, of v from 0 on."""
    v = np.arange(16 * MAGNITUDE_MAX + 1, dtype=np.int64) + 16
    n = np.array([int(value).bit_length() - 1 for value in v])
    found: Bytes = (16 * (n - 4) + ((v << 4 >> n) & 15)).astype(np.uint8)
    return found


@dataclass(frozen=True, eq=False)
class Contexts:
    """The member contexts.bin.

    kinds: (F,) of MAGNITUDE and MEAN. spans: for each latent its F inputs, each a tuple of
    (direction, first latent, how many), empty for MEAN; None where the latent has a fixed table.
    taps: for each latent what foretells its mean: (direction, latent, 256ths), none where its table
    is fixed. following: (L,) bool, those with contexts that have their fixed table and no mean where
    no row lies to the left. weights: (H, F), biases: (L, H), out_weights: (3, H), out_biases: (L, 3), all int;
    zero where fixed. sizes: how many levels each output has. bank: the tables, (product of sizes *
    2 PHASES,): for each combination by quarters of the mean's fraction, nearer to zero than a step,
    then farther.
    Raises FormatError where they are not what section 4.8 allows.
    """

    kinds: Bytes
    spans: tuple[tuple[tuple[Span, ...], ...] | None, ...]
    taps: tuple[tuple[Tap, ...], ...]
    weights: NDArray[np.int16]
    biases: Int32s
    out_weights: NDArray[np.int16]
    out_biases: Int32s
    sizes: tuple[int, int, int]
    bank: NDArray[np.uint16]
    following: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    def __post_init__(self) -> None:
        if not self.following.size:
            object.__setattr__(self, "following", np.zeros(len(self.spans), np.bool_))
        wrong = next(self._faults(), "")
        if wrong:
            raise FormatError(f"contexts: {wrong}", expected="what FORMAT.md section 4.8 allows")

    @property
    def latents(self) -> int:
        return len(self.spans)

    @property
    def inputs(self) -> int:
        return len(self.kinds)

    @property
    def hidden(self) -> int:
        return len(self.weights)

    @property
    def multiply_adds(self) -> int:
        """Of the network, for one latent."""
        return self.hidden * (self.inputs + HEADS)

    @property
    def places(self) -> int:
        """Of the bank."""
        return 2 * PHASES * math.prod(self.sizes)

    @cached_property
    def contextual(self) -> NDArray[np.bool_]:
        """Which latents have no fixed table, (L,)."""
        return np.array([spans is not None for spans in self.spans])

    @cached_property
    def linked(self) -> bool:
        """Whether a row looks at the one to its left: rows in no grid then lie in one line."""
        looks = {d for taps in self.taps for d, _, _ in taps}
        looks |= {d for of in self.spans for spans in of or () for d, _, _ in spans}
        return bool(self.following.any()) or not looks.isdisjoint(_TO_THE_LEFT)

    @property
    def tables_needed(self) -> int:
        """One more than the largest table that is named."""
        return 1 + int(self.bank.max())

    def _faults(self) -> Iterator[str]:
        inputs, hidden, latents = self.inputs, self.hidden, self.latents
        if not 1 <= inputs <= INPUTS_MAX or not 1 <= hidden <= HIDDEN_MAX:
            yield f"{inputs} inputs and {hidden} hidden units"
            return
        if self.kinds.max() > MEAN:
            yield f"an input of kind {self.kinds.max()}"
        shapes = (
            (self.weights, (hidden, inputs), WEIGHT_MAX),
            (self.out_weights, (HEADS, hidden), WEIGHT_MAX),
            (self.biases, (latents, hidden), BIAS_MAX),
            (self.out_biases, (latents, HEADS), OUT_BIAS_MAX),
        )
        for array, shape, most in shapes:
            if array.shape != shape:
                yield f"an array of shape {array.shape} for {shape}"
            elif np.abs(array.astype(np.int64)).max(initial=0) > most:
                yield f"a weight beyond {most}"
        if min(self.sizes) < 1 or max(self.sizes) > 255 or self.bank.size != self.places:
            yield f"{self.bank.size} tables for {self.sizes} levels"
        if self.following.shape != (latents,) or (self.following & ~self.contextual).any():
            yield f"following latents of {self.following.shape[0]} for {latents}"
        if len(self.taps) != latents:
            yield f"taps of {len(self.taps)} latents for {latents}"
        for k, taps in enumerate(self.taps):
            if len(taps) > (TAPS_MAX if self.spans[k] is not None else 0):
                yield f"latent {k} has {len(taps)} taps"
            for direction, latent, weight in taps:
                most = k if direction == 0 else latents
                if not (
                    0 <= direction < len(DIRECTIONS)
                    and 0 <= latent < most
                    and abs(weight) <= WEIGHT_MAX
                ):
                    yield f"a tap of latent {k} on {latent} in direction {direction}"
        for k, of_latent in enumerate(self.spans):
            for spans in of_latent or ():
                for direction, first, count in spans:
                    most = k if direction == 0 else latents
                    if (
                        not 0 <= direction < len(DIRECTIONS)
                        or first < 0
                        or count < 1
                        or first + count > most
                    ):
                        yield f"latent {k} looks at {count} from {first} in direction {direction}"
                if sum(count for _, _, count in spans) > COUNT_MAX:
                    yield f"an input of latent {k} looks at more than {COUNT_MAX}"

    def to_bytes(self) -> bytes:
        out = bytearray()
        for number in (self.latents, self.inputs, self.hidden):
            append_varint(out, number)
        out += self.kinds.tobytes()
        for of_latent, follows in zip(self.spans, self.following.tolist(), strict=True):
            out.append((of_latent is not None) + follows)
            for spans in of_latent or ():
                append_varint(out, len(spans))
                for span in spans:
                    for number in span:
                        append_varint(out, number)
        for taps, of_latent in zip(self.taps, self.spans, strict=True):
            if of_latent is not None:
                append_varint(out, len(taps))
            for direction, latent, weight in taps:
                append_varint(out, direction)
                append_varint(out, latent)
                append_zigzag(out, weight)
        chosen = self.contextual
        for array in (
            self.weights,
            self.biases[chosen],
            self.out_weights,
            self.out_biases[chosen],
        ):
            for number in array.reshape(-1).tolist():
                append_zigzag(out, number)
        out += bytes(self.sizes)
        # Neighbours are often alike.
        starts = np.flatnonzero(np.diff(self.bank.astype(np.int64), prepend=-1))
        for start, end in zip(starts, [*starts[1:], self.bank.size], strict=True):
            append_varint(out, int(self.bank[start]))
            append_varint(out, int(end - start) - 1)
        return bytes(out)

    @staticmethod
    def from_bytes(data: bytes) -> Contexts:
        """Read contexts.bin. Raises FormatError or TruncatedError for anything else."""
        return _Parser(data).contexts()


class _Parser:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def contexts(self) -> Contexts:
        latents = self.varint("latents", 1, 65535)
        inputs = self.varint("inputs", 1, INPUTS_MAX)
        hidden = self.varint("hidden units", 1, HIDDEN_MAX)
        kinds = np.frombuffer(self.take(inputs), np.uint8)
        total = 0
        spans: list[tuple[tuple[Span, ...], ...] | None] = []
        following = np.zeros(latents, np.bool_)
        for k in range(latents):
            mode = self.take(1)[0]
            if mode > 2:
                raise FormatError(f"contexts: a latent of mode {mode}", expected="0 to 2")
            following[k] = mode == 2
            if not mode:
                spans.append(None)
                continue
            of_latent = []
            for _ in range(inputs):
                count = self.varint("spans", 0, COUNT_MAX)
                total += count
                if total > SPANS_MAX:
                    raise FormatError("contexts: too many spans", expected=f"{SPANS_MAX} in all")
                of_latent.append(tuple(self.span() for _ in range(count)))
            spans.append(tuple(of_latent))
        chosen = np.array([s is not None for s in spans])
        taps = tuple(self.taps() if s is not None else () for s in spans)
        weights = self.numbers(hidden * inputs).reshape(hidden, inputs)
        biases = np.zeros((latents, hidden), np.int32)
        biases[chosen] = self.numbers(int(chosen.sum()) * hidden).reshape(-1, hidden)
        out_weights = self.numbers(HEADS * hidden).reshape(HEADS, hidden)
        out_biases = np.zeros((latents, HEADS), np.int32)
        out_biases[chosen] = self.numbers(int(chosen.sum()) * HEADS).reshape(-1, HEADS)
        sizes = tuple(self.take(HEADS))
        bank = self.bank(2 * PHASES * math.prod(sizes))
        if self.at != len(self.data):
            raise FormatError(
                f"contexts: {len(self.data) - self.at} bytes follow the bank", expected="0"
            )
        return Contexts(
            kinds,
            tuple(spans),
            taps,
            weights.clip(-WEIGHT_MAX - 1, WEIGHT_MAX + 1).astype(np.int16),
            biases,
            out_weights.clip(-WEIGHT_MAX - 1, WEIGHT_MAX + 1).astype(np.int16),
            out_biases,
            (sizes[0], sizes[1], sizes[2]),
            bank,
            following,
        )

    def bank(self, places: int) -> NDArray[np.uint16]:
        if places > PLACES_MAX:
            raise FormatError(f"contexts: {places} places in the bank", expected=f"{PLACES_MAX}")
        found = np.empty(places, np.uint16)
        at, before = 0, -1
        while at < places:
            table = self.varint("a table", 0, TABLES_MAX - 1)
            run = 1 + self.varint("a run of tables", 0, places - at - 1)
            if table == before:
                raise FormatError("contexts: two runs of one table", expected="one")
            found[at : at + run] = before = table
            at += run
        return found

    def taps(self) -> tuple[Tap, ...]:
        found = []
        for _ in range(self.varint("taps", 0, TAPS_MAX)):
            direction = self.varint("a direction", 0, len(DIRECTIONS) - 1)
            latent = self.varint("a latent", 0, 65535)
            found.append((direction, latent, int(self.numbers(1)[0])))
        return tuple(found)

    def span(self) -> Span:
        direction = self.varint("a direction", 0, len(DIRECTIONS) - 1)
        return direction, self.varint("a latent", 0, 65535), self.varint("a count", 1, COUNT_MAX)

    def varint(self, what: str, least: int, most: int) -> int:
        value, self.at = read_varint(self.data, self.at)
        if not least <= value <= most:
            raise FormatError(f"contexts: {what} is {value}", expected=f"{least} to {most}")
        return value

    def numbers(self, count: int) -> Int64s:
        if count > len(self.data) - self.at:
            raise TruncatedError(
                f"contexts: {len(self.data) - self.at} bytes of numbers", expected=f"{count}"
            )
        found = np.empty(count, np.int64)
        for i in range(count):
            value, self.at = read_zigzag(self.data, self.at)
            if abs(value) > OUT_BIAS_MAX:
                raise FormatError(f"contexts: the number {value}", expected=f"{OUT_BIAS_MAX}")
            found[i] = value
        return found

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise TruncatedError(
                f"contexts: {len(self.data) - self.at} bytes are left", expected=f"{count}"
            )
        self.at += count
        return self.data[self.at - count : self.at]


@dataclass(frozen=True, eq=False)
class Rows:
    """How the rows of a packet follow each other where tables are chosen by contexts.

    Rows that do not look at each other stand side by side: all those of a front, latent after
    latent. A front holds the rows whose place plus twice their line is the same, of all samples;
    rows that lie in no grid are one front, or lie in one line. base, stride: (R,) int64, where latent j of a row
    stands: base + j * stride. neighbours: (6, R) int32, the row that lies in a direction, -1 where
    there is none. first: (fronts + 1,) int64. natural: (R,) int64, which row of the samples it is.
    """

    base: Int64s
    stride: Int64s
    neighbours: Int32s
    first: Int64s
    natural: Int64s

    @staticmethod
    def of(count: int, grid: tuple[int, ...], latents: int, linked: bool = False) -> Rows:
        """Of samples whose rows lie so; grid: (lines, places), or (). linked: whether rows in no
        grid lie in one line.
        """
        if linked and not grid:
            count, grid = 1, (1, count)
        rows = count * math.prod(grid)
        return (_rows if rows <= _KEPT_ROWS else _rows.__wrapped__)(count, grid, latents)

    @property
    def is_transposed(self) -> bool:
        """Whether all rows stand side by side in their order."""
        return len(self.first) == 2

    def to_coded(self, symbols: Array, latents: int) -> Array:
        """(R * L,) in the order of the samples -> in the order in which they are coded."""
        table = symbols.reshape(-1, latents)
        if self.is_transposed:
            return np.ascontiguousarray(table.T).reshape(-1)
        coded = np.empty_like(symbols)
        coded[self._places(latents)] = table[self.natural]
        return coded

    def to_natural(self, coded: Array, latents: int) -> Array:
        """The other way."""
        if self.is_transposed:
            return np.ascontiguousarray(coded.reshape(latents, -1).T).reshape(-1)
        table = np.empty((len(self.base), latents), coded.dtype)
        table[self.natural] = coded[self._places(latents)]
        return table.reshape(-1)

    def _places(self, latents: int) -> Int64s:
        places: Int64s = self.base[:, None] + np.arange(latents) * self.stride[:, None]
        return places


@lru_cache(maxsize=8)
def _rows(count: int, grid: tuple[int, ...], latents: int) -> Rows:
    lines, places = grid or (1, 1)
    line, place = (a.reshape(-1) for a in np.mgrid[:lines, :places])
    of_sample = np.repeat(np.arange(count), lines * places)
    line, place = np.tile(line, count), np.tile(place, count)
    front = place + 2 * line
    natural = np.lexsort((line, of_sample, front))
    total = len(natural)
    coded_of = np.empty(total, np.int64)
    coded_of[natural] = np.arange(total)
    sizes = np.bincount(front[natural], minlength=1) if total else np.zeros(1, np.int64)
    # Thin pictures skip some fronts.
    sizes = sizes[sizes > 0]
    first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    stride = np.repeat(sizes, sizes).astype(np.int64)
    start = np.repeat(first[:-1], sizes)
    base = start * latents + np.arange(total) - start
    neighbours = np.full((len(DIRECTIONS) - 1, total), -1, np.int32)
    for d, (down, right) in enumerate(DIRECTIONS[1:]):
        there_line, there_place = line[natural] + down, place[natural] + right
        inside = (there_line >= 0) & (there_place >= 0) & (there_place < places)
        at = (of_sample[natural] * lines + there_line) * places + there_place
        neighbours[d, inside] = coded_of[at[inside]]
    return Rows(base, stride, neighbours, first, natural.astype(np.int64))
