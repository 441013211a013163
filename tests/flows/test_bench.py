"""`rdedge bench`: its numbers hang together; nothing here looks at how fast the machine is."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from rdedge.bundle.bundle import Bundle
from rdedge.cli.group import run
from rdedge.errors import ConfigError, EngineError, MissingError
from rdedge.flows import bench as flow
from rdedge.flows.bench import MOST_BATCH, bench


def test_each_half_and_batch_has_its_parity(bundle_path: Path) -> None:
    lines, notes = bench(bundle_path, batches=(1, 7), seconds=0.02, threads=1)
    assert [(line.half, line.batch) for line in lines] == [
        ("encode", 1),
        ("decode", 1),
        ("encode", 7),
        ("decode", 7),
    ]
    for line in lines:
        assert line.backend == "ort-cpu"
        assert line.runs.startswith("onnxruntime")
        assert 0 < line.median <= line.p99
        assert line.graph > 0
        assert line.repeats >= 1
        assert 20 < line.peak_mib < 4096, "of the measuring process, without torch"
        assert line.machine
        assert (line.symbols_differ == 0) == (line.half == "encode")
        assert (line.max_output_difference == 0) == (line.half == "decode")
    assert any(note.startswith("ort-cuda: not here") for note in notes)
    assert any(note.startswith("energy") for note in notes)


def test_a_devices_part_encodes(bundle: Bundle, tmp_path: Path) -> None:
    bundle.device_part().write(tmp_path / "d.rdb")
    lines, notes = bench(tmp_path / "d.rdb", batches=(1,), seconds=0.01, threads=1)
    assert [line.half for line in lines] == ["encode"]
    assert "a device's part: nothing is decoded" in notes


def test_the_peak_is_its_own(bundle_path: Path) -> None:
    """Not the parent's, which Linux hands down through exec."""
    ballast = np.ones(32 << 20, np.uint64)
    lines, _ = bench(bundle_path, batches=(1,), seconds=0.01, threads=1)
    assert lines[0].peak_mib < ballast.nbytes / 2**20


def test_what_is_named_twice_is_measured_once(bundle_path: Path) -> None:
    twice = {"backends": ("ort-cpu", "ort-cpu"), "batches": (2, 2)}
    lines, _ = bench(bundle_path, **twice, seconds=0.01, threads=1)
    assert [(line.half, line.batch) for line in lines] == [("encode", 2), ("decode", 2)]


def test_a_process_that_dies(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "_die_silently", os.abort)
    with pytest.raises(EngineError, match="the process that measured ort-cpu died"):
        bench(bundle_path, batches=(1,), seconds=0.01)


def test_lines_that_cannot_be_written_are_shown(bundle_path: Path, tmp_path: Path, capsys) -> None:
    base = ["bench", str(bundle_path), "--batch", "2", "--seconds", "0.01", "--threads", "1"]
    assert run([*base, "--csv", str(tmp_path / "none" / "x.csv")]) == 1
    shown = capsys.readouterr()
    assert "% of symbols differ" in shown.out
    assert "cannot write in" in shown.err


def test_as_table_csv_and_json(bundle_path: Path, tmp_path: Path, capsys) -> None:
    base = ["bench", str(bundle_path), "--batch", "2", "--seconds", "0.01", "--threads", "1"]
    path = tmp_path / "bench.csv"
    assert run([*base, "--csv", str(path)]) == 0
    text = capsys.readouterr().out
    assert "% of symbols differ" in text
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["half"] for row in rows] == ["encode", "decode"]
    assert float(rows[0]["symbols_differ"]) == 0.0
    assert rows[0]["machine"]
    assert run([*base, "--csv", str(path)]) == 1, "it is not replaced unasked"
    assert "--force" in capsys.readouterr().err
    np.save(tmp_path / "x.npy", Bundle.read(bundle_path).reference.inputs)
    assert run([*base, "--data", str(tmp_path / "x.npy"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["lines"]) == 2


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"batches": (0,)}, ConfigError),
        ({"batches": (MOST_BATCH + 1,)}, ConfigError),
        ({"seconds": 0.0}, ConfigError),
        ({"seconds": float("nan")}, ConfigError),
        ({"backends": ("toaster",)}, ConfigError),
        ({"backends": ("ort-cuda",)}, MissingError),
    ],
)
def test_what_cannot_be_measured(bundle_path: Path, wrong: dict, error: type) -> None:
    with pytest.raises(error):
        bench(bundle_path, **wrong)
