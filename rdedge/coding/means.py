"""What is known of a latent before it is coded (FORMAT.md 4.7, 4.8): its mean, or its quantiser."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.context import PHASES, Contexts
from rdedge.coding.trellis import Trellis

__all__ = ["Mean", "Moving", "States"]

# What follows a state that stays: a row's parity is as it was told.
_HELD = np.array([[0, 0], [1, 1]], np.uint8)

Int32s = NDArray[np.int32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Mean:
    """sign: (n,) 1 or -1; away: (n,) how far the mean is from zero, in quarters of a step."""

    sign: NDArray[np.int64]
    away: NDArray[np.int64]

    @property
    def phase(self) -> NDArray[np.int64]:
        """The place within a combination of levels."""
        found: NDArray[np.int64] = self.away % PHASES + np.where(self.away < PHASES, 0, PHASES)
        return found

    def residual(self, symbols: NDArray[np.signedinteger]) -> Int32s:
        """Symbols as they are coded, modulo 2^32."""
        found: Int32s = (self.sign * symbols - self.away // PHASES).astype(np.int32)
        return found

    def restored(self, coded: Int32s) -> Int32s:
        found: Int32s = (self.sign * (coded.astype(np.int64) + self.away // PHASES)).astype(
            np.int32
        )
        return found


@dataclass(frozen=True, eq=False)
class Moving:
    """A trellis and the latents that move its state, (L,) bool."""

    trellis: Trellis
    latents: NDArray[np.bool_]

    def tapped(self, contexts: Contexts) -> bool:
        """Whether something foretells one of them, which nothing may."""
        return any(map(bool.__and__, map(bool, contexts.taps), self.latents.tolist()))


@dataclass(frozen=True, eq=False)
class States:
    """The states of rows, moved on as symbols are known; of no trellis there are none.

    now: (R,) uint8. next: (S, 2) uint8, by a symbol's parity. moves: (L,) bool.
    """

    now: Bytes
    next: Bytes | None
    moves: NDArray[np.bool_]

    @staticmethod
    def of(moving: Moving | None, rows: int, parity: int | None = None) -> States:
        """At the start of so many rows. parity: what they are taken to have all along; None: what
        they come to.
        """
        if moving is None:
            return States(np.zeros(0, np.uint8), None, np.zeros(0, np.bool_))
        if parity is None:
            return States(np.zeros(rows, np.uint8), moving.trellis.next, moving.latents)
        return States(np.full(rows, parity, np.uint8), _HELD, moving.latents)

    @property
    def addresses(self) -> tuple[int, int]:
        """For struct Rows of context.c; good for as long as this is."""
        if self.next is None:
            return 0, 0
        return int(self.now.ctypes.data), int(self.next.ctypes.data)

    def parity(self, front: tuple[int, int]) -> NDArray[np.int64]:
        """Of the rows of a front: which quantiser they have."""
        found: NDArray[np.int64] = self.now[slice(*front)].astype(np.int64) & 1
        return found

    def move(self, front: tuple[int, int], k: int, symbols: Int32s) -> None:
        """On from these symbols of latent k."""
        if self.next is not None and self.moves[k]:
            now = self.now[slice(*front)]
            now[:] = self.next[now, symbols & 1]
