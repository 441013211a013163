"""The numbers of FORMAT.md, under the names that it gives them."""

from __future__ import annotations

from enum import IntEnum

VERSION = 1
VERSION_MASK = 0x07

# Section 1: packet.
PACKET_MAGIC = 0xB5
FLAG_RUNS = 1 << 3
FLAG_LANES = 1 << 4
FLAG_SHAPE = 1 << 5
FLAG_GATED = 1 << 6
FLAG_RUN = 1 << 7
PACKET_RESERVED = 0
CODEC_KEY_BYTES = 4
CRC_BYTES = 4
MAX_BODY_BYTES = 1 << 30
MAX_SAMPLES = 1 << 24
MAX_LOG2_LANES = 12
STREAM_TYPE_MASK = 0x3F
STREAM_LAST = 1 << 6
STREAM_CRITICAL = 1 << 7

# Section 5: what images of one packet, of a shape of their own, may hold.
MAX_IMAGE_ELEMENTS = 1 << 28

# Section 1: values of the fallback samples of a packet, at most; of a short stream; for each byte.
MAX_FALLBACK_VALUES = 1 << 28
UNEARNED_FALLBACK_VALUES = 1 << 20
FALLBACK_VALUES_A_BYTE = 1 << 15

# Section 5.2: bytes of the lines of a packet, as powers of two; of a short stream; for each byte.
MIN_LINES_LOG2 = 10
MAX_LINES_LOG2 = 27
UNEARNED_LINES_BYTES = 1 << 20
LINES_BYTES_A_BYTE = 1 << 16

# Section 2: envelope.
ENVELOPE_MAGIC = 0xE5
ENVELOPE_RESERVED = 0xF8
IDENTITY_BYTES = 32
MAX_PACKETS = 1 << 24
MAX_PAYLOAD_BYTES = 1 << 40
MAX_FIELDS_BYTES = 1 << 16
FIELD_CRITICAL = 1 << 7
BOOT_BYTES = 16
MAX_LABEL_BYTES = 64
MAX_NAME_BYTES = 4096

# Section 3: container.
CONTAINER_HEAD = b"RDZ\x01"
INDEX_MAGIC = 0x1D
CONTAINER_END = b"RDZE"
TAIL_BYTES = 8


class Stream(IntEnum):
    """Types of the streams of a packet that version 1 reads; others are reserved."""

    LATENTS = 2
    RESIDUAL = 4
    ESCAPES = 5
    MASK = 6
    FALLBACK = 7
    LINES = 8
    DIGEST = 32
    TIMES = 33
    MEASURED = 34


class Field(IntEnum):
    """Types of the fields of an envelope."""

    DEVICE = 1
    BOOT = 2
    SEQUENCE = 3
    PART = 4
    STREAM = 5
    START_TIME = 6
    TIME_STEP = 7
    SOURCE_NAME = 8
    SOURCE_KIND = 9
    SOURCE_DETAIL = 10
    SOURCE_BYTES = 11


# A stream or field of these types is written with the critical bit, all others without.
CRITICAL_STREAMS = frozenset(
    {Stream.LATENTS, Stream.RESIDUAL, Stream.ESCAPES, Stream.MASK, Stream.FALLBACK, Stream.LINES}
)
CRITICAL_FIELDS = frozenset({Field.PART})

SOURCE_KINDS = ("raw", "npy", "npz", "csv", "parquet", "image", "lines")
