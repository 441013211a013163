"""What the ledger of a roll-out says of one codec, held against its plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rdedge.errors import MismatchError
from rdedge.flows.review import Actual, Review, judged
from rdedge.flows.stages import Plan
from rdedge.ledger.base import Base, opened

_DAY_NS = 86_400 * 10**9


def review(
    ledger: Path,
    plan: Plan,
    *,
    stage: str | None = None,
    score: float | None = None,
    money: Callable[[Path], float] | None = None,
) -> Review:
    """Hold a ledger against a plan.

    stage: by name; None: the first that is planned for as many devices as the ledger has. score: of
    the task on decoded samples, which no ledger knows. money: saving of a device and month, from
    the ledger. Raises MismatchError where all packets are of other codecs than the plan's, and what
    opening a ledger raises.
    """
    with opened(ledger) as base:
        actual = actual_of(base, plan.bundle)
    if plan.bundle not in actual.codecs:
        raise MismatchError(
            f"the ledger holds no packet of the codec {plan.bundle[:16]} that the plan is for",
            expected="the ledger of devices that run the pilot's bundle",
            do="review it with the plan of its own bundle",
        )
    if score is not None:
        actual.figures["score"] = score
    if money is not None:
        actual.figures["saving_per_device_month"] = money(ledger)
    return judged(plan, plan.named(stage, actual.devices), actual)


def actual_of(base: Base, codec: str) -> Actual:
    """Sums over the packets of one codec, and which codecs there are."""
    codecs = [name for (name,) in base.sql("SELECT DISTINCT codec FROM packets").fetchall()]
    row = base.sql(
        "SELECT count(DISTINCT device), min(time_ns), max(time_ns), sum(samples), "
        "sum(payload_bytes), avg(distortion), sum(measured), sum(over), sum(fallback_samples) "
        "FROM packets WHERE codec = ?",
        (codec,),
    ).fetchone()
    devices, first, last, samples, payload, distortion, measured, over, fell = row
    if not samples:
        return Actual(0, 0.0, 0, tuple(codecs), {})
    figures = {
        "bytes_per_sample": float(payload) / float(samples),
        "fallback_share": float(fell) / float(samples),
    }
    if distortion is not None:
        figures["mean_distortion"] = float(distortion)
    if measured:
        figures["over_share"] = float(over) / float(measured)
    days = (last - first) / _DAY_NS
    return Actual(int(devices), float(days), int(samples), tuple(codecs), figures)
