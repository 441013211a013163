"""Ledgers: how fast many packets are accounted for, and whether the interval is honest.

    python benchmarks/ledger.py scale [--rows 10000000] [--machine NAME]
    python benchmarks/ledger.py cover [--draws 200] [--machine NAME]
    python benchmarks/ledger.py append [--machine NAME]

scale: makes a ledger of so many packets (100 devices, 2 streams, a year, parts of a million rows),
then runs `rdedge savings` on it in a process of its own: seconds and peak memory, into
results/ledger-scale-MACHINE.csv. cover: fleets whose yearly saving is known, drawn again and again;
how often the 90 % interval covers it, into results/ledger-cover-MACHINE.csv. append: rows a second
of the writer, into results/ledger-append-MACHINE.csv.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from coding import machine_name

from rdedge.ledger import base as duck
from rdedge.ledger import schema
from rdedge.ledger.bootstrap import interval
from rdedge.ledger.schema import PacketRow
from rdedge.ledger.store import LedgerWriter

RESULTS = Path(__file__).parent / "results"
DAY_NS = 86_400 * 10**9
START_NS = 20_000 * DAY_NS
_PART = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["scale", "cover", "append"])
    parser.add_argument("--rows", type=int, default=10**7)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--machine", default=machine_name())
    options = parser.parse_args()
    rows = {"scale": scale, "cover": cover, "append": append}[options.what](options)
    for row in rows:
        row |= {"machine": options.machine}
        print(row, flush=True)
    path = RESULTS / f"ledger-{options.what}-{options.machine}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def make(folder: Path, rows: int, devices: int = 100, days: int = 365) -> None:
    """A ledger of Parquet, as the writer's rows would have it, made by the engine."""
    base = duck.connect(folder)
    for i in range(0, rows, _PART):
        count = min(_PART, rows - i)
        base.execute("SELECT setseed(?)", [(i % 997) / 1000])
        step = DAY_NS * days // rows
        packets = f"""
            SELECT 'device-' || lpad(CAST(n % {devices} AS VARCHAR), 5, '0') AS device,
            'stream-' || CAST(n // {devices} % 2 AS VARCHAR) AS stream, 'camera' AS source,
            CAST({START_NS} + n * {step} AS BIGINT) AS time_ns,
            CAST({START_NS} + n * {step} AS BIGINT) AS recorded_ns,
            repeat('0123456789abcdef', 4) AS codec, CAST(n % 8 AS BIGINT) AS level,
            CASE WHEN n % 20 = 0 THEN 'zstd@0*1' ELSE 'learned@' || CAST(n % 8 AS VARCHAR) || '*1'
            END AS runs, CAST(1 AS BIGINT) AS samples,
            CAST(n % 20 = 0 AS BIGINT) AS fallback_samples, CAST(4096 AS BIGINT) AS elements,
            CAST(4096 AS BIGINT) AS raw_bytes, CAST(100 + floor(random() * 200) AS BIGINT) AS
            payload_bytes, 'mse' AS metric, CAST(4 AS DOUBLE) AS bound, random() * 4 AS distortion,
            CAST(1 AS BIGINT) AS measured, CAST(0 AS BIGINT) AS over, CAST(1 AS BIGINT) AS gated,
            CAST(floor(random() * 1e6) AS BIGINT) AS encode_ns, CAST(NULL AS BIGINT) AS energy_uj,
            CAST(NULL AS BIGINT) AS anomaly FROM range({i}, {i + count}) AS t(n)"""
        instead = f"""
            SELECT device, stream, time_ns, CAST(0 AS BIGINT) AS place, 'gzip' AS codec,
            'level 6' AS setting, 'named' AS kind, samples, raw_bytes, payload_bytes,
            CAST(2000 + random() * 100 AS BIGINT) AS bytes, metric, CAST(0 AS DOUBLE) AS distortion,
            CAST(100000 AS BIGINT) AS encode_ns FROM ({packets}) WHERE random() < 0.01"""
        for table, asked in (("packets", packets), ("instead", instead)):
            names = ", ".join(column.name for column in schema.columns(table))
            path = folder / f"part-{i // _PART:05}.{table}.parquet"
            base.execute(
                f"COPY (SELECT {names} FROM ({asked})) TO '{path}' (FORMAT parquet, COMPRESSION "
                f"zstd, KV_METADATA {{{schema.PARQUET_KEY}: '{schema.VERSION}'}})"
            )
    base.close()


