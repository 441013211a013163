"""What the classical codecs need to keep a bound on given samples: the yardsticks.

All are given their best chance: the best setting, the best way to show the samples as a picture,
and an encoder that spends what the bound allows. All samples are coded together, as one file.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from rdedge.classical import reductions, registry, vectors
from rdedge.classical.base import ClassicalCodec, Ladder
from rdedge.classical.pictures import SLOW_PIXELS, Pictures
from rdedge.classical.search import WINDOW, Found, fewest, meet
from rdedge.errors import ShapeError, ValueRangeError
from rdedge.metrics import Scale
from rdedge.types import Array, Bound


def yardsticks(
    x: Array,
    height: int | None,
    width: int | None,
    bound: Bound,
    scale: Scale,
    codecs: Sequence[str] | None = None,
    *,
    thorough: bool = True,
) -> list[Found]:
    """The fewest bytes of each codec, in each of the ways it can be used, that keep the bound.

    x: (N, D), any numeric dtype, finite, raw units. height, width: with height * width = D where
    the samples are grey pictures, shown as one mosaic; both None where they are not, and then only
    codecs of arrays are asked.
    bound: held against the mean over all samples, as metrics.mean computes it with scale.
    codecs: names; None for all that are installed. One whose format cannot hold the whole mosaic is
        left out.
    thorough: also try what takes much longer: most effort, levels weighed pixel by pixel.

    Returns one entry for each codec and way (lossy, reduced levels, weighed levels) that keeps the
    bound, fewest bytes first. Bytes are whole files, level tables included; the number of samples,
    their shape and the setting are taken as known to both ends. Raises MissingError where a codec
    that was named is not installed, ShapeError or ValueRangeError where x cannot be used.
    """
    _check(x, height, width)
    chosen = [registry.get(n) for n in (registry.available() if codecs is None else codecs)]
    if height is None or width is None:
        found = [vectors.best(c, x, bound, scale) for c in chosen if "array" in c.takes]
        return _sorted(found)
    pictures = Pictures.of(x, height, width, bound, scale)
    ways = [reductions.fixed(pictures)]
    if thorough:
        ways.append(reductions.weighed(pictures))
    found = []
    for codec in chosen:
        if not codec.takes & {"grey8", "array"} or not codec.fits(pictures.mosaic.shape):
            continue
        best = [_lossy(pictures, codec, thorough)]
        best += [_lossless(pictures, codec, way) for way in ways]
        found += [b for b in best if b is not None]
    return _sorted(found)


def _sorted(found: list[Found]) -> list[Found]:
    return sorted(found, key=lambda f: (f.size_bytes, f.codec, f.setting))


def _check(x: Array, height: int | None, width: int | None) -> None:
    if x.ndim != 2 or x.size == 0 or (height is None) != (width is None):
        raise ShapeError(
            f"samples of shape {x.shape}, height {height}, width {width}",
            expected="(N, D), N and D at least 1, with both height and width or neither",
        )
    if height is not None and width is not None and height * width != x.shape[1]:
        raise ShapeError(
            f"{x.shape[1]} elements do not make a picture of {height} x {width}",
            expected=f"height * width = {x.shape[1]}",
        )
    if not np.all(np.isfinite(x)):
        raise ValueRangeError(
            "a value among the samples is not finite", do="leave such samples out"
        )


def _lossless(
    pictures: Pictures, codec: ClassicalCodec, ways: list[reductions.Reduction]
) -> Found | None:
    """The first setting chooses among the reductions; the others are tried on its choice."""
    settings = codec.lossless_for("grey8")
    if not settings or not ways:
        return None
    first = [(pictures.reduced(codec, settings[0], w.levels, w.greys, w.name), w) for w in ways]
    best, way = min(first, key=lambda pair: pair[0].size_bytes)
    others = [pictures.reduced(codec, s, way.levels, way.greys, way.name) for s in settings[1:]]
    return fewest([best, *others], pictures.bound)


def _lossy(pictures: Pictures, codec: ClassicalCodec, thorough: bool) -> Found | None:
    """The best over ladders and gains; on many pixels, chosen on a part of them."""
    scout = pictures.scout()
    best: tuple[Found, int, int, float] | None = None
    ladders = codec.ladders_for("grey8")
    for place, ladder in enumerate(ladders):
        for gain in pictures.gains if not ladder.slow else ():
            met = _search(scout, codec, ladder, gain)
            if met is not None and (best is None or met[0].size_bytes < best[0].size_bytes):
                best = (met[0], met[1], place, gain)
    if best is None:
        return None
    found, rung, place, gain = best
    results = [found]
    narrow = WINDOW // 2
    if scout is not pictures:
        narrow = 1
        met = _search(pictures, codec, ladders[place], gain, rung, narrow)
        if met is None:
            return None
        results, rung = [met[0]], met[1]
    small = pictures.tiles.size <= SLOW_PIXELS
    if thorough and small and place + 1 < len(ladders) and ladders[place + 1].slow:
        met = _search(pictures, codec, ladders[place + 1], gain, rung, narrow)
        results += [met[0]] if met is not None else []
    return fewest(results, pictures.bound)


def _search(
    pictures: Pictures,
    codec: ClassicalCodec,
    ladder: Ladder,
    gain: float,
    near: int | None = None,
    window: int = WINDOW,
) -> tuple[Found, int] | None:
    attempt = partial(pictures.lossy, codec, gain=gain)
    return meet(ladder.settings, attempt, pictures.bound, near=near, window=window)
