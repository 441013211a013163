"""What a savings page asks of a ledger, in SQL: sums by device, stream and unit of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rdedge.errors import FormatError
from rdedge.ledger.base import Base
from rdedge.ledger.money import satellite_sql
from rdedge.ledger.tariff import Tariff
from rdedge.ledger.wire import wire_sql
from rdedge.types import Array

DAY_NS = 86_400 * 10**9
# Below so many days a unit of time is one of PARTS of each device's time, of fewer packets fewer.
LEAST_DAYS = 14
# Bytes of one packet, and of what another codec made of it.
_MOST = 1 << 50
PARTS = 60
# Ways of coding: as it was, as it is in memory, and as other codecs have it.
WAYS = ("ours", "raw", "today", "best")
# Rounded down before 1970 too; times lie within 2^61 ns.
_BEFORE = 26_688
_DAY = f"((time_ns + {_BEFORE * DAY_NS}) // {DAY_NS} - {_BEFORE})"


def _part(parts: int) -> str:
    """Which part of a device's time a packet lies in."""
    at = f"CAST(floor((time_ns - low) / (high - low + 1.0) * {parts}) AS BIGINT)"
    return f"least({parts - 1}, {at})"


@dataclass(frozen=True)
class Codec:
    """One other codec on the packets that were sampled, all of them. kind: named or equal."""

    place: int
    codec: str
    kind: str
    packets: int
    raw_bytes: int
    payload_bytes: int
    bytes: int
    setting: str


def codecs(base: Base) -> list[Codec]:
    """Other codecs, by place, then by bytes for what they coded."""
    found = base.sql(
        "SELECT place, codec, kind, count(*), CAST(sum(raw_bytes) AS BIGINT), "
        "CAST(sum(payload_bytes) AS BIGINT), CAST(sum(bytes) AS BIGINT), mode(setting) "
        "FROM instead GROUP BY place, codec, kind ORDER BY place, kind DESC, codec"
    ).fetchall()
    return [Codec(*row) for row in found]


@dataclass(frozen=True)
class Reference:
    """Bytes of another codec for each raw byte, stream by stream; those without a packet that was
    sampled have the ratio of all.
    """

    codec: str
    kind: str
    setting: str
    ratios: Mapping[str, float]
    usual: float


def reference(base: Base, codec: Codec) -> Reference:
    """The ratios of one codec."""
    found = base.sql(
        "SELECT stream, CAST(sum(bytes) AS BIGINT), CAST(sum(raw_bytes) AS BIGINT) FROM instead "
        "WHERE place = ? AND codec = ? AND kind = ? GROUP BY stream ORDER BY stream",
        (codec.place, codec.codec, codec.kind),
    ).fetchall()
    ratios = {stream: made / raw for stream, made, raw in found}
    usual = codec.bytes / codec.raw_bytes
    return Reference(codec.codec, codec.kind, codec.setting, ratios, usual)


@dataclass(frozen=True)
class Groups:
    """Sums by device, stream, day and unit; one row each, columns as arrays.

    columns: device, stream: indices into devices and streams; day: since 1970; unit; packets,
    samples, elements, fallback, measured, over, promised, raw_bytes, encode_ns, energy_uj; and of
    each way, `WAY_QUANTITY`: payload, wire, satellite, satellite_messages, broker. first_day,
    last_day: of each device. days: whether units are days, else parts of each device's time, of
    which there are so many.
    """

    devices: tuple[str, ...]
    streams: tuple[str, ...]
    columns: dict[str, Array]
    days: bool
    parts: int
    first_day: Array
    last_day: Array
    measured_wire_bytes: int
    ways: tuple[str, ...]


def groups(
    base: Base, tariff: Tariff, references: Mapping[str, Reference], days: bool | None = None
) -> Groups:
    """The sums. references: of the ways "today" and "best", where they are known.

    days: whether a unit of time is a day; None: where there are LEAST_DAYS of them.
    """
    spans = _spans(base)
    if days is None:
        days = max(s[2] for s in spans) - min(s[1] for s in spans) + 1 >= LEAST_DAYS
    parts = min(PARTS, *(s[5] for s in spans))
    con = base.connection
    con.execute("DROP TABLE IF EXISTS spans")
    con.execute("CREATE TABLE spans (device VARCHAR, low BIGINT, high BIGINT)")
    con.executemany("INSERT INTO spans VALUES (?, ?, ?)", [(s[0], s[3], s[4]) for s in spans])
    con.execute("DROP TABLE IF EXISTS ratios")
    con.execute("CREATE TABLE ratios (stream VARCHAR, today DOUBLE, best DOUBLE)")
    streams = tuple(
        row[0] for row in base.sql("SELECT DISTINCT stream FROM packets ORDER BY stream").fetchall()
    )
    rows = [(s, *(_ratio(references.get(way), s) for way in WAYS[2:])) for s in streams]
    con.executemany("INSERT INTO ratios VALUES (?, ?, ?)", rows)
    ways = ("ours", "raw", *(way for way in WAYS[2:] if way in references))
    answer = base.sql(_question(tariff, ways, None if days else parts)).fetchnumpy()
    columns = {name: np.ma.filled(np.ma.asarray(c), 0) for name, c in answer.items()}
    names = tuple(s[0] for s in spans)
    columns.setdefault("day", columns["unit"])
    columns["device"] = _places(columns["device"], names)
    columns["stream"] = _places(columns["stream"], streams)
    measured = _measured_wire(base, tariff, columns, names, streams)
    first, last = (np.array([s[i] for s in spans], np.int64) for i in (1, 2))
    return Groups(names, streams, columns, days, parts, first, last, measured, ways)


