"""The lines of a bench, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rdedge.report.text import table

_HEADER = (
    "",
    "batch",
    "median ms",
    "p99 ms",
    "graph ms",
    "samples/s",
    "peak MiB",
    "mJ/sample",
    "parity with ort-cpu",
)


def lines_text(lines: Sequence[dict[str, Any]]) -> str:
    """One row for each line of flows.bench, as a dict."""
    rows = [
        (
            f"{line['half']}, {line['runs']}",
            str(line["batch"]),
            *(f"{line[key]:.3g}" for key in ("median", "p99", "graph")),
            f"{line['samples_per_second']:,.0f}",
            f"{line['peak_mib']:,.0f}",
            "-" if line["millijoules"] is None else f"{line['millijoules']:.3g}",
            _parity(line),
        )
        for line in lines
    ]
    return table(_HEADER, rows)


def _parity(line: dict[str, Any]) -> str:
    if line["symbols_differ"] is not None:
        return f"{100 * line['symbols_differ']:.3g} % of symbols differ"
    return f"outputs differ by {line['max_output_difference']:.3g}"
