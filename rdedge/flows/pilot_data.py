"""The data of a pilot: what is held out and why, and what can be wrong with it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rdedge.data import builtin, checks, sources
from rdedge.data.checks import Check
from rdedge.data.sources import ReadOptions, Source
from rdedge.host.datasets import Dataset, held_out_apart, load
from rdedge.host.splits import HELD_OUT_SHARE, MIN_SAMPLES, Split
from rdedge.types import Array, SampleKind, SampleSpec

# Folders that somebody has divided already.
_PARTS = (("train", "test"), ("training", "test"), ("train", "held-out"), ("train", "val"))
# What a name of a picture begins with, up to the first break: a board, a lot, a campaign.
_PREFIX = r"([^/]*?)[-_ .][^/]*$"
_FOLDER = r"^(.*)/[^/]*$"
# So many groups make three parts that mean something.
_LEAST_GROUPS = 8


@dataclass(frozen=True)
class Reading:
    """How data is read and split, as host.train.train takes it."""

    kind: SampleKind | None = None
    key: str | None = None
    window: int | None = None
    time_column: str | None = None
    columns: tuple[str, ...] = ()
    separator: str | None = None
    group: str | None = None
    held_out: int | None = None
    held_out_data: str | None = None
    held_out_key: str | None = None

    @property
    def options(self) -> ReadOptions:
        return ReadOptions(
            kind=self.kind,
            window=self.window,
            time=self.time_column,
            columns=self.columns,
            separator=self.separator,
        )


AS_IT_COMES = Reading()


@dataclass(frozen=True)
class Gathered:
    """data, reading: as training takes them. name: for people. train: all that is not held out.

    split_by: folder, file, group, time or order; needed: samples that a pilot needs. today_bytes:
    of the held-out samples as they came, in their files, None where those hold something else.
    seconds: that a sample of a series lasts, None where no times say so.
    """

    data: str
    reading: Reading
    name: str
    spec: SampleSpec
    train: list[Array]
    held_out: list[Array]
    split_by: str
    groups: int
    checks: tuple[Check, ...]
    needed: int
    file_bytes: int | None
    seconds: float | None
    skipped: int

    @property
    def too_few(self) -> bool:
        return any(c.name == "count" and c.status == "stop" for c in self.checks)

    @property
    def stopped(self) -> bool:
        return any(c.status == "stop" for c in self.checks)

    @property
    def samples(self) -> int:
        return sum(map(len, self.train)) + sum(map(len, self.held_out))

    @property
    def column(self) -> str:
        return {_FOLDER: "folders", _PREFIX: "names"}.get(self.reading.group or "", "names")

    @property
    def unit_of_rate(self) -> Literal["bit/pixel", "bits/value"]:
        grey = self.spec.kind == "image" and self.spec.shape[2] == 1
        return "bit/pixel" if grey else "bits/value"

    def to_json(self) -> dict[str, Any]:
        return {
            "path": self.name,
            "kind": self.spec.kind,
            "samples": self.samples,
            "train": sum(map(len, self.train)),
            "held_out": sum(map(len, self.held_out)),
            "shape": list(self.spec.shape),
            "dtype": self.spec.dtype,
            "skipped": self.skipped,
            "raw_bytes": sum(x.nbytes for x in self.held_out),
            "unit_of_rate": self.unit_of_rate,
            "split": {
                "by": self.split_by,
                "why": {
                    "key": f"split.{self.split_by}",
                    "values": {"groups": self.groups, "column": self.column},
                },
            },
            "checks": [one.to_json() for one in self.checks],
        }


def gather(data: str, reading: Reading) -> Gathered:
    """Read, split, check. Raises what a reader raises, and nothing for data that is merely bad."""
    name = Path(data).name if not builtin.is_name(data) else data
    data, reading, split_by = _divided(data, reading)
    found = _sources(data, reading)
    groups = 0
    if found[0].sample_kind == "image" and not split_by and reading.group is None:
        reading, groups = _grouped(found, reading)
    elif reading.group is not None:
        groups = len(found)
    dataset = load(data, reading.key, reading.options, reading.group)
    spec = dataset.spec
    apart: Dataset | None = None
    if reading.held_out_data is not None:
        apart = held_out_apart(
            reading.held_out_data, reading.held_out_key, dataset, reading.options
        )
    if not split_by:
        timed = any(source.times is not None for source in found)
        split_by = "group" if reading.group else "time" if timed else "order"
        split_by = "file" if apart is not None else split_by
    least = MIN_SAMPLES[spec.kind]
    share = HELD_OUT_SHARE
    if reading.held_out is not None:
        share = min(max(reading.held_out / dataset.count, 1e-3), 0.9)
    every = dataset.samples + ([] if apart is None else apart.samples)
    need, of_these, variation = checks.needed(every, share, least)
    total, other = sum(map(len, every)), None if apart is None else apart.count
    seen = [checks.kind(spec, every)]
    seen.append(checks.count(total, other, (need, of_these), least, variation))
    seen += [checks.constant(spec, every, dataset.columns), checks.missing(every)]
    train, held_out = _parts(dataset, apart, reading, enough=seen[1].status == "ok")
    if held_out:
        seen += checks.alike(train, held_out)
    late = checks.times(found)
    seen += [] if late is None else [late]
    of_held_out = found
    if apart is not None and reading.held_out_data is not None:
        of_held_out = _sources(reading.held_out_data, replace(reading, key=reading.held_out_key))
    if spec.kind == "image":
        seen.append(checks.compressed(found, dataset.samples))
    return Gathered(
        data,
        reading,
        name,
        spec,
        train,
        held_out,
        split_by,
        groups,
        tuple(seen),
        need,
        _file_bytes(of_held_out, held_out, spec, split_by),
        _seconds(found, spec),
        len(dataset.skipped),
    )


def _divided(data: str, reading: Reading) -> tuple[str, Reading, str]:
    """A folder with a folder to train and one to test is divided as its owner did."""
    folder = Path(data)
    if builtin.is_name(data) or not folder.is_dir():
        return data, reading, ""
    if reading.held_out_data is not None or reading.held_out is not None:
        return data, reading, ""
    there = {one.name.lower(): one for one in folder.iterdir() if one.is_dir()}
    for train, test in _PARTS:
        if train in there and test in there:
            return str(there[train]), replace(reading, held_out_data=str(there[test])), "folder"
    return data, reading, ""


def _sources(data: str, reading: Reading) -> list[Source]:
    if builtin.is_name(data):
        return [builtin.load(data)]
    skipped: list[sources.Skipped] = []
    return list(sources.read_all([Path(data)], skipped, key=reading.key, options=reading.options))


def _grouped(found: Sequence[Source], reading: Reading) -> tuple[Reading, int]:
    """Pictures that belong together, by folder or by the beginning of their names."""
    for pattern in (_FOLDER, _PREFIX):
        matches = [re.search(pattern, source.name) for source in found]
        names = Counter(m.group(1) for m in matches if m)
        if sum(names.values()) == len(found) and _LEAST_GROUPS <= len(names) <= len(found) / 2:
            return replace(reading, group=pattern), len(names)
    return reading, 0


def _parts(
    dataset: Dataset, apart: Dataset | None, reading: Reading, *, enough: bool
) -> tuple[list[Array], list[Array]]:
    """As train will split them; all to train where there are too few to split."""
    if not enough:
        return dataset.samples, [] if apart is None else apart.samples
    held = 0 if apart is not None else reading.held_out
    split = Split.of(dataset.count, held, dataset.spec.kind)
    if dataset.starts:
        split = split.between(dataset.starts)
    train = dataset.part(range(split.held_out.start))
    return train, dataset.part(split.held_out) if apart is None else apart.samples


def _file_bytes(
    found: Sequence[Source], held_out: Sequence[Array], spec: SampleSpec, split_by: str
) -> int | None:
    """Bytes of the files that the held-out pictures came in, where each is a file of its own."""
    if spec.kind != "image" or not held_out or any(len(s.samples) != 1 for s in found):
        return None
    if split_by in ("folder", "file"):
        return sum(source.source_bytes for source in found)
    whole = sum(source.source_bytes for source in found)
    return round(whole * sum(x.nbytes for x in held_out) / sum(s.samples.nbytes for s in found))


def _seconds(found: Sequence[Source], spec: SampleSpec) -> float | None:
    timed = [s.times for s in found if s.times is not None and len(s.times) > 2]
    if spec.kind != "series" or not timed:
        return None
    step = float(np.median(np.concatenate([np.diff(t) for t in timed]))) / 1e9
    return step * spec.shape[0] if step > 0 else None
