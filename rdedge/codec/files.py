"""Files <-> containers: what `rdedge compress` and `rdedge decompress` do."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from rdedge.codec.decoder import Decoder
from rdedge.codec.encoder import Encoder
from rdedge.data import sinks
from rdedge.data.files import refuse_existing, write_file
from rdedge.data.sources import Source, SourceKind
from rdedge.data.times import Times
from rdedge.errors import ConfigError, FormatError, OutputError
from rdedge.format.constants import MAX_IMAGE_ELEMENTS, MAX_SAMPLES, Stream
from rdedge.format.container import Container, ContainerWriter
from rdedge.format.envelope import Envelope
from rdedge.format.times import read_times, write_times
from rdedge.types import Array

DEFAULT_BATCH = 4096


@dataclass(frozen=True)
class Written:
    """What became of one source. encode_seconds: wall clock of encode alone."""

    name: str
    samples: int
    source_bytes: int
    raw_bytes: int
    packets: int
    payload_bytes: int
    encode_seconds: float


@dataclass(frozen=True)
class Made:
    """A packet just made, for who keeps a ledger. x: its samples (n, *shape); first: the place of
    the first of them in the source; encode_ns: wall clock of encode.
    """

    source: Source
    first: int
    x: Array
    packet: bytes
    encode_ns: int


def compress(
    encoder: Encoder,
    inputs: Iterable[Source],
    file: IO[bytes],
    batch: int = DEFAULT_BATCH,
    watch: Callable[[Made], None] | None = None,
) -> tuple[list[Written], int]:
    """Encode sources in their order into one container, written to file as it grows.

    batch: samples in one packet, 1 to 2^24; of large images fewer, as FORMAT.md limits them.
    watch: is shown every packet.
    Returns what became of each and the container's size in bytes. Raises ShapeError,
    ValueRangeError or SourceError at the first that cannot be coded.
    """
    if not 1 <= batch <= MAX_SAMPLES:
        raise ConfigError(f"a batch of {batch} samples", expected=f"1 to {MAX_SAMPLES}")
    writer = ContainerWriter(file)
    identity = bytes.fromhex(encoder.manifest.identity)
    written: list[Written] = []
    for source in inputs:
        x = encoder.spec.check_batch(source.samples)
        started = time.perf_counter()
        times = None if source.times is None else {Stream.TIMES: write_times(source.times)}
        step = batch
        if encoder.spec.kind == "image":
            step = max(1, min(batch, MAX_IMAGE_ELEMENTS // math.prod(x.shape[1:])))
        packets: list[bytes] = []
        seconds = time.perf_counter() - started
        for i in range(0, len(x), step):
            before = time.perf_counter_ns()
            packets.append(encoder.encode(x[i : i + step], times if i == 0 else None))
            spent = time.perf_counter_ns() - before
            seconds += 1e-9 * spent
            if watch is not None:
                watch(Made(source, i, x[i : i + step], packets[-1], spent))
        envelope = Envelope(
            identity,
            len(packets),
            0,
            source_name=source.name,
            source_kind=source.kind,
            source_detail=source.detail or None,
            source_bytes=source.source_bytes,
        )
        writer.add(envelope, packets, len(x))
        payload = sum(map(len, packets))
        written.append(
            Written(
                source.name, len(x), source.source_bytes, x.nbytes, len(packets), payload, seconds
            )
        )
    return written, writer.close()


@dataclass(frozen=True)
class Restored:
    """One source as it comes out of a container. detail, times: as in sources.Source."""

    name: str
    kind: SourceKind
    samples: Array
    detail: dict[str, Any]
    times: Times | None = None

    @property
    def data(self) -> bytes:
        """The file that it came from, with these samples."""
        return sinks.to_bytes(self.samples, self.kind, self.detail, self.times)


def restore(decoder: Decoder, container: Container) -> Iterator[Restored]:
    """The sources of a container in their order. Raises a FormatError, or MismatchError where it is
    another codec's.
    """
    for i, (envelope, packets) in enumerate(container.batches()):
        decoder.require(envelope.codec_identity)
        if not packets:
            raise FormatError(f"container: envelope {i} has no packet", expected="at least one")
        decoded = [decoder.decode_packet(packet) for packet in packets]
        if any(x.shape[1:] != decoded[0].shape[1:] for x in decoded):
            raise FormatError(f"container: envelope {i} has samples of several shapes")
        samples = np.concatenate(decoded)
        stream = packets[0].streams.get(Stream.TIMES)
        times: Times | None = None
        if stream is not None and decoder.spec.kind == "series":
            rows = len(samples) * decoder.spec.shape[0]
            times = read_times(stream, rows, cut=container.cut is not None)
        kind: SourceKind = envelope.source_kind or "npy"  # type: ignore[assignment]
        name = envelope.source_name or f"batch-{i:06}.npy"
        yield Restored(name, kind, samples, envelope.source_detail or {}, times)


def decompress(
    decoder: Decoder, container: Container, folder: Path, *, force: bool = False
) -> list[tuple[str, int]]:
    """Write the sources of a container below folder under their names; returns (name, samples).

    Each file is whole or not there. Raises OutputError where a file exists (nothing is written
    then), FormatError where two sources have one name.
    """
    found = ((restored.data, len(restored.samples)) for restored in restore(decoder, container))
    return write_all(container, found, folder, force=force)


def write_all(
    container: Container, found: Iterable[tuple[bytes, int]], folder: Path, *, force: bool = False
) -> list[tuple[str, int]]:
    """Write what was found, a file and its samples for each envelope; see decompress."""
    targets = _targets(container, folder, force)
    done: list[tuple[str, int]] = []
    for target, (data, samples) in zip(targets, found, strict=True):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {target.parent}: {error.strerror}") from error
        write_file(target, data, force=force)
        done.append((target.relative_to(folder).as_posix(), samples))
    return done


def _targets(container: Container, folder: Path, force: bool) -> list[Path]:
    targets: list[Path] = []
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file", expected="a folder to write into")
    for i in range(len(container.entries)):
        envelope = container.batch(i)[0]
        name = envelope.source_name or f"batch-{i:06}.npy"
        kind: SourceKind = envelope.source_kind or "npy"  # type: ignore[assignment]
        target = folder / sinks.restored_name(name, kind, envelope.source_detail or {})
        # Names cannot hold "..", but a link that lies in the folder can lead out of it.
        if not target.parent.resolve().is_relative_to(folder.resolve()) or target.is_symlink():
            raise OutputError(
                f"{target} leads out of {folder} through a link", do="choose an empty folder"
            )
        if target in targets:
            raise FormatError(f"container: two sources are called {target.name}", expected="one")
        refuse_existing(target, force)
        targets.append(target)
    return targets


def read_container(path: Path, *, salvage: bool = False) -> Container:
    """Read a container. A file cut short is a TruncatedError, unless salvage says to take what is
    whole.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror}", do="check its name") from error
    container = Container(data)
    if not salvage:
        container.require_whole()
    return container
