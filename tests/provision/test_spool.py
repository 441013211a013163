"""spool.sh: what lies in a spool becomes containers, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.provision.conftest import PROVISION

RDEDGE = Path(sys.executable).parent / "rdedge"


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "a spool"
    (folder / "in").mkdir(parents=True)
    return folder


def compress(bundle: Path, spool: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", PROVISION / "spool.sh", bundle, spool],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"RDEDGE": str(RDEDGE)},
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_spool_becomes_one_container(
    spool: Path, bundle_path: Path, held_out: np.ndarray, tmp_path: Path
) -> None:
    assert compress(bundle_path, spool).returncode == 0
    assert names(spool) == []
    files = ("a.npy", "b c.npy", "-f.npy", "ä$(id).npy")
    for i, name in enumerate(files):
        np.save(spool / "in" / name, held_out[10 * i : 10 * i + 10])
    (spool / "in" / ".half.npy").write_bytes(b"\x93NUMPY")
    done = compress(bundle_path, spool)
    assert done.returncode == 0, done.stderr
    assert names(spool / "done") == sorted(files)
    assert names(spool / "in") == [".half.npy"]
    (container,) = (spool / "out").iterdir()
    subprocess.run(
        [RDEDGE, "decompress", "-b", bundle_path, container, "-o", tmp_path / "x"], check=True
    )
    found = {path.name: len(np.load(path)) for path in (tmp_path / "x").iterdir()}
    assert sum(found.values()) == 40
    assert found["b c.npy"] == 10


def test_one_that_cannot_be_read_is_put_aside(
    spool: Path, bundle_path: Path, held_out: np.ndarray
) -> None:
    np.save(spool / "in/good.npy", held_out[:3])
    np.save(spool / "in/last.npy", held_out[:4])
    np.save(spool / "in/other.npy", np.zeros((2, 9, 9), np.uint8))
    (spool / "in/cut.npy").write_bytes(b"\x93NUMPY\x01")
    np.save(spool / "in/new\nline.npy", held_out[:1])
    done = compress(bundle_path, spool)
    assert done.returncode == 1
    assert "3 of 5 could not be compressed" in done.stderr
    assert names(spool / "failed") == ["cut.npy", "new\nline.npy", "other.npy"]
    assert names(spool / "done") == ["good.npy", "last.npy"]
    assert len(names(spool / "out")) == 2
    assert names(spool / "in") == []


@pytest.mark.parametrize("what", ["missing", "cut short"])
def test_without_a_codec_all_stays(
    spool: Path, bundle_path: Path, held_out: np.ndarray, tmp_path: Path, what: str
) -> None:
    np.save(spool / "in/good.npy", held_out[:3])
    broken = tmp_path / "broken.rdb"
    if what == "cut short":
        broken.write_bytes(bundle_path.read_bytes()[:-100])
    done = compress(broken, spool)
    assert done.returncode == 1
    assert str(broken) in done.stderr
    assert names(spool) == ["good.npy"]


def test_more_than_a_command_line_holds_take_turns(
    spool: Path, bundle_path: Path, held_out: np.ndarray
) -> None:
    for i in range(1003):
        np.save(spool / f"in/{i:04}.npy", held_out[i % 397 : i % 397 + 1])
    assert compress(bundle_path, spool).returncode == 0
    assert names(spool / "in") == ["1000.npy", "1001.npy", "1002.npy"]
    assert compress(bundle_path, spool).returncode == 0
    assert names(spool / "in") == []
    assert len(names(spool / "out")) == 2
