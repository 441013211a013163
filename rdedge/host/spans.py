"""Which latents a latent's contexts look at: what is near in frequency, in channel and in place."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from rdedge.coding.context import Span
from rdedge.coding.quantiser import EXACT
from rdedge.host.classes import Layout
from rdedge.types import Array

Inputs = tuple[tuple[Span, ...], ...]

# Latents before a latent, nearest first: from and to how far back.
_BACK = ((1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 32))
_REPEATS = 6
# How far to either side of the same place, in earlier channels and in other rows.
_SIDES = (0, 1, 4)
LEFT, ABOVE, CORNER, OPPOSITE, SECOND_LEFT, SECOND_ABOVE = range(1, 7)
# Earlier latents of the row that most go with a latent: how many to an input.
_ALIKE = (1, 2, 5)


def lag_of(layout: Layout, rows: Array) -> int:
    """After how many latents those of a channel are most like themselves, by how large they are:
    at least 3. rows: (n, L) int32 of a layout in the time domain.
    """
    loud = [np.log2(1.0 + np.abs(part.astype(np.float64))) for part in layout.split(rows)]
    least, most = 3, max(4, min(part.shape[1] for part in loud) // 2)
    together = np.zeros(most)
    for part in loud:
        part -= part.mean()
        for lag in range(least, min(most, part.shape[1])):
            together[lag] += (part[:, lag:] * part[:, :-lag]).mean()
    return least + int(together[least:].argmax())


def series_spans(layout: Layout, lag: int = 0) -> tuple[Inputs | None, ...]:
    """Of a window. A channel's first latent, its mean, has none: nothing foretells it but the one
    of the window before, where the layout is linked.

    lag: after how many latents those of a channel repeat themselves; 0: they do not.
    """
    found: list[Inputs | None] = []
    first = 0
    mixed: list[int] = []
    for group in layout.groups:
        length = len(group.bands)
        exact = bool((group.quantisers == EXACT).any())
        before = [] if exact else mixed
        if not layout.linked:
            found.append(None)
        for k in range(0 if layout.linked else 1, length):
            if k == 0:
                found.append(_of_mean(first, mixed, length, lag))
                continue
            inputs = _back(first, k, 1)
            if lag:
                inputs += _repeats(first, k, lag)
            if layout.linked:
                inputs += [(_beside(LEFT, first, k, side, 1, length),) for side in _SIDES]
                inputs.append(((LEFT, first + 1, length - 1),))
            for channel in (before[-1:], before[-2:-1]):
                inputs += [
                    tuple(_beside(0, at, k, side, 1, length) for at in channel) for side in _SIDES
                ]
            inputs.append(tuple(_beside(0, at, k, 1, 1, length) for at in before))
            # The last is the mean's.
            found.append((*inputs, ()))
        if not exact:
            mixed.append(first)
        first += length
    return tuple(found)


def _of_mean(first: int, mixed: list[int], length: int, lag: int) -> Inputs:
    """How far means moved before: this channel's, and others' in this window."""
    inputs: list[tuple[Span, ...]] = [()] * (len(_BACK) + (_REPEATS if lag else 0))
    inputs += [((LEFT, first, 1),), ((SECOND_LEFT, first, 1),), ()]
    inputs.append(((LEFT, first + 1, length - 1),) if length > 1 else ())
    for channel in (mixed[-1:], mixed[-2:-1]):
        inputs += [tuple((0, at, 1) for at in channel), (), ()]
    inputs.append(tuple((0, at, 1) for at in mixed))
    return (*inputs, ())


def _repeats(first: int, k: int, lag: int) -> list[tuple[Span, ...]]:
    """What stood at the same place of the periods before place k of a group; what followed it."""
    inputs: list[tuple[Span, ...]] = []
    for back, side in ((lag, 0), (lag, 1), (lag, 3), (2 * lag, 1), (3 * lag, 1)):
        low, high = max(0, k - back - side), min(k - 1, k - back + side)
        inputs.append(((0, first + low, high - low + 1),) if high >= low else ())
    following = [k - back + 1 for back in range(lag, k + 2, lag)]
    inputs.append(tuple((0, first + at, 1) for at in following if 0 <= at < k))
    return inputs


def image_spans(rows: Array) -> tuple[Inputs | None, ...]:
    """Of a patch, given symbols of patches as they are coded: (n, L) int32."""
    latents = rows.shape[1]
    alike = _alike(rows)
    found: list[Inputs | None] = []
    for k in range(latents):
        inputs = [*_back(0, k, 0), ((0, 0, k),) if k else ()]
        for direction in (LEFT, ABOVE):
            inputs += [(_beside(direction, 0, k, side, 0, latents),) for side in (*_SIDES, 16)]
        inputs += [(_beside(d, 0, k, 2, 0, latents),) for d in (CORNER, OPPOSITE)]
        inputs.append(tuple(_beside(d, 0, k, 4, 0, latents) for d in (SECOND_LEFT, SECOND_ABOVE)))
        inputs += _most(alike[k])
        found.append((*inputs, ()))
    return tuple(found)


def vector_spans(rows: Array) -> tuple[Inputs | None, ...]:
    """Of a vector, given symbols (n, L) int32: of the latents before."""
    alike = _alike(rows)
    found: list[Inputs | None] = []
    for k in range(rows.shape[1]):
        inputs = [*_back(0, k, 0), ((0, 0, k),) if k else ()]
        inputs += _most(alike[k])
        found.append((*inputs, ()))
    return tuple(found)


def _most(alike: Array) -> list[tuple[Span, ...]]:
    """Inputs of the latents that most go with one, the nearest first."""
    ends = np.cumsum((0, *_ALIKE))
    return [tuple((0, int(j), 1) for j in alike[a:b]) for a, b in pairwise(ends)]


def _back(first: int, k: int, least: int) -> list[tuple[Span, ...]]:
    """Latents before place k of a group that starts at first, none before place `least`."""
    inputs: list[tuple[Span, ...]] = []
    for near, far in _BACK:
        low, high = max(least, k - far), k - near
        inputs.append(((0, first + low, high - low + 1),) if high >= low else ())
    return inputs


def _beside(direction: int, first: int, k: int, side: int, least: int, length: int) -> Span:
    """The latents around place k of a group or a row that starts at first."""
    low, high = max(least, k - side), min(length - 1, k + side)
    return direction, first + low, high - low + 1


def _alike(rows: Array) -> list[Array]:
    """For each latent the earlier ones whose magnitudes most go with its own, the best first."""
    loud = np.log2(1.0 + np.abs(rows.astype(np.float64)))
    loud -= loud.mean(axis=0)
    loud /= np.maximum(np.sqrt(np.square(loud).sum(axis=0)), 1e-12)
    together = loud.T @ loud
    return [np.argsort(-together[k, :k], kind="stable") for k in range(rows.shape[1])]
