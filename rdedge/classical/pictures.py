"""Samples that are small grey pictures, as codecs see them: grey tiles, laid out as one mosaic."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from rdedge import metrics
from rdedge.classical.base import ClassicalCodec, Setting
from rdedge.classical.mosaic import Mosaic
from rdedge.classical.search import Found
from rdedge.errors import ParityError
from rdedge.metrics import Scale
from rdedge.types import Array, Bound, Measured

# Above this many pixels a search is first made on a part of the tiles.
SCOUT_PIXELS = 1 << 18
# Above this many, slow ladders are left out: they take minutes for each rung.
SLOW_PIXELS = 1 << 20


@dataclass(frozen=True)
class Pictures:
    """Samples and their grey tiles.

    x: (N, D), raw units. tiles: (N, H, W) uint8 with H * W = D.
    offset, step: raw value = offset + step * grey.
    side_bytes: what a decoder must be told of offset and step: 0 where the values are grey already.
    """

    x: Array
    tiles: Array
    offset: float
    step: float
    side_bytes: int
    mosaic: Mosaic
    bound: Bound
    scale: Scale

    @staticmethod
    def of(x: Array, height: int, width: int, bound: Bound, scale: Scale) -> Pictures:
        """x: (N, height * width), any numeric dtype, finite."""
        values = x.astype(np.float64)
        low, high = float(values.min()), float(values.max())
        offset, step, side_bytes = 0.0, 1.0, 0
        if low < 0 or high > 255 or not np.array_equal(values, np.rint(values)):
            offset, step, side_bytes = low, (high - low) / 255 or 1.0, 16
        tiles = np.rint((values - offset) / step).astype(np.uint8).reshape(-1, height, width)
        mosaic = Mosaic.square(len(x), height, width)
        return Pictures(x, tiles, offset, step, side_bytes, mosaic, bound, scale)

    def scout(self) -> Pictures:
        """The same where it is small; otherwise an even choice of the tiles, to search on."""
        height, width = self.tiles.shape[1:]
        most = max(1, SCOUT_PIXELS // (height * width))
        if len(self.x) <= most:
            return self
        some = np.linspace(0, len(self.x) - 1, most).astype(np.int64)
        mosaic = Mosaic.square(most, height, width)
        return replace(self, x=self.x[some], tiles=self.tiles[some], mosaic=mosaic)

    @property
    def gains(self) -> tuple[float, ...]:
        """Factors worth trying on the grey values before a lossy codec made for 0 to 255.

        Above 1 where the values use little of that range; below 1 where they use most of it, since
        some codecs have no setting as coarse as a low bound allows.
        """
        most = 255 // max(1, int(self.tiles.max()))
        return (1.0, 0.5) if most == 1 else tuple(sorted({1.0, float(min(4, most)), float(most)}))

    def raw(self, greys: Array) -> Array:
        """Grey values (N, H, W), any numeric dtype, to samples (N, D) in x's dtype and units."""
        values = self.offset + self.step * greys.reshape(len(greys), -1).astype(np.float64)
        if np.issubdtype(self.x.dtype, np.integer):
            limits = np.iinfo(self.x.dtype)
            values = np.clip(np.rint(values), limits.min, limits.max)
        return values.astype(self.x.dtype)

    def distortion(self, greys: Array) -> float:
        """Of these grey values in place of the tiles, in the bound's metric."""
        return metrics.mean(self.bound.metric, self.x, self.raw(greys), self.scale)

    def lossy(self, codec: ClassicalCodec, setting: Setting, gain: float) -> Found:
        """Code the mosaic, its grey values times gain, with a lossy setting."""
        picture = np.rint(self.mosaic.lay(self.tiles) * gain).astype(np.uint8)
        data, seconds = _timed(codec, picture, setting)
        decoded = codec.decode(data, picture.shape).astype(np.float64) / gain
        greys = np.minimum(self.mosaic.cut(decoded), float(self.tiles.max()))
        distortions = [self.distortion(greys)]
        if self.side_bytes == 0:  # the values are whole numbers, so a decoder may round
            distortions.append(self.distortion(np.rint(greys)))
        best = max(distortions) if self.bound.is_minimum else min(distortions)
        if distortions[0] != best:
            greys = np.rint(greys)
        text = setting.text + (f", grey x {gain:g}" if gain != 1 else "")
        found = self._found(codec, text, len(data), best, seconds)
        return replace(found, decoded=lambda: list(self.raw(greys)))

    def reduced(
        self, codec: ClassicalCodec, setting: Setting, levels: Array, greys: Array, name: str
    ) -> Found:
        """Code levels without loss.

        levels: (N, H, W) uint8. greys: (K,) uint8, what each level stands for: a byte each.
        Every layout that suits the codec is tried, and the best is taken.
        """
        distortion = self.distortion(greys[levels])
        mosaic = self.mosaic.lay(levels)
        layouts = {"mosaic": mosaic}
        if "grey8" in codec.takes and mosaic.size <= SCOUT_PIXELS:
            # Contexts look up and left only, so it matters which way up a picture is.
            layouts["mosaic upside down"] = np.flipud(mosaic)
            layouts["mosaic mirrored"] = np.fliplr(mosaic)
        if "array" in codec.takes:
            layouts["tiles"] = levels
            layouts["pixel by pixel"] = np.moveaxis(levels, 0, -1)
        found = []
        for layout, y in layouts.items():
            data, seconds = _timed(codec, y, setting)
            if not np.array_equal(codec.decode(data, y.shape), y):
                raise ParityError(
                    f"{codec.name} does not give back what it coded at {setting.text!r}",
                    expected="the same values, since the setting is without loss",
                    do=f"use another version than {codec.version()}",
                )
            text = f"{setting.text}, {name}, {layout}"
            size = len(data) + len(greys)
            found.append(self._found(codec, text, size, distortion, seconds))
        smallest = min(found, key=lambda f: f.size_bytes)
        return replace(smallest, decoded=lambda: list(self.raw(greys[levels])))

    def _found(
        self, codec: ClassicalCodec, text: str, size: int, distortion: float, seconds: float
    ) -> Found:
        return Found(
            codec.name,
            text,
            size + self.side_bytes,
            Measured(distortion, "actual"),
            Measured(seconds, "actual"),
        )


def _timed(codec: ClassicalCodec, x: Array, setting: Setting) -> tuple[bytes, float]:
    start = time.perf_counter()
    data = codec.encode(x, setting).data
    return data, time.perf_counter() - start
