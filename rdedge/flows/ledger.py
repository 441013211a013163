"""What a ledger saved: bytes, quality, money with its interval; `rdedge savings LEDGER`."""

from __future__ import annotations

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
            "totals": self.by()[0],
            "wire": {
                "kind": self.wire_kind,
                "measured_bytes": g.measured_wire_bytes,
                "protocol": self.tariff.link.protocol,
            },
            "codecs": [{**vars(c), "ratio": c.raw_bytes / max(c.bytes, 1)} for c in self.codecs],
            "by_device": self.by("device"),
            "by_stream": self.by("stream"),
            "by_day": self.by("day"),
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

    def by(self, *keys: str) -> list[dict[str, Any]]:
        """A row of sums for each device, stream or day, or for each of several together; without
        keys one row for all.
        """
        g, c = self.groups, self.groups.columns
        at = np.stack([c[k] for k in keys]) if keys else np.zeros((1, len(c["day"])), np.int64)
        order = np.lexsort(at[::-1])
        changes = np.any(np.diff(at[:, order], axis=1) != 0, axis=0)
        starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
        columns = {name: c[name] for name in SUMS}
        for way in g.ways:
            columns |= {f"{way}_{part}": c[f"{way}_{part}"] for part in ("payload", "wire")}
        columns |= {"cost": self.rows_micro["ours"], "was": self.rows_micro[self.against]}
        sums = {
            name: np.add.reduceat(column[order].astype(np.int64), starts).tolist()
            for name, column in columns.items()
        }
        labels = {
            "device": g.devices.__getitem__,
            "stream": g.streams.__getitem__,
            "day": lambda day: str(np.datetime64(day, "D")),
        }
        places = at[:, order[starts]].tolist()
        found = []
        for i in range(len(starts)):
            key = {k: labels[k](places[j][i]) for j, k in enumerate(keys)}
            found.append(key | _derived({name: column[i] for name, column in sums.items()}))
        return found


def _derived(row: dict[str, Any]) -> dict[str, Any]:
    """Sums, and what follows from them."""
    cost, was = row.pop("cost"), row.pop("was")
    kept = 1 - row["over"] / row["measured"] if row["measured"] else None
    return row | {
        "ratio": row["raw_bytes"] / row["ours_payload"],
        "wire_ratio": row["raw_wire"] / row["ours_wire"],
        "bits_per_element": 8 * row["ours_payload"] / row["elements"],
        "fallback_share": row["fallback"] / row["samples"],
        "kept_share": kept,
        "promised_share": row["promised"] / row["samples"],
        "cost": cost / 1e6,
        "cost_against": was / 1e6,
        "saved": (was - cost) / 1e6,
    }


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
