"""Makes the golden files of the format, once: `python -m tests.golden.make_format`.

A file that is there is never replaced: what a released version wrote must stay readable. A new
feature of the format adds a value here, and this script writes its file.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from rdedge.format.constants import Stream
from rdedge.format.container import ContainerWriter
from rdedge.format.envelope import Envelope
from rdedge.format.mask import write_mask
from rdedge.format.packet import Packet, Run
from rdedge.format.times import write_times
from tests.bundle import tiny
from tests.format import build

FOLDER = Path(__file__).parent / "format"

KEY = bytes.fromhex("c0dec0de")
IDENTITY = KEY + bytes(range(0x10, 0x2C))
ONE = (Run(0, 0, 1),)
SYMBOLS = {Stream.LATENTS: bytes.fromhex("0123456789abcdef")}

# Three windows of 4 rows and 2 channels: a gap across two channels, and a row without values.
MASK = np.zeros((3, 4, 2), bool)
MASK[0, 2:, 0] = MASK[0, 0, 1] = True
MASK[2, 3] = True
# Every 40 ms, with a gap of a second and a row that came 5 ms late.
TIMES = 1_767_225_600_000_000_000 + 5_000_000 * np.array(
    [0, 8, 16, 24, 33, 40, 48, 248, 256, 264, 272, 280], np.int64
)

PACKETS = {
    "packet-plain": Packet(KEY, ONE, SYMBOLS),
    "packet-runs": Packet(KEY, (Run(0, 1, 200), Run(1, 0, 1), Run(0, 1, 3)), SYMBOLS),
    "packet-lanes": Packet(KEY, (Run(0, 0, 1000),), {Stream.LATENTS: bytes(range(48))}, lanes=4),
    "packet-shape": Packet(KEY, ONE, SYMBOLS, shape=(128, 3)),
    "packet-gated": Packet(KEY, ONE, SYMBOLS, gated=True),
    "packet-escapes": Packet(KEY, ONE, {**SYMBOLS, Stream.ESCAPES: bytes.fromhex("00ac02")}),
    "packet-empty-latents": Packet(KEY, ONE, {Stream.LATENTS: b""}),
    "packet-mask": Packet(KEY, (Run(0, 0, 3),), {**SYMBOLS, Stream.MASK: write_mask(MASK)}),
    "packet-one-run": Packet(KEY, (Run(0, 3, 5),), SYMBOLS),
    "packet-fallback": Packet(KEY, (Run(2, 7, 4),), {Stream.FALLBACK: bytes(range(20))}),
    "packet-gated-mixed": Packet(
        KEY,
        (Run(0, 0, 2), Run(1, 9, 1), Run(0, 2, 1)),
        {**SYMBOLS, Stream.FALLBACK: b"four", Stream.DIGEST: bytes(range(8))},
        gated=True,
    ),
    "packet-residual": Packet(
        KEY, (Run(0, 7, 1),), {**SYMBOLS, Stream.RESIDUAL: bytes.fromhex("230604")}, gated=True
    ),
    "packet-measured": Packet(
        KEY, ONE, {**SYMBOLS, Stream.MEASURED: bytes.fromhex("00000a3c")}, gated=True
    ),
    "packet-times": Packet(KEY, (Run(0, 0, 3),), {**SYMBOLS, Stream.TIMES: write_times(TIMES)}),
}

# What this version reads of it; it skips a stream of type 40 and does not write one.
UNKNOWN_STREAM = PACKETS["packet-plain"]

ENVELOPES = {
    "envelope-minimal": Envelope(IDENTITY, 0, 0),
    "envelope-full": Envelope(
        IDENTITY,
        packet_count=3,
        payload_length=70_000,
        device="pump-7",
        boot=bytes(range(16)),
        sequence=12_345,
        part=1,
        stream="vibration/axial",
        start_time=1_767_225_600_000_000_000,
        time_step=40_000,
        source_name="2026/Übung 1.csv",
        source_kind="csv",
        source_detail={"delimiter": ";", "header": ["Zeit", "µm/s"]},
        source_bytes=4_096,
    ),
}

BATCHES = [
    (
        Envelope(IDENTITY, 0, 0, source_name="a.npy", source_kind="npy", source_bytes=128),
        ["packet-plain", "packet-lanes"],
    ),
    (Envelope(IDENTITY, 0, 0, source_name="b.npz", source_kind="npz"), ["packet-escapes"]),
]


def container() -> bytes:
    file = io.BytesIO()
    writer = ContainerWriter(file)
    for envelope, names in BATCHES:
        packets = [PACKETS[name] for name in names]
        data = [packet.to_bytes() for packet in packets]
        writer.add(envelope, data, sum(packet.sample_count for packet in packets))
    writer.close()
    return file.getvalue()


def unknown_stream() -> bytes:
    body = build.stream(2, SYMBOLS[Stream.LATENTS]) + build.stream(
        40, b"from a later version", critical=False, last=True
    )
    return build.packet(body, key=KEY)


def files() -> dict[str, bytes]:
    """Every golden file by its name; text holds bytes in hex, 32 a line."""
    values = {**PACKETS, **ENVELOPES}
    raw = {name: value.to_bytes() for name, value in values.items()}
    raw["packet-unknown-stream"] = unknown_stream()
    texts = {
        f"{name}.hex": "".join(
            data[i : i + 32].hex() + "\n" for i in range(0, len(data), 32)
        ).encode()
        for name, data in raw.items()
    }
    return {**texts, "two-envelopes.rdz": container(), "tiny.rdb": tiny.bundle_bytes()}


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
