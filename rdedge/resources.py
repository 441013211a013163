"""Where the data folders export/ and devices/ are: in a wheel, an editable install, a checkout.

A wheel carries them as rdedge/_data/; a checkout has them at its top, beside the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rdedge.errors import MissingError

__all__ = ["find"]


def find(kind: Literal["export", "devices"]) -> Path:
    """The folder of recipes ("export") or of profiles ("devices").

    Raises MissingError where the installation lacks it.
    """
    package = Path(__file__).resolve().parent
    installed = package / "_data" / kind
    if installed.is_dir():
        return installed
    checkout = package.parent / kind
    if (package.parent / "pyproject.toml").is_file() and checkout.is_dir():
        return checkout
    raise MissingError(
        f"the data folder {kind}/ is missing from this installation",
        expected=f"{installed} or {checkout}",
        do="install rdedge again",
    )
