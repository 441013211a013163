"""H.264 intra (ITU-T H.264, one IDR picture a file, Annex B) through PyAV: what cameras send today.

PyAV is BSD; its wheels carry FFmpeg and x264, which are GPL, so it is an extra of its own. x264's
message of 600 bytes about itself (SEI, NAL type 6) is left out: no stream carries it twice.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from rdedge.classical.base import ClassicalCodec, Ladder, SampleForm, Setting, ladder, library
from rdedge.types import Array

_START = re.compile(rb"\x00\x00\x00?\x01")
_SEI = 6
# Of a macroblock.
_LEAST_SIDE = 16
# AVCOL_RANGE_JPEG: 0 to 255.
_FULL_RANGE = 2


class H264(ClassicalCodec):
    """Pictures of 8 bits with loss; RGB in 4:2:0, sides made even by repeating the edge."""

    name = "h264"
    takes: ClassVar[frozenset[SampleForm]] = frozenset({"grey8", "rgb8"})
    module: ClassVar[str] = "av"
    package: ClassVar[str] = "av"
    extra: ClassVar[str | None] = "h264"
    max_side = 8192

    def version(self) -> str:
        return f"x264 in PyAV {self._library().__version__}"

    def _library(self) -> Any:
        return library(self.module, self.package, self.extra, self.name)

    def ladders(self) -> tuple[Ladder, ...]:
        return (ladder("intra", "qp", tuple(range(51, 0, -1)), preset="medium"),)

    def lossless(self) -> tuple[Setting, ...]:
        return ()

    def _encode(self, x: Array, setting: Setting) -> bytes:
        av = self._library()
        sides = _sides(x.shape)
        more = [(0, wanted - side) for wanted, side in zip(sides, x.shape[:2], strict=True)]
        padded = np.pad(x, [*more, (0, 0)][: x.ndim], mode="edge")
        frame = av.VideoFrame.from_ndarray(padded, format="gray" if x.ndim == 2 else "rgb24")
        pixels = "gray" if x.ndim == 2 else "yuv420p"
        coder = av.CodecContext.create("libx264", "w")
        coder.height, coder.width = padded.shape[:2]
        coder.pix_fmt, coder.time_base, coder.thread_count = pixels, Fraction(1), 1
        coder.options = {name: str(value) for name, value in setting.options}
        if x.ndim == 3:
            frame = frame.reformat(format=pixels, dst_color_range="JPEG")
            coder.color_range = _FULL_RANGE
        packets = [*coder.encode(frame), *coder.encode(None)]
        return _without_sei(b"".join(map(bytes, packets)))

    def _decode(self, data: bytes, shape: tuple[int, ...], dtype: str) -> Array:
        av = self._library()
        coder = av.CodecContext.create("h264", "r")
        frames = [*coder.decode(av.Packet(data)), *coder.decode(None)]
        if len(frames) != 1:
            raise ValueError(f"{len(frames)} pictures inside, 1 needed")
        if (frames[0].height, frames[0].width) != _sides(shape):
            raise ValueError(f"a picture of {frames[0].height} x {frames[0].width} inside")
        if len(shape) == 2:
            # The first plane, whatever the others are: any conversion would change its range.
            plane = frames[0].planes[0]
            found = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        else:
            found = frames[0].to_ndarray(format="rgb24")
        return np.array(found[: shape[0], : shape[1]])


def _sides(shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width as they are coded."""
    height, width = (max(side + side % 2, _LEAST_SIDE) for side in shape[:2])
    return height, width


def _without_sei(data: bytes) -> bytes:
    """The stream without what x264 says about itself."""
    units = [unit for unit in _START.split(data) if unit]
    return b"".join(b"\0\0\0\1" + unit for unit in units if unit[0] & 31 != _SEI)
