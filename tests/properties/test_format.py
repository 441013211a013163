"""What is written is read back; any bytes are read or refused, and what is read is written back."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rdedge import canonical
from rdedge.errors import FormatError, RdedgeError
from rdedge.format.constants import SOURCE_KINDS, Stream
from rdedge.format.container import Container, ContainerWriter
from rdedge.format.envelope import Envelope, read_envelope
from rdedge.format.mask import read_mask, write_mask
from rdedge.format.packet import Packet, Run, read_packet
from rdedge.format.times import read_times, write_times
from rdedge.format.varint import append_varint, append_zigzag, read_varint, read_zigzag
from tests.format import build

U64 = st.integers(0, (1 << 64) - 1)
CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"])
LABELS = st.text(CHARACTERS, min_size=1, max_size=16)
PARTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\:"),
    min_size=1,
    max_size=20,
).filter(lambda part: part not in (".", ".."))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def packets(draw) -> Packet:
    runs: list[Run] = []
    for _ in range(draw(st.integers(1, 6))):
        run = Run(draw(st.integers(0, 3)), draw(st.integers(0, 300)), draw(st.integers(1, 10**6)))
        if not runs or (run.codec, run.level) != (runs[-1].codec, runs[-1].level):
            runs.append(run)
    kinds = draw(st.sets(st.sampled_from(Stream), min_size=1))
    return Packet(
        draw(st.binary(min_size=4, max_size=4)),
        tuple(runs),
        {kind: draw(st.binary(max_size=300)) for kind in kinds},
        1 << draw(st.integers(0, 12)),
        draw(st.none() | st.lists(st.integers(1, 1 << 24), min_size=1, max_size=4).map(tuple)),
        draw(st.booleans()),
    )


@st.composite
def envelopes(draw) -> Envelope:
    return Envelope(
        draw(st.binary(min_size=32, max_size=32)),
        draw(st.integers(0, 1 << 24)),
        draw(st.integers(0, 1 << 40)),
        device=draw(st.none() | LABELS),
        boot=draw(st.none() | st.binary(min_size=16, max_size=16)),
        sequence=draw(st.none() | U64),
        part=draw(st.none() | st.integers(0, 1)),
        stream=draw(st.none() | LABELS),
        start_time=draw(st.none() | st.integers(-(1 << 63), (1 << 63) - 1)),
        time_step=draw(st.none() | U64),
        source_name=draw(st.none() | st.lists(PARTS, min_size=1, max_size=4).map("/".join)),
        source_kind=draw(st.none() | st.sampled_from(SOURCE_KINDS)),
        source_detail=draw(st.none() | st.dictionaries(LABELS, JSON, max_size=3)),
        source_bytes=draw(st.none() | U64),
    )


@given(U64, st.integers(-(1 << 63), (1 << 63) - 1), st.binary(max_size=3))
def test_varints(value, signed, around):
    out = bytearray(around)
    append_varint(out, value)
    middle = len(out)
    append_zigzag(out, signed)
    assert read_varint(out, len(around)) == (value, middle)
    assert read_zigzag(out + around, middle) == (signed, len(out))


@given(st.binary(max_size=12))
def test_any_bytes_as_a_varint(data):
    try:
        value, end = read_varint(data, 0)
    except FormatError:
        return
    out = bytearray()
    append_varint(out, value)
    assert out == data[:end]


@given(packets(), st.binary(max_size=5), st.binary(max_size=5))
def test_packets(packet, before, after):
    data = packet.to_bytes()
    found = read_packet(before + data + after, len(before))
    assert found == (packet, len(before) + len(data))


@given(envelopes(), st.binary(max_size=5), st.binary(max_size=5))
def test_envelopes(envelope, before, after):
    data = envelope.to_bytes()
    found = read_envelope(before + data + after, len(before))
    assert found == (envelope, len(before) + len(data))


@given(JSON)
def test_canonical_json(value):
    data = canonical.dumps(value)
    assert canonical.loads(data, "it") == value
    assert canonical.dumps(canonical.loads(data, "it")) == data


@given(st.binary(max_size=60) | st.text('{}[]",:\\u0d8e1 ', max_size=30).map(str.encode))
def test_any_bytes_as_canonical_json(data):
    try:
        value = canonical.loads(data, "it")
    except FormatError:
        return
    assert canonical.dumps(value) == data


@settings(max_examples=60)
@given(st.lists(st.tuples(envelopes(), st.lists(packets(), max_size=4)), max_size=4), st.data())
def test_containers_whole_and_cut(batches, data):
    file = io.BytesIO()
    writer = ContainerWriter(file)
    for envelope, parts in batches:
        samples = sum(part.sample_count for part in parts)
        writer.add(envelope, [part.to_bytes() for part in parts], samples)
    writer.close()
    whole = file.getvalue()
    found = Container(whole)
    found.require_whole()
    assert [read[1] for read in found.batches()] == [parts for _, parts in batches]
    assert [read[0].device for read in found.batches()] == [e.device for e, _ in batches]
    cut = Container(whole[: data.draw(st.integers(4, len(whole) - 1))])
    read = [part for _, parts in cut.batches() for part in parts]
    assert read == [part for _, parts in batches for part in parts][: len(read)]
    assert cut.cut is not None


@given(st.binary(max_size=60), st.integers(1, 9), st.integers(0, 15).map(lambda n: n << 3))
def test_any_body_is_a_packet_or_a_format_error(body, samples, flags):
    data = build.packet(body, samples=samples, flags=flags)
    try:
        packet, end = read_packet(data)
    except FormatError:
        return
    assert end == len(data)
    # Streams that are skipped are not there to be written back.
    if packet.streams:
        again = packet.to_bytes()
        assert read_packet(again)[0] == packet
        assert len(again) <= len(data)


@given(st.binary(max_size=60))
def test_any_fields_are_an_envelope_or_a_format_error(fields):
    data = build.envelope(fields)
    try:
        envelope, end = read_envelope(data)
    except FormatError:
        return
    assert end == len(data)
    assert read_envelope(envelope.to_bytes())[0] == envelope


@given(st.binary(max_size=100))
def test_any_records_are_a_container_or_a_typed_error(records):
    for data in (b"RDZ\x01" + records, records, build.container(b"", records)):
        try:
            found = Container(data)
            list(found.batches())
        except RdedgeError:
            continue
        assert found.cut is None or 4 <= found.cut <= len(data)


MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9))


@given(MASKS.filter(np.any))
def test_masks(mask):
    data = write_mask(mask)
    found = read_mask(data, mask.shape)
    assert np.array_equal(found, mask)


@given(st.binary(max_size=30), hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9))
def test_any_bytes_as_a_mask(data, shape):
    try:
        found = read_mask(data, shape)
    except FormatError:
        return
    assert write_mask(found) == data


@st.composite
def sorted_times(draw) -> np.ndarray:
    unit = draw(st.integers(0, 11).map(lambda e: 10**e) | st.integers(1, 10**6))
    most = (1 << 61) // unit
    steps = st.integers(0, 3) | st.integers(0, most // 20)
    differences = draw(st.lists(steps, max_size=20))
    start = draw(st.integers(-most, most))
    return unit * np.cumsum(np.array([start, *differences], np.int64))


@given(sorted_times(), st.integers(0, 3))
def test_times(times, more):
    data = write_times(times)
    found = read_times(data, len(times) + more)
    assert found.dtype == np.int64
    assert np.array_equal(found, times)


@given(st.binary(max_size=40) | st.binary(max_size=20).map(lambda data: b"\x05\x90" + data))
def test_any_bytes_as_times(data):
    try:
        found = read_times(data, 20)
    except FormatError:
        return
    assert 1 <= len(found) <= 20
    assert write_times(found) == data
