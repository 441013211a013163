"""The golden files, read and written back: what version 1 wrote, every later version reads."""

from __future__ import annotations

import numpy as np
import pytest

from rdedge.bundle.bundle import Bundle
from rdedge.codec.symbols import SymbolCodec
from rdedge.format.constants import Stream
from rdedge.format.container import Container, ContainerWriter
from rdedge.format.envelope import read_envelope
from rdedge.format.mask import read_mask
from rdedge.format.packet import read_packet
from rdedge.format.times import read_times
from tests.bundle import tiny
from tests.golden import make_format as golden


def stored(name: str) -> bytes:
    data = (golden.FOLDER / name).read_bytes()
    return bytes.fromhex(data.decode()) if name.endswith(".hex") else data


def test_no_file_without_its_value_and_no_value_without_its_file():
    assert {path.name for path in golden.FOLDER.iterdir()} == set(golden.files())


@pytest.mark.parametrize("name", golden.PACKETS)
def test_packets(name):
    data = stored(f"{name}.hex")
    packet, end = read_packet(data)
    assert (packet, end) == (golden.PACKETS[name], len(data))
    assert packet.to_bytes() == data


@pytest.mark.parametrize("name", golden.ENVELOPES)
def test_envelopes(name):
    data = stored(f"{name}.hex")
    envelope, end = read_envelope(data)
    assert (envelope, end) == (golden.ENVELOPES[name], len(data))
    assert envelope.to_bytes() == data


def test_a_mask():
    data = read_packet(stored("packet-mask.hex"))[0].streams[Stream.MASK]
    # Present 2, missing 3, present 14, missing 1, present 3, and the rest.
    assert data.hex() == "02030e0103"
    assert np.array_equal(read_mask(data, golden.MASK.shape), golden.MASK)


def test_times():
    data = read_packet(stored("packet-times.hex"))[0].streams[Stream.TIMES]
    # 12 rows; 17672256 * 10^11 is beyond the exponents, so 10^9; ticks of 5 * 10^6 ns, step 8.
    assert data.hex() == "0c96" + "80e4ad950d" + "0508" + "03020001" + "0180 03".replace(" ", "")
    assert read_times(data, 12).tolist() == golden.TIMES.tolist()


def test_a_stream_of_a_later_version_is_skipped():
    data = stored("packet-unknown-stream.hex")
    assert b"from a later version" in data
    assert read_packet(data) == (golden.UNKNOWN_STREAM, len(data))


def test_container(tmp_path):
    data = stored("two-envelopes.rdz")
    found = Container(data)
    found.require_whole()
    batches = list(found.batches())
    assert [packets for _, packets in batches] == [
        [golden.PACKETS[name] for name in names] for _, names in golden.BATCHES
    ]
    assert [envelope.source_name for envelope, _ in batches] == ["a.npy", "b.npz"]
    path = tmp_path / "again.rdz"
    with path.open("wb") as file:
        writer = ContainerWriter(file)
        for envelope, packets in batches:
            writer.add(
                envelope, [p.to_bytes() for p in packets], sum(p.sample_count for p in packets)
            )
        writer.close()
    assert path.read_bytes() == data


def test_bundle():
    data = stored("tiny.rdb")
    bundle = Bundle.from_bytes(data)
    assert bundle == tiny.bundle()
    assert bundle.to_bytes() == data
    codec = SymbolCodec.of(bundle)
    packet = bundle.reference.packet
    assert codec.unpack(read_packet(packet)[0]).tolist() == bundle.reference.symbols.tolist()
    assert codec.pack(bundle.reference.symbols.ravel(), len(bundle.reference.symbols)) == packet


def test_making_them_again_replaces_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    (tmp_path / "packet-plain.hex").write_bytes(b"mine")
    golden.main()
    assert (tmp_path / "packet-plain.hex").read_bytes() == b"mine"
    assert {path.name for path in tmp_path.iterdir()} == set(golden.files())
    assert "stays as it is" in capsys.readouterr().out
