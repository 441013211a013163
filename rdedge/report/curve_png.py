"""The picture of a curve: rate across, quality upward, and the score of a task below.

The frame is that of the learned codec. What lies far from it, such as a codec without loss, is left
out of the frame and named in the legend, so that what is to be compared stays readable.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rdedge.report.bd import rate_at
from rdedge.report.curve import Curve, Point, Series, series
from rdedge.report.style import default_style, drawn
from rdedge.types import METRIC_IS_MINIMUM

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Pixels. The panel of a task is half as high as the curve.
_WIDTH, _CURVE, _TASK, _LINE, _DPI = 1200, 660, 330, 19, 100
_LEARNED = ("#d1001f", "#0047c2", "#111111", "#b8009c")
_CLASSICAL = (
    ("#7d98c1", "s"),
    ("#b98b52", "^"),
    ("#74a57b", "D"),
    ("#a483ab", "v"),
    ("#69a3a6", "P"),
    ("#c48888", "X"),
    ("#9a9449", "<"),
    ("#6c7591", ">"),
    ("#9b7760", "p"),
    ("#8f8f8f", "h"),
    ("#8fae66", "d"),
    ("#b790c6", "*"),
)
_GREY = "#555555"
# How far the frame reaches beyond the learned points: in dB, and as a factor of rate.
_DECIBELS, _SHARE, _FACTOR = 1.5, 0.25, 8.0
_NAMES = {
    "psnr": "PSNR, dB",
    "mse": "mean squared error",
    "mae": "mean absolute error",
    "max-abs": "largest error",
    "nrmse": "error, in standard deviations",
}


@dataclass(frozen=True)
class _Frame:
    """What is drawn: bits per element and quality, both from, to."""

    bits: tuple[float, float]
    quality: tuple[float, float]

    def holds(self, curve: Curve, p: Point) -> bool:
        q = curve.quality(p)
        return self.has_bits(p) and self.quality[0] <= q <= self.quality[1]

    def has_bits(self, p: Point) -> bool:
        return self.bits[0] <= p.bits_per_element.value <= self.bits[1]


@dataclass(frozen=True)
class _Look:
    color: str
    marker: str
    learned: bool

    def style(self, packetised: bool) -> dict[str, Any]:
        """What Axes.plot takes: solid and filled for packets, dashed and hollow for a stream."""
        return {
            "color": self.color,
            "marker": self.marker,
            "markersize": 8 if self.learned else 6,
            "markerfacecolor": self.color if packetised else "white",
            "linewidth": 2.6 if self.learned else 1.3,
            "linestyle": "-" if packetised else (0, (4, 2)),
            "zorder": 4 if self.learned else 3,
        }


def curve_png(curve: Curve) -> bytes:
    """A PNG 1200 pixels wide; the same bytes for the same curve and the same matplotlib.

    Raises MissingError without matplotlib.
    """
    return drawn(curve_figure(curve), "png")


def curve_figure(curve: Curve) -> Figure:
    """The picture as matplotlib holds it, laid out when it is drawn. Raises MissingError."""
    with default_style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        _draw(figure, curve)
    return figure


def _draw(figure: Figure, curve: Curve) -> None:
    found = series(curve)
    frame, looks = _frame(curve), _looks(found)
    with_task = any(p.task is not None for p in curve.points)
    entries = _legend(curve, found, frame, looks, with_task)
    lines = sum(label.count("\n") + 1 for _, label in entries)
    title = textwrap.wrap(curve.title, 90) or [""]
    notes = [line for note in curve.notes for line in textwrap.wrap(note, 180)]
    panels = max(_CURVE + (_TASK if with_task else 0), _LINE * (lines + 2))
    height = panels + _LINE * (len(title) + len(notes))
    figure.set_size_inches(_WIDTH / _DPI, height / _DPI)
    ratios = [2, 1] if with_task else [1]
    grid = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)
    axes: list[Axes] = list(grid[:, 0])
    _plot(axes[0], curve, frame, looks, lambda p: p.distortion if _lossy(curve, p) else None)
    _axes_of_quality(axes[0], curve, frame)
    if with_task:
        _plot(axes[1], curve, frame, looks, lambda p: p.task)
        _axes_of_task(axes[1], curve, frame)
    axes[-1].set_xlabel(f"{curve.unit_of_rate}, of {curve.raw_bits:g} raw")
    figure.suptitle("\n".join(title), x=0.01, ha="left", fontsize=13, parse_math=False)
    if notes:
        figure.supxlabel(
            "\n".join(notes), x=0.01, ha="left", fontsize=8.5, color=_GREY, parse_math=False
        )
    legend = figure.legend(
        [handle for handle, _ in entries],
        [label for _, label in entries],
        loc="outside right upper",
        frameon=False,
        fontsize=10,
        handlelength=2.6,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _plot(
    axes: Axes,
    curve: Curve,
    frame: _Frame,
    looks: dict[str, _Look],
    height: Callable[[Point], float | None],
) -> None:
    for s in series(curve):
        style = looks[s.codec].style(s.packetised)
        # A mode without loss is no further step of a codec's lossy one: no line leads to it.
        for lossy, line in ((True, style), (False, {**style, "linestyle": "none"})):
            points = [p for p in s.points if _lossy(curve, p) is lossy]
            drawn = [(p.bits_per_element.value, y) for p in points if (y := height(p)) is not None]
            if drawn:
                axes.plot(*zip(*drawn, strict=True), **line)
    axes.set_xscale("log")
    axes.set_xlim(frame.bits)
    _ticks(axes.xaxis, frame.bits)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _axes_of_quality(axes: Axes, curve: Curve, frame: _Frame) -> None:
    axes.set_ylabel(f"{_NAMES[curve.metric]} (better is up)")
    if METRIC_IS_MINIMUM[curve.metric]:
        axes.set_ylim(frame.quality)
        return
    worst, best = (10.0 ** (-q / 10.0) for q in frame.quality)
    axes.set_yscale("log")
    axes.set_ylim(worst, best)
    _ticks(axes.yaxis, (best, worst))


def _axes_of_task(axes: Axes, curve: Curve, frame: _Frame) -> None:
    raw = curve.raw_task_score
    if raw is not None:
        axes.axhline(raw, color="black", linewidth=1.2, linestyle=":", zorder=2)
    exact = [p for p in curve.points if not _lossy(curve, p) and frame.has_bits(p)]
    shown = [p for p in curve.points if frame.holds(curve, p)] + exact
    scores = [p.task for p in shown if p.task is not None] + ([] if raw is None else [raw])
    if scores:
        low, high = min(scores), max(scores)
        margin = 0.08 * (high - low) or 0.02 * abs(high) or 0.02
        axes.set_ylim(low - margin, high + margin)
    module, colon, function = (curve.task_name or "task").partition(":")
    name = f"{module.rpartition('.')[2]}{colon}{function}"
    axes.set_ylabel("\n".join(textwrap.wrap(name, 30)), parse_math=False)


def _lossy(curve: Curve, p: Point) -> bool:
    return math.isfinite(curve.quality(p))


def _frame(curve: Curve) -> _Frame:
    lossy = [p for p in curve.points if _lossy(curve, p)]
    ours = [p for p in lossy if p.learned] or lossy or list(curve.points)
    qualities = [curve.quality(p) for p in ours if _lossy(curve, p)] or [0.0]
    margin = max(_SHARE * (max(qualities) - min(qualities)), _DECIBELS)
    quality = (min(qualities) - margin, max(qualities) + margin)
    bits = [p.bits_per_element.value for p in ours] or [curve.raw_bits]
    near = [
        p.bits_per_element.value
        for p in lossy
        if quality[0] <= curve.quality(p) <= quality[1]
        and min(bits) / _FACTOR <= p.bits_per_element.value <= max(bits) * _FACTOR
    ]
    low, high = min(bits + near), max(bits + near)
    room = max((high / low) ** 0.06, 1.1)
    return _Frame((low / room, high * room), quality)


def _looks(found: Sequence[Series]) -> dict[str, _Look]:
    """By codec: strong colours for the learned ones, muted ones and markers for the others."""
    learned = dict.fromkeys(s.codec for s in found if s.learned)
    classical = dict.fromkeys(s.codec for s in found if not s.learned)
    looks = {}
    for i, codec in enumerate(classical):
        # With more codecs than colours, the second round pairs them with other markers.
        color, _ = _CLASSICAL[i % len(_CLASSICAL)]
        _, marker = _CLASSICAL[(i + i // len(_CLASSICAL)) % len(_CLASSICAL)]
        looks[codec] = _Look(color, marker, learned=False)
    for i, codec in enumerate(learned):
        looks[codec] = _Look(_LEARNED[i % len(_LEARNED)], "o", learned=True)
    return looks


def _legend(
    curve: Curve, found: Sequence[Series], frame: _Frame, looks: dict[str, _Look], task: bool
) -> list[tuple[Any, str]]:
    """Handles and labels: a codec each, from the fewest bits; then what the lines mean."""
    from matplotlib.lines import Line2D

    entries: list[tuple[Any, str]] = []
    for codec in sorted(looks, key=lambda codec: _rank(curve, found, codec)):
        points = [p for s in found if s.codec == codec for p in s.points]
        whole = not any(p.packetised for p in points)
        handle = Line2D([], [], **looks[codec].style(not whole))
        entries.append(
            (handle, "\n".join([*textwrap.wrap(codec, 34), *_beyond(curve, points, frame)]))
        )
    for packetised, label in ((True, "packets, one a sample"), (False, "whole stream")):
        if any(s.packetised == packetised for s in found):
            style = _Look(_GREY, "o", learned=False).style(packetised)
            entries.append((Line2D([], [], **style), label))
    if task and curve.raw_task_score is not None:
        handle = Line2D([], [], color="black", linewidth=1.2, linestyle=":")
        entries.append((handle, f"task on raw data: {curve.raw_task_score:.4g}"))
    return entries


def _rank(curve: Curve, found: Sequence[Series], codec: str) -> tuple[bool, float, str]:
    """Learned first, then by the bits needed in the middle of the frame."""
    own = [s for s in found if s.codec == codec]
    ours = sorted(p.distortion for p in curve.points if p.learned and _lossy(curve, p))
    rates = [p.bits_per_element.value for s in own for p in s.points]
    bits = min(rates)
    if ours:
        middle = ours[len(ours) // 2]
        at = [rate_at(s.rates, curve.metric, middle) for s in own]
        bits = min([rate for rate in at if rate is not None], default=max(rates))
    return not any(s.learned for s in own), bits, codec


def _beyond(curve: Curve, points: Sequence[Point], frame: _Frame) -> list[str]:
    """What of a codec lies beyond the frame, in a line of the legend, or none."""
    exact = [p for p in points if not _lossy(curve, p)]
    outside = [p for p in points if _lossy(curve, p) and not frame.holds(curve, p)]
    said = [f"exact at {_range(exact)}"] if exact else []
    if outside and len(outside) + len(exact) < len(points):
        said.append(f"{len(outside)} more point{'s' if len(outside) > 1 else ''}")
    elif outside:
        said.append(f"lossy at {_range(outside)}")
    return [f"  {', '.join(said)}: not in the frame"] if said else []


def _range(points: Sequence[Point]) -> str:
    bits = [p.bits_per_element.value for p in points]
    ends = dict.fromkeys(f"{b:.3g}" for b in (min(bits), max(bits)))
    return " to ".join(ends)


def _ticks(axis: Any, limits: tuple[float, float]) -> None:
    """A few round numbers on a logarithmic axis, written out."""
    from matplotlib.ticker import FixedLocator, FormatStrFormatter, MaxNLocator, NullLocator

    low, high = limits
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    chosen: list[float] = []
    for steps in ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)):
        chosen = [m * 10.0**d for d in decades for m in steps if low <= m * 10.0**d <= high]
        if len(chosen) >= 4:
            break
    else:
        chosen = [float(v) for v in MaxNLocator(6).tick_values(low, high) if low <= v <= high]
    axis.set_major_locator(FixedLocator(chosen))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_locator(NullLocator())
