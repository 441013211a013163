"""One array of a .npy file (NumPy's NEP 1), read without trusting what its header says.

numpy.load sets aside the memory that a header asks for and reads on; here a header must first fit
the bytes that are there, to the byte.
"""

from __future__ import annotations

import math
from typing import BinaryIO

import numpy as np

from rdedge.errors import ShapeError, SourceError
from rdedge.types import DTYPES, Array

__all__ = ["MAGIC", "read_npy"]

MAGIC = b"\x93NUMPY"
_MAX_DIMENSIONS = 32
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npy(file: BinaryIO, size: int, name: str) -> Array:
    """The array that fills the next size bytes of file, in the byte order of the file.

    name: for errors. Raises SourceError for bytes that are no such array, ShapeError for a dtype
    that is none of types.DTYPES.
    """
    start = file.tell()
    try:
        version = np.lib.format.read_magic(file)
        shape, fortran, dtype = _HEADERS[version](file)
    except Exception as error:  # a damaged header brings out any class of error in NumPy's parser
        raise SourceError(
            f"{name} is not a sound .npy array: {(str(error).splitlines() or ['no header'])[0]}",
            expected="an array of numbers saved with numpy.save",
        ) from error
    if str(dtype.newbyteorder("=")) not in DTYPES:
        raise ShapeError(
            f"{name} is of dtype {dtype}",
            expected=", ".join(DTYPES),
            do="convert it on purpose with astype",
        )
    if len(shape) > _MAX_DIMENSIONS or any(type(d) is not int or d < 0 for d in shape):
        raise SourceError(f"{name} has shape {shape!s:.80}", expected="axes of 0 or more")
    there = size - (file.tell() - start)
    needed = math.prod(shape) * dtype.itemsize
    if needed != there:
        raise SourceError(
            f"{name} holds {there} bytes after its header",
            expected=f"{needed}, for shape {shape!s:.80} and dtype {dtype}",
            do="save it again: it was cut short, or something was appended",
        )
    flat = np.empty(needed, np.uint8)
    _fill(file, flat.data, name)
    values = flat.view(dtype)
    return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)


def _fill(file: BinaryIO, view: memoryview, name: str) -> None:
    got = 0
    while got < len(view):
        count = file.readinto(view[got:])  # type: ignore[attr-defined]
        if not count:
            raise SourceError(f"{name} ends {len(view) - got} bytes before its array does")
        got += count
