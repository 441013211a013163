"""The picture of `rdedge savings LEDGER` for slides: bytes, the saving, what would change it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdedge.errors import ConfigError
from rdedge.report.style import Form, default_style, drawn
from rdedge.report.text import size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WAYS = {"raw": "raw", "today": "today", "best": "best classical", "ours": "rdedge"}
_OURS, _OTHER, _INK = "#0b4fb3", "#8a929c", "#1a1c1f"
_FORMS: dict[str, Form] = {".png": "png", ".svg": "svg"}


def savings_picture(found: Mapping[str, Any], form: Form) -> bytes:
    """found: what LedgerSavings.to_json gives. Raises MissingError without matplotlib."""
    return drawn(savings_figure(found), form)


def form_of(path: Path) -> Form:
    """What a picture is written as, by the end of its name. Raises ConfigError for any other."""
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise ConfigError(f"a picture called {path.name!r:.80}", expected="a name in .png or .svg")
    return form


def savings_figure(found: Mapping[str, Any]) -> Figure:
    """1200 x 675 pixels, as a slide is."""
    with default_style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(12, 6.75), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.2])
        _bytes(left, found)
        _changes(right, found)
        saving = found["saving"]
        title = f"{_amount(saving['value'], saving)} saved per device and month"
        if saving["low"] is not None and saving["high"] is not None:
            ends = f"{_amount(saving['low'], saving)} to {_amount(saving['high'], saving)}"
            title += f" ({saving['confidence']:.0%} interval: {ends})"
        figure.suptitle(
            f"{title},\nagainst {saving['against']}", x=0.01, ha="left", parse_math=False
        )
    return figure


def _amount(value: float, saving: Mapping[str, Any]) -> str:
    digits = 2 if abs(value) >= 0.1 or value == 0 else 4
    return f"{saving['currency']} {value:,.{digits}f}"


def _bytes(axes: Axes, found: Mapping[str, Any]) -> None:
    totals = found["totals"]
    ways = [way for way in _WAYS if totals.get(f"{way}_wire") is not None]
    counts = [totals[f"{way}_wire"] for way in ways]
    colours = [_OURS if way == "ours" else _OTHER for way in ways]
    bars = axes.barh([_WAYS[way] for way in ways], counts, color=colours, height=0.6)
    axes.bar_label(bars, [size(n) for n in counts], padding=4, color=_INK)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * max(*counts, 1))
    axes.set_xticks([])
    axes.set_title("bytes on the wire, the same samples", loc="left", fontsize=11)
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _changes(axes: Axes, found: Mapping[str, Any]) -> None:
    """The saving with its interval, and below it the saving where one thing is otherwise."""
    saving = found["saving"]
    value, low, high = saving["value"], saving["low"], saving["high"]
    names = ["as it is", *(f"{s['what']} {s['change']}" for s in saving["sensitivity"])]
    values = [value, *(s["value"] for s in saving["sensitivity"])]
    places = list(range(len(names)))
    axes.axvline(value, color=_OTHER, linewidth=1)
    axes.axvline(0, color=_INK, linewidth=1)
    axes.hlines(places[1:], value, values[1:], color=_OTHER, linewidth=3)
    if low is not None and high is not None:
        axes.hlines([0], [low], [high], color=_OURS, linewidth=3)
    axes.plot(values[1:], places[1:], "o", color=_OTHER)
    axes.plot([value], [0], "o", color=_OURS, markersize=9)
    axes.set_yticks(places, names, parse_math=False)
    axes.invert_yaxis()
    axes.margins(y=0.15)
    axes.set_xlabel(f"{saving['currency']} saved per device and month", parse_math=False)
    axes.set_title("the saving, and what would change it", loc="left", fontsize=11)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
