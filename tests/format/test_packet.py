from __future__ import annotations

import pytest

from rdedge.errors import ChecksumError, FormatError, RdedgeError, TruncatedError
from rdedge.format.constants import Stream
from rdedge.format.packet import Packet, Run, read_packet
from tests.format import build, hostile

DEFAULT = (Run(0, 0, 1),)
FULL = Packet(
    build.KEY,
    (Run(0, 1, 5), Run(2, 0, 3), Run(0, 1, 1)),
    {Stream.LATENTS: b"symbols", Stream.ESCAPES: b"values"},
    lanes=4096,
    shape=(8, 300, 1),
    gated=True,
)


def test_a_plain_packet_is_these_bytes():
    data = Packet(build.KEY, DEFAULT, {Stream.LATENTS: b"\x11\x22\x33"}).to_bytes()
    assert data == build.packet()
    assert data[:-4].hex() == "b5010102030404" + "01" + "c2112233"


@pytest.mark.parametrize(
    ("body_bytes", "frame_bytes"),
    [(1, 12), (127, 12), (128, 13), (1 << 14, 14), ((1 << 21) - 1, 14), (1 << 21, 15)],
)
def test_a_sample_costs_as_much_as_the_page_says(body_bytes, frame_bytes):
    data = Packet(build.KEY, DEFAULT, {Stream.LATENTS: bytes(body_bytes - 1)}).to_bytes()
    assert len(data) == body_bytes + frame_bytes


def test_all_features_at_once_are_these_bytes():
    body = (
        bytes([3, 2, 5, 5, 0, 3, 2])
        + b"\x0c"
        + b"\x03\x08\xac\x02\x01"
        + b"\x82\x07symbols"
        + b"\xc5values"
    )
    flags = build.RUNS | build.LANES | build.SHAPE | build.GATED
    assert FULL.to_bytes() == build.packet(body, samples=9, flags=flags)
    assert read_packet(FULL.to_bytes()) == (FULL, len(FULL.to_bytes()))


def test_packets_delimit_themselves():
    data = b"before" + FULL.to_bytes() + build.packet() + b"after"
    first, offset = read_packet(data, 6)
    second, end = read_packet(memoryview(data), offset)
    assert (first, second) == (FULL, read_packet(build.packet())[0])
    assert data[end:] == b"after"


@pytest.mark.parametrize("kind", [9, 35, 63])
def test_unknown_streams_are_skipped(kind):
    streams = {
        kind: build.stream(kind, b"news", critical=False, last=kind > 2),
        2: build.stream(2, b"\x11\x22\x33"),
    }
    body = b"".join(streams[k] for k in sorted(streams))
    assert read_packet(build.packet(body))[0] == read_packet(build.packet())[0]


def test_unknown_streams_alone_leave_nothing():
    body = build.stream(40, b"news", critical=False, last=True)
    assert read_packet(build.packet(body))[0].streams == {}


def test_one_run_of_another_level_is_written_out():
    packet = Packet(build.KEY, (Run(0, 1, 3),), {Stream.LATENTS: b""})
    assert packet.to_bytes() == build.packet(b"\x02\xc2", samples=3, flags=build.RUN)
    assert read_packet(packet.to_bytes())[0] == packet


def test_one_run_of_a_fallback_takes_two_bytes():
    packet = Packet(build.KEY, (Run(2, 7, 3),), {Stream.FALLBACK: b"any"})
    assert packet.to_bytes() == build.packet(b"\x05\x07\xc7any", samples=3, flags=build.RUN)
    assert read_packet(packet.to_bytes())[0] == packet


