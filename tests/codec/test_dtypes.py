"""Windows of any length, number of channels, dtype and mask come back with all of these."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge import Decoder, Encoder
from rdedge.bundle.bundle import Bundle

CASES = {
    "float16": (8, 1),
    "float32": (13, 3),
    "float64": (5, 2),
    "int16": (16, 2),
    "uint8": (6, 4),
    "int32": (9, 1),
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    from rdedge.host.export import export
    from rdedge.host.train import train

    made = {}
    folder: Path = tmp_path_factory.mktemp("dtypes")
    for name, (time, channels) in CASES.items():
        rng = np.random.default_rng(len(name))
        x = np.cumsum(rng.normal(0, 3, (60 * time, channels)), axis=0) % 90 + 20
        np.save(folder / f"{name}.npy", x.astype(name))
        train(
            folder / f"{name}.npy",
            kind="series",
            window=time,
            model="linear",
            metric="nrmse",
            max_distortion=0.2,
            output=folder / name,
        )
        made[name] = export(folder / name, folder / f"{name}.rdb")
    return made


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(list(CASES)), count=st.integers(1, 4), seed=st.integers(0, 2**16))
def test_shape_dtype_and_mask(bundles: dict[str, Bundle], name: str, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.uniform(20, 110, (count, *CASES[name])).astype(name)
    if np.issubdtype(x.dtype, np.floating):
        x[rng.random(x.shape) < rng.choice([0.0, 0.1, 0.9, 1.0])] = np.nan
    packet = Encoder(bundles[name]).encode(x)
    x_hat = Decoder(bundles[name]).decode(packet)
    assert x_hat.shape == x.shape
    assert x_hat.dtype == x.dtype
    missing = np.isnan(x) if np.issubdtype(x.dtype, np.floating) else np.zeros(x.shape, bool)
    if np.issubdtype(x_hat.dtype, np.floating):
        assert np.array_equal(np.isnan(x_hat), missing)
