"""Labels of a run's samples, for a task: the key of an .npz, or a column of a table."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rdedge.data import builtin, sources
from rdedge.data.sources import ReadOptions
from rdedge.errors import ConfigError, ShapeError, SourceError
from rdedge.host.datasets import Parts, load, whole_windows
from rdedge.host.runs import RunFolder
from rdedge.types import Array

Labels = Any


def labels_of(
    run: Path, parts: Parts, labels: str | None, task_data: str | None
) -> tuple[Sequence[Array], Labels, Labels]:
    """(raw samples to learn from, their labels, labels of the held-out samples).

    labels: None: there are none, but for data that needs no file. task_data: a file or folder of
    labelled samples to learn from; None: the run's training part. Raises ConfigError, SourceError
    or ShapeError where labels are not there or do not fit the samples.
    """
    description = RunFolder(run).description()
    data, apart = description["data"], description["held_out_data"]
    options = _as_read(description["reading"]["options"], parts, tuple(data["columns"]))
    paths = [data["path"] if apart is None else apart["path"]]
    paths.append(data["path"] if task_data is None else task_data)
    known = [builtin.has_labels(path) for path in paths]
    if labels is None and not any(known):
        if task_data is not None:
            raise ConfigError(
                f"task data {task_data} without labels", expected="them named with --labels"
            )
        return parts.train, None, None
    if labels is not None and all(known):
        raise ConfigError(f"labels {labels!r} of {paths[0]}", expected="none named: it has its own")
    held_out = _read(paths[0], labels, options)
    if apart is None:
        held_out = held_out[slice(*description["split"][2])]
    count = sum(map(len, parts.held_out))
    if len(held_out) != count:
        raise ShapeError(f"{len(held_out)} labels for {count} held-out samples", expected="as many")
    if task_data is not None:
        key = data["key"] if task_data.lower().endswith(".npz") else None
        return load(task_data, key, options).samples, _read(task_data, labels, options), held_out
    # Windows of the training part may overlap, and labels are of rows: so windows as they lie.
    if options.kind == "series":
        own = slice(*description["split"][0])
        try:
            marks = _read(paths[1], labels, options)
        except SourceError:
            if not Path(paths[1]).exists():
                raise
            return parts.train, None, held_out  # a file without that column: all in order
        return [x[own] for x in load(paths[1], data["key"], options).samples], marks[own], held_out
    return parts.train, _read(paths[1], labels, options)[slice(*description["split"][0])], held_out


def _as_read(noted: dict[str, Any], parts: Parts, columns: tuple[str, ...]) -> ReadOptions:
    """How the run's data was read, by its run.json."""
    spec = parts.spec
    if spec.kind != "series":
        return ReadOptions(kind=spec.kind)
    options = ReadOptions(**{**noted, "columns": columns})
    return replace(options, kind="series", window=spec.shape[0])


def _read(path: str, labels: str | None, options: ReadOptions) -> Array:
    """The labels of the samples at path, one for each, or (N, T) for windows."""
    if builtin.has_labels(path):
        return builtin.labels(path)
    if labels is None:
        raise ConfigError(f"no labels for {path}", expected="them named with --labels")
    if options.kind == "series":
        return _marks(Path(path), labels, options)
    if Path(path).suffix.lower() != ".npz":
        raise ConfigError(
            f"labels {labels!r} of {path}", expected="an .npz, or a table of a series"
        )
    return read_labels(Path(path), labels)


def _marks(path: Path, labels: str, options: ReadOptions) -> Array:
    """(N, T) of a column of tables; of a folder, rows of a file without that column are in order.

    Raises SourceError where no file has it.
    """
    found: list[Array] = []
    without: list[SourceError] = []
    for file, name in sources.expand([path], options.kind):
        try:
            one = sources.read(file, name, options=replace(options, columns=(labels,)))
            found.append(whole_windows(one)[:, :, 0])
        except SourceError as error:
            # Whatever else may be wrong with the file is wrong with its samples too.
            samples = whole_windows(sources.read(file, name, options=options))
            found.append(np.zeros(samples.shape[:2]))
            without.append(error)
    if len(without) == len(found):
        raise without[0]
    return np.concatenate(found)


def read_labels(path: Path, key: str) -> Array:
    """One array of an .npz, of one axis."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if key not in archive:
                raise ConfigError(
                    f"{path} has no array {key!r}", expected=", ".join(archive.files[:20])
                )
            found: Array = archive[key]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SourceError(f"cannot read labels from {path}: {error}") from error
    return found
