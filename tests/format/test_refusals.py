"""Section 7 of FORMAT.md, row by row: exactly that fault, exactly that error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from rdedge.bundle.bundle import Bundle
from rdedge.bundle.fallback import Fallback
from rdedge.bundle.manifest import Level
from rdedge.classical.png import Png
from rdedge.codec import frames
from rdedge.codec.decoder import Decoder
from rdedge.codec.digest import fits_digest
from rdedge.codec.fallbacks import Fallbacks
from rdedge.codec.residual import Corrections, correct
from rdedge.codec.symbols import SymbolCodec
from rdedge.coding.context import Contexts
from rdedge.coding.context_model import ContextModel
from rdedge.coding.means import Moving
from rdedge.coding.palette import Palette
from rdedge.coding.selection import Group, Selection, Selector
from rdedge.coding.tables import Tables
from rdedge.coding.trellis import EIGHT, Trellis, dequantise
from rdedge.data import sinks
from rdedge.errors import (
    BundleError,
    ChecksumError,
    FormatError,
    MismatchError,
    RdedgeError,
    TruncatedError,
    UnsupportedError,
)
from rdedge.format.container import Container
from rdedge.format.envelope import read_envelope
from rdedge.format.mask import read_mask
from rdedge.format.measured import read_measured
from rdedge.format.packet import read_packet
from rdedge.format.times import read_times
from rdedge.metrics import Scale
from rdedge.types import SampleSpec
from tests.bundle import tiny
from tests.coding.reference import varint
from tests.format import build, page
from tests.format.faults_of_counts import COUNTS_FAULTS
from tests.format.faults_of_lines import LINE_FAULTS

ROWS = page.refusals()


@dataclass(frozen=True)
class Fault:
    name: str
    error: type[RdedgeError]
    read: Callable[[], object]


def packet(name: str, error: type[RdedgeError], *args, **kwargs) -> Fault:
    return Fault(name, error, lambda: read_packet(build.packet(*args, **kwargs)))


def envelope(name: str, error: type[RdedgeError], *args, **kwargs) -> Fault:
    return Fault(name, error, lambda: read_envelope(build.envelope(*args, **kwargs)))


def altered(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def all_batches(data: bytes) -> list:
    found = Container(data)
    found.require_whole()
    return list(found.batches())


def container(name: str, error: type[RdedgeError], records: bytes, *entries) -> Fault:
    data = build.container(records, build.index(*entries))
    return Fault(name, error, lambda: all_batches(data))


def runs(*triples: tuple[int, int, int], number: int | None = None) -> bytes:
    found = varint(len(triples) if number is None else number)
    for i, (codec, level, count) in enumerate(triples):
        found += varint(2 * level) if codec == 0 else varint(2 * codec + 1) + varint(level)
        found += varint(count) if i + 1 < len(triples) else b""
    return found + build.PLAIN


# Two latents a sample: the second table is skewed so that a sample takes little room.
TABLES = Tables(np.array([-1, 0]), (np.array([20000, 30000, 15000, 536]), np.array([65000, 536])))
CODEC = SymbolCodec(build.KEY, TABLES, Selection.plain(2), levels=1)
# Two classes of one latent, and a selector whose symbols go from -1 to 1.
CHOICE = Selection((Group(np.array([[0], [1]], np.uint16), np.zeros(1, np.uint8), 0),))
CHOOSER = SymbolCodec(build.KEY, TABLES, CHOICE, levels=1)
SYMBOLS = np.array([0, 0, 1, 0, 90, 0, -70000, 5], np.int32)
CODED = read_packet(CODEC.pack(SYMBOLS, 4))[0].streams
LATENTS, ESCAPES = CODED[build.LATENTS], CODED[build.ESCAPES]


def unpack(
    name: str,
    error: type[RdedgeError],
    latents: bytes,
    escapes: bytes | None = None,
    samples: int = 4,
    lanes: int = 0,
    **kwargs,
) -> Fault:
    """A sound packet whose streams hold the fault."""
    body = bytes([lanes]) if lanes else b""
    body += build.stream(build.LATENTS, latents, last=escapes is None)
    if escapes is not None:
        body += build.stream(build.ESCAPES, escapes, last=True)
    data = build.packet(body, samples=samples, flags=build.LANES if lanes else 0, **kwargs)
    return Fault(name, error, lambda: CODEC.unpack(read_packet(data)[0]))


def codec(name: str, error: type[RdedgeError], body: bytes, flags: int, **kwargs) -> Fault:
    data = build.packet(body, flags=flags, **kwargs)
    return Fault(name, error, lambda: CODEC.unpack(read_packet(data)[0]))


def only(*numbers: int) -> bytes:
    """What FLAG_RUN says."""
    return b"".join(map(varint, numbers))


# Vectors of three uint8, and pictures of 8 x 8: two codecs of any samples, one of pictures.
SIMPLE = (Fallback("steps", (1.0,), (0.0,)), Fallback("zstd"), Fallback("png"))
FALLBACKS = {
    "vector": Fallbacks(tiny.manifest(fallbacks=SIMPLE[:2])),
    "image": Fallbacks(
        tiny.manifest(fallbacks=SIMPLE, sample=SampleSpec("image", (8, 8, 1), "uint8"))
    ),
}
FALLING = SymbolCodec(build.KEY, TABLES, Selection.plain(2), levels=1, fallbacks=3)
FRAME = frames.compress(bytes(300))
BOMB = frames.compress(bytes(1 << 24))
OTHER_PNG = Png().encode(np.zeros((9, 8), np.uint8), Png().lossless()[0]).data
assert FRAME is not None
assert BOMB is not None
LAST_PART = build.stream(build.FALLBACK, b"\0\1\2\3", last=True)
ONLY_A_MASK = build.stream(6, b"\1", last=True)


def fallback(
    name: str,
    error: type[RdedgeError],
    body: bytes,
    flags: int = build.RUN,
    samples: int = 1,
    kind: str = "vector",
) -> Fault:
    found, shape = FALLBACKS[kind], FALLBACKS[kind].spec.shape

    def read() -> object:
        packet = read_packet(build.packet(body, flags=flags, samples=samples))[0]
        FALLING.unpack(packet)
        found.refuse(packet, int(np.prod(shape)))
        found.decode(packet, shape, np.empty((samples, *shape), np.uint8))
        return packet

    return Fault(name, error, read)


def residual(
    name: str,
    data: bytes,
    *,
    step: float = 5.0,
    error: type[RdedgeError] = FormatError,
    samples: int = 1,
    flags: int = 0,
    before: bytes = b"",
) -> Fault:
    """A packet of three uint8 a sample, with a stream of residuals."""
    body = before + build.stream(4, data, last=True)
    if not before:
        body = build.stream(2, b"") + body
    found = read_packet(build.packet(body, flags=flags, samples=samples))[0]
    corrections = Corrections(tiny.manifest(residual=step)) if step else None

    def read() -> object:
        x_hat = np.zeros((samples, 3), np.uint8)
        learned = np.full(samples, not before)
        correct(found, corrections, x_hat, learned, None)
        return x_hat

    return Fault(name, error, read)


# Table 2, fineness 0: 0, 0 and 1.
RESIDUAL = bytes.fromhex("020c")


def digest(name: str, error: type[RdedgeError], data: bytes, dtype: type) -> Fault:
    x_hat = np.zeros((1, 3), dtype)
    return Fault(name, error, lambda: fits_digest(data, x_hat, Scale(1.0, (1.0,))))


def part(codec: int, level: int, data: bytes) -> bytes:
    """The body of a packet of one run of a fallback."""
    return only(2 * codec + 1, level) + build.stream(build.FALLBACK, data, last=True)


def tables(name: str, error: type[RdedgeError], data: bytes) -> Fault:
    return Fault(name, error, lambda: Tables.from_bytes(data))


def selection(name: str, *numbers: int, error: type[RdedgeError] = FormatError) -> Fault:
    """Numbers under 128, each a byte, and varints alike."""
    data = b"".join(map(varint, numbers))
    return Fault(name, error, lambda: Selection.from_bytes(data))


CONTEXTS = {
    "sizes": (2, 1, 1),
    "kinds": (0,),
    "fixed": (0,),
    "contextual": (1,),
    "spans": (1, 0, 0, 1),
    "taps": (0,),
    "weights": (2, 0, 0, 0, 0, 0, 0, 0),
    "levels": (1, 1, 1),
    "bank": (0, 7),
    "end": (),
}


def contexts(name: str, error: type[RdedgeError] = FormatError, **other: tuple[int, ...]) -> Fault:
    """Contexts of two latents, the second contextual, but for these numbers."""
    numbers = [n for part in (CONTEXTS | other).values() for n in part]
    data = b"".join(map(varint, numbers))
    return Fault(name, error, lambda: Contexts.from_bytes(data))


def trellis(name: str, pairs: object) -> Fault:
    return Fault(name, FormatError, lambda: Trellis.of(pairs))


def tapped() -> ContextModel:
    """Contexts with a tap, and a trellis."""
    numbers = [n for part in (CONTEXTS | {"taps": (1, 0, 0, 2)}).values() for n in part]
    found = Contexts.from_bytes(b"".join(map(varint, numbers)))
    moving = Moving(EIGHT, np.ones(2, np.bool_))
    return ContextModel(found, np.zeros(2, np.uint16), TABLES, moving=moving)


# Grey images of two values; a neighbour to the left; one unit in each layer.
PALETTE = {
    "size": (0, 0),
    "values": (2,),
    "inputs": (1,),
    "hidden": (1, 1),
    "levels": (1,),
    "codes": (0, 64, 0),
    "shifts": (0, 0, 0),
    "positions": (0, 65535),
    "offsets": (0, 1),
    "weights": (2, 0, 2, 0, 2, 0),
    "end": (),
}


def palette(name: str, error: type[RdedgeError] = FormatError, **other: tuple[int, ...]) -> Fault:
    """That palette but for these numbers."""
    numbers = [n for part in (PALETTE | other).values() for n in part]
    data = b"".join(map(varint, numbers))
    return Fault(name, error, lambda: Palette.from_bytes(data))


def of_palette(name: str, **changes: object) -> Fault:
    """A bundle of grey images of two values but for these."""
    made: dict = {
        "shape": (4, 4, 1),
        "kind": "image",
        "levels": (Level(1.0),),
        "patch": 1,
        "latents": 1,
        "size": (0, 0),
        "count": 1,
        "classes": 1,
        **changes,
    }
    numbers = [n for part in (PALETTE | {"size": made["size"]}).values() for n in part]
    if made["size"] != (0, 0):
        numbers = numbers[:-4] + [0] * sum(made["size"]) + numbers[-4:]
    tables_of = Tables(
        np.zeros(made["count"], np.int32), (np.array([60000, 5535, 1]),) * made["count"]
    )
    choice = Group(
        np.zeros((made["classes"], made["latents"]), np.uint16),
        np.ones(made["latents"], np.uint8),
        0 if made["classes"] > 1 else None,
    )
    members = tiny.members(
        **{
            "palette.bin": b"".join(map(varint, numbers)),
            "tables.bin": tables_of.to_bytes(),
            "selection.bin": Selection((choice,)).to_bytes(),
            **made.get("members", {}),
        }
    )
    manifest = tiny.manifest(
        sample=SampleSpec(made["kind"], made["shape"], "uint8"),
        levels=made["levels"],
        patch=made["patch"],
        latents=made["latents"],
    )
    return Fault(name, BundleError, lambda: Bundle.make(manifest, members))


def with_escapes() -> None:
    """A packet of a palette with a stream that it never has."""
    numbers = [n for part in PALETTE.values() for n in part]
    one = Palette.from_bytes(b"".join(map(varint, numbers)))
    answers = Tables(np.zeros(1, np.int32), (np.array([60000, 5535, 1]),))
    codec = SymbolCodec(build.KEY, answers, Selection.plain(1), palette=one)
    sound = codec.pack(np.array([0, 1, 1, 0], np.int32), 1, grid=(2, 2))
    assert codec.unpack(read_packet(sound)[0], (2, 2)).tolist() == [[0, 1, 1, 0]]
    latents = read_packet(sound)[0].streams[build.LATENTS]
    body = build.stream(build.LATENTS, latents) + build.stream(build.ESCAPES, b"\0", last=True)
    codec.unpack(read_packet(build.packet(body))[0], (2, 2))


def chosen(name: str, choice: int) -> Fault:
    """One sample whose class is choice."""
    index = np.array([0, 0], np.uint16)
    coded = CHOOSER.coder.encode(np.array([choice, 0], np.int32), None, index)
    body = build.stream(build.LATENTS, coded.latents, last=not coded.escapes)
    if coded.escapes:
        body += build.stream(build.ESCAPES, coded.escapes, last=True)
    data = build.packet(body)
    return Fault(name, FormatError, lambda: CHOOSER.unpack(read_packet(data)[0]))


def shaped(
    name: str, spec: SampleSpec, *axes: int, error: type[RdedgeError] = MismatchError
) -> Fault:
    """A packet that says so of its shape, to a decoder of such samples."""
    decoder = object.__new__(Decoder)
    decoder.spec = spec
    body = bytes([len(axes)]) + b"".join(map(varint, axes)) + build.PLAIN
    data = build.packet(body, flags=build.SHAPE)
    return Fault(name, error, lambda: decoder._shape(read_packet(data)[0]))


def bundle(name: str, data: bytes) -> Fault:
    return Fault(name, BundleError, lambda: Bundle.from_bytes(data))


IMAGE = SampleSpec("image", (8, 8, 1), "uint8")
COLOUR = SampleSpec("image", (8, 8, 3), "uint8")
VECTORS = np.zeros((2, 3), np.float32)
WINDOWS = np.zeros((2, 2, 3), np.float32)
PICTURE = np.zeros((1, 4, 4, 3), np.uint8)


def detail(name: str, kind: str, value: dict, samples: np.ndarray = VECTORS) -> Fault:
    hours = np.arange(len(samples) * 2) * 3_600_000_000_000
    return Fault(name, FormatError, lambda: sinks.to_bytes(samples, kind, value, hours))


def timed(**other) -> dict:
    return {"index": 0, "format": "s", **other}


def mask(name: str, lengths: list[int], shape: tuple[int, ...] = (2, 4, 3)) -> Fault:
    return Fault(name, FormatError, lambda: read_mask(b"".join(map(varint, lengths)), shape))


def times(name: str, error: type[RdedgeError], *numbers: int, exponents: int = 0x99) -> Fault:
    """Rows, then the exponents, then the other numbers."""
    data = varint(numbers[0]) + bytes([exponents]) + b"".join(map(varint, numbers[1:]))
    return Fault(name, error, lambda: read_times(data, 5))


ONE = build.batch(build.packet(samples=7))
TWO = build.batch(build.packet(samples=1), build.packet(samples=2))
LONE = build.packet()
WHOLE = build.container(ONE, build.index((4, 1, 7)))

FAULTS: dict[tuple[str, str], list[Fault]] = {
    ("all", "input ends"): [
        Fault("packet", TruncatedError, lambda: read_packet(LONE[:-1])),
        packet("body beyond", TruncatedError, length=1 << 20),
        packet("stream beyond the body", TruncatedError, b"\x82\x04abc"),
        packet("runs beyond the body", TruncatedError, varint(5), samples=9, flags=build.RUNS),
        Fault("no packet", TruncatedError, lambda: read_packet(b"")),
        Fault("envelope", TruncatedError, lambda: read_envelope(build.envelope()[:-1])),
        envelope("fields beyond", TruncatedError, length=1 << 16),
        envelope("field beyond the fields", TruncatedError, build.field(1, b"a", length=2)),
        envelope("a number without bytes", TruncatedError, build.field(3, b"")),
        Fault("container", TruncatedError, lambda: all_batches(WHOLE[:-1])),
        Fault("container of 3 bytes", TruncatedError, lambda: Container(b"RDZ")),
        Fault("no container", TruncatedError, lambda: Container(b"")),
        Fault("tables", TruncatedError, lambda: Tables.from_bytes(TABLES.to_bytes()[:-1])),
    ],
    ("all", "a varint"): [
        Fault(
            "body length in two bytes",
            FormatError,
            lambda: read_packet(
                build.sealed(b"\xb5\x01" + build.KEY + b"\x85\x00\x01" + build.PLAIN)
            ),
        ),
        envelope("a sequence in two bytes", FormatError, build.field(3, b"\x85\x00")),
        envelope("a sequence above 64 bits", FormatError, build.field(3, b"\xff" * 9 + b"\x02")),
        envelope("a sequence of 11 bytes", FormatError, build.field(3, b"\xff" * 10 + b"\x01")),
    ],
    ("all", "CRC"): [
        Fault("packet", ChecksumError, lambda: read_packet(altered(LONE, len(LONE) - 5))),
        Fault("its CRC", ChecksumError, lambda: read_packet(altered(LONE, len(LONE) - 1))),
        Fault("envelope", ChecksumError, lambda: read_envelope(altered(build.envelope(), 9))),
        Fault("index", ChecksumError, lambda: all_batches(altered(WHOLE, len(WHOLE) - 14))),
        Fault("in a container", ChecksumError, lambda: all_batches(altered(WHOLE, len(ONE) - 3))),
    ],
    ("packet, envelope, container", "wrong magic"): [
        packet("packet", FormatError, magic=0xB4),
        envelope("envelope", FormatError, magic=0xB5),
        Fault("container", FormatError, lambda: Container(b"PK\x03\x04" + WHOLE[4:])),
        Fault(
            "unknown record",
            FormatError,
            lambda: all_batches(build.container(ONE + b"\x77", build.index((4, 1, 7)))),
        ),
    ],
    ("packet, envelope, container", "a version"): [
        packet("packet of version 2", UnsupportedError, version=2),
        packet("packet of version 0", UnsupportedError, version=0),
        envelope("envelope of version 2", UnsupportedError, version=2),
        *[
            envelope(f"envelope with bit {bit}", UnsupportedError, version=1 | 1 << bit)
            for bit in range(3, 8)
        ],
        Fault(
            "container of version 2", UnsupportedError, lambda: Container(b"RDZ\x02" + WHOLE[4:])
        ),
    ],
    ("packet", "body above"): [
        packet("body above 2^30", FormatError, length=(1 << 30) + 1),
        packet("no body", FormatError, b""),
        packet("no samples", FormatError, samples=0),
        packet("2^24 + 1 samples", FormatError, samples=(1 << 24) + 1),
    ],
    ("packet", "runs"): [
        packet("too many", FormatError, runs((0, 1, 4), (0, 2, 0)), samples=3, flags=build.RUNS),
        packet(
            "one more run", FormatError, runs((0, 1, 3), (0, 2, 1)), samples=3, flags=build.RUNS
        ),
        packet("none", FormatError, runs(), samples=3, flags=build.RUNS),
        packet("more runs than samples", FormatError, runs((0, 1, 1), (0, 2, 1)), flags=build.RUNS),
        packet(
            "an empty one", FormatError, runs((0, 1, 0), (0, 2, 3)), samples=3, flags=build.RUNS
        ),
        packet(
            "equal neighbours", FormatError, runs((0, 1, 1), (0, 1, 2)), samples=3, flags=build.RUNS
        ),
        packet("the default", FormatError, runs((0, 0, 3)), samples=3, flags=build.RUNS),
        packet("codec 0", FormatError, b"\2\1\1\1\2" + build.PLAIN, samples=3, flags=build.RUNS),
        packet("the default as one run", FormatError, b"\0" + build.PLAIN, flags=build.RUN),
        packet("codec 0 as a fallback", FormatError, b"\1\0" + build.PLAIN, flags=build.RUN),
        packet("a table of one", FormatError, runs((0, 1, 3)), samples=3, flags=build.RUNS),
        packet(
            "both",
            FormatError,
            runs((0, 1, 2), (0, 2, 1)),
            samples=3,
            flags=build.RUNS | build.RUN,
        ),
        packet(
            "twice the default",
            FormatError,
            runs((0, 0, 1), (0, 0, 2)),
            samples=3,
            flags=build.RUNS,
        ),
    ],
    ("packet", "a codec or level"): [
        codec("codec 1", UnsupportedError, only(3, 0) + build.PLAIN, build.RUN),
        codec("codec 2^40", UnsupportedError, only(1 << 41 | 1, 0) + build.PLAIN, build.RUN),
        codec("level 1", UnsupportedError, only(2) + build.PLAIN, build.RUN),
        codec("level 2^40", UnsupportedError, only(1 << 41) + build.PLAIN, build.RUN),
        codec(
            "codec 1 in a table",
            UnsupportedError,
            runs((0, 0, 1), (1, 0, 1)),
            build.RUNS,
            samples=2,
        ),
    ],
    ("packet", "lanes"): [
        packet("2^0 lanes", FormatError, b"\x00" + build.PLAIN, flags=build.LANES),
        packet("2^13 lanes", FormatError, b"\x0d" + build.PLAIN, flags=build.LANES),
        packet("no axes", FormatError, b"\x00" + build.PLAIN, flags=build.SHAPE),
        packet("5 axes", FormatError, b"\x05" + b"\x01" * 5 + build.PLAIN, flags=build.SHAPE),
        packet("an axis of 0", FormatError, b"\x02\x01\x00" + build.PLAIN, flags=build.SHAPE),
        packet(
            "an axis above 2^24",
            FormatError,
            b"\x01" + varint((1 << 24) + 1) + build.PLAIN,
            flags=build.SHAPE,
        ),
    ],
    ("packet", "streams"): [
        packet(
            "out of order", FormatError, build.stream(5, b"e") + build.stream(2, b"l", last=True)
        ),
        packet("twice", FormatError, build.stream(2, b"e") + build.stream(2, b"l", last=True)),
        packet("of type 0", FormatError, build.stream(0, b"", critical=False) + build.PLAIN),
        packet("none marked last", FormatError, build.stream(2, b"abc")),
        packet(
            "known, not critical", FormatError, build.stream(2, b"abc", last=True, critical=False)
        ),
        packet("a mask, not critical", FormatError, b"\x82\x01l\x46\x00"),
        packet("times, critical", FormatError, b"\x82\x01l\xe1\x00"),
    ],
    ("packet", "an unknown critical"): [
        packet(
            f"stream {kind}",
            UnsupportedError,
            b"".join(
                [build.PLAIN.replace(b"\xc2", b"\x82\x03"), build.stream(kind, b"", last=True)]
                if kind > 2
                else [build.stream(kind, b""), build.PLAIN]
            ),
        )
        for kind in (1, 3, 9, 31, 35, 63)
    ],
    ("packet", "`latents`, `escapes`, `residual` or lanes"): [
        *[
            fallback(name, FormatError, only(3, 0) + body, build.RUN | flags)
            for name, body, flags in (
                ("latents", build.stream(2, b"a") + LAST_PART, 0),
                ("escapes", build.stream(5, b"a") + LAST_PART, 0),
                ("lanes", b"\1" + LAST_PART, build.LANES),
            )
        ],
        residual("no learned sample", b"\x00\x01", flags=build.RUN, before=only(3, 0)),
        fallback("no stream", TruncatedError, only(3, 0) + ONLY_A_MASK),
        fallback("no run", FormatError, build.stream(2, b"") + LAST_PART, 0),
        fallback(
            "no latents", TruncatedError, runs((0, 0, 1), (1, 0, 1))[:5] + LAST_PART, build.RUNS, 2
        ),
    ],
    ("fallback", "more values"): [
        fallback("more values than a byte earns", FormatError, part(1, 0, b"\0"), samples=1 << 20),
        fallback("more than 2^28", FormatError, part(1, 0, bytes(6000)), samples=1 << 24),
        fallback("steps beyond", FormatError, part(1, 2561, b"\0\1\2\3")),
        fallback("zstd at level 1", FormatError, part(2, 1, b"\0\1\2\3")),
        fallback("steps of form 4", FormatError, part(1, 0, b"\4\1\2\3")),
        fallback("steps of no form", FormatError, part(1, 0, b"")),
        fallback("zstd of form 4", FormatError, part(2, 0, b"\4\1\2\3")),
        fallback("planes of bytes", FormatError, part(2, 0, b"\1\1\2\3")),
        fallback("zstd of no form", FormatError, part(2, 0, b"")),
        fallback("no frame", FormatError, part(1, 0, b"\2abc")),
        fallback("no frame of zstd", FormatError, part(2, 0, b"\2abc")),
        fallback("half a frame", FormatError, part(2, 0, b"\2" + FRAME[:-1]), samples=100),
        fallback(
            "a byte after the frame", FormatError, part(2, 0, b"\2" + FRAME + b"\0"), samples=100
        ),
        fallback("a frame that holds more", FormatError, part(2, 0, b"\2" + BOMB)),
        fallback("a frame of steps that holds more", FormatError, part(1, 0, b"\2" + BOMB)),
        fallback("a byte less", FormatError, part(2, 0, b"\0\1\2")),
        fallback("a byte more", FormatError, part(2, 0, b"\0\1\2\3\4")),
        fallback("a varint less", FormatError, part(1, 0, b"\0\1\2")),
        fallback("a varint more", FormatError, part(1, 0, b"\0\1\2\3\4")),
        fallback("half a varint", FormatError, part(1, 0, b"\0\1\2\x83")),
        fallback("a long varint", FormatError, part(1, 0, b"\0\1\2\x83\0")),
        fallback("above 64 bits", FormatError, part(1, 0, b"\0\1\2" + b"\xff" * 9 + b"\2")),
        fallback("no picture", FormatError, part(3, 0, b"abc"), kind="image"),
        fallback("a picture's level", FormatError, part(3, 1, b"abc"), kind="image"),
        fallback("a picture of 9 x 8", FormatError, part(3, 0, OTHER_PNG), kind="image"),
        fallback("fewer parts", TruncatedError, part(3, 0, b""), samples=2, kind="image"),
        fallback("a part beyond", TruncatedError, part(3, 0, b"\4abc"), samples=2, kind="image"),
    ],
    ("residual", "in a packet"): [
        residual("no step", RESIDUAL, step=0.0),
        residual("no head", b"", error=TruncatedError),
        residual("no more", b"\x80", error=TruncatedError),
        residual("more of nothing", b"\x80\x00" + RESIDUAL[1:]),
        residual("a bit of more", b"\x80\x21" + RESIDUAL[1:]),
        residual("2^13 lanes", b"\x80\x0d" + bytes(1 << 16)),
        residual("no length of escapes", b"\x80\x10", error=TruncatedError),
        residual("no escapes", b"\x80\x10\x00" + RESIDUAL[1:]),
        residual("escapes beyond", b"\x80\x10\x09" + RESIDUAL[1:], error=FormatError),
        residual("escapes left over", b"\x80\x10\x01\x00" + RESIDUAL[1:]),
        residual("escapes missing", bytes.fromhex("121f"), error=TruncatedError),
        residual("a byte more", RESIDUAL + b"\x01"),
        residual("nothing but zeros", b"\x0f"),
        residual("below 0 in zigzag", bytes.fromhex("80100101ffff07")),
        residual("a fineness that leaves no step", b"\x60" + RESIDUAL[1:], step=3.0),
        residual("too many values", b"\x0f\x01", samples=1 << 20),
    ],
    ("digest", "of integers"): [
        digest("7 bytes", FormatError, bytes(7), np.uint8),
        digest("9 bytes", FormatError, bytes(9), np.uint8),
        digest("no exponent", TruncatedError, b"", np.float32),
        digest("an exponent of 1001", FormatError, varint(2002) + bytes(9), np.float32),
        digest("7 bytes of floats", FormatError, bytes(9), np.float32),
        digest("9 bytes of floats", FormatError, bytes(11), np.float32),
    ],
    ("measured", "anything but"): [
        Fault(f"measured {data.hex()}", FormatError, partial(read_measured, data))
        for data in map(
            bytes.fromhex, ("", "000080", "0000803f00", "0000c07f", "000080bf", "00000080")
        )
    ],
    ("mask", "no length"): [
        mask("no length", []),
        mask("a length of 0 in the middle", [3, 0, 4]),
        mask("two lengths of 0", [0, 0]),
        mask("all values", [24]),
        mask("all values and no present one", [0, 24]),
        mask("more than all", [3, 1 << 40]),
        mask("many lengths that are more than all", [1] * 24),
        mask("vectors", [1], (2, 12)),
        mask("images", [1], (2, 2, 2, 3)),
    ],
    ("times", "no rows"): [
        times("no rows", FormatError, 0, 2),
        times("more than the source has", FormatError, 6, 2, 1, 1),
        times("2^60 rows", FormatError, 1 << 60, 2, 1, 1),
        times("exponents of 10 and 9", FormatError, 2, 2, 1, 1, exponents=0xA9),
        times("exponents of 9 and 15", FormatError, 2, 2, 1, 1, exponents=0x9F),
        times("a smaller exponent of the start", FormatError, 2, 20, 1, 1, exponents=0x89),
        times("a smaller exponent of the unit", FormatError, 2, 2, 10, 1, exponents=0x98),
        times("another exponent for 0", FormatError, 2, 0, 1, 1, exponents=0x09),
        times("an exponent of a unit for one row", FormatError, 1, 2, exponents=0x99),
        times("a unit too small", FormatError, 3, 2, 1, 2),
        times("a unit of 0", FormatError, 3, 2, 0, 1),
        times("a unit of 0 and a step of 2^64 - 1", FormatError, 3, 2, 0, (1 << 64) - 1),
        times("a unit of 2^63 and a step of 0", FormatError, 3, 2, 1 << 63, 0),
        times("a step that is not the most frequent", FormatError, 4, 2, 1, 1, 0, 2, 0, 2),
        times("an exception of no deviation", FormatError, 3, 2, 1, 1, 0, 0),
        times("an exception beyond the rows", FormatError, 3, 2, 1, 1, 2, 2),
        times("a time that runs backwards", FormatError, 3, 2, 1, 1, 1, 3),
        times("a start beyond int64", FormatError, 1, 1 << 60, exponents=0x90),
        times("an end beyond int64", FormatError, 2, 2 * 9 * 10**9, 1, 10**9),
        times("a span of 2^63", FormatError, 3, 1, 1, 1 << 62, exponents=0x00),
        times("bytes after one row", FormatError, 1, 2, 5, exponents=0x90),
        times("no start", TruncatedError, 1, exponents=0x90),
        times("no unit", TruncatedError, 2, 2),
        times("no step", TruncatedError, 2, 2, 1),
        times("half an exception", TruncatedError, 3, 2, 1, 1, 0),
        Fault("no exponents", TruncatedError, lambda: read_times(b"\x01", 5)),
        Fault("nothing", TruncatedError, lambda: read_times(b"", 5)),
    ],
    ("packet", "a codec key"): [
        codec("key", MismatchError, build.PLAIN, 0, key=b"\x01\x02\x03\x05"),
        shaped("the shape of the bundle", SampleSpec("vector", (8, 8), "uint8"), 8, 8),
        shaped("another shape", SampleSpec("vector", (3,), "uint8"), 8, 8),
        shaped("a longer window", SampleSpec("series", (64, 2), "float32"), 65, 2),
        shaped("images of more channels", IMAGE, 8, 8, 3),
    ],
    ("packet", "images of a shape of their own"): [
        shaped("2^28 and 2^14 more", IMAGE, 1 << 14, (1 << 14) + 1, 1, error=FormatError),
        shaped("a line of 3 * 2^27", COLOUR, 1 << 24, 8, 3, error=FormatError),
    ],
    ("rANS", "too few bytes"): [
        unpack("no state for 2 lanes", TruncatedError, LATENTS[:15], ESCAPES, lanes=1),
        unpack("a word left over", FormatError, LATENTS + bytes(4), ESCAPES),
        unpack("another end", FormatError, altered(LATENTS, 0), ESCAPES),
        unpack("a zero last byte", FormatError, b"\x01\x00", samples=1),
        unpack("no latents at all", FormatError, b"", ESCAPES),
        codec("too many samples", FormatError, build.PLAIN, 0, samples=1 << 24),
    ],
    ("escapes", "missing"): [
        unpack("missing", TruncatedError, LATENTS),
        unpack("one missing", TruncatedError, LATENTS, ESCAPES[:1]),
        unpack("left over", FormatError, LATENTS, ESCAPES + b"\x01"),
        unpack("an empty stream", FormatError, LATENTS, b""),
        unpack("beyond int32", FormatError, LATENTS, varint(1 << 33) + ESCAPES[1:]),
    ],
    ("envelope", "fields"): [
        envelope("out of order", FormatError, build.field(5, b"a") + build.field(1, b"a")),
        envelope("twice", FormatError, build.field(1, b"a") + build.field(1, b"a")),
        envelope("type 0", FormatError, build.field(0, b"a")),
        envelope("part, not critical", FormatError, build.field(4, b"\x00")),
        envelope("device, critical", FormatError, build.field(1, b"a", critical=True)),
        envelope("packets", FormatError, packets=(1 << 24) + 1),
        envelope("payload", FormatError, payload=(1 << 40) + 1),
        envelope("fields", FormatError, length=(1 << 16) + 1),
        envelope("bytes after a number", FormatError, build.field(3, b"\x01\x01")),
        envelope("bytes after a time", FormatError, build.field(6, b"\x01\x01")),
        envelope("15 bytes of boot", FormatError, build.field(2, bytes(15))),
        envelope("17 bytes of boot", FormatError, build.field(2, bytes(17))),
    ],
    ("envelope", "text"): [
        envelope("no UTF-8", FormatError, build.field(1, b"\xff")),
        envelope("half a surrogate pair", FormatError, build.field(1, b"\xed\xa0\x80")),
        envelope("empty", FormatError, build.field(5, b"")),
        envelope("65 bytes", FormatError, build.field(1, b"a" * 65)),
        envelope("4097 bytes", FormatError, build.field(8, b"a" * 4097)),
        envelope("a control character", FormatError, build.field(1, b"a\x1bb")),
        envelope("another", FormatError, build.field(1, "a\u0085b".encode())),
        *[
            envelope(f"the name {name}", FormatError, build.field(8, name.encode()))
            for name in (
                "..",
                "../a",
                "a/../b",
                "a/..",
                ".",
                "./a",
                "/a",
                "/",
                "a//b",
                "a/",
                "a\\b",
                "C:a",
                "a\x00",
                "a\nb",
            )
        ],
        envelope("kind 7", FormatError, build.field(9, b"\x07")),
        *[
            envelope(f"the detail {text[:20]!r}", FormatError, build.field(10, text))
            for text in (
                b"",
                b"[]",
                b"1",
                b"{",
                b'{"a": 1}',
                b'{"b":1,"a":1}',
                b'{"a":1,"a":1}',
                b'{"a":NaN}',
                b'{"a":1e999}',
                b'{"a":"\\ud800"}',
                b"\xff",
                b"[" * 60000,
                b"9" * 5000,
                b'\xef\xbb\xbf{"a":1}',
            )
        ],
        detail("a delimiter of two", "csv", {"delimiter": ",,"}),
        detail("no delimiter", "csv", {"delimiter": ""}),
        detail("a digit as delimiter", "csv", {"delimiter": "1"}),
        detail("a number as delimiter", "csv", {"delimiter": 1}),
        detail("a header of text", "csv", {"delimiter": ",", "header": "abc"}),
        detail("a header of numbers", "csv", {"delimiter": ",", "header": [1, 2]}),
        detail("no header", "csv", {"delimiter": ",", "header": None}),
        detail("a key that leaves", "npz", {"key": "../a"}),
        detail("a path as key", "npz", {"key": "/a"}),
        detail("an empty key", "npz", {"key": ""}),
        detail("a number as key", "npz", {"key": 1}),
        detail("a key with a NUL", "npz", {"key": "a\x00"}),
        detail("another order", "npy", {"order": "F"}),
        detail("two single samples", "npy", {"order": "single"}),
        detail("what no one knows", "npy", {"keys": "a"}),
        detail("rows of vectors", "npy", {"rows": 4}),
        detail("no rows", "csv", {"rows": 0}, WINDOWS),
        detail("true rows", "csv", {"rows": True}, WINDOWS),
        detail("rows as text", "csv", {"rows": "4"}, WINDOWS),
        detail("a window without a row", "csv", {"rows": 2}, WINDOWS),
        detail("rows in an order", "npy", {"rows": 4, "order": "single"}, WINDOWS[:1]),
        detail("a header of one", "csv", {"rows": 4, "header": ["a"]}, WINDOWS),
        detail("times without rows", "csv", {"time": timed()}, WINDOWS),
        detail("times of no table", "npy", {"rows": 4, "time": timed()}, WINDOWS),
        detail("times as text", "csv", {"rows": 4, "time": "s"}, WINDOWS),
        detail("times with more", "csv", {"rows": 4, "time": timed(zone="Z")}, WINDOWS),
        detail("times with a name alone", "csv", {"rows": 4, "time": timed(name="t")}, WINDOWS),
        detail("times in column 4", "csv", {"rows": 4, "time": timed(index=4)}, WINDOWS),
        detail("times in column -1", "csv", {"rows": 4, "time": timed(index=-1)}, WINDOWS),
        detail("times in column true", "csv", {"rows": 4, "time": timed(index=True)}, WINDOWS),
        *[
            detail(f"times as {text!r}", "csv", {"rows": 4, "time": timed(format=text)}, WINDOWS)
            for text in (
                "",
                "m",
                "ns.f",
                "s.",
                "s.ffffffffff",
                "YYYY",
                "YYYY-MM-DDZ",
                "YYYY-MM-DD hh",
                "YYYY-MM-DD hh:mm.f",
                "YYYY-MM-DD hh:mm:ss+1",
                "YYYY-MM-DD hh:mm:ss\n",
                "%Y",
                "date32",
                7,
            )
        ],
        detail("two pictures", "image", {}, np.zeros((2, 4, 4, 3), np.uint8)),
        detail("a picture of floats", "image", {}, np.zeros((1, 4, 4, 3), np.float32)),
        detail("a picture of 2 channels", "image", {}, np.zeros((1, 4, 4, 2), np.uint8)),
        detail("a picture of no format", "image", {"format": "exe"}, PICTURE),
        detail("a picture with a key", "image", {"key": "a"}, PICTURE),
        detail("grey of three channels", "npy", {"order": "grey"}, PICTURE),
    ],
    ("envelope", "an unknown critical"): [
        envelope("field 12", UnsupportedError, build.field(12, b"", critical=True)),
        envelope("field 127", UnsupportedError, build.field(127, b"", critical=True)),
        envelope("part 2", UnsupportedError, build.field(4, b"\x02", critical=True)),
    ],
    ("container", "a packet without"): [
        container("no envelope", FormatError, LONE, (4, 1, 1)),
        container("no envelope and no entry", FormatError, LONE),
        container("fewer than announced", FormatError, build.batch(LONE, count=2), (4, 1, 1)),
        container("more than announced", FormatError, build.batch(LONE, LONE, count=1), (4, 2, 2)),
        container("more bytes announced", FormatError, build.batch(LONE, payload=99), (4, 1, 1)),
        container("index: fewer packets", FormatError, TWO, (4, 1, 3)),
        container("index: more samples", FormatError, TWO, (4, 2, 4)),
        container("index: another start", FormatError, TWO, (5, 2, 3)),
        container("index: a start beyond", FormatError, TWO, (4000, 2, 3)),
        container("index: no envelope", FormatError, TWO),
        container("index: one too many", FormatError, TWO, (4, 2, 3), (len(TWO), 0, 0)),
        container("index: one too few", FormatError, TWO + ONE, (4, 2, 3)),
        container("index: not the first", FormatError, TWO + ONE, (4 + len(TWO), 1, 7)),
        container("index: twice the same", FormatError, TWO, (4, 2, 3), (0, 2, 3)),
        Fault(
            "index: more than it holds",
            FormatError,
            lambda: all_batches(
                build.container(TWO, build.sealed(b"\x1d" + varint(1 << 40) + b"\x04\x02\x03"))
            ),
        ),
        Fault(
            "index: bytes left",
            FormatError,
            lambda: all_batches(build.container(TWO, build.sealed(b"\x1d\x01\x04\x02\x03\x00"))),
        ),
    ],
    ("selection", "no group"): [
        selection("no group", 0),
        selection("no latent", 1, 0, 1),
        selection("65536 latents", 1, 65536, 1),
        selection("65536 latents together", 2, 65535, 1, *[0] * 131070, 1, 1, 0, 0),
        selection("no class", 1, 1, 0, 0),
        selection("257 classes", 1, 1, 257, 0, 0, *[0] * 257),
        selection("a quantiser of 8", 1, 1, 1, 8, 0),
        selection("table 65535", 1, 1, 1, 0, 65535),
        selection("a selector of 65535", 1, 1, 2, 65535, 0, 0, 0),
        selection("a byte more", 1, 1, 1, 0, 0, 0),
        Fault("table 2 of 2", FormatError, lambda: Selector(Selection.plain(3), TABLES)),
    ],
    ("classes", "a symbol"): [
        chosen("class -1", -1),
        chosen("class 2 of 2", 2),
        chosen("class 70000", 70000),
    ],
    ("contexts", "anything"): [
        contexts("no latent", sizes=(0, 1, 1)),
        contexts("65 inputs", sizes=(2, 65, 1)),
        contexts("65 hidden units", sizes=(2, 1, 65)),
        contexts("an input of kind 2", kinds=(2,)),
        contexts("a latent of mode 3", contextual=(3,)),
        contexts("direction 7", spans=(1, 7, 0, 1)),
        contexts("a span of none", spans=(1, 0, 0, 0)),
        contexts("a span of the latent itself", spans=(1, 0, 0, 2)),
        contexts("a span beyond the row", spans=(1, 1, 1, 2)),
        contexts("an input of more than 4096", spans=(4097, *(1, 0, 1) * 4097)),
        contexts("17 taps", taps=(17, *(1, 0, 2) * 17)),
        contexts("a tap on the latent itself", taps=(1, 0, 1, 2)),
        contexts("a tap beyond the row", taps=(1, 1, 2, 2)),
        contexts("a tap of 4096", taps=(1, 0, 0, 8192)),
        contexts("a weight of 4096", weights=(8192, 0, 0, 0, 0, 0, 0, 0)),
        contexts("a bias beyond 2^24", weights=(2, 2 * (1 << 24) + 2, 0, 0, 0, 0, 0, 0)),
        contexts("an out_bias beyond 2^28", weights=(2, 0, 0, 0, 0, 2 * (1 << 28) + 2, 0, 0)),
        contexts("no level", levels=(0, 1, 1)),
        contexts("more than 65536 places", levels=(127, 127, 1), bank=(0, 8 * 127 * 127 - 1)),
        contexts("a run beyond the places", bank=(0, 8)),
        contexts("two runs of one table", bank=(0, 3, 0, 3)),
        contexts("table 65535", bank=(65535, 7)),
        contexts("a byte more", end=(0,)),
    ],
    ("trellis", "anything"): [
        trellis("one state", [[0, 0]]),
        trellis("nine states", [[t, t] for t in range(9)]),
        trellis("a state that is entered three times", [[0, 0], [0, 1]]),
        trellis("three symbols", [[0, 0, 1], [1, 0, 1]]),
        trellis("no list", {"0": [0, 1]}),
        trellis("no numbers", [[False, True], [False, True]]),
        bundle("without contexts", tiny.with_trellis()),
        bundle("one state in a manifest", tiny.packed(manifest={"trellis": [[0, 0]]})),
        bundle("none, written out", tiny.packed(manifest={"trellis": None})),
        Fault("beside taps", FormatError, tapped),
        Fault("the symbol 2^30", FormatError, lambda: dequantise(np.array([[1 << 30]], "i4"), 1.0)),
        Fault(
            "the symbol -2^31", FormatError, lambda: EIGHT.parities(np.array([[-(2**31)]], "i4"))
        ),
    ],
    ("palette", "anything"): [
        palette("one value", values=(1,), codes=(0, 0), positions=(0,), weights=(2, 0, 2, 0)),
        palette("nine values", values=(9,)),
        palette("no input", inputs=(0,), offsets=(), weights=(0, 2, 0, 2, 0)),
        palette("257 inputs", inputs=(257,)),
        palette("no hidden unit", hidden=(0, 1)),
        palette("65 hidden units", hidden=(1, 65)),
        palette("no level", levels=(0,)),
        palette("513 levels", levels=(513,)),
        palette("a shift of 25", shifts=(0, 25, 0)),
        palette("a first position of 1", positions=(1, 65535)),
        palette("a last position of 65534", positions=(0, 65534)),
        palette(
            "positions alike",
            values=(3,),
            codes=(0, 1, 2, 0),
            positions=(0, 0, 65535),
            weights=(2, 0, 2, 0, 2, 2, 0, 0),
        ),
        palette("a neighbour 32 above", offsets=(32, 0)),
        palette("the pixel itself", offsets=(0, 0)),
        palette("a pixel that comes after", offsets=(0, 2)),
        palette("a neighbour twice", inputs=(2,), offsets=(0, 1, 0, 1), weights=(0,) * 7),
        palette("neighbours out of order", inputs=(2,), offsets=(0, 1, 1, 0), weights=(0,) * 7),
        palette("a weight of 4096", weights=(8192, 0, 2, 0, 2, 0)),
        palette("a bias beyond 2^28", weights=(2, 2 * (1 << 28) + 2, 2, 0, 2, 0)),
        palette("a height without a width", size=(1, 0), weights=(2, 0, 0, 2, 0, 2, 0)),
        palette("65536 places", size=(256, 256), weights=(0,) * 518),
        palette(
            "a line's bias beyond 2^26",
            size=(1, 1),
            weights=(2, 0, 2 * (1 << 26) + 2, 0, 2, 0, 2, 0),
        ),
        palette("a byte more", end=(0,)),
        of_palette("two tables for one", count=2),
        of_palette("a level of another step", levels=(Level(0.5),)),
        of_palette("two levels", levels=(Level(1.0), Level(0.5))),
        of_palette("patches", patch=2),
        of_palette("colour", shape=(4, 4, 3)),
        of_palette("two latents a pixel", latents=2),
        of_palette("a series", kind="series", shape=(4, 1), latents=4, size=(2, 2)),
        of_palette("vectors of another size", kind="vector", shape=(2, 2), latents=4, size=(4, 1)),
        of_palette("images of one size", size=(4, 4)),
        of_palette("classes", classes=2),
        of_palette("a palette that is damaged", members={"palette.bin": b"\0"}),
        Fault("escapes in a packet", FormatError, with_escapes),
    ],
    ("tables", "no table"): [
        tables("none", FormatError, b"\x00"),
        tables("65536", FormatError, varint(65536)),
        tables("a sum of 2^16 - 1", FormatError, b"\x01\x00\x01" + varint(65534) + b"\x01"),
        tables("a sum of 2^16 + 1", FormatError, b"\x01\x00\x01" + varint(65535) + b"\x02"),
        tables("a frequency of 0", FormatError, b"\x01\x00\x01" + varint(65536) + b"\x00"),
        tables("only an escape", FormatError, b"\x01\x00\x00" + varint(65536)),
        tables(
            "4097 entries",
            FormatError,
            b"\x01\x00" + varint(4096) + varint(65536 - 4096) + b"\x01" * 4096,
        ),
        tables("bytes left over", FormatError, TABLES.to_bytes() + b"\x00"),
    ],
    ("bundle", "anything but"): [
        bundle("no ZIP", b"RDZ\x01"),
        bundle("nothing", b""),
        bundle("a byte more", tiny.bundle_bytes() + b"\x00"),
        bundle("a byte less", tiny.bundle_bytes()[:-1]),
        bundle("a member missing", tiny.packed(drop="scorecard.json")),
        bundle("a member unknown", tiny.packed(extra={"readme.txt": b"hello"})),
        bundle("another hash", tiny.packed(replace={"encoder.onnx": b"altered"})),
        bundle("another identity", tiny.packed(manifest={"identity": "0" * 64})),
        bundle("one table", tiny.with_tables(1)),
    ],
}
FAULTS |= {
    key: [Fault(*one) for one in found] for key, found in (LINE_FAULTS | COUNTS_FAULTS).items()
}


def row_of(key: tuple[str, str]) -> page.Refusal:
    found = [row for row in ROWS if row.where == key[0] and row.what.startswith(key[1])]
    assert len(found) == 1, key
    return found[0]


def test_every_row_of_the_page_has_its_faults():
    assert sorted(map(id, map(row_of, FAULTS))) == sorted(map(id, ROWS))


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        pytest.param(key, fault, id=f"{key[0]}-{key[1]}-{fault.name}".replace(" ", "_"))
        for key, faults in FAULTS.items()
        for fault in faults
    ],
)
def test_the_fault_is_refused_with_its_error(key, fault):
    assert fault.error.__name__ in row_of(key).errors
    with pytest.raises(RdedgeError) as caught:
        fault.read()
    assert caught.type is fault.error, repr(caught.value)
    assert str(caught.value)


def test_the_same_without_a_fault_is_read():
    assert read_packet(build.packet())[0].codec_key == build.KEY
    assert CODEC.unpack(read_packet(CODEC.pack(SYMBOLS, 4))[0]).ravel().tolist() == SYMBOLS.tolist()
    assert residual("a sound one", RESIDUAL).read().tolist() == [[0, 0, 5]]
    assert len(all_batches(WHOLE)) == 1
    assert Bundle.from_bytes(tiny.packed()) == tiny.bundle()
