"""examples/paper: the one command, in its small setting, and how its page judges."""

from __future__ import annotations

import csv
import importlib
import math
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PAPER = ROOT / "examples" / "paper"


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    """Its modules, imported as its command does: by their folder."""
    sys.path.insert(0, str(PAPER))
    try:
        return {n: importlib.import_module(n) for n in ("page", "tables", "manifold", "settings")}
    finally:
        sys.path.remove(str(PAPER))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("paper") / "results"
    done = subprocess.run(
        [sys.executable, "-W", "error", str(PAPER / "reproduce.py"), "-o", str(folder)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.rstrip().endswith("README.md")
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_everything_is_there(made: Path) -> None:
    kept = PAPER / "results"
    names = {p.name for p in kept.iterdir()}
    assert names <= {p.name for p in made.iterdir()}, "what is kept is still made"
    for path in made.glob("*.png"):
        with Image.open(path) as image:
            assert min(image.size) >= 150, path.name
    for path in kept.iterdir():
        assert path.stat().st_size < 400_000, f"{path.name} is to be small"


def test_every_method_met_the_bound_in_actual_bits(made: Path) -> None:
    found = rows(made / "rates.csv")
    assert {r["method"] for r in found} == {"renyi", "entropy", "both", "ae", "dae"}
    assert {r["model"] for r in found} == {"mlp", "overcomplete", "overcomplete-tied"}
    for row in found:
        assert row["met"] == "True"
        assert row["kind"] == "actual"
        assert 0.0 < float(row["bits_per_digit"]) < 512.0
        assert float(row["distortion"]) <= 4.0 + 1e-6
        assert 0.0 <= float(row["nmi"]) <= 1.0
    least = {r["method"]: float(r["bits_per_digit"]) for r in found if r["model"] == "mlp"}
    assert least["entropy"] < least["ae"], "even in seconds, a rate term is worth something"


def test_energy_is_lower_on_the_data_than_off_it(made: Path) -> None:
    for row in rows(made / "toys.csv"):
        if row["method"] in ("renyi", "entropy"):
            assert float(row["energy_across"]) > float(row["energy_on_data"]), row


def test_more_dimensions_cost_more_bits(made: Path) -> None:
    found = [r for r in rows(made / "manifold.csv") if r.get("elements", "64") == "64"]
    least, most = (f(int(r["d"]) for r in found) for f in (min, max))
    assert least < most
    for method in {r["method"] for r in found}:
        bits = {
            d: [
                float(r["bits_per_sample"])
                for r in found
                if (int(r["d"]), r["method"]) == (d, method)
            ]
            for d in (least, most)
        }
        if bits[least] and bits[most]:
            assert max(bits[least]) < min(bits[most]), method


def test_the_page_says_what_agrees(made: Path) -> None:
    text = (made / "README.md").read_text()
    claims = [line for line in text.splitlines() if line.startswith("| ") and line.count("|") == 4]
    verdicts = [line.split("|")[3].strip() for line in claims[1:]]
    known = ("agrees", "does not agree", "cannot be said", "mixed", "not measured", "verdict")
    assert len(verdicts) >= 10
    assert all(v.startswith(known) for v in verdicts if v != "---"), verdicts
    for picture in (made).glob("*.png"):
        assert f"({picture.name})" in text, "every figure stands on the page"


def test_verdicts(modules: dict[str, ModuleType]) -> None:
    page = modules["page"]
    assert page._less([1.0, 1.1, 0.9], [2.0, 2.1, 1.9]) == 1.0
    assert page._less([2.0, 2.1, 1.9], [1.0, 1.1, 0.9]) == -1.0
    assert page._less([1.0, 3.0, 2.0], [2.0, 1.0, 3.0]) == 0.0
    assert math.isnan(page._less([], [1.0]))
    # Pairs that differ alike are told apart even where the values themselves scatter.
    assert page._less([1.0, 10.0, 100.0], [1.1, 11.0, 110.0]) == 1.0
    assert page._verdict([1.0, 1.0]) == "agrees"
    assert page._verdict([-1.0]) == "does not agree"
    assert page._verdict([0.0, 0.0]).startswith("cannot be said")
    assert page._verdict([1.0, -1.0, 0.0]) == "mixed: 1 of 3 for it, 1 against it"
    assert math.isnan(page._less([1.0], [2.0])), "one seed is no comparison"
    assert page._verdict([math.nan]).startswith("not measured")


def test_intervals(modules: dict[str, ModuleType]) -> None:
    tables = modules["tables"]
    mean, half = tables.interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.303 / math.sqrt(3.0), rel=1e-3)
    assert math.isnan(tables.interval([5.0])[1])


def test_a_manifold_has_the_dimension_it_says(modules: dict[str, ModuleType]) -> None:
    """Near one point, as many directions as d stand out of the noise."""
    manifold = modules["manifold"]
    for d in (1, 3):
        frequencies, phases, mixture = manifold.embedding(d, d)
        z = np.random.default_rng(0).uniform(-0.01, 0.01, (500, d))
        x = np.cos(z @ frequencies + phases) @ mixture
        sizes = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
        assert (sizes > 0.05 * sizes[0]).sum() == d
    assert np.array_equal(manifold.samples(2, 10, 5), manifold.samples(2, 10, 5))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "magic"], "no experiment is called magic"),
        (["--setting", "full"], "--mnist"),
        (["--setting", "huge"], "huge"),
    ],
)
def test_wrong_use_is_said(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(PAPER / "reproduce.py"), "-o", str(tmp_path / "r"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "r").exists()
