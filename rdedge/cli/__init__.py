"""Doors: options, one call, print. Each command's module is loaded when it is called."""

from __future__ import annotations

import sys


def main() -> None:
    """The program `rdedge`. Exit codes: 0 fine, 1 the work failed, 2 wrong usage."""
    from rdedge.cli.group import run

    sys.exit(run(sys.argv[1:]))
