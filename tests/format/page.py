"""FORMAT.md as data: what tests compare the code with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import rdedge.format

TEXT = (Path(rdedge.format.__file__).parent / "FORMAT.md").read_text("utf-8")


def section(number: int) -> str:
    return TEXT.partition(f"\n## {number}. ")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, without heads and rules."""
    table = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in table]
    rules = {i for i, row in enumerate(cells) if all(re.fullmatch("-+", cell) for cell in row)}
    return [row for i, row in enumerate(cells) if i not in rules and i + 1 not in rules]


@dataclass(frozen=True)
class Refusal:
    where: str
    what: str
    errors: list[str]


def refusals() -> list[Refusal]:
    return [Refusal(where, what, error.split(" or ")) for where, what, error in rows(section(7))]
