"""The fallback codecs that a manifest names (FORMAT.md, section 5.1): what is wanted of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rdedge.types import SampleSpec

STEPS, ZSTD, PNG, WEBP, AVIF = "steps", "zstd", "png", "webp", "avif"
PICTURES = (AVIF, WEBP, PNG)
CODECS = (*PICTURES, STEPS, ZSTD)
# More than this, of the few that there are, is no list that anybody made on purpose.
MAX_FALLBACKS = 16


@dataclass(frozen=True)
class Fallback:
    """One fallback codec.

    codec: of CODECS. steps, origins: of "steps" alone, float32 in raw units: of the quantiser at
    level 0, and where its grid lies; one for all values or one for each channel (the last axis).
    """

    codec: str
    steps: tuple[float, ...] = ()
    origins: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        if self.codec != STEPS:
            return {"codec": self.codec}
        return {
            "codec": self.codec,
            "steps": [_text(step) for step in self.steps],
            "origins": [_text(origin) for origin in self.origins],
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> Fallback:
        """Raises ValueError, TypeError or KeyError for anything but what to_json gives."""
        codec = value["codec"]
        if codec not in CODECS:
            raise ValueError(f"a fallback codec {codec!r:.40}")
        found = Fallback(codec)
        if codec == STEPS:
            numbers = [tuple(map(float.fromhex, value[key])) for key in ("steps", "origins")]
            found = Fallback(codec, *numbers)
        if not found._in_range() or found.to_json() != value:
            raise ValueError(f"a fallback {value!r:.120}")
        return found

    def _in_range(self) -> bool:
        return all(1e-37 < step < 1e37 for step in self.steps) and all(
            math.isfinite(origin) and abs(origin) < 1e38 for origin in self.origins
        )

    def suits(self, spec: SampleSpec) -> bool:
        """Whether it can code such samples."""
        if self.codec in PICTURES:
            return spec.kind == "image" and spec.dtype == "uint8"
        if self.codec == STEPS:
            widths = (1,) if spec.kind == "vector" else (1, spec.shape[-1])
            return len(self.steps) in widths and len(self.origins) in widths
        return True


def _text(value: float) -> str:
    return float(np.float32(value)).hex()
