"""The commands on logs, as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rdedge.cli.group import run
from rdedge.data.npy import MAGIC
from tests.bundle import tiny_lines

LOG = tiny_lines.text(900) + b"\r\n\0\xff without an end"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """app.log, its run RUN and its bundle logs.rdb; today.log in today.rdz."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "app.log").write_bytes(tiny_lines.text(900))
    (folder / "today.log").write_bytes(LOG)
    for command in (
        ("train", "app.log", "--kind", "lines", "--window", "10", "-o", "RUN"),
        ("export", "RUN", "-o", "logs.rdb"),
        ("compress", "-b", "logs.rdb", "today.log", "-o", "today.rdz"),
    ):
        done = rdedge(folder, *command)
        assert done.returncode == 0, done.stderr
    return folder


def rdedge(folder: Path, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "rdedge", *arguments],
        cwd=folder,
        input=data,
        capture_output=True,
        check=False,
        timeout=120,
    )


def test_there_and_back(place, tmp_path, capsys):
    command = ["decompress", "-b", f"{place}/logs.rdb", f"{place}/today.rdz", "-o", f"{tmp_path}"]
    assert run(command) == 0
    assert (tmp_path / "today.log").read_bytes() == LOG
    assert "today.log: 91 blocks" in capsys.readouterr().err
    assert run(command) == 1
    assert "exists" in capsys.readouterr().err


def test_through_pipes(place):
    packed = rdedge(place, "compress", "-q", "-b", "logs.rdb", "-", "-o", "-", data=LOG)
    assert (packed.returncode, packed.stderr) == (0, b"")
    done = rdedge(place, "decompress", "-", "-b", "logs.rdb", "-o", "-", data=packed.stdout)
    assert (done.returncode, done.stdout) == (0, LOG)


