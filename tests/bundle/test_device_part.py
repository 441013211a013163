"""A device's part of a bundle: the same codec, nothing that only a server needs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rdedge import canonical
from rdedge.bundle.bundle import MANIFEST, Bundle
from rdedge.bundle.manifest import CANNOT, SERVER_MEMBERS, Manifest
from rdedge.errors import BundleError
from tests.bundle import tiny


def part() -> Bundle:
    return tiny.bundle().device_part()


def test_the_codec_is_the_same():
    whole, device = tiny.bundle(), part()
    assert device.manifest.identity == whole.manifest.identity
    assert device.manifest.key == whole.manifest.key
    assert device.manifest.members == whole.manifest.members
    assert set(whole.members) - set(device.members) == set(SERVER_MEMBERS)
    assert device.reference.outputs is None
    assert np.array_equal(device.reference.symbols, whole.reference.symbols)


def test_it_comes_back_from_its_bytes(tmp_path: Path):
    part().write(tmp_path / "d.rdb")
    again = Bundle.read(tmp_path / "d.rdb")
    assert again == part()
    assert again.to_bytes() == (tmp_path / "d.rdb").read_bytes() == part().to_bytes()
    assert again.device_part() == again


def test_the_manifest_says_what_it_cannot():
    assert part().manifest.cannot == CANNOT == ("decode", "measure distortion")
    assert tiny.bundle().manifest.cannot == ()
    value = json.loads(part().manifest.to_bytes())
    assert value["absent"] == list(SERVER_MEMBERS)
    assert value["cannot"] == list(CANNOT)
    assert "absent" not in json.loads(tiny.bundle().manifest.to_bytes())


def test_decoding_is_refused_and_the_way_out_named():
    tiny.bundle().require_whole("decoding")
    with pytest.raises(BundleError, match=r"decoding needs decoder\.onnx and reference") as caught:
        part().require_whole("decoding")
    assert part().manifest.identity[:16] in caught.value.do
    assert "--device-only" in caught.value.do


@pytest.mark.parametrize(
    ("absent", "cannot"),
    [
        (["decoder.onnx"], list(CANNOT)),
        (list(SERVER_MEMBERS), ["decode"]),
        (list(SERVER_MEMBERS), None),
        (["encoder.onnx"], list(CANNOT)),
        ([], []),
        ("decoder.onnx", list(CANNOT)),
        ([1], list(CANNOT)),
        (None, None),
    ],
)
def test_other_parts_are_refused(absent, cannot):
    value = json.loads(part().manifest.to_bytes()) | {"absent": absent, "cannot": cannot}
    with pytest.raises(BundleError):
        Manifest.from_bytes(canonical.dumps(value))


@pytest.mark.parametrize("name", SERVER_MEMBERS)
def test_what_is_absent_must_be_absent(name):
    """A device's part that brings a decoder after all, and a whole one that lacks it."""
    from rdedge.bundle import archive

    device, whole = part(), tiny.bundle()
    more = {MANIFEST: device.manifest.to_bytes(), **whole.members}
    with pytest.raises(BundleError, match="the bundle holds"):
        Bundle.from_bytes(archive.pack(more))
    less = {k: v for k, v in whole.members.items() if k != name}
    with pytest.raises(BundleError, match="the bundle holds"):
        Bundle.from_bytes(archive.pack({MANIFEST: whole.manifest.to_bytes(), **less}))


def test_the_decoder_that_is_absent_is_still_named_by_its_hash():
    from rdedge.bundle import archive

    device = part()
    value = json.loads(device.manifest.to_bytes())
    value["members"]["decoder.onnx"]["sha256"] = "0" * 64
    data = archive.pack({MANIFEST: canonical.dumps(value), **device.members})
    with pytest.raises(BundleError, match="identity"):
        Bundle.from_bytes(data)
