"""Makes the golden files of logs, once: `python -m tests.golden.make_lines`.

A file that is there is never replaced: what a released version wrote must stay readable. Another
version of zstd may write other bytes, so these are only ever read back.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import zstandard

from rdedge.codec.line_files import compress
from rdedge.codec.lines import LineEncoder, packet_of
from rdedge.data.lines import LineSource
from rdedge.format.lines import LinesStream
from tests.bundle import tiny_lines

FOLDER = Path(__file__).parent / "lines"
_NOISE = np.random.default_rng(5).integers(0, 256, 300, np.uint8).tobytes().replace(b"\n", b"?")

# Each a packet, and how many blocks it has.
CONTENTS: dict[str, tuple[bytes, int]] = {
    "one-block": (tiny_lines.text(5, 100), 1),
    "seven-blocks": (tiny_lines.text(33, 300), 7),
    "stored": (_NOISE, 1),
    "without-dictionary": (b"0123456789abcdef\xff" * 60, 1),
    "several-zstd-blocks": (_NOISE * 600 + b"\r\n", 1),
}
SOURCES = (
    LineSource("a/unfinished.log", tiny_lines.text(12, 200)[:-1]),
    LineSource("a/empty.log", b""),
    LineSource("windows.log", b"one\r\n\r\n\0\xff\n"),
)


def packets() -> dict[str, bytes]:
    encoder = LineEncoder(tiny_lines.bundle())
    found = {name: encoder.encode(*content) for name, content in CONTENTS.items()}
    content, count = CONTENTS["without-dictionary"]
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(content)
    stream = LinesStream.of_frame(frame, len(content), dictionary=False)
    found["without-dictionary"] = packet_of(encoder.manifest.key, stream, count, gated=True)
    return found


def container() -> bytes:
    file = io.BytesIO()
    compress(LineEncoder(tiny_lines.bundle()), SOURCES, file)
    return file.getvalue()


def files() -> dict[str, bytes]:
    """Every golden file by its name."""
    found = {f"{name}.packet": data for name, data in packets().items()}
    return {**found, "logs.rdz": container(), "logs.rdb": tiny_lines.bundle().to_bytes()}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, data in files().items():
        path = FOLDER / name
        if path.exists():
            print(f"{name} is there and stays as it is")
        else:
            path.write_bytes(data)
            print(f"{name}: {len(data)} bytes")


if __name__ == "__main__":
    main()
