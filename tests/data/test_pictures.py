"""Pictures -> samples, and back as PNG without loss."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from itertools import islice

import numpy as np
import pytest

from rdedge.data import pictures
from rdedge.data.pictures import read_picture
from rdedge.data.png import png_bytes
from rdedge.data.sinks import restored_name, to_bytes
from rdedge.data.sources import ReadOptions, Skipped, expand, read, read_all
from rdedge.errors import FormatError, MissingError, ShapeError, SourceError
from rdedge.types import SampleSpec
from tests.format import hostile

Image = pytest.importorskip("PIL.Image")

RNG = np.random.default_rng(4)
RGB = RNG.integers(0, 256, (6, 5, 3)).astype(np.uint8)
GREY = RGB[..., :1]
DEEP = RNG.integers(0, 65536, (6, 5, 3)).astype(np.uint16)


def encoded(pixels, format_, **options):
    buffer = io.BytesIO()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.squeeze(pixels))
    picture.save(buffer, format_, **options)
    return buffer.getvalue()


def save(tmp_path, name, data):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def plain_png(pixels, depth, colour):
    """A PNG without any filter, by the letter of its specification."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


# Reading


@pytest.mark.parametrize("pixels", [GREY, RGB], ids=["grey", "rgb"])
@pytest.mark.parametrize(
    ("suffix", "format_", "options"),
    [
        (".png", "PNG", {}),
        (".webp", "WEBP", {"lossless": True}),
        (".bmp", "BMP", {}),
        (".tif", "TIFF", {}),
        (".TIFF", "TIFF", {"compression": "tiff_lzw"}),
        (".ppm", "PPM", {}),
        (".pgm", "PPM", {}),
    ],
)
def test_pixels_are_taken_as_they_are(tmp_path, pixels, suffix, format_, options):
    path = save(tmp_path, f"a{suffix}", encoded(pixels, format_, **options))
    found = read(path)
    # WebP has no grey.
    wanted = np.repeat(pixels, 3, axis=2) if format_ == "WEBP" and pixels is GREY else pixels
    assert np.array_equal(found.samples, wanted[None])
    assert found.spec == SampleSpec("image", wanted.shape, "uint8")
    assert found.kind == "image"
    assert found.detail["format"] in pictures.FORMATS
    assert found.source_bytes == path.stat().st_size
    assert read(path, spec=SampleSpec("image", (9, 9, wanted.shape[2]), "uint8")).rows is None


def test_jpeg(tmp_path):
    for suffix in (".jpg", ".JPEG"):
        data = encoded(RGB, "JPEG", quality=95)
        found = read(save(tmp_path, f"a{suffix}", data))
        assert found.detail == {"format": "jpeg"}
        with Image.open(io.BytesIO(data)) as picture:
            assert np.array_equal(found.samples[0], np.asarray(picture))


def test_the_orientation_tag_turns_nothing():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(RGB, "JPEG", exif=exif)
    assert read_picture(data, "it")[0].shape == (1, *RGB.shape)


def test_sixteen_bits_of_grey():
    deep = DEEP[..., 0]
    for format_ in ("PNG", "TIFF"):
        found, _ = read_picture(encoded(deep, format_), "it")
        assert found.dtype == np.uint16
        assert np.array_equal(found[0, ..., 0], deep)


def test_sixteen_bits_of_colour():
    codecs = pytest.importorskip("imagecodecs")
    opaque = np.concatenate([DEEP, np.full((6, 5, 1), 65535, np.uint16)], axis=2)
    for data in (
        plain_png(DEEP, 16, 2),
        plain_png(opaque, 16, 6),
        codecs.tiff_encode(DEEP),
    ):
        found, _ = read_picture(data, "it")
        assert found.dtype == np.uint16
        assert np.array_equal(found[0], DEEP)
    with pytest.raises(SourceError, match="transparent"):
        read_picture(plain_png(np.concatenate([DEEP, DEEP[..., :1]], axis=2), 16, 6), "it")


