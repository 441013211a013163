"""How long a sample may take on a device that nobody has at hand: an estimate, and how it was made.

Measured here, on one core: what the packet of a sample takes, gate and all, and the encoder's graph
alone. The graph is carried over to the profile's GPU by the larger of two times, multiply-adds at a
share of what its cores can do and bytes moved at a share of its memory's bandwidth, plus one call a
kernel (what decides small networks: DCVC-RT, arXiv 2502.20762). The rest, which runs on the
processor, is multiplied by how much slower a core of such a device is. What no profile says is an
assumption, listed with its value. Never a measurement.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rdedge.bundle.bundle import Bundle
from rdedge.bundle.profile import Profile
from rdedge.codec.encoder import Encoder
from rdedge.codec.preprocess import fill_missing
from rdedge.engine.graph import operators
from rdedge.types import Array

_TIMED = 5


@dataclass(frozen=True)
class Assumed:
    """What profiles do not say. gpu_ghz: clock; gpu_share, memory_share: of the peaks, that small
    networks reach; call_us: of a kernel; slower_core: a device's core by one of this machine;
    spread: the estimate may be wrong by this factor, either way.
    """

    gpu_ghz: float = 0.6
    gpu_share: float = 0.2
    memory_share: float = 0.5
    call_us: float = 10.0
    slower_core: float = 2.0
    spread: float = 3.0


def inference(
    bundle: Bundle,
    samples: Sequence[Array],
    encode_s: Sequence[float],
    profile: Profile,
    assumed: Assumed = Assumed(),
) -> dict[str, Any]:
    """For pilot.json. encode_s: measured seconds of each sample's packet, on one core here."""
    measured_ms = 1e3 * float(np.median(encode_s))
    encoder = bundle.manifest.encoder
    elements = sum(x.size for x in samples) / sum(map(len, samples))
    # The manifest's multiply-adds are for a sample of the usual size.
    macs = encoder.macs * elements / bundle.manifest.sample.elements
    graph_ms = _graph_ms(bundle, samples)
    values: dict[str, Any] = {
        "measured_here_ms": measured_ms,
        "graph_here_ms": graph_ms,
        "multiply_adds": macs,
        "parameters": encoder.parameters,
    }
    cores = None if profile.gpu is None else profile.gpu.cuda_cores
    bandwidth = None if profile.memory is None else profile.memory.bandwidth_gb_s
    if cores is None or bandwidth is None:
        same = profile.kind == "host"
        ms = measured_ms * (1.0 if same else assumed.slower_core)
        key = "how.host" if same else "how.processor"
        return _estimate(profile, ms, key, values, assumed)
    half = 2 if "fp16" in bundle.manifest.precision else 4
    moved = half * encoder.parameters + 4 * (2 * elements + 2 * bundle.manifest.latents)
    calls = operators(bundle.members["encoder.onnx"], "encoder.onnx")
    compute_ms = macs / (cores * assumed.gpu_ghz * 1e9 * assumed.gpu_share) * 1e3
    memory_ms = moved / (bandwidth * 1e9 * assumed.memory_share) * 1e3
    gpu_ms = max(compute_ms, memory_ms) + calls * assumed.call_us / 1e3
    rest_ms = max(0.0, measured_ms - graph_ms) * assumed.slower_core
    values |= {
        "compute_ms": compute_ms,
        "memory_ms": memory_ms,
        "calls": calls,
        "gpu_ms": gpu_ms,
        "processor_ms": rest_ms,
        "cuda_cores": cores,
        "bandwidth_gb_s": bandwidth,
    }
    return _estimate(profile, gpu_ms + rest_ms, "how.gpu", values, assumed)


def _estimate(
    profile: Profile, ms: float, key: str, values: dict[str, Any], assumed: Assumed
) -> dict[str, Any]:
    spread = assumed.spread if key != "how.host" else 1.5
    return {
        "profile": profile.name,
        "title": profile.title,
        "verified": profile.verified,
        "ms": ms,
        "low_ms": ms / spread,
        "high_ms": ms * spread,
        "kind": "estimated",
        "how": {"key": key, "values": {"profile": profile.name, **values, **asdict(assumed)}},
    }


def _graph_ms(bundle: Bundle, samples: Sequence[Array]) -> float:
    encoder = Encoder(bundle, threads=1)
    one = np.ascontiguousarray(samples[0][:1])
    if bundle.manifest.sample.kind == "series":
        one = fill_missing(one)[0]
    encoder.latents(one)
    seconds = []
    for _ in range(_TIMED):
        started = time.perf_counter()
        encoder.latents(one)
        seconds.append(time.perf_counter() - started)
    return 1e3 * float(np.median(seconds))
