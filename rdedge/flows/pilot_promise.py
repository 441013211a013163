"""The chosen codec on the held-out samples as a device would run it: gated, decoded again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rdedge import metrics
from rdedge.codec.decoder import Decoder
from rdedge.codec.encoder import Encoder
from rdedge.codec.files import Made
from rdedge.data.sources import Source
from rdedge.ledger.record import Recorder
from rdedge.ledger.schema import PacketRow
from rdedge.types import Array

_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True)
class Sent:
    """One sample as it was sent: its packet, what became of it, on this machine.

    codec: rdedge, or the fallback; level: of the bundle's, None where it took a fallback. row: of a
    ledger.
    """

    row: PacketRow
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


def promise(
    encoder: Encoder, samples: Sequence[Array], device: str, stream: str, every_s: float
) -> Promise:
    """encoder: its gate on. samples: batches (n, *shape), each sample a packet. Decoded by another
    decoder, that knows nothing but the packets. device, stream: for the ledger; every_s: seconds
    from one sample to the next there.
    """
    bundle = encoder.bundle
    decoder, recorder = Decoder(bundle), Recorder(encoder, device, stream)
    start_ns = time.time_ns() // _DAY_NS * _DAY_NS
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
            source = Source(stream, "npy", one, one.nbytes, sample_kind=encoder.spec.kind)
            made = Made(source, 0, one, packet, int(1e9 * seconds))
            row = recorder.row(made, start_ns + int(1e9 * every_s * len(sent)))
            back.append(decoder.decode(packet))
            value = float(metrics.per_sample(bound.metric, one, back[-1], scale)[0])
            over += not bound.met_by(value)
            fell = _grown(before[0], dict(encoder.tally.fallbacks))
            level = _grown(before[1], dict(encoder.tally.levels))
            codec = "rdedge" if fell is None else str(fell)
            its_level = None if fell is not None or level is None else int(level)
            sent.append(Sent(row, packet, one.nbytes, value, seconds, codec, its_level))
        x_hat.append(np.concatenate(back))
    return Promise(tuple(sent), x_hat, over, encoder.tally.to_json())


def _grown(before: dict[Any, int], after: dict[Any, int]) -> Any | None:
    """The key whose count grew; None where none did."""
    return next((k for k, n in after.items() if n > before.get(k, 0)), None)
