"""What a user must be told although nothing failed: once in a process, on stderr."""

from __future__ import annotations

import logging
from functools import cache

_log = logging.getLogger("rdedge.engine")


@cache
def say_once(text: str) -> None:
    """Log text as a warning of `rdedge.engine`; Python writes that to stderr unless told else."""
    _log.warning("rdedge: %s", text)
