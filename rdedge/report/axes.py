"""Axes and marks of the SVG plots of report.html: where a value stands, and round numbers there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rdedge.report.figures import significant
from rdedge.report.markup import Html, tag

# Of every plot, in its own units: as wide as a phone; a page makes it larger.
WIDTH = 360.0


@dataclass(frozen=True)
class Scale:
    """Values from low to high onto coordinates from start to end."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (
            (math.log(v) for v in (self.low, self.high, value))
            if self.log
            else (self.low, self.high, value)
        )
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def around(values: list[float], *, log: bool = False, room: float = 0.08) -> tuple[float, float]:
    """The range of values with some room at both ends; never empty."""
    low, high = min(values), max(values)
    if log:
        factor = max((high / low) ** room, 1.1)
        return low / factor, high * factor
    margin = room * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def ticks(scale: Scale, wanted: int = 5) -> list[float]:
    """At most about `wanted` round numbers within the scale, from low to high."""
    low, high = scale.low, scale.high
    if scale.log and high / low > 3:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for steps in ((1,), (1, 3), (1, 2, 5)):
            found = [m * 10.0**d for d in decades for m in steps if low <= m * 10.0**d <= high]
            if len(found) >= 3:
                break
        return found[:: math.ceil(len(found) / (wanted + 1))] if found else []
    step = 10.0 ** math.floor(math.log10((high - low) / wanted))
    for factor in (1, 2, 5, 10):
        first, last = math.ceil(low / (factor * step)), math.floor(high / (factor * step))
        if last - first < wanted:
            return [i * factor * step for i in range(first, last + 1)]
    raise AssertionError(scale)


def number(value: float) -> str:
    """A tick's number: round, so that no digit is lost."""
    shown = significant(float(f"{value:.6g}"), 6)
    return shown.rstrip("0").rstrip(".") if "." in shown and "e" not in shown else shown


def axis_x(scale: Scale, top: float, bottom: float, title: str, wanted: int = 5) -> list[Html]:
    """Grid lines, numbers and the title of a horizontal axis, drawn from top to bottom."""
    drawn = [
        part
        for v in ticks(scale, wanted)
        for part in (
            tag("line", class_="grid", x1=scale(v), x2=scale(v), y1=top, y2=bottom),
            tag(
                "text",
                number(v),
                x=scale(v),
                y=bottom + 14,
                text_anchor="middle",
                data_axis=f"{v:.6g}",
            ),
        )
    ]
    middle = (scale.start + scale.end) / 2
    title_ = tag("text", title, class_="axis", x=middle, y=bottom + 30, text_anchor="middle")
    return [*drawn, title_]


def axis_y(
    scale: Scale, left: float, right: float, top: float, title: str, wanted: int = 6
) -> list[Html]:
    """The same of a vertical axis; its title stands above top, where it can be read."""
    drawn = [
        part
        for v in ticks(scale, wanted)
        for part in (
            tag("line", class_="grid", x1=left, x2=right, y1=scale(v), y2=scale(v)),
            tag(
                "text",
                number(v),
                x=left - 4,
                y=scale(v) + 3.5,
                text_anchor="end",
                data_axis=f"{v:.6g}",
            ),
        )
    ]
    return [*drawn, tag("text", title, class_="axis", x=2, y=top - 10)]


def svg(name: str, height: float, title: str, about: Html | str, *inside: str | None) -> Html:
    """A picture with a title and a description that a screen reader says. about: a <desc>."""
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        about,
        *inside,
        class_="plot",
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        role="img",
        aria_labelledby=f"{name}-title {name}-about",
    )


def marker(shape: int, x: float, y: float, r: float) -> Html:
    """A mark that is told apart by its shape alone: circle, square, triangles, diamond, crosses."""
    if shape == 0:
        return tag("circle", cx=x, cy=y, r=r)
    if shape == 1:
        return tag("rect", x=x - 0.9 * r, y=y - 0.9 * r, width=1.8 * r, height=1.8 * r)
    if shape in (5, 6):
        a, b = (r, r) if shape == 5 else (1.3 * r, 0.0)
        points = ((x - a, y - b), (x + a, y + b), (x + b, y - a), (x - b, y + a))
        d = "".join(f"{'ML'[i % 2]}{u:.2f} {v:.2f}" for i, (u, v) in enumerate(points))
        return tag("path", d=d, class_="open")
    corners = {
        2: ((0, -1.2), (1.1, 0.8), (-1.1, 0.8)),
        3: ((0, -1.3), (1.1, 0), (0, 1.3), (-1.1, 0)),
        4: ((0, 1.2), (1.1, -0.8), (-1.1, -0.8)),
        7: ((-1.2, 0), (0.8, 1.1), (0.8, -1.1)),
    }[shape]
    return tag("polygon", points=" ".join(f"{x + r * a:.2f},{y + r * b:.2f}" for a, b in corners))
