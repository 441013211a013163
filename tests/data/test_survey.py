"""What is said of columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rdedge.data.series import unwindow
from rdedge.data.sources import read
from rdedge.data.survey import lattice, survey

RNG = np.random.default_rng(5)
SKAB = Path(__file__).resolve().parents[3] / "shared" / "data" / "skab" / "anomaly-free.csv"


def six_digits(values):
    return np.array([float(f"{value:.6g}") for value in values])


def test_each_kind_of_column():
    noise = RNG.normal(size=100)
    gaps = np.where(np.arange(100) % 4 == 0, np.nan, noise)
    x = np.stack(
        [
            noise,
            np.full(100, np.nan),
            np.full(100, 2.5),
            noise,
            gaps,
            gaps,
            RNG.integers(-3, 9, 100).astype(float),
            0.25 * RNG.integers(0, 9, 100) + 1,
            np.where(np.arange(100) == 3, np.nan, 7.0),
        ],
        axis=1,
    )
    notes = survey(x, tuple("abcdefghi"))
    assert [(note.kind, note.column) for note in notes] == [
        ("empty", 1),
        ("constant", 2),
        ("duplicate", 3),
        ("missing", 4),
        ("missing", 5),
        ("duplicate", 5),
        ("integer", 6),
        ("lattice", 7),
        ("missing", 8),
        ("constant", 8),
    ]
    text = {(note.kind, note.column): note.text for note in notes}
    assert text["empty", 1] == "b: all values are missing"
    assert text["constant", 2] == "c: always 2.5"
    assert text["duplicate", 3] == "d: the same as a"
    assert text["missing", 4] == "e: 25 values are missing (25 %)"
    assert text["integer", 6] == "g: whole numbers from -3 to 8"
    assert text["lattice", 7] == "h: steps of 0.25 from 1, 9 levels"
    assert survey(x[:, 2:3])[0].text == "column 1: always 2.5"


@pytest.mark.parametrize(
    ("step", "levels", "blur"),
    [(0.32793, 30, 0), (1 / 3, 200, 0.003), (1 / 3, 40, 0.02), (17.3, 3, 0), (0.1, 3000, 0)],
)
@pytest.mark.parametrize("origin", [0.0547, -1234.5])
def test_a_lattice_printed_with_six_digits(step, levels, blur, origin):
    k = np.append(RNG.integers(0, levels, 9000), [0, levels - 1] * 20)
    values = six_digits(step * (k + blur * RNG.normal(size=len(k))) + origin)
    found = lattice(values)
    if abs(origin) > 1000 and step < 0.2:
        assert found is None or found.step == pytest.approx(step, rel=1e-3)
        return
    assert found is not None
    assert found.step == pytest.approx(step, rel=1e-3)
    assert abs(found.levels - levels) <= 2, "the rarest may be left out"
    assert found.origin == pytest.approx(origin, abs=2.1 * step)
    assert found.blur <= max(0.03, 4 * blur)


def test_a_lattice_with_levels_left_out_and_outliers():
    values = 0.7 * RNG.choice([0, 2, 5, 9, 12, 19], 2000) + 3
    assert lattice(values).step == pytest.approx(0.7)
    values[:15] = 100 * RNG.normal(size=15)
    found = lattice(values)
    assert found.step == pytest.approx(0.7)
    assert found.levels == 20


def test_the_coarsest_lattice():
    """Printed with three decimals, but in steps of a quarter."""
    values = np.round(0.25 * RNG.integers(0, 50, 1000), 3)
    assert lattice(values).step == pytest.approx(0.25)


@pytest.mark.parametrize(
    "values",
    [
        RNG.normal(size=5000),
        np.cumsum(RNG.normal(size=5000)),
        RNG.random(40),
        np.round(RNG.random(5000), 4),
        np.zeros(100),
        np.array([0.0, 1.0] * 15),
        np.array([np.nan] * 100),
        np.array([]),
        np.arange(5000) * 1.0,
    ],
)
def test_no_lattice(values):
    assert lattice(values) is None


def test_few_values_of_chance_are_on_no_lattice():
    for size in (33, 50, 200):
        for _ in range(100):
            assert lattice(RNG.normal(size=size)) is None


def test_far_from_zero():
    found = lattice(1e9 + 0.25 * RNG.integers(0, 9, 1000))
    assert (found.step, found.levels) == (pytest.approx(0.25), 9)


@pytest.mark.skipif(not SKAB.exists(), reason="SKAB is not here")
def test_skab():
    source = read(SKAB)
    x = unwindow(source.samples, source.rows).astype(np.float64)
    found = {source.columns[n.column]: lattice(x[:, n.column]) for n in survey(x, source.columns)}
    assert set(found) == {"Pressure", "Volume Flow RateRMS"}
    assert found["Pressure"].step == pytest.approx(0.32793, rel=1e-4)
    assert found["Volume Flow RateRMS"].step == pytest.approx(1 / 3, rel=2e-3)
