"""A file or a pipe -> samples, with what is needed to write it back as it was."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from rdedge.data import arrays, parquet, pictures, series, table, timed
from rdedge.data.arrays import is_key
from rdedge.data.npy import MAGIC, read_npy
from rdedge.data.times import Times
from rdedge.errors import ConfigError, ShapeError, SourceError
from rdedge.types import Array, SampleKind, SampleSpec

__all__ = [
    "SUFFIXES",
    "ReadOptions",
    "Skipped",
    "Source",
    "SourceKind",
    "expand",
    "is_key",
    "read",
    "read_all",
    "read_stream",
]

SourceKind = Literal["raw", "npy", "npz", "csv", "parquet", "image"]

_TABLES: dict[str, SourceKind] = {".csv": "csv", ".parquet": "parquet"}
_ARRAYS: dict[str, SourceKind] = {".npy": "npy", ".npz": "npz"}
_PICTURES: dict[str, SourceKind] = dict.fromkeys(pictures.SUFFIXES, "image")
SUFFIXES: dict[str, SourceKind] = {**_ARRAYS, **_TABLES, **_PICTURES}
# What is looked for in a folder where it is known what the samples are.
_SUFFIXES_OF: dict[SampleKind, dict[str, SourceKind]] = {
    "vector": {**_ARRAYS, **_TABLES},
    "series": {**_ARRAYS, **_TABLES},
    "image": {**_ARRAYS, **_PICTURES},
}


@dataclass(frozen=True)
class ReadOptions:
    """How to read, where no spec of a bundle says it.

    kind: what the samples are; None: pictures are images, tables with times or with any of the
        options below are series, all else vectors.
    window, stride: rows of a window, and from one to the next; None: 64, and as long as a window.
    time: the column of times of a table; None: found by its cells or its name; "": none is.
    columns: of a table, by name; (): all but the times.
    separator: of a .csv; None: found.
    """

    kind: SampleKind | None = None
    window: int | None = None
    stride: int | None = None
    time: str | None = None
    columns: tuple[str, ...] = ()
    separator: str | None = None

    @property
    def of_series(self) -> bool:
        """Whether an option is set that only series have."""
        return bool(self.columns) or any(
            option is not None for option in (self.window, self.stride, self.time)
        )


@dataclass(frozen=True)
class Source:
    """Samples and where they came from.

    name: relative path with "/".
    samples: (N, *shape), native byte order, one of types.DTYPES; of a series NaN where a value is
        missing.
    detail: what the writer needs to give the file back; FORMAT.md, section 2, source_detail.
    source_bytes: size of the file as it was.
    from_text: True for csv, whose dtype is a choice of the reader.
    sample_kind: what the samples are.
    times: (rows,) int64, ns since 1970, of a series that has them.
    columns: names of the channels of a table, units and all; () where they have none.
    rows: of a series, how many rows are real; the last window is filled up with copies of the last
        row. None for all else, for windows that overlap, and where the file held windows.
    """

    name: str
    kind: SourceKind
    samples: Array
    source_bytes: int
    detail: dict[str, Any] = field(default_factory=dict)
    from_text: bool = False
    sample_kind: SampleKind = "vector"
    times: Times | None = None
    columns: tuple[str, ...] = ()
    rows: int | None = None

    @property
    def spec(self) -> SampleSpec:
        return SampleSpec(self.sample_kind, self.samples.shape[1:], str(self.samples.dtype))


@dataclass(frozen=True)
class Skipped:
    """A picture of a folder that could not be read, and why."""

    name: str
    why: str


def expand(paths: list[Path], kind: SampleKind | None = None) -> Iterator[tuple[Path, str]]:
    """Files and folders -> (path, name to keep), folders in the order of their names.

    kind: what the samples are, where that is known: of a folder only files that can hold such.
    Raises SourceError where nothing is there, a folder holds no file that can be read, or two
    inputs would get one name.
    """
    return ((path, name) for path, name, _ in _expand(paths, kind))


def _expand(paths: list[Path], kind: SampleKind | None) -> Iterator[tuple[Path, str, bool]]:
    """(path, name, whether it was found in a folder)."""
    seen: dict[str, Path] = {}
    for path in paths:
        for file, name in _files_of(path, SUFFIXES if kind is None else _SUFFIXES_OF[kind]):
            if name in seen:
                raise SourceError(
                    f"{file} and {seen[name]} would both be called {name}",
                    do="compress them apart, or give the folder that holds both",
                )
            seen[name] = file
            yield file, name, file != path


def _files_of(path: Path, suffixes: dict[str, SourceKind]) -> Iterator[tuple[Path, str]]:
    try:
        there, folder = path.exists(), path.is_dir()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}", do="check the name") from error
    if not there:
        raise SourceError(f"{path} is not there", do="check the name")
    if not folder:
        yield path, path.name
        return
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
    if not found:
        raise SourceError(
            f"the folder {path} holds no file of samples", expected=f"files {', '.join(suffixes)}"
        )
    base = path.resolve().name
    for file in found:
        yield file, (Path(base) / file.relative_to(path)).as_posix()


def read_all(
    paths: list[Path],
    skipped: list[Skipped],
    *,
    key: str | None = None,
    spec: SampleSpec | None = None,
    options: ReadOptions = ReadOptions(),
) -> Iterator[Source]:
    """Read files and folders, one after another.

    A picture of a folder that cannot be read is left out and appended to skipped; all else, and a
    file given by its name, raises as `read` does. Without spec all are read at once, and their
    samples must be of one kind, dtype and, but for the height and width of images, shape; text is
    float64 in all files where it is in one. Raises SourceError at once where nothing is there, at
    the end where nothing could be read.
    """
    kind = options.kind if spec is None else spec.kind
    found = _read_files(list(_expand(paths, kind)), skipped, key, spec, options)
    return found if spec is not None else iter(_alike(list(found)))


def _read_files(
    files: list[tuple[Path, str, bool]],
    skipped: list[Skipped],
    key: str | None,
    spec: SampleSpec | None,
    options: ReadOptions,
) -> Iterator[Source]:
    read_any = False
    for path, name, in_folder in files:
        try:
            source = read(path, name, key=key, spec=spec, options=options)
        except SourceError as error:
            if not in_folder or path.suffix.lower() not in _PICTURES:
                raise
            skipped.append(Skipped(name, str(error)))
            continue
        read_any = True
        yield source
    if not read_any:
        raise SourceError(
            f"none of {len(files)} files could be read; {skipped[-1].name}: {skipped[-1].why}"
        )


def _alike(found: list[Source]) -> list[Source]:
    """The same sources, if a model can be trained on them together."""
    if len({str(source.samples.dtype) for source in found}) > 1:
        found = [
            replace(s, samples=s.samples.astype(np.float64)) if s.from_text else s for s in found
        ]
    if {s.spec.shape[-1] for s in found if s.sample_kind == "image"} == {1, 3}:
        found = [replace(s, samples=pictures.grey(s.samples)) for s in found]
    a = found[0].spec
    for source in found[1:]:
        b = source.spec
        if a.kind != b.kind or a.dtype != b.dtype or not a.allows(b.shape):
            raise ShapeError(
                f"{source.name} holds {_said(b)}",
                expected=f"{_said(a)}, as {found[0].name}",
                do="keep what differs in folders of its own",
            )
    return found


def _said(spec: SampleSpec) -> str:
    shape = f"{spec.shape[2]} channels" if spec.kind == "image" else f"shape {spec.shape}"
    return f"samples of kind {spec.kind}, {shape} and {spec.dtype}"


def read(
    path: Path,
    name: str | None = None,
    *,
    key: str | None = None,
    spec: SampleSpec | None = None,
    options: ReadOptions = ReadOptions(),
) -> Source:
    """Read one file.

    key: which array of an .npz, where it holds several.
    spec: what the reader hopes for. It decides what the samples are, their window, the dtype of
        text, and whether an array that looks like one sample is one; windows do not overlap.
    options: decide it without spec. Raises SourceError, ShapeError, ConfigError for options that
        contradict each other, MissingError where a library is not installed.
    """
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise SourceError(
            f"{path} is of no kind that can be read",
            expected=f"a file {', '.join(SUFFIXES)}",
            do="a log is trained on with --kind lines, and coded with the bundle made so",
        )
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _read(file, kind, name or path.name, size, key, spec, options)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error


def read_stream(data: bytes, spec: SampleSpec, name: str = "stdin") -> Source:
    """Read what came through a pipe: an .npy file, or samples as they lie in memory.

    Of a series come rows of values, as many as there are.
    """
    if data.startswith(MAGIC):
        return _read(io.BytesIO(data), "npy", name, len(data), None, spec, ReadOptions())
    unit = spec.raw_bytes // spec.shape[0] if spec.kind == "series" else spec.raw_bytes
    if not data or len(data) % unit:
        raise SourceError(
            f"{len(data)} bytes came through the pipe",
            expected=f"an .npy file, or a multiple of {unit} bytes (one "
            f"{'row of a series' if spec.kind == 'series' else 'sample'}: shape "
            f"{spec.shape[1:] if spec.kind == 'series' else spec.shape}, {spec.dtype}, "
            "little-endian)",
        )
    little = np.dtype(spec.dtype).newbyteorder("<")
    flat = np.frombuffer(data, little).astype(spec.dtype)
    if spec.kind != "series":
        samples = flat.reshape(-1, *spec.shape)
        return Source(name, "raw", samples, len(data), sample_kind=spec.kind)
    values = flat.reshape(-1, spec.shape[1])
    series.refuse_infinity(values, name, 1, list(range(spec.shape[1])))
    samples, rows = series.windows(values, spec.shape[0], None, name, short=True)
    return Source(name, "raw", samples, len(data), {"rows": rows}, sample_kind="series", rows=rows)


def _read(
    file: BinaryIO,
    kind: SourceKind,
    name: str,
    size: int,
    key: str | None,
    spec: SampleSpec | None,
    options: ReadOptions,
) -> Source:
    wanted = _wanted(spec, options)
    if kind == "image":
        if wanted not in (None, "image"):
            raise ShapeError(f"{name} is a picture", expected=f"samples of kind {wanted}")
        return _picture(file.read(), name, spec)
    if kind in ("csv", "parquet"):
        if wanted == "image":
            raise ShapeError(f"{name} is a table", expected="samples of kind image")
        return _table(file, kind, name, size, wanted, spec, options)
    detail: dict[str, Any] = {}
    if kind == "npz":
        array, key = arrays.read_member(file, name, size, key)
        detail["key"] = key
    else:
        array = read_npy(file, size, name)
    rows = None
    if wanted == "series":
        window, stride = _window(spec, options)
        samples, rows, more = arrays.to_windows(array, name, spec, window, stride)
    elif wanted == "image":
        samples, more = arrays.to_images(array, name, spec)
    else:
        samples, more = arrays.to_vectors(array, name, spec)
    return Source(
        name, kind, samples, size, detail | more, sample_kind=wanted or "vector", rows=rows
    )


def _wanted(spec: SampleSpec | None, options: ReadOptions) -> SampleKind | None:
    """What the samples are to be; None: as the file has it."""
    if spec is not None:
        return spec.kind
    if options.kind in ("vector", "image") and options.of_series:
        raise ConfigError(
            f"a window, a stride, columns or times for samples of kind {options.kind}",
            expected="these options for series alone",
        )
    return options.kind or ("series" if options.of_series else None)


def _window(spec: SampleSpec | None, options: ReadOptions) -> tuple[int, int | None]:
    if spec is not None:
        return spec.shape[0], None
    return (series.DEFAULT_WINDOW if options.window is None else options.window), options.stride


def _picture(data: bytes, name: str, spec: SampleSpec | None) -> Source:
    samples, format_ = pictures.read_picture(data, name)
    source = Source(name, "image", samples, len(data), {"format": format_}, sample_kind="image")
    if spec is not None and not (
        spec.allows(source.spec.shape) and spec.dtype == source.spec.dtype
    ):
        raise ShapeError(f"{name} holds {_said(source.spec)}", expected=_said(spec))
    return source


def _table(
    file: BinaryIO,
    kind: SourceKind,
    name: str,
    size: int,
    wanted: SampleKind | None,
    spec: SampleSpec | None,
    options: ReadOptions,
) -> Source:
    dtype = None if spec is None else spec.dtype
    if kind == "parquet":
        found = parquet.read_rows(
            file, name, dtype=dtype, time=options.time, columns=options.columns,
            timed=wanted != "vector",
        )  # fmt: skip
        if wanted == "vector" or (wanted is None and found.times is None):
            samples, more = arrays.to_vectors(found.values, name, None)
            if spec is not None and spec.elements == samples.shape[1]:
                samples = samples.reshape(-1, *spec.shape)
            return Source(name, kind, samples, size, found.detail | more, columns=found.columns)
    else:
        rows, delimiter = table.split(file.read(), name, options.separator)
        if wanted == "vector" or (wanted is None and not timed.has_times(rows)):
            samples, detail = table.numbers_of(rows, delimiter, name, spec)
            return Source(name, kind, samples, size, detail, from_text=True)
        found = timed.read_rows(
            rows, delimiter, name, dtype=dtype, time=options.time, columns=options.columns
        )
    window, stride = _window(spec, options)
    samples, count, detail = series.finish(found, spec, name, window, stride)
    return Source(
        name,
        kind,
        samples,
        size,
        detail,
        kind == "csv",
        "series",
        found.times,
        found.columns,
        count,
    )
