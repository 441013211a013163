"""The fallback `steps` (FORMAT.md, section 5.1): quantise, difference, varints, Zstandard.

All that a decoder does is exact in float64, the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rdedge.bundle.fallback import Fallback
from rdedge.codec import frames
from rdedge.errors import FormatError
from rdedge.format.varints import read_varints, unzigzag, write_varints, zigzag
from rdedge.types import Array, SampleSpec

# Which samples of a batch, and how they would come back -> whether each keeps its bound.
Keeps = Callable[[Array, Array], Array]

# Levels: eighths of an octave from the manifest's step, at most so many on each side.
_EIGHTHS, _MOST_EIGHTHS = 8, 1280
_DELTA, _FRAME = 1, 2
# Values of a sample that is tried without a guess.
_SMALL = 1 << 12
# Indices stay exact in float64, and so do their differences.
_LIMIT = 2.0**51
_MOST_VARINT = 10
# Above this many values only the form that looks shorter is tried.
_LARGE = 1 << 18


def level_of(eighths: int) -> int:
    """The level of a run whose step is 2^(eighths / 8), in eighths, of the manifest's."""
    return eighths << 1 if eighths >= 0 else (-eighths << 1) - 1


def eighths_of(level: int) -> int:
    """Undo level_of. Raises FormatError beyond what a step can be."""
    if level > 2 * _MOST_EIGHTHS:
        raise FormatError(
            f"a run of steps at level {level}", expected=f"at most {2 * _MOST_EIGHTHS}"
        )
    return (level >> 1) ^ -(level & 1)


def factor(eighths: int) -> float:
    """Of the manifest's step: (8 + r) / 8 * 2^o for 8 * o + r eighths; exact."""
    octave, rest = divmod(eighths, _EIGHTHS)
    return float((_EIGHTHS + rest) / _EIGHTHS) * 2.0**octave


