"""Go, go with fallback, do not, or too few: the thresholds, all of them here, and what they say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rdedge.report.curve import Point

ANSWERS = ("go", "go-with-fallback", "do-not", "too-few")


@dataclass(frozen=True)
class Thresholds:
    """What decides.

    go_share: of the best classical codec's bytes at equal distortion that we may need for a plain
    go; no_share: from this share on it is a no. fallback_share: of samples that the gate may give
    to a fallback in a plain go. payback_months: with a tariff, within which the engineering must
    come back, at the low end of the interval.
    """

    go_share: float = 0.80
    no_share: float = 0.95
    fallback_share: float = 0.05
    payback_months: float = 24.0


THRESHOLDS = Thresholds()


@dataclass(frozen=True)
class Seen:
    """What a verdict is made from.

    ours, best: bytes of the held-out samples, ours with the gate on and those of the best classical
    codec, which is named with its setting; None: there is none. fallback_share, over, of: of gated
    samples. fall: of the task's score, None without a task; allowed: what it may fall by; unsteady:
    its fall where the error is least, of a score that does not follow the error, None of others.
    money: saving of a device and month against the best classical codec, or else against today,
    (low end, value, against); year: what the fleet saves in one after what it costs to run;
    payback_months: None: never; all None without a tariff.
    """

    ours: int
    best: int | None
    codec: str
    setting: str
    fallback_share: float
    over: int
    of: int
    fall: float | None = None
    allowed: float = 0.0
    unsteady: float | None = None
    money: tuple[float | None, float, str] | None = None
    year: float | None = None
    payback_months: float | None = None


def answer(seen: Seen, limits: Thresholds = THRESHOLDS) -> tuple[str, list[dict[str, Any]]]:
    """(one of ANSWERS, reasons as keys and values, the weightiest first)."""
    against: list[dict[str, Any]] = []
    careful: list[dict[str, Any]] = []
    plain: list[dict[str, Any]] = []
    if seen.best is None:
        plain.append(_reason("no-rival"))
    else:
        share = seen.ours / seen.best
        values = {"codec": seen.codec, "setting": seen.setting, "saved": 1 - share}
        if share >= limits.no_share:
            against.append(_reason("classical-close", more=1 / share - 1, **values))
        else:
            group = plain if share <= limits.go_share else careful
            group.append(_reason("saves-bytes", **values))
    if seen.unsteady is not None:
        plain.append(_reason("task-unsteady", finest_fall=seen.unsteady))
    elif seen.fall is not None and seen.fall < 0:
        plain.append(_reason("task-better", rise=-seen.fall))
    elif seen.fall is not None:
        kept = seen.fall < seen.allowed
        name = "task-holds" if kept else "task-lost"
        (plain if kept else against).append(_reason(name, fall=seen.fall, allowed=seen.allowed))
    if seen.over:
        against.append(_reason("promise-broken", over=seen.over, of=seen.of))
    else:
        plain.append(_reason("promise-kept", of=seen.of))
    if seen.fallback_share > limits.fallback_share:
        careful.append(_reason("fallback", share=seen.fallback_share))
    if seen.money is not None:
        low, value, reference = seen.money
        if value <= 0 or (low is not None and low <= 0):
            against.append(_reason("no-money", value=value, against=reference))
        else:
            plain.append(_reason("saves-money", value=value, against=reference))
    if seen.year is not None and seen.year <= 0:
        against.append(_reason("no-year", value=seen.year))
    if seen.payback_months is not None and seen.payback_months > limits.payback_months:
        values = {"months": seen.payback_months, "limit": limits.payback_months}
        against.append(_reason("payback-late", **values))
    found = "do-not" if against else "go-with-fallback" if careful else "go"
    return found, against + careful + plain


def _reason(name: str, **values: Any) -> dict[str, Any]:
    return {"key": f"reason.{name}", "values": values}


def too_few(samples: int, check: dict[str, Any]) -> dict[str, Any]:
    """The verdict on too little data. check: values of the check that says so."""
    needed, held_out = check["needed"], check["needed_held_out"]
    values = {
        "samples": samples,
        "needed": needed,
        "held_out": held_out,
        "train": needed - held_out,
        "missing": max(0, needed - samples),
    }
    return _verdict("too-few", [_reason("too-few", **values)], None)


def nothing_to_learn(name: str) -> dict[str, Any]:
    """The verdict where a check says stop: a codec without loss serves better."""
    return _verdict("do-not", [_reason(f"data-{name}")], None)


def verdict(seen: Seen, classical: Point | None, baseline: int) -> dict[str, Any]:
    """For pilot.json. baseline: bytes of the held-out samples, of what is used today."""
    found, reasons = answer(seen)
    alternative = None
    if classical is not None and seen.best is not None:
        our_saving, theirs = baseline - seen.ours, baseline - seen.best
        alternative = {
            "codec": classical.codec,
            "setting": classical.setting,
            "share_of_saving": theirs / our_saving if our_saving > 0 else None,
        }
    return _verdict(found, reasons, alternative)


def _verdict(
    found: str, reasons: list[dict[str, Any]], alternative: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "answer": found,
        "reasons": reasons,
        "alternative": alternative,
        "thresholds": asdict(THRESHOLDS),
    }