def test_sixteen_bits_of_colour_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(MissingError, match="16-bit colour") as caught:
        read_picture(plain_png(DEEP, 16, 2), "it")
    assert "jxl" in caught.value.do


def test_without_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingError) as caught:
        read_picture(encoded_before, "it")
    assert "images" in caught.value.do
    assert np.array_equal(read_picture(b"P5 2 1 255 \x01\x02", "it")[0].ravel(), [1, 2])


encoded_before = encoded(RGB, "PNG")


def test_few_colours_and_bits():
    palette = Image.fromarray(RGB).quantize(4)
    found, _ = read_picture(encoded(palette, "PNG"), "it")
    assert np.array_equal(found[0], np.asarray(palette.convert("RGB")))
    grey = Image.new("P", (5, 4), 1)
    grey.putpalette([0, 0, 0, 9, 9, 9])
    assert np.array_equal(read_picture(encoded(grey, "PNG"), "it")[0], np.full((1, 4, 5, 1), 9))
    bits = Image.fromarray(GREY[..., 0] > 99)
    found, _ = read_picture(encoded(bits, "PNG"), "it")
    assert np.array_equal(found[0], np.where(GREY > 99, 255, 0))


def test_alpha_that_hides_nothing_is_dropped():
    full = np.full((6, 5, 1), 255, np.uint8)
    for pixels in (RGB, GREY):
        with_alpha = np.concatenate([pixels, full], axis=2)
        assert np.array_equal(read_picture(encoded(with_alpha, "PNG"), "it")[0][0], pixels)
        with_alpha[0, 0, -1] = 254
        with pytest.raises(SourceError, match="transparent"):
            read_picture(encoded(with_alpha, "PNG"), "it")


def test_a_transparent_colour():
    for pixels, used, unused in (
        (np.full((4, 5), 7, np.uint8), 7, 8),
        (np.full((4, 5), 700, np.uint16), 700, 8),
    ):
        found, _ = read_picture(encoded(pixels, "PNG", transparency=unused), "it")
        assert np.array_equal(found[0, ..., 0], pixels)
        with pytest.raises(SourceError, match="transparent"):
            read_picture(encoded(pixels, "PNG", transparency=used), "it")


def test_netpbm_with_comments_text_and_odd_depths():
    assert read_picture(b"P2\n# a\n#b\n2 2 # c\n1023\n0 1\n2 1023\n", "it")[0].ravel().tolist() == [
        0, 1, 2, 1023,
    ]  # fmt: skip
    assert read_picture(b"P3 1 1 15 1 2 15\n", "it")[0].tolist() == [[[[1, 2, 15]]]]
    found, format_ = read_picture(b"P5 2 1 4095\n\x01\x02\x0f\xff", "it")
    assert (found.ravel().tolist(), str(found.dtype), format_) == ([258, 4095], "uint16", "pgm")
    assert read_picture(b"P6 1 1 255\n\x01\x02\x03", "it")[1] == "ppm"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"P",
        b"P5 2 2 255\n\x01\x02\x03",
        b"P5 2 2 15\n\x01\x02\x03\x10",
        b"P5 0 2 255\n",
        b"P5 2 2 0\n\x00\x00\x00\x00",
        b"P5 2 2 65536\n" + bytes(9),
        b"P2 2 1 255\n1 x",
        b"P2 2 1 255\n1 -1",
        b"P2 2 1 255\n1 256",
        b"P2 2 1 255\n1",
        b"P4 8 1\n\xff",
        b"P5 99999999 99999999 255\n",
        b"\x89PNG\r\n\x1a\n",
        encoded(RGB, "PNG")[:-30],
        encoded(RGB, "JPEG")[:-40],
        encoded(RGB, "GIF"),
        plain_png(np.zeros((1, 1), np.uint8), 8, 0).replace(
            b"\0\0\0\1\0\0\0\1", b"\0\1\0\0\0\1\0\0"
        ),
        encoded(Image.new("CMYK", (3, 3)), "JPEG"),
        encoded(Image.new("F", (3, 3)), "TIFF"),
        encoded(Image.new("I", (3, 3)), "TIFF"),
        encoded(RGB, "PNG", save_all=True, append_images=[Image.fromarray(255 - RGB)]),
        encoded(RGB, "TIFF", save_all=True, append_images=[Image.fromarray(RGB)]),
    ],
    ids=lambda data: data[:12].hex(),
)
def test_pictures_that_cannot_be_read(data):
    with pytest.raises(SourceError) as caught:
        read_picture(data, "it")
    assert "it" in caught.value.what
    assert caught.value.expected


