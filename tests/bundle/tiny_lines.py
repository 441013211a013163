"""Logs and bundles of lines of a few kilobytes, made here, the same everywhere."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from rdedge import canonical
from rdedge.bundle import archive
from rdedge.bundle.bundle import DICTIONARY
from rdedge.bundle.lines import RAW, LineBundle, LineManifest
from rdedge.codec.lines import LineEncoder, packet_of
from rdedge.data.lines import blocks
from rdedge.format.lines import STORED, LinesStream, log2_of

LINES = 5
_STATES = ("accepted", "refused", "timed out", "closed by peer")


def text(count: int, first: int = 0) -> bytes:
    """Lines of a log, as a server writes them."""
    found = []
    for i in range(first, first + count):
        state, port = _STATES[i * i % 7 % 4], 1024 + i * 7919 % 60000
        found.append(f"Nov 26 {i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02} gate[{i % 5}]: ")
        found.append(f"connection from 10.0.{i % 3}.{i * 31 % 251} port {port} {state}\n")
    return "".join(found).encode()


def manifest(**changes: Any) -> LineManifest:
    values: dict[str, Any] = {
        "lines": LINES,
        "dictionary": RAW,
        "level": 19,
        "created_by": "rdedge test",
        "identity": "0" * 64,
        "members": {},
    }
    return LineManifest(**{**values, **changes})


@cache
def bundle(**changes: Any) -> LineBundle:
    """A bundle whose dictionary is 40 lines; its reference blocks are the next 10."""
    members = {
        DICTIONARY: text(40),
        "profile.json": canonical.dumps({"name": "cpu-host"}),
        "recipe.json": canonical.dumps({}),
        "scorecard.json": canonical.dumps({}),
        "reference/inputs.bin": b"",
        "reference/packets.bin": b"",
    }
    made = LineBundle.make(manifest(**changes), members)
    inputs = text(10, 40)
    encoder = LineEncoder(made)
    packets = b"".join(map(encoder.encode, blocks(inputs, made.manifest.lines)))
    reference = {"reference/inputs.bin": inputs, "reference/packets.bin": packets}
    return LineBundle.make(made.manifest, made.members | reference)


def packed(
    *,
    change: dict[str, Any] | None = None,
    replace: dict[str, bytes] | None = None,
    drop: str = "",
    extra: dict[str, bytes] | None = None,
) -> bytes:
    """The file, with keys of its manifest or members changed and all else as it is."""
    members = archive.unpack(bundle().to_bytes())
    value = json.loads(members["manifest.json"]) | (change or {})
    members["manifest.json"] = canonical.dumps(value)
    members |= (replace or {}) | (extra or {})
    members.pop(drop, None)
    return archive.pack(members)


def stored_packets(content: bytes) -> bytes:
    """Blocks of content in packets that compress nothing."""
    key = bundle().manifest.key
    return b"".join(
        packet_of(key, LinesStream(log2_of(len(block)), STORED, False, block))
        for block in blocks(content, LINES)
    )
