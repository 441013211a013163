"""Gated packets of any samples, and the decoder that judges: NumPy's coder, packet by packet."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rdedge import metrics
from rdedge.bundle.bundle import Bundle
from rdedge.codec import Decoder, Encoder
from rdedge.codec.fallbacks import Fallbacks
from rdedge.format.packet import LEARNED, Packet, read_packet
from rdedge.types import Bound, SampleSpec

# Frame, tag and run of a packet, but for what its codec itself needs.
HEADER_BYTES = 16


def with_bound(bundle: Bundle, bound: Bound) -> Bundle:
    return Bundle.make(dataclasses.replace(bundle.manifest, bound=bound), dict(bundle.members))


def of_dtype(bundle: Bundle, dtype: str) -> Bundle:
    spec = dataclasses.replace(bundle.manifest.sample, dtype=dtype)
    return Bundle.make(dataclasses.replace(bundle.manifest, sample=spec), dict(bundle.members))


class Promise:
    """One bundle, gated, and the decoder that judges."""

    def __init__(self, bundle: Bundle) -> None:
        self.encoder = Encoder(bundle, gate="always")
        self.decoder = Decoder(bundle, coder="numpy")
        self.manifest = bundle.manifest
        self.fallbacks = Fallbacks(bundle.manifest)

    def holds(self, x: np.ndarray) -> Packet:
        """Encode x, decode it, and look at each sample."""
        data = self.encoder.encode(x)
        packet, end = read_packet(data)
        assert end == len(data)
        assert packet.gated
        x_hat = self.decoder.decode(data)
        assert x_hat.dtype == x.dtype
        bound = self.manifest.bound
        with np.errstate(all="ignore"):
            each = metrics.per_sample(bound.metric, x, x_hat, self.manifest.scale)
        assert all(bound.met_by(value) for value in each), each
        for i, run in enumerate(packet.runs):
            if run.codec != LEARNED and self.fallbacks.codecs[run.codec - 1].name == "zstd":
                before = sum(r.count for r in packet.runs[:i])
                some = slice(before, before + run.count)
                there = ~np.isnan(x[some]) if x.dtype.kind == "f" else np.ones(x[some].shape, bool)
                assert np.array_equal(x[some][there], x_hat[some][there])
        self.is_short(x, packet, len(data))
        return packet

    def is_short(self, x: np.ndarray, packet: Packet, size: int) -> None:
        """No longer than any of the fallbacks alone, all samples in one run, and a header."""
        filled = np.nan_to_num(x) if np.issubdtype(x.dtype, np.floating) else x
        if np.isnan(x).any() if x.dtype.kind == "f" else False:
            return
        bound, scale = self.manifest.bound, self.manifest.scale

        def keeps(which: np.ndarray, x_hat: np.ndarray) -> np.ndarray:
            with np.errstate(all="ignore"):
                each = metrics.per_sample(bound.metric, x[which], x_hat, scale)
            return np.array([bound.met_by(value) for value in each])

        for codec in self.fallbacks.codecs:
            levels = codec.levels(filled, keeps)
            if (levels < 0).any():
                continue
            level = codec.finest(levels)
            data = codec.encode(filled, level)
            if not keeps(np.arange(len(x)), codec.decode(data, len(x), x.shape[1:], level)).all():
                continue
            # The shape; varints of the level, and of body and samples beyond 127.
            more = 4 * (packet.shape is not None)
            more += (level >= 1 << 7) + (level >= 1 << 14) + 2 * (len(x) > 127)
            more += 2 * (len(data) > 100)
            assert size <= len(data) + 1 + HEADER_BYTES + more, codec.name


def odd(spec: SampleSpec, seed: int, kind: str, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Samples as nobody trained on."""
    rng = np.random.default_rng(seed)
    full = (count, *shape)
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        info = np.finfo(dtype)
        low, high, tiny = -float(info.max), float(info.max), float(info.smallest_subnormal)
    else:
        low, high, tiny = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max), 1.0
    if kind == "noise":
        made = rng.normal(0, 10.0 ** rng.uniform(-6, 6), full)
    elif kind == "constant":
        made = np.full(full, rng.choice([0.0, 1.0, -3.7, 1e4, tiny, high / 2]))
    elif kind == "extremes":
        made = rng.choice([low, high], full)
    elif kind == "spike":
        made = np.zeros(full)
        made.reshape(count, -1)[:, int(rng.integers(made[0].size))] = rng.choice([low, high, 1e6])
    elif kind == "subnormal":
        made = rng.integers(-5, 6, full) * tiny
    elif kind == "ramp":
        made = np.arange(int(np.prod(full))).reshape(full) * rng.uniform(-3, 3)
    elif kind == "periodic":
        made = np.resize(rng.normal(0, 30, 12), full)
    else:
        made = rng.choice([rng.normal(0, 5), rng.normal(0, 500)], full)
    with np.errstate(all="ignore"):
        if dtype.kind == "f":
            return np.clip(made, low, high).astype(dtype)
        top = high if dtype.itemsize < 8 else np.nextafter(high, 0.0)
        return np.clip(np.rint(made), low, top).astype(dtype)


KINDS = ("noise", "constant", "extremes", "spike", "subnormal", "ramp", "periodic", "two")
CASES = given(st.integers(0, 1 << 30), st.sampled_from(KINDS), st.integers(1, 5))
MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
