"""Writing aside and renaming, so that nobody ever sees half a file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rdedge.errors import OutputError


def refuse_existing(path: Path, force: bool) -> None:
    """Say so if path is there and may not be replaced."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder", expected="the name of a file to write")
    if path.exists() and not force:
        raise OutputError(f"{path} exists", do="choose another name, or replace it with --force")


@contextlib.contextmanager
def write_aside(path: Path, *, force: bool = False) -> Iterator[IO[bytes]]:
    """Open a temporary file beside path; at the end flush it to disk and rename it to path.

    If anything goes wrong, the temporary file is removed and path is as it was.
    Raises OutputError where the disk is full, the folder is missing or may not be written.
    """
    refuse_existing(path, force)
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name[:64]}.", suffix=".part", dir=path.parent
        )
    except OSError as error:
        raise OutputError(
            f"cannot write in {path.parent}: {error.strerror}", do="check the folder and its rights"
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}",
            do="free some space or choose another disk; nothing was left behind",
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_file(path: Path, data: bytes, *, force: bool = False) -> None:
    """Write data to path, all or nothing."""
    with write_aside(path, force=force) as file:
        file.write(data)
