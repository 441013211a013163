"""CSV, intervals, and figures alike."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from methods import METHODS
from PIL import Image

mpl.use("agg")
COLOURS = {
    "renyi": "#d1001f",
    "entropy": "#0047c2",
    "both": "#7a3db8",
    "ae": "#555555",
    "dae": "#b5812a",
}
# Student's t at 97.5 %, by degrees of freedom.
_T = (math.inf, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue())


def read_csv(path: Path) -> list[dict[str, Any]]:
    """Rows, with numbers as numbers. Empty where there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{k: _number(v) for k, v in row.items()} for row in csv.DictReader(file)]


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def rounded(value: float | None, digits: int = 4) -> float | str:
    """For a CSV: so many significant digits."""
    return "" if value is None else float(f"{value:.{digits}g}")


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean and half of its 95 % confidence interval (Student's t); of one value no interval."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, math.nan
    t = _T[min(len(values) - 1, len(_T) - 1)]
    return mean, t * float(np.std(values, ddof=1)) / math.sqrt(len(values))


def shown(values: Sequence[float], digits: int = 3) -> str:
    """`12.3 ± 0.4`."""
    mean, half = interval(values)
    return f"{mean:.{digits}g}" if math.isnan(half) else f"{mean:.{digits}g} ± {half:.2g}"


def by_method(
    axis: Axes,
    rows: Sequence[dict[str, Any]],
    methods: Sequence[str],
    across: str,
    key: str,
    places: Sequence[int],
) -> None:
    """A line for each method: the mean of key with its interval, at these values of across. A
    cross marks where a run missed its bound.
    """
    for name in methods:
        of = [
            [float(str(r[key])) for r in rows if (r[across], r["method"]) == (place, name)]
            for place in places
        ]
        means, halves = zip(*(interval(v) for v in of), strict=True)
        axis.errorbar(
            places,
            means,
            np.nan_to_num(halves),
            color=COLOURS[name],
            label=METHODS[name].label,
            linewidth=1.2,
            capsize=2,
        )
        missed = [
            place
            for place in places
            if any((r[across], r["method"], r["met"]) == (place, name, False) for r in rows)
        ]
        at = [means[places.index(place)] for place in missed]
        axis.plot(missed, at, "x", color=COLOURS[name], markersize=8)


def save(figure: Figure, path: Path) -> None:
    """A small PNG: figures live in the repository."""
    figure.savefig(path, dpi=80, bbox_inches="tight")
    shrink(path)


def shrink(path: Path) -> None:
    """A PNG of 256 colours in place of one of 2^24."""
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(256)
    small.save(path, optimize=True)
