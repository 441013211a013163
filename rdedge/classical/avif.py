"""AVIF through Pillow (libavif with libaom), grey only: no colour planes are coded.

Tuned for the squared error (tune=psnr), since that is what a bound is held against, at speed 4 and
at 0, the greatest effort. Two kinds: as for a photograph, and with the tools for screen content
(palettes, copies of blocks), which win on pictures of few grey levels.
"""

from __future__ import annotations

from rdedge.classical.base import Ladder, Setting, ladder
from rdedge.classical.pillow import PillowCodec
from rdedge.types import Array


class Avif(PillowCodec):
    """Grey pictures with loss."""

    name = "avif"
    feature = "avif"
    format = "AVIF"
    max_side = 65536

    def ladders(self) -> tuple[Ladder, ...]:
        q = tuple(range(101))
        return (
            ladder("photo", "quality", q, speed=4, content="photo"),
            ladder("photo", "quality", q, slow=True, speed=0, content="photo"),
            ladder("screen", "quality", q, speed=4, content="screen"),
            ladder("screen", "quality", q, slow=True, speed=0, content="screen"),
        )

    def lossless(self) -> tuple[Setting, ...]:
        return ()

    def _encode(self, x: Array, setting: Setting) -> bytes:
        advanced = {"tune": "psnr", "enable-qm": "0", "aq-mode": "0", "deltaq-mode": "0"}
        if setting.option("content") == "screen":
            advanced["tune-content"] = "screen"
        return self._save(
            self._image(x),
            quality=setting.option("quality"),
            speed=setting.option("speed"),
            subsampling="4:0:0",
            # One thread, so that the same setting gives the same bytes on every machine.
            max_threads=1,
            advanced=advanced,
        )
