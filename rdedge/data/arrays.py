"""Arrays of .npy and .npz files -> samples of any kind; and the members of .npz files."""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import Any, BinaryIO, cast

import numpy as np

from rdedge.data import series
from rdedge.data.npy import read_npy
from rdedge.errors import ShapeError, SourceError
from rdedge.types import Array, SampleSpec

__all__ = ["MAX_KEY", "is_key", "ordered", "read_member", "to_images", "to_vectors", "to_windows"]

MAX_KEY = 255
# No byte of a deflated stream can stand for more (zlib's technical details: 1032 to 1).
_MAX_RATIO = 1032
# What zipfile and zlib raise for damaged files.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


def is_key(key: Any) -> bool:
    """Whether key can name an array of an .npz: text of printable characters, within the file."""
    return (
        isinstance(key, str)
        and 1 <= len(key) <= MAX_KEY
        and key.isprintable()
        and not key.startswith("/")
        and ".." not in key.replace("\\", "/").split("/")
    )


def read_member(file: BinaryIO, name: str, size: int, key: str | None) -> tuple[Array, str]:
    """The array called key of an .npz file, the only one where key is None, and its name."""
    try:
        with zipfile.ZipFile(file) as archive:
            key = _choose_key([n[:-4] for n in archive.namelist() if n.endswith(".npy")], name, key)
            info = archive.getinfo(f"{key}.npy")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise NotImplementedError(f"compression method {info.compress_type}")
            if info.file_size > _MAX_RATIO * size:
                raise ValueError(f"{size} bytes cannot hold {info.file_size}")
            with archive.open(info) as member:
                return read_npy(cast(BinaryIO, member), info.file_size, f"{name}:{key}"), key
    except _ZIP_ERRORS as error:
        raise SourceError(
            f"{name} is not a sound .npz file: {error}", expected="a file of numpy.savez"
        ) from error


def _choose_key(keys: list[str], name: str, key: str | None) -> str:
    if key is None and len(keys) != 1:
        raise SourceError(
            f"{name} holds {len(keys)} arrays: {', '.join(keys[:20]) or 'none'}",
            expected="one array",
            do="name one with --key",
        )
    key = keys[0] if key is None else key
    if keys.count(key) != 1:
        raise SourceError(
            f"{name} holds {keys.count(key)} arrays {key!r}",
            expected=f"one of {', '.join(keys[:20])}",
        )
    if not is_key(key):
        raise SourceError(
            f"{name} holds an array called {key!r:.80}",
            expected=f"a name of 1 to {MAX_KEY} printable characters, no path out of the file",
            do="rename the array",
        )
    return key


def _native(array: Array) -> Array:
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def to_vectors(array: Array, name: str, spec: SampleSpec | None) -> tuple[Array, dict[str, Any]]:
    """Samples (N, *shape), and the detail that gives the array back. Raises ShapeError."""
    detail = {}
    if spec is not None and array.shape == spec.shape:
        array, detail = array[None], {"order": "single"}
    if array.ndim < 2 or 0 in array.shape:
        raise ShapeError(
            f"{name} has shape {array.shape}",
            expected="(N, D) or (N, ...): samples along the first axis, at least one",
        )
    return _native(array), detail


def to_windows(
    array: Array, name: str, spec: SampleSpec | None, window: int, stride: int | None
) -> tuple[Array, int | None, dict[str, Any]]:
    """(rows, C), or windows (N, T, C) -> windows, number of rows, and detail.

    Raises ShapeError, SourceError where it is shorter than a window or holds an infinity.
    """
    if array.ndim == 3 and 0 not in array.shape and (spec is None or array.shape[1:] == spec.shape):
        samples = _native(array)
        flat = samples.reshape(-1, samples.shape[2])
        series.refuse_infinity(flat, name, 1, list(range(samples.shape[2])))
        return samples, None, {}
    if array.ndim != 2 or 0 in array.shape:
        raise ShapeError(
            f"{name} has shape {array.shape}",
            expected="(rows, channels), or windows (N, time, channels)"
            + ("" if spec is None else f" of shape {spec.shape}"),
            do="add the axis of channels: x[:, None]" if array.ndim == 1 else "",
        )
    values = _native(array)
    series.refuse_infinity(values, name, 1, list(range(values.shape[1])))
    return series.finish(series.Rows(values), spec, name, window, stride)


def to_images(array: Array, name: str, spec: SampleSpec | None) -> tuple[Array, dict[str, Any]]:
    """(N, H, W), (N, H, W, C), one (H, W), or with spec one (H, W, C) -> (N, H, W, C), and detail.

    Raises ShapeError.
    """
    channels = None if spec is None else spec.shape[2]
    order = ""
    if array.ndim == 3 and array.shape[2] == channels:
        array, order = array[None], "single"
    elif array.ndim == 3 and channels in (None, 1):
        array, order = array[..., None], "grey"
    elif array.ndim == 2 and channels in (None, 1):
        array, order = array[None, ..., None], "single-grey"
    if array.ndim != 4 or 0 in array.shape or array.shape[3] not in (1, 3):
        raise ShapeError(
            f"{name} has shape {array.shape}",
            expected="images (N, height, width) or (N, height, width, 1 or 3 channels)",
        )
    return _native(array), {"order": order} if order else {}


def ordered(samples: Array, order: Any) -> Array | None:
    """The array of which these are the samples, by the order in its detail; None: not sound."""
    single, grey = order in ("single", "single-grey"), order in ("grey", "single-grey")
    if single and len(samples) != 1:
        return None
    if grey and (samples.ndim != 4 or samples.shape[3] != 1):
        return None
    if not single and not grey:
        return None
    samples = samples[0] if single else samples
    return samples[..., 0] if grey else samples
