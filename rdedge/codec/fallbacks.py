"""The fallback codecs of a bundle at work (FORMAT.md, section 5.1): samples <-> their stream."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from rdedge.bundle.fallback import AVIF, PNG, STEPS, WEBP, Fallback
from rdedge.bundle.manifest import Manifest
from rdedge.classical import registry
from rdedge.classical.base import ClassicalCodec, Setting, picture_form
from rdedge.codec import frames
from rdedge.codec.steps import Keeps, Steps
from rdedge.errors import FormatError, MissingError, TruncatedError
from rdedge.format.constants import (
    FALLBACK_VALUES_A_BYTE,
    MAX_FALLBACK_VALUES,
    UNEARNED_FALLBACK_VALUES,
    Stream,
)
from rdedge.format.packet import LEARNED, Packet
from rdedge.format.reader import Reader
from rdedge.format.varint import append_varint
from rdedge.types import Array, SampleSpec

_BEST_QUALITY = 100
_PLANES, _FRAME = 1, 2
# What the right quality may leave of a probe's bytes.
_OF_PROBE = 0.5


class FallbackCodec(Protocol):
    """One fallback. name: what the manifest calls it. exact: whether every value comes back."""

    name: str
    exact: bool

    def require(self) -> None:
        """Raise MissingError where it cannot run here."""

    def guess(self, x: Array) -> float:
        """Bits, low rather than high, that a run of samples x (n, *shape) may take."""

    def levels(self, x: Array, keeps: Keeps, start: int = 0) -> Array:
        """The level at which each sample of x (n, *shape) takes the fewest bytes and keeps its
        bound, (n,) int64; -1 for none.
        """

    def finest(self, levels: Array) -> int:
        """Of levels (n,) the one that errs least."""

    def takes(self, x: Array, level: int) -> bool:
        """Whether samples x (n, *shape) can all be coded at this level."""

    def encode(self, x: Array, level: int) -> bytes:
        """A run of samples (n, *shape), which it takes -> its bytes."""

    def decode(self, data: bytes, count: int, shape: tuple[int, ...], level: int) -> Array:
        """Undo encode. Raises a FormatError for anything else."""


class Lossless:
    """`zstd`: the samples as they lie in memory, little-endian."""

    name = "zstd"
    exact = True

    def __init__(self, spec: SampleSpec) -> None:
        self._dtype = np.dtype(spec.dtype).newbyteorder("<")

    def require(self) -> None:
        frames.zstandard()

    def guess(self, x: Array) -> float:
        return min(map(frames.guessed_bits, self._forms(x).values()))

    def finest(self, levels: Array) -> int:
        return 0

    def takes(self, x: Array, level: int) -> bool:
        return True

    def levels(self, x: Array, keeps: Keeps, start: int = 0) -> Array:
        # Its values are those of the source, so there is nothing to measure.
        return np.zeros(len(x), np.int64)

    def _forms(self, x: Array) -> dict[int, bytes]:
        """The ways to lay samples out, by their form."""
        raw = np.ascontiguousarray(x, self._dtype).reshape(-1).view(np.uint8)
        item = self._dtype.itemsize
        forms = {0: raw.tobytes()}
        if item > 1:
            forms[_PLANES] = raw.reshape(-1, item).T.tobytes()
        return forms

    def encode(self, x: Array, level: int) -> bytes:
        found = []
        for form, plain in self._forms(x).items():
            frame = frames.compress(plain)
            found.append(bytes([form]) + plain if frame is None else bytes([form | _FRAME]) + frame)
        return min(found, key=len)

    def decode(self, data: bytes, count: int, shape: tuple[int, ...], level: int) -> Array:
        item = self._dtype.itemsize
        if level or not data or data[0] > _PLANES | _FRAME or (data[0] & _PLANES and item == 1):
            raise FormatError(
                f"fallback: a run of zstd at level {level} of an unknown form",
                expected="level 0, form 0 to 3",
            )
        size = count * math.prod(shape) * item
        plain = data[1:]
        if data[0] & _FRAME:
            plain = frames.decompress(plain, size)
        if len(plain) != size:
            raise FormatError(f"fallback: {len(plain)} bytes of samples", expected=str(size))
        raw = np.frombuffer(plain, np.uint8)
        if data[0] & _PLANES:
            raw = np.ascontiguousarray(raw.reshape(item, -1).T).reshape(-1)
        found: Array = raw.view(self._dtype).astype(self._dtype.newbyteorder("="))
        return found.reshape(count, *shape)


class Pictures:
    """`avif`, `webp`, `png`: every image a file, the length of all but the last before it.

    level: the quality; of `png`, which is without loss, 0.
    """

    def __init__(self, name: str, spec: SampleSpec) -> None:
        self.name, self.exact = name, name == PNG
        self._grey = spec.shape[2] == 1
        # The last quality that kept a bound; None before the first search.
        self._usual: int | None = None

    def require(self) -> None:
        self._codec()

    def _codec(self) -> ClassicalCodec:
        return registry.get(self.name)

    def _settings(self, picture: Array, level: int) -> tuple[Setting, ...]:
        codec = self._codec()
        form = picture_form(picture)
        assert form is not None
        if self.exact:
            return codec.lossless_for(form)
        ladder = next(one for one in codec.ladders_for(form) if not one.slow)
        return (next(s for s in ladder.settings if s.option("quality") == level),)

    def _file(self, image: Array, level: int) -> bytes:
        picture = image[:, :, 0] if self._grey else image
        settings = self._settings(picture, level)
        return min((self._codec().encode(picture, s).data for s in settings), key=len)

    def _image(self, data: bytes, shape: tuple[int, ...]) -> Array:
        picture = self._codec().decode(data, shape[:2] if self._grey else shape)
        return picture.reshape(shape)

    def guess(self, x: Array) -> float:
        if not self._codec().fits(x.shape[1:3] if self._grey else x.shape[1:]):
            return math.inf
        if self.exact:
            steps = np.diff(x, axis=2, prepend=np.uint8(0))
            return sum(
                min(frames.guessed_bits(one.tobytes()), frames.guessed_bits(other.tobytes()))
                for one, other in zip(x, steps, strict=True)
            )
        if self._usual is None:
            # Nothing is known of the quality that the bound asks for: it is searched once.
            return 0.0
        # Near the last quality that kept the bound, since neighbours are alike.
        return _OF_PROBE * 8.0 * sum(len(self._file(image, self._usual)) for image in x)

    def finest(self, levels: Array) -> int:
        return int(levels.max())

    def takes(self, x: Array, level: int) -> bool:
        return True

    def levels(self, x: Array, keeps: Keeps, start: int = 0) -> Array:
        if not self._codec().fits(x.shape[1:3] if self._grey else x.shape[1:]):
            return np.full(len(x), -1, np.int64)
        if self.exact:
            return np.zeros(len(x), np.int64)
        return np.array([self._quality(image, np.array([i]), keeps) for i, image in enumerate(x)])

    def _quality(self, image: Array, which: Array, keeps: Keeps) -> int:
        """The lowest quality that keeps the bound, by bisection from the last one; -1 for none."""
        fails, holds = -1, _BEST_QUALITY + 1
        at = _BEST_QUALITY // 2 if self._usual is None else self._usual
        stride = 8
        while holds - fails > 1:
            again = self._image(self._file(image, at), image.shape)
            if keeps(which, again[None])[0]:
                holds = at
            else:
                fails = at
            if fails < 0:
                at = max(0, holds - stride)
            elif holds > _BEST_QUALITY:
                at = min(_BEST_QUALITY, fails + stride)
            else:
                at = (fails + holds) // 2
            stride *= 2
        if holds > _BEST_QUALITY:
            return -1
        self._usual = holds
        return holds

    def encode(self, x: Array, level: int) -> bytes:
        return joined([self._file(image, level) for image in x])

    def decode(self, data: bytes, count: int, shape: tuple[int, ...], level: int) -> Array:
        if level > (0 if self.exact else _BEST_QUALITY):
            raise FormatError(
                f"fallback: {self.name} at level {level}",
                expected=f"at most {0 if self.exact else _BEST_QUALITY}",
            )
        files = list(parted(data, count))
        return np.stack([self._image(file, shape) for file in files])


def joined(parts: list[bytes]) -> bytes:
    """Parts, the length of all but the last before each."""
    out = bytearray()
    for part in parts[:-1]:
        append_varint(out, len(part))
        out += part
    return bytes(out + parts[-1])


def parted(data: bytes, count: int) -> Iterator[bytes]:
    """Undo joined. Raises a FormatError where data is not so many parts."""
    reader = Reader(data, "fallback")
    # Each part but the last takes a byte at least.
    if count > len(data) + 1:
        raise TruncatedError(f"fallback: {len(data)} bytes", expected=f"{count} parts")
    for _ in range(count - 1):
        yield reader.take(reader.varint("length", 0, len(data)), "part")
    yield reader.take(reader.left, "part")


class Fallbacks:
    """All fallbacks of a manifest, in its order. Nothing is imported before it is asked for."""

    def __init__(self, manifest: Manifest) -> None:
        self.spec = manifest.sample
        self.codecs = tuple(_codec(one, self.spec) for one in manifest.fallbacks)

    def require(self) -> None:
        """Raise MissingError where one of them cannot run here."""
        for codec in self.codecs:
            try:
                codec.require()
            except MissingError as error:
                raise MissingError(
                    f"the bundle's fallback {codec.name} cannot run here: {error.what}",
                    expected=error.expected,
                    do=error.do,
                ) from error

    def refuse(self, packet: Packet, elements: int) -> None:
        """Raise a FormatError where the stream cannot hold what the runs say, before any memory is
        taken. elements: of a sample.
        """
        data = packet.streams.get(Stream.FALLBACK)
        samples = sum(run.count for run in packet.runs if run.codec != LEARNED)
        if not samples:
            if data is not None:
                raise FormatError("the packet has a stream of fallbacks, and no such run")
            return
        if data is None:
            raise TruncatedError("the packet has no stream of fallbacks", expected="one")
        if not earned(samples * elements, len(data)):
            raise FormatError(
                f"fallback: {samples * elements} values in {len(data)} bytes",
                expected="no more values than the bytes can hold",
            )

    def decode(self, packet: Packet, shape: tuple[int, ...], x_hat: Array) -> None:
        """Fill in the samples of the fallback runs; x_hat: (N, *shape). Raises a FormatError."""
        runs = [run for run in packet.runs if run.codec != LEARNED]
        parts = parted(packet.streams[Stream.FALLBACK], len(runs))
        at = 0
        for run in packet.runs:
            if run.codec != LEARNED:
                codec = self.codecs[run.codec - 1]
                some = codec.decode(next(parts), run.count, shape, run.level)
                x_hat[at : at + run.count] = some
            at += run.count


def earned(values: int, stream_bytes: int) -> bool:
    """Whether a stream of so many bytes may hold so many values of fallback samples."""
    most = UNEARNED_FALLBACK_VALUES + FALLBACK_VALUES_A_BYTE * stream_bytes
    return values <= min(MAX_FALLBACK_VALUES, most)


def _codec(fallback: Fallback, spec: SampleSpec) -> FallbackCodec:
    if fallback.codec == STEPS:
        return Steps(fallback, spec)
    if fallback.codec in (AVIF, WEBP, PNG):
        return Pictures(fallback.codec, spec)
    return Lossless(spec)
