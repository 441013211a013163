"""One PNG with originals, reconstructions and errors, in pairs that an eye can compare."""

from __future__ import annotations

import io
import math

import numpy as np

from rdedge.errors import MissingError
from rdedge.types import Array

_COLUMNS = 16
_TILE = 56
_GAP = 6
_LABEL = 18
_PAPER, _INK = 255, 40


def comparison_png(
    x: Array, x_hat: Array, shape: tuple[int, ...], distortion: Array, worse: Array, metric: str
) -> bytes:
    """A PNG of up to 16 samples: original, reconstruction, error, one column each.

    x, x_hat: (N, ...) raw units; shape: (H, W) of a picture, or anything else for a curve.
    distortion: (N,), written under each column. worse: (N,), by which they are ranked: the samples
    run from the best to the worst at equal ranks, so that the worst is always among them. Errors
    are shown at the same contrast as the originals, grey for none.
    """
    try:
        from PIL import Image, ImageDraw
    except ImportError as error:
        raise MissingError("pillow is not installed", do="pip install 'rdedge[report]'") from error
    order = np.argsort(worse, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(_COLUMNS, len(order))).round().astype(int)]
    low, high = float(x.min()), float(x.max())
    span = (high - low) or 1.0
    margin = 108
    width = margin + len(chosen) * (_TILE + _GAP) + _GAP
    height = _LABEL + 3 * (_TILE + _GAP) + 2 * _LABEL
    page = Image.new("L", (width, height), _PAPER)
    draw = ImageDraw.Draw(page)
    for row, label in enumerate(("original", "decoded", "error")):
        draw.text((_GAP, _LABEL + row * (_TILE + _GAP) + _TILE // 2 - 5), label, fill=_INK)
    draw.text((_GAP, 4), f"{len(x)} samples, from the best to the worst", fill=_INK)
    draw.text((_GAP, _LABEL + 3 * (_TILE + _GAP) + 4), metric, fill=_INK)
    for column, i in enumerate(chosen):
        a = (x[i].astype(np.float64) - low) / span
        b = (x_hat[i].astype(np.float64) - low) / span
        left = margin + column * (_TILE + _GAP)
        for row, values in enumerate((a, b, 0.5 + 0.5 * (b - a))):
            tile = _picture(values, shape)
            page.paste(Image.fromarray(tile), (left, _LABEL + row * (_TILE + _GAP)))
        text = f"{distortion[i]:.3g}" if math.isfinite(distortion[i]) else "exact"
        draw.text((left + 2, _LABEL + 3 * (_TILE + _GAP) + 4), text, fill=_INK)
    buffer = io.BytesIO()
    page.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _picture(values: Array, shape: tuple[int, ...]) -> Array:
    """Values in 0 to 1 -> a tile (_TILE, _TILE) uint8, without smoothing."""
    if len(shape) == 2:
        grid = values.reshape(shape)
        rows = np.arange(_TILE) * shape[0] // _TILE
        columns = np.arange(_TILE) * shape[1] // _TILE
        tile = grid[np.ix_(rows, columns)]
        return np.clip(255.0 * tile, 0, 255).astype(np.uint8)
    flat = values.reshape(-1)
    tile = np.full((_TILE, _TILE), _PAPER, np.uint8)
    columns = np.arange(_TILE)
    heights = np.clip(1.0 - flat[columns * flat.size // _TILE], 0, 1) * (_TILE - 1)
    tile[heights.astype(int), columns] = _INK
    return tile
