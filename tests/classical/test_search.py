"""The search keeps the bound, with the fewest bytes, also where nothing is monotone."""

import pytest

from rdedge.classical.base import Setting
from rdedge.classical.search import Found, fewest, meet
from rdedge.types import Bound, Measured

MSE = Bound("mse", 4.0)


def ladder(size: int) -> list[Setting]:
    return [Setting(f"rung {i}", (("rung", i),)) for i in range(size)]


def found(rung: int, size: float, distortion: float) -> Found:
    return Found(
        "none", f"rung {rung}", int(size), Measured(distortion, "actual"), Measured(0.0, "actual")
    )


class Curve:
    """Sizes and distortions by rung; counts how often each is asked for."""

    def __init__(self, sizes: list[float], distortions: list[float]) -> None:
        self.sizes, self.distortions = sizes, distortions
        self.asked: list[int] = []

    def __call__(self, setting: Setting) -> Found:
        rung = setting.option("rung")
        self.asked.append(rung)
        return found(rung, self.sizes[rung], self.distortions[rung])


def test_a_monotone_ladder_is_searched_exactly_and_each_rung_asked_once() -> None:
    curve = Curve([100 + i for i in range(200)], [50 - i / 4 for i in range(200)])
    result = meet(ladder(200), curve, MSE)
    assert result is not None
    assert result[1] == 184
    assert result[0].size_bytes == 284
    assert len(curve.asked) == len(set(curve.asked)) < 25


def test_a_psnr_bound_looks_the_other_way() -> None:
    curve = Curve(list(range(100)), [i / 2 for i in range(100)])
    result = meet(ladder(100), curve, Bound("psnr", 24.0))
    assert result is not None
    assert result[1] == 48


def test_a_cheaper_neighbour_beyond_a_dip_is_found() -> None:
    sizes = [float(i) for i in range(60)]
    distortions = [60.0 - i for i in range(60)]
    distortions[53] = 3.9  # rungs 54 and 55 miss the bound again
    result = meet(ladder(60), Curve(sizes, distortions), MSE)
    assert result is not None
    assert result[1] == 53


def test_short_ladders_are_tried_in_full() -> None:
    result = meet(ladder(13), Curve([9.0] * 12 + [2.0], [1.0] * 13), MSE)
    assert result is not None
    assert result[1] == 12


def test_a_wrong_hint_is_climbed_away_from() -> None:
    curve = Curve(list(range(100)), [100.0 - i for i in range(100)])
    result = meet(ladder(100), curve, MSE, near=2, window=1)
    assert result is not None
    assert result[0].distortion.value <= 4


@pytest.mark.parametrize("size", [1, 5, 80])
def test_none_where_no_rung_keeps_the_bound(size: int) -> None:
    assert meet(ladder(size), Curve([1.0] * size, [5.0] * size), MSE) is None


def test_fewest_ignores_what_misses_the_bound_or_is_no_number() -> None:
    entries = [found(0, 1, 9.0), found(1, 2, float("nan")), found(2, 3, 4.0), found(3, 4, 0.0)]
    best = fewest(entries, MSE)
    assert best is not None
    assert best.size_bytes == 3
    assert fewest(entries[:2], MSE) is None
