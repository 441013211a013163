"""What the CUDA driver says of the first GPU, asked with ctypes: no toolkit is needed."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

LIBRARY = "libcuda.so.1"
# CUdevice_attribute of the driver API.
_MAJOR, _MINOR = 75, 76


@dataclass(frozen=True)
class Driver:
    """version: of CUDA that the driver offers. name, sm: of the first of `count` GPUs.
    why: what could not be had, and why; empty where all could.
    """

    version: str = ""
    count: int = 0
    name: str = ""
    sm: str = ""
    why: str = ""


def ask() -> Driver:
    """Ask the driver; makes no context and takes no memory of the GPU."""
    try:
        cuda = ctypes.CDLL(LIBRARY)
    except OSError as error:
        return Driver(why=f"cannot load {LIBRARY}: {str(error).removeprefix(f'{LIBRARY}: ')}")
    try:
        return _ask(cuda)
    except AttributeError as error:
        return Driver(why=f"{LIBRARY} is not the CUDA driver: {error}")


def _ask(cuda: ctypes.CDLL) -> Driver:
    code = cuda.cuInit(0)
    if code:
        return Driver(why=f"cuInit of {LIBRARY} failed with code {code}")
    number = ctypes.c_int()
    version = ""
    if cuda.cuDriverGetVersion(ctypes.byref(number)) == 0:
        version = f"{number.value // 1000}.{number.value % 1000 // 10}"
    count = number.value if cuda.cuDeviceGetCount(ctypes.byref(number)) == 0 else 0
    if not count:
        return Driver(version, why=f"{LIBRARY} sees no GPU")
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    major, minor = ctypes.c_int(), ctypes.c_int()
    codes = (
        cuda.cuDeviceGet(ctypes.byref(device), 0),
        cuda.cuDeviceGetName(name, len(name), device),
        cuda.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device),
        cuda.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device),
    )
    if any(codes):
        return Driver(version, count, why=f"{LIBRARY} did not describe its first GPU: {codes}")
    text = name.value.decode("utf-8", "replace")
    return Driver(version, count, text, f"{major.value}.{minor.value}")
