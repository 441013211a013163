"""The delta rate against published figures, against SciPy, and by its properties."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdedge.report.bd import delta_rate, quality, rate_at

# The example of VCEG-M33 (rate in kbit/s, PSNR in dB), as github.com/tbr/bjontegaard_cpp,
# example.cpp, gives it with its result for the cubic of VCEG-M33: -13.261773 %.
M33_A = [(90.33, 27.95), (181.03, 31.17), (332.99, 34.44), (547.79, 38.11)]
M33_B = [(127.1719, 29.9286), (186.14, 32.4165), (307.2924, 34.7013), (481.5588, 37.4561)]
# The same file's "ETRO barb512" (bit/pixel, dB): nine points, -0.903450 % by the cubic.
ETRO_A = [
    (2.99899, 48.6681),
    (1.99884, 43.8357),
    (1.49673, 41.3982),
    (0.99707, 38.0124),
    (0.745941, 35.5122),
    (0.596436, 33.8673),
    (0.495148, 32.6658),
    (0.29425, 29.4505),
    (0.244049, 28.484),
]
ETRO_B = [
    (2.997253, 48.5637),
    (1.968292, 43.7318),
    (1.472565, 41.2727),
    (0.994965, 38.0001),
    (0.748871, 35.6375),
    (0.58902, 33.9057),
    (0.499176, 32.8318),
    (0.296753, 29.6851),
    (0.249634, 28.8244),
]
# The spreadsheet of JCTVC-E137 (piecewise cubic), as Netflix/vmaf,
# python/test/bd_rate_calculator_test.py, gives it, with its two results as fractions.
E137 = [
    (
        [(108048.8736, 43.6471), (61279.976, 40.3953), (33905.6656, 37.247), (18883.6928, 34.2911)],
        [
            (108061.2784, 43.6768),
            (61299.9936, 40.4232),
            (33928.7472, 37.2761),
            (18910.912, 34.3147),
        ],
        -0.00465215420752807,
    ),
    (
        [(40433.8848, 37.5761), (7622.7456, 35.3756), (2394.488, 33.8977), (1017.6184, 32.0603)],
        [(40370.12, 37.5982), (7587.0024, 35.4025), (2390.0944, 33.9194), (1017.0984, 32.0822)],
        -0.018779823450567612,
    ),
]


def percent(anchor, test, metric="psnr", **options) -> float:
    found = delta_rate(anchor, test, metric, **options)
    assert found.percent is not None, found.reason
    return found.percent


@pytest.mark.parametrize(
    ("a", "b", "published"), [(M33_A, M33_B, -13.261773), (ETRO_A, ETRO_B, -0.903450)]
)
def test_the_cubic_gives_the_published_figures(a, b, published):
    assert percent(a, b, method="cubic") == pytest.approx(published, abs=1e-6)


@pytest.mark.parametrize(("anchor", "test", "published"), E137)
def test_the_default_gives_the_figures_of_jctvc_e137(anchor, test, published):
    assert percent(anchor, test) == pytest.approx(100 * published, abs=1e-9)


@st.composite
def curves(draw) -> list[tuple[float, float]]:
    """2 to 9 points, both rate and quality rising."""
    count = draw(st.integers(2, 9))
    steps = st.lists(st.floats(0.05, 3.0), min_size=count, max_size=count)
    rates = 0.05 * np.exp(np.cumsum(draw(steps)) / 3)
    return list(zip(rates.tolist(), (28 + np.cumsum(draw(steps))).tolist(), strict=True))


@given(curves(), curves())
def test_it_is_what_scipy_gives(anchor, test):
    interpolate = pytest.importorskip("scipy.interpolate")
    low = max(anchor[0][1], test[0][1])
    high = min(anchor[-1][1], test[-1][1])
    found = delta_rate(anchor, test, "psnr")
    if low >= high:
        assert found.percent is None
        assert found.interval is None
        assert "both" in found.reason
        return
    areas = []
    for points in (anchor, test):
        rates, qualities = map(np.array, zip(*points, strict=True))
        cubic = interpolate.PchipInterpolator(qualities, np.log10(rates))
        areas.append(cubic.integrate(low, high))
        for q in (low, 0.3 * low + 0.7 * high, high):
            assert rate_at(points, "psnr", q) == pytest.approx(10 ** cubic(q))
    expected = 100 * (10 ** ((areas[1] - areas[0]) / (high - low)) - 1)
    assert found.percent == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert found.interval == (low, high)


@given(curves(), st.floats(0.1, 10.0), st.randoms(use_true_random=False))
def test_a_curve_against_itself(points, factor, random):
    scaled = [(rate * factor, d) for rate, d in points]
    random.shuffle(scaled)
    assert percent(points, points) == pytest.approx(0.0, abs=1e-9)
    assert percent(points, scaled) == pytest.approx(100 * (factor - 1), rel=1e-9, abs=1e-9)
    # 10 % less is 11.1 % more from the other side.
    back = percent(scaled, points)
    assert (1 + back / 100) * factor == pytest.approx(1.0)


def test_ten_per_cent_fewer_bits_are_ten_per_cent():
    assert percent(M33_A, [(0.9 * r, d) for r, d in M33_A]) == pytest.approx(-10.0)


@pytest.mark.parametrize("metric", ["mse", "mae", "max-abs", "nrmse"])
def test_a_metric_that_falls_with_quality(metric):
    """mse at peak 1 and psnr are one thing in two units."""
    a, b = ([(r, 10 ** (-d / 10)) for r, d in points] for points in (M33_A, M33_B))
    found = delta_rate(a, b, metric)
    assert found.percent == pytest.approx(percent(M33_A, M33_B))
    assert found.interval is not None
    assert found.interval[0] > found.interval[1]  # the worse one first
    assert quality(metric, 0.0) == np.inf
    at = rate_at(a, metric, 10 ** (-3.3))
    assert at == pytest.approx(rate_at(M33_A, "psnr", 33.0))


def test_what_another_point_beats_is_left_out():
    worse = [*M33_A, (400.0, 34.0), (333.0, 34.44), (90.33, 20.0)]
    for rotated in itertools.islice(itertools.permutations(worse), 0, 5040, 997):
        assert percent(M33_B, rotated) == percent(M33_B, M33_A)


def test_what_cannot_be_compared_says_why():
    one = [(0.1, 30.0)]
    assert delta_rate(one, M33_A, "psnr").reason == "anchor: 1 of the 2 points needed"
    assert delta_rate(M33_A, [], "psnr").reason == "test: 0 of the 2 points needed"
    exact = [(4.0, np.inf), (0.1, 30.0)]
    assert delta_rate(M33_A, exact, "psnr").percent is None
    assert "3 of the 4" in delta_rate(M33_A, M33_B[:3], "psnr", method="cubic").reason
    above = [(r, d + 50) for r, d in M33_A]
    assert delta_rate(M33_A, above, "psnr").reason == "no quality that both reach"
    assert rate_at(one, "psnr", 30.0) == pytest.approx(0.1)
    assert rate_at(one, "psnr", 30.1) is None
    assert rate_at([], "psnr", 30.0) is None
