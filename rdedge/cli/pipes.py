"""Standard input and output as bytes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click

from rdedge.errors import SourceError


def binary(stream: Any) -> IO[bytes]:
    """The bytes of sys.stdin or sys.stdout. Raises SourceError where it is closed."""
    if stream is None or stream.closed:
        raise SourceError("the pipe is closed", expected="an open standard input and output")
    buffer: IO[bytes] = stream.buffer
    return buffer


@contextlib.contextmanager
def written_to(output: str, *, force: bool) -> Iterator[IO[bytes]]:
    """What a command writes to: stdout for "-", else a file that has its name once it is whole."""
    from rdedge.data.files import write_aside

    if output == "-":
        yield binary(sys.stdout)
        sys.stdout.flush()
        return
    with write_aside(Path(output), force=force) as file:
        yield file


def say(text: str) -> None:
    """A line on stderr; where nobody can read it, the work is done all the same."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)
