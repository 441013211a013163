"""Standard input and output as bytes."""

from __future__ import annotations

from typing import IO, Any

from rdedge.errors import SourceError


def binary(stream: Any) -> IO[bytes]:
    """The bytes of sys.stdin or sys.stdout. Raises SourceError where it is closed."""
    if stream is None or stream.closed:
        raise SourceError("the pipe is closed", expected="an open standard input and output")
    buffer: IO[bytes] = stream.buffer
    return buffer
