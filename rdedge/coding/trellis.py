"""A quantiser that weighs bits against error (FORMAT.md 4.7), in C or in NumPy: the same symbols.

Trellis-coded quantisation: a state machine over a row's latents has the decoder take each symbol's
value from one of two quantisers, each with points twice as far apart as both together; the encoder
searches for the cheapest way through the states (Viterbi). ITU-T H.266 calls it dependent
quantisation; H. Schwarz, T. Nguyen, D. Marpe, T. Wiegand, "Hybrid video coding with trellis-coded
quantization", DCC 2019; before it JPEG 2000 part 2, ISO/IEC 15444-2.

Bits are those of tables that are known before the search: frozen contexts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rdedge import native
from rdedge.coding.quantiser import PREDICTED, SCALED, STEADY, Kinds, steps_of
from rdedge.coding.tables import COST_BITS, Tables
from rdedge.coding.trellis_numpy import Work
from rdedge.errors import ConfigError, FormatError, ShapeError, ValueRangeError

__all__ = ["EIGHT", "LAMBDA_MAX", "SYMBOL_MAX", "Trellis", "dequantise", "quantise"]

# The largest symbol whose double is an int32.
SYMBOL_MAX = 2**30 - 1
LAMBDA_MAX = 1e9
# As in trellis.c.
_STATES_MAX = 8
_STEP_BYTES = 20
_JOB = np.dtype(
    [(n, "<i8") for n in ("rows", "length")]
    + [(n, "<u8") for n in ("y", "kinds", "index")]
    + [(n, "<i8") for n in ("index_stride", "index_each")]
    + [(n, "<u8") for n in ("tables", "costs")]
    + [("weight", "<f8"), ("inverse_step", "<f4"), ("unused", "<f4"), ("symbols", "<u8")]
)

Floats = NDArray[np.float32]
Int32s = NDArray[np.int32]
Index = NDArray[np.uint16]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Trellis:
    """A state machine: transitions[s] is what follows state s after an even and an odd symbol.

    A state's parity is its quantiser: 0 has the even multiples of the step, 1 the odd ones and 0.
    Every row starts in state 0. Raises FormatError unless there are 2 to 8 states and each is
    entered twice.
    """

    transitions: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        count = len(self.transitions)
        entered = sorted(s for pair in self.transitions for s in pair)
        if (
            not 2 <= count <= _STATES_MAX
            or any(len(pair) != 2 for pair in self.transitions)
            or entered != sorted([*range(count), *range(count)])
        ):
            raise FormatError(
                f"the transitions {self.transitions} of a trellis",
                expected=f"2 to {_STATES_MAX} pairs of states, every state twice",
            )

    @staticmethod
    def of(pairs: object) -> Trellis:
        """From what a manifest says: a list of lists of two integers. Raises FormatError."""
        if not isinstance(pairs, list) or not all(
            isinstance(pair, list) and all(type(state) is int for state in pair) for pair in pairs
        ):
            raise FormatError(
                f"the transitions {pairs!r} of a trellis", expected="a list of pairs of states"
            )
        return Trellis(tuple(map(tuple, pairs)))

    @cached_property
    def next(self) -> Bytes:
        """The transitions, (S, 2) uint8."""
        return np.array(self.transitions, np.uint8)

    @cached_property
    def before(self) -> Bytes:
        """(S, 4) uint8: the two states before each, the smaller first, and from each of them the
        subset of symbols that leads here: twice the quantiser, and 1 for odd.
        """
        rows = []
        for state in range(len(self.transitions)):
            ways = [
                (s, 2 * (s & 1) + odd)
                for s, pair in enumerate(self.transitions)
                for odd in (0, 1)
                if pair[odd] == state
            ]
            (one, by_one), (two, by_two) = ways
            rows.append((one, two, by_one, by_two))
        return np.array(rows, np.uint8)

    def parities(
        self, symbols: Int32s, quantisers: Kinds | None = None, numpy: bool = False
    ) -> Bytes:
        """Which quantiser each symbol belongs to, (n, L) uint8; 0 where the trellis leaves it out.

        Arguments and errors as for dequantise.
        """
        symbols, kinds = _check_symbols(symbols, quantisers)
        out = np.zeros(symbols.shape, np.uint8)
        library = None if numpy else native.library()
        if library is not None:
            bad = int(
                library.trellis_parities(
                    symbols.ctypes.data,
                    *symbols.shape,
                    kinds.ctypes.data,
                    self.next.ctypes.data,
                    out.ctypes.data,
                )
            )
        else:
            bad = _too_large(symbols, kinds)
            state = np.zeros(len(symbols), np.intp)
            for i in np.flatnonzero(kinds == SCALED):
                out[:, i] = state & 1
                state = self.next[state, symbols[:, i] & 1].astype(np.intp)
        _refuse(symbols, bad)
        return out


EIGHT = Trellis(((0, 2), (5, 7), (1, 3), (6, 4), (2, 0), (4, 6), (3, 1), (7, 5)))


def dequantise(
    symbols: Int32s,
    step: float,
    quantisers: Kinds | None = None,
    trellis: Trellis = EIGHT,
    numpy: bool = False,
    steady: float | None = None,
) -> Floats:
    """float32(m) * float32(step), (n, L), with m = 2 k - q sign(k) for symbol k and quantiser q.

    symbols: (n, L) int32, a row after the other from state 0. quantisers: (L,) uint8; those that
    are not SCALED have m = k and do not move the state, EXACT ones a step of 1, STEADY ones that
    of steady, None for step. None: all SCALED.
    Raises FormatError for a SCALED symbol beyond SYMBOL_MAX.
    """
    symbols, kinds = _check_symbols(symbols, quantisers)
    library = None if numpy else native.library()
    steps = steps_of(kinds, step, steady)
    if library is not None:
        out = np.empty(symbols.shape, np.float32)
        bad = library.trellis_dequantise(
            symbols.ctypes.data,
            *symbols.shape,
            kinds.ctypes.data,
            trellis.next.ctypes.data,
            steps.ctypes.data,
            out.ctypes.data,
        )
        _refuse(symbols, int(bad))
        return out
    # 2 k wraps around only for symbols that parities refuses, and for those that do not take it.
    parities = trellis.parities(symbols, kinds, numpy=True)
    times = np.where(kinds == SCALED, 2 * symbols - parities * np.sign(symbols), symbols)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        y_hat: Floats = times.astype(np.float32) * steps
    return y_hat


def quantise(
    y: Floats,
    step: float,
    lam: float,
    index: Index,
    tables: Tables,
    quantisers: Kinds | None = None,
    trellis: Trellis = EIGHT,
    numpy: bool = False,
) -> Int32s:
    """The symbols, (n, L) int32, that make each row's sum of (y / step - m)^2 + lam bits least.

    y: (n, L) float32. step: as for dequantise. lam: 0 to LAMBDA_MAX, in squared steps for a bit;
    2 ln(2) times the error is in balance, about 0.35 at high rates.
    index: the table that codes each symbol, (n, L) uint16; or (n, L, 2), one for each quantiser.
    np.broadcast_to makes one row serve all without a copy.
    Looked at in each state, of even and of odd symbols: the points next to y on both sides and 0.
    Latents that are not SCALED get what coding.quantiser gives them.
    Raises ValueRangeError for a value that is not finite, or 2^30 steps or more from 0.
    """
    work = _prepare(y, step, lam, index, tables, quantisers)
    before = trellis.before
    library = None if numpy else native.library()
    if library is None:
        return _finish(work, work.search(before), step)
    job, scratch = _job(work), np.empty(work.kinds.size * _STEP_BYTES, np.uint8)
    bad = library.trellis_quantise(
        job.ctypes.data, len(before), before.ctypes.data, scratch.ctypes.data
    )
    return _finish(work, int(bad), step)


def _prepare(
    y: Floats,
    step: float,
    lam: float,
    index: Index,
    tables: Tables,
    quantisers: Kinds | None,
) -> Work:
    """The arguments, checked."""
    if not isinstance(y, np.ndarray) or y.dtype != np.float32 or y.ndim != 2:
        raise ShapeError("latents that are not (n, L) float32", expected="(n, L) float32")
    if not 1e-37 < step < 1e37:
        raise ConfigError(f"a step of {step}", expected="1e-37 to 1e37")
    if not 0 <= lam <= LAMBDA_MAX:
        raise ConfigError(f"a lambda of {lam}", expected=f"0 to {LAMBDA_MAX:g}")
    index = np.asarray(index)
    shapes = [y.shape, (*y.shape, 2)]
    if index.dtype != np.uint16 or index.shape not in shapes:
        raise ShapeError(
            f"an index of shape {index.shape} and dtype {index.dtype}",
            expected=" or ".join(map(str, shapes)) + " uint16",
        )
    shared = len(y) > 1 and index.strides[0] == 0
    index = np.ascontiguousarray(index[:1] if shared else index)
    if index.size and int(index.max()) >= len(tables):
        raise FormatError(
            f"the index selects table {int(index.max())}", expected=f"0 to {len(tables) - 1}"
        )
    return Work(
        y=np.ascontiguousarray(y),
        symbols=np.empty(y.shape, np.int32),
        kinds=_check_kinds(quantisers, y.shape[1]),
        inverse=np.float32(1.0 / float(np.float32(step))),
        weight=math.ldexp(lam, -COST_BITS),
        tables=tables,
        index=index,
        shared=shared,
    )


def _job(work: Work) -> NDArray[np.void]:
    """Lay out struct Job of trellis.c; good for as long as work is."""
    each = 1 if work.index.ndim == 2 else 2
    job = np.zeros(1, _JOB)
    job["rows"], job["length"] = work.y.shape
    job["y"], job["kinds"] = work.y.ctypes.data, work.kinds.ctypes.data
    job["index"], job["index_each"] = work.index.ctypes.data, each
    job["index_stride"] = 0 if work.shared else each * work.y.shape[1]
    # The tables keep these two.
    job["tables"], job["costs"] = work.tables.layout.ctypes.data, work.tables.costs.ctypes.data
    job["weight"], job["inverse_step"] = work.weight, work.inverse
    job["symbols"] = work.symbols.ctypes.data
    return job


def _finish(work: Work, bad: int, step: float) -> Int32s:
    """The symbols, unless there is none for the latent at bad."""
    if bad < 0:
        return work.symbols
    row, latent = divmod(bad, work.kinds.size)
    raise ValueRangeError(
        f"latent {latent} of row {row} is {work.y[row, latent]} and cannot be quantised with "
        f"step {step}",
        expected="a finite value within 2^30 steps",
        do="look at the sample for values far outside those trained on",
    )


def _check_kinds(quantisers: Kinds | None, latents: int) -> Kinds:
    if quantisers is None:
        return np.zeros(latents, np.uint8)
    quantisers = np.asarray(quantisers)
    if quantisers.shape != (latents,) or quantisers.dtype != np.uint8:
        raise ShapeError(
            f"quantisers of shape {quantisers.shape} and dtype {quantisers.dtype}",
            expected=f"({latents},) uint8",
        )
    kinds: Kinds = np.ascontiguousarray(quantisers & ~np.uint8(PREDICTED))
    if kinds.size and int(kinds.max()) > STEADY:
        raise FormatError(f"quantiser {int(kinds.max())}", expected=f"0 to {STEADY}")
    return kinds


def _check_symbols(symbols: Int32s, quantisers: Kinds | None) -> tuple[Int32s, Kinds]:
    symbols = np.asarray(symbols)
    if symbols.ndim != 2 or symbols.dtype != np.int32:
        raise ShapeError(
            f"symbols of shape {symbols.shape} and dtype {symbols.dtype}", expected="(n, L) int32"
        )
    return np.ascontiguousarray(symbols), _check_kinds(quantisers, symbols.shape[1])


def _too_large(symbols: Int32s, kinds: Kinds) -> int:
    """The first SCALED symbol without a multiple, or -1."""
    bad = ((symbols > SYMBOL_MAX) | (symbols < -SYMBOL_MAX)) & (kinds == SCALED)
    return int(np.argmax(bad)) if bad.any() else -1


def _refuse(symbols: Int32s, bad: int) -> None:
    if bad >= 0:
        row, latent = divmod(bad, symbols.shape[1])
        raise FormatError(
            f"latent {latent} of row {row} is the symbol {symbols[row, latent]}",
            expected=f"within {SYMBOL_MAX} for a trellis",
        )
