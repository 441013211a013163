"""Writes a golden file of lines, once: one that is there is never replaced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path


def keep(path: Path, made: Callable[[int], dict[str, object]], seeds: Iterable[int]) -> None:
    """A line of JSON for each seed."""
    if path.exists():
        print(f"{path.name} is there and stays as it is")
    else:
        path.write_text("\n".join(json.dumps(made(seed)) for seed in seeds) + "\n")
