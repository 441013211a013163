"""Packets as they are made -> rows of a ledger."""

from __future__ import annotations

import time
from dataclasses import replace

from rdedge.bundle.fallback import PNG, ZSTD
from rdedge.bundle.lines import LineManifest
from rdedge.bundle.manifest import Manifest
from rdedge.codec.encoder import Encoder
from rdedge.codec.files import Made
from rdedge.codec.line_files import MadeLines
from rdedge.data.lines import LINES
from rdedge.format.constants import Stream
from rdedge.format.measured import read_measured
from rdedge.format.packet import LEARNED, Packet, Run, read_packet
from rdedge.ledger.schema import PacketRow

LEARNED_NAME = "learned"
# Of lines: every byte comes back, and there is nothing to measure.
EXACT = "exact"
_WITHOUT_LOSS = (ZSTD, PNG)


def runs_text(runs: tuple[Run, ...], names: tuple[str, ...]) -> str:
    """`learned@0*40,zstd@0*2`; names: of the fallbacks of the manifest."""
    return ",".join(f"{_name(run, names)}@{run.level}*{run.count}" for run in runs)


def _name(run: Run, names: tuple[str, ...]) -> str:
    return LEARNED_NAME if run.codec == LEARNED else names[run.codec - 1]


class Recorder:
    """The rows of what one encoder makes. device: its name; stream: None takes the source's name.

    Its row must be asked for before the next packet is encoded, since the encoder knows what it
    measured only until then.
    """

    def __init__(self, encoder: Encoder, device: str, stream: str | None = None) -> None:
        self.encoder, self.device, self.stream = encoder, device, stream
        self._names = tuple(one.codec for one in encoder.manifest.fallbacks)
        self._measured = encoder.tally.measured
        self._over = encoder.tally.over

    def row(self, made: Made, now_ns: int | None = None) -> PacketRow:
        """now_ns: when it was made; None: now."""
        manifest: Manifest = self.encoder.manifest
        packet, _ = read_packet(made.packet)
        tally = self.encoder.tally
        now = time.time_ns() if now_ns is None else now_ns
        learned = {run.level for run in packet.runs if run.codec == LEARNED}
        distortion = self._distortion(packet, made)
        measured, over = tally.measured - self._measured, tally.over - self._over
        if Stream.MEASURED in packet.streams and not measured:
            # A digest: all were decoded and measured.
            measured = packet.sample_count
            over = int(distortion is None or not manifest.bound.met_by(distortion))
        self._measured, self._over = tally.measured, tally.over
        return PacketRow(
            device=self.device,
            stream=self.stream or made.source.name,
            source=made.source.name,
            time_ns=_time(made, now),
            recorded_ns=now,
            codec=manifest.identity,
            level=learned.pop() if len(learned) == 1 else None,
            runs=runs_text(packet.runs, self._names),
            samples=packet.sample_count,
            fallback_samples=sum(run.count for run in packet.runs if run.codec != LEARNED),
            elements=made.x.size,
            raw_bytes=made.x.nbytes,
            payload_bytes=len(made.packet),
            metric=manifest.bound.metric,
            bound=manifest.bound.value,
            distortion=distortion,
            measured=measured,
            over=over,
            gated=int(packet.gated),
            encode_ns=made.encode_ns,
        )

    def _distortion(self, packet: Packet, made: Made) -> float | None:
        """Of the worst sample; with a gate the worst that any decoder may make of it."""
        if Stream.MEASURED in packet.streams:
            return read_measured(packet.streams[Stream.MEASURED])
        fallbacks = {self._names[run.codec - 1] for run in packet.runs if run.codec != LEARNED}
        if self.encoder.measure is not None and fallbacks:
            # The gate knows that they keep the bound, not by how much.
            if fallbacks <= set(_WITHOUT_LOSS) and self.encoder.tally.last is not None:
                return self.encoder.tally.last
            return self.encoder.measure.decoded(packet, made.x)[1]
        return self.encoder.tally.last


def _time(made: Made, now: int) -> int:
    """Of the packet's first sample: the data's own where it has times."""
    times, x = made.source.times, made.x
    if times is None or not len(times):
        return now
    row = made.first * (x.shape[1] if x.ndim > 2 else 1)
    return int(times[min(row, len(times) - 1)])


def row_of_lines(
    made: MadeLines, manifest: LineManifest, device: str, stream: str | None, verified: bool
) -> PacketRow:
    """The row of a packet of a log; verified: whether it was decoded and compared."""
    now = time.time_ns()
    packet, _ = read_packet(made.packet)
    return PacketRow(
        device=device,
        stream=stream or made.source.name,
        source=made.source.name,
        time_ns=now,
        recorded_ns=now,
        codec=manifest.identity,
        level=None,
        runs=f"{LINES}@0*{made.blocks}",
        samples=made.blocks,
        fallback_samples=0,
        elements=len(made.content),
        raw_bytes=len(made.content),
        payload_bytes=len(made.packet),
        metric=EXACT,
        bound=None,
        distortion=0.0 if verified else None,
        measured=made.blocks if verified else 0,
        over=0,
        gated=int(packet.gated),
        encode_ns=made.encode_ns,
    )


def with_energy(rows: list[PacketRow], joules: float | None, spent_ns: int) -> list[PacketRow]:
    """The energy of spent_ns, in which these packets were made, apportioned by their encode_ns."""
    if joules is None or spent_ns <= 0:
        return rows
    return [
        replace(row, energy_uj=round(1e6 * joules * min(row.encode_ns / spent_ns, 1.0)))
        for row in rows
    ]
