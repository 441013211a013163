"""The promise on the largest error: coarse levels, and what they miss coded in integers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge.bundle.bundle import Bundle
from rdedge.codec import Decoder, Encoder
from rdedge.codec.residual import Corrections
from rdedge.errors import BundleError, FormatError
from rdedge.format.constants import Stream
from rdedge.format.packet import LEARNED, read_packet
from rdedge.host.levels import residual_step
from rdedge.types import Bound, SampleSpec
from tests.codec.conftest import drift
from tests.codec.promises import CASES, KINDS, MANY, Promise, odd
from tests.host import plant

BOUND = 0.35


def with_residual(bundle: Bundle, value: float, dtype: str | None = None) -> Bundle:
    """The bundle for another bound on the largest error, and perhaps another dtype."""
    spec = bundle.manifest.sample
    spec = dataclasses.replace(spec, dtype=dtype or spec.dtype)
    bound = Bound("max-abs", value)
    step = residual_step(spec, bound)
    manifest = dataclasses.replace(bundle.manifest, sample=spec, bound=bound, residual=step)
    return Bundle.make(manifest, dict(bundle.members))


def samples(count: int, seed: int) -> np.ndarray:
    """(count, 32, 3) float32, as the bundle was trained on."""
    return drift(count * plant.WINDOW, 100 + seed).reshape(count, plant.WINDOW, 3)


@pytest.fixture(scope="module")
def vectors(bundle: Bundle) -> Promise:
    return Promise(with_residual(bundle, 2.0))


@pytest.fixture(scope="module")
def windows(drift_bundle: Bundle) -> Promise:
    return Promise(with_residual(drift_bundle, BOUND))


@pytest.fixture(scope="module")
def images(image_bundle: Bundle) -> Promise:
    return Promise(with_residual(image_bundle, 14.0))


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
@settings(MANY, max_examples=10)
def test_images(images: Promise, seed: int, kind: str, count: int, own: bool) -> None:
    shape = (19, 33, 1) if own else images.manifest.sample.shape
    images.holds(odd(images.manifest.sample, seed, kind, count, shape))


@given(st.integers(0, 1 << 30), st.floats(0, 200), st.floats(0.0, 0.2))
@settings(MANY, max_examples=20)
def test_spikes_on_what_was_trained_on(
    windows: Promise, seed: int, size: float, share: float
) -> None:
    rng = np.random.default_rng(seed)
    x = samples(3, seed)
    x = x + size * (rng.random(x.shape) < share) * rng.normal(0, 1, x.shape)
    windows.holds(x.astype(np.float32))


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "uint32", "int64", "float64"])
@pytest.mark.parametrize("value", [0.4, 1.0, 3.0])
def test_every_dtype(drift_bundle: Bundle, dtype: str, value: float) -> None:
    promise = Promise(with_residual(drift_bundle, value, dtype))
    spec = promise.manifest.sample
    rng = np.random.default_rng(5)
    shape = (2, *spec.shape)
    x = np.rint(50 + 5 * samples(2, 5) + (rng.random(shape) < 0.02) * 20)
    x = np.clip(x, 0, 100)
    promise.holds(x.astype(dtype))
    for kind in KINDS:
        promise.holds(odd(spec, 1, kind, 2, spec.shape))


def test_it_is_taken_where_it_saves_and_nowhere_else(windows: Promise) -> None:
    x, bundle = samples(20, 7), windows.encoder.bundle
    manifest = dataclasses.replace(bundle.manifest, residual=0.0)
    plain = Promise(Bundle.make(manifest, dict(bundle.members)))
    sizes = np.zeros((2, len(x)), int)
    before = windows.encoder.tally.residuals
    for i in range(len(x)):
        for row, promise in enumerate((plain, windows)):
            promise.holds(x[i : i + 1])
            sizes[row, i] = len(promise.encoder.encode(x[i : i + 1]))
    assert (sizes[1] <= sizes[0]).all()
    assert (sizes[1] < sizes[0]).sum() >= 2
    assert windows.encoder.tally.residuals > before
    assert plain.encoder.tally.residuals == 0
    data = windows.encoder.encode(x)
    assert Stream.RESIDUAL in read_packet(data)[0].streams
    assert len(data) < len(plain.encoder.encode(x))


def test_missing_values_stay_missing(windows: Promise) -> None:
    x = samples(2, 3)
    x[0, 3:9, 1] = x[1, :, 0] = np.nan
    x[1, 4, 2] += 9
    packet = windows.holds(x)
    assert {Stream.RESIDUAL, Stream.MASK} <= set(packet.streams)
    x_hat = windows.decoder.decode(windows.encoder.encode(x))
    assert np.array_equal(np.isnan(x), np.isnan(x_hat))


def test_a_bound_under_one_leaves_integers_without_loss(image_bundle: Bundle) -> None:
    promise = Promise(with_residual(image_bundle, 0.5))
    rng = np.random.default_rng(0)
    wave = 128 + 90 * np.sin(np.arange(32)[:, None] / 5) * np.cos(np.arange(40) / 6)
    x = np.rint(wave + rng.normal(0, 3, (32, 40))).astype(np.uint8)[None, ..., None]
    promise.holds(x)
    assert np.array_equal(promise.decoder.decode(promise.encoder.encode(x)), x)


def test_a_margin_leaves_room(drift_bundle: Bundle) -> None:
    """What every decoder within the margin makes of a packet keeps the bound."""
    margin, rng = 0.01, np.random.default_rng(0)
    bundle = with_residual(drift_bundle, BOUND)
    encoder, decoder = Encoder(bundle, gate="always", margin=margin), Decoder(bundle, coder="numpy")
    std = np.asarray(drift_bundle.manifest.scale.std)
    x = samples(10, 3)
    coarse = 0
    for i in range(len(x)):
        packet, _ = read_packet(encoder.encode(x[i : i + 1]))
        if packet.runs[0].codec != LEARNED:
            continue
        coarse += Stream.RESIDUAL in packet.streams
        x_hat = decoder.decode_packet(packet).astype(np.float64)
        for _ in range(10):
            other = (x_hat + margin * std * rng.choice([-1, 1], x_hat.shape)).astype(np.float32)
            assert np.abs(other.astype(np.float64) - x[i : i + 1]).max() <= BOUND
    assert coarse > 3


@given(st.integers(0, 1 << 30), st.integers(0, 3))
def test_sums_of_int64_stop_at_the_ends(seed: int, fineness: int) -> None:
    rng = np.random.default_rng(seed)
    from tests.bundle import tiny

    spec = SampleSpec("vector", (8,), "int64")
    found = Corrections(tiny.manifest(sample=spec, residual=float((1 << 24) - 1)))
    info = np.iinfo(np.int64)
    x_hat = rng.integers(info.min, info.max, (5, 8), dtype=np.int64, endpoint=True)
    x_hat[0], x_hat[1] = info.max, info.min
    q = rng.integers(-(2**31), 2**31, (5, 8), dtype=np.int64).astype(np.int32)
    step = int(found.step(fineness))
    added = found.added(x_hat, q, fineness)
    for a, b, c in zip(x_hat.flat, q.flat, added.flat, strict=True):
        assert int(c) == min(max(int(a) + int(b) * step, info.min), info.max)


def test_the_step_is_part_of_the_codec(drift_bundle: Bundle) -> None:
    identities = {with_residual(drift_bundle, value).manifest.identity for value in (0.25, 0.5)}
    assert len({*identities, drift_bundle.manifest.identity}) == 3


@pytest.mark.parametrize(
    ("dtype", "step"), [("uint8", 1.5), ("uint8", 2.0**25), ("float32", -1.0), ("float32", 1e38)]
)
def test_a_step_out_of_range_is_refused(dtype: str, step: float) -> None:
    from rdedge.bundle.manifest import Manifest
    from tests.bundle import tiny

    manifest = tiny.manifest(sample=SampleSpec("vector", (3,), dtype), residual=step)
    with pytest.raises(BundleError):
        Manifest.from_bytes(manifest.to_bytes())


def test_hostile_streams_end_in_an_error_or_in_samples(windows: Promise) -> None:
    x = samples(1, 3)
    x[0, 4, 2] += 9
    packet, _ = read_packet(windows.encoder.encode(x))
    data = packet.streams[Stream.RESIDUAL]
    decoders = (windows.decoder, Decoder(windows.decoder.bundle))
    rng = np.random.default_rng(1)
    changed = [data[:cut] for cut in range(len(data))]
    for bit in range(8 * len(data)):
        one = bytearray(data)
        one[bit // 8] ^= 1 << bit % 8
        changed.append(bytes(one))
    changed += [rng.bytes(int(rng.integers(1, 40))) for _ in range(100)]
    for one in changed:
        streams = {**packet.streams, Stream.RESIDUAL: one}
        other = dataclasses.replace(packet, streams=streams)
        found = []
        for decoder in decoders:
            try:
                found.append(decoder.decode_packet(other).tobytes())
            except FormatError:
                found.append(b"")
        assert found[0] == found[1]
