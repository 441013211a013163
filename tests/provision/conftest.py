"""The scripts, as they lie in devices/provision, and a folder of wheels for this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROVISION = ROOT / "devices" / "provision"
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "RDEDGE_"))}

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def call(*command: object, env: dict[str, str] | None = None, **more: object) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env=CLEAN | (env or {}),
        timeout=280,
        **more,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout + done.stderr)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout for this machine."""
    folder = tmp_path_factory.mktemp("own")
    listed = call(
        "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT
    ).split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "source" / name)
    call(sys.executable, "-m", "build", "--wheel", "--outdir", folder, folder / "source")
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def wheels(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a board without a network is given: rdedge and all that it needs, pip too."""
    folder = tmp_path_factory.mktemp("wheels")
    call(
        sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:", "-d", folder,
        f"{wheel}[runtime]", "pip",
    )  # fmt: skip
    shutil.copy(wheel, folder)
    return folder


@pytest.fixture
def install(tmp_path: Path) -> Run:
    """Runs install.sh for a machine whose / is tmp_path/root, with this Python."""
    root = tmp_path / "root"
    root.mkdir()

    def run(
        *options: object, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", PROVISION / "install.sh", "--python", sys.executable, "--root", root]
            + [str(option) for option in options],
            capture_output=True,
            text=True,
            check=False,
            env=CLEAN | (env or {}),
            timeout=280,
        )

    return run