def test_a_bomb_takes_no_memory():
    data = plain_png(np.zeros((1, 1), np.uint8), 8, 0)
    for side in (12_000, 1 << 30):
        header = b"IHDR" + struct.pack(">II", side, side) + data[24:29]
        bomb = data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
        with pytest.raises(SourceError, match=f"{side} x {side} pixels|bomb"):
            read_picture(bomb, "it")
        assert hostile.peak_bytes(lambda d: read_picture(d, "it"), bomb) < 1_000_000


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM"])
def test_damaged_pictures_give_samples_or_a_typed_error(format_):
    data = encoded(RGB, format_)
    for damaged in [
        *islice(hostile.flips(data), 0, None, 7),
        *islice(hostile.cuts(data), 0, None, 3),
    ]:
        found = hostile.outcome(lambda d: read_picture(d, "it")[0], damaged)
        assert isinstance(found, np.ndarray | SourceError)


# Writing


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (70, 33), (5000, 300)])
def test_png_holds_every_pixel(shape, dtype, channels):
    smooth = np.add.outer(np.arange(shape[0]) * 3, np.arange(shape[1]) * 5)[..., None]
    pixels = (smooth + RNG.integers(0, 40, (*shape, channels))).astype(dtype)
    data = png_bytes(pixels)
    with Image.open(io.BytesIO(data)) as picture:
        picture.verify()
    if dtype == "uint16" and channels == 3:
        pytest.importorskip("imagecodecs")
    found, _ = read_picture(data, "it")
    assert found.dtype == pixels.dtype
    assert np.array_equal(found[0], pixels)


def test_png_uses_its_filters():
    ramp = np.add.outer(np.arange(200) * 7, np.arange(200) * 3)[..., None].astype(np.uint8)
    noisy = (ramp + RNG.integers(0, 3, ramp.shape)).astype(np.uint8)
    assert len(png_bytes(noisy)) < 0.6 * len(plain_png(noisy, 8, 0))


def test_names_and_files_that_come_back(tmp_path):
    detail = {"format": "jpeg"}
    assert restored_name("a/x.PNG", "image", {"format": "png"}) == "a/x.PNG"
    assert restored_name("a/x.jpg", "image", detail) == "a/x.jpg.png"
    assert restored_name("x.csv", "csv", {}) == "x.csv"
    data = to_bytes(RGB[None], "image", detail)
    assert np.array_equal(read(save(tmp_path, "a.png", data)).samples[0], RGB)
    with pytest.raises(FormatError):
        to_bytes(RGB[None], "image", {"format": ["png"]})


# Arrays


