"""WebP through Pillow (RFC 9649), always at method 6, its greatest effort.

The format has no grey: a grey picture is coded as RGB whose colour planes say nothing. With loss,
colour planes always have half the height and width.
"""

from __future__ import annotations

from rdedge.classical.base import Ladder, Setting, ladder
from rdedge.classical.pillow import PillowCodec
from rdedge.types import Array


class WebP(PillowCodec):
    """Pictures of 8 bits, with loss (VP8) or without."""

    name = "webp"
    feature = "webp"
    format = "WEBP"
    max_side = 16383
    quick = True

    def ladders(self) -> tuple[Ladder, ...]:
        return (ladder("lossy", "quality", tuple(range(101)), method=6),)

    def lossless(self) -> tuple[Setting, ...]:
        # Without loss, quality means effort. At 100 the library tries everything: 20 s a megapixel.
        return tuple(
            Setting(
                f"lossless, effort {effort}, method 6",
                (("lossless", True), ("quality", effort), ("method", 6)),
                lossless=True,
                slow=effort == 100,
            )
            for effort in (100, 99)
        )

    def _encode(self, x: Array, setting: Setting) -> bytes:
        return self._save(self._image(x), **dict(setting.options))
