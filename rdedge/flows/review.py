"""`rdedge review`: what a stage of the roll-out was predicted to do, and what it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rdedge.flows.stages import Figure, Plan, Stage

GO_ON, STAY, STOP = "go on", "stay", "stop"


@dataclass(frozen=True)
class Actual:
    """What a ledger says. figures: by the names of stages.FIGURES, those that it knows."""

    devices: int
    days: float
    samples: int
    codecs: tuple[str, ...]
    figures: dict[str, float]


@dataclass(frozen=True)
class Row:
    """One figure. status: in, out, stop or unknown (stages.Figure.judge)."""

    figure: Figure
    actual: float | None
    status: str


@dataclass(frozen=True)
class Review:
    """answer: go on, stay or stop; reasons: keys and values."""

    stage: Stage
    actual: Actual
    rows: tuple[Row, ...]
    answer: str
    reasons: tuple[dict[str, Any], ...]
    currency: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage.name,
            "answer": self.answer,
            "reasons": list(self.reasons),
            "currency": self.currency,
            "devices": {"planned": self.stage.devices, "actual": self.actual.devices},
            "days": {"planned": self.stage.days, "actual": self.actual.days},
            "samples": {"planned": self.stage.samples, "actual": self.actual.samples},
            "figures": [
                {
                    "name": row.figure.name,
                    "unit": row.figure.unit,
                    "predicted": row.figure.predicted,
                    "low": row.figure.low,
                    "high": row.figure.high,
                    "stop_below": row.figure.stop_below,
                    "stop_above": row.figure.stop_above,
                    "actual": row.actual,
                    "status": row.status,
                }
                for row in self.rows
            ],
        }


def judged(plan: Plan, stage: Stage, actual: Actual) -> Review:
    """The comparison alone. Stop: a figure is beyond a limit that stops. Stay: one has left its
    range, or there is too little to judge by. Else go on. What is not known decides nothing, but
    for the bytes, without which nothing is known.
    """
    rows = tuple(
        Row(f, actual.figures.get(f.name), f.judge(actual.figures.get(f.name)))
        for f in stage.figure
    )
    reasons: list[dict[str, Any]] = []
    for row in rows:
        if row.status in ("stop", "out"):
            values = {"figure": row.figure.name, "actual": row.actual}
            reasons.append({"key": f"review.{row.status}", "values": values})
    for name, planned, there in (
        ("devices", stage.devices, actual.devices),
        ("days", stage.days, actual.days),
        ("samples", stage.samples, actual.samples),
    ):
        # A day of rest at either end is no reason to wait.
        if there < 0.9 * planned:
            values = {"what": name, "planned": planned, "actual": there}
            reasons.append({"key": "review.too_little", "values": values})
    if any(r.figure.name == "bytes_per_sample" and r.status == "unknown" for r in rows):
        reasons.append({"key": "review.no_bytes", "values": {}})
    if any(row.status == "stop" for row in rows):
        answer = STOP
    else:
        answer = STAY if reasons else GO_ON
    if not reasons:
        reasons.append({"key": "review.all_in", "values": {"figures": len(rows)}})
    return Review(stage, actual, rows, answer, tuple(reasons), plan.currency)
