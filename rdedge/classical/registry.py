"""Which classical codecs there are. A codec's file is imported when the codec is asked for."""

from __future__ import annotations

import importlib

from rdedge.classical.base import ClassicalCodec
from rdedge.errors import ConfigError, MissingError

# Name -> (module, class). Sorted by name.
_CODECS: dict[str, tuple[str, str]] = {
    "avif": ("avif", "Avif"),
    "jpeg": ("jpeg", "Jpeg"),
    "jpeg2000": ("jpeg2000", "Jpeg2000"),
    "jpegxl": ("jpegxl", "JpegXl"),
    "lzma": ("lzma", "Lzma"),
    "pcodec": ("pcodec", "Pcodec"),
    "png": ("png", "Png"),
    "sz3": ("sz3", "Sz3"),
    "webp": ("webp", "WebP"),
    "zfp": ("zfp", "Zfp"),
    "zstd": ("zstd", "Zstd"),
    "zstd-dictionary": ("zstd_dictionary", "ZstdDictionary"),
}
# Run where somebody names them, and in no search: what is used today, and no yardstick.
_ASKED: dict[str, tuple[str, str]] = {
    "gzip": ("gzip", "Gzip"),
    "h264": ("h264", "H264"),
}


def known() -> tuple[str, ...]:
    """All that get() knows: codecs that are searched, and those that are only run by name."""
    return tuple(sorted(_CODECS | _ASKED))


def names() -> tuple[str, ...]:
    """All codecs that are searched, whether their libraries are installed or not."""
    return tuple(_CODECS)


def get(name: str) -> ClassicalCodec:
    """One codec, ready for use.

    Raises ConfigError where there is none of that name, MissingError where its library is missing.
    """
    every = _CODECS | _ASKED
    if name not in every:
        raise ConfigError(f"no classical codec is called {name!r}", expected=", ".join(known()))
    module, cls = every[name]
    codec = getattr(importlib.import_module(f"rdedge.classical.{module}"), cls)()
    assert isinstance(codec, ClassicalCodec)
    codec.require()
    return codec


def available() -> tuple[str, ...]:
    """The codecs whose libraries are installed here, by name."""
    found = []
    for name in _CODECS:
        try:
            get(name)
        except MissingError:
            continue
        found.append(name)
    return tuple(found)
