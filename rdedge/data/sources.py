"""A file or a pipe -> samples, with what is needed to write it back as it was."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np

from rdedge.data.npy import MAGIC, read_npy
from rdedge.data.table import read_table
from rdedge.errors import ShapeError, SourceError
from rdedge.types import Array, SampleSpec

SourceKind = Literal["raw", "npy", "npz", "csv"]

SUFFIXES: dict[str, SourceKind] = {".npy": "npy", ".npz": "npz", ".csv": "csv"}

_MAX_KEY = 255
# No byte of a deflated stream can stand for more (zlib's technical details: 1032 to 1).
_MAX_RATIO = 1032
# What zipfile and zlib raise for damaged files.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True)
class Source:
    """Samples and where they came from.

    name: relative path with "/".
    samples: (N, *shape), native byte order, one of types.DTYPES.
    detail: what the writer needs to give the file back: npz {"key"}; csv {"delimiter", "header"};
        {"order": "single"} where the file held one sample without a batch axis.
    source_bytes: size of the file as it was.
    from_text: True for csv, whose dtype is a choice of the reader.
    """

    name: str
    kind: SourceKind
    samples: Array
    source_bytes: int
    detail: dict[str, Any] = field(default_factory=dict)
    from_text: bool = False

    @property
    def spec(self) -> SampleSpec:
        return SampleSpec("vector", self.samples.shape[1:], str(self.samples.dtype))


def expand(paths: list[Path]) -> Iterator[tuple[Path, str]]:
    """Files and folders -> (path, name to keep), folders in the order of their names.

    Raises SourceError where nothing is there, a folder holds no file that can be read, or two
    inputs would get one name.
    """
    seen: dict[str, Path] = {}
    for path in paths:
        for file, name in _files_of(path):
            if name in seen:
                raise SourceError(
                    f"{file} and {seen[name]} would both be called {name}",
                    do="compress them apart, or give the folder that holds both",
                )
            seen[name] = file
            yield file, name


def _files_of(path: Path) -> Iterator[tuple[Path, str]]:
    try:
        there, folder = path.exists(), path.is_dir()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}", do="check the name") from error
    if not there:
        raise SourceError(f"{path} is not there", do="check the name")
    if not folder:
        yield path, path.name
        return
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise SourceError(
            f"the folder {path} holds no file of samples", expected=f"files {', '.join(SUFFIXES)}"
        )
    base = path.resolve().name
    for file in found:
        yield file, (Path(base) / file.relative_to(path)).as_posix()


def read(
    path: Path, name: str | None = None, *, key: str | None = None, spec: SampleSpec | None = None
) -> Source:
    """Read one file.

    key: which array of an .npz, where it holds several.
    spec: what the reader hopes for; it decides the dtype of text, and whether an array that looks
        like one sample is one. Raises SourceError or ShapeError.
    """
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise SourceError(
            f"{path} is of no kind that can be read", expected=f"a file {', '.join(SUFFIXES)}"
        )
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _read(file, kind, name or path.name, size, key, spec)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error


def read_stream(data: bytes, spec: SampleSpec, name: str = "stdin") -> Source:
    """Read what came through a pipe: an .npy file, or samples as they lie in memory."""
    if data.startswith(MAGIC):
        return _read(io.BytesIO(data), "npy", name, len(data), None, spec)
    if not data or len(data) % spec.raw_bytes:
        raise SourceError(
            f"{len(data)} bytes came through the pipe",
            expected=f"an .npy file, or a multiple of {spec.raw_bytes} bytes (one sample: shape "
            f"{spec.shape}, {spec.dtype}, little-endian)",
        )
    little = np.dtype(spec.dtype).newbyteorder("<")
    samples = np.frombuffer(data, little).astype(spec.dtype).reshape(-1, *spec.shape)
    return Source(name, "raw", samples, len(data))


def _read(
    file: BinaryIO, kind: SourceKind, name: str, size: int, key: str | None, spec: SampleSpec | None
) -> Source:
    if kind == "csv":
        samples, detail = read_table(file.read(), name, spec)
        return Source(name, kind, samples, size, detail, from_text=True)
    if kind == "npz":
        array, key = _npz_member(file, name, size, key)
        return _with_batch_axis(array, name, kind, size, {"key": key}, spec)
    return _with_batch_axis(read_npy(file, size, name), name, kind, size, {}, spec)


def is_key(key: Any) -> bool:
    """Whether key can name an array of an .npz: text of printable characters, within the file."""
    return (
        isinstance(key, str)
        and 1 <= len(key) <= _MAX_KEY
        and key.isprintable()
        and not key.startswith("/")
        and ".." not in key.replace("\\", "/").split("/")
    )


def _npz_member(file: BinaryIO, name: str, size: int, key: str | None) -> tuple[Array, str]:
    try:
        with zipfile.ZipFile(file) as archive:
            key = _choose_key([n[:-4] for n in archive.namelist() if n.endswith(".npy")], name, key)
            info = archive.getinfo(f"{key}.npy")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise NotImplementedError(f"compression method {info.compress_type}")
            if info.file_size > _MAX_RATIO * size:
                raise ValueError(f"{size} bytes cannot hold {info.file_size}")
            with archive.open(info) as member:
                return read_npy(cast(BinaryIO, member), info.file_size, f"{name}:{key}"), key
    except _ZIP_ERRORS as error:
        raise SourceError(
            f"{name} is not a sound .npz file: {error}", expected="a file of numpy.savez"
        ) from error


def _choose_key(keys: list[str], name: str, key: str | None) -> str:
    if key is None and len(keys) != 1:
        raise SourceError(
            f"{name} holds {len(keys)} arrays: {', '.join(keys[:20]) or 'none'}",
            expected="one array",
            do="name one with --key",
        )
    key = keys[0] if key is None else key
    if keys.count(key) != 1:
        raise SourceError(
            f"{name} holds {keys.count(key)} arrays {key!r}",
            expected=f"one of {', '.join(keys[:20])}",
        )
    if not is_key(key):
        raise SourceError(
            f"{name} holds an array called {key!r:.80}",
            expected=f"a name of 1 to {_MAX_KEY} printable characters, no path out of the file",
            do="rename the array",
        )
    return key


def _with_batch_axis(
    array: Array,
    name: str,
    kind: SourceKind,
    size: int,
    detail: dict[str, Any],
    spec: SampleSpec | None,
) -> Source:
    native = array.dtype.newbyteorder("=")
    if spec is not None and array.shape == spec.shape:
        array, detail = array[None], {**detail, "order": "single"}
    if array.ndim < 2 or 0 in array.shape:
        raise ShapeError(
            f"{name} has shape {array.shape}",
            expected="(N, D) or (N, ...): samples along the first axis, at least one",
        )
    return Source(name, kind, np.ascontiguousarray(array, dtype=native), size, detail)