def _ratio(found: Reference | None, stream: str) -> float | None:
    return None if found is None else found.ratios.get(stream, found.usual)


def _places(values: Array, names: tuple[str, ...]) -> Array:
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[v] for v in values], np.int64)


def _question(tariff: Tariff, ways: tuple[str, ...], parts: int | None) -> str:
    """Message sizes of each way, then what is billed of each, then sums.

    Sums are of doubles, which are exact for whole numbers below 2^53.
    """
    n = {
        "ours": "payload_bytes",
        "raw": "raw_bytes",
        "today": "ceil(raw_bytes * today)",
        "best": "ceil(raw_bytes * best)",
    }
    sizes = ", ".join(f"CAST({n[way]} AS DOUBLE) AS n_{way}" for way in ways)
    sums = [f"CAST(sum({q}) AS BIGINT) AS {name}" for name, q in _sums(tariff, ways)]
    unit, by, joins = f"{_DAY} AS unit", "device, stream, unit", ""
    if len(ways) > 2:
        joins += " JOIN ratios USING (stream)"
    if parts is not None:
        unit, by = f"{_part(parts)} AS unit, {_DAY} AS day", by + ", day"
        joins += " JOIN spans USING (device)"
    plain = ", ".join(_PLAIN)
    return (
        f"WITH sized AS (SELECT device, stream, {plain}, {unit}, {sizes} FROM packets{joins}) "
        f"SELECT {by}, count(*) AS packets, {', '.join(sums)} FROM sized "
        f"GROUP BY {by} ORDER BY {by}"
    )


# Columns that are summed as they are, and those that are summed as something else.
_PLAIN = (
    *("samples", "elements", "fallback_samples", "measured", "over", "gated"),
    *("raw_bytes", "encode_ns", "energy_uj", "anomaly"),
)
_RENAMED = {
    "fallback_samples": ("fallback", "fallback_samples"),
    "gated": ("promised", "gated * samples"),
    "energy_uj": ("energy_uj", "coalesce(energy_uj, 0)"),
    "anomaly": ("anomalies", "coalesce(anomaly, 0)"),
}


def _sums(tariff: Tariff, ways: tuple[str, ...]) -> list[tuple[str, str]]:
    found = [(name, name) for name in _PLAIN if name not in _RENAMED]
    found += list(_RENAMED.values())
    for way in ways:
        n = f"n_{way}"
        found += [(f"{way}_payload", n), (f"{way}_wire", wire_sql(n, tariff.link))]
        if tariff.broker.price_million > 0:
            pieces = f"greatest(1, ceil({n} / {tariff.broker.message_bytes}.0))"
            found.append((f"{way}_broker", pieces))
        if tariff.satellite is not None:
            billed, messages = satellite_sql(n, tariff.satellite)
            found += [(f"{way}_satellite", billed), (f"{way}_satellite_messages", messages)]
    return found


