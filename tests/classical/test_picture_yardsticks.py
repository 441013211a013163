"""Pictures of any sizes: layouts come back, bounds are kept over all pixels, curves rise."""

import importlib

import numpy as np
import pytest

from rdedge import metrics
from rdedge.classical import picture_set, registry
from rdedge.classical.base import Setting
from rdedge.classical.mosaic import Mosaic
from rdedge.classical.picture_set import PictureSet, View
from rdedge.classical.picture_yardsticks import picture_curve, picture_yardsticks
from rdedge.classical.png import Png
from rdedge.classical.search import Found, approach, slack
from rdedge.errors import ConfigError, MissingError, ParityError, ShapeError
from rdedge.metrics import Scale
from rdedge.types import Bound, Measured

SIZES = ((40, 56), (33, 70), (64, 20))


def shade(height: int, width: int, channels: int = 1, dtype: str = "uint8") -> np.ndarray:
    """A picture (height, width, channels): shades, an edge, and some noise."""
    rng = np.random.default_rng(height * width)
    y, x = np.mgrid[:height, :width]
    planes = [60 + 2 * y + x, 40 + 3 * x, 180 - 2 * y][:channels]
    picture = np.stack(planes, axis=-1) + 60.0 * (x > y)[..., None]
    picture = (picture + rng.normal(0, 3, picture.shape)).clip(0, 255)
    return np.rint(picture * (257 if dtype == "uint16" else 1)).astype(dtype)


def album(channels: int = 1, dtype: str = "uint8", mixed: bool = True) -> list[np.ndarray]:
    return [shade(*(size if mixed else (40, 56)), channels, dtype) for size in SIZES]


def scale_of(pictures: list[np.ndarray]) -> Scale:
    return Scale.of([p[None] for p in pictures])


@pytest.mark.parametrize(("packetised", "mixed"), [(True, True), (False, True), (False, False)])
@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, "uint8"), (3, "uint8"), (1, "uint16"), (3, "uint16")]
)
def test_every_codec_keeps_the_bound(
    packetised: bool, mixed: bool, channels: int, dtype: str
) -> None:
    pictures = album(channels, dtype, mixed)
    bound = Bound("psnr", 28.0)
    found = picture_yardsticks(pictures, bound, scale_of(pictures), packetised=packetised)
    codecs = {f.codec for f in found}
    assert codecs >= {"png", "zstd", "lzma"}
    assert ({"webp", "jpeg"} <= codecs) == (dtype == "uint8")
    raw = sum(p.nbytes for p in pictures)
    for f in found:
        assert bound.met_by(f.distortion.value), f
        assert f.distortion.kind == f.encode_s.kind == "actual"
        assert 0 < f.size_bytes < raw * 1.5, f  # a mosaic of mixed sizes is padded
        assert f.encode_s.value > 0, f
    assert [f.size_bytes for f in found] == sorted(f.size_bytes for f in found)


@pytest.mark.parametrize("metric", ["mse", "psnr", "nrmse"])
def test_squared_errors_are_pooled_over_all_pixels(metric: str) -> None:
    pictures = album()
    scale = scale_of(pictures)
    whole = PictureSet.of(pictures, metric, scale, packetised=True)
    codec = registry.get("jpeg")
    setting = codec.ladders_for("grey8")[0].settings[200]
    decoded = [
        codec.decode(codec.encode(p[..., 0], setting).data, p.shape[:2])[..., None]
        for p in pictures
    ]
    flat, back = (np.concatenate([p.ravel() for p in each])[None] for each in (pictures, decoded))
    expected = metrics.mean(metric, flat, back, scale)
    assert whole.lossy(codec, setting, 1.0).distortion.value == pytest.approx(expected)


@pytest.mark.parametrize("bound", [Bound("mse", 30.0), Bound("mae", 4.0), Bound("max-abs", 20.0)])
def test_other_metrics_are_kept_too(bound: Bound) -> None:
    pictures = album()
    found = picture_yardsticks(
        pictures, bound, scale_of(pictures), packetised=True, codecs=["webp", "png"]
    )
    assert {f.codec for f in found} == {"webp", "png"}
    assert all(bound.met_by(f.distortion.value) for f in found)


