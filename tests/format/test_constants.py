"""constants.py says what FORMAT.md says."""

from __future__ import annotations

import re

import pytest

from rdedge import types
from rdedge.bundle import fallback, manifest
from rdedge.coding import tables
from rdedge.data import table
from rdedge.format import constants
from tests.format import page


def cells(number: int, width: int) -> list[list[str]]:
    return [row for row in page.rows(page.section(number)) if len(row) == width]


def power(text: str, pattern: str) -> int:
    found = re.search(pattern + r"2\^(\d+)", text)
    assert found, pattern
    return 1 << int(found[1])


def layout(number: int) -> dict[str, list[str]]:
    return {row[0].strip("`"): row for row in page.rows(page.section(number))}


def test_packet():
    fields = layout(1)
    assert int(fields["magic"][2], 16) == constants.PACKET_MAGIC
    assert fields["version_flags"][2].startswith(f"bits 0 to 2: version, {constants.VERSION}.")
    assert constants.VERSION_MASK == 0b111
    assert int(fields["codec_key"][1]) == constants.CODEC_KEY_BYTES
    assert int(fields["crc"][1]) == constants.CRC_BYTES
    assert power(fields["body_length"][2], "at most ") == constants.MAX_BODY_BYTES
    assert power(fields["sample_count"][2], "1 to ") == constants.MAX_SAMPLES
    lanes = re.search(r"lanes, 1 to (\d+)", fields["FLAG_LANES"][2])
    assert lanes
    assert int(lanes[1]) == constants.MAX_LOG2_LANES
    axes = re.search(r"axes \(1 to (\d+)\), then each as a varint \(1 to 2\^(\d+)\)", page.TEXT)
    assert axes
    assert (int(axes[1]), 1 << int(axes[2])) == (types.MAX_AXES, types.MAX_AXIS)


@pytest.mark.parametrize(
    "flag", ["FLAG_RUNS", "FLAG_LANES", "FLAG_SHAPE", "FLAG_GATED", "FLAG_RUN"]
)
def test_flags(flag):
    assert getattr(constants, flag) == 1 << int(layout(1)[flag][1])


def test_no_bit_is_used_twice():
    flags = [getattr(constants, name) for name in vars(constants) if name.startswith("FLAG_")]
    assert constants.PACKET_RESERVED == 0
    assert constants.VERSION_MASK + sum(flags) == 0xFF
    assert constants.ENVELOPE_RESERVED == 0xFF & ~constants.VERSION_MASK


def test_streams():
    bits = layout(1)
    assert bits["0 to 5"][1] == f"type, 1 to {constants.STREAM_TYPE_MASK}"
    assert any("6 (`STREAM_LAST`)" in row for row in cells(1, 2))
    assert any("7 (`STREAM_CRITICAL`)" in row for row in cells(1, 2))
    assert (constants.STREAM_LAST, constants.STREAM_CRITICAL) == (1 << 6, 1 << 7)
    streams = {
        int(number): (name.strip("`"), critical == "yes", data)
        for number, name, critical, data in cells(1, 4)
    }
    for stream in constants.Stream:
        name, critical, data = streams[stream]
        assert name == stream.name.lower()
        assert critical == (stream in constants.CRITICAL_STREAMS)
        assert "reserved" not in data
    reserved = {number for number, (_, _, data) in streams.items() if "reserved" in data}
    assert reserved == set(streams) - set(constants.Stream)


def test_envelope():
    fields = layout(2)
    assert int(fields["magic"][2], 16) == constants.ENVELOPE_MAGIC
    assert int(fields["codec_identity"][1]) == constants.IDENTITY_BYTES
    assert power(fields["packet_count"][2], "0 to ") == constants.MAX_PACKETS
    assert power(fields["payload_length"][2], "at most ") == constants.MAX_PAYLOAD_BYTES
    assert power(fields["fields_length"][2], "at most ") == constants.MAX_FIELDS_BYTES
    assert constants.FIELD_CRITICAL == 1 << 7


def test_fields():
    found = {int(row[0]): row[1:] for row in cells(2, 4) if row[0].isdigit()}
    assert set(found) == set(constants.Field)
    for kind in constants.Field:
        name, critical, _ = found[kind]
        assert name.strip("`") == kind.name.lower()
        assert critical == ("yes" if kind in constants.CRITICAL_FIELDS else "no")
    assert found[2][2].startswith(f"{constants.BOOT_BYTES} bytes")
    assert found[1][2] == found[5][2] == f"text, 1 to {constants.MAX_LABEL_BYTES} bytes"
    assert found[8][2].startswith(f"text, 1 to {constants.MAX_NAME_BYTES} bytes")
    kinds = ", ".join(f"{i} {kind}" for i, kind in enumerate(constants.SOURCE_KINDS))
    assert kinds in found[9][2]
    details = {row[0].strip("`").strip('"'): row[1:] for row in cells(2, 3)}
    known = details["delimiter"][1].replace("tab", "`\t`").replace("space", "` `")
    known = known.replace("\\|", "|")
    assert "".join(re.findall("`(.)`", known)) == table.DELIMITERS


def test_fallbacks():
    text = page.section(1).replace("\n", " ")
    assert power(text, "together are at most ") == constants.MAX_FALLBACK_VALUES
    found = re.search(r"2\^(\d+) \+ 2\^(\d+) for each byte", text)
    assert found
    assert 1 << int(found[1]) == constants.UNEARNED_FALLBACK_VALUES
    assert 1 << int(found[2]) == constants.FALLBACK_VALUES_A_BYTE
    names = {name.strip("`") for row in cells(5, 4) for name in row[0].split(", ")}
    assert names == set(fallback.CODECS)
    assert f"at most {fallback.MAX_FALLBACKS} fallbacks" in page.section(5)
    assert f"1 to {manifest.MAX_LEVELS} levels" in page.section(5)


def test_container():
    text = page.section(3)
    parts = layout(3)
    assert constants.CONTAINER_HEAD == b"RDZ\x01"
    assert parts["head"][1:] == [f"{len(constants.CONTAINER_HEAD)}", "`RDZ` and version, 0x01"]
    assert f"magic 0x{constants.INDEX_MAGIC:02X}" in parts["index"][2]
    assert int(parts["tail"][1]) == constants.TAIL_BYTES
    assert constants.CONTAINER_END == b"RDZE"
    assert "then `RDZE`" in parts["tail"][2]
    assert f"(0x{constants.ENVELOPE_MAGIC:02X}, 0x{constants.PACKET_MAGIC:02X}," in text


def test_tables():
    text = page.section(4)
    assert power(text, r"M = ") == tables.TOTAL
    assert f"n + 1 is at most {tables.ENTRIES_MAX}" in text
    assert f"varint T (1 to {tables.TABLES_MAX})" in text
