"""The promise: whatever comes in, what a gated packet decodes to elsewhere keeps the bound.

The decoder that judges is another than the gate's own: NumPy's coder, and one packet at a time.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge import metrics
from rdedge.bundle.bundle import Bundle
from rdedge.bundle.fallback import Fallback
from rdedge.codec import Decoder, Encoder
from rdedge.codec.choice import Pick
from rdedge.codec.fallbacks import Fallbacks
from rdedge.codec.parts import Parts
from rdedge.codec.steps import level_of
from rdedge.errors import BundleError, ConfigError, MissingError, ShapeError, ValueRangeError
from rdedge.format.constants import Stream
from rdedge.format.measured import read_measured
from rdedge.format.packet import LEARNED, read_packet
from rdedge.types import Bound
from tests.codec.promises import CASES, KINDS, MANY, Promise, odd, of_dtype, with_bound
from tests.host import plant


@pytest.fixture(scope="module")
def vectors(bundle: Bundle) -> Promise:
    return Promise(bundle)


@pytest.fixture(scope="module")
def windows(series_bundle: Bundle) -> Promise:
    return Promise(series_bundle)


@pytest.fixture(scope="module")
def images(image_bundle: Bundle) -> Promise:
    return Promise(image_bundle)


@CASES
@MANY
def test_vectors(vectors: Promise, seed: int, kind: str, count: int) -> None:
    spec = vectors.manifest.sample
    vectors.holds(odd(spec, seed, kind, count, spec.shape))


@CASES
@MANY
def test_windows(windows: Promise, seed: int, kind: str, count: int) -> None:
    spec = windows.manifest.sample
    windows.holds(odd(spec, seed, kind, count, spec.shape))


@given(st.integers(0, 1 << 30), st.sampled_from(KINDS), st.integers(1, 2), st.booleans())
@settings(MANY, max_examples=25)
def test_images(images: Promise, seed: int, kind: str, count: int, own: bool) -> None:
    shape = (19, 33, 1) if own else images.manifest.sample.shape
    images.holds(odd(images.manifest.sample, seed, kind, count, shape))


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "int64", "float16", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_dtype(series_bundle: Bundle, dtype: str, kind: str) -> None:
    promise = Promise(of_dtype(series_bundle, dtype))
    spec = promise.manifest.sample
    promise.holds(odd(spec, 1, kind, 3, spec.shape))


@pytest.mark.parametrize(
    "bound",
    [
        Bound("mse", 0.5),
        Bound("mae", 0.01),
        Bound("max-abs", 0.3),
        Bound("psnr", 70.0),
        Bound("nrmse", 1e-9),
        Bound("max-abs", 1e-30),
    ],
    ids=str,
)
def test_every_metric(series_bundle: Bundle, bound: Bound) -> None:
    promise = Promise(with_bound(series_bundle, bound))
    x = plant.rows(8 * plant.WINDOW, seed=5).reshape(8, plant.WINDOW, -1)
    promise.holds(x)
    for kind in KINDS:
        promise.holds(odd(promise.manifest.sample, 2, kind, 2, promise.manifest.sample.shape))


def test_what_is_like_the_training_data_stays_learned(windows: Promise) -> None:
    x = plant.rows(40 * plant.WINDOW, seed=7).reshape(40, plant.WINDOW, -1)
    packet = windows.holds(x)
    learned = sum(run.count for run in packet.runs if run.codec == LEARNED)
    assert learned >= 36
    assert len({run.level for run in packet.runs if run.codec == LEARNED}) > 1


def test_one_hard_sample_leaves_its_neighbours_alone(windows: Promise) -> None:
    x = np.nan_to_num(plant.rows(9 * plant.WINDOW, seed=8)).reshape(9, plant.WINDOW, -1)
    x[4] = np.random.default_rng(0).normal(0, 1e30, x[4].shape)
    packet = windows.holds(x)
    fallbacks = [run for run in packet.runs if run.codec != LEARNED]
    assert [run.count for run in fallbacks] == [1]


def test_a_step_too_fine_for_one_sample_is_not_taken_for_all(windows: Promise) -> None:
    """Together samples take the finest step of all: too fine for the values of a loud one."""
    fallbacks = Fallbacks(windows.manifest)
    (c,) = [k for k, codec in enumerate(fallbacks.codecs) if codec.name == "steps"]
    steps = fallbacks.codecs[c]
    x = np.zeros((2, *windows.manifest.sample.shape), np.float32)
    x[1] = np.float32(2.0**49) * np.float32(windows.manifest.fallbacks[c].steps).min()
    coarse, fine = level_of(0), level_of(-80)
    assert steps.takes(x, coarse)
    assert not steps.takes(x, fine)
    gate = windows.encoder._gate
    assert gate is not None
    parts = Parts(fallbacks, gate.measure, x, x)
    assert parts.alone(np.array([fine, coarse]), c) is None
    picks = [Pick(c + 1, 0)] * 2
    levels = np.full((2, len(fallbacks.codecs)), coarse)
    levels[0, c] = fine
    assert [pick.level for pick in parts.merged(picks, levels)] == [fine, coarse]


def test_the_first_picture_is_searched_not_guessed(images: Promise) -> None:
    """A guess at some quality says nothing of the one that a bound far below it asks for."""
    promise = Promise(with_bound(images.encoder.bundle, Bound("psnr", 21.0)))
    rng = np.random.default_rng(3)
    promise.holds(odd(promise.manifest.sample, int(rng.integers(1 << 30)), "noise", 1, (90, 80, 1)))


def test_a_bound_below_the_datas_precision_is_kept_without_loss(series_bundle: Bundle) -> None:
    promise = Promise(with_bound(series_bundle, Bound("mse", 1e-40)))
    x = np.random.default_rng(3).normal(40, 6, (2, *promise.manifest.sample.shape))
    packet = promise.holds(x.astype(np.float32))
    names = [promise.fallbacks.codecs[run.codec - 1].name for run in packet.runs]
    assert names == ["zstd"]
    assert promise.encoder.tally.fallbacks["zstd"] == 2
    assert promise.encoder.tally.unmet == 2
    said = promise.encoder.tally.line(promise.manifest.bound)
    assert "no level keeps it for 2, which are sent without loss" in said


def test_a_level_is_what_its_step_says(series_bundle: Bundle) -> None:
    encoder, decoder = Encoder(series_bundle), Decoder(series_bundle, coder="numpy")
    steps = [level.step for level in series_bundle.manifest.levels]
    x = np.nan_to_num(plant.rows(4 * plant.WINDOW, seed=3)).reshape(4, plant.WINDOW, -1)
    fine, coarse = steps.index(min(steps)), steps.index(max(steps))
    packets = [encoder.encode(x, level=level) for level in (fine, 0, coarse)]
    scale = series_bundle.manifest.scale
    errors = [metrics.mean("nrmse", x, decoder.decode(packet), scale) for packet in packets]
    assert errors == sorted(errors)
    assert [len(packet) for packet in packets] == sorted(map(len, packets), reverse=True)
    with pytest.raises(ConfigError, match="level"):
        encoder.encode(x, level=len(steps))


def test_sampled_measures_a_share_and_promises_nothing(series_bundle: Bundle) -> None:
    encoder = Encoder(series_bundle, gate="sampled", share=0.25)
    plain = Encoder(series_bundle)
    x = np.nan_to_num(plant.rows(40 * plant.WINDOW, seed=3)).reshape(40, plant.WINDOW, -1)
    for i in range(0, 40, 5):
        packet = encoder.encode(x[i : i + 5])
        assert packet == plain.encode(x[i : i + 5])
        assert not read_packet(packet)[0].gated
    assert (encoder.tally.samples, encoder.tally.measured) == (40, 10)
    assert encoder.tally.worst is not None


def test_a_devices_part_is_refused_at_the_start(series_bundle: Bundle) -> None:
    part = series_bundle.device_part()
    assert Encoder(part).mode == "never"
    for options in ({"gate": "always"}, {"gate": "sampled"}, {"digest": True}):
        with pytest.raises(BundleError, match=r"decoder\.onnx"):
            Encoder(part, **options)  # type: ignore[arg-type]


def test_a_missing_library_is_refused_at_the_start(
    series_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    assert Encoder(series_bundle).mode == "never"
    with pytest.raises(MissingError, match="fallback steps"):
        Encoder(series_bundle, gate="always")


def test_a_bundle_that_cannot_promise_says_so(series_bundle: Bundle) -> None:
    manifest = dataclasses.replace(series_bundle.manifest, fallbacks=())
    with pytest.raises(ConfigError, match="without loss"):
        Encoder(Bundle.make(manifest, dict(series_bundle.members)), gate="always")
    with pytest.raises(ConfigError, match="sometimes"):
        Encoder(series_bundle, gate="sometimes")


def test_infinity_is_refused(windows: Promise) -> None:
    x = np.zeros((2, *windows.manifest.sample.shape), np.float32)
    x[1, 2, 3] = np.inf
    with pytest.raises(ValueRangeError, match=r"\(1, 2, 3\)"):
        windows.encoder.encode(x)
    with pytest.raises(ShapeError):
        windows.encoder.encode(x[:, :-1])


def test_a_digest_is_held_against_what_comes_back(series_bundle: Bundle, bundle: Bundle) -> None:
    x = plant.rows(6 * plant.WINDOW, seed=3).reshape(6, plant.WINDOW, -1)
    rng = np.random.default_rng(0)
    digits = rng.integers(0, 17, (5, 8, 8)).astype(np.uint8)
    for codec, samples in ((series_bundle, x), (bundle, digits)):
        for gate in ("never", "always"):
            data = Encoder(codec, gate=gate, digest=True).encode(samples)
            packet = read_packet(data)[0]
            assert len(packet.streams[Stream.DIGEST]) <= 12
            decoder = Decoder(codec, coder="numpy")
            x_hat = decoder.decode(data)
            manifest = codec.manifest
            each = metrics.per_sample(manifest.bound.metric, samples, x_hat, manifest.scale)
            measured = read_measured(packet.streams[Stream.MEASURED])
            assert measured == pytest.approx(each.max(), rel=1e-4)
            assert gate == "never" or measured <= manifest.bound.value
            assert (decoder.digests, decoder.mismatches) == (1, 0)
            digest = packet.streams[Stream.DIGEST]
            other = digest[:-1] + bytes([digest[-1] ^ 1])
            streams = {**packet.streams, Stream.DIGEST: other}
            decoder.decode(dataclasses.replace(packet, streams=streams).to_bytes())
            assert (decoder.digests, decoder.mismatches) == (2, 1)


def test_a_margin_leaves_room(series_bundle: Bundle) -> None:
    """What every decoder within the margin makes of a packet keeps the bound."""
    margin, rng = 0.004, np.random.default_rng(0)
    x = plant.rows(30 * plant.WINDOW, seed=3).reshape(30, plant.WINDOW, -1)
    careful = Encoder(series_bundle, gate="always", margin=margin)
    bold = Encoder(series_bundle, gate="always", margin=0.0)
    decoder, manifest = Decoder(series_bundle, coder="numpy"), series_bundle.manifest
    sizes, learned = np.zeros(2, int), 0
    for i in range(len(x)):
        one = x[i : i + 1]
        packets = [encoder.encode(one) for encoder in (careful, bold)]
        sizes += [len(packet) for packet in packets]
        # All decoders agree on fallbacks.
        if read_packet(packets[0])[0].runs[0].codec != LEARNED:
            continue
        learned += 1
        x_hat = decoder.decode(packets[0])
        for _ in range(20):
            signs = rng.choice([-1, 1], x_hat.shape)
            other = (x_hat + margin * np.asarray(manifest.scale.std) * signs).astype(np.float32)
            each = metrics.per_sample("nrmse", one, other, manifest.scale)
            assert (each <= manifest.bound.value).all()
    assert learned >= 20
    assert sizes[0] > sizes[1]


def test_fallbacks_are_part_of_the_codec(series_bundle: Bundle) -> None:
    manifest = series_bundle.manifest
    other = dataclasses.replace(manifest, fallbacks=(Fallback("zstd"),))
    made = Bundle.make(other, dict(series_bundle.members)).manifest.identity
    assert made != manifest.identity


def test_the_command_gates(
    series_path: Path, series_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rdedge.cli.group import run as cli

    target = str(tmp_path / "log.rdz")
    arguments = ["compress", str(series_csv), "-b", str(series_path), "-o", target]
    assert cli([*arguments, "--gate", "always", "--digest"]) == 0
    assert "71 of 71 samples measured, all keep nrmse" in capsys.readouterr().err
    assert cli(["inspect", target]) == 0
    assert "gated: yes" in capsys.readouterr().out


@pytest.mark.parametrize("far", [29.5, 30.0, 30.5, 31.5])
def test_latents_at_the_end_of_what_symbols_hold(series_bundle: Bundle, far: float) -> None:
    """Where a trellis or the integers end, a sample falls back and nothing is raised."""
    promise = Promise(series_bundle)
    x = np.nan_to_num(plant.rows(plant.WINDOW, seed=3)).reshape(1, plant.WINDOW, -1)
    step = min(level.step for level in series_bundle.manifest.levels)
    y = np.abs(promise.encoder.latents(x)).max()
    promise.holds((x * (2.0**far * step / y)).astype(np.float32))