def test_a_nearly_binary_picture_goes_to_two_levels_and_their_table_is_told() -> None:
    rng = np.random.default_rng(2)
    ink = [(rng.random((8, 10)) < 0.5).repeat(8, 0).repeat(8, 1)[..., None] for _ in range(3)]
    pictures = [np.clip(i * 250.0 + rng.normal(0, 3, i.shape), 0, 255).astype("u1") for i in ink]
    scale, bound = scale_of(pictures), Bound("psnr", 30.0)
    for packetised in (True, False):
        found = picture_yardsticks(pictures, bound, scale, packetised=packetised, codecs=["png"])
        assert "2 " in found[0].setting
        assert "levels" in found[0].setting
        # Both ends of packets hold the table beforehand; a stream carries it.
        assert found[0].side_bytes == (2 if packetised else 0)
        exact = next(f for f in found if "as they are" in f.setting)
        assert exact.distortion.value == np.inf
        assert found[0].size_bytes < exact.size_bytes / 4


def test_weighed_levels_need_no_more_bytes() -> None:
    pictures = album(mixed=False)
    scale, bound = scale_of(pictures), Bound("psnr", 20.0)
    quick, best = (
        picture_yardsticks(
            pictures, bound, scale, packetised=True, codecs=["png"], thorough=thorough
        )
        for thorough in (False, True)
    )
    assert best[0].size_bytes <= quick[0].size_bytes
    assert any("weighed" in f.setting for f in best)


def test_a_large_set_is_searched_on_a_part_and_the_bound_kept_on_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pictures = [*album(), shade(50, 50), shade(60, 40)]
    scale, bound = scale_of(pictures), Bound("psnr", 32.0)
    args = {"packetised": True, "codecs": ["webp", "jpeg", "zstd"]}
    exact = picture_yardsticks(pictures, bound, scale, **args)
    monkeypatch.setattr(picture_set, "SCOUT_VALUES", 2000)
    whole = PictureSet.of(pictures, "psnr", scale, packetised=True)
    assert whole.scout().values <= 2000
    near = {(f.codec, f.distortion.value == np.inf): f for f in exact}
    for f in picture_yardsticks(pictures, bound, scale, **args):
        assert bound.met_by(f.distortion.value)
        assert f.size_bytes <= 1.1 * near[f.codec, f.distortion.value == np.inf].size_bytes, f


