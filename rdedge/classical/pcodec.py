"""Pcodec (pco) on the numbers of an array, through the package pcodec.

In pco's wrapped form, which leaves out what both ends know: the format's version, then the chunks
one after the other, each its metadata and one page. How many numbers a chunk holds and of which
dtype follows from the array's shape and dtype and from how the chunks were cut, said by one byte.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from rdedge.classical.base import ClassicalCodec, Ladder, SampleForm, Setting, library
from rdedge.errors import ShapeError
from rdedge.types import Array

# pco's own names of dtypes. Those of 8 bits are widened: it takes them only when told to.
_NAMES = {
    "uint16": "u16",
    "int16": "i16",
    "uint32": "u32",
    "int32": "i32",
    "uint64": "u64",
    "int64": "i64",
    "float16": "f16",
    "float32": "f32",
    "float64": "f64",
}
_WIDENED = {"uint8": "uint16", "int8": "int16"}
# Numbers in a chunk at most: beyond some, more cost memory and gain nothing.
_CHUNK = 1 << 18
_TOGETHER, _BY_ROW = 0, 1


class Pcodec(ClassicalCodec):
    """Arrays of any shape and numeric dtype without loss, in C order or row by row."""

    name = "pcodec"
    takes: ClassVar[frozenset[SampleForm]] = frozenset({"array"})
    module = "pcodec"
    package = "pcodec"
    extra = "series"
    models = "numbers"

    def version(self) -> str:
        return f"pcodec {self._library().__version__}"

    def ladders(self) -> tuple[Ladder, ...]:
        return ()

    def lossless(self) -> tuple[Setting, ...]:
        return (
            Setting("level 12", (("cut", _TOGETHER),), lossless=True),
            Setting("level 12, a chunk for each row", (("cut", _BY_ROW),), lossless=True),
        )

    def _library(self) -> Any:
        library("pcodec", self.package, self.extra, self.name)
        library("pcodec.wrapped", self.package, self.extra, self.name)
        return library("pcodec", self.package, self.extra, self.name)

    def _encode(self, x: Array, setting: Setting) -> bytes:
        lib = self._library()
        dtype = _numbers(x.dtype.name)
        flat = x.reshape(-1).astype(dtype, copy=False)
        cut = setting.option("cut")
        config = lib.ChunkConfig(
            compression_level=12, paging_spec=lib.PagingSpec.equal_pages_up_to(_CHUNK)
        )
        file = lib.wrapped.FileCompressor()
        parts = [bytes([cut]), file.write_header()]
        for start, stop in _chunks(x.shape, cut):
            chunk = file.chunk_compressor(flat[start:stop], config)
            parts += [chunk.write_meta(), chunk.write_page(0)]
        return b"".join(parts)

    def _decode(self, data: bytes, shape: tuple[int, ...], dtype: str) -> Array:
        if not data or data[0] not in (_TOGETHER, _BY_ROW):
            raise ValueError("the first byte says nothing known")
        numbers = _numbers(np.dtype(dtype).name)
        flat = np.empty(math.prod(shape), numbers)
        rest = data[1:]
        file, used = self._library().wrapped.FileDecompressor.new(rest)
        rest = rest[used:]
        for start, stop in _chunks(shape, data[0]):
            chunk, used = file.chunk_decompressor(rest, _NAMES[numbers])
            rest = rest[used:]
            progress, used = chunk.read_page_into(rest, stop - start, flat[start:stop])
            rest = rest[used:]
            if progress.n_processed != stop - start:
                raise ValueError("a chunk ends early")
        if rest:
            raise ValueError(f"{len(rest)} bytes are left over")
        return flat.astype(dtype, copy=False).reshape(shape)


def _numbers(dtype: str) -> str:
    """The dtype that pco is shown in place of one."""
    shown = _WIDENED.get(dtype, dtype)
    if shown not in _NAMES:
        raise ShapeError(
            f"pcodec cannot code dtype {dtype}", expected=", ".join([*_WIDENED, *_NAMES])
        )
    return shown


def _chunks(shape: tuple[int, ...], cut: int) -> list[tuple[int, int]]:
    """Where each chunk starts and stops in the flat array."""
    size = math.prod(shape)
    row = size if cut == _TOGETHER or len(shape) < 2 else size // max(shape[0], 1)
    return [
        (at, min(at + _CHUNK, start + row))
        for start in (range(0, size, row) if row else ())
        for at in range(start, start + row, _CHUNK)
    ]
