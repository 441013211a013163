"""Energy landscapes side by side: the data of `rdedge landscape`, and its pages as text.

landscape_png, in landscape_png.py, draws the same data.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rdedge.report.text import table
from rdedge.types import Array

_OF_STEP = ("direction", "distance", "energy", "depth", "depth_db", "survives")
_OF_RUN = (
    "samples",
    "elements",
    "spread",
    "energy_mean",
    "energy_median",
    "stated",
    "width_random",
    "width_normal",
)


class Step(Protocol):
    """The energy at one distance off the data, as host.landscape.Step defines it."""

    @property
    def direction(self) -> str: ...
    @property
    def distance(self) -> float: ...
    @property
    def energy(self) -> float: ...
    @property
    def depth(self) -> float | None: ...
    @property
    def depth_db(self) -> float | None: ...
    @property
    def survives(self) -> float: ...


class Numbers(Protocol):
    """How the energy rises off the data, as host.landscape.Ravine defines it."""

    @property
    def samples(self) -> int: ...
    @property
    def elements(self) -> int: ...
    @property
    def spread(self) -> float: ...
    @property
    def energy_mean(self) -> float: ...
    @property
    def energy_median(self) -> float: ...
    @property
    def steps(self) -> Sequence[Step]: ...
    @property
    def stated(self) -> float: ...
    @property
    def width_random(self) -> float | None: ...
    @property
    def width_normal(self) -> float | None: ...


@dataclass(frozen=True)
class Panel:
    """One model. name, about: two lines of text. surface: (size, size) float64, energies of at
    least 0 over the frame, [row from below, column from the left].
    """

    name: str
    about: str
    surface: Array
    numbers: Numbers

    def __post_init__(self) -> None:
        assert self.surface.ndim == 2
        assert np.isfinite(self.surface).all()
        assert self.surface.min() >= 0.0


@dataclass(frozen=True)
class Marked:
    """A sample to be shown with its place on the plane. picture: (H, W) grey, or lines (T, C)."""

    label: str
    place: tuple[float, float]
    picture: Array
    is_lines: bool


@dataclass(frozen=True)
class Landscape:
    """Models over one piece of a plane. across, up: the frame, raw units; axes: what they are
    called. points: (N, 2), samples on the plane or projected onto it; may be empty. notes: what a
    reader must know, one sentence each.
    """

    title: str
    across: tuple[float, float]
    up: tuple[float, float]
    axes: tuple[str, str]
    points: Array
    marked: tuple[Marked, ...]
    panels: tuple[Panel, ...]
    notes: tuple[str, ...] = ()


def landscape_csv(found: Landscape) -> bytes:
    """One row a run, direction and distance; what is said of the run stands in each of its rows.

    Cells of what there is not are empty.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("run", "model", *_OF_STEP, *_OF_RUN))
    for panel in found.panels:
        said = [_cell(getattr(panel.numbers, name)) for name in _OF_RUN]
        for step in panel.numbers.steps:
            measured = [_cell(getattr(step, name)) for name in _OF_STEP]
            writer.writerow((panel.name, panel.about, *measured, *said))
    return buffer.getvalue().encode()


def _cell(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return repr(float(value)) if isinstance(value, float) else str(value)


def landscape_json(found: Landscape) -> dict[str, Any]:
    """The numbers, for machines, without the surfaces; null for what there is not."""
    return {
        "title": found.title,
        "frame": {"across": list(found.across), "up": list(found.up)},
        "notes": list(found.notes),
        "runs": [
            {
                "name": panel.name,
                "model": panel.about,
                **{name: getattr(panel.numbers, name) for name in _OF_RUN},
                "steps": [
                    {name: getattr(step, name) for name in _OF_STEP} for step in panel.numbers.steps
                ],
            }
            for panel in found.panels
        ],
    }


def landscape_text(found: Landscape) -> str:
    """The numbers for a terminal: what is said of each run, then each distance."""
    across = any(s.direction == "normal" for p in found.panels for s in p.numbers.steps)
    header = ["", "model", "E on data", "median", "doubles at"]
    header += ["across data"] if across else []
    rows = []
    for panel in found.panels:
        n = panel.numbers
        widths = [n.width_random, n.width_normal] if across else [n.width_random]
        energies = [_short(n.energy_mean), _short(n.energy_median)]
        rows.append([panel.name, panel.about, *energies, *map(_short, widths)])
    steps = []
    for panel in found.panels:
        for s in panel.numbers.steps:
            where = "across data" if s.direction == "normal" else "any"
            depths = [_short(s.depth), "-" if s.depth_db is None else f"{s.depth_db:.2f}"]
            numbers = [_short(s.distance), _short(s.energy), *depths, f"{s.survives:.3f}"]
            steps.append([panel.name, where, *numbers])
    lines = [found.title, "", table(header, rows), ""]
    lines.append(
        table(["", "direction", "distance", "E", "E / E on data", "dB", "survives"], steps)
    )
    return "\n".join([*lines, *(["", *found.notes] if found.notes else [])])


def headline(numbers: Numbers) -> tuple[str, ...]:
    """The numbers of a run in short lines: energy, depth at the stated distance, and width."""
    at = {s.direction: s.depth_db for s in numbers.steps if s.distance == numbers.stated}
    depths = _both("{:+.1f} dB", at.get("random"), at.get("normal"))
    widths = _both("{:.3g}", numbers.width_random, numbers.width_normal)
    return (
        f"energy on the data {numbers.energy_mean:.3g}, median {numbers.energy_median:.3g}",
        f"{numbers.stated:.3g} off it: {depths}",
        f"doubles at: {widths}",
    )


def _both(form: str, random: float | None, normal: float | None) -> str:
    said = [] if random is None else [form.format(random)]
    said += [] if normal is None else [f"{form.format(normal)} across the data"]
    return ", ".join(said) or "-"


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
