"""What the classical codecs need for windows of a series at a bound.

Three ways, each with its best layout and setting: values as they are, without loss; values
quantised uniformly, their indices coded without loss; floats coded within a tolerance. Steps and
tolerances are set for each channel from training data, times one common factor that is searched.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from rdedge import metrics
from rdedge.classical import layouts, registry, views
from rdedge.classical.base import ClassicalCodec, Setting
from rdedge.classical.layouts import Layout
from rdedge.classical.search import Found, meet
from rdedge.classical.steps import expected_step, ladder, steps_around
from rdedge.classical.views import View
from rdedge.errors import ConfigError, ParityError, ShapeError, ValueRangeError
from rdedge.metrics import Scale
from rdedge.types import DTYPES, Array, Bound, Measured

# Rungs in an octave, for the first look and for the last.
_LOOK, _FINE = 8, 32
# Octaves on the coarse side in which a lattice of the data may keep the bound.
_LATTICE = 4

# Where the quantiser's grid lies against the origin, in steps.
_PHASES = (0.0, 0.25, 0.5, 0.75)

ViewOf = Callable[[Setting], View]


def series_yardsticks(
    train: Array,
    x: Array,
    bound: Bound,
    scale: Scale,
    *,
    packetised: bool,
    codecs: Sequence[str | ClassicalCodec] | None = None,
) -> list[Found]:
    """The fewest bytes of each codec, in each of the ways it can be used, that keep the bound.

    train: (M, T, C), training windows, for dictionaries, for each channel's spread (its standard
        deviation) and origin (its median). x: (N, T, C), windows to code, in time order. Both of
        one dtype, float16, float32, float64 or integers, finite, raw units.
    bound: held against the mean over all windows, as metrics.mean computes it with scale.
    packetised: True codes every window alone and adds the bytes up; nothing is added for headers,
        a caller adds what its packets need. False codes the whole stream as one array (N * T, C).
    codecs: names, or codecs of the caller's own that code whole numbers without loss; None
        for all that are installed and take series.

    The steps are proportional to each channel's spread; where channels differ in spread one step
    for all is tried too, which is better for the squared error of raw values. Codec, setting,
    layout, steps, origins and dictionaries are taken as known to both ends. Returns one entry for
    each codec and way that keeps the bound, fewest bytes first, every one decoded and measured;
    encode_s is of turning all windows into bytes, piece after piece. Raises MissingError where a
    codec that was named is not installed, ShapeError or ValueRangeError where train or x cannot be
    used.
    """
    _check(train, x)
    stream = _Stream(train, x, bound, scale, packetised)
    names = registry.available() if codecs is None else codecs
    found: list[Found] = []
    for codec in [registry.get(c) if isinstance(c, str) else c for c in names]:
        if not stream.allows(codec):
            continue
        coding = _Coding(stream, codec)
        found += filter(None, (coding.exact(), coding.at_bound()))
    return sorted(found, key=lambda f: (f.size_bytes, f.codec, f.setting))


def series_curve(
    train: Array,
    x: Array,
    codec: str | ClassicalCodec,
    scale: Scale,
    metric: str,
    *,
    packetised: bool,
    factors: Sequence[float],
) -> list[Found]:
    """A codec's own curve: sizes and distortions at steps, or tolerances, of given coarseness.

    train, x, codec, packetised: as for series_yardsticks. factors: steps as multiples of each
    channel's spread; layout and setting are chosen for each. Returns a point for each factor,
    fewest bytes first. Raises ConfigError for a codec that does not take windows so, or a factor
    at which whole numbers overflow.
    """
    _check(train, x)
    stream = _Stream(train, x, Bound(metric, 1.0), scale, packetised)
    chosen = registry.get(codec) if isinstance(codec, str) else codec
    if not stream.allows(chosen):
        raise ConfigError(f"{chosen.name} does not take such windows", expected="another codec")
    coding = _Coding(stream, chosen)
    points = [coding.at_factor(rung) for rung in ladder([float(f) for f in factors])]
    return sorted(points, key=lambda f: (f.size_bytes, f.setting))


def _check(train: Array, x: Array) -> None:
    for name, a in (("train", train), ("x", x)):
        if a.ndim != 3 or a.size == 0 or a.dtype.name not in DTYPES:
            raise ShapeError(
                f"{name} of shape {a.shape} and dtype {a.dtype}",
                expected=f"(N, T, C), none of them 0, of a dtype among {', '.join(DTYPES)}",
            )
        if not np.all(np.isfinite(a)):
            raise ValueRangeError(
                f"a value in {name} is not finite", do="leave such windows out, or fill the gaps"
            )
    if train.shape[1:] != x.shape[1:] or train.dtype != x.dtype:
        raise ShapeError(
            f"train of windows {train.shape[1:]} {train.dtype}, x of {x.shape[1:]} {x.dtype}",
            expected="windows of one shape and dtype",
        )


@dataclass(frozen=True)
class _Stream:
    """The data, the bound, and whether windows are packets."""

    train: Array
    x: Array
    bound: Bound
    scale: Scale
    packetised: bool
    # Distortions of views, by text: the same for all codecs without loss.
    known: dict[str, Measured] = field(default_factory=dict)

    def pieces(self, a: Array) -> Array:
        """(N, T, C) as what is coded at once: (N, T, C), or (1, N * T, C)."""
        return a if self.packetised else a.reshape(1, -1, a.shape[2])

    def allows(self, codec: ClassicalCodec) -> bool:
        """Whether a codec can be asked to code the windows in this way."""
        suited = self.packetised or not codec.packets_only
        return suited and not codec.pictures_only and codec.fits(self.pieces(self.x).shape[1:])

    def distortion(self, pieces: Array) -> Measured:
        value = metrics.mean(self.bound.metric, self.x, pieces.reshape(self.x.shape), self.scale)
        return Measured(value, "actual")

    def quantised(self, view: View) -> Measured:
        """The distortion of whole numbers; not a number, which keeps no bound, if they overflow."""
        if view.text not in self.known:
            numbers = view.numbers(self.x)
            self.known[view.text] = (
                Measured(float("nan"), "actual")
                if numbers is None
                else self.distortion(view.values(numbers, self.x.dtype))
            )
        return self.known[view.text]

    def spreads(self) -> list[tuple[str, Array]]:
        """What steps are proportional to, (C,) float64."""
        deviation = self.train.astype(np.float64).std(axis=(0, 1))
        positive = deviation[deviation > 0]
        # A channel that never varied in training gets the finest step that there is.
        spread = np.where(deviation > 0, deviation, positive.min() if positive.size else 1.0)
        kinds = [("steps by spread", spread)]
        if spread.max() > 1.1 * spread.min():
            kinds.append(("one step", np.ones_like(spread)))
        return kinds

    def origin(self) -> Array:
        """What steps start from, (C,) float64."""
        median: Array = np.median(self.train.astype(np.float64), axis=(0, 1))
        return median

    def views(self, whole: bool) -> list[tuple[ViewOf, float]]:
        """Ways to scale the channels by a rung's factor, each with the factor to expect."""
        try:
            step = expected_step(self.bound, self.scale)
        except ConfigError:
            step = 0.0  # the bound is relative to data that do not vary
        if not np.isfinite(step) or step <= 0:
            return []
        origin = self.origin()
        found: list[tuple[ViewOf, float]] = []
        for name, spread in self.spreads():
            expected = step / float(np.sqrt(np.mean(spread**2)))
            scaled = partial(_scaled, name=name, spread=spread, origin=origin, whole=whole)
            found += [(partial(scaled, phase=p), expected) for p in (_PHASES if whole else (0.0,))]
            if whole and np.issubdtype(self.x.dtype, np.integer):
                lattice = partial(_on_lattice, name=name, spread=spread, origin=origin)
                found.append((lattice, expected))
        return found


