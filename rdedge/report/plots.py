"""The plots of report.html as SVG: curve, scores, bytes, intervals. Geometry only; the figures come
from the facts and stand in the title of each mark, which a pointer shows and a reader says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rdedge.report.axes import WIDTH, Scale, around, axis_x, axis_y, marker, svg, ticks
from rdedge.report.bd import quality
from rdedge.report.figures import Facts
from rdedge.report.language import Language, Said
from rdedge.report.markup import Html, clean, join, tag
from rdedge.types import Bound

_LEFT, _RIGHT, _TOP = 50.0, 350.0, 26.0
# How far the frame of a curve reaches beyond the points that matter: a factor of rate.
_FACTOR = 8.0
# Colours of page.css and shapes of axes.marker beside the learned codec's own.
_LOOKS = 7


@dataclass(frozen=True)
class _Point:
    path: str
    codec: str
    learned: bool
    bits: float
    distortion: float | None
    score: float | None


@dataclass(frozen=True)
class Row:
    """Of a plot of intervals: a value, what it may lie between, and what it is called."""

    label: Said
    value: float
    low: float | None = None
    high: float | None = None
    strong: bool = False


def _points(facts: Facts) -> list[_Point]:
    return [
        _Point(
            path,
            facts.text(f"{path}.codec"),
            bool(facts.get(f"{path}.learned")),
            facts.number(f"{path}.bits_per_element"),
            None
            if facts.get(f"{path}.distortion.value") is None
            else facts.number(f"{path}.distortion.value"),
            None if facts.get(f"{path}.score") is None else facts.number(f"{path}.score"),
        )
        for path in facts.places("curve")
        if facts.number(f"{path}.bits_per_element") > 0
    ]


def _classes(points: list[_Point]) -> dict[str, int]:
    """A look for each codec: 0 is rdedge's, the others follow in the order of their names."""
    others = sorted({p.codec for p in points if not p.learned})
    return {c: i for i, c in enumerate(others, 1)} | {p.codec: 0 for p in points if p.learned}


def _colour(look: int) -> int:
    return look and 1 + (look - 1) % _LOOKS


