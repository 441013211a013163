"""A user's way in: wheel and sdist, installed in empty environments outside the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from platform import machine

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "RDEDGE_"))}

pytestmark = pytest.mark.long


def call(*command: object, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env=CLEAN | (env or {}),
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An sdist made from the tracked files, and a wheel made from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    source = folder / "source"
    tracked = call("git", "ls-files", "-z", cwd=ROOT).split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    call(sys.executable, "-m", "build", "--outdir", folder, source, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def device(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, numpy, click and onnxruntime alone."""
    folder = tmp_path_factory.mktemp("device")
    call(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = dist.glob("*.whl")
    call(
        python,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        f"{wheel}[runtime]",
        cwd=folder,
    )
    return python


def test_the_wheel_has_what_it_must_and_no_more(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    assert "-py3-none-" in wheel.name
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "rdedge/_data/export/default.toml",
        "rdedge/_data/devices/cpu-host.toml",
        "rdedge/_data/devices/provision/install.sh",
        "rdedge/_data/devices/provision/rdedge-compress@.service",
        "rdedge/format/FORMAT.md",
        "rdedge/py.typed",
        "rdedge/report/texts/ja.toml",
        "rdedge/report/page/page.css",
        "rdedge/report/page/page.js",
    ):
        assert name in names
    top = {name.split("/")[0] for name in names}
    assert top == {"rdedge", next(t for t in top if t.endswith(".dist-info"))}
    if shutil.which("cc") or shutil.which("gcc"):
        assert "rdedge/_native.so" in names
        assert not wheel.name.endswith("-any.whl")


def test_the_sdist_has_the_sources(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in (
        "rdedge/coding/rans.c",
        "rdedge/format/crc32c.c",
        "export/default.toml",
        "devices/cpu-host.toml",
        "devices/provision/install.sh",
        "rdedge/report/texts/ja.toml",
        "rdedge/report/page/page.css",
        "LICENSE",
        "setup.py",
    ):
        assert name in names
    assert not [name for name in names if name.endswith((".so", ".pyc"))]


def test_a_device_without_torch_compresses_and_decompresses(
    device: Path, bundle_path: Path, held_out: np.ndarray, tmp_path: Path
) -> None:
    installed = call(device, "-m", "pip", "list", "--format", "freeze", cwd=tmp_path)
    names = {line.partition("==")[0].lower() for line in installed.split()}
    assert {"rdedge", "numpy", "click", "onnxruntime"} <= names
    assert not {"torch", "onnx", "pillow", "scikit-learn"} & names
    np.save(tmp_path / "x.npy", held_out)
    rdedge = device.parent / "rdedge"
    call(rdedge, "check", bundle_path, cwd=tmp_path)
    call(rdedge, "compress", "-b", bundle_path, "x.npy", "-o", "x.rdz", cwd=tmp_path)
    call(rdedge, "decompress", "-b", bundle_path, "x.rdz", "-o", "out", cwd=tmp_path)
    x_hat = np.load(tmp_path / "out" / "x.npy")
    assert ((x_hat.astype(float) - held_out) ** 2).mean() <= 4.0
    # The same container from the coder without C.
    call(
        rdedge,
        "compress",
        "-b",
        bundle_path,
        "x.npy",
        "-o",
        "y.rdz",
        cwd=tmp_path,
        env={"RDEDGE_NATIVE": "0"},
    )
    assert (tmp_path / "x.rdz").read_bytes() == (tmp_path / "y.rdz").read_bytes()
    found = call(
        device,
        "-c",
        "from rdedge import resources as r, native as n;"
        "print(r.find('export'), r.find('devices'), n.describe())",
        cwd=tmp_path,
    )
    assert "_data/export" in found
    if shutil.which("cc") or shutil.which("gcc"):
        assert "C (" in found
    for command in ("train digits --max-distortion 4 -o run", "demo"):
        done = subprocess.run(
            [rdedge, *command.split()],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=CLEAN,
        )
        assert done.returncode == 1
        assert "pip install 'rdedge[train]'" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_build_without_a_compiler_goes_on(dist: Path, tmp_path: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    text = call(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-v",
        "--no-deps",
        "-w",
        tmp_path,
        sdist,
        cwd=tmp_path,
        env={"CC": "/nowhere/cc"},
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert "no C library was built" in text


@pytest.mark.parametrize(
    ("platform", "compiler", "why"),
    [
        ("manylinux_2_17_riscv64", "/nowhere/cc", "no C library was built"),
        ("manylinux_2_17_aarch64", None, "is no library for manylinux_2_17_aarch64"),
        ("manylinux_2_17_x86_64", None, "is no library for manylinux_2_17_x86_64"),
    ],
)
def test_a_wheel_for_a_platform_holds_a_library_for_it(
    dist: Path, tmp_path: Path, platform: str, compiler: str | None, why: str
) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    done = subprocess.run(
        [
            sys.executable,
            *("-m", "pip", "wheel", "-v", "--no-deps", "-w", tmp_path, sdist),
            f"--config-settings=--build-option=--plat-name={platform}",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=CLEAN | ({"CC": compiler} if compiler else {}),
    )
    made = [wheel.name for wheel in tmp_path.glob("*.whl")]
    if platform.endswith(machine()) and compiler is None:
        assert done.returncode == 0, done.stdout + done.stderr
        assert made[0].endswith(f"-py3-none-{platform}.whl")
    else:
        assert done.returncode != 0
        assert why in done.stdout + done.stderr
        assert made == []


def test_an_editable_install_reads_the_checkout() -> None:
    from rdedge import resources

    assert resources.find("export").parent == ROOT or "_data" in resources.find("export").parts
