"""The data of a run: read, noted in run.json, and recognised when it is read again."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from rdedge import canonical
from rdedge.codec.preprocess import fill_missing, to_network
from rdedge.data import builtin, sources
from rdedge.data.sources import ReadOptions, Skipped, Source
from rdedge.data.survey import survey
from rdedge.errors import ConfigError, ShapeError, SourceError, TrainingError, ValueRangeError
from rdedge.host.splits import Split
from rdedge.metrics import Scale
from rdedge.types import Array, Bound, SampleSpec

# Samples in batches of one shape, each (n, *shape): one batch, but images come one by one.
Samples = list[Array]

AS_IT_COMES = ReadOptions()


@dataclass(frozen=True)
class Dataset:
    """What was read.

    samples: in the order in which they are split. columns: names of a series' channels. files:
    (N,), which file a window is from: neighbours within one follow each other in time. skipped:
    pictures that could not be read. notes: what there is to say about the columns. starts: where
    groups of pictures begin that must stay together.
    """

    spec: SampleSpec
    samples: Samples
    columns: tuple[str, ...] = ()
    files: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        return sum(map(len, self.samples))

    def part(self, which: range) -> Samples:
        """The samples of a range."""
        if len(self.samples) == 1:
            return [self.samples[0][which.start : which.stop]]
        return self.samples[which.start : which.stop]

    @property
    def digest(self) -> str:
        """SHA-256 over what the samples are, however they were stored."""
        shapes = [list(x.shape) for x in self.samples]
        said = {"dtype": self.spec.dtype, "shape": shapes[0] if len(shapes) == 1 else shapes}
        hasher = hashlib.sha256(canonical.dumps(said))
        for x in self.samples:
            little = x.dtype.newbyteorder("<")
            hasher.update(np.ascontiguousarray(x, dtype=little).data.cast("B"))
        return hasher.hexdigest()


def load(
    data: str | PathLike[str],
    key: str | None = None,
    options: ReadOptions = AS_IT_COMES,
    group: str | None = None,
    *,
    built_in: bool = False,
) -> Dataset:
    """The samples of a file or a folder, or of a name of data.builtin; what float32 can hold.

    built_in: the name is one of data.builtin, whatever files there are.
    group: a regular expression; pictures whose names it finds alike (its first group, or all that
    it matches) stay together when they are split. Raises SourceError, ShapeError, ValueRangeError,
    or ConfigError for what is no name of a file.
    """
    if not isinstance(data, str | PathLike):
        raise ConfigError(
            f"data is a {type(data).__name__}",
            expected=f"the name of a file or a folder, or {', '.join(builtin.NAMES)}",
            do="save the array with numpy.save and give the name of the file",
        )
    name = fspath(data)
    skipped: list[Skipped] = []
    if built_in or builtin.is_name(name):
        _refuse_options(name, key, options)
        found = [builtin.load(name)]
    else:
        found = list(sources.read_all([Path(name)], skipped, key=key, options=options))
    for source in found:
        _refuse_columns(source)
        _refuse_non_finite(source)
    starts: tuple[int, ...] = ()
    if group is not None:
        found, starts = _grouped(found, group)
    first = found[0]
    kind = first.sample_kind
    if kind == "image":
        samples = [s.samples[i : i + 1] for s in found for i in range(len(s.samples))]
        shape = max({x.shape[1:] for x in samples}, key=[x.shape[1:] for x in samples].count)
        spec = SampleSpec(kind, shape, first.spec.dtype)
        return Dataset(spec, samples, skipped=tuple(skipped), starts=starts)
    if any(s.columns != first.columns for s in found):
        raise ShapeError(
            "the files have different columns", expected=", ".join(first.columns) or "no names"
        )
    parts = [whole_windows(s) for s in found]
    files = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
    x = np.concatenate(parts)
    notes: tuple[str, ...] = ()
    if kind == "series":
        rows = x.reshape(-1, x.shape[2]).astype(np.float64)
        notes = tuple(note.text for note in survey(rows, first.columns))
    return Dataset(first.spec, [x], first.columns, files, tuple(skipped), notes)


def _refuse_options(name: str, key: str | None, options: ReadOptions) -> None:
    """Nothing says how to read data that is there already."""
    if key is not None or replace(options, kind=None) != AS_IT_COMES:
        raise ConfigError(f"options to read {name}, which needs none", expected="none of them")
    if options.kind not in (None, "vector"):
        raise ConfigError(f"{name} as samples of kind {options.kind}", expected="vectors")


def whole_windows(source: Source) -> Array:
    """The samples, without a last window that was filled up, unless it is the only one."""
    x = source.samples
    filled = source.rows is not None and source.rows % x.shape[1] and len(x) > 1
    return x[:-1] if filled else x


def _grouped(found: list[Source], pattern: str) -> tuple[list[Source], tuple[int, ...]]:
    """Pictures in the order of the first of their group, and where groups begin."""
    try:
        matcher = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"the group {pattern!r} is no regular expression: {error}") from error
    if found[0].sample_kind != "image":
        raise ConfigError(
            f"a group for samples of kind {found[0].sample_kind}", expected="a folder of pictures"
        )
    groups: dict[str, list[Source]] = {}
    for source in found:
        match = matcher.search(source.name)
        if match is None:
            raise ConfigError(
                f"the group {pattern!r} finds nothing in {source.name}",
                expected="a part of every name",
            )
        groups.setdefault(match.group(1 if matcher.groups else 0), []).append(source)
    ordered = [source for members in groups.values() for source in members]
    counts = [sum(len(s.samples) for s in members) for members in groups.values()]
    return ordered, tuple(int(end) for end in np.cumsum([0, *counts[:-1]]))


def _refuse_columns(source: Source) -> None:
    names = source.columns or source.detail.get("header", ["x"])
    if source.sample_kind != "image" and names[0] == "":
        raise SourceError(
            f"{source.name}: the first column has no name: it looks like an index",
            expected="columns to train on",
            do="write the file without it (pandas: to_csv(index=False))",
        )
    # Channels are found again by their names.
    if len(set(source.columns)) < len(source.columns) or "" in source.columns:
        raise SourceError(
            f"{source.name} has the columns {', '.join(map(repr, source.columns))!s:.200}",
            expected="a name of its own for each",
            do="rename them, or say which to take with --columns",
        )


def _refuse_non_finite(source: Source) -> None:
    x = source.samples
    try:
        to_network(fill_missing(x)[0] if source.sample_kind == "series" else x)
    except ValueRangeError as error:
        raise ValueRangeError(
            f"{source.name}: {error.what}", expected=error.expected, do=error.do
        ) from error


def noted(path: str | PathLike[str], key: str | None, dataset: Dataset) -> dict[str, Any]:
    """What run.json says of data read from path."""
    name = fspath(path)
    builtin_name = builtin.is_name(name)
    spec = dataset.spec
    return {
        "path": name if builtin_name else str(Path(name).resolve()),
        "key": key,
        "sha256": dataset.digest,
        "samples": dataset.count,
        "sample": {"kind": spec.kind, "shape": list(spec.shape), "dtype": spec.dtype},
        "columns": list(dataset.columns),
        "skipped": [asdict(one) for one in dataset.skipped],
    }


def held_out_apart(
    path: str | PathLike[str], key: str | None, train: Dataset, options: ReadOptions
) -> Dataset:
    """Held-out samples from a file or folder of their own, checked against those to train on.

    Raises ShapeError for another shape or dtype, TrainingError for too few or the same samples.
    """
    spec = train.spec
    window = spec.shape[0] if spec.kind == "series" else None
    options = replace(options, kind=spec.kind, window=window, columns=train.columns)
    other = load(path, key, options)
    if not spec.allows(other.spec.shape) or other.spec.dtype != spec.dtype:
        raise ShapeError(
            f"held-out samples of shape {other.spec.shape}, {other.spec.dtype}",
            expected=f"shape {spec.shape}, {spec.dtype}, as the samples to train on",
        )
    least = Split.least_held_out(spec.kind)
    if other.count < least:
        raise TrainingError(
            f"{other.count} held-out samples in {fspath(path)}", expected=f"at least {least}"
        )
    if other.digest == train.digest:
        raise TrainingError(
            f"{fspath(path)} holds the very samples to train on",
            expected="samples that training never sees",
            do="leave --held-out-data out: then the last samples of DATA are held out",
        )
    return other


@dataclass(frozen=True)
class Parts:
    """What a run stands on. train: weights and tables, with windows that overlap where that was
    asked for; validation: aims the multiplier; held_out: the verdict. before: of windows to train
    and to validate on, which one ends where each starts, (n,) int64, -1 for none.
    """

    spec: SampleSpec
    train: Samples
    validation: Samples
    held_out: Samples
    before: tuple[Array, Array] | None = None


def divide(dataset: Dataset, split: Split, apart: Dataset | None, stride: int | None) -> Parts:
    """The parts of a dataset. stride: from one training window to the next, of a series."""
    train, validation = dataset.part(split.train), dataset.part(split.validation)
    held_out = dataset.part(split.held_out) if apart is None else apart.samples
    if dataset.spec.kind != "series":
        return Parts(dataset.spec, train, validation, held_out)
    files = dataset.files[split.train.start : split.train.stop]
    of_train = _before(files, 1)
    if stride is not None:
        rows = dataset.spec.shape[0]
        train, files = overlapping(train[0], files, stride)
        of_train = _before(files, rows // stride) if rows % stride == 0 else 0 * files - 1
    of_validation = _before(dataset.files[split.validation.start : split.validation.stop], 1)
    return Parts(dataset.spec, train, validation, held_out, (of_train, of_validation))


def _before(files: Array, back: int) -> Array:
    """Of windows of these files, (n,), in their order: which one stands so far before each."""
    found = np.arange(len(files), dtype=np.int64) - back
    found[:back] = -1
    found[(found >= 0) & (files[found] != files)] = -1
    return found


def overlapping(x: Array, files: Array, stride: int) -> tuple[Samples, Array]:
    """Windows (N, T, C) that follow each other within a file -> windows every stride rows, and the
    file of each.
    """
    t = x.shape[1]
    parts, of = [], []
    for file in np.unique(files):
        rows = x[files == file].reshape(-1, x.shape[2])
        view = np.lib.stride_tricks.sliding_window_view(rows, t, axis=0)
        parts.append(view[::stride].transpose(0, 2, 1))
        of.append(np.full(len(parts[-1]), file))
    return [np.ascontiguousarray(np.concatenate(parts))], np.concatenate(of)


@dataclass(frozen=True)
class Basis:
    """A run's parts, bound and scale, as its run.json has them."""

    parts: Parts
    columns: tuple[str, ...]
    bound: Bound
    scale: Scale


