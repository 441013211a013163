"""Envelope: bytes <-> dataclass (FORMAT.md, section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rdedge import canonical
from rdedge.errors import FormatError, MismatchError, UnsupportedError
from rdedge.format.constants import (
    BOOT_BYTES,
    CRITICAL_FIELDS,
    ENVELOPE_MAGIC,
    ENVELOPE_RESERVED,
    FIELD_CRITICAL,
    IDENTITY_BYTES,
    MAX_FIELDS_BYTES,
    MAX_LABEL_BYTES,
    MAX_NAME_BYTES,
    MAX_PACKETS,
    MAX_PAYLOAD_BYTES,
    SOURCE_KINDS,
    VERSION,
    Field,
)
from rdedge.format.reader import Reader, append_crc
from rdedge.format.varint import (
    MAX_U64,
    append_varint,
    append_zigzag,
    read_varint,
    read_zigzag,
)

_INTEGERS = {
    Field.SEQUENCE: MAX_U64,
    Field.PART: 1,
    Field.TIME_STEP: MAX_U64,
    Field.SOURCE_KIND: len(SOURCE_KINDS) - 1,
    Field.SOURCE_BYTES: MAX_U64,
}


@dataclass(frozen=True)
class Envelope:
    """What a batch of packets has in common. None: not written.

    codec_identity: 32 bytes. payload_length: bytes of the packets that follow.
    boot: 16 bytes. start_time, time_step: nanoseconds. source_kind: one of SOURCE_KINDS.
    """

    codec_identity: bytes
    packet_count: int
    payload_length: int
    device: str | None = None
    boot: bytes | None = None
    sequence: int | None = None
    part: int | None = None
    stream: str | None = None
    start_time: int | None = None
    time_step: int | None = None
    source_name: str | None = None
    source_kind: str | None = None
    source_detail: dict[str, Any] | None = None
    source_bytes: int | None = None

    def to_bytes(self) -> bytes:
        """The envelope as section 2 lays it out. Raises FormatError for a field out of range."""
        counts = (self.packet_count, self.payload_length)
        if (
            len(self.codec_identity) != IDENTITY_BYTES
            or not 0 <= self.packet_count <= MAX_PACKETS
            or not 0 <= self.payload_length <= MAX_PAYLOAD_BYTES
        ):
            raise FormatError(
                f"an envelope with an identity of {len(self.codec_identity)} bytes, "
                f"{self.packet_count} packets and {self.payload_length} bytes",
                expected=f"{IDENTITY_BYTES} bytes, at most {MAX_PACKETS} packets and "
                f"{MAX_PAYLOAD_BYTES} bytes",
            )
        fields = bytearray()
        for kind in Field:
            value = getattr(self, kind.name.lower())
            if value is None:
                continue
            data = _encode(kind, value)
            _decode(kind, data)
            fields.append(kind | (FIELD_CRITICAL if kind in CRITICAL_FIELDS else 0))
            append_varint(fields, len(data))
            fields += data
        if len(fields) > MAX_FIELDS_BYTES:
            raise FormatError(
                f"envelope: {len(fields)} bytes of fields",
                expected=f"at most {MAX_FIELDS_BYTES}",
                do="shorten the header of the file or its name",
            )
        buffer = bytearray((ENVELOPE_MAGIC, VERSION))
        buffer += self.codec_identity
        for number in (*counts, len(fields)):
            append_varint(buffer, number)
        buffer += fields
        append_crc(buffer)
        return bytes(buffer)


def require_codec(identity: bytes, own: str) -> None:
    """Raise MismatchError unless identity (32 bytes) is a bundle's own, in hex."""
    if identity.hex() != own:
        raise MismatchError(
            f"it was made by the codec {identity.hex()[:16]}...",
            expected=f"{own[:16]}..., the one of this bundle",
            do="decode it with the bundle that made it",
        )


