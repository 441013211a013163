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
# One command trains some dozen small models first: minutes on a slow or busy machine.
pytestmark = [pytest.mark.timeout(1200), pytest.mark.long]
MODULES = ("judge", "page", "tables", "manifold", "settings")


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    """Its modules, imported as its command does: by their folder."""
    sys.path.insert(0, str(PAPER))
    try:
        return {n: importlib.import_module(n) for n in MODULES}
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
    assert {p.name for p in made.iterdir()} == names, "the kept results are of another version"
    for path in made.glob("*.png"):
        with Image.open(path) as image:
            assert min(image.size) >= 150, path.name
    for path in kept.iterdir():
        assert path.stat().st_size < 400_000, f"{path.name} is to be small"


def test_the_columns_that_are_kept_are_still_made(made: Path) -> None:
    for path in made.glob("*.csv"):
        kept = rows(PAPER / "results" / path.name)[0]
        assert set(kept) <= set(rows(path)[0]), path.name


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


def test_tables_say_how_training_went(made: Path) -> None:
    for name in ("rates", "toys", "outliers", "manifold", "amount", "batches"):
        for row in rows(made / f"{name}.csv"):
            assert row["met"] in ("True", "False"), name
            assert row["ran_away"] in ("True", "False"), name
            assert int(row["epochs"]) >= 1, name


def test_full_gradients_are_less_noisy_than_those_of_batches(made: Path) -> None:
    for row in rows(made / "gradients.csv"):
        noise = float(row["noise_of_the_full"])
        assert 0.0 < noise < math.sqrt(float(row["variance"])), row


def test_the_page_says_what_agrees(made: Path) -> None:
    text = (made / "README.md").read_text()
    section = text.split("## ")[1].splitlines()
    claims = [line for line in section if line.startswith("| ")]
    verdicts = [line.split("|")[3].strip() for line in claims[2:]]
    known = (
        "agrees",
        "does not agree",
        "cannot be said",
        "mixed",
        "not measured",
        "measured once",
    )
    assert len(verdicts) >= 10
    assert all(v.startswith(known) for v in verdicts), verdicts
    for picture in (made).glob("*.png"):
        assert f"({picture.name})" in text, "every figure stands on the page"


def test_comparisons(modules: dict[str, ModuleType]) -> None:
    less = modules["judge"].less

    def seeds(*found: float) -> dict[int, float]:
        return dict(enumerate(found))

    assert less(seeds(1.0, 1.1, 0.9), seeds(2.0, 2.1, 1.9)) == 1.0
    assert less(seeds(2.0, 2.1, 1.9), seeds(1.0, 1.1, 0.9)) == -1.0
    assert less(seeds(1.0, 3.0, 2.0), seeds(2.0, 1.0, 3.0)) == 0.0
    # Pairs that differ alike are told apart even where the values themselves scatter.
    assert less(seeds(1.0, 10.0, 100.0), seeds(1.1, 11.0, 110.0)) == 1.0
    # By their seeds, in whatever order they come, and without those that only one side has.
    assert less({2: 100.0, 0: 1.0, 1: 10.0}, {1: 11.0, 2: 110.0, 0: 1.1}) == 1.0
    assert less({0: 1.0, 2: 100.0}, seeds(1.1, 0.1, 110.0)) == 1.0
    assert less(seeds(-1.0, -1.1), seeds(1.0, 0.9)) == 1.0
    assert math.isnan(less(seeds(1.0), seeds(2.0, 2.1, 1.9)))
    assert math.isnan(less({0: 1.0, 1: 1.1}, {2: 2.0, 3: 2.1})), "they share no seed"
    assert less({}, seeds(1.0)) is None


def test_verdicts(modules: dict[str, ModuleType]) -> None:
    verdict = modules["judge"].verdict
    assert verdict([1.0, 1.0]) == "agrees"
    assert verdict([-1.0, None]) == "does not agree"
    assert verdict([0.0, 0.0]).startswith("cannot be said")
    assert verdict([1.0, -1.0, 0.0]) == "mixed: 1 of 3 for it, 1 against it"
    assert verdict([None]) == verdict([]) == "not measured"
    assert verdict([math.nan]) == "measured once: not judged"
    assert verdict([1.0, math.nan]) == "agrees (1 of 2 measured once: not judged)"


