"""From sums to a saving: mean months, bills, what each row cost, the interval, what if."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from rdedge.ledger.bootstrap import Interval, interval
from rdedge.ledger.money import DAYS_MONTH, QUANTITIES, Bill, Quantities, bill, bills
from rdedge.ledger.query import Groups
from rdedge.ledger.tariff import Tariff, fraction
from rdedge.types import Array

_TENTH, _FIFTH = Fraction(1, 10), Fraction(1, 5)


def active(groups: Groups, tariff: Tariff) -> tuple[tuple[Fraction, ...], Array]:
    """Days that each device was there, and those that each unit stands for: (D,), (D, U)."""
    c, n = groups.columns, len(groups.devices)
    width = int(groups.last_day.max() - groups.first_day.min()) + 1 if groups.days else groups.parts
    samples_day = tariff.fleet.samples_day
    if samples_day is not None:
        made = np.zeros((n, width))
        np.add.at(made, (c["device"], _units(groups)), c["samples"])
        totals = np.bincount(c["device"], c["samples"], n)
        return tuple(int(t) / fraction(samples_day) for t in totals), made / samples_day
    spans = groups.last_day - groups.first_day + 1
    if groups.days:
        at = np.arange(width) + groups.first_day.min()
        inside = (at >= groups.first_day[:, None]) & (at <= groups.last_day[:, None])
        active = inside.astype(np.float64)
    else:
        active = np.repeat(spans[:, None] / width, width, axis=1)
    return tuple(Fraction(int(s)) for s in spans), active


def _units(groups: Groups) -> Array:
    unit: Array = groups.columns["unit"].astype(np.int64)
    return unit - int(groups.first_day.min()) if groups.days else unit


def _column(groups: Groups, way: str, quantity: str) -> Array | None:
    return groups.columns.get(f"{way}_{'payload' if quantity == 'stored' else quantity}")


def months(groups: Groups, way: str, days: tuple[Fraction, ...]) -> list[Quantities]:
    """The mean month of each device, exactly."""
    n, device = len(days), groups.columns["device"]
    order = np.argsort(device, kind="stable")
    ends = np.searchsorted(device[order], np.arange(n))
    parts = []
    for quantity in QUANTITIES:
        values = _column(groups, way, quantity)
        sums = [0] * n
        if values is not None:
            sums = np.add.reduceat(values[order].astype(np.int64), ends).tolist()
        parts.append([int(s) * DAYS_MONTH / d for s, d in zip(sums, days, strict=True)])
    return list(zip(*parts, strict=True))


def interval_of(
    groups: Groups,
    tariff: Tariff,
    against: str,
    active: Array,
    drawn: tuple[Array, Array] | None,
    seed: int,
) -> Interval | None:
    used = [q for q in QUANTITIES if _column(groups, "ours", q) is not None and _priced(q, tariff)]
    amounts = np.zeros((2 * len(used), *active.shape))
    at = (groups.columns["device"], _units(groups))
    for k, quantity in enumerate(used):
        for j, way in enumerate(("ours", against)):
            values = _column(groups, way, quantity)
            assert values is not None
            np.add.at(amounts[j * len(used) + k], at, values)
    month = float(DAYS_MONTH)
    places = [QUANTITIES.index(q) for q in used]

    def value(means: Array, counts: Array, factor: Array) -> Array:
        half = len(used)
        totals = []
        for part, scale in ((means[:half], 1.0), (means[half:], factor)):
            full = np.zeros((len(QUANTITIES), *part.shape[1:]))
            full[places] = part * month
            totals.append(bills(full * scale, counts, tariff))
        return totals[1] - totals[0]

    return interval(
        amounts,
        active,
        value,
        days=groups.days,
        reference=drawn,
        season=tariff.fleet.season,
        seed=seed,
    )


def _priced(quantity: str, tariff: Tariff) -> bool:
    return {
        "wire": tariff.satellite is None,
        "stored": tariff.storage.price > 0,
        "broker": tariff.broker.price_million > 0,
    }.get(quantity, tariff.satellite is not None)


def rows_micro(
    groups: Groups, tariff: Tariff, way: str, months: list[Quantities], mean: Bill
) -> Array:
    """What each row of the groups cost, in millionths: its part of what its device's mean month
    costs, by its bytes.
    """
    c, device = groups.columns, groups.columns["device"]
    sent = _column(groups, way, "wire" if tariff.satellite is None else "satellite")
    assert sent is not None
    at = 0 if tariff.satellite is None else 1
    if tariff.steps:
        each = [bill([m], tariff).sending for m in months]
    else:
        each = []
        whole = sum((m[at] for m in months), Fraction(0))
        for m in months:
            part = m[at] / whole if whole else Fraction(1, len(months))
            each.append(mean.sending * len(months) * part)
    rates = np.array(
        [float(1_000_000 * e / m[at]) if m[at] else 0.0 for e, m in zip(each, months, strict=True)]
    )
    found: Array = np.rint(rates[device] * sent).astype(np.int64)
    for quantity, price in (("stored", mean.storage), ("broker", mean.broker)):
        values = c.get(f"{way}_{'payload' if quantity == 'stored' else quantity}")
        total = sum((m[QUANTITIES.index(quantity)] for m in months), Fraction(0))
        if values is not None and total and price:
            rate = float(1_000_000 * price * len(months) / total)
            found += np.rint(rate * values).astype(np.int64)
    return found


def sensitivity(
    tariff: Tariff, ours: list[Quantities], other: list[Quantities]
) -> list[tuple[str, str, Fraction]]:
    """The saving of a device and month where one thing is otherwise."""

    def scaled(months: list[Quantities], by: Fraction) -> list[Quantities]:
        return [tuple(by * q for q in m) for m in months]  # type: ignore[misc]

    def saving(a: list[Quantities], b: list[Quantities]) -> Fraction:
        return bill(b, tariff).total - bill(a, tariff).total

    found = []
    for sign, text in ((1, "+20 %"), (-1, "-20 %")):
        by = 1 + sign * _FIFTH
        diff = bill(other, tariff).sending - bill(ours, tariff).sending
        found.append(("price", text, saving(ours, other) + sign * _FIFTH * diff))
        found.append(("volume", text, saving(scaled(ours, by), scaled(other, by))))
    found.append(("our-bytes", "+10 %", saving(scaled(ours, 1 + _TENTH), other)))
    found.append(("reference-bytes", "-20 %", saving(ours, scaled(other, 1 - _FIFTH))))
    return found
