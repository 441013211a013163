"""Labels of a run's samples, for a task: the key of an .npz, or a column of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rdedge.data import builtin, sources
from rdedge.data.sources import ReadOptions
from rdedge.errors import ConfigError, ShapeError
from rdedge.host.datasets import Parts
from rdedge.host.runs import RunFolder
from rdedge.types import Array

Labels = Any


def labels_of(
    run: Path, parts: Parts, labels: str | None, task_data: str | None
) -> tuple[Sequence[Array], Labels, Labels]:
    """(raw samples to learn from, their labels, labels of the held-out samples).

    labels: None: there are none. task_data: a file or folder of labelled samples to learn from;
    None: the run's training part. Raises ConfigError or ShapeError where labels are not there or
    do not fit the samples.
    """
    description = RunFolder(run).description()
    data, apart = description["data"], description["held_out_data"]
    digits = data["path"] in builtin.NAMES
    if labels is None and not digits:
        return parts.train, None, None
    columns = tuple(data["columns"])
    held_out_range = range(*description["split"][2])
    train_range = range(*description["split"][0])
    if apart is not None:
        held_out = _read(apart["path"], labels, parts, columns)
    else:
        held_out = _read(data["path"], labels, parts, columns)[
            held_out_range.start : held_out_range.stop
        ]
    count = sum(map(len, parts.held_out))
    if len(held_out) != count:
        raise ShapeError(f"{len(held_out)} labels for {count} held-out samples", expected="as many")
    if task_data is not None:
        options = ReadOptions(
            kind=parts.spec.kind,
            window=parts.spec.shape[0] if parts.spec.kind == "series" else None,
            columns=columns,
        )
        found = list(sources.read_all([Path(task_data)], [], options=options))
        raw = [np.concatenate([_whole(s) for s in found])]
        return raw, _read(task_data, labels, parts, columns), held_out
    # Windows of the training part may overlap, so they are read as they lie.
    if parts.spec.kind == "series" and labels is not None:
        try:
            marks = _read(data["path"], labels, parts, columns)
        except ConfigError:
            return parts.train, None, held_out  # a file without that column: all in order
        raise ConfigError(
            f"{len(marks)} labelled windows to learn from in the training data",
            expected="labelled samples in a file of their own",
            do="name it with --task-data",
        )
    known = _read(data["path"], labels, parts, columns)[train_range.start : train_range.stop]
    return parts.train, known, held_out


def _whole(source: sources.Source) -> Array:
    x = source.samples
    filled = source.rows is not None and source.rows % x.shape[1] and len(x) > 1
    return x[:-1] if filled else x


def _read(path: str, labels: str | None, parts: Parts, columns: tuple[str, ...]) -> Array:
    """The labels of the samples at path, one for each, or (N, T) for windows."""
    if path in builtin.NAMES and not Path(path).exists():
        return builtin.labels(path)
    assert labels is not None
    if parts.spec.kind == "series":
        options = ReadOptions(kind="series", window=parts.spec.shape[0], columns=(labels,))
        found = list(sources.read_all([Path(path)], [], options=options))
        return np.concatenate([_whole(source)[:, :, 0] for source in found])
    if Path(path).suffix.lower() != ".npz":
        raise ConfigError(
            f"labels {labels!r} of {path}", expected="an .npz, or a table of a series"
        )
    return read_labels(Path(path), labels)


def read_labels(path: Path, key: str) -> Array:
    """One array of an .npz, of one axis."""
    with np.load(path, allow_pickle=False) as archive:
        if key not in archive:
            raise ConfigError(
                f"{path} has no array {key!r}", expected=", ".join(archive.files[:20])
            )
        found: Array = archive[key]
    return found
