"""Check of a bundle of lines: it finds what does not come back."""

from __future__ import annotations

import pytest

from rdedge.bundle.lines import LineBundle
from rdedge.errors import BundleError
from rdedge.flows.lines import check_lines
from tests.bundle import tiny_lines

BUNDLE = tiny_lines.bundle()


def altered(**members: bytes) -> LineBundle:
    changed = {f"reference/{name}.bin": data for name, data in members.items()}
    return LineBundle.make(BUNDLE.manifest, BUNDLE.members | changed)


def test_a_sound_bundle(tmp_path):
    (tmp_path / "x.log").write_bytes(tiny_lines.text(33) + b"\0")
    report = check_lines(BUNDLE, tmp_path / "x.log")
    assert report.fine
    assert len(report.rows) == 4
    assert report.notes == ("unsigned",)
    assert report.to_json()["fine"]


def test_other_inputs_are_found():
    inputs = BUNDLE.members["reference/inputs.bin"]
    report = check_lines(altered(inputs=inputs.replace(b"1", b"2")))
    assert [row.fine for row in report.rows] == [False, True, True]


def test_packets_that_could_be_larger_are_fine_and_smaller_ones_are_not():
    inputs, packets = (BUNDLE.members[f"reference/{n}.bin"] for n in ("inputs", "packets"))
    stored = tiny_lines.stored_packets(inputs)
    assert len(stored) > len(packets)
    assert check_lines(altered(packets=stored)).fine
    plain = LineBundle.make(
        BUNDLE.manifest, BUNDLE.members | {"dictionary.bin": b"nothing like it"}
    )
    with pytest.raises(BundleError, match="reference packets"):
        check_lines(plain)


def test_damaged_packets_are_said():
    packets = BUNDLE.members["reference/packets.bin"]
    with pytest.raises(BundleError, match="reference packets cannot be read"):
        check_lines(altered(packets=packets[:-1]))
