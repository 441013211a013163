"""Which table codes which latent (FORMAT.md 4.5): classes of groups, chosen by what they cost.

Latents come in rows of L: a vector or a window is one row, an image one row for each patch. A row
is cut into groups. A group has S classes; each class has a table for each latent of the group, so
that a quiet window costs next to nothing and a loud one is coded with wide tables. The encoder
chooses the class and codes it as a symbol of its own, before all latents: an explicit index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rdedge import native
from rdedge.coding.quantiser import PREDICTED, STEADY
from rdedge.coding.tables import TABLES_MAX, Tables
from rdedge.errors import FormatError, TruncatedError
from rdedge.format.varint import append_varint, read_varint

__all__ = ["CLASSES_MAX", "LATENTS_MAX", "Group", "Selection", "Selector"]

# As in selection.c: classes are compared in 2^-8 bits, symbols up to _NEAR have costs laid out.
_COARSE, _NEAR = 12, 7

LATENTS_MAX = 65535
CLASSES_MAX = 256

Int32s = NDArray[np.int32]
Index = NDArray[np.uint16]

_GROUP = np.dtype(
    [(n, "<i8") for n in ("first", "length", "classes")]
    + [(n, "<u8") for n in ("tables", "base", "zero", "near")]
)


@dataclass(frozen=True, eq=False)
class Group:
    """Neighbouring latents that share a class.

    tables: (S, K) uint16, the table of latent k in class s, S from 1 to 256. selector: the table
    that codes the class; None where S is 1. quantisers: (K,) uint8 of SCALED to STEADY,
    with PREDICTED where that is so.
    """

    tables: Index
    quantisers: NDArray[np.uint8]
    selector: int | None = None

    @property
    def length(self) -> int:
        return int(self.tables.shape[1])

    @property
    def classes(self) -> int:
        return int(self.tables.shape[0])


@dataclass(frozen=True, eq=False)
class Selection:
    """The groups of a row, in their order. Raises FormatError where they are none."""

    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        if not self.groups or not 1 <= self.latents <= LATENTS_MAX:
            raise FormatError(
                f"{len(self.groups)} groups of {self.latents} latents",
                expected=f"at least one group, 1 to {LATENTS_MAX} latents",
            )
        for g, group in enumerate(self.groups):
            fine = (
                group.tables.ndim == 2
                and group.tables.dtype == np.uint16
                and 1 <= group.classes <= CLASSES_MAX
                and group.length >= 1
                and group.quantisers.shape == (group.length,)
                and int((group.quantisers & ~np.uint8(PREDICTED)).max()) <= STEADY
                and (group.selector is None) == (group.classes == 1)
            )
            if not fine:
                raise FormatError(
                    f"group {g} has {group.classes} classes of {group.length} latents and the "
                    f"selector {group.selector}",
                    expected="what FORMAT.md section 4.5 allows",
                )

    @staticmethod
    def plain(latents: int) -> Selection:
        """One table for each latent and nothing to choose."""
        tables = np.arange(latents, dtype=np.uint16)[None]
        return Selection((Group(tables, np.zeros(latents, np.uint8)),))

    @staticmethod
    def single(quantisers: NDArray[np.uint8]) -> Selection:
        """One table for all latents, for what chooses others by itself. quantisers: (L,)."""
        return Selection((Group(np.zeros((1, quantisers.size), np.uint16), quantisers),))

    @property
    def latents(self) -> int:
        """L, of one row."""
        return sum(group.length for group in self.groups)

    @cached_property
    def quantisers(self) -> NDArray[np.uint8]:
        """(L,) uint8."""
        return np.concatenate([group.quantisers for group in self.groups])

    @cached_property
    def predicted(self) -> NDArray[np.intp]:
        """Which latents are predicted from the neighbouring rows of an image."""
        return np.flatnonzero(self.quantisers & PREDICTED)

    @cached_property
    def selectors(self) -> Index:
        """The tables that code the classes of a row, (P,) uint16, P may be 0."""
        return np.array([g.selector for g in self.groups if g.selector is not None], np.uint16)

    @cached_property
    def fixed(self) -> Index | None:
        """The index where no group has classes; else None."""
        if len(self.selectors):
            return None
        return np.concatenate([group.tables[0] for group in self.groups])

    @property
    def tables_needed(self) -> int:
        """One more than the largest table that is named."""
        named = [int(g.tables.max()) for g in self.groups]
        return 1 + max([*named, *map(int, self.selectors)])

    def to_bytes(self) -> bytes:
        """The member selection.bin of a bundle."""
        out = bytearray()
        append_varint(out, len(self.groups))
        for group in self.groups:
            append_varint(out, group.length)
            append_varint(out, group.classes)
            if group.selector is not None:
                append_varint(out, group.selector)
            out += group.quantisers.tobytes()
            for table in group.tables.reshape(-1).tolist():
                append_varint(out, table)
        return bytes(out)

    @staticmethod
    def from_bytes(data: bytes) -> Selection:
        """Read selection.bin. Raises FormatError or TruncatedError for anything else."""
        count, position = read_varint(data, 0)
        if not 1 <= count <= LATENTS_MAX:
            raise FormatError(f"{count} groups", expected=f"1 to {LATENTS_MAX}")
        groups: list[Group] = []
        for g in range(count):
            length, position = read_varint(data, position)
            classes, position = read_varint(data, position)
            if not 1 <= length <= LATENTS_MAX or not 1 <= classes <= CLASSES_MAX:
                raise FormatError(
                    f"group {g} has {classes} classes of {length} latents",
                    expected=f"1 to {CLASSES_MAX} classes of 1 to {LATENTS_MAX}",
                )
            selector: int | None = None
            if classes > 1:
                selector, position = _read_table(data, position)
            # Each latent takes a byte, and each of its tables another.
            if length * (1 + classes) > len(data) - position:
                raise TruncatedError(
                    f"group {g} ends after {len(data) - position} bytes",
                    expected=f"at least {length * (1 + classes)}",
                )
            quantisers = np.frombuffer(data, np.uint8, length, position)
            position += length
            tables = np.empty(classes * length, np.uint16)
            for i in range(tables.size):
                tables[i], position = _read_table(data, position)
            groups.append(Group(tables.reshape(classes, length), quantisers, selector))
        if position != len(data):
            raise FormatError(f"{len(data) - position} bytes follow the last group", expected="0")
        return Selection(tuple(groups))


def _read_table(data: bytes, position: int) -> tuple[int, int]:
    table, position = read_varint(data, position)
    if table >= TABLES_MAX:
        raise FormatError(f"table {table}", expected=f"0 to {TABLES_MAX - 1}")
    return table, position


class Selector:
    """Chooses classes and fills in the index, for one selection and its tables.

    With the C library or with NumPy, the same classes.
    """

    def __init__(self, selection: Selection, tables: Tables, numpy: bool = False) -> None:
        if selection.tables_needed > len(tables):
            raise FormatError(
                f"the selection names table {selection.tables_needed - 1}",
                expected=f"0 to {len(tables) - 1}",
            )
        self.selection, self.tables = selection, tables
        self.choices = len(selection.selectors)
        self._library = None if numpy else native.library()
        self._keep: list[NDArray[np.generic]] = []
        if self.choices:
            self._zero, self._base = zip(*map(self._costs_of_zero, selection.groups), strict=True)
            if self._library is not None:
                self._struct_at = self._lay_out()

    @cached_property
    def least(self) -> int:
        """The least that a row can cost, in 2^-20 bits rounded down for each symbol."""
        least = self.tables.least_cost
        total = int(least[self.selection.selectors].sum())
        return total + sum(int(least[g.tables].min(axis=0).sum()) for g in self.selection.groups)

    def _costs_of_zero(self, group: Group) -> tuple[Int32s, Int32s]:
        """What a zero costs (S, K), and a class with all its zeros (S,)."""
        zero = self._cost(group.tables, np.zeros(group.tables.shape, np.int32))
        base = zero.sum(axis=1, dtype=np.int32)
        if group.selector is not None:
            classes = np.arange(group.classes, dtype=np.int32)
            base += self._cost(np.full(group.classes, group.selector, np.uint16), classes)
        return np.ascontiguousarray(zero), base

    def _near(self, group: Group, zero: Int32s) -> Int32s:
        """What symbols near zero cost more than a zero, (K, 2 _NEAR + 1, S)."""
        symbols = np.arange(-_NEAR, _NEAR + 1, dtype=np.int32)
        shape = (group.length, len(symbols), group.classes)
        tables = np.broadcast_to(group.tables.T[:, None], shape)
        cost = self._cost(tables, np.broadcast_to(symbols[None, :, None], shape))
        return np.ascontiguousarray(cost - zero.T[:, None])

    def _cost(self, tables: Index, symbols: Int32s) -> Int32s:
        """What symbols cost with tables, both of one shape, in 2^-8 bits: the sum over a group of
        any length fits 32 bits.
        """
        cost: Int32s = (self.tables.costs_of(tables, symbols) >> _COARSE).astype(np.int32)
        return cost

    def _lay_out(self) -> int:
        """Make struct Selection of selection.c; returns its address."""
        groups = np.zeros(len(self.selection.groups), _GROUP)
        first = 0
        for at, group, zero, base in zip(
            groups, self.selection.groups, self._zero, self._base, strict=True
        ):
            tables = np.ascontiguousarray(group.tables)
            near = self._near(group, zero)
            self._keep += [tables, zero, base, near]
            at["first"], at["length"], at["classes"] = first, group.length, group.classes
            at["tables"], at["base"] = tables.ctypes.data, base.ctypes.data
            at["zero"], at["near"] = zero.ctypes.data, near.ctypes.data
            first += group.length
        layout = self.tables.layout
        costs = self.tables.costs.astype(np.int32)
        struct = np.array(
            [groups.ctypes.data, len(groups), first, layout.ctypes.data, costs.ctypes.data],
            np.uint64,
        )
        self._keep += [groups, layout, costs, struct]
        return int(struct.ctypes.data)

    def choose(self, symbols: Int32s) -> Int32s:
        """symbols: (R * L,) int32, rows -> the classes, (R * P,) int32."""
        rows = symbols.size // self.selection.latents
        classes = np.empty(rows * self.choices, np.int32)
        if not self.choices:
            return classes
        if self._library is not None:
            symbols = np.ascontiguousarray(symbols)
            self._library.choose_classes(
                self._struct_at, symbols.ctypes.data, rows, classes.ctypes.data
            )
            return classes
        table = symbols.reshape(rows, self.selection.latents)
        view = classes.reshape(rows, self.choices)
        first = place = 0
        for group, base, zero in zip(self.selection.groups, self._base, self._zero, strict=True):
            if group.classes > 1:
                some = table[:, first : first + group.length]
                costs = [
                    self._cost(np.broadcast_to(ids, some.shape), some).sum(axis=1) + rest
                    for ids, rest in zip(group.tables, base - zero.sum(axis=1), strict=True)
                ]
                view[:, place] = np.argmin(costs, axis=0)
                place += 1
            first += group.length
        return classes

    def index(self, classes: Int32s, rows: int) -> Index:
        """The tables of the latents, (R * L,) uint16. Raises FormatError for what is no class."""
        if self.selection.fixed is not None:
            return np.tile(self.selection.fixed, rows)
        index = np.empty(rows * self.selection.latents, np.uint16)
        self.fill(classes, rows, index)
        return index

    def fill(self, classes: Int32s, rows: int, index: Index) -> None:
        """Write the tables of the latents into index, (R * L,) uint16; some group has classes."""
        bad = self._fill(classes, rows, index)
        if bad >= 0:
            raise FormatError(
                f"a selector names class {classes[bad]}", expected="a class of its group"
            )

    def _fill(self, classes: Int32s, rows: int, index: Index) -> int:
        if self._library is not None:
            classes = np.ascontiguousarray(classes)
            return int(
                self._library.fill_index(
                    self._struct_at, classes.ctypes.data, rows, index.ctypes.data
                )
            )
        chosen = classes.reshape(rows, self.choices)
        view = index.reshape(rows, self.selection.latents)
        several: Sequence[int] = [g.classes for g in self.selection.groups if g.classes > 1]
        bad = (chosen < 0) | (chosen >= np.array(several, np.int32))
        if bad.any():
            return int(np.flatnonzero(bad.reshape(-1))[0])
        first = place = 0
        for group in self.selection.groups:
            rows_of = group.tables[chosen[:, place]] if group.classes > 1 else group.tables[0]
            view[:, first : first + group.length] = rows_of
            place += group.classes > 1
            first += group.length
        return -1