def test_what_train_says(place, tmp_path, capsys):
    command = ["train", f"{place}/app.log", "--kind", "lines", "--window", "10"]
    assert run([*command, "-o", f"{tmp_path}/a"]) == 0
    text = capsys.readouterr().out
    assert "190 held-out lines in 19 blocks of 10" in text
    assert "% of the bytes of zstd (level 19), block by block" in text
    assert "paid for itself after" in text
    assert run([*command, "-o", f"{tmp_path}/b", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "lines"


def test_inspect(place, capsys):
    assert run(["inspect", f"{place}/logs.rdb", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sample"] == {"kind": "lines", "lines": 10}
    assert found["bound"].startswith("exact")
    assert found["dictionary"]["bytes"] == found["members"]["dictionary.bin"]
    assert run(["inspect", f"{place}/today.rdz", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["batches"][0]["source_kind"] == "lines"
    assert found["batches"][0]["packets"][0]["gated"]
    assert run(["inspect", f"{place}/logs.rdb"]) == 0
    assert "kind lines, lines 10" in capsys.readouterr().out


def test_check(place, capsys):
    assert run(["check", f"{place}/logs.rdb", "--data", f"{place}/today.log"]) == 0
    text = capsys.readouterr().out
    assert "WRONG" not in text
    assert "91 blocks of today.log, encoded here" in text


def test_savings(place, tmp_path, capsys):
    command = ["savings", "-b", f"{place}/logs.rdb", f"{place}/today.rdz"]
    assert run([*command, "--data", f"{place}/today.log", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["raw_bytes"] == found["elements"] == len(LOG)
    assert found["container_bytes"] == (place / "today.rdz").stat().st_size
    assert {(one["codec"], one["each_block"]) for one in found["classical"]} == {
        *((codec, each) for codec in ("zstd", "lzma", "gzip") for each in (True, False)),
        ("zstd-dictionary", True),
    }
    assert run([*command, "--no-classical"]) == 0
    text = capsys.readouterr().out
    assert "91 blocks of 10 lines" in text
    assert "every byte comes back" in text
    assert "zstd" not in text
    assert run([*command, "--data", f"{place}/app.log"]) == 1
    assert "are not what 1 logs come back as" in capsys.readouterr().err


@pytest.mark.parametrize("batch", ["1", "7", "1000"])
@pytest.mark.parametrize("gate", ["never", "always"])
def test_blocks_in_one_packet(place, tmp_path, batch, gate, capsys):
    log, out = f"{place}/today.log", tmp_path / "x.rdz"
    command = ["compress", "-b", f"{place}/logs.rdb", log, "-o", f"{out}", "--gate", gate]
    assert run([*command, "--batch", batch]) == 0
    assert "91 blocks of 1 log," in capsys.readouterr().err
    assert run(["decompress", "-q", "-b", f"{place}/logs.rdb", f"{out}", "-o", f"{tmp_path}"]) == 0
    assert (tmp_path / "today.log").read_bytes() == LOG


def test_a_container_cut_short(place, tmp_path, capsys):
    data = (place / "today.rdz").read_bytes()
    (tmp_path / "cut.rdz").write_bytes(data[: len(data) // 2])
    command = ["decompress", "-b", f"{place}/logs.rdb", f"{tmp_path}/cut.rdz", "-o", f"{tmp_path}"]
    assert run(command) == 1
    assert "cut short" in capsys.readouterr().err
    assert run([*command, "--salvage"]) == 1
    found = (tmp_path / "today.log").read_bytes()
    assert found
    assert LOG.startswith(found)


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (("train", "app.log", "--kind", "lines", "-o", "R", "--max-distortion", "1"), "--max-dis"),
        (("train", "app.log", "--kind", "lines", "-o", "R", "--metric", "psnr"), "--metric"),
        (("train", "app.log", "--kind", "lines", "-o", "R", "--model", "linear"), "--model"),
        (("train", "app.log", "--kind", "lines"), "give DATA"),
        (("train", "--kind", "lines", "-o", "R"), "give DATA"),
        (("train", "--resume", "RUN"), "train it again with --force"),
        (("export", "RUN", "-o", "y.rdb", "--device-only"), "--device-only"),
        (("compress", "-b", "logs.rdb", "app.log", "-o", "y.rdz", "--digest"), "--digest"),
        (("compress", "-b", "logs.rdb", "app.log", "-o", "y.rdz", "--gate", "sampled"), "sampled"),
        (("compress", "-b", "logs.rdb", "-", "app.log", "-o", "y.rdz"), "stdin cannot be mixed"),
        (("decompress", "-b", "logs.rdb", "today.rdz", "-o", "o", "--coder", "c"), "--coder"),
        (("check", "logs.rdb", "--backend", "ort-cpu"), "--backend"),
        (("savings", "-b", "logs.rdb", "today.rdz", "--png", "x.png"), "--png"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:1]),
)
def test_what_says_nothing_to_lines_is_wrong_usage(place, monkeypatch, capsys, command, what):
    monkeypatch.chdir(place)
    assert run(list(command)) == 2
    assert what in capsys.readouterr().err
    assert not {"R", "y.rdb", "y.rdz", "o"} & {path.name for path in place.iterdir()}


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (("train", "app.log", "--max-distortion", "1", "-o", "R"), "--kind lines"),
        (("train", "none.log", "--kind", "lines", "-o", "R"), "is not there"),
        (("bench", "logs.rdb"), "a bundle of lines, which has no networks"),
        (("compress", "-b", "logs.rdb", "none.log", "-o", "y.rdz"), "is not there"),
        (("export", "nothing", "-o", "y.rdb"), "has no run.json"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:1]),
)
def test_what_cannot_be_done_is_said(place, monkeypatch, capsys, command, what):
    monkeypatch.chdir(place)
    assert run(list(command)) == 1
    assert what in capsys.readouterr().err
    assert not {"R", "y.rdb", "y.rdz"} & {path.name for path in place.iterdir()}


def test_the_other_kind_of_bundle(place, tmp_path, bundle_path, capsys):
    command = ["compress", "-b", f"{bundle_path}", f"{place}/app.log", "-o", f"{tmp_path}/x.rdz"]
    assert run(command) == 1
    assert "with --kind lines" in capsys.readouterr().err
    command = ["decompress", "-b", f"{bundle_path}", f"{place}/today.rdz", "-o", f"{tmp_path}"]
    assert run(command) == 1
    assert "the one of this bundle" in capsys.readouterr().err


def test_any_file_is_a_log(place, tmp_path, capsys):
    (tmp_path / "x.npy").write_bytes(MAGIC + bytes(range(256)))
    (tmp_path / "empty").write_bytes(b"")
    command = ["compress", "-b", f"{place}/logs.rdb", f"{tmp_path}", "-o", f"{tmp_path}.rdz"]
    assert run(command) == 0
    out = tmp_path / "out"
    assert run(["decompress", "-b", f"{place}/logs.rdb", f"{tmp_path}.rdz", "-o", f"{out}"]) == 0
    assert (out / tmp_path.name / "x.npy").read_bytes() == MAGIC + bytes(range(256))
    assert (out / tmp_path.name / "empty").read_bytes() == b""
    (tmp_path / "x.npy").unlink()
    command = ["compress", "-q", "-b", f"{place}/logs.rdb", f"{tmp_path}/empty"]
    assert run([*command, "-o", f"{tmp_path}/e.rdz"]) == 0
    capsys.readouterr()
    assert run(["savings", "-b", f"{place}/logs.rdb", f"{tmp_path}/e.rdz"]) == 2
    assert "holds no line" in capsys.readouterr().err