@pytest.mark.parametrize(
    ("shape", "spec", "samples", "order"),
    [
        ((4, 6, 5, 3), None, (4, 6, 5, 3), None),
        ((4, 6, 5, 1), None, (4, 6, 5, 1), None),
        ((4, 6, 5), None, (4, 6, 5, 1), "grey"),
        ((6, 5), None, (1, 6, 5, 1), "single-grey"),
        ((4, 6, 5), 1, (4, 6, 5, 1), "grey"),
        ((6, 5, 3), 3, (1, 6, 5, 3), "single"),
        ((6, 5, 1), 1, (1, 6, 5, 1), "single"),
        ((4, 6, 5, 3), 3, (4, 6, 5, 3), None),
    ],
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_arrays_of_images(tmp_path, shape, spec, samples, order, suffix):
    x = RNG.integers(0, 256, shape).astype(np.uint8)
    path = tmp_path / f"a.{suffix}"
    np.save(path, x) if suffix == "npy" else np.savez(path, arr_0=x)
    wanted = None if spec is None else SampleSpec("image", (8, 8, spec), "uint8")
    found = read(path, spec=wanted, options=ReadOptions("image"))
    assert found.spec == SampleSpec("image", samples[1:], "uint8")
    assert found.detail.get("order") == order
    path.write_bytes(to_bytes(found.samples, suffix, found.detail))
    again = np.load(path) if suffix == "npy" else np.load(path)["arr_0"]
    assert np.array_equal(again, x)


@pytest.mark.parametrize(
    ("shape", "spec"),
    [((4, 6, 5, 2), 1), ((4, 6, 5), 3), ((5,), 1), ((6, 5), 3), ((0, 6, 5, 1), 1),
     ((1, 2, 3, 4, 1), 1)],
)  # fmt: skip
def test_arrays_that_are_no_images(tmp_path, shape, spec):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    with pytest.raises(ShapeError):
        read(tmp_path / "a.npy", spec=SampleSpec("image", (8, 8, spec), "uint8"))


# Folders


def test_a_folder_with_pictures_that_cannot_be_read(tmp_path):
    save(tmp_path, "in/a.png", encoded(RGB, "PNG"))
    save(tmp_path, "in/b.png", b"")
    save(tmp_path, "in/c/d.jpg", encoded(RGB[:3], "JPEG"))
    save(tmp_path, "in/c/e.webp", b"RIFF")
    save(tmp_path, "in/labels.csv", b"a\n1\n")
    skipped: list[Skipped] = []
    found = list(read_all([tmp_path / "in"], skipped, options=ReadOptions("image")))
    assert [source.name for source in found] == ["in/a.png", "in/c/d.jpg"]
    assert [source.samples.shape for source in found] == [(1, 6, 5, 3), (1, 3, 5, 3)]
    assert [one.name for one in skipped] == ["in/b.png", "in/c/e.webp"]
    assert "in/b.png is empty" in skipped[0].why
    with pytest.raises(SourceError, match=r"b\.png is empty"):
        list(read_all([tmp_path / "in/b.png"], []))


def test_a_folder_of_nothing_that_can_be_read(tmp_path):
    save(tmp_path, "in/b.png", b"")
    with pytest.raises(SourceError, match="none of 1 files") as caught:
        list(read_all([tmp_path / "in"], []))
    assert "is empty" in caught.value.what
    (tmp_path / "empty").mkdir()
    save(tmp_path, "tables/a.csv", b"1,2\n")
    for folder, kind in (("empty", None), ("tables", "image"), ("in", "series")):
        with pytest.raises(SourceError, match="no file of samples"):
            read_all([tmp_path / folder], [], options=ReadOptions(kind))


def test_pictures_that_are_not_alike(tmp_path):
    save(tmp_path, "in/a.png", encoded(RGB, "PNG"))
    for other in (encoded(GREY, "PNG"), encoded(DEEP[..., 0], "PNG")):
        path = save(tmp_path, "in/b.png", other)
        with pytest.raises(ShapeError, match=r"in/b\.png"):
            list(read_all([tmp_path / "in"], []))
        with pytest.raises(ShapeError, match=r"b\.png holds samples of kind image"):
            read(path, spec=SampleSpec("image", RGB.shape, "uint8"))
    with pytest.raises(ShapeError, match="is a picture"):
        read(path, spec=SampleSpec("vector", (3,), "uint8"))


def test_what_a_folder_is_looked_through_for(tmp_path):
    for name in ("a.npy", "b.csv", "c.png", "d.parquet", "e.txt"):
        save(tmp_path, name, b"")
    found = {
        kind: {p.name for p, _ in expand([tmp_path], kind)} for kind in (None, "image", "series")
    }
    assert found[None] == {"a.npy", "b.csv", "c.png", "d.parquet"}
    assert found["image"] == {"a.npy", "c.png"}
    assert found["series"] == {"a.npy", "b.csv", "d.parquet"}
