"""Standard input and output as bytes."""

from __future__ import annotations

import contextlib
from typing import IO, Any

import click

from rdedge.errors import SourceError


def binary(stream: Any) -> IO[bytes]:
    """The bytes of sys.stdin or sys.stdout. Raises SourceError where it is closed."""
    if stream is None or stream.closed:
        raise SourceError("the pipe is closed", expected="an open standard input and output")
    buffer: IO[bytes] = stream.buffer
    return buffer


def say(text: str) -> None:
    """A line on stderr; where nobody can read it, the work is done all the same."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)
