"""What the classical codecs need for pictures of any sizes at a bound, and their curves.

Three ways: with loss; without loss as they are; for grey pictures of 8 bits also without loss after
a reduction to a few grey levels. One setting, and one table of levels, serves all pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from rdedge import metrics
from rdedge.classical import reductions, registry
from rdedge.classical.base import ClassicalCodec, Ladder, SampleForm
from rdedge.classical.levels import Levels
from rdedge.classical.picture_set import PictureSet, View
from rdedge.classical.pictures import Pictures
from rdedge.classical.search import WINDOW, Attempt, Found, approach, fewest, meet, slack
from rdedge.errors import ConfigError, MissingError
from rdedge.metrics import Scale
from rdedge.types import Array, Bound

ViewOf = Callable[[PictureSet], View]

# Rungs between which a ladder's slope is measured.
_SLOPE_RUNGS = 4


def picture_yardsticks(
    pictures: Sequence[Array],
    bound: Bound,
    scale: Scale,
    *,
    packetised: bool,
    codecs: Sequence[str] | None = None,
    thorough: bool = False,
) -> list[Found]:
    """The fewest bytes of each codec, in each of the ways it can be used, that keep the bound.

    pictures: (H_i, W_i, C) uint8 or uint16, raw units, C 1 or 3, of any sizes; one dtype and C.
    bound: held against metrics.mean over all pictures: each counts by its pixels where their sizes
        differ, so a psnr is that of the squared error pooled over all pixels.
    packetised: True codes every picture as a file of its own, as a device sends it. False codes all
        together: in one mosaic, smaller pictures padded, for codecs of pictures; in a row, pixel
        after pixel, for codecs of arrays.
    codecs: names; None for all that are installed. One that does not take this form of picture, or
        whose format cannot hold it, is left out.
    thorough: also try what takes minutes for each million pixels (AVIF speed 0, JPEG XL effort 10)
        and, for pictures of one size, levels weighed pixel by pixel.

    Bytes are whole files. Setting, form and sizes are taken as known to both ends; so is a table of
    levels where packetised (a byte a level, in side_bytes), while a stream carries it (in
    size_bytes). Large sets are searched on a part, and the setting is then approached on all.
    encode_s is the library's time for all pictures at the setting found. Returns one entry for each
    codec and way that keeps the bound, fewest bytes first. Raises MissingError where a codec that
    was named is not installed, ShapeError where pictures cannot be used.
    """
    whole = PictureSet.of(pictures, bound.metric, scale, packetised)
    chosen = [c for c in _chosen(whole.form, codecs) if whole.fits(c)]
    few = [partial(_reduced, levels=levels) for levels in _few_levels(whole, bound)]
    found = []
    for codec in chosen:
        exact = [_as_they_are] if codec.pictures_only else [_as_they_are, _differences]
        found.append(_lossy(whole, codec, bound, thorough))
        found.append(_lossless(whole, codec, exact, thorough))
        found.append(_lossless(whole, codec, few, thorough))
    if thorough and whole.form == "grey8" and len({p.shape for p in pictures}) == 1:
        weighed = [partial(_same, view=view) for view in _weighed(whole, bound)]
        found += [_lossless(whole, codec, weighed, thorough) for codec in chosen]
    kept = [f for f in found if f is not None and bound.met_by(f.distortion.value)]
    return sorted(kept, key=lambda f: (f.size_bytes, f.codec, f.setting))


def picture_curve(
    pictures: Sequence[Array],
    codec: str,
    scale: Scale,
    metric: str,
    *,
    packetised: bool,
    rungs: int = 8,
    between: tuple[float, float] | None = None,
) -> list[Found]:
    """A codec's own curve: sizes and distortions along the ladder that suits the pictures best.

    pictures, packetised: as for picture_yardsticks. rungs: points at most, spread evenly over the
    ladder, or over the part where the distortion lies between two values, in the metric's unit.
    Returns points with the fewest bytes first, each better than the one before; of a codec without
    loss, its one point. Raises ConfigError for a codec that does not take such pictures.
    """
    whole = PictureSet.of(pictures, metric, scale, packetised)
    scout = whole.scout()
    chosen = _chosen(whole.form, [codec])
    if not chosen or not whole.fits(chosen[0]):
        raise ConfigError(f"{codec} does not take such pictures", expected="another codec")
    ladders = [one for one in chosen[0].ladders_for(whole.form) if not one.slow]
    if not ladders:
        exact = [_as_they_are] if chosen[0].pictures_only else [_as_they_are, _differences]
        lossless = _lossless(whole, chosen[0], exact, thorough=False)
        return [] if lossless is None else [lossless]
    gain = whole.gains[0]
    coded = partial(scout.lossy, chosen[0], gain=gain)
    places = [_spread(one, coded, metric, rungs, between) for one in ladders]
    tried = [
        [coded(ladder.settings[rung]) for rung in rungs_of]
        for ladder, rungs_of in zip(ladders, places, strict=True)
    ]
    front = _front([found for line in tried for found in line], metric)
    best = max(range(len(ladders)), key=lambda n: sum(found in front for found in tried[n]))
    on_all = [whole.lossy(chosen[0], ladders[best].settings[rung], gain) for rung in places[best]]
    return _front(on_all, metric)


def _chosen(form: SampleForm, names: Sequence[str] | None) -> list[ClassicalCodec]:
    """The codecs asked for that take a form of picture; without names, those that can be used."""
    found = []
    for name in registry.available() if names is None else names:
        codec = registry.get(name)
        if not codec.takes & {form, "array"}:
            continue
        try:
            codec.require(form)
        except MissingError:
            if names is not None:
                raise
            continue
        found.append(codec)
    return found


def _lossy(whole: PictureSet, codec: ClassicalCodec, bound: Bound, thorough: bool) -> Found | None:
    """The best over ladders and gains, chosen on the scout."""
    scout = whole.scout()
    window = WINDOW if scout is whole else 1
    ladders = codec.ladders_for(whole.form)
    best: tuple[Found, int, int, float] | None = None
    for place, ladder in enumerate(ladders):
        for gain in whole.gains if not ladder.slow else ():
            coded = partial(scout.lossy, codec, gain=gain)
            met = meet(ladder.settings, coded, bound, window=window)
            if met is None:
                continue
            if best is None or met[0].size_bytes < best[0].size_bytes:
                best = (met[0], met[1], place, gain)
            if met[1] > window:
                break  # the next gain is for ladders whose coarsest rung is too fine
    if best is None:
        return None
    found, rung, place, gain = best
    results = [found] if scout is whole else []
    tries = [ladders[place]] if scout is not whole else []
    if thorough and place + 1 < len(ladders) and ladders[place + 1].slow:
        tries.append(ladders[place + 1])
    for ladder in tries:
        slope = _slope(ladders[place], partial(scout.lossy, codec, gain=gain), bound, rung)
        coded = partial(whole.lossy, codec, gain=gain)
        met = approach(ladder.settings, coded, bound, near=rung, slope=slope)
        if met is not None and codec.quick:
            met = meet(ladder.settings, coded, bound, near=met[1], window=WINDOW // 2)
        if met is not None:
            results.append(met[0])
            rung = met[1]
    return fewest(results, bound)


def _slope(ladder: Ladder, coded: Attempt, bound: Bound, rung: int) -> float:
    """What a rung gains near a rung, in units of slack."""
    low, high = max(0, rung - _SLOPE_RUNGS), min(len(ladder.settings) - 1, rung + _SLOPE_RUNGS)
    ends = [slack(bound, coded(ladder.settings[r]).distortion.value) for r in (low, high)]
    return (ends[1] - ends[0]) / max(1, high - low)


def _lossless(
    whole: PictureSet, codec: ClassicalCodec, views: Sequence[ViewOf], thorough: bool
) -> Found | None:
    """View and setting chosen on the scout: the view at the first setting, then the setting."""
    settings = [s for s in codec.lossless_for(whole.form) if thorough or not s.slow]
    if not settings or not views:
        return None
    scout = whole.scout()
    if len(views) == 1:
        view_of, best = views[0], scout.lossless(codec, settings[0], views[0](scout))
    else:
        first = [(scout.lossless(codec, settings[0], one(scout)), one) for one in views]
        best, view_of = min(first, key=lambda pair: pair[0].size_bytes)
    shown = view_of(scout)
    tried = [(best, settings[0])]
    tried += [(scout.lossless(codec, setting, shown), setting) for setting in settings[1:]]
    found, setting = min(tried, key=lambda pair: pair[0].size_bytes)
    return found if scout is whole else whole.lossless(codec, setting, view_of(whole))


def _as_they_are(pictures: PictureSet) -> View:
    exact = pictures.distortion(pictures.pictures)
    return View("values as they are", pictures.pictures, exact, pictures.pictures)


def _differences(pictures: PictureSet) -> View:
    """Each value less the one to its left, which wraps around; for codecs that see no picture."""
    shown = tuple(np.diff(p, axis=1, prepend=np.zeros_like(p[:, :1])) for p in pictures.pictures)
    exact = pictures.distortion(pictures.pictures)
    return View("differences in a row", shown, exact, pictures.pictures)


def _reduced(pictures: PictureSet, levels: Levels) -> View:
    shown = tuple(levels.index[p] for p in pictures.pictures)
    distortion = pictures.distortion([levels.greys[s] for s in shown])
    return View(levels.name, shown, distortion, pictures.pictures, levels.greys)


def _same(pictures: PictureSet, view: View) -> View:
    return view


def _few_levels(whole: PictureSet, bound: Bound) -> list[Levels]:
    """The most compact reductions that keep the bound; none for what is not grey of 8 bits."""
    if whole.form != "grey8":
        return []
    scout = whole.scout()
    histogram = sum(np.bincount(p.ravel(), minlength=256) for p in whole.pictures)
    aim = metrics.mse_for(bound.metric, bound.value, whole.scale)
    kept = (
        levels
        for levels in reductions.likely(np.asarray(histogram), aim, bound.metric)
        if bound.met_by(_reduced(whole, levels).distortion)
    )
    # Bits are estimated on the scout, picture after picture.
    return reductions.few(
        lambda levels: sum(
            reductions.picture_bits(levels.index[p[..., 0]], len(levels.greys))
            for p in scout.pictures
        ),
        kept,
    )


def _weighed(whole: PictureSet, bound: Bound) -> list[View]:
    """Levels chosen pixel by pixel, for pictures of one size."""
    stacked = np.stack(whole.pictures)
    count, height, width, _ = stacked.shape
    samples = stacked.reshape(count, height * width)
    views = []
    for found in reductions.weighed(Pictures.of(samples, height, width, bound, whole.scale)):
        shown = tuple(found.levels[..., None])
        distortion = whole.distortion([found.greys[s] for s in shown])
        views.append(View(found.name, shown, distortion, whole.pictures, found.greys))
    return views


def _spread(
    ladder: Ladder,
    coded: Attempt,
    metric: str,
    rungs: int,
    between: tuple[float, float] | None,
) -> list[int]:
    """Rungs spread evenly over a ladder, or over where the distortion lies between two values."""
    last = len(ladder.settings) - 1
    low, high = 0, last
    if between is not None:
        met = [meet(ladder.settings, coded, Bound(metric, v), window=0) for v in between]
        low, high = sorted(last if m is None else m[1] for m in met)
    return sorted({round(place) for place in np.linspace(low, high, rungs)})


def _front(points: Sequence[Found], metric: str) -> list[Found]:
    """The points with fewer bytes or less distortion than every other, fewest bytes first."""
    sign = -1.0 if Bound(metric, 1.0).is_minimum else 1.0
    ordered = sorted(points, key=lambda f: (f.size_bytes, sign * f.distortion.value))
    front: list[Found] = []
    for point in ordered:
        if not front or sign * point.distortion.value < sign * front[-1].distortion.value:
            front.append(point)
    return front
