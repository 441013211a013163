"""What `rdedge review` prints."""

from __future__ import annotations

from typing import Any

from rdedge.report.text import table


def review_text(value: dict[str, Any]) -> str:
    """value: Review.to_json."""
    lines = [f"{value['answer']} (stage {value['stage']})"]
    lines += [f"  {_reason(one)}" for one in value["reasons"]]
    there = [
        f"{_number(value[what]['actual'])} of {_number(value[what]['planned'])} {what}"
        for what in ("devices", "days", "samples")
    ]
    lines.append(", ".join(there))
    header = ["figure", "predicted", "range", "stops", "actual", ""]
    rows = [
        [
            f"{f['name']} ({value['currency'] or 'money'})"
            if f["unit"] == "money"
            else f"{f['name']} ({f['unit']})",
            _number(f["predicted"]),
            f"{_number(f['low'])} to {_number(f['high'])}",
            _stops(f),
            _number(f["actual"]),
            {"in": "", "out": "LEFT ITS RANGE", "stop": "STOP", "unknown": "not known"}[
                f["status"]
            ],
        ]
        for f in value["figures"]
    ]
    return "\n".join([*lines, "", table(header, rows)])


def _reason(reason: dict[str, Any]) -> str:
    values = ", ".join(
        f"{k} {_number(v) if isinstance(v, int | float) else v}"
        for k, v in reason["values"].items()
    )
    return f"{reason['key']}: {values}" if values else str(reason["key"])


def _stops(figure: dict[str, Any]) -> str:
    below, above = figure["stop_below"], figure["stop_above"]
    parts = [] if below is None else [f"below {_number(below)}"]
    return ", ".join(parts if above is None else [*parts, f"above {_number(above)}"])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