def test_pairs_leave_out_blanks_and_unmet_bounds(modules: dict[str, ModuleType]) -> None:
    found = [
        {"method": "ae", "seed": 0.0, "bits": 4.0, "met": "True"},
        {"method": "ae", "seed": 1.0, "bits": "", "met": "True"},
        {"method": "ae", "seed": 2.0, "bits": 6.0, "met": "False"},
        {"method": "ae", "seed": 3.0, "bits": 7.0, "met": "True"},
        {"method": "dae", "seed": 0.0, "bits": 8.0, "met": "True"},
    ]
    judge, page = modules["judge"], modules["page"]
    assert judge.by(found, "bits", method="ae") == {0.0: 4.0, 3.0: 7.0}
    assert judge.values(found, "bits", method="ae") == [4.0, 6.0, 7.0]
    assert page._cell(found, "bits", method="ae").endswith("*")
    assert page._cell(found, "bits", method="dae") == "8"
    assert page._cell(found, "bits", method="ae", seed=1.0) == ""


def test_claims_count_each_comparison_once(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    """Both models of a set apart; SKAB within files only; digits over the classes left out."""
    write, claims = modules["tables"].write_csv, modules["judge"].claims
    toys = [
        {"data": "ring", "model": model, "method": method, "seed": seed, "met": True}
        | {"survives": level + 0.01 * seed, "depth": 1.0, "bits_per_sample": 4.0}
        for model, levels in (("mlp", (0.9, 0.1, 0.5)), ("overcomplete", (0.2, 0.4, 0.5)))
        for method, level in zip(("renyi", "ae", "dae"), levels, strict=True)
        for seed in range(3)
    ]
    write(tmp_path / "toys.csv", toys)
    outliers = [
        {"data": data, "outliers": what, "method": method, "seed": seed, "auc": auc, "met": True}
        for data, what, seed in (
            *(("MNIST", f"digit {k}", k) for k in range(4)),
            *(("SKAB", w, k) for w in ("all files", "within a file, mean") for k in range(3)),
        )
        for method, auc in (("renyi", 0.8 if data == "MNIST" else 0.5), ("ae", 0.6))
    ]
    write(tmp_path / "outliers.csv", outliers)
    found = {text: (where, verdict) for text, where, verdict in claims(tmp_path)}
    where, verdict = next(v for k, v in found.items() if k.startswith("Bounding"))
    assert where.endswith("; 2 comparisons")
    assert verdict == "mixed: 1 of 2 for it, 1 against it"
    assert next(v for k, v in found.items() if k.startswith("Over-complete"))[1] == "does not agree"
    where, verdict = next(v for k, v in found.items() if k.startswith("The energy tells"))
    assert where.endswith("; 2 comparisons")
    assert verdict == "mixed: 1 of 2 for it, 1 against it"
    assert next(v for k, v in found.items() if k.startswith("Batches"))[1] == "not measured"


def test_the_rate_is_held_against_the_space(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    """Bits that double with the elements speak against it, bits that stay speak for it."""
    write, judge = modules["tables"].write_csv, modules["judge"]
    for power, expected in ((0.0, "agrees"), (1.0, "mixed: 1 of 3 for it, 2 against it")):
        write(
            tmp_path / "manifold.csv",
            [
                {"d": d, "elements": elements, "method": "entropy", "seed": seed}
                | {"bits_per_sample": 4.0 * d * (elements / 64) ** power + 0.01 * seed}
                for d, elements in ((1, 64), (2, 64), (2, 16), (2, 128))
                for seed in range(3)
            ],
        )
        text, where, verdict = judge.claims(tmp_path)[-1]
        assert "not that of the space" in text
        assert "16 to 128 elements" in where
        assert verdict == expected


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
