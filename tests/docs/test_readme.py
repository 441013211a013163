"""What README.md tells a reader to type, typed: the commands and the Python, in their order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


# Its commands train and search for minutes on a slow or busy machine.
pytestmark = pytest.mark.timeout(1200)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.long
def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    commands = [line[2:] for block in blocks("console") for line in block.splitlines()]
    assert len(commands) >= 8
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands:
        done = subprocess.run(
            command,
            shell=True,
            cwd=tmp_path,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    script = "\n".join(blocks("python")) + "\nassert samples.shape == (1, 8, 8), samples.shape\n"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md")),
        "rdedge/format/FORMAT.md",
        "CHANGELOG.md",
    ],
)
def test_links_and_files_that_pages_name_exist(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target


def test_the_architecture_page_names_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for room in (ROOT / "rdedge").iterdir():
        if room.name.startswith(("_", ".")) or room.suffix not in ("", ".py"):
            continue
        assert f"`{room.name}`" in page or f"`{room.name}/`" in page, room.name


def test_the_readme_counts_bytes_as_the_demo_does() -> None:
    """The table in README.md adds up: share and percentages follow from its own bytes."""
    container = int(re.search(r"container, all included +([\d,]+) B", README)[1].replace(",", ""))  # type: ignore[index]
    best = int(re.search(r"^jpegxl .*?([\d,]+) B", README, re.MULTILINE)[1].replace(",", ""))  # type: ignore[index]
    assert f"{100 * container / best:.0f} % of the bytes of the best classical codec" in README
    assert f"397 samples, 25,408 -> {container:,} bytes" in README
