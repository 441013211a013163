"""One picture in a file -> samples (1, H, W, C), its pixels as they are stored.

Netpbm is read here, all else by Pillow, but for 16-bit colour, which Pillow cuts to 8 bits: that is
read by imagecodecs. Not kept: colour profiles, orientation tags, resolution, comments.
"""

from __future__ import annotations

import io
import re
import warnings
from typing import Any

import numpy as np

from rdedge.errors import MissingError, RdedgeError, SourceError
from rdedge.types import MAX_AXIS, Array

__all__ = ["FORMATS", "MAX_PIXELS", "SUFFIXES", "grey", "read_picture"]

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".pgm", ".ppm",
)  # fmt: skip
# What source_detail says of them.
FORMATS = frozenset({"png", "jpeg", "webp", "bmp", "tiff", "ppm", "pgm"})
# In three channels 2^28 values, which is also Pillow's limit. A file of some kB can say that it
# holds more: it is taken for a bomb.
MAX_PIXELS = (1 << 28) // 3

_PILLOW = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
_NETPBM = re.compile(rb"P([2356])" + rb"(?:\s|#[^\n]*\n)+([0-9]{1,9})" * 3 + rb"\s")


def read_picture(data: bytes, name: str) -> tuple[Array, str]:
    """data: the whole file. Samples (1, H, W, 1 or 3) of uint8 or uint16, and the format, one of
    FORMATS. Raises SourceError, or MissingError for a library.
    """
    if not data:
        raise SourceError(f"{name} is empty", expected="a picture")
    try:
        pixels, format_ = _netpbm(data, name) if data[:1] == b"P" else _pillow(data, name)
    except RdedgeError:
        raise
    except Exception as error:  # a damaged picture brings out any class of error in its parser
        raise SourceError(
            f"{name} is not a sound picture: {(str(error).splitlines() or ['damaged'])[0]:.200}",
            expected="a picture that is whole",
        ) from error
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return np.ascontiguousarray(pixels[None]), format_


def grey(x: Array) -> Array:
    """A picture (1, H, W, 3) that some tool saved in colour, though its channels are one, as that
    one (1, H, W, 1); any other as it is.
    """
    same = all(np.array_equal(x[..., 0], x[..., c]) for c in range(1, x.shape[3]))
    return np.ascontiguousarray(x[..., :1]) if same else x


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS or min(width, height) < 1 or max(width, height) > MAX_AXIS:
        raise SourceError(
            f"{name} says that it is {width} x {height} pixels",
            expected=f"1 to {MAX_PIXELS} pixels",
            do="cut it into parts",
        )


