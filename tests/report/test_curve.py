"""The pages of a curve: what they say, and that the picture can be read."""

from __future__ import annotations

import builtins
import csv
import io
import itertools
import json
import math
import struct

import pytest

from rdedge.errors import MissingError
from rdedge.report.curve import (
    Curve,
    Point,
    curve_csv,
    curve_json,
    curve_text,
    delta_rates,
    rivals,
    series,
)
from rdedge.report.curve_png import curve_figure, curve_png
from rdedge.types import Measured

# (bit/pixel, dB): of the order of what codecs reach on pictures of magnetic tiles.
CLASSICAL = {
    "AVIF": [(0.054, 29.0), (0.070, 29.7), (0.100, 30.6), (0.157, 31.7), (0.267, 33.0)],
    "WebP": [(0.066, 29.2), (0.128, 30.6), (0.277, 32.4), (0.353, 33.1)],
    "JPEG XL": [(0.118, 29.9), (0.215, 31.6), (0.507, 34.1)],
    "JPEG 2000": [(0.052, 27.7), (0.122, 29.8), (0.258, 31.9), (0.479, 33.9)],
    "JPEG": [(0.145, 29.6), (0.415, 32.4), (1.1, 36.0), (1.8, 40.0)],
}
LEARNED = [(0.226, 33.0), (0.056, 30.7), (0.110, 31.7)]


def point(codec: str, bits: float, distortion: float, **more) -> Point:
    more = {"setting": f"at {distortion:g}", "learned": False, "packetised": True, **more}
    return Point(codec, bits_per_element=Measured(bits, "actual"), distortion=distortion, **more)


def pictures(*, task: bool = False) -> Curve:
    """Five classical codecs, packetised and not, two without loss, and one learned."""

    def score(decibels: float) -> float | None:
        return 1 - 0.5 ** (min(decibels, 40) - 26) if task else None

    took = Measured(0.0123, "actual")
    points = [
        point("conv2d small", r, d, learned=True, encode_s_per_sample=took, task=score(d))
        for r, d in LEARNED
    ]
    for (codec, found), packetised in itertools.product(CLASSICAL.items(), (True, False)):
        share = 1.0 if packetised else 0.9
        points += [
            point(codec, share * r, d, packetised=packetised, task=score(d)) for r, d in found
        ]
    points.append(point("JPEG XL", 3.2, math.inf, setting="lossless", task=score(math.inf)))
    points.append(point("zstd", 4.02, math.inf, setting="level 19", task=score(math.inf)))
    name = "a.module:share_of_something" if task else None
    return Curve(
        title="Tiles",
        metric="psnr",
        unit_of_rate="bit/pixel",
        raw_bits=8,
        points=tuple(points),
        task_name=name,
        raw_task_score=score(math.inf),
        notes=("The figures are made up.",),
    )


def windows(metric: str = "mse") -> Curve:
    """Many codecs with long names, one learned point whose cost is $1 in text."""
    points = [point("linear $1_a$ {b}", 1.6, 0.011, learned=True, setting="")]
    for i in range(14):
        name = f"quantise + time delta + transform number {i} + zstd, with a dictionary"
        points += [
            point(name, (2 + 0.1 * i) * (1 + j / 2), 0.02 / 2**j, packetised=i % 2 == 0)
            for j in range(3)
        ]
    points.append(point("zstd", 23.9, 0.0))
    title = "Windows of a series whose title is as long as titles of data sets can be " * 3
    return Curve(title, metric, "bits/value", 32, tuple(points), notes=(title, title))


def test_series_are_sorted():
    found = series(pictures())
    assert [s.name for s in found][:4] == ["conv2d small", "AVIF", "AVIF, whole stream", "JPEG"]
    assert [p.distortion for p in found[0].points] == [30.7, 31.7, 33.0]
    assert [p.distortion for p in series(windows())[-1].points] == [0.0]
    falling = next(s for s in series(windows()) if len(s.points) == 3)
    assert [p.distortion for p in falling.points] == [0.02, 0.01, 0.005]


def test_rivals_are_at_least_as_good():
    curve = pictures()
    ours = curve.points[0]
    found = rivals(curve, ours)
    # JPEG XL's lossless mode is not its cheapest way to 33 dB; zstd has no other.
    assert [(r.point.codec, r.point.packetised) for r in found[:2]] == [
        ("AVIF", False),
        ("AVIF", True),
    ]
    assert found[-1].point.codec == "zstd"
    assert len(found) == 11
    assert all(r.point.distortion >= ours.distortion for r in found)
    assert found[1].share == pytest.approx(0.226 / 0.267)
    assert found[1].interpolated_share == pytest.approx(found[1].share)  # it is a point of AVIF's
    webp = next(r for r in found if r.point.codec == "WebP" and r.point.packetised)
    assert webp.interpolated_share is not None
    assert webp.share < webp.interpolated_share < 0.226 / 0.277
    assert found[-1].interpolated_share is None
    assert rivals(windows(), windows().points[0])[0].point.distortion <= 0.011


def test_delta_rates_are_of_lossy_pairs():
    found = delta_rates(pictures())
    assert len(found) == 10
    assert {test.codec for test, _, _ in found} == {"conv2d small"}
    for _, anchor, delta in found:
        assert delta.percent is not None
        assert delta.percent < 0, anchor
    assert all(d.percent is None and "test" in d.reason for _, _, d in delta_rates(windows()))


