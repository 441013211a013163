"""A bound meant for every sample: what is trained keeps it for most, and the gate for all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rdedge import metrics
from rdedge.bundle.bundle import Bundle
from rdedge.codec import Decoder, Encoder
from rdedge.errors import ConfigError
from rdedge.host.export import export
from rdedge.host.runs import RunFolder
from rdedge.host.train import resume, train
from tests.host import plant

LIMIT = 0.1


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("every")
    plant.write_csv(place / "log.csv", 6000)
    for bound in ("mean", "every"):
        plant.linear(
            place / "log.csv",
            place / bound,
            max_distortion=LIMIT,
            time_column="time",
            bound=bound,
            stride=plant.WINDOW,
        )
    export(place / "every", place / "every.rdb")
    return place


def test_most_samples_keep_it_at_level_0(place: Path) -> None:
    cards = {
        kind: RunFolder(place / kind).read_json("scorecard.json") for kind in ("mean", "every")
    }
    assert cards["every"]["share_within"] >= 0.95 > cards["mean"]["share_within"]
    assert cards["every"]["reached"] <= LIMIT
    assert cards["every"]["distortion"] < cards["mean"]["distortion"] <= LIMIT
    assert cards["every"]["bound"] == {"metric": "nrmse", "value": LIMIT, "share": 0.95}
    assert "share" not in cards["mean"]["bound"]
    assert cards["every"]["step"] < cards["mean"]["step"]


def test_the_bundle_is_gated_unless_told_otherwise(place: Path, tmp_path: Path) -> None:
    bundle = Bundle.read(place / "every.rdb")
    assert bundle.recipe["gate"]["mode"] == "always"
    assert bundle.scorecard["export"]["share_within"] >= 0.9
    assert bundle.manifest.bound.share == 0
    encoder = Encoder(bundle, gate=None)
    assert encoder.mode == "always"
    x = plant.rows(20 * plant.WINDOW, seed=4).reshape(20, plant.WINDOW, -1)
    x_hat = Decoder(bundle, coder="numpy").decode(encoder.encode(x))
    each = metrics.per_sample("nrmse", x, x_hat, bundle.manifest.scale)
    assert (each <= LIMIT).all()
    export(place / "mean", tmp_path / "mean.rdb")
    assert Encoder(tmp_path / "mean.rdb", gate=None).mode == "never"
    # A recipe that was asked for says itself what it wants.
    export(place / "every", tmp_path / "told.rdb", recipe="default")
    assert Encoder(tmp_path / "told.rdb", gate=None).mode == "never"


def test_a_devices_part_cannot_be_gated(place: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no decoder to measure with"):
        export(place / "every", tmp_path / "part.rdb", device_only=True)
    assert not (tmp_path / "part.rdb").exists()
    export(place / "every", tmp_path / "part.rdb", device_only=True, recipe="default")


def test_a_network_is_steered_by_the_share(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (600, 4)) @ rng.normal(0, 1, (4, 16)) * rng.gamma(2, 1, (600, 1))
    np.save(tmp_path / "x.npy", x.astype(np.float32))
    settings = {"max_distortion": 0.5, "epochs": 6, "batch": 64, "model": "mlp", "kind": "vector"}
    card = train(tmp_path / "x.npy", output=tmp_path / "run", bound="every", **settings)
    assert card["share_within"] >= 0.95
    assert card["reached"] <= 0.5
    assert resume(tmp_path / "run")["bound"] == card["bound"]


def test_another_kind_of_bound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a bound of kind 'some'"):
        train("digits", max_distortion=4.0, output=tmp_path / "run", bound="some")
