"""What can be said of the columns of a table before anything is trained on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Lattice", "Note", "lattice", "survey"]

Column = NDArray[np.float64]
NoteKind = Literal["empty", "missing", "constant", "duplicate", "integer", "lattice"]

# A lattice: how many levels, how many of the values must be on it, how near in steps.
_MAX_LEVELS = 4096
_SHARE = 0.99
_NEAR = 0.02
# Sensors that mean over a few readings blur their steps. Chance puts few levels as near as this to
# some coarse lattice, but not many.
_BLURRED = 0.08
_MIN_BLURRED = 8
# Of fewer values nothing is said: chance puts them on some lattice.
_MIN_VALUES = 32
# Longer columns are judged by as many values, evenly taken.
_MAX_VALUES = 1 << 16


@dataclass(frozen=True)
class Note:
    """One thing about one column, from 0. text: a line for people."""

    kind: NoteKind
    column: int
    text: str


@dataclass(frozen=True)
class Lattice:
    """Values are origin + k * step with whole k, but for noise. origin: the least level.

    blur: 99 % of the values are as near to their level, in steps; 0 to 0.08.
    """

    step: float
    origin: float
    levels: int
    blur: float


def survey(x: NDArray[np.float64], names: tuple[str, ...] = ()) -> list[Note]:
    """x: (rows, C), NaN where a value is missing. names: of the columns; (): by their numbers.

    Notes in the order of the columns: empty (nothing else is said of it then), missing values,
    constant, the same as an earlier one, integers, values on a lattice.
    """
    notes: list[Note] = []
    seen: dict[bytes, int] = {}
    called = names or tuple(f"column {j + 1}" for j in range(x.shape[1]))
    for j, name in enumerate(called):
        column = np.ascontiguousarray(x[:, j], np.float64)
        present = column[np.isfinite(column)]
        if not len(present):
            notes.append(Note("empty", j, f"{name}: all values are missing"))
            continue
        gaps = len(column) - len(present)
        if gaps:
            share = 100 * gaps / len(column)
            notes.append(Note("missing", j, f"{name}: {gaps:,} values are missing ({share:.3g} %)"))
        if (present == present[0]).all():
            notes.append(Note("constant", j, f"{name}: always {present[0]:.9g}"))
            continue
        # Adding 0 makes one zero of the two; all NaN have one pattern after it too.
        first = seen.setdefault(np.where(np.isnan(column), np.nan, column + 0.0).tobytes(), j)
        if first != j:
            notes.append(Note("duplicate", j, f"{name}: the same as {called[first]}"))
            continue
        notes += _grain(present, j, name)
    return notes


def _grain(present: Column, j: int, name: str) -> list[Note]:
    found = lattice(present)
    if (present == np.rint(present)).all() and (found is None or found.step <= 1):
        low, high = present.min(), present.max()
        return [Note("integer", j, f"{name}: whole numbers from {low:.0f} to {high:.0f}")]
    if found is None:
        return []
    text = f"{name}: steps of {found.step:.6g} from {found.origin:.6g}, {found.levels:,} levels"
    return [Note("lattice", j, text)]


def lattice(values: Column) -> Lattice | None:
    """The coarsest lattice that 99 % of the finite values lie on, within 2 % of its step; with 8
    levels or more in use within 8 %.

    None where there is none of at most 4096 levels, fewer than 32 values, or so many levels that
    they say nothing: more than half as many as values.
    """
    values = values[np.isfinite(values)]
    if len(values) < _MIN_VALUES:
        return None
    values = values[:: -(-len(values) // _MAX_VALUES)]
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) < 2:
        return None
    # What is rarest may be off the lattice, and far away.
    rank = np.argsort(counts, kind="stable")
    rare = rank[np.cumsum(counts[rank]) <= (1 - _SHARE) * counts.sum()]
    core = np.ones(len(levels), bool)
    core[rare] = False
    # Around the middle, so that the rounding of float64 is small.
    centre = levels[core][np.argmax(counts[core])]
    shifted, weights = levels - centre, counts / counts.sum()
    for step in _candidates(shifted[core], weights[core]):
        fitted = _fit(shifted[core], weights[core], step)
        if fitted is None:
            continue
        step, origin = fitted
        k = np.rint((shifted - origin) / step)
        off = np.abs((shifted - origin) / step - k)
        order = np.argsort(off, kind="stable")
        last = int(np.searchsorted(np.cumsum(weights[order]), _SHARE - 1e-12))
        blur = float(off[order[min(last, len(order) - 1)]])
        used = np.unique(k[core & (off <= _BLURRED)])
        if (
            blur > (_NEAR if len(used) < _MIN_BLURRED else _BLURRED)
            or not 2 <= len(used) <= len(values) // 2
        ):
            continue
        levels_used = int(used[-1] - used[0]) + 1
        if levels_used <= _MAX_LEVELS:
            return Lattice(step, float(centre + origin + used[0] * step), levels_used, blur)
    return None


def _candidates(levels: Column, weights: Column) -> list[float]:
    """Steps that may be right to some per cent, the coarsest first.

    The step is among the frequent differences of neighbours, or is that of two of these. Levels
    may be fuzzy, so neighbours are also clusters of what is nearer than some width.
    """
    spread = float(levels[-1] - levels[0])
    found: list[float] = []
    width = 0.0
    while width < spread / 2:
        cluster = np.concatenate([[0], np.cumsum(np.diff(levels) > width)])
        mass = np.bincount(cluster, weights)
        gaps = np.diff(np.bincount(cluster, weights * levels) / mass)
        few = _frequent(gaps[gaps * _MAX_LEVELS > spread])
        found += few
        found += [abs(a - b) for i, a in enumerate(few) for b in few[:i]]
        found += [step / n for step in few[:4] for n in (2, 3)]
        width = max(4 * width, spread / (4 * _MAX_LEVELS))
    steps = {float(f"{step:.3g}"): step for step in found if step * _MAX_LEVELS > spread}
    return sorted(steps.values(), reverse=True)


def _frequent(gaps: Column) -> list[float]:
    """The middles of the fullest bins of 4 %, the fullest first."""
    if not len(gaps):
        return []
    place = np.floor(np.log(gaps) * 25)
    bins, counts = np.unique(place, return_counts=True)
    fullest = bins[np.argsort(-counts, kind="stable")[:6]]
    return [float(np.median(gaps[place == b])) for b in fullest]


def _fit(levels: Column, weights: Column, step: float) -> tuple[float, float] | None:
    """Step and origin by least squares over a range around 0 that grows with their precision."""
    origin = 0.0
    reach = 8 * step
    end = float(max(-levels[0], levels[-1]))
    while True:
        inside = np.abs(levels) <= reach
        x, w = levels[inside], weights[inside]
        k = np.rint((x - origin) / step)
        w = np.where(np.abs(x - origin - k * step) < 0.25 * step, w, 0.0)
        total = w.sum()
        if total < 0.8 * weights[inside].sum():
            return None
        mean_k, mean_x = (w * k).sum() / total, (w * x).sum() / total
        variance = (w * (k - mean_k) ** 2).sum()
        if variance > 0:
            slope = float((w * (k - mean_k) * (x - mean_x)).sum() / variance)
            if not 0.8 * step < slope < 1.25 * step:
                return None
            step, origin = slope, float(mean_x - slope * mean_k)
        if reach >= end:
            return step, origin
        reach = min(end, reach * 3)
