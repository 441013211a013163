"""What a ledger holds: one dataclass a table, whose fields are the columns (docs/ledger.md)."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import Literal

# SQLite's application_id ("RDLG") and user_version; of Parquet the key and the value beside it.
APPLICATION = 0x52444C47
VERSION = 1
PARQUET_KEY = "rdedge_ledger"

WireKind = Literal["measured", "estimated"]
ColumnKind = Literal["INTEGER", "REAL", "TEXT"]


@dataclass(frozen=True)
class PacketRow:
    """One packet. None: not known.

    stream: what it belongs to; source: the file or sensor that its first sample came from.
    time_ns: of its first sample, ns since 1970 UTC, where the data has times, else as recorded_ns,
    when it was made. codec: identity, 64 hex digits. level: where all learned runs have one. runs:
    `learned@0*40,zstd@0*2`: codec, level, samples. fallback_samples: of those, not learned.
    raw_bytes: its samples in memory; payload_bytes: the packet, headers and checksum included.
    distortion: of its worst sample, in metric, as the device measured it; measured, over: samples
    that it measured, and of these beyond the bound. gated: 1 where the packet promises its bound.
    encode_ns: wall clock. energy_uj: the board's or the processor's, apportioned by encode_ns.
    anomaly: 1 where the device flagged it, 0 where it did not.
    """

    device: str
    stream: str
    source: str
    time_ns: int
    recorded_ns: int
    codec: str
    level: int | None
    runs: str
    samples: int
    fallback_samples: int
    elements: int
    raw_bytes: int
    payload_bytes: int
    metric: str
    bound: float | None
    distortion: float | None
    measured: int
    over: int
    gated: int
    encode_ns: int
    energy_uj: int | None = None
    anomaly: int | None = None


@dataclass(frozen=True)
class InsteadRow:
    """What another codec made of a packet that was sampled.

    place: 0 for the first that the user named, which stands for today. kind: "named", at the
    setting that the user gave or the usual one of a codec without loss; "equal", at the fewest
    bytes within what the packet itself errs. payload_bytes: the packet's own. bytes: this codec's,
    whole files. distortion: as a mean bound is held against, in metric; 0 without loss.
    """

    device: str
    stream: str
    time_ns: int
    place: int
    codec: str
    setting: str
    kind: str
    samples: int
    raw_bytes: int
    payload_bytes: int
    bytes: int
    metric: str
    distortion: float | None
    encode_ns: int


@dataclass(frozen=True)
class IntervalRow:
    """Some time of one connection. up_bytes, down_bytes: on the wire, protocol, TLS and
    acknowledgements included; kind: measured, by the socket's counters, or estimated, by formula.
    packets, payload_bytes: what was sent in it.
    """

    device: str
    link: str
    start_ns: int
    end_ns: int
    up_bytes: int
    down_bytes: int
    kind: str
    formula: str
    packets: int
    payload_bytes: int


@dataclass(frozen=True)
class SentRow:
    """A packet's part of an interval. time_ns: the packet's; wire_bytes: apportioned by payload, so
    that an interval's parts add up to its up_bytes and down_bytes. first: 0 where the packet was
    sent before.
    """

    device: str
    stream: str
    time_ns: int
    interval_ns: int
    payload_bytes: int
    wire_bytes: int
    kind: str
    first: int


Row = PacketRow | InsteadRow | IntervalRow | SentRow
TABLES: dict[str, type[Row]] = {
    "packets": PacketRow,
    "instead": InsteadRow,
    "intervals": IntervalRow,
    "sent": SentRow,
}
_KINDS: dict[type, ColumnKind] = {int: "INTEGER", float: "REAL", str: "TEXT"}


@dataclass(frozen=True)
class Column:
    """One column; null: whether it may lack a value."""

    name: str
    kind: ColumnKind
    null: bool


def columns(table: str) -> tuple[Column, ...]:
    """The columns of a table in their order."""
    cls = TABLES[table]
    hints = typing.get_type_hints(cls)
    found = []
    for field in dataclasses.fields(cls):
        kinds = [k for k in typing.get_args(hints[field.name]) if k is not type(None)]
        kind = _KINDS[kinds[0] if kinds else hints[field.name]]
        found.append(Column(field.name, kind, bool(kinds)))
    return tuple(found)


def ddl(table: str) -> str:
    """The statement that makes a table in SQLite."""
    parts = (f"{c.name} {c.kind}{'' if c.null else ' NOT NULL'}" for c in columns(table))
    return f"CREATE TABLE {table} ({', '.join(parts)})"


def values(row: Row) -> tuple[object, ...]:
    """A row as SQLite takes it."""
    return tuple(getattr(row, field.name) for field in dataclasses.fields(row))
