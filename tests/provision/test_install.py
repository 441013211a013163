"""install.sh run for real, into a folder that stands for /."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.provision.conftest import PROVISION, Run, call

TREES = Path(__file__).parents[1] / "device" / "trees"
MACHINE = platform.machine()

pytestmark = pytest.mark.long


def refused(done: subprocess.CompletedProcess[str], *parts: str, code: int = 1) -> None:
    """It said why and what to do, and did nothing more."""
    assert done.returncode == code, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert 1 <= len(lines) <= 2, done.stderr
    assert all(line.startswith("rdedge: ") for line in lines)
    for part in parts:
        assert part in done.stderr


def python_that(folder: Path, prelude: str) -> Path:
    """This Python, but what it is asked with -c begins with prelude."""
    path = folder / "python"
    path.write_text(
        f'#!/bin/sh\nif [ "$1" = -c ]; then exec {sys.executable} -c "{prelude}\n$2"; fi\n'
        f'exec {sys.executable} "$@"\n'
    )
    path.chmod(0o755)
    return path


@pytest.mark.timeout(600)
def test_a_jetson_without_a_network(
    install: Run, wheels: Path, bundle_path: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    shutil.copytree(TREES / "orin-nano-8gb-jetpack-6.2" / "etc", root / "etc")
    options = ("--offline", wheels, "--spool", "line_1", "--bundle", bundle_path)
    # A Python without ensurepip, as Ubuntu's is, and no way out to an index.
    python = python_that(tmp_path, "import sys; sys.modules['ensurepip'] = None")
    cut_off = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_CONFIG_FILE": "/dev/null"}
    done = install(*options, "--python", python, env=cut_off)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "JetPack 6 (Jetson Linux 36)" in done.stdout
    assert "ONNX Runtime will run on the processor alone" in done.stdout
    venv = root / "opt/rdedge/venv"
    assert "include-system-site-packages = true" in (venv / "pyvenv.cfg").read_text()
    assert (root / "etc/rdedge/line_1.rdb").read_bytes() == bundle_path.read_bytes()
    inbox = (root / "var/lib/rdedge/line_1/in").stat()
    assert stat.S_IMODE(inbox.st_mode) == 0o2770
    assert (root / "usr/local/bin/rdedge").readlink() == Path("/opt/rdedge/venv/bin/rdedge")
    assert os.access(root / "opt/rdedge/provision/spool.sh", os.X_OK)
    for unit in ("rdedge-compress@.service", "rdedge-compress@.path"):
        assert (root / "etc/systemd/system" / unit).read_text() == (PROVISION / unit).read_text()
    assert "fine" in call(venv / "bin/rdedge", "check", bundle_path, cwd=tmp_path)
    # What the wheel carries is what lies in the checkout.
    (data,) = venv.glob("lib/python*/site-packages/rdedge/_data/devices/provision")
    assert {p.name for p in data.iterdir()} == {p.name for p in PROVISION.iterdir()}
    assert os.access(data / "install.sh", os.X_OK)
    assert "provision" not in call(venv / "bin/rdedge", "devices", "list", cwd=tmp_path)

    before = call(venv / "bin/python", "-m", "pip", "freeze")
    (root / "var/lib/rdedge/line_1/in/kept.npy").write_bytes(b"kept")
    again = install(*options, env=cut_off)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "onnxruntime is there already and stays as it is" in again.stdout
    assert call(venv / "bin/python", "-m", "pip", "freeze") == before
    assert (root / "var/lib/rdedge/line_1/in/kept.npy").exists()


@pytest.mark.timeout(600)
def test_an_onnxruntime_that_is_there_is_not_covered(
    install: Run, wheel: Path, wheels: Path, tmp_path: Path
) -> None:
    # As NVIDIA's build lies in JetPack's own packages.
    theirs = tmp_path / "theirs" / "onnxruntime"
    theirs.mkdir(parents=True)
    (theirs / "__init__.py").write_text(
        "__version__ = '1.20.0'\ndef get_available_providers(): return ['CUDAExecutionProvider']\n"
    )
    few = tmp_path / "few"
    few.mkdir()
    for name in ("numpy", "click", "pip", "rdedge"):
        for path in wheels.glob(f"{name}-*.whl"):
            shutil.copy(path, few)
    done = install("--offline", few, "--no-service", env={"PYTHONPATH": str(theirs.parent)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "onnxruntime is there already" in done.stdout
    venv = tmp_path / "root/opt/rdedge/venv"
    assert "onnxruntime " not in call(venv / "bin/python", "-m", "pip", "list")
    assert not (tmp_path / "root/etc").exists()
    # Without it, the folder lacks something, and that is said.
    missing = install("--offline", few, "--no-service")
    assert missing.returncode == 1
    assert "pip could not install onnxruntime" in missing.stderr
    assert "put its wheel for Python" in missing.stderr


def test_a_dry_run_does_nothing(install: Run, wheel: Path, tmp_path: Path) -> None:
    shutil.copytree(TREES / "thor-t5000-jetpack-7.2" / "etc", tmp_path / "root/etc")
    before = sorted((tmp_path / "root").rglob("*"))
    done = install("--dry-run", wheel)
    assert done.returncode == 0, done.stderr
    assert "JetPack 7 (Jetson Linux 39)" in done.stdout
    assert "-m venv --system-site-packages" in done.stdout
    assert f"pip install --disable-pip-version-check --quiet {wheel}" in done.stdout
    assert sorted((tmp_path / "root").rglob("*")) == before


def test_jetpack_5_is_refused(install: Run, wheel: Path, tmp_path: Path) -> None:
    shutil.copytree(TREES / "xavier-nx-8gb-jetpack-5" / "etc", tmp_path / "root/etc")
    refused(install(wheel), "Jetson Linux 35 is older than JetPack 6", "flash JetPack 6 or 7")


def test_a_release_that_says_nothing_is_refused(install: Run, wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "root/etc").mkdir()
    (tmp_path / "root/etc/nv_tegra_release").write_bytes(b"\0\xff\n")
    refused(install(wheel), "no release that I know")


def test_an_old_python_is_refused(install: Run, wheel: Path, tmp_path: Path) -> None:
    old = python_that(tmp_path, "import sys; sys.version_info = (3, 8, 10, 'final', 0)")
    refused(install(wheel, "--python", old), "is Python 3.8; rdedge needs 3.10 to 3.13", "flash")
    refused(install(wheel, "--python", tmp_path / "none"), "there is no", "install Python 3.10")


def test_a_folder_without_what_is_needed_is_refused(
    install: Run, wheel: Path, tmp_path: Path
) -> None:
    refused(install("--offline", tmp_path / "none"), "there is no folder", "docs/device.md")
    folder = tmp_path / "wheels with spaces"
    folder.mkdir()
    refused(install("--offline", folder), "there is no rdedge-*.whl", "docs/device.md")
    foreign = "armv9z" if MACHINE == "aarch64" else "aarch64"
    other = folder / f"rdedge-0.1.0-py3-none-manylinux_2_17_{foreign}.whl"
    shutil.copy(wheel, other)
    refused(
        install("--offline", folder),
        f"only for other machines than {MACHINE}: {other.name}",
        "make the folder again",
    )
    refused(install(other), f"no wheel for {MACHINE}")
    refused(install(tmp_path / "none.whl"), "there is no file")
    shutil.copy(wheel, folder)
    alone = install("--offline", folder, "--no-service")
    assert alone.returncode == 1
    assert "pip could not install it" in alone.stderr
    assert "a wheel may be missing" in alone.stderr


def test_wrong_usage_is_refused(install: Run, wheel: Path, tmp_path: Path) -> None:
    for options, why in (
        ((), "give a WHEEL"),
        ((wheel, wheel), "two wheels"),
        ((wheel, "--offline", tmp_path), "either"),
        ((wheel, "--ofline", tmp_path), "no option is called --ofline"),
        (("--offline",), "--offline needs a value"),
        (("--offline", ""), "--offline needs a value"),
        ((wheel, "--prefix", "opt"), "not an absolute path"),
        ((wheel, "--spool", "a"), "go together"),
        ((wheel, "--spool", "../a", "--bundle", wheel), "a name of a-z"),
        ((wheel, "--spool", "a", "--bundle", wheel, "--no-service"), "exclude"),
    ):
        refused(install(*options), why, code=2)
    refused(install(wheel, "--spool", "a", "--bundle", tmp_path / "none.rdb"), "cannot read")


def test_without_permission_it_says_so(wheel: Path) -> None:
    # Where anybody may read: pytest's own folders are only for their owner.
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        shutil.copytree(PROVISION, folder / "provision")
        shutil.copy(wheel, folder)
        (folder / "theirs").mkdir(mode=0o555)
        nobody = {"user": 65534, "group": 65534} if os.getuid() == 0 else {}
        python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
        for options, why in (
            ((), "installing the service needs root"),
            (("--no-service", "--prefix", folder / "theirs"), "no permission to write"),
        ):
            done = subprocess.run(
                [
                    "sh",
                    folder / "provision/install.sh",
                    "--python",
                    python,
                    *options,
                    folder / wheel.name,
                ],
                capture_output=True,
                text=True,
                check=False,
                **nobody,
            )
            refused(done, why, "sudo")
    finally:
        shutil.rmtree(folder)
