"""The figures of a pilot once more, from its ledger, its curve.csv and its tariff.toml.

    python tests/report/redo.py FOLDER

Shares no code with the package: SQL over the ledger, the formulas of docs/ledger.md by hand, a
tariff in steps, the bootstrap of one device with its seed, a quantile of t by integration.
recompute.py holds report.html against pilot.json; this holds pilot.json against what it was made
of. Prints what differs and returns 1, or how many figures are the same.
"""

from __future__ import annotations

import csv
import json
import math
import sqlite3
import sys
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Each table with its columns as dictionaries.
Rows = list[dict[str, Any]]
MONTH = Fraction(1461, 48)
TOPIC = 32
# What docs/ledger.md says of the interval of less than 14 days.
PARTS, DRAWS, TAIL = 60, 1999, 0.05


def exact(value: float) -> Fraction:
    return Fraction(Decimal(repr(value)))


def rounded(amount: Fraction) -> float:
    """As the account rounds: once, to millionths."""
    return round(amount * 10**6) / 1e6


def table(folder: Path, name: str) -> Rows:
    found: Rows = []
    for path in sorted((folder / "ledger").glob("*.sqlite")):
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        base.row_factory = sqlite3.Row
        found += [dict(row) for row in base.execute(f"SELECT * FROM {name} ORDER BY time_ns")]
        base.close()
    return found


def on_the_wire(n: int) -> int:
    """docs/ledger.md: one message of n bytes by MQTT in TLS, both ways."""
    rest = n + TOPIC + 4
    message = rest + 1 + (1 if rest < 128 else 2 if rest < 16_384 else 3 if rest < 1 << 21 else 4)
    message += 22 * math.ceil(message / 16_384)
    segments = math.ceil(message / 1448)
    return message + 52 * segments + 52 * math.ceil(segments / 2) + 130


class Tariff:
    """Steps, storage, broker, costs and fleet of a tariff.toml."""

    def __init__(self, folder: Path) -> None:
        value = tomllib.loads((folder / "tariff.toml").read_text("utf-8"))
        assert value["steps"], "a tariff in steps"
        assert value["link"]["protocol"] == "mqtt-tls"
        self.steps = value["steps"]
        self.storage, self.broker = value["storage"], value["broker"]
        self.costs, self.fleet = value["costs"], value["fleet"]

    def sending(self, wire: Fraction) -> Fraction:
        mb, total = wire / 10**6, Fraction(0)
        for step in self.steps:
            low = exact(step["from_mb"])
            high = min(mb, exact(step["to_mb"])) if "to_mb" in step else mb
            total += max(Fraction(0), high - low) * exact(step["price"])
        return total

    def rest(self, stored: Fraction, messages: Fraction) -> Fraction:
        kept = stored / 10**9 * exact(self.storage["price"]) * exact(self.storage["months"])
        return kept + messages / 10**6 * exact(self.broker["price_million"])

    @property
    def running(self) -> Fraction:
        devices = self.fleet["devices"]
        return exact(self.costs["engineering_year"]) + devices * exact(
            self.costs["per_device_year"]
        )

    @property
    def once(self) -> Fraction:
        return exact(self.costs["engineering"]) + self.fleet["devices"] * exact(
            self.costs["per_device"]
        )


class Month:
    """What the pilot's one device sends in a mean month, were its packets of these sizes."""

    def __init__(self, sizes: list[int], samples: int, tariff: Tariff) -> None:
        share = MONTH / (Fraction(samples) / exact(tariff.fleet["samples_day"]))
        long = tariff.broker["message_bytes"]
        self.tariff = tariff
        self.wire = sum(map(on_the_wire, sizes)) * share
        self.stored = sum(sizes) * share
        self.messages = sum(max(1, math.ceil(n / long)) for n in sizes) * share

    def bill(self, by: Fraction = Fraction(1)) -> Fraction:
        t = self.tariff
        return t.sending(by * self.wire) + t.rest(by * self.stored, by * self.messages)


