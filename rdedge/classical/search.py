"""The one place where the setting is found that keeps a bound with the fewest bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from rdedge.classical.base import Setting
from rdedge.types import Array, Bound, Measured

# Rungs looked at on each side of where the bound is crossed: neither bytes nor distortion are
# monotone along a ladder, least of all on data that are themselves quantised.
WINDOW = 6


@dataclass(frozen=True)
class Found:
    """What a classical codec reached.

    codec, setting: who, and how, in words.
    size_bytes: the whole file with all that its decoder needs beside it, for all samples together.
    distortion: measured in raw units after decoding, in the unit of the bound's metric.
    encode_s: seconds that encoding took at this setting, the search not counted.
    decoded: makes the samples that came back, one by one; None where that is not known.
    side_bytes: what both ends hold before the first packet, such as a trained dictionary; not in
        size_bytes, since it is sent once.
    """

    codec: str
    setting: str
    size_bytes: int
    distortion: Measured
    encode_s: Measured
    side_bytes: int = 0
    decoded: Callable[[], list[Array]] | None = field(default=None, compare=False, repr=False)


Attempt = Callable[[Setting], Found]


def fewest(found: Iterable[Found], bound: Bound) -> Found | None:
    """The one with the fewest bytes among those that keep the bound; None where none does."""
    met = [f for f in found if bound.met_by(f.distortion.value)]
    return min(met, key=lambda f: (f.size_bytes, f.setting), default=None)


def meet(
    settings: Sequence[Setting],
    attempt: Attempt,
    bound: Bound,
    *,
    near: int | None = None,
    window: int = WINDOW,
    coarse: int = 0,
) -> tuple[Found, int] | None:
    """Search one ladder.

    settings: from the fewest bytes to the most faithful.
    attempt: codes, decodes and measures at one setting; it is asked at most once for each.
    near: a rung around which the bound is likely crossed; None to find it by bisection.
    window: rungs tried on each side of the crossing.
    coarse: rungs tried beyond the window on the coarse side. Worth it where an attempt that misses
        the bound is cheap: data on a lattice can keep the bound at a far coarser step.
    Returns what was found and its rung, or None where no rung that was tried keeps the bound.
    """
    tried: dict[int, Found] = {}

    def met(rung: int) -> bool:
        if rung not in tried:
            tried[rung] = attempt(settings[rung])
        return bound.met_by(tried[rung].distortion.value)

    last = len(settings) - 1
    crossing = near if near is not None else _bisect(met, last, window)
    for rung in range(max(0, crossing - window - coarse), min(last, crossing + window) + 1):
        met(rung)
    # A hint may have been wrong: climb until the bound is kept.
    rung, stride = crossing + window, 1
    while rung < last and not any(map(met, list(tried))):
        rung = min(last, rung + stride)
        stride *= 2
        met(rung)
    best = fewest(tried.values(), bound)
    if best is None:
        return None
    return best, next(rung for rung, found in tried.items() if found is best)


def approach(
    settings: Sequence[Setting],
    attempt: Attempt,
    bound: Bound,
    *,
    near: int,
    slope: float,
    tries: int = 6,
) -> tuple[Found, int] | None:
    """Search one ladder where an attempt takes long: by secants, in few attempts.

    near: a rung close to the crossing. slope: what a rung gains there, in units of slack().
    tries: how many attempts at most, beyond those that it takes to keep the bound at all.
    Returns as meet does; where the ladder is even, no coarser rung would keep the bound.
    """
    tried: dict[int, Found] = {}
    last, rung = len(settings) - 1, near
    while True:
        tried[rung] = attempt(settings[rung])
        kept = [r for r, found in tried.items() if bound.met_by(found.distortion.value)]
        missed = [r for r in tried if r not in kept]
        # The finest rung that is known to miss, and the coarsest that is known to keep.
        low, high = max(missed, default=-1), min(kept, default=last + 1)
        step = slack(bound, tried[rung].distortion.value) / max(slope, 1e-9)
        near_enough = rung in kept and step < 1  # the next coarser rung would miss
        if high <= low + 1 or near_enough or (kept and len(tried) >= tries):
            break
        step = max(-last, min(last, step))
        guess = rung - math.floor(step) if step >= 0 else rung + math.ceil(-step)
        if not kept:
            guess = max(guess, low + len(tried))  # where the slope promises too much
        rung = max(low + 1, min(high - 1, last, guess))
    best = fewest(tried.values(), bound)
    if best is None:
        return None
    return best, next(rung for rung, found in tried.items() if found is best)


def slack(bound: Bound, distortion: float) -> float:
    """How far a distortion lies inside the bound: in dB for psnr, in octaves for all others."""
    if bound.is_minimum:
        return distortion - bound.value
    if distortion <= 0:
        return math.inf
    return math.log2(bound.value / distortion)


def _bisect(met: Callable[[int], bool], last: int, window: int) -> int:
    """The first rung that keeps the bound, were distortion monotone; the last where none does."""
    if last <= 2 * window:
        return last // 2  # the window covers the ladder
    low, high = 0, last
    while low < high:
        middle = (low + high) // 2
        if met(middle):
            high = middle
        else:
            low = middle + 1
    return low
