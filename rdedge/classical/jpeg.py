"""JPEG through Pillow (libjpeg-turbo), with optimised Huffman tables, progressive or not.

Besides the standard's tables, which follow the eye, a flat table: one step for all frequencies
gives the least squared error, which is what a bound is held against.
"""

from __future__ import annotations

from rdedge.classical.base import Ladder, Setting, ladder
from rdedge.classical.pillow import PillowCodec
from rdedge.types import Array


class Jpeg(PillowCodec):
    """Grey pictures with loss."""

    name = "jpeg"
    feature = "jpg"
    format = "JPEG"
    max_side = 65500

    def version(self) -> str:
        turbo = self._features().version("libjpeg_turbo")
        return super().version() if turbo is None else f"libjpeg-turbo {turbo}, {super().version()}"

    def ladders(self) -> tuple[Ladder, ...]:
        steps = tuple(range(255, 0, -1))
        q = tuple(range(1, 101))
        return (
            ladder("flat", "step", steps, progressive=False),
            ladder("flat progressive", "step", steps, progressive=True),
            ladder("eye", "quality", q, progressive=True),
        )

    def lossless(self) -> tuple[Setting, ...]:
        return ()

    def _encode(self, x: Array, setting: Setting) -> bytes:
        options = dict(setting.options)
        if "step" in options:
            options["qtables"] = [[options.pop("step")] * 64]
        return self._save(self._image(x), optimize=True, **options)
