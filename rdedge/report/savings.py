"""The page of `rdedge savings` for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rdedge.report.text import size, table


def savings_text(found: Mapping[str, Any]) -> str:
    """found: what Savings.to_json gives."""
    samples = found["samples"]
    rows = [
        ("raw", size(found["raw_bytes"]), f"{found['raw_bytes'] / samples:.2f}", "", "1.00"),
        _row("packets", found["payload_bytes"], found),
        _row("container, all included", found["container_bytes"], found),
    ]
    for entry in found.get("classical", []):
        label = f"{entry['codec']} ({entry['setting']})"
        rows.append(_row(label, entry["bytes"], found))
    saved = 100.0 * (1.0 - found["container_bytes"] / found["raw_bytes"])
    word = f"{saved:.1f} % saved" if saved >= 0 else f"nothing saved, {-saved:.1f} % more"
    headline = (
        f"{word}: {size(found['raw_bytes'])} of {samples:,} samples became "
        f"{size(found['container_bytes'])}"
    )
    lines = [headline, "", table(("", "bytes", "a sample", "bits/element", "ratio"), rows)]
    if "distortion" in found:
        d = found["distortion"]
        figures = ", ".join(f"{k} {_number(d[k])}" for k in ("mean", "p95", "worst"))
        bound = found["bound"]
        trained = f"trained for a mean of {bound['value']:g} {bound['metric']}"
        lines += ["", f"{_named(d['metric'])}: {figures} ({trained})"]
    if "classical" in found and not found["classical"]:
        lines.append("no classical codec at hand takes samples like these")
    if found.get("classical"):
        best = found["classical"][0]
        share = f"{100 * best['container_share']:.0f} % of the bytes of the best classical codec"
        reached = f"{found['bound']['metric']} of {_number(best['distortion'])}"
        lines.append(f"{share}, {best['codec']}, at a mean {reached}")
        if found["beside_bytes"]:
            lines.append(
                f"{size(found['beside_bytes'])} of the container are times and gaps, which the "
                "classical codecs' bytes lack"
            )
    return "\n".join(lines)


def _row(label: str, count: int, found: Mapping[str, Any]) -> tuple[str, ...]:
    samples = found["samples"]
    return (
        label,
        size(count),
        f"{count / samples:.2f}",
        f"{8 * count / found['elements']:.4f}",
        f"{found['raw_bytes'] / count:.2f}",
    )


def _named(metric: str) -> str:
    units = {"psnr": "dB", "nrmse": "of the standard deviation"}.get(metric, "raw units")
    return f"distortion, {metric} ({units})"


def _number(value: float | None) -> str:
    return "exact" if value is None else f"{value:.4g}"