def test_dark_pictures_are_spread_over_the_range() -> None:
    pictures = [(p // 16).astype(np.uint16) for p in album()]
    whole = PictureSet.of(pictures, "psnr", scale_of(pictures), packetised=True)
    assert whole.gains[0] > 2000
    png = registry.get("png")
    # A codec without loss stands for one that errs little: the gain must be undone to the value.
    assert (
        whole.lossy(png, png.lossless_for("grey16")[0], whole.gains[0]).distortion.value == np.inf
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_a_mosaic_of_padded_pictures_is_cut_to_their_sizes(channels: int) -> None:
    pictures = album(channels)
    exact = tuple(pictures)
    for packetised in (True, False):
        whole = PictureSet.of(pictures, "mse", scale_of(pictures), packetised)
        for name in ("png", "zstd"):
            codec = registry.get(name)
            setting = codec.lossless_for(whole.form)[0]
            # lossless() compares what comes back with what was shown, shapes included.
            assert whole.lossless(codec, setting, View("", exact, 0.0, exact)).size_bytes > 0


def test_a_mosaic_holds_colours() -> None:
    tiles = np.random.default_rng(0).integers(0, 255, (5, 3, 4, 3), np.uint8)
    mosaic = Mosaic.square(5, 3, 4)
    np.testing.assert_array_equal(mosaic.cut(mosaic.lay(tiles)), tiles)


@pytest.mark.parametrize("codec", ["webp", "jpeg", "avif"])
@pytest.mark.parametrize("between", [None, (26.0, 38.0)])
def test_a_curve_rises(codec: str, between: tuple[float, float] | None) -> None:
    if codec not in registry.available():
        pytest.skip(f"no {codec} here")
    pictures = album(3)
    points = picture_curve(
        pictures, codec, scale_of(pictures), "psnr", packetised=True, rungs=5, between=between
    )
    assert 2 <= len(points) <= 5
    sizes, decibels = [f.size_bytes for f in points], [f.distortion.value for f in points]
    assert sizes == sorted(set(sizes))
    assert decibels == sorted(set(decibels))
    if between is not None:
        assert between[0] <= decibels[0] < 30
        assert decibels[-1] > 35


def test_the_curve_of_a_codec_without_loss_is_a_point() -> None:
    pictures = album()
    (point,) = picture_curve(pictures, "zstd", scale_of(pictures), "mse", packetised=False)
    assert point.distortion.value == 0


def test_pictures_that_cannot_be_used_are_refused() -> None:
    good = album()
    scale, bound = scale_of(good), Bound("psnr", 30.0)
    for bad in (
        [],
        [good[0][..., 0]],
        [good[0].astype(np.float32)],
        [good[0][:0]],
        [*good, shade(9, 9, 3)],
        [*good, shade(9, 9, 1, "uint16")],
    ):
        with pytest.raises(ShapeError):
            picture_yardsticks(bad, bound, scale, packetised=True, codecs=["png"])
    with pytest.raises(ConfigError):
        picture_yardsticks(good, bound, scale, packetised=True, codecs=["gif"])
    deep = album(dtype="uint16")
    assert not picture_yardsticks(deep, bound, scale, packetised=True, codecs=["webp"])
    with pytest.raises(ConfigError, match="webp does not take"):
        picture_curve(deep, "webp", scale, "psnr", packetised=True)


def test_a_codec_that_breaks_its_word_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Png, "_decode", lambda self, data, shape, dtype: np.zeros(shape, dtype))
    pictures = album()
    with pytest.raises(ParityError, match="png"):
        picture_yardsticks(
            pictures, Bound("mse", 4.0), scale_of(pictures), packetised=True, codecs=["png"]
        )


def test_a_missing_library_is_named_or_its_codec_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def without(name: str, *rest: str) -> object:
        if name == "imagecodecs":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    deep = [shade(12, 12, 3, "uint16")]
    scale, bound = scale_of(deep), Bound("psnr", 30.0)
    for name in ("png", "jpegxl"):
        with pytest.raises(MissingError, match=r"pip install 'rdedge\[jxl\]'"):
            picture_yardsticks(deep, bound, scale, packetised=True, codecs=[name])
    found = picture_yardsticks(deep, bound, scale, packetised=True)
    assert {f.codec for f in found} <= {"lzma", "pcodec", "zstd"}


@pytest.mark.parametrize("near", [0, 20, 41, 60, 99])
@pytest.mark.parametrize("slope", [0.05, 0.25, 3.0, 0.0])
def test_a_crossing_is_approached_in_few_attempts(near: int, slope: float) -> None:
    asked = []

    def attempt(setting: Setting) -> Found:
        rung = setting.option("rung")
        asked.append(rung)
        value = Measured(20 + 0.25 * rung, "actual")
        return Found("none", "", 100 + rung, value, Measured(0.0, "actual"))

    rungs = [Setting(f"rung {i}", (("rung", i),)) for i in range(100)]
    bound = Bound("psnr", 30.1)
    met = approach(rungs, attempt, bound, near=near, slope=slope)
    assert met is not None
    assert bound.met_by(met[0].distortion.value)
    assert len(asked) == len(set(asked)) <= 16
    if slope == 0.25:
        assert met[1] == 41
        assert len(asked) <= 2
    assert approach(rungs[:30], attempt, bound, near=5, slope=slope) is None


def test_slack_is_in_decibels_or_octaves() -> None:
    assert slack(Bound("psnr", 30.0), 33.0) == 3.0
    assert slack(Bound("mse", 8.0), 2.0) == 2.0
    assert slack(Bound("mse", 8.0), 0.0) == np.inf
