"""Bundles of lines: read whole, refused altered."""

from __future__ import annotations

import pytest

from rdedge.bundle import archive
from rdedge.bundle.bundle import DICTIONARY, MANIFEST, Bundle
from rdedge.bundle.lines import MEMBERS, LineBundle, LineManifest, open_bundle
from rdedge.bundle.signature import SIGNATURE_BYTES
from rdedge.errors import BundleError
from tests.bundle import tiny, tiny_lines

BUNDLE = tiny_lines.bundle()
DATA = BUNDLE.to_bytes()


def test_same_bundle_same_bytes():
    assert LineBundle.from_bytes(DATA) == BUNDLE
    assert LineBundle.from_bytes(DATA).to_bytes() == DATA
    assert tuple(archive.unpack(DATA)) == (MANIFEST, *MEMBERS)


def test_the_identity_is_of_what_decoding_depends_on():
    base = BUNDLE.manifest.identity
    assert tiny_lines.bundle(level=3).manifest.identity == base
    assert tiny_lines.bundle(created_by="another").manifest.identity == base
    assert tiny_lines.bundle(lines=6).manifest.identity != base
    other = LineBundle.make(BUNDLE.manifest, BUNDLE.members | {DICTIONARY: b"another"})
    assert other.manifest.identity != base
    assert BUNDLE.manifest.key.hex() == base[:8]


def test_every_byte_altered_is_refused():
    for at in range(0, len(DATA), 3):
        altered = bytearray(DATA)
        altered[at] ^= 0x20
        with pytest.raises(BundleError):
            LineBundle.from_bytes(bytes(altered))
    for end in range(0, len(DATA), 7):
        with pytest.raises(BundleError):
            LineBundle.from_bytes(DATA[:end])


@pytest.mark.parametrize(
    "change",
    [
        {"lines": 0},
        {"lines": True},
        {"level": 0},
        {"dictionary": "trained "},
        {"created_by": 1},
        {"identity": "A" * 64},
        {"members": {}},
    ],
    ids=str,
)
def test_a_manifest_out_of_range(change):
    sound = BUNDLE.manifest
    values = {**vars(sound), **change}
    with pytest.raises(BundleError):
        LineManifest.from_bytes(LineManifest(**values).to_bytes())


@pytest.mark.parametrize("size", [0, (1 << 20) + 1])
def test_a_dictionary_of_no_or_too_many_bytes(size):
    with pytest.raises(BundleError, match="does not read"):
        LineBundle.make(BUNDLE.manifest, BUNDLE.members | {DICTIONARY: bytes(size)})


def test_one_door_for_both_kinds(tmp_path):
    BUNDLE.write(tmp_path / "lines.rdb")
    tiny.bundle().write(tmp_path / "tiny.rdb")
    assert open_bundle(tmp_path / "lines.rdb") == BUNDLE
    assert open_bundle(tmp_path / "tiny.rdb") == tiny.bundle()
    with pytest.raises(BundleError, match="a bundle of lines, which has no networks"):
        Bundle.read(tmp_path / "lines.rdb")
    with pytest.raises(BundleError, match="holds networks for samples of kind vector"):
        LineBundle.read(tmp_path / "tiny.rdb")
    for data in (b"", b"PK\x03\x04", b"PK\x03\x04" + bytes(40), b"RDZ\x01"):
        (tmp_path / "no.rdb").write_bytes(data)
        with pytest.raises(BundleError):
            open_bundle(tmp_path / "no.rdb")
    with pytest.raises(BundleError, match="cannot read the bundle"):
        open_bundle(tmp_path / "none.rdb")


def test_a_manifest_of_lines_with_the_members_of_another():
    members = archive.unpack(tiny.bundle_bytes()) | {MANIFEST: BUNDLE.manifest.to_bytes()}
    with pytest.raises(BundleError):
        LineBundle.from_bytes(archive.pack(members))


def test_an_unsigned_bundle_where_keys_are_trusted(tmp_path):
    BUNDLE.write(tmp_path / "x.rdb")
    with pytest.raises(BundleError, match="sign"):
        open_bundle(tmp_path / "x.rdb", (bytes(32),))
    members = archive.unpack(DATA) | {"signature.bin": bytes(SIGNATURE_BYTES)}
    with pytest.raises(BundleError, match=r"signature\.bin has"):
        LineBundle.from_bytes(archive.pack(members))


def test_its_json_is_an_object():
    assert BUNDLE.json("profile") == {"name": "cpu-host"}
    members = BUNDLE.members | {"scorecard.json": b"[]", "recipe.json": b"{ }"}
    for name, what in (("scorecard", "holds no object"), ("recipe", "not canonical")):
        with pytest.raises(BundleError, match=what):
            LineBundle.make(BUNDLE.manifest, members).json(name)