def load_again(
    description: dict[str, Any],
    *,
    data: str | None = None,
    key: str | None = None,
    held_out_data: str | None = None,
    held_out_key: str | None = None,
) -> Basis:
    """What the run of this run.json stands on, its data found where that says, or where told.

    Raises TrainingError where that is not the data that the run was made from, ValueError where
    the scale is not that of the data.
    """
    reading = description["reading"]
    read = {**reading["options"], "columns": tuple(reading["options"]["columns"])}
    options = ReadOptions(**read)
    dataset = _same(description["data"], data, key, "--data", options, reading["group"])
    ranges = [range(*ends) for ends in description["split"]]
    split = Split(*ranges).checked(dataset.count)
    apart: Dataset | None = None
    if description["held_out_data"] is not None:
        spec = dataset.spec
        window = spec.shape[0] if spec.kind == "series" else None
        options = replace(options, kind=spec.kind, window=window, columns=dataset.columns)
        apart = _same(
            description["held_out_data"], held_out_data, held_out_key, "--held-out-data", options
        )
    parts = divide(dataset, split, apart, reading["stride"])
    if sum(map(len, parts.held_out)) < Split.least_held_out(dataset.spec.kind):
        raise TrainingError("run.json holds out too few samples", do="train it again")
    limit = description["bound"]
    bound = Bound(limit["metric"], limit["value"], limit.get("share", 0.0))
    said = description["scale"]
    scale = Scale(**{**said, "std": tuple(said["std"])})
    found = scale_of(parts)
    if found != scale:
        raise ValueError(f"its scale is {scale}, that of the data is {found}")
    return Basis(parts, dataset.columns, bound, scale)


def scale_of(parts: Parts) -> Scale:
    """What psnr and nrmse are relative to, by the training part."""
    return Scale.of(parts.train, by_channel=parts.spec.kind == "series")


def _same(
    recorded: dict[str, Any],
    path: str | None,
    key: str | None,
    option: str,
    options: ReadOptions,
    group: str | None = None,
) -> Dataset:
    """The data at path, or where it was, if it is that recorded in run.json."""
    where = path or recorded["path"]
    try:
        # What lies on disk is recorded by its absolute path.
        built_in = path is None and where in builtin.NAMES
        dataset = load(where, key or recorded["key"], options, group, built_in=built_in)
    except SourceError as error:
        raise TrainingError(
            f"the data of the run cannot be read: {error.what}",
            do=f"say where it is now with {option}",
        ) from error
    if dataset.digest != recorded["sha256"]:
        raise TrainingError(
            f"{where} is not what the run was made from: SHA-256 {dataset.digest[:16]}...",
            expected=f"{recorded['sha256'][:16]}...",
            do=f"name the file that it was made from with {option}, or train again",
        )
    return dataset
