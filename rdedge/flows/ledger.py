"""What a ledger saved: bytes, quality, money with its interval; `rdedge savings LEDGER`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from rdedge import canonical
from rdedge.errors import ConfigError
from rdedge.ledger import bootstrap, query, saving
from rdedge.ledger.base import Base, opened
from rdedge.ledger.bootstrap import Interval
from rdedge.ledger.money import (
    Bill,
    bill,
    micro,
)
from rdedge.ledger.query import Codec, Distortions, Groups, Reference
from rdedge.ledger.read import Cut
from rdedge.ledger.tariff import BYTES_UNIT, Tariff, bytes_only, fraction
from rdedge.types import Array

VERSION = 1
AGAINST = {"raw": "raw", "today": "today", "best": "best classical"}
# What a page says of each group, summed.
SUMS = (
    *("packets", "samples", "elements", "fallback", "measured", "over", "promised"),
    *("raw_bytes", "encode_ns", "energy_uj", "anomalies"),
)


@dataclass(frozen=True)
class LedgerSavings:
    """All of it. against: raw, today or best. bills: a mean device and month of each way. value: of
    the saving, in the currency, for a device and month; interval: None with too few units of time.
    """

    tariff: Tariff
    groups: Groups
    codecs: tuple[Codec, ...]
    references: dict[str, Reference]
    against: str
    bills: dict[str, Bill]
    interval: Interval | None
    device_days: tuple[Fraction, ...]
    distortions: tuple[Distortions, ...]
    cuts: tuple[Cut, ...]
    rows_micro: dict[str, Array]
    sensitivity: tuple[tuple[str, str, Fraction], ...]

    @property
    def value(self) -> Fraction:
        return self.bills[self.against].total - self.bills["ours"].total

    @property
    def devices(self) -> int:
        """Of the whole fleet."""
        return self.tariff.fleet.devices or len(self.groups.devices)

    @property
    def once(self) -> Fraction:
        """What the saving costs once, for the whole fleet."""
        costs = self.tariff.costs
        return fraction(costs.engineering) + self.devices * fraction(costs.per_device)

    @property
    def running(self) -> Fraction:
        """What the saving costs each year, for the whole fleet."""
        costs = self.tariff.costs
        return fraction(costs.engineering_year) + self.devices * fraction(costs.per_device_year)

    def yearly(self, value: Fraction) -> Fraction:
        """Net, for the whole fleet, where a device and month saves value."""
        return 12 * self.devices * value - self.running

    def payback(self, value: Fraction) -> float | None:
        """Months until what was spent once is back; None for never."""
        year = self.yearly(value)
        if year <= 0:
            return None
        return round(float(12 * self.once / year), 2)

    def to_json(self) -> dict[str, Any]:
        """What report and pilot show; amounts in the currency, rounded to millionths."""
        g = self.groups
        return {
            "version": VERSION,
            "saving": self.saving_json(),
            "tariff": {
                "name": self.tariff.name,
                "currency": self.tariff.currency,
                "example": self.tariff.example,
                "source": self.tariff.source,
            },
            "period": {
                "first_day": str(np.datetime64(int(g.first_day.min()), "D")),
                "last_day": str(np.datetime64(int(g.last_day.max()), "D")),
                "device_days": round(float(sum(self.device_days)), 6),
            },
            "bills": {
                way: {
                    "sending": _amount(b.sending),
                    "storage": _amount(b.storage),
                    "broker": _amount(b.broker),
                    "total": _amount(b.total),
                    "plan": b.plan,
                }
                for way, b in self.bills.items()
            },
            "totals": self.group_json(np.ones(len(g.columns["day"]), bool)),
            "wire": {
                "kind": self.wire_kind,
                "measured_bytes": g.measured_wire_bytes,
                "protocol": self.tariff.link.protocol,
            },
            "codecs": [{**vars(c), "ratio": c.raw_bytes / max(c.bytes, 1)} for c in self.codecs],
            "by_device": self.by("device", g.devices),
            "by_stream": self.by("stream", g.streams),
            "by_day": self.by_day(),
            "distortion": [
                {k: canonical.finite(v) if isinstance(v, float) else v for k, v in vars(d).items()}
                for d in self.distortions
            ],
            "cuts": [vars(cut) for cut in self.cuts],
        }

    @property
    def wire_kind(self) -> str:
        total = int(self.groups.columns["ours_wire"].sum())
        if not self.groups.measured_wire_bytes:
            return "estimated"
        return "measured" if self.groups.measured_wire_bytes >= total else "mixed"

    def saving_json(self) -> dict[str, Any]:
        """The saving alone, as pilot.json has it."""
        i = self.interval
        ends = None if i is None else (Fraction(i.low), Fraction(i.high))
        low, high = (None, None) if ends is None else map(_amount, ends)
        year_low, year_high = (
            (None, None) if ends is None else (_amount(self.yearly(e)) for e in ends)
        )
        return {
            "currency": self.tariff.currency,
            "per": "device-month",
            "against": AGAINST[self.against],
            "value": _amount(self.value),
            "low": low,
            "high": high,
            "confidence": bootstrap.CONFIDENCE,
            "yearly": {
                "value": _amount(self.yearly(self.value)),
                "low": year_low,
                "high": year_high,
                "devices": self.devices,
                "running": _amount(self.running),
                "once": _amount(self.once),
            },
            "payback_months": self.payback(self.value),
            "payback_high": None if ends is None else self.payback(ends[0]),
            "assumptions": self.assumptions(),
            "sensitivity": [
                {"what": what, "change": change, "value": _amount(value)}
                for what, change, value in self.sensitivity
            ],
        }

    def assumptions(self) -> list[dict[str, Any]]:
        """Keys of sentences, with what they name."""
        g, tariff, found = self.groups, self.tariff, []

        def say(key: str, **values: Any) -> None:
            found.append({"key": f"saving.{key}", "values": values})

        if tariff.example:
            say("example-tariff", name=tariff.name)
        if tariff.fleet.samples_day is not None:
            say("samples-a-day", samples=tariff.fleet.samples_day)
        elif not g.days:
            say("whole-days", days=int(g.last_day.max() - g.first_day.min() + 1))
        say(f"wire-{self.wire_kind}", protocol=tariff.link.protocol)
        if self.against in self.references:
            r = self.references[self.against]
            packets = next(c.packets for c in self.codecs if (c.codec, c.kind) == (r.codec, r.kind))
            say("reference", codec=r.codec, setting=r.setting, kind=r.kind, packets=packets)
        if self.interval is None:
            say("no-interval", least=bootstrap.LEAST_UNITS)
        else:
            i = self.interval
            say("drawn", devices=i.devices, units=i.units, block=i.block, days=g.days)
            span = int(g.last_day.max() - g.first_day.min() + 1)
            say(f"season-{i.seasonal}", days=span, season=tariff.fleet.season)
            if i.devices == 1:
                say("one-device")
        return found

    def group_json(self, which: Array) -> dict[str, Any]:
        """Sums over the rows of a mask."""
        c = self.groups.columns
        found: dict[str, Any] = {name: int(c[name][which].sum()) for name in SUMS}
        for way in self.groups.ways:
            found[f"{way}_payload"] = int(c[f"{way}_payload"][which].sum())
            found[f"{way}_wire"] = int(c[f"{way}_wire"][which].sum())
        found["ratio"] = found["raw_bytes"] / found["ours_payload"]
        found["wire_ratio"] = found["raw_wire"] / found["ours_wire"]
        found["bits_per_element"] = 8 * found["ours_payload"] / found["elements"]
        found["fallback_share"] = found["fallback"] / found["samples"]
        found["kept_share"] = 1 - found["over"] / found["measured"] if found["measured"] else None
        found["promised_share"] = found["promised"] / found["samples"]
        cost, was = (int(self.rows_micro[w][which].sum()) for w in ("ours", self.against))
        found |= {"cost": cost / 1e6, "cost_against": was / 1e6, "saved": (was - cost) / 1e6}
        return found

    def by(self, column: str, names: Sequence[str]) -> list[dict[str, Any]]:
        """A row for each device, or each stream."""
        at = self.groups.columns[column]
        return [{column: name, **self.group_json(at == i)} for i, name in enumerate(names)]

    def by_day(self) -> list[dict[str, Any]]:
        """A row for each day with packets."""
        at = self.groups.columns["day"]
        return [
            {"day": str(np.datetime64(int(day), "D")), **self.group_json(at == day)}
            for day in np.unique(at)
        ]

    def rows(self) -> list[dict[str, Any]]:
        """A row for each device, stream and day, as the CSV has them."""
        g = self.groups
        keys = np.stack([g.columns[k] for k in ("device", "stream", "day")])
        order = np.lexsort(keys[::-1])
        edges = np.flatnonzero(np.any(np.diff(keys[:, order], axis=1) != 0, axis=0)) + 1
        found = []
        for rows in np.split(order, edges):
            device, stream, day = keys[:, rows[0]].tolist()
            key = {
                "device": g.devices[device],
                "stream": g.streams[stream],
                "day": str(np.datetime64(day, "D")),
            }
            found.append({**key, **self.group_json(rows)})
        return found


def _amount(value: Fraction) -> float:
    return micro(value) / 1e6


def savings_of_ledger(
    path: Path, tariff: Tariff | None = None, *, against: str | None = None, seed: int = 0
) -> LedgerSavings:
    """Account for a ledger, a folder or one file of it.

    tariff: None counts megabytes on the wire. against: one of AGAINST; None: what is used today,
    where the ledger has it, else raw. Raises as ledger.base.opened, and ConfigError for a reference
    that the ledger does not have.
    """
    tariff = bytes_only() if tariff is None else tariff
    with opened(path) as base:
        return _savings(base, tariff, against, seed)


def _savings(base: Base, tariff: Tariff, against: str | None, seed: int) -> LedgerSavings:
    codecs = query.codecs(base)
    references = _references(base, codecs)
    against = against or ("today" if "today" in references else "raw")
    if against != "raw" and against not in references:
        raise ConfigError(
            f"the ledger does not say what {AGAINST.get(against, against)!r:.40} would have taken",
            expected=", ".join(("raw", *references)),
            do="compress with --instead CODECS and a larger --instead-share",
        )
    groups = query.groups(base, tariff, references)
    days, active = saving.active(groups, tariff)
    months = {way: saving.months(groups, way, days) for way in groups.ways}
    billed = {way: bill(months[way], tariff) for way in groups.ways}
    drawn = query.drawn(base, groups, references[against]) if against in references else None
    found = saving.interval_of(groups, tariff, against, active, drawn, seed)
    rows = {
        w: saving.rows_micro(groups, tariff, w, months[w], billed[w]) for w in {"ours", against}
    }
    return LedgerSavings(
        tariff=tariff,
        groups=groups,
        codecs=tuple(codecs),
        references=references,
        against=against,
        bills=billed,
        interval=found,
        device_days=days,
        distortions=tuple(query.distortions(base)),
        cuts=base.cuts,
        rows_micro=rows,
        sensitivity=tuple(saving.sensitivity(tariff, months["ours"], months[against])),
    )


def _references(base: Base, codecs: list[Codec]) -> dict[str, Reference]:
    """today: the first codec that was named, at its own setting if it has one. best: with the
    fewest bytes at what the packets err, among those that coded all that were sampled.
    """
    found: dict[str, Reference] = {}
    first = [c for c in codecs if c.place == 0 and c.raw_bytes > 0]
    named = [c for c in first if c.kind == "named"] or first[:1]
    if named and len({c.codec for c in first}) == 1:
        found["today"] = query.reference(base, named[0])
    equal = [c for c in codecs if c.kind == "equal"] or [c for c in codecs if c.kind == "named"]
    most = max((c.packets for c in equal), default=0)
    best = min((c for c in equal if c.packets == most), key=lambda c: c.bytes, default=None)
    if best is not None:
        found["best"] = query.reference(base, best)
    return found


__all__ = ["AGAINST", "BYTES_UNIT", "LedgerSavings", "savings_of_ledger"]