def scale(options: argparse.Namespace) -> list[dict]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, options.rows)
        size = sum(p.stat().st_size for p in folder.iterdir())
        found = []
        for case, arguments in (
            ("savings", []),
            ("savings --tariff lte-steps", ["--tariff", "lte-steps"]),
            ("savings --tariff satellite --csv", ["--tariff", "satellite", "--csv", "-f"]),
        ):
            if "--csv" in arguments:
                arguments.insert(3, f"{name}/out.csv")
            started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, "-m", "rdedge", "savings", name, *arguments]
            text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            spent = time.perf_counter() - started
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            found.append(
                {
                    "case": case,
                    "packets": options.rows,
                    "ledger_mb": round(size / 1e6, 1),
                    "seconds": round(spent, 2),
                    "cpu_seconds": round(cpu, 2),
                    "load_average": round(os.getloadavg()[0], 1),
                    # Of the largest child so far.
                    "peak_mib_so_far": round(after.ru_maxrss / 1024),
                    "headline": text.splitlines()[0],
                }
            )
        return found


def append(options: argparse.Namespace) -> list[dict]:
    found = []
    for batch in (1, 16, 256):
        with tempfile.TemporaryDirectory() as name:
            writer = LedgerWriter(Path(name), most_age_s=1e12)
            rows = [packet(i) for i in range(batch)]
            started, turns = time.perf_counter(), max(20, 2000 // batch)
            for _ in range(turns):
                writer.append(rows)
            spent = time.perf_counter() - started
        found.append(
            {
                "rows_an_append": batch,
                "ms_an_append": round(1e3 * spent / turns, 2),
                "rows_a_second": round(batch * turns / spent),
            }
        )
    return found


def packet(i: int) -> PacketRow:
    return PacketRow(
        *("device", "stream", "source", START_NS + i, START_NS + i, "0" * 64, 0, "learned@0*1"),
        *(1, 0, 64, 64, 20, "mse", 4.0, 1.0, 1, 0, 1, 1000),
    )


@dataclass(frozen=True)
class Fleet:
    """A population of devices and days. mean: saving of a device and day; device, day, noise:
    standard deviations, shares of it; memory: of a day's shock in the next, common to all devices;
    season: one wave a year.
    """

    name: str
    devices: int
    days: int
    device: float
    day: float
    noise: float
    memory: float
    season: float
    assumed: float = 0.0
    mean: float = 10.0

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """(devices, days) savings; the first day is any of the year."""
        levels = np.exp(rng.normal(0, self.device, self.devices) - self.device**2 / 2)
        shock = np.empty(self.days)
        shock[0] = rng.normal(0, self.day)
        for t in range(1, self.days):
            step = rng.normal(0, self.day * np.sqrt(1 - self.memory**2))
            shock[t] = self.memory * shock[t - 1] + step
        t = np.arange(self.days) + rng.integers(0, 365)
        wave = 1 + self.season * np.cos(2 * np.pi * t / 365.25)
        noise = rng.normal(0, self.noise, (self.devices, self.days))
        found: np.ndarray = self.mean * levels[:, None] * wave * (1 + shock) * (1 + noise)
        return found


FLEETS = (
    Fleet("a year, 40 devices", 40, 365, 0.4, 0.15, 0.3, 0.6, 0.3),
    Fleet("a year, 8 devices", 8, 365, 0.4, 0.15, 0.3, 0.6, 0.3),
    Fleet("a year, 200 devices alike", 200, 365, 0.05, 0.2, 0.3, 0.7, 0.3),
    Fleet("90 days, 40 devices, no season", 40, 90, 0.4, 0.15, 0.3, 0.6, 0.0),
    Fleet("30 days, 10 devices, no season", 10, 30, 0.4, 0.15, 0.3, 0.5, 0.0),
    Fleet("90 days, 40 devices, season assumed", 40, 90, 0.2, 0.15, 0.3, 0.6, 0.2, 0.2),
    Fleet("90 days, 40 devices, season not assumed", 40, 90, 0.2, 0.15, 0.3, 0.6, 0.2),
)


def covers(fleet: Fleet, seed: int) -> tuple[bool, float]:
    """Whether one fleet's interval covers the yearly saving of a device, and how wide it is."""
    saved = fleet.draw(np.random.default_rng([seed, 8]))

    def value(means: np.ndarray, counts: np.ndarray, factor: np.ndarray) -> np.ndarray:
        return 365.25 * (means[0] * counts).sum(axis=0) / counts.sum(axis=0) * factor

    active = np.ones_like(saved)
    found = interval(saved[None], active, value, days=True, season=fleet.assumed, seed=seed)
    assert found is not None
    truth = 365.25 * fleet.mean
    return found.low <= truth <= found.high, (found.high - found.low) / truth


def cover(options: argparse.Namespace) -> list[dict]:
    rows = []
    for fleet in FLEETS:
        found = [covers(fleet, seed) for seed in range(options.draws)]
        rows.append(
            {
                "fleet": fleet.name,
                "devices": fleet.devices,
                "days": fleet.days,
                "season": fleet.season,
                "assumed_season": fleet.assumed,
                "draws": options.draws,
                "covered": round(float(np.mean([hit for hit, _ in found])), 3),
                "mean_width": round(float(np.mean([width for _, width in found])), 3),
            }
        )
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