def _scaled(
    rung: Setting, name: str, spread: Array, origin: Array, whole: bool, phase: float
) -> View:
    text = f"{rung.text}, {name}" + (f", phase {phase:g}" if phase else "")
    return views.scaled(text, rung.option("step"), spread, origin, whole, phase)


def _on_lattice(rung: Setting, name: str, spread: Array, origin: Array) -> View:
    text = f"{rung.text}, {name}, in whole units"
    return views.on_lattice(text, rung.option("step"), spread, origin)


@dataclass(frozen=True)
class _Variant:
    """A setting of a codec, and the layout of what it is shown."""

    setting: Setting
    layout: Layout


class _Coding:
    """One codec at work on one stream."""

    def __init__(self, stream: _Stream, codec: ClassicalCodec) -> None:
        self.stream, self.codec = stream, codec
        self.x = stream.pieces(stream.x)
        self.train = stream.pieces(stream.train)
        self.bound = stream.bound

    def exact(self) -> Found | None:
        """Values as they are; None where the codec cannot."""
        view = views.exact(self.x.dtype)
        settings = self._settings()
        # A codec of floats has nothing to say to whole numbers.
        if not settings or (view.whole and self.codec.ladders()):
            return None
        try:
            best = self._choose(view, settings)
        except ShapeError:
            return None  # a codec of whole numbers, shown floats
        return self._deliver(view, best)

    def at_bound(self) -> Found | None:
        """Quantised, or within a tolerance for the codecs that know one."""
        ladders = self.codec.ladders()
        results = []
        for view_of, expected in self.stream.views(whole=not ladders):
            look, fine = steps_around(expected, _LOOK), steps_around(expected, _FINE)
            if ladders:
                found = self._tolerant(view_of, look, fine)
            else:
                found = self._quantised(view_of, look, fine)
            if found is not None:
                results.append(found)
        best = min(results, key=lambda r: r[0].size_bytes, default=None)
        return None if best is None else self._deliver(*best[1:])

    def at_factor(self, rung: Setting) -> Found:
        """Quantised, or within a tolerance, at a rung's step times each channel's spread."""
        name, spread = self.stream.spreads()[0]
        whole = not self.codec.ladders()
        view = _scaled(rung, name, spread, self.stream.origin(), whole, phase=0.0)
        if not whole:
            found = [self._deliver(view, variant) for variant in self._tolerances()]
            # Each variant errs in its own way: an octave of error is worth a bit a value.
            errors = np.maximum([f.distortion.value for f in found], 1e-300)
            octaves = -errors / 6.02 if self.bound.is_minimum else np.log2(errors)
            if self.bound.metric == "mse":
                octaves /= 2
            bits = 8.0 * np.array([f.size_bytes for f in found]) / self.x.size
            return found[int(np.argmin(bits + octaves))]
        if view.numbers(self.x) is None or view.numbers(self.train) is None:
            raise ConfigError(
                f"steps of {rung.option('step'):g} times the spread", expected="coarser steps"
            )
        return self._deliver(view, self._choose(view, self._settings()))

    def _tolerances(self) -> list[_Variant]:
        """Every kind of codec with a tolerance, at one unit, in every layout."""
        settings = [
            min(kind.settings, key=lambda s: abs(s.option("tolerance") - 1.0))
            for kind in self.codec.ladders()
        ]
        ways = layouts.for_values(self.codec.models)
        return [_Variant(setting, layout) for layout in ways for setting in settings]

    def _settings(self) -> tuple[Setting, ...]:
        return self.codec.packets() if self.stream.packetised else self.codec.lossless()

    def _quantised(
        self, view_of: ViewOf, look: Sequence[Setting], fine: Sequence[Setting]
    ) -> tuple[Found, View, _Variant] | None:
        """Layout and setting are chosen where the bound is first met, and again at the end."""
        settings = self._settings()
        variant = _Variant(settings[0], layouts.for_numbers(self.codec.models)[0])
        met = meet(look, partial(self._indices, view_of, variant), self.bound, window=1)
        if met is None:
            return None
        near = met[1] * (_FINE // _LOOK)
        rung, result = look[met[1]], None
        for _ in range(2):
            chosen = self._choose(view_of(rung), settings)
            if result is not None and chosen == result[2]:
                break
            attempt = partial(self._indices, view_of, chosen)
            again = meet(fine, attempt, self.bound, near=near, coarse=_LATTICE * _FINE)
            if again is None:
                break
            rung = fine[again[1]]
            if result is None or again[0].size_bytes < result[0].size_bytes:
                result = (again[0], view_of(rung), chosen)
        return result

    def _indices(self, view_of: ViewOf, variant: _Variant, rung: Setting) -> Found:
        """Quantise at a rung; coded only where the bound is kept, since no other can be chosen."""
        view = view_of(rung)
        distortion = self.stream.quantised(view)
        kept = self.bound.met_by(distortion.value)
        size = self._size(view, variant) if kept else 0
        return Found(self.codec.name, rung.text, size, distortion, Measured(0.0, "estimated"))

    def _tolerant(
        self, view_of: ViewOf, look: Sequence[Setting], fine: Sequence[Setting]
    ) -> tuple[Found, View, _Variant] | None:
        """At a tolerance of one unit; every variant has its own errors, so each is searched."""
        met = []
        for variant in self._tolerances():
            found = meet(look, partial(self._decoded, view_of, variant), self.bound, window=1)
            if found is not None:
                met.append((found[0].size_bytes, found[1], variant))
        if not met:
            return None
        _, place, variant = min(met, key=lambda m: m[0])
        attempt = partial(self._decoded, view_of, variant)
        again = meet(fine, attempt, self.bound, near=place * (_FINE // _LOOK))
        return None if again is None else (again[0], view_of(fine[again[1]]), variant)

    def _decoded(self, view_of: ViewOf, variant: _Variant, rung: Setting) -> Found:
        return self._deliver(view_of(rung), variant)

    def _choose(self, view: View, settings: Sequence[Setting]) -> _Variant:
        """The variant with the fewest bytes; where that takes long, first layout, then setting."""
        ways = (layouts.for_numbers if view.whole else layouts.for_values)(self.codec.models)
        size = partial(self._size, view)
        if self.codec.models == "numbers":
            return min((_Variant(s, w) for w in ways for s in settings), key=size)
        best = min((_Variant(settings[0], w) for w in ways), key=size)
        return min((_Variant(s, best.layout) for s in settings), key=size)

    def _fitted(self, view: View, variant: _Variant, dtype: str) -> ClassicalCodec | None:
        samples = view.numbers(self.train) if self.codec.packets_only else None
        laid = [] if samples is None else variant.layout.lay(samples, dtype)
        return self.codec.trained(laid, variant.setting)

    def _size(self, view: View, variant: _Variant) -> int:
        numbers = view.numbers(self.x)
        assert numbers is not None
        dtype = variant.layout.dtype(numbers)
        codec = self._fitted(view, variant, dtype)
        if codec is None:
            return sys.maxsize
        laid = variant.layout.lay(numbers, dtype)
        return sum(len(codec.encode(a, variant.setting).data) for a in laid)

    def _deliver(self, view: View, variant: _Variant) -> Found:
        """Code piece after piece, taking the time, and measure what comes back."""
        numbers = view.numbers(self.x)
        assert numbers is not None
        layout, setting = variant.layout, variant.setting
        dtype = layout.dtype(numbers)
        codec = self._fitted(view, variant, dtype)
        assert codec is not None  # what was chosen had been fitted
        start = time.perf_counter()
        coded: list[tuple[bytes, tuple[int, ...], str]] = []
        for piece in self.x:
            shown = view.numbers(piece[None])
            assert shown is not None
            (laid,) = layout.lay(shown, dtype)
            data = codec.encode(laid, setting).data
            coded.append((data, laid.shape, laid.dtype.name))
        seconds = time.perf_counter() - start
        back = np.stack([layout.undo(codec.decode(*c), self.x.shape[1:], dtype) for c in coded])
        if setting.lossless and not np.array_equal(back, numbers):
            raise ParityError(f"{self.codec.name} did not give back what it took, {setting.text}")
        return Found(
            self.codec.name,
            f"{setting.text}, {view.text}, {layout.text}",
            sum(len(c[0]) for c in coded),
            self.stream.distortion(view.values(back, self.x.dtype)),
            Measured(seconds, "actual"),
            codec.side_bytes,
            lambda: list(view.values(back, self.x.dtype).reshape(self.stream.x.shape)),
        )