def figures(folder: Path) -> Iterator[tuple[str, Any]]:
    """(path in pilot.json, what it must be)."""
    packets, instead = table(folder, "packets"), table(folder, "instead")
    ours, raw = (sum(row[key] for row in packets) for key in ("payload_bytes", "raw_bytes"))
    elements, samples = (sum(row[key] for row in packets) for key in ("elements", "samples"))
    pilot = json.loads((folder / "pilot.json").read_bytes())
    yield "chosen.bytes", ours
    yield "chosen.raw_bytes", raw
    yield "chosen.bits_per_element", 8 * ours / elements
    yield "chosen.saved", 1 - ours / raw
    yield "chosen.fallback_share", sum(row["fallback_samples"] for row in packets) / samples
    yield "chosen.promise.over", sum(row["over"] for row in packets)
    yield "chosen.promise.of", len(packets)
    for name in ("shown", "worst"):
        for k, one in enumerate(pilot["samples"][name]):
            yield f"samples.{name}.{k}.bytes", packets[one["index"]]["payload_bytes"]
    with (folder / "curve.csv").open(newline="", encoding="utf-8") as lines:
        curve = list(csv.DictReader(lines))
    yield "curve", len(curve)
    best = pilot["best_classical"]
    for k, row in enumerate(curve):
        bits = float(row["bits_per_element"])
        made = {
            "codec": row["codec"],
            "setting": row["setting"],
            "bits_per_element": bits,
            "bytes": round(bits * elements / 8),
            "saved": 1 - bits * elements / 8 / raw,
            "distortion.value": float(row["distortion"]),
        }
        if row["task"]:
            made["score"] = float(row["task"])
        for name, value in made.items():
            yield f"curve.{k}.{name}", value
            if best and (row["codec"], row["setting"]) == (best["codec"], best["setting"]):
                yield f"best_classical.{name}", value
    sizes = {"raw": raw}
    if best is not None:
        sizes["best-classical"] = round(best["bits_per_element"] * elements / 8)
    if pilot["today"]["codec"] == "files":
        # Each packet's is rounded by itself in the ledger.
        sizes["today"] = pilot["today"]["bytes"]
        kept = sum(row["bytes"] for row in instead if row["codec"] == "files")
        yield "today.bytes", Near(kept, len(packets))
    for k, one in enumerate(pilot["comparison"]):
        yield f"comparison.{k}.bytes", sizes[one["against"]]
        yield f"comparison.{k}.saved", 1 - ours / sizes[one["against"]]
    if pilot["saving"] is not None:
        yield from money(folder, pilot, packets, instead, samples)


class Near:
    """A number, within so much."""

    def __init__(self, value: float, within: float) -> None:
        self.value, self.within = value, within

    def __str__(self) -> str:
        return f"{self.value}, within {self.within}"


def sampled(instead: Rows, reference: str) -> Rows:
    """What the codec of a reference made of the packets that were sampled."""
    if reference == "today":
        rows = [row for row in instead if row["place"] == 0]
    else:
        equal = [row for row in instead if row["kind"] == "equal"] or instead
        totals: dict[str, tuple[int, int]] = {}
        for row in equal:
            size, of = totals.get(row["codec"], (0, 0))
            totals[row["codec"]] = size + row["bytes"], of + row["raw_bytes"]
        codec = min(totals, key=lambda name: totals[name][0] / totals[name][1])
        rows = [row for row in equal if row["codec"] == codec]
    return rows


def students(tail: float, freedom: float) -> float:
    """The quantile of t with so many degrees of freedom, by Simpson's rule and halving."""
    scale = math.gamma((freedom + 1) / 2) / math.gamma(freedom / 2) / math.sqrt(freedom * math.pi)

    def below(x: float) -> float:
        at = np.linspace(x, 0.0, 20_001)
        density = scale * (1 + at**2 / freedom) ** (-(freedom + 1) / 2)
        weights = np.ones(len(at))
        weights[1:-1:2], weights[2:-1:2] = 4, 2
        return float(0.5 - (weights @ density) * -x / (3 * (len(at) - 1)))

    low, high = -1e3, 0.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) < tail else (low, middle)
    return low