def _measured_wire(
    base: Base,
    tariff: Tariff,
    columns: dict[str, Array],
    devices: tuple[str, ...],
    streams: tuple[str, ...],
) -> int:
    """Put what sockets counted in place of the estimate for the packets that it covers; returns
    how many bytes that is. Only a device's own counters say what it sent.
    """
    estimate = wire_sql("payload_bytes", tariff.link)
    found = base.sql(
        f"SELECT device, stream, {_DAY} AS day, CAST(sum(wire_bytes) AS BIGINT), "
        f"CAST(sum(CASE WHEN first = 1 THEN {estimate} ELSE 0 END) AS BIGINT) "
        "FROM sent WHERE kind = 'measured' GROUP BY 1, 2, 3"
    ).fetchall()
    if not found:
        return 0
    names, titles = {d: i for i, d in enumerate(devices)}, {s: i for i, s in enumerate(streams)}
    keys: dict[tuple[int, int, int], list[int]] = {}
    parts = (columns[name].tolist() for name in ("device", "stream", "day"))
    for at, key in enumerate(zip(*parts, strict=True)):
        keys.setdefault(key, []).append(at)
    total = 0
    for device, stream, day, counted, estimated in found:
        rows = keys.get((names.get(device, -1), titles.get(stream, -1), day))
        if rows is None:
            continue
        share = [int(columns["ours_wire"][i]) for i in rows]
        rest = counted - estimated
        for i, part in zip(rows, share, strict=True):
            more = rest * part // max(sum(share), 1)
            columns["ours_wire"][i] += more
        columns["ours_wire"][rows[0]] += rest - sum(rest * p // max(sum(share), 1) for p in share)
        total += counted
    return total


# Values that no ledger holds.
_WRONG = {
    "samples": "samples < 1",
    "fallback_samples": "fallback_samples < 0 OR fallback_samples > samples",
    "raw_bytes": f"raw_bytes < 1 OR raw_bytes > {_MOST}",
    "payload_bytes": f"payload_bytes < 1 OR payload_bytes > {_MOST}",
    "elements": "elements < 1",
    "measured": "measured < 0 OR measured > samples",
    "over": "over < 0 OR over > measured",
    "encode_ns": "encode_ns < 0",
    "gated": "gated NOT IN (0, 1)",
    "distortion": "distortion < 0 OR isnan(distortion)",
    "time_ns": f"abs(time_ns) > {1 << 61}",
}


def _spans(base: Base) -> list[tuple[Any, ...]]:
    """Of each device its name, first and last day, first and last time, packets. Raises FormatError
    where a value is none that a ledger holds.
    """
    wrong = ", ".join(f"count(*) FILTER ({test})" for test in _WRONG.values())
    found: list[tuple[Any, ...]] = base.sql(
        "SELECT device, min(time_ns), max(time_ns), count(*), "
        f"{wrong} FROM packets GROUP BY device ORDER BY device"
    ).fetchall()
    for at, name in enumerate(_WRONG):
        count = sum(row[4 + at] for row in found)
        if count:
            raise FormatError(
                f"{count} packets of the ledger have {name} out of range",
                expected="rows that rdedge wrote",
            )
    (bad,) = base.sql(
        "SELECT count(*) FROM instead WHERE bytes < 0 OR raw_bytes < 1 OR payload_bytes < 1 "
        f"OR greatest(bytes, raw_bytes) > {_MOST}"
    ).fetchone()
    if bad:
        raise FormatError(f"{bad} rows of other codecs have sizes out of range")
    return [(row[0], row[1] // DAY_NS, row[2] // DAY_NS, row[1], row[2], row[3]) for row in found]


@dataclass(frozen=True)
class Distortions:
    """Of the packets of one device and stream, worst samples: what 50 and 95 % of them keep, and
    the worst; None where nothing was measured. bound: the strictest and the loosest.
    """

    device: str
    stream: str
    metric: str
    packets: int
    median: float | None
    p95: float | None
    worst: float | None
    bound_low: float | None
    bound_high: float | None


def distortions(base: Base) -> list[Distortions]:
    """By device, stream and metric. psnr is a minimum, so its order is turned."""
    found = base.sql(
        "SELECT device, stream, metric, count(distortion), quantile_disc("
        "CASE WHEN metric = 'psnr' THEN -distortion ELSE distortion END, [0.5, 0.95, 1.0]), "
        "min(bound), max(bound) FROM packets GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    made = []
    for device, stream, metric, count, values, low, high in found:
        sign = -1.0 if metric == "psnr" else 1.0
        three = [None, None, None] if values is None else [sign * v for v in values]
        median, p95, worst = three
        made.append(Distortions(device, stream, metric, count, median, p95, worst, low, high))
    return made


def drawn(base: Base, groups_: Groups, chosen: Reference) -> tuple[Array, Array]:
    """Of the packets that were sampled, by device and unit: what the codec made of them, and what
    its ratio foretells; (D, U) each.
    """
    first = int(groups_.first_day.min())
    width = int(groups_.last_day.max()) - first + 1 if groups_.days else groups_.parts
    unit = f"{_DAY} - {first}"
    if not groups_.days:
        unit = _part(groups_.parts)
    found: Any = base.sql(
        f"SELECT device, stream, {unit}, CAST(sum(bytes) AS BIGINT), "
        "CAST(sum(raw_bytes) AS BIGINT) FROM instead JOIN spans USING (device) "
        "WHERE codec = ? AND kind = ? "
        "AND place = (SELECT min(place) FROM instead WHERE codec = ? AND kind = ?) "
        "AND time_ns BETWEEN low AND high GROUP BY 1, 2, 3",
        (chosen.codec, chosen.kind, chosen.codec, chosen.kind),
    ).fetchall()
    names = {d: i for i, d in enumerate(groups_.devices)}
    made, foretold = np.zeros((2, len(names), width))
    for device, stream, at, size, raw in found:
        made[names[device], at] += size
        foretold[names[device], at] += raw * chosen.ratios.get(stream, chosen.usual)
    return made, foretold
