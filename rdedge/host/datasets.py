"""The data of a run: read, noted in run.json, and recognised when it is read again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from rdedge import canonical
from rdedge.codec.preprocess import to_network
from rdedge.data import builtin, sources
from rdedge.errors import ConfigError, ShapeError, SourceError, TrainingError, ValueRangeError
from rdedge.host.splits import MIN_HELD_OUT, Split
from rdedge.metrics import Scale
from rdedge.types import Array, Bound, SampleSpec

Parts = tuple[Array, Array, Array]


def load(data: str | PathLike[str], key: str | None) -> Array:
    """The samples (N, *shape) of a file of vectors, or of `digits`; finite in float32.

    Raises SourceError, ShapeError, ValueRangeError, or ConfigError for what is no name of a file.
    """
    if not isinstance(data, str | PathLike):
        raise ConfigError(
            f"data is a {type(data).__name__}",
            expected="the name of a file (.npy, .npz, .csv), or `digits`",
            do="save the array with numpy.save and give the name of the file",
        )
    name = fspath(data)
    if name in builtin.NAMES and not Path(name).exists():
        samples = builtin.load(name).samples
    else:
        path = Path(name)
        if path.is_dir():
            raise SourceError(
                f"{name or 'an empty name'} is a folder",
                expected="one file of vectors (.npy, .npz, .csv) or `digits`",
            )
        source = sources.read(path, key=key)
        samples = source.samples
        if source.detail.get("header", ["x"])[0] == "":
            raise SourceError(
                f"{name}: the first column has no name: it looks like an index",
                expected="columns to train on",
                do="write the file without it (pandas: to_csv(index=False))",
            )
    SampleSpec("vector", samples.shape[1:], str(samples.dtype))
    try:
        to_network(samples)
    except ValueRangeError as error:
        raise ValueRangeError(
            f"{name}: {error.what}", expected=error.expected, do=error.do
        ) from error
    return samples


def digest(x: Array) -> str:
    """SHA-256 over what the samples are, however they were stored."""
    hasher = hashlib.sha256(canonical.dumps({"dtype": str(x.dtype), "shape": list(x.shape)}))
    hasher.update(np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("<")).data.cast("B"))
    return hasher.hexdigest()


def noted(path: str | PathLike[str], key: str | None, x: Array) -> dict[str, Any]:
    """What run.json says of the samples x read from path."""
    name = fspath(path)
    builtin_name = name in builtin.NAMES and not Path(name).exists()
    return {
        "path": name if builtin_name else str(Path(name).resolve()),
        "key": key,
        "sha256": digest(x),
        "dtype": str(x.dtype),
        "shape": list(x.shape),
    }


def held_out_apart(path: str | PathLike[str], key: str | None, train: Array) -> Array:
    """Held-out samples from a file of their own, checked against those to train on.

    Raises ShapeError for another shape or dtype, TrainingError for too few or the same samples.
    """
    x = load(path, key)
    if x.shape[1:] != train.shape[1:] or x.dtype != train.dtype:
        raise ShapeError(
            f"held-out samples of shape {x.shape[1:]}, {x.dtype}",
            expected=f"shape {train.shape[1:]}, {train.dtype}, as the samples to train on",
        )
    if len(x) < MIN_HELD_OUT:
        raise TrainingError(
            f"{len(x)} held-out samples in {fspath(path)}", expected=f"at least {MIN_HELD_OUT}"
        )
    if digest(x) == digest(train):
        raise TrainingError(
            f"{fspath(path)} holds the very samples to train on",
            expected="samples that training never sees",
            do="leave --held-out-data out: then the last samples of DATA are held out",
        )
    return x


@dataclass(frozen=True)
class Basis:
    """What a run stands on. parts: (train, validation, held out), each (N, *shape)."""

    parts: Parts
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
    samples = _same(description["data"], data, key, "--data")
    ranges = [range(*ends) for ends in description["split"]]
    split = Split(*ranges).checked(len(samples))
    apart = description["held_out_data"]
    train, validation, held_out = split.take(samples)
    if apart is not None:
        held_out = _same(apart, held_out_data, held_out_key, "--held-out-data")
    if len(held_out) < MIN_HELD_OUT:
        raise TrainingError(f"run.json holds out {len(held_out)} samples", do="train it again")
    bound = Bound(description["bound"]["metric"], description["bound"]["value"])
    scale = Scale(**description["scale"])
    if Scale.of(train) != scale:
        raise ValueError(f"its scale is {scale}, that of the data is {Scale.of(train)}")
    return Basis((train, validation, held_out), bound, scale)


def _same(recorded: dict[str, Any], path: str | None, key: str | None, option: str) -> Array:
    """The samples at path, or where they were, if they are those recorded in run.json."""
    where = path or recorded["path"]
    try:
        x = load(where, key or recorded["key"])
    except SourceError as error:
        raise TrainingError(
            f"the data of the run cannot be read: {error.what}",
            do=f"say where it is now with {option}",
        ) from error
    found = digest(x)
    if found != recorded["sha256"]:
        raise TrainingError(
            f"{where} is not what the run was made from: SHA-256 {found[:16]}...",
            expected=f"{recorded['sha256'][:16]}...",
            do=f"name the file that it was made from with {option}, or train again",
        )
    return x