def interval(
    packets: Rows, sizes: list[int], rows: Rows, share: float, tariff: Tariff, seed: int
) -> tuple[float, float]:
    """The ends of what a device saves in a month: parts of its time drawn in blocks.

    sizes: of the packets were they coded otherwise; rows: what that codec made of those sampled,
    share: of their raw bytes, none where it is exact.
    """
    times = [row["time_ns"] for row in packets]
    first, units = min(times), min(PARTS, len(packets))
    span = max(times) - first + 1.0

    def part(time_ns: int) -> int:
        return min(units - 1, math.floor((time_ns - first) / span * units))

    ours, theirs, days = np.zeros((units, 3)), np.zeros((units, 3)), np.zeros(units)
    for row, size in zip(packets, sizes, strict=True):
        for sums, n in ((ours, row["payload_bytes"]), (theirs, size)):
            pieces = max(1, math.ceil(n / tariff.broker["message_bytes"]))
            sums[part(row["time_ns"])] += on_the_wire(n), n, pieces
        days[part(row["time_ns"])] += row["samples"] / tariff.fleet["samples_day"]
    made, foretold = np.zeros(units), np.zeros(units)
    for row in rows:
        if first <= row["time_ns"] <= max(times):
            made[part(row["time_ns"])] += row["bytes"]
            foretold[part(row["time_ns"])] += row["raw_bytes"] * share
    length = max(1, round(units ** (1 / 3)))
    starts = np.random.default_rng(seed).integers(0, units, (-(-units // length), DRAWS))

    def bill(sums: Any, of: Any, by: float) -> float:
        wire, stored, messages = by * float(MONTH) * sums[of].sum(axis=0) / days[of].sum()
        total = 0.0
        for step in tariff.steps:
            high = min(wire / 1e6, step.get("to_mb", math.inf))
            total += max(0.0, high - step["from_mb"]) * step["price"]
        storage, broker = tariff.storage, tariff.broker
        total += stored / 1e9 * storage["price"] * storage["months"]
        return float(total + messages / 1e6 * broker["price_million"])

    saved = []
    for draw in starts.T:
        of = ((draw[:, None] + np.arange(length)) % units).reshape(-1)[:units]
        off = made[of].sum() / foretold[of].sum() if foretold[of].sum() > 0 else 1.0
        saved.append(bill(theirs, of, off) - bill(ours, of, 1.0))
    freedom = max(1.0, units / length - 1)
    tail = NormalDist().cdf(math.sqrt((freedom + 1) / freedom) * students(TAIL, freedom))
    low, high = np.quantile(saved, [tail, 1 - tail])
    return float(low), float(high)


def money(
    folder: Path, pilot: dict[str, Any], packets: Rows, instead: Rows, samples: int
) -> Iterator[tuple[str, Any]]:
    tariff = Tariff(folder)
    ours = Month([row["payload_bytes"] for row in packets], samples, tariff)
    months: dict[str, Month] = {}
    ends: dict[str, tuple[float, float]] = {}
    for k, one in enumerate(pilot["saving"]["by_reference"]):
        name, share = one["against"], 1.0
        rows = [] if name == "raw" else sampled(instead, "today" if name == "today" else "best")
        if rows:
            made = (sum(row[key] for row in rows) for key in ("bytes", "raw_bytes"))
            share = float(Fraction(*made))
        sizes = [math.ceil(row["raw_bytes"] * share) for row in packets]
        months[name] = Month(sizes, samples, tariff)
        value = rounded(months[name].bill() - ours.bill())
        yield f"saving.by_reference.{k}.value", value
        ends[name] = interval(packets, sizes, rows, share, tariff, pilot["seed"])
        # The quantile of t is an expansion in the package.
        within = 1e-4 * (ends[name][1] - ends[name][0]) + 2e-6
        for end, bound in zip(("low", "high"), ends[name], strict=True):
            yield f"saving.by_reference.{k}.{end}", Near(bound, within)
            if name == pilot["saving"]["against"]:
                yield f"saving.{end}", Near(bound, within)
                fleet = 12 * tariff.fleet["devices"]
                a_year = fleet * bound - float(tariff.running)
                yield f"saving.yearly.{end}", Near(a_year, fleet * within)
    other = months[pilot["saving"]["against"]]
    value = other.bill() - ours.bill()
    devices = tariff.fleet["devices"]
    year = 12 * devices * value - tariff.running
    yield "saving.value", rounded(value)
    yield "saving.yearly.devices", devices
    yield "saving.yearly.value", rounded(year)
    yield "saving.yearly.running", rounded(tariff.running)
    yield "saving.yearly.once", rounded(tariff.once)
    back = None if year <= 0 else round(float(12 * tariff.once / year), 2)
    yield "saving.payback_months", back
    fifth, tenth = Fraction(1, 5), Fraction(1, 10)
    sent = tariff.sending(other.wire) - tariff.sending(ours.wire)
    changed = {
        ("price", 0.2): value + fifth * sent,
        ("price", -0.2): value - fifth * sent,
        ("volume", 0.2): other.bill(1 + fifth) - ours.bill(1 + fifth),
        ("volume", -0.2): other.bill(1 - fifth) - ours.bill(1 - fifth),
        ("our-bytes", 0.1): other.bill() - ours.bill(1 + tenth),
        ("reference-bytes", -0.2): other.bill(1 - fifth) - ours.bill(),
    }
    for k, one in enumerate(pilot["saving"]["sensitivity"]):
        what = one["key"].removeprefix("sensitivity.")
        yield f"saving.sensitivity.{k}.value", rounded(changed[what, one["values"]["change"]])


def at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return len(value) if path == "curve" else value


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, Near):
        return bool(abs(found - wanted.value) <= wanted.within)
    if isinstance(wanted, float) and found is not None:
        return math.isclose(found, wanted, rel_tol=1e-12, abs_tol=1e-12)
    return bool(found == wanted)


def faults(folder: Path) -> tuple[list[str], int]:
    """What differs, and how many figures were looked at."""
    pilot = json.loads((folder / "pilot.json").read_bytes())
    found, count = [], 0
    for path, wanted in figures(folder):
        count += 1
        is_ = at(pilot, path)
        if not same(is_, wanted):
            found.append(f"{path}: {is_}, and from ledger, curve and tariff {wanted}")
    return found, count


if __name__ == "__main__":
    wrong, looked_at = faults(Path(sys.argv[1]))
    print("\n".join(wrong) or f"{looked_at} figures are those of ledger, curve and tariff")
    sys.exit(bool(wrong))
