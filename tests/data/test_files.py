"""Writing aside: the whole file under its name, or nothing at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rdedge.data import files
from rdedge.data.files import refuse_existing, refuse_unwritable, write_aside, write_file
from rdedge.errors import OutputError, SourceError


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "a.bin"
    with write_aside(path) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
        file.write(b"whole")
    assert path.read_bytes() == b"halfwhole"
    assert listing(tmp_path) == ["a.bin"]


@pytest.mark.skipif(os.name != "posix", reason="rights are of POSIX")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000])
def test_rights_are_those_of_any_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_file(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("name", ["é" * 120, "\N{SNOWMAN}" * 80, "\U0001f40d" * 60, "x" * 255])
def test_long_names(tmp_path, name):
    write_file(tmp_path / name, b"data")
    assert (tmp_path / name).read_bytes() == b"data"


@pytest.mark.parametrize(
    "error", [ValueError, KeyboardInterrupt, lambda: SourceError("x"), lambda: OSError(5, "I/O")]
)
def test_an_error_leaves_nothing_behind(tmp_path, error):
    path = tmp_path / "a.bin"
    raised = error()
    expected = OutputError if isinstance(raised, OSError) else type(raised)

    def write() -> None:
        with write_aside(path, force=True) as file:
            file.write(b"half")
            raise raised

    with pytest.raises(expected):
        write()
    assert listing(tmp_path) == []
    path.write_bytes(b"old")
    with pytest.raises(expected):
        write()
    assert path.read_bytes() == b"old"
    assert listing(tmp_path) == ["a.bin"]


def test_never_over_another_file_without_force(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists") as caught:
        write_file(path, b"new")
    assert "--force" in caught.value.do
    assert path.read_bytes() == b"old"
    write_file(path, b"new", force=True)
    assert path.read_bytes() == b"new"
    assert listing(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_comes_up_meanwhile_is_kept(tmp_path, monkeypatch, links):
    if not links:

        def no_links(*_: object) -> None:
            raise PermissionError(1, "no hard links here")

        monkeypatch.setattr(files.os, "link", no_links)
    path = tmp_path / "a.bin"

    def write() -> None:
        with write_aside(path) as file:
            file.write(b"mine")
            path.write_bytes(b"theirs")

    with pytest.raises(OutputError, match="exists"):
        write()
    assert path.read_bytes() == b"theirs"
    assert listing(tmp_path) == ["a.bin"]
    write_file(tmp_path / "b.bin", b"mine")
    assert listing(tmp_path) == ["a.bin", "b.bin"]


def test_targets_that_are_no_files(tmp_path):
    targets = [tmp_path, tmp_path / "missing" / "a", tmp_path / ("x" * 300), tmp_path / "a\x00b"]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        targets.append(tmp_path / "pipe")
    for target in targets:
        with pytest.raises(OutputError):
            write_file(target, b"data", force=True)
    assert listing(tmp_path) in ([], ["pipe"])


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no /dev/null")
def test_devices_are_not_replaced():
    with pytest.raises(OutputError):
        refuse_existing(Path("/dev/null"), force=True)


def test_a_link_to_nothing_is_kept(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "missing")
    with pytest.raises(OutputError):
        write_file(tmp_path / "a", b"data")
    assert (tmp_path / "a").is_symlink()
    assert listing(tmp_path) == ["a"]


FULL = """
import resource, signal, sys
from pathlib import Path
from rdedge.data.files import write_file
from rdedge.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_file(Path(sys.argv[1]), bytes(100_000), force=True)
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits are of POSIX")
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_full_disk(tmp_path, old):
    path = tmp_path / "a.bin"
    if old is not None:
        path.write_bytes(old)
    done = subprocess.run(
        [sys.executable, "-c", FULL, path], capture_output=True, text=True, check=True
    )
    assert "cannot write" in done.stdout
    assert "free some space" in done.stdout
    assert listing(tmp_path) == ([] if old is None else ["a.bin"])
    assert old is None or path.read_bytes() == old


def test_a_folder_without_the_right_to_write_is_found_at_once(tmp_path, monkeypatch):
    refuse_unwritable(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "missing" / "a")
    for path in (tmp_path / "missing" / "a", tmp_path / "link"):
        with pytest.raises(OutputError, match=r"missing is no folder.*make it first"):
            refuse_unwritable(path)
    # The superuser may write everywhere, so the system's answer is given here.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="nothing may be written in"):
        refuse_unwritable(tmp_path / "a")
