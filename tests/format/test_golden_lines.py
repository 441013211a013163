"""The golden files of logs, read back: what version 1 wrote, every later version reads."""

from __future__ import annotations

import pytest

from rdedge.bundle.lines import LineBundle
from rdedge.codec.line_files import restore
from rdedge.codec.lines import LineDecoder
from rdedge.format.constants import Stream
from rdedge.format.container import Container
from rdedge.format.lines import BLOCKS, SINGLE, STORED, LinesStream
from rdedge.format.packet import read_packet
from tests.golden import make_lines as golden

BUNDLE = LineBundle.from_bytes((golden.FOLDER / "logs.rdb").read_bytes())
FORMS = {
    "one-block": (SINGLE, True),
    "seven-blocks": (SINGLE, True),
    "stored": (STORED, False),
    "without-dictionary": (SINGLE, False),
    "several-zstd-blocks": (BLOCKS, True),
}


def test_no_file_without_its_value_and_no_value_without_its_file():
    assert {path.name for path in golden.FOLDER.iterdir()} == set(golden.files())
    assert set(FORMS) == set(golden.CONTENTS)


@pytest.mark.parametrize("name", golden.CONTENTS)
def test_packets(name):
    data = (golden.FOLDER / f"{name}.packet").read_bytes()
    content, count = golden.CONTENTS[name]
    packet, end = read_packet(data)
    assert (packet.sample_count, packet.gated, end) == (count, True, len(data))
    stream = LinesStream.from_bytes(packet.streams[Stream.LINES])
    assert (stream.form, stream.dictionary) == FORMS[name]
    assert stream.to_bytes() == packet.streams[Stream.LINES]
    assert LineDecoder(BUNDLE).decode(data) == content


def test_a_packet_by_hand():
    """14 bytes and what is in the one Zstandard block."""
    data = (golden.FOLDER / "one-block.packet").read_bytes()
    assert data[:2] == b"\xb5\x41"
    assert data[2:6] == bytes.fromhex(BUNDLE.manifest.identity)[:4]
    assert data[6:10] == bytes([len(data) - 12, 1, 0xC8, 10 | SINGLE << 5])
    assert read_packet(data)[0].streams[Stream.LINES][1:] == data[10:-4]


def test_container():
    found = Container((golden.FOLDER / "logs.rdz").read_bytes())
    found.require_whole()
    logs = [(log.name, log.data) for log in restore(LineDecoder(BUNDLE), found)]
    assert logs == [(source.name, source.data) for source in golden.SOURCES]


def test_bundle():
    assert BUNDLE.to_bytes() == (golden.FOLDER / "logs.rdb").read_bytes()
    decoded = LineDecoder(BUNDLE).decode_stream(BUNDLE.members["reference/packets.bin"])
    assert b"".join(decoded) == BUNDLE.members["reference/inputs.bin"]
