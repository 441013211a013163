"""The entropy coder (FORMAT.md 4.2 and 4.3): symbols <-> bytes, in C or in NumPy, the same bytes.

coder = Coder(tables, index)
coded = coder.encode(symbols)
symbols == coder.decode(coded.latents, coded.escapes, len(symbols), coded.lanes)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rdedge import native
from rdedge.coding.rans_c import InC, NativeCoder
from rdedge.coding.rans_numpy import NumpyCoder
from rdedge.coding.rans_steps import Step, StepDecoder
from rdedge.coding.tables import COST_BITS, Tables
from rdedge.errors import ConfigError, FormatError, MissingError, ShapeError

__all__ = ["LANES_MAX", "UNEARNED_MAX", "Coded", "Coder", "choose_lanes"]

LANES_MAX = 4096
_LANES_CHOSEN_MAX = 1024

# Bits of the stream for each lane: 8 bytes of state are 1/256 of 2048 bytes.
_BITS_PER_LANE = 8 * 8 * 256

# So many symbols may be decoded from any stream, however short: 4 MB.
UNEARNED_MAX = 1 << 20

# How many places of a long index are looked at to estimate the size.
_ESTIMATE_PLACES = 4096

Int32s = NDArray[np.int32]
Index = NDArray[np.uint16]
Then = Callable[[Int32s], Index]
Backend = Literal["c", "numpy"]


@dataclass(frozen=True)
class Coded:
    """What coding gives. latents, escapes: the two streams; lanes: what decoding must be told."""

    latents: bytes
    escapes: bytes
    lanes: int


class _Implementation(Protocol):
    def encode(
        self, symbols: Int32s, lanes: int, index: Index | None = None
    ) -> tuple[bytes, bytes]: ...

    def decode(self, latents: bytes, escapes: bytes, count: int, lanes: int) -> Int32s: ...

    def decode_then(
        self, latents: bytes, escapes: bytes, count: int, lanes: int, then: Then, rest: int
    ) -> Int32s: ...


def choose_lanes(bits: float) -> int:
    """The most lanes, at most 1024, whose states are at most 1/256 of bits (estimated); at least 1.

    More lanes are faster; each costs 8 bytes.
    """
    lanes = int(bits) // _BITS_PER_LANE
    return 1 if lanes < 2 else min(_LANES_CHOSEN_MAX, 1 << (lanes.bit_length() - 1))


class Coder:
    """Codes symbols with tables that are selected before a symbol is known.

    tables: the tables. index: (p,) uint16, p >= 1: symbol i is coded with table index[i mod p].
    backend: "c", "numpy", or None for the faster one that is there.
    A coder may be used by several threads at a time.
    """

    def __init__(
        self, tables: Tables, index: NDArray[np.uint16], backend: Backend | None = None
    ) -> None:
        index = np.asarray(index)
        if index.ndim != 1 or index.size == 0 or index.dtype != np.uint16:
            raise ShapeError(
                f"an index of shape {index.shape} and dtype {index.dtype}",
                expected="(p,) uint16 with p at least 1",
            )
        if int(index.max()) >= len(tables):
            raise FormatError(
                f"the index selects table {int(index.max())}", expected=f"0 to {len(tables) - 1}"
            )
        self.tables = tables
        # With one table every place is the same: the short way through the coder.
        self.index = np.ascontiguousarray(index[:1] if len(tables) == 1 else index)
        library = native.library()
        if backend == "c" and library is None:
            raise MissingError(
                "the C coder is not there: " + native.describe(), do="use backend None or 'numpy'"
            )
        if backend not in (None, "c", "numpy"):
            raise ConfigError(f"no coder is called {backend!r}", expected="c or numpy")
        self._coder: _Implementation
        if library is None or backend == "numpy":
            self.backend: Backend = "numpy"
            self._coder = NumpyCoder(tables, self.index)
        else:
            self.backend = "c"
            self._coder = NativeCoder(library, tables, self.index)

    def encode(
        self, symbols: Int32s, lanes: int | None = None, index: Index | None = None
    ) -> Coded:
        """Code symbols, (n,) int32, any n and any values.

        index: the table of each symbol, (n,) uint16, each below T, in place of the coder's own.
        lanes: a power of two from 1 to 4096, or None to choose by the size. The answer's lanes are
        those used: lanes=1 becomes 2 for more than 2^20 symbols that take so few bytes that no
        decoder could tell them from a forged count.
        """
        symbols = np.asarray(symbols)
        if symbols.ndim != 1 or symbols.dtype != np.int32:
            raise ShapeError(
                f"symbols of shape {symbols.shape} and dtype {symbols.dtype}", expected="(n,) int32"
            )
        symbols = np.ascontiguousarray(symbols)
        used = self._estimated_lanes(symbols.size, index) if lanes is None else _check_lanes(lanes)
        latents, escapes = self._coder.encode(symbols, used, index)
        if lanes is None and used > 1 and 100 * 8 * used > len(latents):
            # The symbols took far fewer bits than the tables promised.
            used = choose_lanes(8.0 * (len(latents) - 8 * used))
            latents, escapes = self._coder.encode(symbols, used, index)
        if used == 1 and not self._earned(symbols.size, len(latents), index):
            used = 2
            latents, escapes = self._coder.encode(symbols, used, index)
        return Coded(latents, escapes, used)

    def decode(
        self,
        latents: bytes | bytearray | memoryview,
        escapes: bytes | bytearray | memoryview,
        count: int,
        lanes: int,
    ) -> Int32s:
        """Decode count symbols; returns (count,) int32.

        Raises FormatError or TruncatedError unless the streams are exactly what encoding count
        symbols with so many lanes gives. A count above 2^20 must be earned: the symbols cost at
        least as many bits as the likeliest entry of each table, and the stream must have those
        (less 2^-10 of them and 64 bits). Nothing is allocated before.
        """
        _check_lanes(lanes)
        if count < 0:
            raise ShapeError(f"a count of {count} symbols", expected="0 or more")
        if not self._earned(count, len(latents)):
            raise FormatError(
                f"{count} symbols in {len(latents)} bytes",
                expected="no more symbols than the bytes can hold",
            )
        return self._coder.decode(_as_bytes(latents), _as_bytes(escapes), count, lanes)

    def decode_then(
        self,
        latents: bytes | bytearray | memoryview,
        escapes: bytes | bytearray | memoryview,
        count: int,
        lanes: int,
        then: Then,
        rest: int,
        least: int,
    ) -> Int32s:
        """As decode, but count symbols say by which tables rest more are coded.

        then: the first symbols (count,) -> the tables of the others, (rest,) uint16. least: what
        all of them cost at least, in 2^-20 bits, which must be earned. Returns (count + rest,).
        """
        self.refuse_unearned(count + rest, lanes, least, len(latents))
        return self._coder.decode_then(
            _as_bytes(latents), _as_bytes(escapes), count, lanes, then, rest
        )

    def decode_by(
        self,
        latents: bytes | bytearray | memoryview,
        escapes: bytes | bytearray | memoryview,
        count: int,
        lanes: int,
        least: int,
        run: InC,
    ) -> Int32s:
        """Decode count symbols whose tables a C function selects as they come: run is given the
        library, a stream that was started on, the model and where the symbols go. least: as above.
        """
        self.refuse_unearned(count, lanes, least, len(latents))
        assert isinstance(self._coder, NativeCoder)
        return self._coder.decode_by(_as_bytes(latents), _as_bytes(escapes), count, lanes, run)

    def decode_in_steps(
        self,
        latents: bytes | bytearray | memoryview,
        escapes: bytes | bytearray | memoryview,
        count: int,
        lanes: int,
        least: int,
        steps: Iterable[Step],
    ) -> Int32s:
        """The same with NumPy. steps: the places of the next symbols, and what names their tables
        when it is given all symbols, of which those before are decoded.
        """
        self.refuse_unearned(count, lanes, least, len(latents))
        symbols = np.zeros(count, np.int32)
        StepDecoder(self.tables, _as_bytes(latents), _as_bytes(escapes), lanes).run(symbols, steps)
        return symbols

    @staticmethod
    def refuse_unearned(count: int, lanes: int, least: int, stream_bytes: int) -> None:
        """Raise FormatError unless a stream of so many bytes may hold count symbols that cost at
        least so much, in 2^-20 bits.
        """
        _check_lanes(lanes)
        if count > UNEARNED_MAX and not _pays(least, stream_bytes):
            raise FormatError(
                f"{count} symbols in {stream_bytes} bytes",
                expected="no more symbols than the bytes can hold",
            )

    def _earned(self, count: int, stream_bytes: int, index: Index | None = None) -> bool:
        """Whether a stream of so many bytes may hold so many symbols."""
        if count <= UNEARNED_MAX:
            return True
        cost = self.tables.least_cost
        if index is not None:
            return _pays(int(cost[index].sum()), stream_bytes)
        cycles, rest = divmod(count, self.index.size)
        least = cycles * int(cost[self.index].sum()) if cycles else 0
        least += int(cost[self.index[:rest]].sum())
        return _pays(least, stream_bytes)

    def _estimated_lanes(self, count: int, index: Index | None) -> int:
        """The lanes for count symbols, by the mean cost of their tables; integers only."""
        cost, places = self._mean_cost
        if index is not None and index.size:
            some = index[:: max(1, index.size // _ESTIMATE_PLACES)]
            cost, places = int(self.tables.mean_cost[some].sum()), some.size
        return choose_lanes((cost * count // places) >> COST_BITS)

    @cached_property
    def _mean_cost(self) -> tuple[int, int]:
        """The mean costs at some places of the index, added up, and how many places."""
        places = self.index[:: max(1, self.index.size // _ESTIMATE_PLACES)]
        return int(self.tables.mean_cost[places].sum()), places.size


def _pays(least: int, stream_bytes: int) -> bool:
    """Whether a stream of so many bytes may hold symbols that cost at least so much."""
    return (least - (least >> 10)) >> COST_BITS <= 8 * stream_bytes + 64


def _as_bytes(data: bytes | bytearray | memoryview) -> bytes:
    return data if isinstance(data, bytes) else bytes(data)


def _check_lanes(lanes: int) -> int:
    if not 1 <= lanes <= LANES_MAX or lanes & (lanes - 1):
        raise FormatError(f"{lanes} lanes", expected=f"a power of two from 1 to {LANES_MAX}")
    return lanes
