from __future__ import annotations

from dataclasses import replace

import pytest

from rdedge import canonical
from rdedge.errors import FormatError, RdedgeError, TruncatedError, UnsupportedError
from rdedge.format.constants import SOURCE_KINDS, Field
from rdedge.format.envelope import Envelope, read_envelope
from tests.format import build, hostile

MINIMAL = Envelope(build.IDENTITY, 0, 0)
FULL = Envelope(
    build.IDENTITY,
    packet_count=1 << 24,
    payload_length=1 << 40,
    device="pump 7 \N{GREEK SMALL LETTER MU}",
    boot=bytes(range(16)),
    sequence=(1 << 64) - 1,
    part=1,
    stream="vibration",
    start_time=-(1 << 63),
    time_step=1_000_000,
    source_name="day/\N{SNOWMAN}/a b.csv",
    source_kind="csv",
    source_detail={"delimiter": ";", "header": ["a", "b"]},
    source_bytes=0,
)


def test_a_minimal_envelope_is_these_bytes():
    assert MINIMAL.to_bytes() == build.envelope()
    assert MINIMAL.to_bytes()[:-4].hex() == "e501" + build.IDENTITY.hex() + "000000"
    assert read_envelope(build.envelope()) == (MINIMAL, 41)


def test_a_full_envelope_is_these_bytes():
    fields = (
        build.field(1, "pump 7 μ".encode())
        + build.field(2, bytes(range(16)))
        + build.field(3, b"\xff" * 9 + b"\x01")
        + build.field(4, b"\x01", critical=True)
        + build.field(5, b"vibration")
        + build.field(6, b"\xff" * 9 + b"\x01")
        + build.field(7, bytes.fromhex("c0843d"))
        + build.field(8, "day/☃/a b.csv".encode())
        + build.field(9, b"\x03")
        + build.field(10, b'{"delimiter":";","header":["a","b"]}')
        + build.field(11, b"\x00")
    )
    data = build.envelope(fields, packets=1 << 24, payload=1 << 40)
    assert FULL.to_bytes() == data
    assert read_envelope(b"xy" + data, 2) == (FULL, 2 + len(data))


@pytest.mark.parametrize("kind", SOURCE_KINDS)
def test_kinds_of_sources(kind):
    envelope = replace(MINIMAL, source_kind=kind)
    data = envelope.to_bytes()
    assert build.field(9, bytes([SOURCE_KINDS.index(kind)])) in data
    assert read_envelope(data)[0] == envelope


@pytest.mark.parametrize("kind", [0x0C, 0x7F])
def test_unknown_fields_are_skipped(kind):
    data = build.envelope(build.field(1, b"a") + build.field(kind, b"news"))
    assert read_envelope(data)[0] == replace(MINIMAL, device="a")


def test_a_part_of_zero_may_be_written_or_left_out():
    data = build.envelope(build.field(4, b"\x00", critical=True))
    assert read_envelope(data)[0].part == 0
    assert read_envelope(build.envelope())[0].part is None


@pytest.mark.parametrize("name", ["a", "a/b", "...", "a..b", ".hidden", "a/ b", "é" * 2048])
def test_names_that_stay_within_their_folder(name):
    envelope = replace(MINIMAL, source_name=name)
    assert read_envelope(envelope.to_bytes())[0] == envelope


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"codec_identity": bytes(31)}, FormatError),
        ({"packet_count": -1}, FormatError),
        ({"packet_count": (1 << 24) + 1}, FormatError),
        ({"payload_length": (1 << 40) + 1}, FormatError),
        ({"device": ""}, FormatError),
        ({"device": "a" * 65}, FormatError),
        ({"device": "a\nb"}, FormatError),
        ({"boot": bytes(17)}, FormatError),
        ({"sequence": -1}, FormatError),
        ({"sequence": 1 << 64}, FormatError),
        ({"part": 2}, UnsupportedError),
        ({"start_time": 1 << 63}, FormatError),
        ({"start_time": -(1 << 63) - 1}, FormatError),
        ({"source_name": "../a"}, FormatError),
        ({"source_name": "bad\udcff.npy"}, FormatError),
        ({"source_kind": "arrow"}, FormatError),
        ({"source_detail": {"a": float("nan")}}, FormatError),
        ({"source_detail": {"a": "\udcff"}}, FormatError),
        ({"source_detail": {"header": ["column"] * 9000}}, FormatError),
    ],
)
def test_nothing_is_written_that_would_be_refused(changes, error):
    with pytest.raises(error) as caught:
        replace(MINIMAL, **changes).to_bytes()
    assert caught.type is error


def test_every_field_of_the_page_is_a_field_of_the_envelope():
    assert {kind.name.lower() for kind in Field} <= set(vars(MINIMAL))


@pytest.mark.parametrize("envelope", [MINIMAL, FULL])
def test_every_bit_turned_is_refused(envelope):
    for damaged in hostile.flips(envelope.to_bytes()):
        with pytest.raises(FormatError):
            read_envelope(damaged)


@pytest.mark.parametrize("envelope", [MINIMAL, FULL])
def test_every_cut_is_a_truncation(envelope):
    for damaged in hostile.cuts(envelope.to_bytes()):
        with pytest.raises(TruncatedError):
            read_envelope(damaged)


def test_damage_behind_a_correct_crc_gives_an_envelope_or_a_typed_error():
    fields = FULL.to_bytes()[2 + 32 + 4 + 6 + 2 : -4]
    assert build.envelope(fields, packets=1 << 24, payload=1 << 40) == FULL.to_bytes()
    for damaged in [*hostile.flips(fields), *hostile.cuts(fields)]:
        found = hostile.outcome(read_envelope, build.envelope(damaged))
        if not isinstance(found, RdedgeError):
            again = read_envelope(found[0].to_bytes())[0]
            assert again == found[0]


def test_canonical_json_is_read_as_it_is_written():
    value = {"b": [1, 2.5, None, True, "é\u2028\n"], "a": {}}
    data = canonical.dumps(value)
    assert data == '{"a":{},"b":[1,2.5,null,true,"é\u2028\\n"]}'.encode()
    assert canonical.loads(data, "it") == value


@pytest.mark.parametrize("depth", [500, 900, 5_000, 100_000])
def test_nesting_is_read_or_refused(depth):
    data = b"[" * depth + b"]" * depth
    found = hostile.outcome(lambda d: canonical.loads(d, "it"), data)
    assert isinstance(found, list | FormatError)


def test_what_json_cannot_say_is_not_written():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for value in (float("inf"), float("nan"), "\ud800", deep):
        with pytest.raises(FormatError):
            canonical.dumps(value)
    while deep:  # so that freeing it does not recurse
        deep = deep.pop()
