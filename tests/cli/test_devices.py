"""rdedge devices, and what export and doctor say of a profile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rdedge.bundle.bundle import Bundle
from rdedge.bundle.recipe import profile_names
from rdedge.cli.group import run

TREES = Path(__file__).parents[1] / "device" / "trees"


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["devices", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == profile_names()
    nano = next(line for line in lines if line.startswith("orin-nano-8gb"))
    assert "Jetson Orin Nano 8 GB" in nano
    assert "8.7" in nano
    assert nano.endswith("unverified")
    assert "Python 3.8: no" in next(line for line in lines if line.startswith("xavier-nx-8gb"))
    assert run(["devices", "list", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == profile_names()


@pytest.mark.parametrize("name", profile_names())
def test_show(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["devices", "show", name, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert run(["devices", "show", name]) == 0
    text = capsys.readouterr().out
    assert value["compute"]["source"] in text
    assert ("unverified on hardware" in text) == (not value["verified"])
    assert ("rdedge does not run" in text) == (not value["supported"])
    for note in value.get("notes", []):
        assert note in text


def test_show_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["devices", "show", "thor-t500"]) == 2
    assert "perhaps 'thor-t5000'" in capsys.readouterr().err
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\ntitel = "x"\n')
    assert run(["devices", "show", str(path)]) == 2
    assert "mine.toml: unknown key 'titel'; expected: 'title', perhaps" in capsys.readouterr().err
    assert run(["devices", "show"]) == 2
    assert run(["devices", "nonsense"]) == 2


@pytest.mark.parametrize(
    ("tree", "code", "said"),
    [
        ("orin-nano-8gb-jetpack-6.2", 0, "profile orin-nano-8gb: "),
        ("xavier-nx-8gb-jetpack-5", 0, "Python 3.8 is not supported"),
        ("x86-host", 0, "profile cpu-host: "),
        ("broken", 1, "no profile fits: "),
    ],
)
def test_probe(tree: str, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["devices", "probe", "--root", str(TREES / tree)]) == code
    assert said in capsys.readouterr().out
    assert run(["devices", "probe", "--root", str(TREES / tree), "--json"]) == code
    value = json.loads(capsys.readouterr().out)
    assert (value["match"]["profile"] is None) == (code == 1)
    assert value["findings"]["running Python"]["value"] is None


def test_probe_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["devices", "probe", "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out)["findings"]["running Python"]["value"]
    assert run(["devices", "probe", "--root", "/no/such/folder"]) == 2


def test_doctor_names_the_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    found = {one["what"]: one["found"] for one in json.loads(capsys.readouterr().out)}
    assert "profile" in found["device"]


def test_export_says_what_nobody_has_seen(
    tmp_path: Path, run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.rdb"
    arguments = ["export", str(run_folder), "-f", "-o", str(path), "--target"]
    assert run([*arguments, "cpu-host"]) == 0
    assert "unverified" not in capsys.readouterr().err
    assert run([*arguments, "xavier-nx-8gb"]) == 0
    said = capsys.readouterr().err
    assert "profile xavier-nx-8gb is unverified on hardware" in said
    assert "does not run on the JetPack of xavier-nx-8gb" in said
    assert Bundle.read(path).profile["compute"]["sm"] == "7.2"
