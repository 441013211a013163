"""The series that benchmarks run on, as windows: one function a set.

A window is 64 rows without overlap, never across a file or a break in time, nor across the split
between training and test; rows left over at the end of a stretch are left out. Values are
standardised, channel by channel, by the mean and standard deviation of the training rows. Rows that
are a little late (SKAB: 2 s in place of 1 s, in 5 % of rows) count as the next row, as a device
would send them; a step of more than ten sampling intervals (SKAB: 54 to 76 s, in three files) is a
break. Rows whose time is not later than all before them are left out (NAB's temperature: twelve,
after a jump of 55 minutes back).
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

WINDOW = 64
TRAIN_SHARE = 0.7
_BREAK = 10


@dataclass(frozen=True)
class SeriesSet:
    """Windows of a set.

    train: (M, 64, C), test: (N, 64, C), float32, standardised, in time order.
    channels: C names. mean, std: (C,) float64, raw units, of the training rows.
    """

    name: str
    train: np.ndarray
    test: np.ndarray
    channels: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray


@dataclass(frozen=True)
class _Table:
    """times: (R,) seconds; values: (R, C) float64; channels: C names."""

    times: np.ndarray
    values: np.ndarray
    channels: tuple[str, ...]

    def part(self, rows: slice) -> _Table:
        return _Table(self.times[rows], self.values[rows], self.channels)


def skab(data: Path) -> SeriesSet:
    """A water circulation test bed, 8 channels at 1 Hz: trained on the anomaly-free file."""
    files = sorted((data / "skab").glob("*.csv"), key=_by_number)
    train = [_read(f, ";") for f in files if f.stem == "anomaly-free"]
    test = [_read(f, ";") for f in files if f.stem != "anomaly-free"]
    return _set("skab", train, test)


def etth1(data: Path) -> SeriesSet:
    """An electricity transformer, 7 channels, hourly: trained on the first 70 %."""
    return _split("etth1", data / "ett" / "ETTh1.csv")


def nab_temperature(data: Path) -> SeriesSet:
    """A machine's temperature every 5 minutes: trained on the first 70 %."""
    return _split("nab-temperature", data / "nab" / "machine_temperature_system_failure.csv")


def nab_cpu(data: Path) -> SeriesSet:
    """A processor's load every 5 minutes: trained on the first 70 %."""
    return _split("nab-cpu", data / "nab" / "cpu_utilization_asg_misconfiguration.csv")


SERIES: dict[str, Callable[[Path], SeriesSet]] = {
    "skab": skab,
    "etth1": etth1,
    "nab-cpu": nab_cpu,
    "nab-temperature": nab_temperature,
}


def _by_number(file: Path) -> tuple[str, int]:
    """Order in time: valve1-2 stands before valve1-10."""
    stem, _, number = file.stem.rpartition("-")
    return (stem, int(number)) if number.isdigit() else (file.stem, 0)


def _read(file: Path, delimiter: str = ",") -> _Table:
    with file.open(newline="") as lines:
        header, *rows = csv.reader(lines, delimiter=delimiter)
    # Labels of anomalies are no measurements.
    keep = [i for i, name in enumerate(header) if i and name not in ("anomaly", "changepoint")]
    times = np.array([datetime.fromisoformat(row[0]).timestamp() for row in rows])
    values = np.array([[float(row[i]) for i in keep] for row in rows])
    before = np.maximum.accumulate(np.concatenate([[-np.inf], times[:-1]]))
    new = times > before
    return _Table(times[new], values[new], tuple(header[i] for i in keep))


def _windows(table: _Table) -> np.ndarray:
    """(N, 64, C) float64."""
    steps = np.diff(table.times)
    breaks = np.flatnonzero(steps > _BREAK * np.median(steps)) + 1
    cut = [
        stretch[: len(stretch) // WINDOW * WINDOW].reshape(-1, WINDOW, stretch.shape[1])
        for stretch in np.split(table.values, breaks)
    ]
    return np.concatenate(cut)


def _split(name: str, file: Path) -> SeriesSet:
    table = _read(file)
    at = int(TRAIN_SHARE * len(table.times))
    return _set(name, [table.part(slice(None, at))], [table.part(slice(at, None))])


def _set(name: str, train: list[_Table], test: list[_Table]) -> SeriesSet:
    rows = np.concatenate([t.values for t in train])
    mean, std = rows.mean(axis=0), rows.std(axis=0)

    def cut(tables: list[_Table]) -> np.ndarray:
        return ((np.concatenate([_windows(t) for t in tables]) - mean) / std).astype(np.float32)

    return SeriesSet(name, cut(train), cut(test), train[0].channels, mean, std)
