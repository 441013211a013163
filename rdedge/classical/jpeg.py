"""JPEG through Pillow (libjpeg-turbo), with optimised Huffman tables, progressive or not.

Besides the standard's tables, which follow the eye, a flat table: one step for all frequencies
gives the least squared error, which is what a bound is held against. RGB is coded as brightness and
two colour planes, these whole (4:4:4) or at half the height and width (4:2:0).
"""

from __future__ import annotations

from rdedge.classical.base import Ladder, SampleForm, Setting, ladder
from rdedge.classical.pillow import PillowCodec
from rdedge.types import Array

_GREY: frozenset[SampleForm] = frozenset({"grey8"})
_RGB: frozenset[SampleForm] = frozenset({"rgb8"})


class Jpeg(PillowCodec):
    """Pictures of 8 bits with loss."""

    name = "jpeg"
    feature = "jpg"
    format = "JPEG"
    max_side = 65500
    quick = True

    def version(self) -> str:
        turbo = self._features().version("libjpeg_turbo")
        return super().version() if turbo is None else f"libjpeg-turbo {turbo}, {super().version()}"

    def ladders(self) -> tuple[Ladder, ...]:
        steps = tuple(range(255, 0, -1))
        q = tuple(range(1, 101))
        grey = (
            ladder("flat", "step", steps, forms=_GREY, progressive=False),
            ladder("flat progressive", "step", steps, forms=_GREY, progressive=True),
            ladder("eye", "quality", q, forms=_GREY, progressive=True),
        )
        return grey + tuple(
            ladder(f"{name} {s}", key, values, forms=_RGB, progressive=True, subsampling=s)
            for s in ("4:4:4", "4:2:0")
            for name, key, values in (("flat", "step", steps), ("eye", "quality", q))
        )

    def lossless(self) -> tuple[Setting, ...]:
        return ()

    def _encode(self, x: Array, setting: Setting) -> bytes:
        options = dict(setting.options)
        if "step" in options:
            options["qtables"] = [[options.pop("step")] * 64]
        return self._save(self._image(x), optimize=True, **options)
