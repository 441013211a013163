"""`rdedge report`: report.html once more from what a pilot left in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from rdedge.data.files import write_file
from rdedge.errors import ConfigError, SourceError
from rdedge.report.html import report_html
from rdedge.types import Array

FACTS, SAMPLES = "pilot.json", "samples.npz"
# Far more than any pilot writes.
_MOST_BYTES = 64 << 20


def report(folder: Path, output: Path, language: str, *, force: bool = False) -> int:
    """Write output from folder/pilot.json and folder/samples.npz; returns its bytes.

    Raises SourceError for files that cannot be read, ConfigError for what they lack.
    """
    page = report_html(facts(folder / FACTS), _samples(folder / SAMPLES), language)
    write_file(output, page, force=force)
    return len(page)


def facts(path: Path) -> dict[str, Any]:
    """pilot.json; a NaN is none of its numbers."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SourceError(f"{path} is larger than {_MOST_BYTES} bytes", expected="pilot.json")
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SourceError(
            f"cannot read {path}: {error.strerror}",
            expected="the folder that rdedge pilot wrote",
            do="name it, or run rdedge pilot first",
        ) from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not JSON: {error}", do="run rdedge pilot again") from error
    if not isinstance(value, dict) or value.get("version") != 1:
        raise ConfigError(f"{path} is of no version that is known", expected='"version": 1')
    return value


def _samples(path: Path) -> dict[str, Array]:
    """The arrays of samples.npz; none where the pilot had too few samples to show any."""
    if not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile's and NumPy's own, of many kinds
        raise SourceError(f"{path} cannot be read: {error}", do="run rdedge pilot again") from error
