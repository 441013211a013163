"""`rdedge report`: the page again from a pilot's folder, and folders that are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rdedge.cli.group import run as main
from rdedge.flows.report import facts
from tests.report.pilots import digits, too_few
from tests.report.recompute import faults


def folder_of(path: Path, make=digits) -> Path:
    pilot, arrays = make()
    path.mkdir()
    (path / "pilot.json").write_text(json.dumps(pilot))
    if arrays:
        np.savez(path / "samples.npz", **arrays)
    return path


def test_the_page_is_written_again(tmp_path: Path, capsys):
    pilot = folder_of(tmp_path / "pilot")
    assert main(["report", str(pilot)]) == 0
    assert main(["report", str(pilot), "--lang", "ja"]) == 0
    for name, language in (("report.html", "en"), ("report-ja.html", "ja")):
        page = (pilot / name).read_text("utf-8")
        assert f'<html lang="{language}">' in page
        assert faults(page, facts(pilot / "pilot.json")) == []
    assert "report-ja.html" in capsys.readouterr().out
    assert main(["report", str(pilot)]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["report", str(pilot), "-f"]) == 0


def test_a_pilot_of_too_few_samples_has_a_page(tmp_path: Path):
    pilot = folder_of(tmp_path / "pilot", too_few)
    assert main(["report", str(pilot), "-o", str(tmp_path / "x.html")]) == 0


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("pilot.json", None, "cannot read"),
        ("pilot.json", b"{", "is not JSON"),
        ("pilot.json", b"\xff\xfe", "is not JSON"),
        ("pilot.json", b"[" * 100_000, "is not JSON"),
        ("pilot.json", b"[]", "of no version"),
        ("pilot.json", b'{"version": 2}', "of no version"),
        ("pilot.json", b'{"version": 1}', "data.samples is None"),
        ("samples.npz", b"PK", "cannot be read"),
        ("samples.npz", b"", "cannot be read"),
        ("samples.npz", None, "samples.npz lacks x[0]"),
    ],
)
def test_what_is_no_pilot_is_said(tmp_path: Path, capsys, name: str, data: bytes | None, says: str):
    pilot = folder_of(tmp_path / "pilot")
    (pilot / name).unlink()
    if data is not None:
        (pilot / name).write_bytes(data)
    assert main(["report", str(pilot)]) in (1, 2)
    assert says in capsys.readouterr().err
    assert not (pilot / "report.html").exists()
