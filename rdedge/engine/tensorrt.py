"""Which TensorRT is installed, and loading it.

Three ways to have one, in the order in which they are looked for:

tensorrt               TensorRT; on a Jetson JetPack's own (10.3 of JetPack 6, and later). It builds
                       for the GPU that it runs on
tensorrt_rtx           TensorRT for RTX, from NVIDIA's archive
tensorrt_rtx_bindings  the same from PyPI: the Python module of tensorrt-rtx-cu13-bindings on the
                       libraries of onnxruntime-ep-nv-tensorrt-rtx-cu13

TensorRT for RTX builds without a GPU too, for the compute capabilities that it offers.
RDEDGE_TENSORRT names one of the three, where the first is not wanted.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rdedge.errors import ConfigError, EngineError, MissingError

VARIABLE = "RDEDGE_TENSORRT"
OLDEST = 10
# Module -> distributions that bring it.
MODULES = {
    "tensorrt": ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"),
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt-rtx-cu13"),
    "tensorrt_rtx_bindings": ("tensorrt-rtx-cu13-bindings",),
}
_LIBRARIES = "onnxruntime_ep_nv_tensorrt_rtx"
# In the order in which they need each other.
_PATTERNS = ("libcudart.so.*", "libtensorrt_rtx.so.*", "libtensorrt_onnxparser_rtx.so.*")
_INSTALL_RTX = (
    "pip install onnxruntime-ep-nv-tensorrt-rtx-cu13 tensorrt-rtx-cu13-bindings "
    "(NVIDIA's licence, 440 MB)"
)
INSTALL = (
    "on a Jetson make the virtual environment with --system-site-packages, so that JetPack's "
    f"TensorRT is seen; elsewhere {_INSTALL_RTX}"
)


@dataclass(frozen=True)
class TensorRT:
    """One that is installed. module: a key of MODULES. version: as in "10.3.0"."""

    module: str
    version: str

    @property
    def rtx(self) -> bool:
        return self.module != "tensorrt"

    @property
    def flavour(self) -> str:
        """What its engines are of: "tensorrt" or "tensorrt_rtx"."""
        return "tensorrt_rtx" if self.rtx else "tensorrt"

    def __str__(self) -> str:
        return f"TensorRT{' for RTX' if self.rtx else ''} {self.version}"


def installed() -> list[TensorRT]:
    """Those that are installed, in the order of MODULES; none of them is loaded for it.

    Raises ConfigError where RDEDGE_TENSORRT names none that there is, MissingError where it names
    one that is not installed.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted and wanted not in MODULES:
        raise ConfigError(f"{VARIABLE} is {wanted!r}", expected=" or ".join(MODULES))
    found = [TensorRT(name, _version(name)) for name in MODULES if _is_there(name)]
    if wanted:
        found = [one for one in found if one.module == wanted]
        if not found:
            raise MissingError(
                f"{wanted}, which {VARIABLE} asks for, is not installed",
                do=f"install it, or unset {VARIABLE}",
            )
    return found


def require(rtx: bool = False) -> TensorRT:
    """The first that is installed; with rtx the first that builds for other GPUs than this one's.

    Raises MissingError where there is none, and what installed raises.
    """
    found = installed()
    if not found:
        raise MissingError("TensorRT is not installed", do=INSTALL)
    old = [one for one in found if not one.rtx and int(one.version.split(".")[0]) < OLDEST]
    found = [one for one in found if one not in old]
    if not found:
        raise MissingError(
            f"{old[0]} is too old", expected=f"{OLDEST} or later", do="update JetPack to 6 or 7"
        )
    fitting = [one for one in found if one.rtx or not rtx]
    if not fitting:
        raise MissingError(
            f"{found[0]} builds for the GPU of this machine only, and TensorRT for RTX, which "
            "builds for others, is not installed",
            do=f"build on the device itself, or {_INSTALL_RTX}",
        )
    return fitting[0]


def offered(found: TensorRT) -> tuple[str, ...]:
    """The compute capabilities that TensorRT for RTX builds for, as "8.6"."""
    names = load(found.module).ComputeCapability.__members__
    numbers = [name[2:] for name in names if re.fullmatch(r"SM\d{2,3}", name)]
    return tuple(f"{number[:-1]}.{number[-1]}" for number in sorted(numbers, key=int))


def _is_there(name: str) -> bool:
    needed = [name, _LIBRARIES] if name == "tensorrt_rtx_bindings" else [name]
    return all(importlib.util.find_spec(module) is not None for module in needed)


def _version(name: str) -> str:
    """From what is installed: importing it for that would load gigabytes."""
    for distribution in MODULES[name]:
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return str(load(name).__version__)


@cache
def load(name: str) -> Any:
    """The module of a key of MODULES, its libraries loaded before. Raises MissingError."""
    try:
        if name == "tensorrt_rtx_bindings":
            _preload()
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        raise MissingError(
            f"{name} is installed but cannot be loaded: {str(error).splitlines()[0]}",
            do="install the libraries that it names, or both packages in versions that belong "
            f"together; or set {VARIABLE} to another of {', '.join(MODULES)}",
        ) from error


def _preload() -> None:
    spec = importlib.util.find_spec(_LIBRARIES)
    assert spec is not None
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    for pattern in _PATTERNS:
        paths = sorted(path for folder in folders for path in folder.glob(pattern))
        if not paths:
            raise ImportError(f"{_LIBRARIES} holds no {pattern}")
        library, version = paths[-1].name.partition(".so.")[2], _version("tensorrt_rtx_bindings")
        if "tensorrt" in pattern and not f"{version}.".startswith(f"{library}."):
            raise ImportError(f"it is of {version}, and {paths[-1].name} of {_LIBRARIES} is not")
        ctypes.CDLL(str(paths[-1]), mode=ctypes.RTLD_GLOBAL)


@cache
def logger(trt: Any) -> Any:
    """The one logger of a module: TensorRT keeps the first it is given for the whole process."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.listeners: list[list[str]] = []

        def log(self, severity: Any, message: str) -> None:
            if severity == trt.ILogger.Severity.ERROR:
                for listener in tuple(self.listeners):
                    listener.append(message)

    return Log()


@contextmanager
def listening(trt: Any) -> Iterator[list[str]]:
    """The errors that TensorRT logs meanwhile, in any thread."""
    listeners, heard = logger(trt).listeners, _Heard()
    listeners.append(heard)
    try:
        yield heard
    finally:
        listeners.remove(heard)


class _Heard(list[str]):
    """A list that equals only itself, so that the right one is removed."""

    __eq__ = object.__eq__
    __hash__ = None


def started(trt: Any, name: str, found: TensorRT, errors: list[str]) -> Any:
    """A Builder or Runtime. Raises EngineError where TensorRT makes none, as without a GPU."""
    try:
        return getattr(trt, name)(logger(trt))
    except TypeError as error:  # how pybind11 says that there is none
        raise failure(f"{found} cannot start", errors or [str(error)]) from error


def failure(what: str, errors: list[str], do: str = "") -> EngineError:
    """What TensorRT could not do, and the first lines of the last errors that it logged."""
    said = list(dict.fromkeys(message.splitlines()[0][:300] for message in errors if message))
    text = "; ".join(said[-3:]) or "TensorRT says nothing more"
    memory = any(
        word in text.lower() for word in ("out of memory", "outofmemory", "memory allocation")
    )
    if memory:
        do = "too little memory: close other programs, give --workspace a smaller number of MiB, "
        do += "or --batch and --size smaller maxima"
    return EngineError(f"{what}: {text}", do=do)
