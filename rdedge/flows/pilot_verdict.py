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

    share: our bytes by those of the best classical codec at the same mean distortion, packet by
    packet, None: there is none; fallback_share, over: of gated samples; task_kept: None without a
    task; saving_low: money against the best classical codec, low end, None without a tariff.
    """

    share: float | None
    fallback_share: float
    over: int
    task_kept: bool | None
    payback_months: float | None = None
    saving_low: float | None = None


def answer(seen: Seen, limits: Thresholds = THRESHOLDS) -> tuple[str, list[dict[str, Any]]]:
    """(one of ANSWERS, reasons as keys and values)."""
    against: list[dict[str, Any]] = []
    careful: list[dict[str, Any]] = []
    plain: list[dict[str, Any]] = []
    if seen.share is not None:
        values = {"share": seen.share, "go": limits.go_share, "no": limits.no_share}
        reason = {"key": "verdict.share", "values": values}
        group = plain if seen.share <= limits.go_share else careful
        (against if seen.share >= limits.no_share else group).append(reason)
    else:
        plain.append({"key": "verdict.no_rival", "values": {}})
    if seen.task_kept is not None:
        key = "verdict.task_kept" if seen.task_kept else "verdict.task_lost"
        (plain if seen.task_kept else against).append({"key": key, "values": {}})
    if seen.over:
        against.append({"key": "verdict.promise_broken", "values": {"over": seen.over}})
    values = {"share": seen.fallback_share, "limit": limits.fallback_share}
    much = seen.fallback_share > limits.fallback_share
    (careful if much else plain).append({"key": "verdict.fallback", "values": values})
    if seen.saving_low is not None:
        reason = {"key": "verdict.money", "values": {"low": seen.saving_low}}
        (plain if seen.saving_low > 0 else against).append(reason)
    if seen.payback_months is not None:
        values = {"months": seen.payback_months, "limit": limits.payback_months}
        late = seen.payback_months > limits.payback_months
        (against if late else plain).append({"key": "verdict.payback", "values": values})
    found = "do-not" if against else "go-with-fallback" if careful else "go"
    return found, against + careful + plain


def too_few(samples: int, needed: int) -> dict[str, Any]:
    """The verdict on too little data."""
    values = {"samples": samples, "needed": needed, "missing": max(0, needed - samples)}
    return _verdict("too-few", [{"key": "verdict.too_few", "values": values}], None)


def nothing_to_learn(check: dict[str, Any]) -> dict[str, Any]:
    """The verdict where a check says stop: any codec without loss serves better."""
    return _verdict("do-not", [{"key": f"verdict.{check['name']}", "values": {}}], None)


def verdict(
    seen: Seen, ours: Point, classical: Point | None, baseline_bits: float
) -> dict[str, Any]:
    """For pilot.json. baseline_bits: an element, of what the saving is counted against."""
    found, reasons = answer(seen)
    alternative = None
    if classical is not None:
        our_saving = baseline_bits - ours.bits_per_element.value
        theirs = baseline_bits - classical.bits_per_element.value
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
