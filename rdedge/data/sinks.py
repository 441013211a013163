"""Samples -> the kind of file that they came from."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np

from rdedge.data import parquet, pictures, timed
from rdedge.data.arrays import is_key, ordered
from rdedge.data.png import png_bytes
from rdedge.data.series import unwindow
from rdedge.data.sources import SourceKind
from rdedge.data.table import write_table
from rdedge.data.times import Times
from rdedge.errors import FormatError
from rdedge.types import Array

__all__ = ["restored_name", "to_bytes"]

# What the writer of each kind needs to know; FORMAT.md, section 2, source_detail.
_DETAIL = {
    "raw": frozenset({"rows"}),
    "npy": frozenset({"order", "rows"}),
    "npz": frozenset({"order", "key", "rows"}),
    "csv": frozenset({"delimiter", "header", "rows", "time"}),
    "parquet": frozenset({"header", "rows", "time"}),
    "image": frozenset({"format"}),
}


def restored_name(name: str, kind: SourceKind, detail: dict[str, Any]) -> str:
    """The name of what to_bytes gives: pictures come back as PNG, so x.jpg as x.jpg.png."""
    if kind == "image" and not name.lower().endswith(".png"):
        return f"{name}.png"
    return name


def to_bytes(
    samples: Array, kind: SourceKind, detail: dict[str, Any], times: Times | None = None
) -> bytes:
    """samples: (N, *shape). The file that `sources.read` would read as these samples.

    detail: of a Source, or of an envelope from anywhere: it is checked.
    times: of the rows of a series, ns since 1970; at least as many as rows are written, or None:
        then the file has no column of times. Raises FormatError; MissingError for Parquet.
    """
    if kind not in _DETAIL:
        raise FormatError(f"samples of a source of kind {kind}", expected=", ".join(_DETAIL))
    if set(detail) - _DETAIL[kind]:
        raise FormatError(
            f"the detail of a source of kind {kind} holds {', '.join(sorted(detail))!r:.80}",
            expected=", ".join(sorted(_DETAIL[kind])) or "nothing",
        )
    if kind == "image":
        return _picture_bytes(samples, detail)
    array = samples
    if "rows" in detail:
        array = _rows(samples, detail)
    elif "time" in detail:
        raise FormatError("a column of times without the number of rows", expected="rows")
    if "order" in detail:
        found = None if "rows" in detail else ordered(samples, detail["order"])
        if found is None:
            raise FormatError(
                f"{len(samples)} samples in the order {detail['order']!r:.40}",
                expected="'single', of one sample; 'grey', of images of one channel; or both",
            )
        array = found
    if kind == "raw":
        return array.astype(array.dtype.newbyteorder("<")).tobytes()
    if kind in ("csv", "parquet"):
        return _table_bytes(array, kind, detail, times)
    return _npz_bytes(array, detail.get("key", "arr_0")) if kind == "npz" else _npy_bytes(array)


def _rows(samples: Array, detail: dict[str, Any]) -> Array:
    """The rows of windows that follow each other.

    There may be fewer than the source had, where its container was cut short.
    """
    rows = detail["rows"]
    if samples.ndim != 3 or type(rows) is not int:
        raise FormatError(
            f"{rows!r:.40} rows of samples of shape {samples.shape[1:]}",
            expected="a number of rows, of windows (time, channels)",
        )
    if not 0 <= (len(samples) - 1) * samples.shape[1] < rows:
        raise FormatError(
            f"{rows} rows in {len(samples)} windows of {samples.shape[1]}",
            expected="some row in each window",
        )
    return unwindow(samples, rows)


def _table_bytes(
    array: Array, kind: SourceKind, detail: dict[str, Any], times: Times | None
) -> bytes:
    values = array.reshape(len(array), -1)
    if kind == "csv" and "rows" not in detail:
        return write_table(values, detail)
    if times is not None:
        if len(times) < len(values):
            raise FormatError(f"{len(times)} times of {len(values)} rows", expected="as many")
        times = times[: len(values)]
    write = parquet.write_rows if kind == "parquet" else timed.write_rows
    return write(values, detail, times)


def _picture_bytes(samples: Array, detail: dict[str, Any]) -> bytes:
    format_ = detail.get("format", "png")
    if not isinstance(format_, str) or format_ not in pictures.FORMATS:
        raise FormatError(
            f"a picture of format {format_!r:.40}", expected=", ".join(sorted(pictures.FORMATS))
        )
    if len(samples) != 1:
        raise FormatError(f"{len(samples)} samples of one picture", expected="1")
    return png_bytes(samples[0])


def _npy_bytes(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _npz_bytes(array: Array, key: Any) -> bytes:
    """What numpy.savez_compressed writes, for any key: NumPy takes some as its own arguments."""
    if not is_key(key):
        raise FormatError(
            f"an array with the key {key!r:.80}", expected="a short name of printable characters"
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{key}.npy"), _npy_bytes(array), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
