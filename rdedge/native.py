"""The C library, loaded with ctypes: built from coding/*.c and format/crc32c.c.

It has no Python API, so one build serves every Python. All that it does is done in NumPy too, with
the same results; RDEDGE_NATIVE=0 turns it off.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

__all__ = ["Library", "describe", "library"]

ABI = 10
NAME = {"win32": "_native.dll", "darwin": "_native.dylib"}.get(sys.platform, "_native.so")

_pointer = ctypes.c_void_p
_int64 = ctypes.c_int64
_float = ctypes.c_float
_SIGNATURES: dict[str, tuple[type | None, list[type]]] = {
    "rdedge_rans_prepare_encode": (None, [_pointer, _int64, _pointer, _pointer]),
    "rdedge_rans_prepare_decode": (
        None,
        [_pointer, _int64, _pointer, _int64, _pointer, _pointer],
    ),
    "rdedge_rans_encode": (
        _int64,
        [_pointer, _pointer, _int64, _int64, _pointer, _int64, _pointer],
    ),
    "rdedge_rans_decode": (
        ctypes.c_int32,
        [_pointer, _pointer, _int64, _pointer, _int64, _int64, _int64, _pointer],
    ),
    "rdedge_rans_decoding_bytes": (_int64, []),
    "rdedge_rans_decode_start": (
        ctypes.c_int32,
        [_pointer, _pointer, _int64, _pointer, _int64, _int64],
    ),
    "rdedge_rans_decode_some": (None, [_pointer, _pointer, _int64, _pointer]),
    "rdedge_rans_decode_end": (ctypes.c_int32, [_pointer]),
    "rdedge_choose_classes": (None, [_pointer, _pointer, _int64, _pointer]),
    "rdedge_fill_index": (_int64, [_pointer, _pointer, _int64, _pointer]),
    "rdedge_predict": (None, [_pointer, _int64, _int64, _int64, ctypes.c_int32]),
    "rdedge_quantise_by": (_int64, [_pointer, _int64, _pointer, _pointer, _int64, _pointer]),
    "rdedge_quantise": (_int64, [_pointer, _int64, _float, _float, _pointer]),
    "rdedge_trellis_quantise": (_int64, [_pointer, ctypes.c_int32, _pointer, _pointer]),
    "rdedge_trellis_dequantise": (
        _int64,
        [_pointer, _int64, _int64, _pointer, _pointer, _pointer, _pointer],
    ),
    "rdedge_trellis_parities": (
        _int64,
        [_pointer, _int64, _int64, _pointer, _pointer, _pointer],
    ),
    "rdedge_context_inputs": (None, [_pointer] * 7),
    "rdedge_context_tables": (None, [_pointer] * 6),
    "rdedge_context_decode": (None, [_pointer] * 7),
    "rdedge_context_quantise": (
        None,
        [*[_pointer] * 6, ctypes.c_double, *[_pointer] * 4],
    ),
    "rdedge_counts_tables": (_int64, [*[_pointer] * 2, _int64, *[_pointer] * 4]),
    "rdedge_counts_decode": (None, [*[_pointer] * 2, *[_int64] * 2, *[_pointer] * 3]),
    "rdedge_palette_prepare": (None, [_pointer] * 2),
    "rdedge_palette_tables": (_int64, [_pointer] * 7),
    "rdedge_palette_decode": (None, [_pointer] * 10),
    "rdedge_palette_costs": (None, [_pointer] * 6),
    "rdedge_palette_change": (
        _int64,
        [*[_pointer] * 5, ctypes.c_double, ctypes.c_int32, *[_pointer] * 3],
    ),
    "rdedge_crc32c_prepare": (None, [_pointer]),
    "rdedge_crc32c": (ctypes.c_uint32, [_pointer, _pointer, _int64]),
    "rdedge_crc32c_by_tables": (ctypes.c_uint32, [_pointer, _pointer, _int64]),
}


class Library:
    """The functions of the C library, typed. Raises OSError where path cannot be loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        loaded = ctypes.CDLL(str(path))
        loaded.rdedge_abi.restype = ctypes.c_int32
        loaded.rdedge_abi.argtypes = []
        self.abi: int = loaded.rdedge_abi()
        if self.abi != ABI:
            raise OSError(f"{path.name} has ABI {self.abi}, this rdedge wants {ABI}")
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(loaded, name)
            function.restype = result
            function.argtypes = arguments
        self.rans_prepare_encode = loaded.rdedge_rans_prepare_encode
        self.rans_prepare_decode = loaded.rdedge_rans_prepare_decode
        self.rans_encode = loaded.rdedge_rans_encode
        self.rans_decode = loaded.rdedge_rans_decode
        self.rans_decoding_bytes: int = loaded.rdedge_rans_decoding_bytes()
        self.rans_decode_start = loaded.rdedge_rans_decode_start
        self.rans_decode_some = loaded.rdedge_rans_decode_some
        self.rans_decode_end = loaded.rdedge_rans_decode_end
        self.choose_classes = loaded.rdedge_choose_classes
        self.fill_index = loaded.rdedge_fill_index
        self.predict = loaded.rdedge_predict
        self.quantise = loaded.rdedge_quantise
        self.quantise_by = loaded.rdedge_quantise_by
        self.trellis_quantise = loaded.rdedge_trellis_quantise
        self.trellis_dequantise = loaded.rdedge_trellis_dequantise
        self.trellis_parities = loaded.rdedge_trellis_parities
        self.context_inputs = loaded.rdedge_context_inputs
        self.context_tables = loaded.rdedge_context_tables
        self.context_decode = loaded.rdedge_context_decode
        self.context_quantise = loaded.rdedge_context_quantise
        self.counts_tables = loaded.rdedge_counts_tables
        self.counts_decode = loaded.rdedge_counts_decode
        self.palette_prepare = loaded.rdedge_palette_prepare
        self.palette_tables = loaded.rdedge_palette_tables
        self.palette_decode = loaded.rdedge_palette_decode
        self.palette_costs = loaded.rdedge_palette_costs
        self.palette_change = loaded.rdedge_palette_change
        self.crc32c_prepare = loaded.rdedge_crc32c_prepare
        self.crc32c = loaded.rdedge_crc32c
        self.crc32c_by_tables = loaded.rdedge_crc32c_by_tables


@cache
def _load() -> tuple[Library | None, str]:
    """The library, or None and why."""
    path = Path(__file__).resolve().parent / NAME
    if not path.exists():
        return None, f"{path.name} was not built"
    try:
        return Library(path), ""
    except (OSError, AttributeError) as error:
        return None, str(error)


def _why_off() -> str:
    return "RDEDGE_NATIVE=0" if os.environ.get("RDEDGE_NATIVE") == "0" else ""


def library() -> Library | None:
    """The C library, or None where it is turned off, missing or of another ABI."""
    return None if _why_off() else _load()[0]


def describe() -> str:
    """One line for `rdedge doctor`: what codes here, and why."""
    loaded, why = _load()
    if _why_off() or loaded is None:
        return f"NumPy ({_why_off() or why})"
    return f"C ({loaded.path.name}, abi {loaded.abi})"