def read_envelope(data: bytes | memoryview, offset: int = 0) -> tuple[Envelope, int]:
    """The envelope at offset and the offset after it. Raises a FormatError of section 7."""
    outer = Reader(data, "envelope", offset)
    outer.magic(ENVELOPE_MAGIC)
    outer.version_flags(ENVELOPE_RESERVED)
    identity = outer.take(IDENTITY_BYTES, "codec_identity")
    packets = outer.varint("packet_count", 0, MAX_PACKETS)
    payload = outer.varint("payload_length", 0, MAX_PAYLOAD_BYTES)
    length = outer.varint("fields_length", 0, MAX_FIELDS_BYTES)
    start = outer.offset
    outer.skip(length, "fields")
    end = outer.offset
    outer.crc()
    fields = Reader(data, "envelope", start, end)
    values: dict[str, Any] = {}
    previous = 0
    while fields.left:
        tag = fields.byte("field tag")
        kind, critical = tag & ~FIELD_CRITICAL, bool(tag & FIELD_CRITICAL)
        if kind <= previous:
            raise FormatError(
                f"envelope: field {kind} after field {previous}", expected="ascending types"
            )
        previous = kind
        raw = fields.take(fields.varint("field length", 0, MAX_FIELDS_BYTES), f"field {kind}")
        if kind in Field.__members__.values():
            if critical != (kind in CRITICAL_FIELDS):
                raise FormatError(f"envelope: the critical bit of field {kind} is wrong")
            values[Field(kind).name.lower()] = _decode(Field(kind), raw)
        elif critical:
            raise UnsupportedError(
                f"envelope: critical field {kind}",
                expected="fields that this version knows",
                do="read it with the rdedge that wrote it, or a newer one",
            )
    return Envelope(identity, packets, payload, **values), outer.offset


def _encode(kind: Field, value: Any) -> bytes:
    number = bytearray()
    if kind is Field.START_TIME:
        append_zigzag(number, value)
        return bytes(number)
    if kind is Field.SOURCE_KIND:
        if value not in SOURCE_KINDS:
            raise FormatError(
                f"envelope: source_kind is {value!r}", expected=", ".join(SOURCE_KINDS)
            )
        value = SOURCE_KINDS.index(value)
    if kind in _INTEGERS:
        append_varint(number, value)
        return bytes(number)
    if kind is Field.SOURCE_DETAIL:
        return canonical.dumps(value)
    if kind is Field.BOOT:
        return bytes(value)
    try:
        return str(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise FormatError(
            f"envelope: {kind.name.lower()} {value!r} cannot be written as UTF-8",
            do="rename it: its name was not UTF-8 either",
        ) from error


def _decode(kind: Field, data: bytes) -> Any:
    if kind is Field.START_TIME or kind in _INTEGERS:
        signed, after = read_zigzag(data, 0)
        if after != len(data):
            raise FormatError(f"envelope: {len(data) - after} bytes after {kind.name.lower()}")
        if kind is Field.START_TIME:
            return signed
        number = read_varint(data, 0)[0]
        if number > _INTEGERS[kind]:
            error = UnsupportedError if kind is Field.PART else FormatError
            raise error(
                f"envelope: {kind.name.lower()} is {number}", expected=f"0 to {_INTEGERS[kind]}"
            )
        return SOURCE_KINDS[number] if kind is Field.SOURCE_KIND else number
    if kind is Field.BOOT:
        if len(data) != BOOT_BYTES:
            raise FormatError(f"envelope: boot has {len(data)} bytes", expected=f"{BOOT_BYTES}")
        return data
    if kind is Field.SOURCE_DETAIL:
        detail = canonical.loads(data, "envelope: source_detail")
        if not isinstance(detail, dict):
            raise FormatError("envelope: source_detail is no object", expected="a JSON object")
        return detail
    return _text(kind, data)


def _text(kind: Field, data: bytes) -> str:
    name = kind.name.lower()
    limit = MAX_NAME_BYTES if kind is Field.SOURCE_NAME else MAX_LABEL_BYTES
    if not 1 <= len(data) <= limit:
        raise FormatError(f"envelope: {name} has {len(data)} bytes", expected=f"1 to {limit}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"envelope: {name} is not UTF-8 at byte {error.start}") from error
    if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text):
        raise FormatError(f"envelope: {name} {text!r} holds control characters", expected="none")
    if kind is Field.SOURCE_NAME and (
        any(part in ("", ".", "..") for part in text.split("/")) or "\\" in text or ":" in text
    ):
        raise FormatError(
            f"envelope: the source name {text!r} could leave its folder",
            expected='a relative path with "/", without "..", "\\" and ":"',
        )
    return text
