"""Writing aside and renaming, so that nobody ever sees half a file."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rdedge.errors import OutputError


def refuse_existing(path: Path, force: bool) -> None:
    """Say so if path is there and may not be replaced."""
    try:
        # A link that leads nowhere is there too.
        there = path.exists() or path.is_symlink()
        folder, regular = path.is_dir(), path.is_file() or not path.exists()
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}", do="check its name") from error
    if folder:
        raise OutputError(f"{path} is a folder", expected="the name of a file to write")
    if there and not regular:
        raise OutputError(f"{path} is a device or a pipe", expected="the name of a file to write")
    if there and not force:
        raise OutputError(f"{path} exists", do="choose another name, or replace it with --force")


def refuse_unwritable(path: Path) -> None:
    """Say before long work that path's folder is missing or that nothing may be written there."""
    folder = path.resolve().parent if path.is_symlink() else path.absolute().parent
    if not folder.is_dir():
        raise OutputError(f"cannot write {path}: {folder} is no folder", do="make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot write {path}: nothing may be written in {folder}",
            do="choose a folder of your own",
        )


@contextlib.contextmanager
def write_aside(path: Path, *, force: bool = False) -> Iterator[IO[bytes]]:
    """Open a temporary file beside path; at the end flush it to disk and rename it to path.

    If anything goes wrong, the temporary file is removed and path is as it was.
    With force a link stays a link: what it points to is replaced.
    Raises OutputError where the disk is full, the folder is missing or may not be written.
    """
    refuse_existing(path, force)
    path = path.resolve() if path.is_symlink() else path
    refuse_existing(path, force)
    part = path.with_name(f".{path.name[:32]}.{secrets.token_hex(4)}.part")
    try:
        file = part.open("xb")
    except (OSError, ValueError) as error:
        raise OutputError(
            f"cannot write in {path.parent}: {getattr(error, 'strerror', None) or error}",
            do="check the folder and its rights",
        ) from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _publish(part, path, force)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}",
            do="free some space or choose another disk; nothing was left behind",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _publish(part: Path, path: Path, force: bool) -> None:
    """Give the finished file its name; without force not over one that came up meanwhile."""
    if not force:
        try:
            os.link(part, path)
        except FileExistsError:
            refuse_existing(path, force)
            raise
        except OSError:
            # A file system without hard links: look once more, then rename.
            refuse_existing(path, force)
        else:
            return
    part.replace(path)


def write_file(path: Path, data: bytes, *, force: bool = False) -> None:
    """Write data to path, all or nothing."""
    with write_aside(path, force=force) as file:
        file.write(data)
