"""What `rdedge check` measured of decoders: kept, found again, refused where it is not sound."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rdedge.engine import margins
from rdedge.engine.margins import OF_BUNDLE, Pair
from rdedge.errors import ConfigError

IDENTITY = "ab" * 32
CPU, GPU = "runtime 1 CPU", "runtime 1 GPU"


def pair(one: str, other: str, deviations: float) -> Pair:
    return Pair(one, other, deviations, 2 * deviations, "mse", deviations**2, 64)


def test_what_was_kept_is_found() -> None:
    assert margins.load(IDENTITY) == ()
    pairs = (pair(CPU, OF_BUNDLE, 0.0), pair(GPU, OF_BUNDLE, 1e-4), pair(CPU, GPU, 2e-4))
    path = margins.store(IDENTITY, pairs)
    assert path == margins.path_of(IDENTITY)
    assert set(margins.load(IDENTITY)) == set(pairs)
    assert margins.load("cd" * 32) == ()
    margins.forget(IDENTITY)
    margins.forget(IDENTITY)
    assert margins.load(IDENTITY) == ()


def test_what_is_measured_again_replaces_what_was_known() -> None:
    margins.store(IDENTITY, [pair(CPU, OF_BUNDLE, 0.5), pair(CPU, GPU, 0.25)])
    margins.store(IDENTITY, [pair(GPU, CPU, 0.125)])
    assert set(margins.load(IDENTITY)) == {pair(CPU, OF_BUNDLE, 0.5), pair(GPU, CPU, 0.125)}


def test_the_margin_of_a_decoder_is_the_largest_of_its_pairs() -> None:
    pairs = [pair(CPU, OF_BUNDLE, 0.0), pair(GPU, OF_BUNDLE, 1e-4), pair(CPU, GPU, 3e-4)]
    assert margins.measured(pairs, CPU) == 3e-4
    assert margins.measured(pairs[:2], CPU) == 0.0
    assert margins.measured(pairs, "runtime 2 CPU") is None
    # Beside others alone, nothing is known of the decoder that made the bundle.
    assert margins.measured(pairs[2:], CPU) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b'{"format":1}',
        b"\xff",
        b"[" * 5000,
        json.dumps({"format": 1, "identity": IDENTITY, "pairs": [{"one": "a"}]}).encode(),
    ],
)
def test_a_damaged_file_is_refused_and_written_anew(text: bytes) -> None:
    path = margins.store(IDENTITY, [pair(CPU, OF_BUNDLE, 0.0)])
    whole = path.read_bytes()
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=r"is damaged.*\n?.*rdedge check again"):
        margins.load(IDENTITY)
    path.write_bytes(whole.replace(b'"deviations":0.0', b'"deviations":-1.0'))
    with pytest.raises(ConfigError, match="damaged"):
        margins.load(IDENTITY)
    path.write_bytes(whole.replace(IDENTITY.encode(), b"cd" * 32))
    with pytest.raises(ConfigError, match="another codec"):
        margins.load(IDENTITY)
    margins.store(IDENTITY, [pair(CPU, OF_BUNDLE, 0.0)])
    assert margins.load(IDENTITY) == (pair(CPU, OF_BUNDLE, 0.0),)


def test_a_folder_that_others_can_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "open"
    place.mkdir()
    place.chmod(0o777)
    monkeypatch.setenv("RDEDGE_CACHE", str(place))
    with pytest.raises(ConfigError, match="not safe"):
        margins.load(IDENTITY)
    with pytest.raises(ConfigError, match="not safe"):
        margins.store(IDENTITY, [])
