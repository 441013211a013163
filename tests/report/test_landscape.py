"""Pages of landscapes: every number in its place, one scale, nothing that breaks the picture."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from rdedge.report.landscape import (
    Landscape,
    Marked,
    Panel,
    headline,
    landscape_csv,
    landscape_json,
    landscape_text,
)
from rdedge.report.landscape_png import landscape_figure, landscape_png


@dataclass(frozen=True)
class Step:
    direction: str = "random"
    distance: float = 0.25
    energy: float = 4.0
    depth: float | None = 8.0
    depth_db: float | None = 9.03
    survives: float = 0.56


@dataclass(frozen=True)
class Numbers:
    samples: int = 100
    elements: int = 2
    spread: float = 1.0
    energy_mean: float = 0.5
    energy_median: float = 0.4
    steps: tuple[Step, ...] = (Step(), Step("normal", depth_db=12.0), Step(distance=0.5))
    stated: float = 0.25
    width_random: float | None = 0.125
    width_normal: float | None = None


def surface(scale: float = 1.0) -> np.ndarray:
    a, b = np.meshgrid(*2 * [np.linspace(-2, 2, 40)])
    return scale * np.square(np.hypot(a, b) - 1)


def page(*panels: Panel, **changes: object) -> Landscape:
    panels = panels or (Panel("a $run", "mlp, bound mse 1", surface(), Numbers()),)
    found = Landscape(
        title="Energy landscape, ring: 100 held-out samples",
        across=(-2.0, 2.0),
        up=(-2.0, 2.0),
        axes=("first value", "second value"),
        points=np.random.default_rng(0).normal(size=(100, 2)),
        marked=(),
        panels=panels,
    )
    return replace(found, **changes)


def test_the_csv_has_a_row_for_each_distance():
    rows = list(csv.DictReader(landscape_csv(page()).decode().splitlines()))
    assert [(r["direction"], r["distance"]) for r in rows] == [
        ("random", "0.25"),
        ("normal", "0.25"),
        ("random", "0.5"),
    ]
    assert rows[0]["run"] == "a $run"
    assert (rows[0]["depth_db"], rows[1]["depth_db"]) == ("9.03", "12.0")
    assert (rows[2]["width_random"], rows[2]["width_normal"]) == ("0.125", "")


def test_the_json_has_all_numbers():
    found = json.loads(json.dumps(landscape_json(page(notes=("one",))), allow_nan=False))
    (run,) = found["runs"]
    assert (run["name"], run["energy_mean"], run["width_normal"]) == ("a $run", 0.5, None)
    assert run["steps"][1] == {
        "direction": "normal",
        "distance": 0.25,
        "energy": 4.0,
        "depth": 8.0,
        "depth_db": 12.0,
        "survives": 0.56,
    }
    assert found["notes"] == ["one"]


def test_the_text_says_what_is_not_there():
    text = landscape_text(page(notes=("a note",)))
    assert "across data" in text
    assert text.endswith("a note")
    none = Numbers(steps=(Step(depth=None, depth_db=None),), width_random=None)
    text = landscape_text(page(Panel("b", "mlp", surface(), none)))
    assert "across data" not in text
    assert text.splitlines()[-1].split()[-3:] == ["-", "-", "0.560"]
    assert headline(Numbers())[1:] == (
        "0.25 off it: +9.0 dB, +12.0 dB across the data",
        "doubles at: 0.125",
    )
    assert headline(none)[2] == "doubles at: -"


def test_all_panels_share_one_scale_of_colours():
    pytest.importorskip("matplotlib")
    panels = [Panel(f"run {i}", "mlp", surface(10.0**i), Numbers()) for i in range(6)]
    figure = landscape_figure(page(*panels))
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 6
    limits = {axes.images[0].get_clim() for axes in shown}
    assert len(limits) == 1
    ((low, high),) = limits
    assert high == pytest.approx(surface(1e5).max())
    assert 0 < low < high
    assert all(axes.get_xlim() == axes.get_ylim() == (-2.0, 2.0) for axes in shown)
    assert [axes.texts[0].get_text() for axes in shown] == [p.name for p in panels]


FLAT = {
    "nothing": np.zeros((20, 20)),
    "one value": np.full((20, 20), 3.0),
    "tiny": surface(1e-12),
    "huge": surface(1e12),
    "steep": np.exp(30 * surface()),
}


@pytest.mark.parametrize("energies", FLAT.values(), ids=FLAT)
def test_any_surface_can_be_drawn(energies):
    pytest.importorskip("matplotlib")
    found = page(Panel("a", "mlp", energies, Numbers()), points=np.zeros((0, 2)))
    assert landscape_png(found).startswith(b"\x89PNG")


def test_marked_samples_are_drawn_and_shown():
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    marked = (
        Marked("3", (0.0, 1.0), rng.normal(size=(8, 8)), False),
        Marked("5", (1.0, -1.0), rng.normal(size=(30, 2)), True),
        Marked("9", (-1.0, -1.0), rng.integers(0, 16, (8, 8)).astype(np.uint8), False),
    )
    found = page(marked=marked, notes=("a note " * 40,))
    titles = [axes.get_title() for axes in landscape_figure(found).axes]
    assert {"3", "5", "9"} <= set(titles)
    assert landscape_png(found) == landscape_png(found)
