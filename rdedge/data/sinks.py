"""Samples -> the kind of file that they came from."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from rdedge.data.sources import SourceKind
from rdedge.types import Array


def to_bytes(samples: Array, kind: SourceKind, detail: dict[str, Any]) -> bytes:
    """samples: (N, *shape). The file that `sources.read` would read as these samples."""
    array = samples[0] if detail.get("order") == "single" and len(samples) == 1 else samples
    if kind == "raw":
        return array.astype(array.dtype.newbyteorder("<")).tobytes()
    if kind == "csv":
        return _csv_bytes(samples.reshape(len(samples), -1), detail)
    buffer = io.BytesIO()
    if kind == "npz":
        np.savez_compressed(buffer, **{str(detail.get("key", "arr_0")): array})
    else:
        np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _csv_bytes(rows: Array, detail: dict[str, Any]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(
        text, delimiter=str(detail.get("delimiter", ","))[:1] or ",", lineterminator="\n"
    )
    if "header" in detail:
        writer.writerow([str(cell) for cell in detail["header"]])
    # A reconstruction comes from float32: nine digits hold all of it.
    write = "{:.9g}".format if np.issubdtype(rows.dtype, np.floating) else str
    writer.writerows([[write(v) for v in row] for row in rows.tolist()])
    return text.getvalue().encode("utf-8")
