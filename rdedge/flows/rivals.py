"""What classical codecs need for the same samples at the same distortion, whatever their kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rdedge.classical.picture_yardsticks import picture_yardsticks
from rdedge.classical.search import Found
from rdedge.classical.series import series_yardsticks
from rdedge.classical.yardsticks import yardsticks
from rdedge.codec.preprocess import fill_missing
from rdedge.metrics import Scale
from rdedge.types import Array, Bound, SampleSpec


def rivals(
    spec: SampleSpec,
    samples: Sequence[Array],
    bound: Bound,
    scale: Scale,
    *,
    packetised: bool,
    train: Array | None = None,
    thorough: bool = False,
    codecs: Sequence[str] | None = None,
) -> list[Found]:
    """The fewest bytes of each classical codec at hand that keeps the bound, fewest first.

    samples: batches (n, *shape). packetised: every sample a file of its own, or all as one. train:
    windows (N, T, C) that dictionaries and steps are taken from; None: the samples themselves.
    codecs: names; None for all at hand. Missing values are filled first: no classical codec has
    them.
    """
    if spec.kind == "image":
        pictures = [picture for batch in samples for picture in batch]
        if spec.dtype not in ("uint8", "uint16"):
            return []
        return picture_yardsticks(
            pictures, bound, scale, packetised=packetised, codecs=codecs, thorough=thorough
        )
    (x,) = samples
    if spec.kind == "series":
        windows = fill_missing(x)[0]
        learned = windows if train is None else fill_missing(train)[0]
        return series_yardsticks(
            learned, windows, bound, scale, packetised=packetised, codecs=codecs
        )
    grey = len(spec.shape) == 2 and spec.dtype == "uint8"
    if packetised and grey:
        return picture_yardsticks(
            list(x[..., None]), bound, scale, packetised=True, codecs=codecs, thorough=thorough
        )
    flat = np.ascontiguousarray(x.reshape(len(x), -1))
    if packetised:
        learned = flat if train is None else train.reshape(len(train), -1)
        return series_yardsticks(
            learned[..., None], flat[..., None], bound, scale, packetised=True, codecs=codecs
        )
    height, width = spec.shape if len(spec.shape) == 2 else (None, None)
    return yardsticks(flat, height, width, bound, scale, codecs, thorough=thorough)