class Steps:
    """One such fallback for samples of one kind."""

    name = "steps"
    exact = False

    def __init__(self, fallback: Fallback, spec: SampleSpec) -> None:
        self.spec = spec
        self._steps = np.array(fallback.steps, np.float32).astype(np.float64)
        self._origins = np.array(fallback.origins, np.float32).astype(np.float64)
        self._target = np.dtype(spec.dtype)

    def require(self) -> None:
        """Raise MissingError where it cannot run here."""
        frames.zstandard()

    def _step(self, eighths: Array) -> Array:
        """(n,) eighths -> steps that broadcast against samples (n, *shape)."""
        factors = np.array([factor(int(one)) for one in eighths], np.float64)
        axes = len(self.spec.shape)
        steps: Array = factors.reshape(-1, *[1] * axes) * self._steps
        return steps

    def indices(self, x: Array, eighths: Array) -> tuple[Array, Array]:
        """x: (n, *shape) -> indices int64, and which samples have some (n,) bool."""
        with np.errstate(all="ignore"):
            found = np.rint((x.astype(np.float64) - self._origins) / self._step(eighths))
        fine: Array = np.all(np.abs(found.reshape(len(x), -1)) < _LIMIT, axis=1)
        found[~fine] = 0.0
        return found.astype(np.int64), fine

    def values(self, indices: Array, eighths: Array) -> Array:
        """Indices (n, *shape) int64 -> samples, in the dtype of the source."""
        with np.errstate(over="ignore", invalid="ignore"):
            wide = self._origins + indices.astype(np.float64) * self._step(eighths)
            if self._target.kind == "f":
                return wide.astype(self._target)
        info = np.iinfo(self._target)
        # float64 has no number for the largest int64: the next one down is taken.
        high = float(info.max) if info.bits < 64 else float(np.nextafter(2.0**63, 0.0))
        return np.clip(np.rint(wide), float(info.min), high).astype(self._target)

    def guess(self, x: Array) -> float:
        """Bits, low rather than high, of a run at a step that is a little coarse. Of small samples
        0: a quiet one may stand a step far coarser, which only a search tells.
        """
        if x[0].size <= _SMALL:
            return 0.0
        indices, fine = self.indices(x, np.full(len(x), _EIGHTHS // 2))
        if not fine.all():
            return 0.0
        table = self._in_order(indices)
        return min(
            frames.guessed_bits(write_varints(zigzag(one.reshape(-1))))
            for one in (table, self._differences(table))
        )

    def finest(self, levels: Array) -> int:
        """Of levels (n,) the one of the smallest step."""
        return level_of(min(eighths_of(int(level)) for level in levels))

    def levels(self, x: Array, keeps: Keeps, start: int = 0) -> Array:
        """The coarsest level at which each sample keeps its bound, (n,) int64; -1 for none.

        Found by bisection, and measured: that a finer step errs less is only where it looks.
        """
        n = len(x)
        holds = np.full(n, -_MOST_EIGHTHS - 1, np.int64)
        fails = np.full(n, _MOST_EIGHTHS + 1, np.int64)
        at = np.full(n, start, np.int64)
        stride = np.full(n, 4, np.int64)
        open_ = np.arange(n)
        while open_.size:
            fine = self._kept(x, open_, at[open_], keeps)
            yes, no = open_[fine], open_[~fine]
            holds[yes], fails[no] = at[yes], at[no]
            up, down = holds[open_], fails[open_]
            free_up, free_down = down > _MOST_EIGHTHS, up < -_MOST_EIGHTHS
            going = np.where(
                free_up, up + stride[open_], np.where(free_down, down - stride[open_], 0)
            )
            between = ~free_up & ~free_down
            at[open_] = np.where(between, (up + down) // 2, going)
            at[open_] = np.clip(at[open_], -_MOST_EIGHTHS, _MOST_EIGHTHS)
            stride[open_] *= 2
            done = (fails[open_] - holds[open_] <= 1) | (free_up & (up == _MOST_EIGHTHS))
            done |= free_down & (down == -_MOST_EIGHTHS)
            open_ = open_[~done]
        return np.array([level_of(int(h)) if h >= -_MOST_EIGHTHS else -1 for h in holds], np.int64)

    def _kept(self, x: Array, which: Array, eighths: Array, keeps: Keeps) -> Array:
        indices, fine = self.indices(x[which], eighths)
        kept: Array = fine & keeps(which, self.values(indices, eighths))
        return kept

    def takes(self, x: Array, level: int) -> bool:
        """Whether all of x (n, *shape) have indices at this level: a quiet sample's step may be too
        fine for the values of a loud one.
        """
        return bool(self.indices(x, np.full(len(x), eighths_of(level)))[1].all())

    def encode(self, x: Array, level: int) -> bytes:
        """x: (n, *shape), all with indices at this level -> the bytes of their run."""
        indices, fine = self.indices(x, np.full(len(x), eighths_of(level)))
        assert fine.all()
        table = self._in_order(indices)
        forms = [(0, table), (_DELTA, self._differences(table))]
        if table.size > _LARGE:
            forms.sort(key=lambda form: float(np.log2(1.0 + np.abs(form[1])).sum()))
            del forms[1:]
        found = []
        for form, numbers in forms:
            plain = write_varints(zigzag(numbers.reshape(-1)))
            frame = frames.compress(plain)
            found.append(bytes([form]) + plain if frame is None else bytes([form | _FRAME]) + frame)
        return min(found, key=len)

    def decode(self, data: bytes, count: int, shape: tuple[int, ...], level: int) -> Array:
        """Undo encode. Raises FormatError for anything but what it may write."""
        eighths = eighths_of(level)
        if not data or data[0] > _DELTA | _FRAME:
            raise FormatError("fallback: steps of an unknown form", expected="0 to 3")
        size = count * int(np.prod(shape))
        plain = data[1:]
        if data[0] & _FRAME:
            plain = frames.decompress(plain, _MOST_VARINT * size)
        table = unzigzag(read_varints(plain, size)).reshape(self._ordered(count, shape))
        if data[0] & _DELTA:
            table = self._sums(table)
        indices = self._back(table, count, shape)
        return self.values(indices, np.full(count, eighths))

    def _ordered(self, count: int, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the table of a run: differences are taken along its last axis."""
        if self.spec.kind == "series":
            return (shape[1], count * shape[0])
        if self.spec.kind == "image":
            return (shape[2], count, *shape[:2])
        return (count, int(np.prod(shape)))

    def _in_order(self, indices: Array) -> Array:
        """(n, *shape) -> the table: series and images channel after channel."""
        if self.spec.kind == "vector":
            return indices.reshape(len(indices), -1)
        moved = np.moveaxis(indices, -1, 0)
        return np.ascontiguousarray(moved).reshape(self._ordered(len(indices), indices.shape[1:]))

    def _back(self, table: Array, count: int, shape: tuple[int, ...]) -> Array:
        if self.spec.kind == "vector":
            return table.reshape(count, *shape)
        channels = table.reshape(shape[-1], count, *shape[:-1])
        return np.moveaxis(channels, 0, -1)

    def _differences(self, table: Array) -> Array:
        found = np.diff(table, axis=-1, prepend=0)
        if self.spec.kind == "image":
            found[..., 0] = np.diff(table[..., 0], axis=-1, prepend=0)
        return found

    def _sums(self, table: Array) -> Array:
        if self.spec.kind == "image":
            table[..., 0] = np.cumsum(table[..., 0], axis=-1)
        return np.cumsum(table, axis=-1)
