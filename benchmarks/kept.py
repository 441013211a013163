"""Results that are kept: CSVs whose rows are replaced set by set."""

from __future__ import annotations

import csv
from pathlib import Path


def replace_rows(path: Path, fields: tuple[str, ...], name: str, rows: list[dict]) -> None:
    """Put rows in place of those that are there for name; fields[0] is the column of names."""
    kept = []
    if path.exists():
        with path.open(newline="") as file:
            kept = [row for row in csv.DictReader(file) if row[fields[0]] != name]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(kept + rows, key=lambda row: row[fields[0]]))
