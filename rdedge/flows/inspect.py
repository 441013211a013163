"""`rdedge inspect`: what is in a bundle, a container or a packet, by its first bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rdedge.bundle.bundle import Bundle
from rdedge.bundle.lines import LineBundle, open_bundle
from rdedge.canonical import finite
from rdedge.engine import margins
from rdedge.errors import ConfigError, FormatError, SourceError
from rdedge.flows.lines import inspect_lines
from rdedge.format.constants import CONTAINER_HEAD, ENVELOPE_MAGIC, PACKET_MAGIC, Stream
from rdedge.format.container import Container
from rdedge.format.envelope import Envelope, read_envelope
from rdedge.format.measured import read_measured
from rdedge.format.packet import LEARNED, Packet, read_packet

# Runs of a packet that are shown.
_RUNS = 32


def inspect(path: Path) -> dict[str, Any]:
    """What the file says of itself, as JSON. Raises FormatError, BundleError or SourceError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}", do="check its name") from error
    if data[:2] == b"PK":
        bundle = open_bundle(path)
        if isinstance(bundle, LineBundle):
            return inspect_lines(bundle, len(data))
        return _bundle(bundle, len(data))
    if data[:3] == CONTAINER_HEAD[:3]:
        return _container(Container(data))
    if data[:1] and data[0] == PACKET_MAGIC:
        return {"kind": "packets", "bytes": len(data), "packets": _packets(data)}
    if data[:1] and data[0] == ENVELOPE_MAGIC:
        envelope, end = read_envelope(data)
        return {"kind": "envelope", "bytes": end} | _envelope(envelope)
    raise FormatError(
        f"{path} starts with {data[:4]!r}", expected="a bundle, a container, an envelope or packets"
    )


def _bundle(bundle: Bundle, size: int) -> dict[str, Any]:
    m = bundle.manifest
    return {
        "kind": "bundle",
        "bytes": size,
        "codec": m.identity,
        "created_by": m.created_by,
        "model": m.model,
        "sample": {
            "kind": m.sample.kind,
            "shape": list(m.sample.shape),
            "dtype": m.sample.dtype,
        },
        "columns": list(m.columns),
        "latents": m.latents,
        "patch": m.patch,
        "classes": [group.classes for group in bundle.selection.groups],
        "bound": str(m.bound) + ", mean",
        "levels": [level.step for level in m.levels],
        "fallbacks": [fallback.codec for fallback in m.fallbacks],
        "residual": m.residual or None,
        "encoder": vars(m.encoder),
        "decoder": vars(m.decoder),
        "graph": {"opset": m.opset, "precision": m.precision},
        "profile": bundle.profile.get("name"),
        "members": {name: len(data) for name, data in bundle.members.items()},
        "signed_by": None if bundle.signature is None else bundle.signature[:32].hex(),
        "margins": _margins(m.identity),
        "absent": list(m.absent),
        "cannot": list(m.cannot),
        "scorecard": bundle.scorecard,
    }


def _margins(identity: str) -> list[dict[str, Any]] | str:
    """How far decoders lie apart, as `rdedge check` measured it on this machine."""
    try:
        return [vars(pair) for pair in margins.load(identity)]
    except ConfigError as error:
        return str(error)


def _container(container: Container) -> dict[str, Any]:
    batches = []
    for i, (envelope, packets) in enumerate(container.batches()):
        batches.append(
            _envelope(envelope)
            | {
                "payload_bytes": container.payload_bytes(i),
                "packets": [_packet(packet) for packet in packets],
            }
        )
    return {
        "kind": "container",
        "bytes": len(container.data),
        "cut_at": container.cut,
        "samples": sum(entry.samples for entry in container.entries),
        "batches": batches,
    }


def _envelope(envelope: Envelope) -> dict[str, Any]:
    found = {k: v for k, v in vars(envelope).items() if v is not None and k != "payload_length"}
    found["codec_identity"] = envelope.codec_identity.hex()
    if envelope.boot is not None:
        found["boot"] = envelope.boot.hex()
    return found


def _packets(data: bytes) -> list[dict[str, Any]]:
    found, offset = [], 0
    while offset < len(data):
        packet, end = read_packet(data, offset)
        found.append({"bytes": end - offset} | _packet(packet))
        offset = end
    return found


def _packet(packet: Packet) -> dict[str, Any]:
    measured = packet.streams.get(Stream.MEASURED)
    return {
        "codec_key": packet.codec_key.hex(),
        "samples": packet.sample_count,
        "fallback_samples": sum(run.count for run in packet.runs if run.codec != LEARNED),
        "shape": None if packet.shape is None else list(packet.shape),
        "lanes": packet.lanes,
        "gated": packet.gated,
        "measured": None if measured is None else finite(read_measured(measured)),
        "runs": [vars(run) for run in packet.runs[:_RUNS]],
        "more_runs": max(0, len(packet.runs) - _RUNS),
        "streams": {kind.name.lower(): len(data) for kind, data in packet.streams.items()},
    }
