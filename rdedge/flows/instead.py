"""What other codecs make of a sampled share of the packets, so that a saving has a reference."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rdedge import metrics
from rdedge.bundle.manifest import Manifest
from rdedge.classical import registry
from rdedge.classical.base import ClassicalCodec, SampleForm, Setting, picture_form
from rdedge.classical.search import Found
from rdedge.codec.encoder import Encoder
from rdedge.codec.preprocess import fill_missing
from rdedge.errors import BundleError, ConfigError
from rdedge.flows.rivals import rivals
from rdedge.format.packet import read_packet
from rdedge.ledger.schema import InsteadRow, PacketRow
from rdedge.types import Array, Bound

SHARE = 0.01
# All that are installed, each at what the packet itself errs.
BEST = "best"
NAMED, EQUAL = "named", "equal"
# The option that the number after a codec's name sets.
_OPTIONS = ("quality", "level", "preset", "distance", "psnr", "qp")


@dataclass(frozen=True)
class Wanted:
    """One codec that the user named: `gzip`, `jpeg:85`. value: after the colon."""

    name: str
    value: float | None = None

    @staticmethod
    def of(text: str) -> Wanted:
        """Raises ConfigError."""
        name, colon, number = text.strip().partition(":")
        if name != BEST and name not in registry.known():
            raise ConfigError(
                f"no codec is called {name!r:.40}", expected=", ".join((BEST, *registry.known()))
            )
        try:
            value = float(number) if colon else None
        except ValueError:
            value = float("nan")
        if value is not None and (value != value or name == BEST):
            raise ConfigError(f"{text!r:.40}", expected="NAME or NAME:NUMBER, such as jpeg:85")
        return Wanted(name, value)


class Instead:
    """Runs the codecs that are named, the first of which stands for today.

    names: such as "gzip,jpeg:85,best". share: of the packets, chosen by a hash of seed and bytes.
    Raises ConfigError for a name or a share that cannot be, MissingError without a library.
    """

    def __init__(self, names: str | Iterable[str], share: float = SHARE, seed: int = 0) -> None:
        texts = names.split(",") if isinstance(names, str) else names
        self.wanted = tuple(map(Wanted.of, texts))
        if not self.wanted:
            raise ConfigError("no codec is named", expected="such as gzip,jpeg:85")
        if not 0.0 < share <= 1.0:
            raise ConfigError(f"a share of {share:g}", expected="above 0, at most 1")
        self._most = round(share * 2**64)
        self._seed = seed.to_bytes(8, "little", signed=True)
        for one in self.wanted:
            if one.name != BEST:
                registry.get(one.name)

    def sampled(self, packet: bytes) -> bool:
        """Whether this packet is among those that are sampled."""
        found = hashlib.blake2b(packet, digest_size=8, key=self._seed).digest()
        return int.from_bytes(found, "little") < self._most

    def require(self, manifest: Manifest) -> None:
        """Raise ConfigError where a codec that is named cannot take such samples at all."""
        spec = manifest.sample
        example = np.zeros((1, *spec.shape), spec.dtype)
        for one in self.wanted:
            if one.name != BEST and not _takes(registry.get(one.name), example):
                raise ConfigError(
                    f"{one.name} cannot code samples of shape {spec.shape} and dtype {spec.dtype}",
                    do="leave it out of --instead",
                )
            if one.name != BEST:
                _settings(registry.get(one.name), one, example)

    def rows(self, row: PacketRow, x: Array, packet: bytes, encoder: Encoder) -> list[InsteadRow]:
        """x: (N, *shape), what the packet holds -> a row for each codec and way."""
        bound = self._bound(x, packet, encoder)
        scale = encoder.manifest.scale
        filled = fill_missing(x)[0] if encoder.spec.kind == "series" else x
        found: list[InsteadRow] = []
        for place, one in enumerate(self.wanted):
            if one.name != BEST:
                codec = registry.get(one.name)
                for setting in _settings(codec, one, filled):
                    found.append(_named(row, place, codec, setting, x, filled, encoder))
            codecs = None if one.name == BEST else (one.name,)
            if bound is not None:
                best: dict[str, Found] = {}
                for other in rivals(
                    encoder.spec,
                    [x],
                    bound,
                    scale,
                    packetised=encoder.spec.kind == "image",
                    codecs=codecs,
                ):
                    best.setdefault(other.codec, other)
                found += [_equal(row, place, other, bound) for other in best.values()]
        return found

    def rows_of_lines(self, row: PacketRow, content: bytes) -> list[InsteadRow]:
        """The same for a packet of a log: codecs of bytes, without loss."""
        x = np.frombuffer(content, np.uint8)
        found = []
        for place, one in enumerate(self.wanted):
            names = registry.available() if one.name == BEST else (one.name,)
            for codec in map(registry.get, names):
                if "array" not in codec.takes:
                    continue
                settings = _settings(codec, Wanted(codec.name, one.value), x[None])
                for setting in settings[:1]:
                    started = time.perf_counter_ns()
                    size = len(codec.encode(x, setting).data)
                    spent = time.perf_counter_ns() - started
                    kind = EQUAL if one.name == BEST else NAMED
                    found.append(_row(row, place, codec.name, setting.text, kind, size, 0.0, spent))
        return found

    def _bound(self, x: Array, packet: bytes, encoder: Encoder) -> Bound | None:
        """What the packet errs; None where it errs nothing, or there is no decoder to tell and the
        bundle's own bound stands in for it.
        """
        manifest = encoder.manifest
        try:
            decoder = encoder.decoder()
        except BundleError:
            decoder = None
        if decoder is None:
            return manifest.bound
        x_hat = decoder.decode_packet(read_packet(packet)[0])
        value = metrics.mean(manifest.bound.metric, [x], [x_hat], manifest.scale)
        if not 0.0 < value < float("inf"):
            return None
        return Bound(manifest.bound.metric, float(value))


def _pictures(codec: ClassicalCodec, x: Array) -> list[Array] | None:
    """Samples (N, *shape) as pictures of a form that the codec takes; None where they are none."""
    spec_axes = x.ndim - 1
    if spec_axes == 3 and x.shape[3] == 1:
        x = x[..., 0]
    elif spec_axes not in (2, 3):
        return None
    form = picture_form(x[0])
    return list(x) if form in codec.takes and codec.fits(x.shape[1:]) else None


def _takes(codec: ClassicalCodec, x: Array) -> bool:
    return "array" in codec.takes or "series" in codec.takes or _pictures(codec, x) is not None


def _settings(codec: ClassicalCodec, wanted: Wanted, x: Array) -> list[Setting]:
    """The setting that the user named, or the usual one of a codec without loss; none of a codec
    with loss whose number is left open.
    """
    pictures = _pictures(codec, x)
    if pictures is None and "array" not in codec.takes:
        return []
    form: SampleForm | None = None if pictures is None else picture_form(pictures[0])
    suited = [s for s in codec.settings() if form is None or s.suits(form)]
    if wanted.value is None:
        return [] if codec.ladders() else [s for s in suited if s.lossless][:1]
    for option in _OPTIONS:
        having = [
            s for s in suited if option in dict(s.options) and not dict(s.options).get("bare")
        ]
        exact = [s for s in having if s.option(option) == wanted.value and not s.slow]
        if exact:
            return exact[:1]
        if having and not codec.ladders() and wanted.value == int(wanted.value):
            # Codecs of bytes take any whole level that their library does.
            number = int(wanted.value)
            return [Setting(f"{option} {number}", ((option, number),), lossless=True)]
    raise ConfigError(
        f"{codec.name} has no setting {wanted.value:g}",
        expected="one of " + "; ".join(s.text for s in suited[:3]) + "; ...",
    )


def _named(
    row: PacketRow,
    place: int,
    codec: ClassicalCodec,
    setting: Setting,
    x: Array,
    filled: Array,
    encoder: Encoder,
) -> InsteadRow:
    """Pictures a file each, all else one file."""
    pictures = _pictures(codec, filled)
    parts = [filled] if pictures is None else pictures
    started = time.perf_counter_ns()
    files = [codec.encode(part, setting).data for part in parts]
    spent = time.perf_counter_ns() - started
    distortion = 0.0
    if not setting.lossless:
        back = [
            codec.decode(data, part.shape, str(part.dtype))
            for data, part in zip(files, parts, strict=True)
        ]
        x_hat = np.stack(back).reshape(x.shape)
        metric, scale = encoder.manifest.bound.metric, encoder.manifest.scale
        distortion = float(metrics.mean(metric, [x], [x_hat], scale))
    size = sum(map(len, files))
    return _row(row, place, codec.name, setting.text, NAMED, size, distortion, spent)


def _equal(row: PacketRow, place: int, found: Found, bound: Bound) -> InsteadRow:
    spent = round(1e9 * found.encode_s.value)
    value = found.distortion.value
    return _row(row, place, found.codec, found.setting, EQUAL, found.size_bytes, value, spent)


def _row(
    row: PacketRow,
    place: int,
    codec: str,
    setting: str,
    kind: str,
    size: int,
    distortion: float,
    spent_ns: int,
) -> InsteadRow:
    return InsteadRow(
        device=row.device,
        stream=row.stream,
        time_ns=row.time_ns,
        place=place,
        codec=codec,
        setting=setting,
        kind=kind,
        samples=row.samples,
        raw_bytes=row.raw_bytes,
        payload_bytes=row.payload_bytes,
        bytes=size,
        metric=row.metric,
        distortion=distortion,
        encode_ns=spent_ns,
    )


__all__ = ["SHARE", "Instead", "Wanted"]