@pytest.mark.parametrize(
    "packet",
    [
        Packet(b"123", DEFAULT, {Stream.LATENTS: b""}),
        Packet(build.KEY, (), {Stream.LATENTS: b""}),
        Packet(build.KEY, (Run(0, 0, 0),), {Stream.LATENTS: b""}),
        Packet(build.KEY, (Run(0, 0, (1 << 24) + 1),), {Stream.LATENTS: b""}),
        Packet(build.KEY, (Run(0, 0, 1), Run(0, 0, 1)), {Stream.LATENTS: b""}),
        Packet(build.KEY, (Run(-1, 0, 1),), {Stream.LATENTS: b""}),
        Packet(build.KEY, DEFAULT),
        Packet(build.KEY, DEFAULT, {Stream.LATENTS: b""}, lanes=3),
        Packet(build.KEY, DEFAULT, {Stream.LATENTS: b""}, lanes=0),
        Packet(build.KEY, DEFAULT, {Stream.LATENTS: b""}, lanes=8192),
        Packet(build.KEY, DEFAULT, {Stream.LATENTS: b""}, shape=()),
        Packet(build.KEY, DEFAULT, {Stream.LATENTS: b""}, shape=(1, 1, 1, 1, 1)),
        Packet(build.KEY, DEFAULT, {Stream.LATENTS: b""}, shape=(0,)),
        Packet(build.KEY, DEFAULT, {Stream.LATENTS: b""}, shape=((1 << 24) + 1,)),
    ],
)
def test_nothing_is_written_that_would_be_refused(packet):
    with pytest.raises(FormatError):
        packet.to_bytes()


@pytest.mark.parametrize("log2", range(13))
def test_every_number_of_lanes(log2):
    packet = Packet(build.KEY, DEFAULT, {Stream.LATENTS: b"\x11\x22\x33"}, lanes=1 << log2)
    lanes = bytes([log2]) if log2 else b""
    flags = build.LANES if log2 else 0
    assert packet.to_bytes() == build.packet(lanes + build.PLAIN, flags=flags)
    assert read_packet(packet.to_bytes())[0] == packet


def test_the_largest_numbers_are_read():
    most = (1 << 63) - 1
    runs = (Run(most, (1 << 64) - 1, (1 << 24) - 1), Run(0, most, 1))
    packet = Packet(build.KEY, runs, {Stream.LATENTS: b""}, shape=(1 << 24, 1, 1, 1))
    assert read_packet(packet.to_bytes())[0] == packet


@pytest.mark.parametrize("data", [FULL.to_bytes(), build.packet()])
def test_every_bit_turned_is_refused(data):
    for damaged in hostile.flips(data):
        with pytest.raises(FormatError):
            read_packet(damaged)


@pytest.mark.parametrize("data", [FULL.to_bytes(), build.packet()])
def test_every_cut_is_a_truncation(data):
    for damaged in hostile.cuts(data):
        with pytest.raises(TruncatedError):
            read_packet(damaged)


@pytest.mark.parametrize("body", [FULL.to_bytes()[8:-4], build.PLAIN])
@pytest.mark.parametrize("flags", range(0, 128, 8))
def test_damage_behind_a_correct_crc_gives_a_packet_or_a_typed_error(body, flags):
    for damaged in [*hostile.flips(body), *hostile.cuts(body)]:
        data = build.packet(damaged, samples=9, flags=flags)
        found = hostile.outcome(read_packet, data)
        assert not isinstance(found, ChecksumError)
        if not isinstance(found, RdedgeError):
            packet, end = found
            assert end == len(data)
            # Streams that this version skips are not written again.
            if packet.streams:
                assert read_packet(packet.to_bytes())[0] == packet


@pytest.mark.parametrize("length", [1 << 30, 1 << 20])
def test_a_length_takes_no_memory_before_it_is_there(length):
    data = build.packet(length=length, samples=1 << 24)
    assert hostile.peak_bytes(read_packet, data) < 100_000
    many_runs = build.packet(b"\x80\x80\x80\x08" + bytes(40), samples=1 << 24, flags=build.RUNS)
    assert hostile.peak_bytes(read_packet, many_runs) < 100_000
