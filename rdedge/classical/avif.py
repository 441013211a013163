"""AVIF through Pillow (libavif with libaom).

Of a grey picture no colour planes are coded; those of RGB whole (4:4:4) or at half the height and
width (4:2:0).

Tuned for the squared error (tune=psnr), since that is what a bound is held against, at speed 4 and
at 0, the greatest effort. Two kinds: as for a photograph, and with the tools for screen content
(palettes, copies of blocks), which win on pictures of few grey levels.
"""

from __future__ import annotations

from rdedge.classical.base import Ladder, SampleForm, Setting, ladder
from rdedge.classical.pillow import PillowCodec
from rdedge.types import Array

# Content and subsampling by form of picture.
_KINDS: tuple[tuple[SampleForm, str, str], ...] = (
    ("grey8", "photo", "4:0:0"),
    ("grey8", "screen", "4:0:0"),
    ("rgb8", "photo", "4:4:4"),
    ("rgb8", "photo", "4:2:0"),
    ("rgb8", "screen", "4:4:4"),
)


class Avif(PillowCodec):
    """Pictures of 8 bits with loss."""

    name = "avif"
    feature = "avif"
    format = "AVIF"
    max_side = 65536

    def ladders(self) -> tuple[Ladder, ...]:
        q = tuple(range(101))
        found = []
        for form, content, subsampling in _KINDS:
            # Of grey nothing can be subsampled, so its settings do not say it.
            options = {} if form == "grey8" else {"subsampling": subsampling}
            for speed in (4, 0):
                name = f"{content} {subsampling}"
                kind = {"speed": speed, "content": content, **options}
                slow, forms = speed == 0, frozenset({form})
                found.append(ladder(name, "quality", q, slow=slow, forms=forms, **kind))
        return tuple(found)

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
            subsampling=dict(setting.options).get("subsampling", "4:0:0"),
            # One thread, so that the same setting gives the same bytes on every machine.
            max_threads=1,
            advanced=advanced,
        )
