"""A folder that is there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from rdedge.errors import OutputError

# What marks a folder as a pilot's, which may be replaced.
MARK = "pilot.json"


def refuse(path: Path, force: bool) -> None:
    """Raise OutputError unless a pilot may be written to path: nothing or an empty folder is there,
    or with force another pilot.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise OutputError(f"{path} is no folder", expected="the name of a folder to make")
    if path.is_dir() and any(path.iterdir()):
        if not (path / MARK).is_file():
            raise OutputError(
                f"the folder {path} holds files that are no pilot",
                expected="a new or an empty folder",
                do="choose another folder",
            )
        if not force:
            raise OutputError(
                f"{path} holds a pilot already",
                do="choose another folder, or replace it with --force",
            )
    above = path.absolute().parent
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise OutputError(f"cannot make {path}: {above} is no folder to write in")


@contextlib.contextmanager
def made_aside(path: Path, *, force: bool) -> Iterator[Path]:
    """A new folder beside path that takes its name at the end; if anything goes wrong it is removed
    and path is as it was. Raises OutputError.
    """
    refuse(path, force)
    mark = secrets.token_hex(4)
    aside = path.absolute().parent / f".{path.name[:32]}.{mark}.part"
    try:
        aside.mkdir()
    except OSError as error:
        raise OutputError(f"cannot make a folder beside {path}: {error.strerror}") from error
    old = aside.with_suffix(".old")
    try:
        yield aside
        refuse(path, force)
        if path.is_dir():
            path.rename(old)
        try:
            aside.rename(path)
        except OSError as error:
            if old.is_dir():
                old.rename(path)
            raise OutputError(f"cannot make {path}: {error.strerror}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
