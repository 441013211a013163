from __future__ import annotations

import io

import pytest

from rdedge.errors import ChecksumError, FormatError, RdedgeError, TruncatedError
from rdedge.format.constants import Stream
from rdedge.format.container import Container, ContainerWriter, Entry
from rdedge.format.envelope import Envelope
from rdedge.format.packet import Packet, Run
from tests.format import build, hostile


def packet(samples: int, fill: int = 0) -> bytes:
    streams = {Stream.LATENTS: bytes([fill]) * 3}
    return Packet(build.KEY, (Run(0, 0, samples),), streams).to_bytes()


BATCHES = [
    (Envelope(build.IDENTITY, 0, 0, source_name="a.npy"), [packet(1), packet(300, 1)], 301),
    (Envelope(build.IDENTITY, 0, 0), [], 0),
    (Envelope(build.IDENTITY, 0, 0, device="d"), [packet(2, 2)], 2),
]


def written(batches=BATCHES) -> bytes:
    file = io.BytesIO()
    writer = ContainerWriter(file)
    for envelope, packets, samples in batches:
        writer.add(envelope, packets, samples)
    assert writer.close() == len(file.getvalue())
    return file.getvalue()


DATA = written()
STARTS = [entry.offset for entry in Container(DATA).entries]
# Where each packet ends, and the envelope that it belongs to.
PACKET_ENDS = [
    (DATA.index(p) + len(p), i) for i, (_, packets, _) in enumerate(BATCHES) for p in packets
]
RECORDS_END = PACKET_ENDS[-1][0]


def test_the_writer_writes_what_the_page_says():
    records = DATA[4:RECORDS_END]
    distances = [STARTS[0], STARTS[1] - STARTS[0], STARTS[2] - STARTS[1]]
    index = build.index((distances[0], 2, 301), (distances[1], 0, 0), (distances[2], 1, 2))
    assert build.container(records, index) == DATA


def test_an_empty_container_is_these_bytes():
    assert written([])[:-12].hex() == "52445a01" + "1d00"
    found = Container(written([]))
    assert (found.entries, found.cut, list(found.batches())) == ([], None, [])


def test_batches_come_back_in_any_order():
    found = Container(memoryview(DATA))
    found.require_whole()
    assert found.entries[0] == Entry(4, 2, 301)
    for i in (2, 0, 1):
        envelope, packets = found.batch(i)
        assert [p.to_bytes() for p in packets] == BATCHES[i][1]
        assert envelope.packet_count == len(packets)
        assert envelope.payload_length == found.payload_bytes(i) == sum(map(len, BATCHES[i][1]))
        assert (envelope.source_name, envelope.device) == (
            BATCHES[i][0].source_name,
            BATCHES[i][0].device,
        )
    assert [e.device for e, _ in found.batches()] == [None, None, "d"]


def test_a_container_is_a_chain_of_records_after_each_other():
    parts = [written([batch]) for batch in BATCHES]
    records = b"".join(part[4 : Container(part)._ends[-1]] for part in parts)
    assert DATA[4:RECORDS_END] == records


@pytest.mark.parametrize("length", range(len(DATA)))
def test_cut_at_every_byte(length):
    data = DATA[:length]
    if length < 4:
        with pytest.raises(TruncatedError):
            Container(data)
        return
    found = Container(data)
    ends = [(end, i) for end, i in PACKET_ENDS if end <= length]
    batches = [packets for _, packets in found.batches()]
    samples = sum(p.sample_count for packets in batches for p in packets)
    assert sum(len(packets) for packets in batches) == len(ends)
    assert samples == sum(entry.samples for entry in found.entries)
    assert found.cut is not None
    assert found.cut <= length
    assert found.cut >= max((end for end, _ in ends), default=4)
    if length >= RECORDS_END:
        assert found.cut == RECORDS_END
    with pytest.raises(TruncatedError) as caught:
        found.require_whole()
    assert str(found.cut) in caught.value.what
    assert str(samples) in caught.value.do


def test_a_cut_within_a_batch_says_where_the_packets_end():
    end = PACKET_ENDS[0][0]
    found = Container(DATA[: end + 5])
    assert found.cut == end
    assert found.entries == [Entry(4, 1, 1)]
    envelope, packets = found.batch(0)
    assert envelope.packet_count == 2
    assert len(packets) == 1


def test_something_after_the_tail_is_no_whole_container():
    found = Container(DATA + b"\x00")
    assert found.cut == RECORDS_END
    assert len(list(found.batches())) == 3


@pytest.mark.parametrize("position", range(RECORDS_END, len(DATA) - 8))
def test_a_damaged_index_costs_no_record(position):
    data = DATA[:position] + bytes([DATA[position] ^ 0x10]) + DATA[position + 1 :]
    found = Container(data)
    assert found.cut == RECORDS_END
    assert [len(packets) for _, packets in found.batches()] == [2, 0, 1]
    with pytest.raises(FormatError):
        found.require_whole()


def read_all(data: bytes) -> list:
    found = Container(data)
    found.require_whole()
    return list(found.batches())


def salvage(data: bytes) -> int:
    return sum(len(packets) for _, packets in Container(data).batches())


def test_every_bit_turned_is_refused():
    for damaged in hostile.flips(DATA):
        found = hostile.outcome(read_all, damaged)
        assert isinstance(found, FormatError), found
        assert isinstance(hostile.outcome(salvage, damaged), int | RdedgeError)


def test_a_damaged_packet_leaves_the_other_batches():
    position = PACKET_ENDS[0][0] - 5
    found = Container(DATA[:position] + bytes([DATA[position] ^ 1]) + DATA[position + 1 :])
    with pytest.raises(ChecksumError):
        found.batch(0)
    assert len(found.batch(2)[1]) == 1


def test_counts_take_no_memory_before_they_are_there():
    many = build.envelope(packets=1 << 24, payload=1 << 40)
    index = build.sealed(b"\x1d\xff\xff\xff\xff\x0f")
    for data in (b"RDZ\x01" + many, build.container(many, index)):
        assert hostile.peak_bytes(read_all, data) < 100_000


def test_a_batch_that_cannot_be_written_leaves_nothing():
    file = io.BytesIO()
    writer = ContainerWriter(file)
    with pytest.raises(FormatError):
        writer.add(Envelope(build.IDENTITY, 0, 0, source_name=".."), [packet(1)], 1)
    writer.add(*BATCHES[2])
    writer.close()
    assert len(read_all(file.getvalue())) == 1
