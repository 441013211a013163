"""Quantities x tariff = money: exactly, in fractions, and the same in arrays for the bootstrap.

A device is priced by its mean month (365.25 / 12 days): what it sent in the days of the ledger, by
their number. Amounts leave as integers of millionths of the currency, rounded once, half to even.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from rdedge.ledger.tariff import GB, MB, MILLION, Satellite, Tariff, fraction
from rdedge.types import Array

DAYS_MONTH = Fraction(1461, 48)
DAYS_YEAR = Fraction(1461, 4)
# What is counted for each way of coding: bytes on the wire, bytes that a satellite bills, its
# messages, bytes stored, messages that a broker bills.
QUANTITIES = ("wire", "satellite", "satellite_messages", "stored", "broker")
Quantities = tuple[Fraction, Fraction, Fraction, Fraction, Fraction]


def micro(amount: Fraction) -> int:
    """Millionths of the currency, rounded half to even."""
    return round(amount * 10**6)


def satellite_bytes(n: int, rules: Satellite) -> tuple[int, int]:
    """What a message of n bytes is billed as: bytes and messages."""
    whole, rest = divmod(n, rules.max_bytes)
    billed = whole * _billed(rules.max_bytes, rules)
    if rest or not whole:
        return billed + _billed(rest, rules), whole + 1
    return billed, whole


def _billed(n: int, rules: Satellite) -> int:
    return max(rules.min_bytes, -(-n // rules.step_bytes) * rules.step_bytes)


def satellite_sql(n: str, rules: Satellite) -> tuple[str, str]:
    """satellite_bytes as SQL expressions of doubles that are whole numbers."""
    full, step = _billed(rules.max_bytes, rules), rules.step_bytes
    messages = f"greatest(1, ceil({n} / {rules.max_bytes}.0))"
    rest = f"({n} - {rules.max_bytes} * ({messages} - 1))"
    last = f"greatest({rules.min_bytes}, ceil({rest} / {step}.0) * {step})"
    return f"(({messages} - 1) * {full} + {last})", messages


@dataclass(frozen=True)
class Bill:
    """What a device and month costs on average over the fleet, by part. plan: of the SIM cards."""

    sending: Fraction
    storage: Fraction
    broker: Fraction
    plan: str = ""

    @property
    def total(self) -> Fraction:
        return self.sending + self.storage + self.broker


def step_price(mb: Fraction, tariff: Tariff) -> Fraction:
    """What a month of mb megabytes costs in steps, each megabyte at the price of its own step."""
    found = Fraction(0)
    for step in tariff.steps:
        low = fraction(step.from_mb)
        high = mb if step.to_mb is None else min(mb, fraction(step.to_mb))
        found += max(Fraction(0), high - low) * fraction(step.price)
    return found


def bill(months: Sequence[Quantities], tariff: Tariff) -> Bill:
    """months: of each device the quantities of its mean month -> the mean bill of a device."""
    n = len(months)
    wire, satellite, messages, stored, broker = (
        sum(q, Fraction(0)) / n for q in zip(*months, strict=True)
    )
    plan = ""
    if tariff.satellite is not None:
        sending = satellite / 1000 * fraction(tariff.satellite.price_kb)
        sending += messages * fraction(tariff.satellite.price_message)
    elif tariff.plans:
        sending, plan = min(
            (
                fraction(one.fee)
                + max(Fraction(0), wire / MB - fraction(one.included_mb))
                * fraction(one.price_over),
                one.name,
            )
            for one in tariff.plans
        )
    else:
        sending = sum((step_price(q[0] / MB, tariff) for q in months), Fraction(0)) / n
    return Bill(
        sending,
        stored / GB * fraction(tariff.storage.price) * fraction(tariff.storage.months),
        broker / MILLION * fraction(tariff.broker.price_million),
        plan,
    )


def bills(months: Array, counts: Array, tariff: Tariff) -> Array:
    """bill().total for many fleets at once, in float64.

    months: (5, D, B) quantities of mean months; counts: (D, B) how often each fleet has a device.
    Returns (B,).
    """
    n = counts.sum(axis=0)
    wire, satellite, messages, stored, broker = (months * counts).sum(axis=1) / n
    if tariff.satellite is not None:
        rules = tariff.satellite
        sending = satellite / 1000 * rules.price_kb + messages * rules.price_message
    elif tariff.plans:
        costs = [
            p.fee + np.maximum(0.0, wire / MB - p.included_mb) * p.price_over for p in tariff.plans
        ]
        sending = np.min(costs, axis=0)
    else:
        mb = months[0] / MB
        each = np.zeros_like(mb)
        for step in tariff.steps:
            high = mb if step.to_mb is None else np.minimum(mb, step.to_mb)
            each += np.maximum(0.0, high - step.from_mb) * step.price
        sending = (each * counts).sum(axis=0) / n
    found: Array = (
        sending
        + stored / GB * tariff.storage.price * tariff.storage.months
        + broker / MILLION * tariff.broker.price_million
    )
    return found
