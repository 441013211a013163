"""The chosen codec on the held-out samples as a device would run it: gated, decoded again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rdedge import metrics
from rdedge.bundle.bundle import Bundle
from rdedge.codec.decoder import Decoder
from rdedge.codec.encoder import Encoder
from rdedge.types import Array


@dataclass(frozen=True)
class Sent:
    """One sample as it was sent: its packet, what became of it, on this machine.

    codec: rdedge, or the fallback; level: of the bundle's, None where it took a fallback.
    """

    packet: bytes
    raw_bytes: int
    distortion: float
    encode_s: float
    codec: str
    level: int | None


@dataclass(frozen=True)
class Promise:
    """All of them. x_hat: batches as the samples came; over: samples beyond the bound."""

    sent: tuple[Sent, ...]
    x_hat: list[Array]
    over: int
    tally: dict[str, Any]

    @property
    def sizes(self) -> Array:
        return np.array([len(one.packet) for one in self.sent])

    @property
    def fallback_share(self) -> float:
        return sum(one.codec != "rdedge" for one in self.sent) / len(self.sent)


def promise(bundle: Bundle, samples: Sequence[Array]) -> Promise:
    """samples: batches (n, *shape), each sample a packet. Decoded by a decoder of its own, that
    knows nothing but the packets.
    """
    encoder, decoder = Encoder(bundle, gate=None, threads=1), Decoder(bundle)
    bound, scale = bundle.manifest.bound, bundle.manifest.scale
    sent: list[Sent] = []
    x_hat: list[Array] = []
    over = 0
    for x in samples:
        back = []
        for i in range(len(x)):
            one = np.ascontiguousarray(x[i : i + 1])
            before = dict(encoder.tally.fallbacks), dict(encoder.tally.levels)
            started = time.perf_counter()
            packet = encoder.encode(one)
            seconds = time.perf_counter() - started
            back.append(decoder.decode(packet))
            value = float(metrics.per_sample(bound.metric, one, back[-1], scale)[0])
            over += not bound.met_by(value)
            fell = _grown(before[0], dict(encoder.tally.fallbacks))
            level = _grown(before[1], dict(encoder.tally.levels))
            codec = "rdedge" if fell is None else str(fell)
            its_level = None if fell is not None or level is None else int(level)
            sent.append(Sent(packet, one.nbytes, value, seconds, codec, its_level))
        x_hat.append(np.concatenate(back))
    return Promise(tuple(sent), x_hat, over, encoder.tally.to_json())


def _grown(before: dict[Any, int], after: dict[Any, int]) -> Any | None:
    """The key whose count grew; None where none did."""
    return next((k for k, n in after.items() if n > before.get(k, 0)), None)