def _shape(look: int) -> int:
    """Where colours begin again, shapes are shifted, so that no two codecs look alike for long."""
    return look and 1 + (look - 1 + (look - 1) // _LOOKS) % _LOOKS


def _frame(points: list[_Point], chosen: str) -> tuple[float, float]:
    """The range of bits that is drawn: of the learned points, and what is near to them."""
    ours = [p.bits for p in points if p.learned or p.path == chosen] or [p.bits for p in points]
    low, high = min(ours) / _FACTOR, max(ours) * _FACTOR
    return around([p.bits for p in points if low <= p.bits <= high], log=True)


def _mark(facts: Facts, language: Language, p: _Point, look: int, x: float, y: float) -> Html:
    say = language.say(
        "plot.point.scored" if p.score is not None else "plot.point.plain",
        facts,
        codec=f"{p.path}.codec",
        setting=f"{p.path}.setting",
        bits=f"{p.path}.bits_per_element",
        unit="data.unit_of_rate",
        metric=f"{p.path}.distortion.metric",
        distortion=f"{p.path}.distortion.value",
        saved=f"{p.path}.saved",
        **({"score": f"{p.path}.score"} if p.score is not None else {}),
    )
    return tag(
        "g",
        tag("title", say.plain(), data_sources=say.sources),
        marker(_shape(look), x, y, 4.0 if p.learned else 3.4),
        class_=f"mark c{_colour(look)}",
    )


def _chosen(language: Language, x: float, y: float, right: float) -> Html:
    """A ring around the point that was chosen, and its name on the side that has room."""
    left = x > right - 90
    return join(
        tag("circle", class_="ring", cx=x, cy=y, r=8.5),
        tag(
            "text",
            language.word("plot.chosen"),
            class_="strong halo",
            x=x + (-12 if left else 12),
            y=y - 6,
            text_anchor="end" if left else "start",
        ),
    )


def _lines(
    points: list[_Point],
    looks: dict[str, int],
    place: Callable[[_Point], tuple[float, float] | None],
) -> list[Html]:
    """One line a codec, from few bits to many; the learned one on top of the others."""
    drawn = []
    for codec, look in sorted(looks.items(), key=lambda item: -item[1]):
        own = sorted((p for p in points if p.codec == codec), key=lambda p: p.bits)
        at = [f"{xy[0]:.2f},{xy[1]:.2f}" for p in own if (xy := place(p)) is not None]
        if len(at) > 1:
            drawn.append(tag("polyline", class_=f"line c{_colour(look)}", points=" ".join(at)))
    return drawn


def _legend(facts: Facts, points: list[_Point], looks: dict[str, int]) -> Html:
    entries = []
    for codec, look in sorted(looks.items(), key=lambda item: (item[1], item[0])):
        path = next(p.path for p in points if p.codec == codec)
        swatch = tag(
            "svg",
            tag("line", class_=f"line c{_colour(look)}", x1=1, x2=27, y1=7, y2=7),
            tag("g", marker(_shape(look), 14, 7, 3.6), class_=f"mark c{_colour(look)}"),
            class_="swatch",
            viewBox="0 0 28 14",
            aria_hidden="true",
        )
        entries.append(tag("li", swatch, tag("bdi", clean(codec), data_text=f"{path}.codec")))
    return tag("ul", *entries, class_="legend")


def curve_plot(facts: Facts, language: Language) -> Html:
    """Bits across, quality upward, all codecs at all points; the chosen point is ringed.

    A curve without any learned or lossy point is drawn by what there is.
    """
    held = Bound(facts.text("bound.metric"), facts.number("bound.value"))
    points, metric = _points(facts), held.metric
    chosen = f"curve.{facts.get('chosen.run')}"
    looks = _classes(points)
    x = Scale(*_frame(points, chosen), _LEFT, _RIGHT, log=True)
    exact = [
        p
        for p in points
        if p.distortion is None or not math.isfinite(quality(metric, p.distortion))
    ]
    lossy = [p for p in points if p not in exact]
    near = [p.distortion for p in lossy if p.distortion is not None and x.holds(p.bits)]
    ours = [p.distortion for p in lossy if p.distortion is not None and p.learned]
    bound = held.value
    log = not held.is_minimum
    low, high = around([bound, *(ours or near)], log=log, room=0.35)
    top = _TOP + (20 if exact else 0)
    bottom = 262.0
    y = Scale(low, high, top, bottom, True) if log else Scale(low, high, bottom, top)

    def place(p: _Point) -> tuple[float, float] | None:
        if not x.holds(p.bits) or p.distortion is None or p in exact or not y.holds(p.distortion):
            return None
        return x(p.bits), y(p.distortion)

    lines, drawn = _lines(points, looks, place), []
    for p in sorted(points, key=lambda p: p.learned):
        at = place(p) or ((x(p.bits), _TOP + 4) if p in exact and x.holds(p.bits) else None)
        if at is not None:
            drawn.append(_mark(facts, language, p, looks[p.codec], *at))
            if p.path == chosen:
                drawn.append(_chosen(language, *at, _RIGHT))
    beside = [
        tag("line", class_="bound", x1=_LEFT, x2=_RIGHT, y1=y(bound), y2=y(bound)),
        tag(
            "text",
            language.say("plot.bound", facts).html("tspan"),
            class_="halo",
            x=_RIGHT,
            y=y(bound) + 12,
            text_anchor="end",
        ),
    ]
    if exact:
        beside.append(
            tag("text", language.word("word.exact"), x=_LEFT - 4, y=_TOP + 8, text_anchor="end")
        )
        beside.append(tag("line", class_="rule", x1=_LEFT, x2=_RIGHT, y1=_TOP + 14, y2=_TOP + 14))
    title = language.say("plot.curve.y", facts, metric="bound.metric")
    unit = language.say("plot.curve.x", facts, unit="data.unit_of_rate")
    about = language.say("plot.curve.about", facts)
    picture = svg(
        "curve",
        300,
        language.word("plot.curve.title"),
        tag("desc", about.plain(), id="curve-about", data_sources=about.sources),
        *axis_x(x, _TOP, bottom, unit.html("tspan")),
        *axis_y(y, _LEFT, _RIGHT, _TOP, title.html("tspan")),
        *lines,
        *beside,
        *drawn,
    )
    return join(picture, _legend(facts, points, looks))


def score_plot(facts: Facts, language: Language) -> Html:
    """Bits across, the score of the task upward; lines for the score on raw data and the least."""
    points = [p for p in _points(facts) if p.score is not None]
    chosen = f"curve.{facts.get('chosen.run')}"
    looks = _classes(_points(facts))
    x = Scale(*_frame(points, chosen), _LEFT, _RIGHT, log=True)
    raw, least = facts.number("task.raw_score"), facts.get("task.bound_score")
    shown = [p for p in points if x.holds(p.bits)]
    values = [p.score for p in shown if p.score is not None] + [raw]
    values += [facts.number("task.bound_score")] if least is not None else []
    bottom = 222.0
    y = Scale(*around(values), bottom, _TOP)

    def place(p: _Point) -> tuple[float, float] | None:
        return (x(p.bits), y(p.score)) if p.score is not None and x.holds(p.bits) else None

    lines, drawn = _lines(points, looks, place), []
    for p in sorted(points, key=lambda p: p.learned):
        at = place(p)
        if at is not None:
            drawn.append(_mark(facts, language, p, looks[p.codec], *at))
            if p.path == chosen:
                drawn.append(_chosen(language, *at, _RIGHT))
    held = []
    for path, key in (("task.raw_score", "plot.raw"), ("task.bound_score", "plot.least")):
        if facts.get(path) is not None:
            at_y = y(facts.number(path))
            held += [
                tag("line", class_="bound", x1=_LEFT, x2=_RIGHT, y1=at_y, y2=at_y),
                tag(
                    "text",
                    language.say(key, facts).html("tspan"),
                    class_="halo",
                    x=_LEFT + 4 if key == "plot.raw" else _RIGHT,
                    y=at_y + (-4 if key == "plot.raw" else 12),
                    text_anchor="start" if key == "plot.raw" else "end",
                ),
            ]
    about = language.say("plot.score.about", facts)
    picture = svg(
        "score",
        260,
        language.word("plot.score.title"),
        tag("desc", about.plain(), id="score-about", data_sources=about.sources),
        *axis_x(
            x, _TOP, bottom, language.say("plot.curve.x", facts, unit="data.unit_of_rate").plain()
        ),
        *axis_y(y, _LEFT, _RIGHT, _TOP, language.word("plot.score.y")),
        *lines,
        *held,
        *drawn,
    )
    scored = {p.codec: looks[p.codec] for p in points}
    return join(picture, _legend(facts, points, scored))


def bytes_plot(facts: Facts, language: Language, paths: list[tuple[Said, str]]) -> Html:
    """A bar for each (label, path of a number of bytes), the last one ours; from nothing on."""
    scale = Scale(0.0, max(facts.number(path) for _, path in paths) or 1.0, 0.0, WIDTH)
    drawn = []
    for i, (label, path) in enumerate(paths):
        said = label + language.word("word.colon") + language.figure(facts, path, "bytes")
        ours = i == len(paths) - 1
        width = max(1.0, scale(facts.number(path)))
        bar = tag("rect", class_="bar ours" if ours else "bar", width=width, height=13)
        drawn.append(_row(f"bytes-{i}", said, 13, bar, strong=ours))
    return join(*drawn)


def interval_plot(
    name: str, facts: Facts, language: Language, rows: list[Row], title: Said, base: float = 0.0
) -> Html:
    """A dot and its interval for each row, above a common axis; base: where the upright line is.

    A row without an interval gets a line from the base.
    """
    numbers = [v for r in rows for v in (r.value, r.low, r.high) if v is not None]
    scale = Scale(*around([*numbers, base], room=0.06), 8.0, WIDTH - 12)
    drawn = []
    for i, row in enumerate(rows):
        low, high = (
            (base, row.value) if row.low is None or row.high is None else (row.low, row.high)
        )
        parts = (
            *(
                tag("line", class_="grid", x1=x, x2=x, y1=0, y2=16)
                for x in map(scale, ticks(scale))
            ),
            tag("line", class_="rule", x1=scale(base), x2=scale(base), y1=0, y2=16),
            tag("line", class_="span", x1=scale(low), x2=scale(high), y1=8, y2=8),
            tag("circle", cx=scale(row.value), cy=8, r=4.5),
        )
        mark = tag("g", *parts, class_="mark c0" if row.strong else "mark c1")
        drawn.append(_row(f"{name}-{i}", row.label, 16, mark, strong=row.strong))
    about = language.word(f"plot.{name}.about")
    axis = svg(
        f"{name}-axis",
        40,
        language.word(f"plot.{name}.title"),
        tag("desc", about, id=f"{name}-axis-about"),
        *axis_x(scale, 0, 4, title.html("tspan")),
    )
    return join(*drawn, tag("div", axis))


def _row(name: str, said: Said, height: float, inside: Html, *, strong: bool) -> Html:
    """A line of text, which wraps where it must, and below it what it says as a picture."""
    picture = tag(
        "svg",
        tag("title", said.plain(), id=name, data_sources=said.sources),
        inside,
        class_="plot",
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        role="img",
        aria_labelledby=name,
    )
    return tag("div", tag("p", tag("b", said.html()) if strong else said.html()), picture)
