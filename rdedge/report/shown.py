"""Samples before and after, with their difference: pictures as PNG in the page, series as SVG."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rdedge.data.png import png_bytes
from rdedge.errors import ConfigError
from rdedge.report.axes import WIDTH
from rdedge.report.figures import Facts
from rdedge.report.language import Language, Said
from rdedge.report.markup import Html, join, tag
from rdedge.types import Array

# All pictures of a page together, before base64 makes them a third larger.
_BUDGET_BYTES = 1_600_000
_SIDES = (256, 192, 128, 96, 64)
_CHANNELS = 4
_STEPS = 720
_VIEWS: tuple[Literal["original", "decoded", "difference"], ...] = (
    "original",
    "decoded",
    "difference",
)


@dataclass(frozen=True)
class Pair:
    """A sample before and after, of one shape. path: of what the facts say about it."""

    path: str
    before: Array
    after: Array


def pairs(facts: Facts, samples: Mapping[str, Array], group: str) -> list[Pair]:
    """group: "shown" or "worst". Raises ConfigError where arrays and facts do not fit together."""
    prefix = "worst_x" if group == "worst" else "x"
    found = []
    for i, path in enumerate(facts.places(f"samples.{group}")):
        before, after = (_one(samples, f"{prefix}{end}", i) for end in ("", "_hat"))
        if before.shape != after.shape or not before.size:
            raise ConfigError(
                f"{path}: {before.shape} before and {after.shape} after", expected="one shape"
            )
        found.append(Pair(path, before, after))
    return found


def _one(samples: Mapping[str, Array], name: str, i: int) -> Array:
    together = samples.get(name)
    if together is not None and i < len(together):
        return np.asarray(together[i])
    if f"{name}_{i}" in samples:
        return np.asarray(samples[f"{name}_{i}"])
    raise ConfigError(f"samples.npz lacks {name}[{i}]", expected=f"{name} or {name}_{i}")


def samples_html(
    facts: Facts, language: Language, groups: Mapping[str, Sequence[Pair]]
) -> dict[str, Html]:
    """A grid of figures for each group; all groups have one contrast and share one budget."""
    every = [pair for group in groups.values() for pair in group]
    if facts.get("data.kind") == "series" or not all(_is_picture(p) for p in every):
        return {
            name: tag("div", *(_lanes(facts, language, p) for p in group), class_="samples")
            for name, group in groups.items()
        }
    tiles = _tiles(facts, every)
    numbered = dict(zip((p.path for p in every), tiles, strict=True))
    return {
        name: tag(
            "div",
            *(_picture(facts, language, p, *numbered[p.path]) for p in group),
            class_="samples",
        )
        for name, group in groups.items()
    }


def _is_picture(pair: Pair) -> bool:
    shape = pair.before.shape
    return len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))


def _tiles(facts: Facts, every: Sequence[Pair]) -> list[tuple[list[bytes], bool]]:
    """For each pair its three PNGs and whether they are a cut-out, as large as the budget lets."""
    low, high = _range(*(p.before for p in every))
    full = facts.number("samples.difference_range") or 1.0
    for side in _SIDES:
        made = [_coded(p, side, low, high, full) for p in every]
        if sum(len(png) for three, _ in made for png in three) <= _BUDGET_BYTES:
            break
    return made


def _coded(pair: Pair, side: int, low: float, high: float, full: float) -> tuple[list[bytes], bool]:
    before, after = (
        np.nan_to_num(v.reshape(*v.shape[:2], -1).astype(np.float64), nan=low)
        for v in (pair.before, pair.after)
    )
    error = np.abs(after - before).max(axis=2)
    rows, columns = (
        _window(int(at), length, side)
        for at, length in zip(
            np.unravel_index(int(error.argmax()), error.shape), error.shape, strict=True
        )
    )
    before, after = before[rows, columns], after[rows, columns]
    shares = (
        (before - low) / (high - low),
        (after - low) / (high - low),
        0.5 + 0.5 * (after - before) / full,
    )
    three = [png_bytes(np.clip(np.rint(255.0 * v), 0, 255).astype(np.uint8)) for v in shares]
    return three, error.shape != before.shape[:2]


def _range(*values: Array) -> tuple[float, float]:
    """The least and the greatest of all values that are there; one more where all are alike."""
    known = [v[np.isfinite(v)].astype(np.float64) for v in values]
    low = min((float(v.min()) for v in known if v.size), default=0.0)
    high = max((float(v.max()) for v in known if v.size), default=0.0)
    return low, high if high > low else low + 1.0


def _window(at: int, length: int, side: int) -> slice:
    start = max(0, min(at - side // 2, length - side))
    return slice(start, min(length, start + side))


def _caption(facts: Facts, language: Language, path: str) -> Said:
    return language.say(
        "samples.caption",
        facts,
        index=f"{path}.index",
        bytes=f"{path}.bytes",
        metric="bound.metric",
        distortion=f"{path}.distortion",
    )


def _picture(facts: Facts, language: Language, pair: Pair, three: list[bytes], cut: bool) -> Html:
    views = []
    for view, png in zip(_VIEWS, three, strict=True):
        alt = language.say(f"samples.alt.{view}", facts, index=f"{pair.path}.index")
        source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        image = tag("img", src=source, alt=alt.plain(), data_sources=alt.sources)
        views.append(tag("div", image, language.word(f"samples.{view}")))
    note = join(tag("br"), language.word("samples.cut")) if cut else None
    caption = join(_caption(facts, language, pair.path).html(), note)
    return tag(
        "figure", tag("div", *views, class_="triple"), tag("figcaption", caption), class_="sample"
    )


def _lanes(facts: Facts, language: Language, pair: Pair) -> Html:
    """Of a series the channels that differ most, each in a lane of its own above its error."""
    before, after = (
        v.reshape(len(v), -1).astype(np.float64)
        if v.ndim > 1
        else v.reshape(-1, 1).astype(np.float64)
        for v in (pair.before, pair.after)
    )
    channels = range(before.shape[1])
    ranges = [_range(before[:, c], after[:, c]) for c in channels]
    errors = [_range(np.abs(after[:, c] - before[:, c]))[1] for c in channels]
    worst = [error / (high - low) for error, (low, high) in zip(errors, ranges, strict=True)]
    chosen = sorted(sorted(channels, key=lambda c: -worst[c])[:_CHANNELS])
    lane, drawn = 62.0, []
    for row, c in enumerate(chosen):
        top = 4.0 + row * lane
        low, high = ranges[c]
        unit = 38.0 / (high - low)
        middle = top + 50.0
        drawn.append(tag("line", class_="grid", x1=0, x2=WIDTH, y1=middle, y2=middle))
        for name, values, origin in (
            ("before", before[:, c] - low, top + 38.0),
            ("after", after[:, c] - low, top + 38.0),
            ("error", after[:, c] - before[:, c], middle),
        ):
            drawn += [
                tag("polyline", class_=f"trace {name}", points=points)
                for points in _runs(origin - unit * values)
            ]
    name = f"sample-{pair.path.replace('.', '-')}"
    alt = language.say("samples.alt.series", facts, index=f"{pair.path}.index")
    picture = tag(
        "svg",
        tag("title", alt.plain(), id=name, data_sources=alt.sources),
        *drawn,
        class_="plot",
        viewBox=f"0 0 {WIDTH:.0f} {4 + lane * len(chosen):.0f}",
        role="img",
        aria_labelledby=name,
    )
    caption = tag("figcaption", _caption(facts, language, pair.path).html())
    return tag("figure", picture, caption, class_="sample")


def _runs(heights: Array) -> Iterator[str]:
    """The points of a line, broken where a value is missing; of a long one lows and highs alone."""
    if len(heights) > _STEPS:
        # Each group's least and greatest value, so that no spike is lost.
        groups = np.array_split(heights, _STEPS // 2)
        heights = np.array(
            [v for g in groups for v in (_range(g) if np.isfinite(g).any() else g[:2])]
        )
    x = np.linspace(0.0, WIDTH, len(heights))
    known = np.isfinite(heights)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], known.astype(int), [0]))))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield " ".join(f"{x[i]:.1f},{heights[i]:.1f}" for i in range(start, stop))
