"""Rows as tests need them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rdedge.ledger.schema import InsteadRow, PacketRow
from rdedge.ledger.store import LedgerWriter

DAY = 86_400 * 10**9
# 2026-01-05, a Monday.
START = 20_458 * DAY


def writer_of(folder: Path, **options: object) -> LedgerWriter:
    """A writer that does not mind the age of these rows."""
    return LedgerWriter(folder, most_age_s=1e12, **options)  # type: ignore[arg-type]


def packet(**changes: object) -> PacketRow:
    row = PacketRow(
        device="pump-1",
        stream="pressure",
        source="pump.csv",
        time_ns=START,
        recorded_ns=START,
        codec="ab" * 32,
        level=3,
        runs="learned@3*10",
        samples=10,
        fallback_samples=0,
        elements=640,
        raw_bytes=2560,
        payload_bytes=100,
        metric="nrmse",
        bound=0.1,
        distortion=0.08,
        measured=10,
        over=0,
        gated=1,
        encode_ns=1_000_000,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def instead(**changes: object) -> InsteadRow:
    row = InsteadRow(
        device="pump-1",
        stream="pressure",
        time_ns=START,
        place=0,
        codec="gzip",
        setting="level 6",
        kind="named",
        samples=10,
        raw_bytes=2560,
        payload_bytes=100,
        bytes=1280,
        metric="nrmse",
        distortion=0.0,
        encode_ns=1000,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def fleet(devices: int = 3, days: int = 20, each_day: int = 4) -> list[PacketRow]:
    """Devices that differ, days that differ, two streams, a fallback now and then."""
    rows = []
    for d in range(devices):
        for t in range(days):
            for k in range(each_day):
                hard = (d + t + k) % 5 == 0
                rows.append(
                    packet(
                        device=f"pump-{d}",
                        stream=("pressure", "flow")[k % 2],
                        time_ns=START + t * DAY + k * 10**12 + d,
                        payload_bytes=60 + 13 * d + 7 * (t % 6) + (200 if hard else 0),
                        distortion=0.05 + 0.001 * ((d + t + k) % 40),
                        runs="learned@3*8,zstd@0*2" if hard else "learned@3*10",
                        fallback_samples=2 if hard else 0,
                    )
                )
    return rows
