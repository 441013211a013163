"""Bytes <-> a bare Zstandard frame (RFC 8878), or the bytes themselves where that is shorter."""

from __future__ import annotations

from typing import Any

from rdedge.classical.base import library
from rdedge.errors import FormatError

_MAGIC = b"\x28\xb5\x2f\xfd"
_LEVEL = 19
# For a guess; of all but short data the highest level rarely leaves less of what this one does.
_QUICK_LEVEL, _OF_QUICK, _SHORT = 3, 0.75, 1 << 12
# Above this many bytes the effort of the highest level costs seconds.
_LARGE, _LARGE_LEVEL = 1 << 22, 9


def zstandard() -> Any:
    """The package. Raises MissingError without it."""
    return library("zstandard", "zstandard", "classical", "a fallback codec")


def guessed_bits(data: bytes) -> float:
    """What compress may make of data, rather too few bits than too many, at a tenth of the time:
    a guess that decides what is tried.
    """
    if len(data) <= _SHORT:
        # Here it may leave a third, and takes no time.
        frame = compress(data)
        return 8.0 * (len(data) if frame is None else len(frame))
    quick = zstandard().ZstdCompressor(level=_QUICK_LEVEL, write_content_size=False)
    return 8.0 * _OF_QUICK * min(len(quick.compress(data)), len(data))


def compress(data: bytes) -> bytes | None:
    """A frame without its magic number and content size; None where it is not shorter."""
    level = _LEVEL if len(data) <= _LARGE else _LARGE_LEVEL
    compressor = zstandard().ZstdCompressor(
        level=level, write_content_size=False, write_checksum=False, write_dict_id=False
    )
    frame = bytes(compressor.compress(data))[len(_MAGIC) :]
    return frame if len(frame) < len(data) else None


def decompress(frame: bytes, most: int) -> bytes:
    """Undo it; at most so many bytes come out. Raises FormatError for anything but one frame."""
    package = zstandard()
    try:
        data = _whole(package, _MAGIC + frame, most)
        # What follows the frame is seen only where the size is given exactly.
        return data if len(data) == most else _whole(package, _MAGIC + frame, len(data))
    except package.ZstdError as error:
        raise FormatError(
            f"fallback: no Zstandard frame: {error}",
            expected=f"one frame that holds at most {most} bytes",
        ) from error


def _whole(package: Any, frame: bytes, most: int) -> bytes:
    return bytes(
        package.ZstdDecompressor().decompress(
            frame, max_output_size=max(most, 1), allow_extra_data=False
        )
    )
