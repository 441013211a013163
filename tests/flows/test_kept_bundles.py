"""The bundles that benchmarks keep prove themselves on whatever machine the tests run on."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdedge.bundle.bundle import Bundle
from rdedge.flows.check import check

BUNDLES = sorted((Path(__file__).parents[2] / "benchmarks" / "bundles").glob("*.rdb"))


def test_there_are_some() -> None:
    assert len(BUNDLES) >= 3


@pytest.mark.parametrize("path", BUNDLES, ids=lambda p: p.stem)
def test_a_kept_bundle_proves_itself(path: Path) -> None:
    bundle = Bundle.read(path)
    for one in check(bundle).rows:
        one.require()
    assert bundle.scorecard["training"]["met"]
    # Its name says what it reached: decibels.
    assert bundle.manifest.bound.value == float(path.stem.rpartition("-")[2])