def test_csv_is_what_was_measured():
    curve = pictures(task=True)
    rows = list(csv.DictReader(io.StringIO(curve_csv(curve).decode())))
    assert len(rows) == len(curve.points)
    assert rows[0] == {
        "codec": "conv2d small",
        "setting": "at 33",
        "learned": "1",
        "packetised": "1",
        "bits_per_element": "0.226",
        "bits_kind": "actual",
        "metric": "psnr",
        "distortion": "33.0",
        "encode_s_per_sample": "0.0123",
        "encode_kind": "actual",
        "task": repr(curve.points[0].task),
    }
    assert rows[-1]["distortion"] == "inf"
    assert rows[-1]["encode_s_per_sample"] == ""
    assert b"\r" not in curve_csv(curve)


@pytest.mark.parametrize("curve", [pictures(), pictures(task=True), windows()])
def test_json_holds_what_the_other_pages_say(curve):
    found = json.loads(json.dumps(curve_json(curve), allow_nan=False))
    assert len(found["points"]) == len(curve.points)
    assert found["points"][-1]["distortion"] is None
    assert found["better"] == ("higher" if curve.metric == "psnr" else "lower")
    assert (found["task"] is None) == (curve.task_name is None)
    for entry in found["equal_distortion"]:
        ours = found["points"][entry["learned"]]
        assert ours["learned"]
        for other in entry["classical"]:
            theirs = found["points"][other["point"]]
            assert not theirs["learned"]
            bits = theirs["bits_per_element"]["value"]
            assert other["share"] == pytest.approx(ours["bits_per_element"]["value"] / bits)
    assert len(found["delta_rates"]) == len(delta_rates(curve))


def test_text_says_it_in_words():
    text = curve_text(pictures(task=True))
    lines = text.splitlines()
    assert lines[0] == "Tiles"
    assert lines[1] == "raw: 8 bit/pixel, a.module:share_of_something 0.9999"
    (avif,) = [line for line in lines if line.startswith("AVIF (at 33)")]
    assert avif.split()[3:] == ["0.2670", "33", "85", "%", "85", "%", "0.9922"]
    assert text.count("learned: conv2d small") == 3
    assert text.count("12.3 ms") == 3
    assert "exact" in next(line for line in lines if line.startswith("zstd"))
    (delta,) = [line for line in lines if line.startswith("AVIF  ") and "," in line]
    assert delta.endswith("% (30.7, 33)")
    assert lines[-1] == "- The figures are made up."
    # Columns that nothing was measured for are not there.
    other = curve_text(windows())
    assert "encode" not in other
    assert "task" not in other
    assert "test: 1 of the 2 points needed" in other
    alone = Curve("One", "psnr", "bit/pixel", 8, (point("zstd", 4.0, math.inf),))
    assert curve_text(alone) == "One\nraw: 8 bit/pixel"


# The picture.

LOSSLESS = Curve("Exact", "psnr", "bit/pixel", 8, (point("zstd", 4.0, math.inf),))
SINGLE = Curve("One", "nrmse", "bits/value", 64, (point("a", 1.2, 0.05, learned=True),))
DRAWN = {
    "pictures": pictures(),
    "with a task": pictures(task=True),
    "windows": windows(),
    "lossless": LOSSLESS,
    "one point": SINGLE,
    **{metric: windows(metric) for metric in ("mae", "max-abs", "nrmse")},
}


@pytest.mark.parametrize("curve", DRAWN.values(), ids=DRAWN)
def test_the_picture_can_be_read(curve):
    pytest.importorskip("matplotlib")
    figure = curve_figure(curve)
    figure.canvas.draw()
    page = figure.bbox
    assert page.width == 1200
    boxes = [(t.get_text(), t.get_window_extent()) for t in _drawn(figure)]
    for text, box in boxes:
        assert 0 <= box.x0 < box.x1 <= page.width, text
        assert 0 <= box.y0 < box.y1 <= page.height, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0
        assert apart, (one, other)
    for axes in figure.axes:
        assert axes.bbox.width > 0.45 * page.width
        ticks = [t for t in axes.get_xticks() if axes.get_xlim()[0] <= t <= axes.get_xlim()[1]]
        assert len(ticks) >= 3


def _drawn(figure) -> list:
    """All texts of a figure, but those of ticks beyond the limits of their axis."""
    texts = [*figure.texts, *(t for legend in figure.legends for t in legend.get_texts())]
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [t for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
            texts += [axis.label, *(tick.label1 for tick in ticks)]
    found = [t for t in texts if t.get_visible() and t.get_text()]
    assert len(found) > 8
    return found


def test_the_frame_is_that_of_the_learned_codec():
    pytest.importorskip("matplotlib")
    figure = curve_figure(pictures(task=True))
    assert len(figure.axes) == 2
    left, right = figure.axes[0].get_xlim()
    low, high = figure.axes[0].get_ylim()
    assert left < 0.056 < 0.479 < right < 1.1
    assert low < 30.7 < 33.0 < high < 36
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[0] == "conv2d small"
    assert labels[1].startswith("AVIF")
    assert "zstd\n  exact at 4.02: not in the frame" in labels
    assert "JPEG\n  4 more points: not in the frame" in labels
    assert labels[-3:] == ["packets, one a sample", "whole stream", "task on raw data: 0.9999"]
    # Better is up, also where less is better.
    worst, best = curve_figure(windows()).axes[0].get_ylim()
    assert worst > 0.011 > best


def test_the_picture_is_the_same_every_time():
    matplotlib = pytest.importorskip("matplotlib")
    data = curve_png(pictures(task=True))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        assert curve_png(pictures(task=True)) == data
    assert struct.unpack(">I", data[16:20]) == (1200,)
    chunks = set()
    at = 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.add(data[at + 4 : at + 8])
        at += 12 + length
    assert chunks == {b"IHDR", b"pHYs", b"IDAT", b"IEND"}


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingError, match=r"rdedge\[report\]"):
        curve_png(SINGLE)