def _netpbm(data: bytes, name: str) -> tuple[Array, str]:
    """P2, P3 (text), P5, P6: values as they stand, whatever the largest may be."""
    head = _NETPBM.match(data)
    if head is None:
        raise SourceError(f"{name} has no header of Netpbm", expected="P2, P3, P5 or P6")
    kind, width, height, top = (int(part) for part in head.groups())
    _check_size(width, height, name)
    if not 1 <= top <= 0xFFFF:
        raise SourceError(f"{name} has values to {top}", expected="1 to 65535")
    channels = 3 if kind in (3, 6) else 1
    count = width * height * channels
    body = data[head.end() :]
    if kind in (2, 3):
        # Each number takes two bytes at least, so this is bounded by what is there.
        pixels = np.array(body.split()[:count], np.int64)
    else:
        wire = np.dtype(np.uint8 if top < 256 else ">u2")
        pixels = np.frombuffer(body, wire, min(count, len(body) // wire.itemsize))
    if len(pixels) != count or pixels.min() < 0 or pixels.max() > top:
        raise SourceError(f"{name} holds {len(pixels)} sound values", expected=f"{count} to {top}")
    dtype = np.uint8 if top < 256 else np.uint16
    shape = (height, width, channels)
    return pixels.astype(dtype).reshape(shape), "ppm" if channels == 3 else "pgm"


def _pillow(data: bytes, name: str) -> tuple[Array, str]:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingError(
            "pictures need Pillow, which is not installed", do="pip install 'rdedge[images]'"
        ) from error
    with warnings.catch_warnings():
        # What Pillow says of odd metadata is no matter here; the size is checked below.
        warnings.simplefilter("ignore")
        try:
            opened = Image.open(io.BytesIO(data), formats=_PILLOW)
        except UnidentifiedImageError as error:
            raise SourceError(
                f"{name} is not a sound picture", expected=f"one of {', '.join(sorted(FORMATS))}"
            ) from error
        with opened as picture:
            width, height = picture.size
            _check_size(width, height, name)
            frames = getattr(picture, "n_frames", 1)
            if frames > 1:
                raise SourceError(f"{name} holds {frames} pictures", expected="one, not moving")
            format_ = str(picture.format).lower()
            format_ = "jpeg" if format_ == "mpo" else format_
            raw = _raw_mode(picture)
            if ";16" in raw and picture.mode in ("RGB", "RGBA", "LA", "RGBX"):
                return _opaque(_deep(data, format_, name), name), format_
            return _pixels(picture, name), format_


def _raw_mode(picture: Any) -> str:
    """How the file stores its pixels, as Pillow calls it: `RGB;16B`."""
    tiles = picture.tile
    arguments = tiles[0][3] if tiles else ""
    return str(arguments if isinstance(arguments, str) else (arguments or ("",))[0])


def _pixels(picture: Any, name: str) -> Array:
    mode = picture.mode
    clear = "transparency" in picture.info
    if mode == "P":
        entries = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
        grey = bool((entries == entries[:, :1]).all())
        colours = _opaque(np.asarray(picture.convert("RGBA" if clear else "RGB")), name)
        return colours[..., :1] if grey else colours
    if mode == "1":
        picture, mode = picture.convert("L"), "L"
    if mode in ("I;16", "I;16B", "I;16L", "I"):
        values = np.asarray(picture)
        deep = mode != "I" or picture.format == "PNG"
        if not deep or (clear and (values == picture.info["transparency"]).any()):
            raise _unfit(name, f"mode {mode}" if not deep else "transparent pixels")
        return values.astype(np.uint16)
    if mode in ("L", "RGB") and clear:
        return _opaque(np.asarray(picture.convert("LA" if mode == "L" else "RGBA")), name)
    if mode in ("L", "RGB", "LA", "RGBA"):
        return _opaque(np.asarray(picture), name)
    raise _unfit(name, f"mode {mode}")


def _opaque(pixels: Array, name: str) -> Array:
    """Without the channel of alpha, where it hides nothing. (H, W) or (H, W, C)."""
    if pixels.ndim == 2 or pixels.shape[2] in (1, 3):
        return pixels
    if pixels.shape[2] not in (2, 4):
        raise _unfit(name, f"{pixels.shape[2]} channels")
    if (pixels[..., -1] != np.iinfo(pixels.dtype).max).any():
        raise _unfit(name, "transparent pixels")
    return pixels[..., :-1]


def _unfit(name: str, what: str) -> SourceError:
    return SourceError(
        f"{name} is a picture with {what}",
        expected="grey or RGB of 8 or 16 bits, opaque",
        do="convert it on purpose",
    )


def _deep(data: bytes, format_: str, name: str) -> Array:
    """Colour of 16 bits, which Pillow would cut."""
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingError(
            f"{name} is a picture of 16-bit colour: that needs imagecodecs, which is not installed",
            do="pip install 'rdedge[jxl]'",
        ) from error
    decode = {"png": imagecodecs.png_decode, "tiff": imagecodecs.tiff_decode}.get(format_)
    if decode is None:
        raise _unfit(name, f"16 bits in {format_}")
    pixels = np.asarray(decode(data))
    if pixels.dtype != np.uint16:
        raise _unfit(name, f"dtype {pixels.dtype}")
    return pixels
