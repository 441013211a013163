"""The ZIP of a bundle: what others open, and what is refused."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import zipfile

import pytest

from rdedge.bundle import archive
from rdedge.bundle.bundle import MANIFEST, MEMBERS, OPTIONAL, Bundle
from rdedge.errors import BundleError, OutputError
from tests.bundle import tiny
from tests.format import hostile

DATA = tiny.bundle_bytes()


def zipped(members=None, **options) -> bytes:
    """The members of the tiny bundle as Python's zipfile writes them."""
    buffer = io.BytesIO()
    found = archive.unpack(DATA) if members is None else members
    with zipfile.ZipFile(buffer, "w", options.pop("compression", zipfile.ZIP_STORED)) as file:
        for name, data in found.items():
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            for key, value in options.items():
                setattr(info, key, value)
            file.writestr(info, data, file.compression)
    return buffer.getvalue()


def test_same_members_same_bytes():
    assert archive.pack(archive.unpack(DATA)) == DATA
    assert zipped() == DATA


def test_zipfile_opens_it():
    with zipfile.ZipFile(io.BytesIO(DATA)) as file:
        assert file.testzip() is None
        assert file.namelist() == [MANIFEST, *(m for m in MEMBERS if m not in OPTIONAL)]
        assert file.read("encoder.onnx") == tiny.bundle().members["encoder.onnx"]
        for info in file.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert not info.is_dir()
            assert info.external_attr >> 16 == 0o100644


@pytest.mark.skipif(shutil.which("unzip") is None, reason="no unzip")
def test_unzip_opens_it(tmp_path):
    path = tmp_path / "tiny.rdb"
    path.write_bytes(DATA)
    done = subprocess.run(["unzip", "-t", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No errors detected" in done.stdout


def test_every_bit_turned_is_refused():
    for damaged in hostile.flips(DATA):
        with pytest.raises(BundleError):
            Bundle.from_bytes(damaged)


def test_every_cut_is_refused():
    for damaged in hostile.cuts(DATA):
        with pytest.raises(BundleError):
            Bundle.from_bytes(damaged)


def twice() -> bytes:
    """Two members of one name: twice in the file and in the directory."""
    names = {**archive.unpack(DATA), "encoder.onny": b"another encoder"}
    return archive.pack(names).replace(b"encoder.onny", b"encoder.onnx")


def with_comment() -> bytes:
    return DATA[:-2] + struct.pack("<H", 5) + b"hello"


def hidden_directory() -> bytes:
    """Two directories: readers that search from the end see only the second."""
    return DATA + archive.pack({})


def between() -> bytes:
    at = DATA.index(b"PK\x03\x04", 4)
    return DATA[:at] + b"\x00" + DATA[at:]


def renamed(name: str) -> bytes:
    members = archive.unpack(DATA)
    return archive.pack({(name if key == "encoder.onnx" else key): members[key] for key in members})


DAMAGED = {
    "a name twice": twice,
    "a path that leaves": lambda: renamed("../../encoder.onnx"),
    "an absolute path": lambda: renamed("/etc/encoder.onnx"),
    "a folder": lambda: renamed("encoder.onnx/"),
    "an empty name": lambda: renamed(""),
    "a name in capitals": lambda: renamed("ENCODER.ONNX"),
    "a name with a NUL": lambda: renamed("encoder.onnx\x00"),
    "compressed members": lambda: zipped(compression=zipfile.ZIP_DEFLATED),
    "a comment": with_comment,
    "a member's comment": lambda: zipped(comment=b"hello"),
    "an extra field": lambda: zipped(extra=b"\x01\x00\x00\x00"),
    "another time": lambda: zipped(date_time=(2026, 1, 1, 0, 0, 0)),
    "another system": lambda: zipped(create_system=0),
    "other rights": lambda: zipped(external_attr=0o100777 << 16),
    "a link": lambda: zipped(external_attr=0o120777 << 16),
    "bytes after the end": lambda: DATA + b"\x00",
    "bytes before the start": lambda: b"\x00" + DATA,
    "a shell script before it": lambda: b"#!/bin/sh\n" + DATA,
    "bytes between members": between,
    "a second directory": hidden_directory,
    "another order": lambda: archive.pack(dict(reversed(archive.unpack(DATA).items()))),
    "no member": lambda: archive.pack({}),
    "only a manifest": lambda: archive.pack({MANIFEST: archive.unpack(DATA)[MANIFEST]}),
    "no directory": lambda: DATA[: DATA.index(b"PK\x01\x02")],
    "many members": lambda: archive.pack({f"{i}": b"" for i in range(100)}),
    "a name that is not ASCII": lambda: DATA.replace(b"encoder.onnx", b"encod\xc3\xa9.onx"),
    "nothing": lambda: b"",
    "text": lambda: b"not a bundle at all",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_no_bundle(name):
    data = DAMAGED[name]()
    assert data != DATA
    with pytest.raises(BundleError) as caught:
        Bundle.from_bytes(data)
    assert str(caught.value)


def test_sizes_take_no_memory_before_they_are_there():
    data = bytearray(DATA)
    struct.pack_into("<II", data, 18, 0xFFFFFFF0, 0xFFFFFFF0)
    assert hostile.peak_bytes(Bundle.from_bytes, bytes(data)) < 100_000


def test_a_bundle_that_is_too_large_is_not_made(monkeypatch):
    monkeypatch.setattr(archive, "MAX_BUNDLE_BYTES", 70_000)
    with pytest.raises(BundleError):
        archive.pack({"a": bytes(5_000)})


def test_reading_and_writing_files(tmp_path, monkeypatch):
    path = tmp_path / "tiny.rdb"
    tiny.bundle().write(path)
    assert path.read_bytes() == DATA
    with pytest.raises(OutputError):
        tiny.bundle().write(path)
    tiny.bundle().write(path, force=True)
    assert Bundle.read(path) == tiny.bundle()
    with pytest.raises(BundleError):
        Bundle.read(tmp_path / "missing.rdb")
    with pytest.raises(BundleError):
        Bundle.read(tmp_path)
    monkeypatch.setattr(archive, "MAX_BUNDLE_BYTES", len(DATA) - 1)
    with pytest.raises(BundleError):
        Bundle.read(path)
