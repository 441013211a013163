"""One PNG with originals, reconstructions and errors, in pairs that an eye can compare."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rdedge.errors import MissingError
from rdedge.types import Array, SampleSpec

_GAP = 6
_LABEL = 18
_MARGIN = 108
_PAPER, _INK = 255, 40


@dataclass(frozen=True)
class _Look:
    """How many samples of a kind are shown, and the most pixels that one takes."""

    columns: int
    height: int
    width: int


_LOOKS = {"vector": _Look(16, 56, 56), "series": _Look(4, 168, 256), "image": _Look(5, 260, 260)}


def comparison_png(
    x: Sequence[Array],
    x_hat: Sequence[Array],
    spec: SampleSpec,
    distortion: Sequence[Array],
    metric: str,
    is_minimum: bool,
) -> bytes:
    """A PNG of some samples: original, reconstruction, error, one column each.

    x, x_hat: batches (n, *shape), raw units. distortion: (n,) for each, written under each column,
    in the metric, of which more is better where is_minimum. The samples run from the best to the
    worst at equal ranks, so that the worst is always among them. Errors are shown at the same
    contrast as the originals, grey for none.
    """
    try:
        from PIL import Image, ImageDraw
    except ImportError as error:
        raise MissingError("pillow is not installed", do="pip install 'rdedge[report]'") from error
    look = _LOOKS[spec.kind]
    every = [(batch, i) for batch, part in enumerate(x) for i in range(len(part))]
    values = np.concatenate(list(distortion))
    order = np.argsort(-values if is_minimum else values, kind="stable")
    some = order[np.linspace(0, len(order) - 1, min(look.columns, len(order))).round().astype(int)]
    columns = []
    low, high = _range(x, spec)
    for place in some:
        batch, i = every[place]
        a = (x[batch][i].astype(np.float64) - low) / (high - low)
        b = (x_hat[batch][i].astype(np.float64) - low) / (high - low)
        columns.append([_tile(v, spec, look) for v in (a, b, 0.5 + 0.5 * (b - a))])
    height = max(tile.shape[0] for column in columns for tile in column)
    widths = [max(tile.shape[1] for tile in column) for column in columns]
    page = Image.new(
        "RGB",
        (_MARGIN + sum(widths) + _GAP * (len(widths) + 1), 3 * (height + _GAP + _LABEL)),
        (_PAPER, _PAPER, _PAPER),
    )
    draw = ImageDraw.Draw(page)
    ink = (_INK, _INK, _INK)
    for row, label in enumerate(("original", "decoded", "error")):
        draw.text((_GAP, _LABEL + row * (height + _GAP) + height // 2 - 5), label, fill=ink)
    draw.text((_GAP, 4), f"{len(values)} samples, from the best to the worst", fill=ink)
    foot = _LABEL + 3 * (height + _GAP) + 4
    draw.text((_GAP, foot), metric, fill=ink)
    left = _MARGIN
    for place, column, width in zip(some, columns, widths, strict=True):
        for row, tile in enumerate(column):
            page.paste(Image.fromarray(tile), (left, _LABEL + row * (height + _GAP)))
        value = values[place]
        draw.text((left + 2, foot), f"{value:.3g}" if math.isfinite(value) else "exact", fill=ink)
        left += width + _GAP
    buffer = io.BytesIO()
    page.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _range(x: Sequence[Array], spec: SampleSpec) -> tuple[Array, Array]:
    """What is shown as black and white: of all samples, or of each channel of a series."""
    if spec.kind == "series":
        rows = np.concatenate([part.reshape(-1, spec.shape[1]) for part in x]).astype(np.float64)
        rows[:, np.isnan(rows).all(axis=0)] = 0.0
        low, high = np.nanquantile(rows, 0.001, axis=0), np.nanquantile(rows, 0.999, axis=0)
    else:
        low = np.array(min(float(part.min()) for part in x))
        high = np.array(max(float(part.max()) for part in x))
    return low, np.where(high > low, high, low + 1.0)


def _tile(values: Array, spec: SampleSpec, look: _Look) -> Array:
    """Values in 0 to 1 -> a tile (h, w, 3) uint8, without smoothing."""
    if spec.kind == "series":
        return _lanes(values, look)
    if spec.kind == "image":
        return _picture(values, look)
    if len(spec.shape) == 2:
        return _picture(values.reshape(*spec.shape, 1), look)
    return _lanes(values.reshape(-1, 1), look)


def _picture(values: Array, look: _Look) -> Array:
    """(H, W, C) -> a tile, at most as large as it may be; small pictures are enlarged."""
    factor = min(look.height / values.shape[0], look.width / values.shape[1])
    height, width = (max(1, round(side * factor)) for side in values.shape[:2])
    rows = np.arange(height) * values.shape[0] // height
    columns = np.arange(width) * values.shape[1] // width
    tile = np.clip(255.0 * values[np.ix_(rows, columns)], 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(tile, (height, width, 3)))


def _lanes(values: Array, look: _Look) -> Array:
    """(T, C) -> a tile in which each channel is a line in a lane of its own."""
    tile = np.full((look.height, look.width, 3), _PAPER, np.uint8)
    times, channels = values.shape
    lane = max(3, look.height // channels)
    at = np.arange(look.width) * times // look.width
    for c in range(min(channels, look.height // lane)):
        line = values[at, c]
        heights = np.clip(1.0 - np.nan_to_num(line, nan=-1.0), 0, 1) * (lane - 2)
        shown = np.isfinite(line)
        tile[c * lane + heights.astype(int)[shown], np.flatnonzero(shown)] = _INK
        tile[(c + 1) * lane - 1 :: look.height] = 225
    return tile
