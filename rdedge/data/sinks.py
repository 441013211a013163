"""Samples -> the kind of file that they came from."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np

from rdedge.data.sources import SourceKind, is_key
from rdedge.data.table import write_table
from rdedge.errors import FormatError
from rdedge.types import Array

# What the writer of each kind needs to know; FORMAT.md, section 2, source_detail.
_DETAIL = {
    "raw": frozenset(()),
    "npy": frozenset({"order"}),
    "npz": frozenset({"order", "key"}),
    "csv": frozenset({"delimiter", "header"}),
}


def to_bytes(samples: Array, kind: SourceKind, detail: dict[str, Any]) -> bytes:
    """samples: (N, *shape). The file that `sources.read` would read as these samples.

    detail: of a Source, or of an envelope from anywhere: it is checked. Raises FormatError.
    """
    if set(detail) - _DETAIL[kind]:
        raise FormatError(
            f"the detail of a source of kind {kind} holds {', '.join(sorted(detail))!r:.80}",
            expected=", ".join(sorted(_DETAIL[kind])) or "nothing",
        )
    array = samples
    if "order" in detail:
        if detail["order"] != "single" or len(samples) != 1:
            raise FormatError(
                f"{len(samples)} samples in the order {detail['order']!r:.40}",
                expected="'single', of one sample",
            )
        array = samples[0]
    if kind == "raw":
        return array.astype(array.dtype.newbyteorder("<")).tobytes()
    if kind == "csv":
        return write_table(samples.reshape(len(samples), -1), detail)
    return _npz_bytes(array, detail.get("key", "arr_0")) if kind == "npz" else _npy_bytes(array)


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
