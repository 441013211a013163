"""A file or a pipe -> samples, with what is needed to write it back as it was."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from rdedge.errors import ShapeError, SourceError
from rdedge.types import DTYPES, Array, SampleSpec

SourceKind = Literal["raw", "npy", "npz", "csv"]

SUFFIXES: dict[str, SourceKind] = {".npy": "npy", ".npz": "npz", ".csv": "csv"}

_NPY_MAGIC = b"\x93NUMPY"
_DELIMITERS = ",;\t|"


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
    if not path.exists():
        raise SourceError(f"{path} is not there", do="check the name")
    if not path.is_dir():
        yield path, path.name
        return
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise SourceError(
            f"the folder {path} holds no file of samples", expected=f"files {', '.join(SUFFIXES)}"
        )
    base = path.resolve()
    for file in found:
        yield file, f"{base.name}/{file.relative_to(path).as_posix()}" if base.name else file.name


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
    if data.startswith(_NPY_MAGIC):
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
        return _read_csv(file, name, size, spec)
    if kind == "npz":
        array, key = _npz_member(file, name, key)
        return _with_batch_axis(array, name, kind, size, {"key": key}, spec)
    return _with_batch_axis(_load(file, name), name, kind, size, {}, spec)


def _load(file: BinaryIO, name: str) -> Array:
    try:
        array = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, TypeError, MemoryError, OverflowError) as error:
        raise SourceError(
            f"{name} is not a sound .npy array: {str(error).splitlines()[0]}",
            expected="an array of numbers saved with numpy.save",
        ) from error
    assert isinstance(array, np.ndarray)
    return array


def _npz_member(file: BinaryIO, name: str, key: str | None) -> tuple[Array, str]:
    try:
        with zipfile.ZipFile(file) as archive:
            keys = [n[:-4] for n in archive.namelist() if n.endswith(".npy")]
            if key is None and len(keys) != 1:
                raise SourceError(
                    f"{name} holds {len(keys)} arrays: {', '.join(keys[:20]) or 'none'}",
                    expected="one array",
                    do="name one with --key",
                )
            key = keys[0] if key is None else key
            if key not in keys:
                raise SourceError(
                    f"{name} holds no array {key!r}", expected=f"one of {', '.join(keys[:20])}"
                )
            with archive.open(f"{key}.npy") as member:
                return _load(io.BytesIO(member.read()), f"{name}:{key}"), key
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise SourceError(
            f"{name} is not a sound .npz file: {error}", expected="a file of numpy.savez"
        ) from error


def _with_batch_axis(
    array: Array,
    name: str,
    kind: SourceKind,
    size: int,
    detail: dict[str, Any],
    spec: SampleSpec | None,
) -> Source:
    native = array.dtype.newbyteorder("=")
    if str(native) not in DTYPES:
        raise ShapeError(
            f"{name} is of dtype {array.dtype}",
            expected=", ".join(DTYPES),
            do="convert it on purpose with astype",
        )
    if spec is not None and array.shape == spec.shape:
        array, detail = array[None], {**detail, "order": "single"}
    if array.ndim < 2 or 0 in array.shape:
        raise ShapeError(
            f"{name} has shape {array.shape}",
            expected="(N, D) or (N, ...): samples along the first axis, at least one",
        )
    return Source(name, kind, np.ascontiguousarray(array, dtype=native), size, detail)


def _read_csv(file: BinaryIO, name: str, size: int, spec: SampleSpec | None) -> Source:
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{name} is not UTF-8 text at byte {error.start}") from error
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    if not rows:
        raise SourceError(f"{name} is empty", expected="rows of numbers")
    header = None if all(_is_number(cell) for cell in rows[0]) else rows[0]
    body = rows if header is None else rows[1:]
    if not body:
        raise SourceError(f"{name} has a header and no row", expected="rows of numbers")
    width = len(body[0])
    values = np.empty((len(body), width), np.float64)
    for i, row in enumerate(body):
        line = i + 1 + (header is not None)
        if len(row) != width:
            raise SourceError(f"{name}: row {line} has {len(row)} cells", expected=f"{width}")
        try:
            values[i] = row
        except ValueError:
            column = next(j for j, cell in enumerate(row) if not _is_number(cell))
            raise SourceError(
                f"{name}: row {line}, column {column + 1} is {row[column][:40]!r}",
                expected="a number",
                do="leave out the columns and rows that hold text",
            ) from None
    dtype = spec.dtype if spec is not None else _text_dtype(body, values)
    with np.errstate(over="ignore", invalid="ignore"):
        samples = values.astype(dtype)
    if np.issubdtype(samples.dtype, np.integer) and not np.array_equal(samples, values):
        i, j = np.argwhere(samples != values)[0]
        raise ShapeError(
            f"{name}: row {i + 1 + (header is not None)}, column {j + 1} is {values[i, j]!r}",
            expected=f"numbers of dtype {dtype}, which the bundle was made for",
        )
    detail: dict[str, Any] = {"delimiter": delimiter}
    if header is not None:
        detail["header"] = header
    if spec is not None and samples.shape[1:] != spec.shape and spec.elements == width:
        samples = samples.reshape(-1, *spec.shape)
    return Source(name, "csv", samples, size, detail, from_text=True)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _text_dtype(body: list[list[str]], values: Array) -> str:
    """float32 where no cell has more than 7 significant digits, so that raw bytes are not
    counted twice over; else float64.
    """
    with np.errstate(over="ignore"):
        fits = np.isfinite(values.astype(np.float32)) == np.isfinite(values)
    if not fits.all():
        return "float64"
    for row in body:
        for cell in row:
            mantissa = cell.lower().partition("e")[0]
            digits = "".join(c for c in mantissa if c.isdigit()).lstrip("0")
            if "." in mantissa:
                digits = digits.rstrip("0")
            if len(digits) > 7:
                return "float64"
    return "float32"
