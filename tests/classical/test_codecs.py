"""Each codec gives back what it took, says what it needs, and refuses what is not its own."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

from rdedge.classical import registry
from rdedge.classical.base import PICTURES, ClassicalCodec, Setting, picture_form
from rdedge.errors import ConfigError, FormatError, MissingError, ShapeError

LIBRARIES = {"h264": "av", "jpegxl": "imagecodecs", "jpeg2000": "imagecodecs", "pcodec": "pcodec"}


def picture(levels: int = 5) -> np.ndarray:
    rng = np.random.default_rng(7)
    smooth = np.add.outer(np.arange(24), np.arange(40)) * levels // 64
    return (smooth + rng.integers(0, 2, smooth.shape)).clip(0, levels - 1).astype(np.uint8)


def last(codec: ClassicalCodec) -> Setting:
    """The last setting for grey pictures of 8 bits."""
    return [s for s in codec.settings() if s.suits("grey8")][-1]


@pytest.fixture(params=[n for n in registry.known() if n not in ("sz3", "zfp")])
def codec(request: pytest.FixtureRequest) -> ClassicalCodec:
    """Each that takes 8-bit pictures, as such or as an array."""
    if request.param in LIBRARIES:
        pytest.importorskip(LIBRARIES[request.param])
    return registry.get(request.param)


def test_every_lossless_setting_gives_back_the_picture(codec: ClassicalCodec) -> None:
    for x in (picture(), picture(200), np.full((8, 8), 3, np.uint8), picture()[:, :1]):
        for setting in codec.lossless_for("grey8"):
            encoded = codec.encode(x, setting)
            np.testing.assert_array_equal(codec.decode(encoded.data, x.shape), x, setting.text)
            assert encoded.setting is setting


def test_a_ladder_rises_in_bytes_and_in_faith(codec: ClassicalCodec) -> None:
    x = picture(200)
    for ladder in codec.ladders_for("grey8"):
        made = [codec.encode(x, s) for s in (ladder.settings[0], ladder.settings[-1])]
        errors = [np.mean((codec.decode(e.data, x.shape).astype(float) - x) ** 2) for e in made]
        assert len(made[0].data) < len(made[1].data), ladder.name
        assert errors[0] > errors[1], ladder.name
        assert errors[1] < 20, ladder.name


def image(form: str) -> np.ndarray:
    """Shades with a little noise, of odd sides, over most of the range: a picture of a form."""
    rng = np.random.default_rng(11)
    y, x = np.mgrid[:37, :51]
    planes = np.stack([5 * y + x, 255 - 3 * x, 2 * y + 2 * x], axis=-1) + rng.normal(
        0, 2, (37, 51, 3)
    )
    shown = planes.clip(0, 255) * (257 if form.endswith("16") else 1)
    shown = np.rint(shown).astype("u2" if form.endswith("16") else "u1")
    return shown if form.startswith("rgb") else np.ascontiguousarray(shown[..., 0])


TAKEN = [
    (name, form)
    for name in registry.names()
    for form in PICTURES
    if name in registry.available() and form in registry.get(name).takes
]


@pytest.mark.parametrize(("name", "form"), TAKEN)
def test_pictures_of_every_form_come_back(name: str, form: str) -> None:
    codec, x = registry.get(name), image(form)
    assert picture_form(x) == form
    peak = np.iinfo(x.dtype).max
    assert codec.ladders_for(form) or codec.lossless_for(form)
    for setting in codec.lossless_for(form):
        data = codec.encode(x, setting).data
        np.testing.assert_array_equal(codec.decode(data, x.shape, x.dtype.name), x, setting.text)
    for ladder in codec.ladders_for(form):
        if ladder.slow:
            continue
        sizes, errors = [], []
        for setting in (ladder.settings[len(ladder.settings) // 3], ladder.settings[-1]):
            data = codec.encode(x, setting).data
            back = codec.decode(data, x.shape, x.dtype.name)
            assert back.dtype == x.dtype
            sizes.append(len(data))
            errors.append(np.mean((back.astype(float) - x) ** 2))
        assert sizes[0] < sizes[1], ladder.name
        assert errors[0] > errors[1], ladder.name
        # 4:2:0 blurs colours: 30 dB is what is left for it.
        assert errors[1] < peak**2 / 1000, ladder.name


def test_the_forms_that_each_codec_takes() -> None:
    eight = {"grey8", "rgb8"}
    expected = {"avif": eight, "jpeg": eight, "webp": eight}
    expected |= {name: set(PICTURES) for name in ("png", "jpegxl", "jpeg2000")}
    taken: dict[str, set[str]] = {}
    for name, form in TAKEN:
        taken.setdefault(name, set()).add(form)
    assert taken == {name: forms for name, forms in expected.items() if name in taken}


def test_a_setting_for_another_form_is_refused() -> None:
    png, jpeg = registry.get("png"), registry.get("jpeg")
    with pytest.raises(ConfigError, match="grey picture"):
        png.encode(image("rgb8"), png.setting("palette, zlib 9 default"))
    with pytest.raises(ConfigError, match="RGB picture"):
        jpeg.encode(image("grey8"), jpeg.ladders_for("rgb8")[0].settings[0])


def test_a_file_of_another_form_is_refused() -> None:
    png, files = registry.get("png"), {}
    for form in ("grey8", "grey16", "rgb8"):
        files[form] = png.encode(image(form), png.lossless_for(form)[-1]).data
    for form, shape, dtype in (
        ("grey8", (37, 51), "uint16"),
        ("grey8", (37, 51, 3), "uint8"),
        ("grey16", (37, 51), "uint8"),
        ("rgb8", (37, 51, 3), "uint16"),
    ):
        if form == "rgb8":
            pytest.importorskip("imagecodecs")
        with pytest.raises(FormatError):
            png.decode(files[form], shape, dtype)


def test_every_setting_has_a_text_of_its_own_that_finds_it(codec: ClassicalCodec) -> None:
    settings = codec.settings()
    assert len({s.text for s in settings}) == len(settings) > 0
    assert codec.setting(settings[-1].text) == settings[-1]
    with pytest.raises(ConfigError, match="no setting"):
        codec.setting("quality 1000")


def test_the_same_setting_gives_the_same_bytes(codec: ClassicalCodec) -> None:
    setting = codec.settings()[0]
    assert codec.encode(picture(), setting) == codec.encode(picture(), setting)


def test_it_says_its_version(codec: ClassicalCodec) -> None:
    assert any(c.isdigit() for c in codec.version())


def test_bytes_cut_short_or_of_another_kind_are_refused(codec: ClassicalCodec) -> None:
    x = picture()
    data = codec.encode(x, last(codec)).data
    for bad in (b"", data[:10], b"not a file of any codec"):
        with pytest.raises(FormatError):
            codec.decode(bad, x.shape)


def test_a_file_of_another_shape_is_refused(codec: ClassicalCodec) -> None:
    data = codec.encode(picture(), last(codec)).data
    with pytest.raises(FormatError):
        codec.decode(data, (24, 41))


@pytest.mark.parametrize("name", sorted({name for name, _ in TAKEN}))
def test_what_is_no_picture_of_its_forms_is_refused(name: str) -> None:
    codec = registry.get(name)
    bad = [picture().astype(np.float32), picture()[None], picture()[:0], image("rgb8")[..., :2]]
    bad += [image(form) for form in PICTURES if form not in codec.takes]
    for x in bad:
        with pytest.raises(ShapeError, match="grey picture"):
            codec.encode(x, codec.settings()[0])


def test_a_picture_too_large_for_the_format_is_refused() -> None:
    webp = registry.get("webp")
    x = np.zeros((1, 16384), np.uint8)
    with pytest.raises(ShapeError, match="16383"):
        webp.encode(x, webp.settings()[0])
    assert webp.encode(x[:, 1:], webp.settings()[0]).data


@pytest.mark.parametrize("name", ["zstd", "lzma", "pcodec"])
@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", "int32", "int64", "float32", "float64"]
)
def test_array_codecs_take_every_dtype(name: str, dtype: str) -> None:
    pytest.importorskip(name if name == "pcodec" else "rdedge")
    codec = registry.get(name)
    x = np.random.default_rng(1).normal(0, 40, (6, 5, 2)).astype(dtype)
    for setting in codec.lossless() + codec.packets():
        data = codec.encode(x, setting).data
        np.testing.assert_array_equal(codec.decode(data, x.shape, dtype), x)


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def without(name: str, *rest: str) -> object:
        if name.split(".")[0] in ("PIL", "imagecodecs", "pcodec", "pysz", "zfpy", "zstandard"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    for name, extra in (
        ("webp", "classical"),
        ("zstd", "classical"),
        ("zstd-dictionary", "classical"),
        ("jpegxl", "jxl"),
        ("pcodec", "series"),
        ("zfp", "series"),
        ("sz3", "sz3"),
    ):
        with pytest.raises(MissingError, match=rf"pip install 'rdedge\[{extra}\]'"):
            registry.get(name)
    assert registry.available() == ("lzma",)


def test_a_form_that_needs_another_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real, png = importlib.import_module, registry.get("png")

    def without(name: str, *rest: str) -> object:
        if name == "imagecodecs":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    for act in (
        lambda: png.require("rgb16"),
        lambda: png.encode(image("rgb16"), png.lossless_for("rgb16")[0]),
    ):
        with pytest.raises(MissingError, match=r"pip install 'rdedge\[jxl\]'"):
            act()
    png.require("grey16")


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(ConfigError, match="webp"):
        registry.get("gif")


def test_no_library_is_imported_before_a_codec_is_asked_for() -> None:
    code = (
        "import sys, rdedge.classical.yardsticks\n"
        "heavy = {'PIL', 'imagecodecs', 'pcodec', 'pysz', 'zfpy', 'zstandard', 'torch'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
