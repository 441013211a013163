"""Blocks of lines there and back: every byte, and nothing that is not one."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge.bundle.lines import LineBundle
from rdedge.codec.decoder import Decoder
from rdedge.codec.line_files import compress, decompress, restore
from rdedge.codec.lines import LineDecoder, LineEncoder, Zstandard
from rdedge.data import lines as data_lines
from rdedge.data.lines import LineSource, blocks
from rdedge.errors import (
    BundleError,
    ConfigError,
    FormatError,
    MismatchError,
    OutputError,
    ParityError,
    ShapeError,
    TruncatedError,
)
from rdedge.format.constants import Stream
from rdedge.format.container import Container
from rdedge.format.lines import BLOCKS, SINGLE, STORED, LinesStream
from rdedge.format.packet import read_packet
from tests.bundle import tiny_lines

MADE_OF = st.sampled_from([b"\n", b"\r\n", b"\0", b"\xff", b" closed by peer", b"gate[1]: ", b"x"])
CONTENTS = st.one_of(st.binary(max_size=400), st.lists(MADE_OF, max_size=60).map(b"".join))


@cache
def encoder() -> LineEncoder:
    return LineEncoder(tiny_lines.bundle())


@cache
def decoder() -> LineDecoder:
    return LineDecoder(tiny_lines.bundle())


def stream_of(packet: bytes) -> LinesStream:
    return LinesStream.from_bytes(read_packet(packet)[0].streams[Stream.LINES])


def there_and_back(
    sources: list[LineSource], batch: int = 1
) -> tuple[list[tuple[str, bytes]], int]:
    file = io.BytesIO()
    _, size = compress(encoder(), sources, file, batch)
    assert size == len(file.getvalue())
    found = Container(file.getvalue())
    found.require_whole()
    return [(log.name, log.data) for log in restore(decoder(), found)], size


@given(CONTENTS, st.integers(1, 4))
def test_any_file_comes_back(data, batch):
    assert there_and_back([LineSource("x.log", data)], batch)[0] == [("x.log", data)]


@given(CONTENTS)
def test_a_packet_is_gated_and_alone(data):
    for block in blocks(data, tiny_lines.LINES):
        packet = encoder().encode(block)
        assert decoder().decode(packet) == block
        assert read_packet(packet)[0].gated


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"no final newline",
        b"\r\n" * 7,
        b"a\rb\r",
        b"\n" * 23,
        b"\xc3\x28\xff\xfe\x00\n\x00",
        b"x" * 10_000_000 + b"\nshort\n",
        bytes(range(256)) * 1000,
        np.random.default_rng(1).integers(0, 256, 700_000, np.uint8).tobytes(),
    ],
    ids=["empty", "feed", "open", "crlf", "cr", "feeds", "no utf-8", "10 MB", "all", "noise"],
)
def test_odd_files_come_back(data):
    assert there_and_back([LineSource("x.log", data)])[0] == [("x.log", data)]


def test_a_line_beyond_a_block_comes_back(monkeypatch):
    monkeypatch.setattr(data_lines, "MAX_BLOCK_BYTES", 1000)
    data = tiny_lines.text(3) + b"y" * 4321 + b"\n" + tiny_lines.text(4)
    assert there_and_back([LineSource("x.log", data)], 3)[0] == [("x.log", data)]


@given(st.binary(min_size=1, max_size=3000))
@settings(max_examples=50)
def test_never_more_than_plain_zstd_and_a_header(data):
    block = data.replace(b"\n", b"")
    if block:
        plain = zstandard.ZstdCompressor(level=19, write_content_size=False).compress(block)
        # Of its frame go the magic number, descriptor, window and the header of its one block.
        assert len(encoder().encode(block)) <= len(plain) - 9 + 15


def test_what_the_dictionary_holds_costs_little():
    block = tiny_lines.text(5, 500)
    plain = zstandard.ZstdCompressor(level=19).compress(block)
    packet = encoder().encode(block)
    assert len(packet) < 0.8 * len(plain)
    assert stream_of(packet).dictionary


def test_forms():
    noise = np.random.default_rng(2).integers(11, 256, 500, np.uint8).tobytes()
    assert stream_of(encoder().encode(noise)).form == STORED
    assert len(encoder().encode(noise)) == 500 + 15
    assert stream_of(encoder().encode(tiny_lines.text(5))).form == SINGLE
    assert stream_of(encoder().encode(b"z" * (1 << 18))).form == BLOCKS


@pytest.mark.parametrize("name", ["text", "noise"])
def test_every_bit_flipped_is_refused(name):
    block = tiny_lines.text(5, 77) if name == "text" else b"\x80\x81\x82?\n"
    packet = encoder().encode(block)
    for bit in range(8 * len(packet)):
        altered = bytearray(packet)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError):
            decoder().decode(bytes(altered))


def test_every_bit_of_a_stream_flipped_is_refused_or_some_lines():
    """Behind a CRC that fits: never anything but a FormatError."""
    stream = stream_of(encoder().encode(tiny_lines.text(5, 77))).to_bytes()
    code = decoder().zstandard
    for bit in range(8 * len(stream)):
        altered = bytearray(stream)
        altered[bit // 8] ^= 1 << bit % 8
        try:
            content = code.decompress(LinesStream.from_bytes(bytes(altered)))
        except FormatError:
            continue
        assert 0 < len(content) <= 1 << 20


@given(st.binary(max_size=80))
def test_any_bytes_are_a_stream_or_refused(data):
    try:
        content = decoder().zstandard.decompress(LinesStream.from_bytes(data))
    except FormatError:
        return
    assert content


def test_every_length_cut_is_refused():
    packet = encoder().encode(tiny_lines.text(5, 9))
    for end in range(len(packet)):
        with pytest.raises(TruncatedError):
            decoder().decode(packet[:end])
    with pytest.raises(FormatError, match="follow the packet"):
        decoder().decode(packet + b"\0")


def test_packets_that_follow_each_other():
    parts = blocks(tiny_lines.text(17), tiny_lines.LINES)
    data = b"".join(map(encoder().encode, parts))
    assert list(decoder().decode_stream(data)) == parts


def test_another_bundle_is_refused():
    other = LineDecoder(tiny_lines.bundle(lines=6))
    packet = encoder().encode(tiny_lines.text(5))
    with pytest.raises(MismatchError, match="made by the codec"):
        other.decode(packet)
    file = io.BytesIO()
    compress(encoder(), [LineSource("x", b"a\n")], file)
    with pytest.raises(MismatchError):
        list(restore(other, Container(file.getvalue())))


def test_the_two_kinds_of_bundle_refuse_each_other(bundle):
    packet = encoder().encode(tiny_lines.text(5))
    with pytest.raises(MismatchError):
        Decoder(bundle).decode(packet)
    with pytest.raises(MismatchError):
        decoder().decode(bundle.reference.packet)
    file = io.BytesIO()
    compress(encoder(), [LineSource("x", b"a\n")], file)
    from rdedge.codec import files

    with pytest.raises(MismatchError):
        list(files.restore(Decoder(bundle), Container(file.getvalue())))


@pytest.mark.parametrize(
    ("content", "count"),
    [(b"", 1), (b"a", 0), (b"a", 2), (b"\n" * 6, 1), (b"\n" * 11, 2), (b"\n" * 5 + b"a", 1)],
)
def test_what_is_no_block_is_refused(content, count):
    with pytest.raises(ShapeError, match="blocks"):
        encoder().encode(content, count)


def test_a_batch_of_none_is_refused():
    with pytest.raises(ConfigError, match="batch"):
        compress(encoder(), [], io.BytesIO(), 0)


def test_a_dictionary_that_is_none_is_refused():
    trained = zstandard.train_dictionary(2000, blocks(tiny_lines.text(2000), 5)).as_bytes()
    block = tiny_lines.text(5, 9000)
    code = Zstandard(trained, "trained", 19)
    assert code.decompress(code.compress(block)) == block
    tables = len(trained) - trained[::-1].index(bytes([8, 0, 0, 0])[::-1]) - 8
    for damaged in (b"", b"text", trained[:60], trained[:8] + b"\xff" * tables + trained[tables:]):
        with pytest.raises(BundleError, match=r"dictionary\.bin is no dictionary"):
            Zstandard(damaged, "trained", 19)


@pytest.mark.parametrize(
    "dictionary", [b"a", b"\n" * 7, zstandard.MAGIC_NUMBER.to_bytes(4, "little")]
)
def test_a_raw_dictionary_may_be_anything(dictionary):
    code = Zstandard(dictionary, "raw", 22)
    assert code.decompress(code.compress(tiny_lines.text(5))) == tiny_lines.text(5)


def test_a_packet_that_would_not_come_back_is_not_given_away(monkeypatch):
    """Zstandard that writes one thing for another, as on a machine with bad memory."""
    made = LineEncoder(tiny_lines.bundle())
    code = made._decoder.zstandard
    right = code.compress
    monkeypatch.setattr(code, "compress", lambda content: right(content.replace(b"1", b"2")))
    with pytest.raises(ParityError, match="does not come back"):
        made.encode(tiny_lines.text(5))
    trusting = LineEncoder(tiny_lines.bundle(), verify=False)
    assert not read_packet(trusting.encode(b"a\n"))[0].gated


def test_files_are_written_whole_or_not_at_all(tmp_path):
    sources = [LineSource("a/x.log", tiny_lines.text(7)), LineSource("y", b"")]
    file = io.BytesIO()
    compress(encoder(), sources, file)
    found = Container(file.getvalue())
    assert decompress(decoder(), found, tmp_path) == [("a/x.log", 2), ("y", 0)]
    assert (tmp_path / "a/x.log").read_bytes() == tiny_lines.text(7)
    assert (tmp_path / "y").read_bytes() == b""
    with pytest.raises(OutputError, match="exists"):
        decompress(decoder(), found, tmp_path)


def test_a_container_cut_short_gives_what_is_whole():
    data = tiny_lines.text(40)
    file = io.BytesIO()
    compress(encoder(), [LineSource("x.log", data)], file)
    for end in range(len(file.getvalue())):
        try:
            found = Container(file.getvalue()[:end])
        except TruncatedError:
            continue
        for log in restore(decoder(), found):
            assert data.startswith(log.data)
            assert len(log.parts) < 8 or log.data == data


def test_a_bundle_of_a_path(tmp_path):
    tiny_lines.bundle().write(tmp_path / "x.rdb")
    packet = LineEncoder(tmp_path / "x.rdb").encode(b"a\n")
    assert LineDecoder(str(tmp_path / "x.rdb")).decode(packet) == b"a\n"
    assert LineBundle.read(tmp_path / "x.rdb") == tiny_lines.bundle()
