"""The picture of energy landscapes: one panel a model, all on one scale of colours.

Dark is low energy, so that ravines are dark and data lies in them.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from rdedge.report.landscape import Landscape, Marked, Panel, headline
from rdedge.report.style import default_style, drawn
from rdedge.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches, but for dots an inch.
_PANEL, _TITLE, _BAR, _STRIP, _LINE, _DPI = 4.0, 1.1, 0.9, 1.25, 0.2, 100
_IN_A_ROW = 4
_GREY = "#555555"
_COLORS = "viridis"
# Energies further below the highest than this share one colour.
_RANGE = 1e5
_MOST_POINTS = 1000
_MARKS = ("#ff5a36", "#ffffff", "#ffd23f")


def landscape_png(found: Landscape) -> bytes:
    """A PNG; the same bytes for the same data and the same matplotlib.

    Raises MissingError without matplotlib.
    """
    return drawn(landscape_figure(found), "png")


def landscape_figure(found: Landscape) -> Figure:
    """The picture as matplotlib holds it, laid out when it is drawn. Raises MissingError."""
    with default_style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        # Compressed keeps square panels close together, but knows nothing of figures in figures.
        figure = Figure(dpi=_DPI, layout="constrained" if found.marked else "compressed")
        FigureCanvasAgg(figure)
        _draw(figure, found)
    return figure


def _draw(figure: Figure, found: Landscape) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    columns = min(len(found.panels), _IN_A_ROW)
    rows = -(-len(found.panels) // columns)
    width = columns * _PANEL + _BAR
    title = textwrap.wrap(found.title, int(10 * width)) or [""]
    notes = [line for note in found.notes for line in textwrap.wrap(note, int(13 * width))]
    maps = rows * (_PANEL + _TITLE)
    strip = _STRIP if found.marked else 0.0
    lines = _LINE * (len(title) + len(notes) + 1)
    figure.set_size_inches(width, maps + strip + lines)
    parts: Any = [figure]
    if strip:
        parts = figure.subfigures(2, 1, height_ratios=[maps, strip])
    grid: Any = parts[0].subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    low, high = _scale(found)
    norm = LogNorm(low, high)
    for axes in grid.flat[len(found.panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(grid.flat, found.panels, strict=False):
        _panel(axes, found, panel, norm)
    for i, axes in enumerate(grid.flat[: len(found.panels)]):
        # Below the last panel of a column there is none whose axis would say it.
        if i + columns >= len(found.panels):
            axes.set_xlabel(found.axes[0], parse_math=False)
            axes.tick_params(labelbottom=True)
    for axes in grid[:, 0]:
        axes.set_ylabel(found.axes[1], parse_math=False)
    bar = parts[0].colorbar(ScalarMappable(norm, _COLORS), ax=grid, fraction=0.05, pad=0.01)
    bar.set_label("energy |x - g_s(g_a(x))|², squared raw units", parse_math=False)
    _ticks(bar.ax.yaxis, low, high)
    if strip:
        _pictures(parts[1], found.marked)
    figure.suptitle("\n".join([*title, ""]), x=0.01, ha="left", fontsize=12, parse_math=False)
    if notes:
        figure.supxlabel(
            "\n".join(notes), x=0.01, ha="left", fontsize=8.5, color=_GREY, parse_math=False
        )


def _scale(found: Landscape) -> tuple[float, float]:
    """The energies that get the first and the last colour, in all panels: all but the lowest one
    in a hundred, of a panel, so that a single point without error does not flatten the rest.
    """
    high = max(float(p.surface.max()) for p in found.panels) or 1.0
    low = min(float(np.quantile(p.surface, 0.01)) for p in found.panels)
    low = max(low, high / _RANGE)
    return (low, high) if low < high else (0.5 * high, high)


def _panel(axes: Axes, found: Landscape, panel: Panel, norm: Any) -> None:
    energies = np.clip(panel.surface, norm.vmin, None)
    extent = (*found.across, *found.up)
    axes.imshow(
        energies, norm=norm, cmap=_COLORS, origin="lower", extent=extent, interpolation="bilinear"
    )
    levels = _levels(norm.vmin, norm.vmax)
    levels = levels[(levels > energies.min()) & (levels < energies.max())]
    if len(levels):
        # The grid's points lie on the frame's borders.
        a, b = (np.linspace(*ends, len(energies)) for ends in (found.across, found.up))
        axes.contour(a, b, energies, levels, colors="white", linewidths=0.5, alpha=0.35)
    points = found.points[:: max(1, -(-len(found.points) // _MOST_POINTS))]
    if len(points):
        axes.scatter(points[:, 0], points[:, 1], s=1.6, color="white", alpha=0.7, linewidths=0)
    for i, marked in enumerate(found.marked):
        color = _MARKS[i % len(_MARKS)]
        axes.plot(*marked.place, "o", ms=9, mfc="none", mec=color, mew=2)
        axes.annotate(
            marked.label,
            marked.place,
            (7, 7),
            textcoords="offset points",
            color=color,
            fontweight="bold",
            parse_math=False,
        )
    axes.set_xlim(found.across)
    axes.set_ylim(found.up)
    axes.set_aspect("equal")
    said = "\n".join([panel.about, *headline(panel.numbers)])
    axes.set_title(said, loc="left", fontsize=8.5, color=_GREY, parse_math=False)
    name = textwrap.shorten(panel.name, 44, placeholder="...")
    axes.annotate(
        name,
        (0, 1),
        (0, 58),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=11,
        fontweight="bold",
        parse_math=False,
    )


def _ticks(axis: Any, low: float, high: float) -> None:
    """Round numbers, as many as fit."""
    from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullLocator

    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    heads = (1,) if high > 1000 * low else (1, 2, 5) if high > 10 * low else range(1, 10)
    chosen = [m * 10.0**d for d in decades for m in heads if low <= m * 10.0**d <= high]
    axis.set_major_locator(FixedLocator(chosen))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_locator(NullLocator())


def _levels(low: float, high: float) -> Array:
    """Two levels for each factor of ten, the same in all panels."""
    ends = np.floor(2 * np.log10(low)), np.ceil(2 * np.log10(high))
    found: Array = 10.0 ** (np.arange(ends[0], ends[1] + 1) / 2)
    return found


def _pictures(part: Any, marked: tuple[Marked, ...]) -> None:
    """The marked samples, in a strip below."""
    # As wide as they are high, and the rest empty.
    rest = part.bbox.width / part.bbox.height - len(marked)
    grid = part.subplots(1, len(marked) + 1, width_ratios=[1.0] * len(marked) + [max(0.1, rest)])
    grid[-1].set_visible(False)
    for i, (axes, one) in enumerate(zip(grid, marked, strict=False)):
        if one.is_lines:
            axes.plot(one.picture, linewidth=0.8)
            axes.margins(x=0)
        else:
            axes.imshow(one.picture, cmap="gray", interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        color = _MARKS[i % len(_MARKS)]
        axes.spines[:].set(color=_GREY if color == "#ffffff" else color, linewidth=2)
        axes.set_title(one.label, fontsize=9, parse_math=False)
