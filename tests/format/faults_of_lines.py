"""The faults of bundles of lines, for test_refusals: (name, error, what reads it)."""

from __future__ import annotations

from collections.abc import Callable

import zstandard

from rdedge.bundle.lines import LineBundle
from rdedge.codec.line_files import restore
from rdedge.codec.lines import LineDecoder
from rdedge.codec.symbols import SymbolCodec
from rdedge.errors import BundleError, FormatError, TruncatedError, UnsupportedError
from rdedge.format.container import Container
from rdedge.format.packet import read_packet
from tests.bundle import tiny, tiny_lines
from tests.coding.reference import varint
from tests.format import build

Fault = tuple[str, type[Exception], Callable[[], object]]
BUNDLE = tiny_lines.bundle()
DECODER = LineDecoder(BUNDLE)
KEY = BUNDLE.manifest.key
LINES = 8
# Forms, and the bit for no dictionary.
STORED, SINGLE, BLOCKS, PLAIN = 0, 1 << 5, 2 << 5, 1 << 7


def frame(content: bytes) -> bytes:
    """The blocks of a frame without a dictionary, with their headers."""
    writer = zstandard.ZstdCompressor(write_content_size=False, write_checksum=False)
    return writer.compress(content)[6:]


def lines(data: bytes, *, samples: int = 1, flags: int = 0, before: bytes = b"") -> bytes:
    """A packet whose stream `lines` is data."""
    body = before + build.stream(LINES, data, last=True)
    return build.packet(body, samples=samples, flags=flags, key=KEY)


def stream(name: str, error: type[Exception], data: bytes, samples: int = 1) -> Fault:
    return name, error, lambda: DECODER.decode(lines(data, samples=samples))


def whole(name: str, error: type[Exception], packet: bytes) -> Fault:
    return name, error, lambda: DECODER.decode(packet)


def source(name: str, size: int) -> Fault:
    identity = bytes.fromhex(BUNDLE.manifest.identity)
    packet = lines(bytes([10 | STORED]) + b"abc\n")
    fields = build.field(11, varint(size))
    head = b"\xe5\x01" + identity + varint(1) + varint(len(packet)) + varint(len(fields)) + fields
    data = build.container(build.sealed(head) + packet, build.index((4, 1, 1)))
    return name, FormatError, lambda: list(restore(DECODER, Container(data)))


def bundle(name: str, data: bytes) -> Fault:
    return name, BundleError, lambda: LineDecoder(LineBundle.from_bytes(data))


def _in_another_bundle() -> object:
    body = build.stream(build.LATENTS, b"\x11") + build.stream(LINES, b"\x0aabc\n", last=True)
    packet = build.packet(body, key=tiny.bundle().manifest.key)
    return SymbolCodec.of(tiny.bundle()).unpack(read_packet(packet)[0])


ZEROS = bytes(100_000)
NO_DICTIONARY = LineBundle.make(
    tiny_lines.manifest(dictionary="trained"), BUNDLE.members
).to_bytes()
LINE_FAULTS: dict[tuple[str, str], list[Fault]] = {
    ("lines", "a `size_log2`"): [
        stream("nothing", TruncatedError, b""),
        stream("no data", TruncatedError, bytes([10])),
        stream("2^9 bytes", FormatError, bytes([9]) + b"abc\n"),
        stream("2^28 bytes", FormatError, bytes([28 | BLOCKS | PLAIN]) + bytes(1 << 13)),
        stream("form 3", FormatError, bytes([10 | 3 << 5]) + b"abc\n"),
        stream("stored without a dictionary", FormatError, bytes([10 | PLAIN]) + b"abc\n"),
        stream("2^21 bytes of 3", FormatError, bytes([21 | SINGLE | PLAIN]) + b"abc"),
        stream("a stored block beyond 2^17", FormatError, bytes([18]) + bytes((1 << 17) + 1)),
        stream("a block beyond 2^17", FormatError, bytes([18 | SINGLE]) + bytes((1 << 17) + 1)),
        stream("no frame", TruncatedError, bytes([10 | BLOCKS]) + b"abc\n"),
        stream("no block", FormatError, bytes([10 | SINGLE]) + b"abc\n"),
        stream("half a frame", TruncatedError, bytes([17 | BLOCKS | PLAIN]) + frame(ZEROS)[:-1]),
        stream("bytes after it", FormatError, bytes([17 | BLOCKS | PLAIN]) + frame(ZEROS) + b"a"),
        stream("more than it says", FormatError, bytes([16 | BLOCKS | PLAIN]) + frame(ZEROS)),
        stream("far less than it says", FormatError, bytes([18 | BLOCKS | PLAIN]) + frame(ZEROS)),
        stream("6 lines", FormatError, bytes([10]) + b"\n" * 6),
        stream("5 lines and a part", FormatError, bytes([10]) + b"\n" * 5 + b"a"),
        stream("11 lines of 2 blocks", FormatError, bytes([10]) + b"\n" * 11, 2),
        stream("3 blocks of 2 bytes", FormatError, bytes([10]) + b"ab", 3),
    ],
    ("packet", "of a bundle of lines: runs"): [
        whole("level 1", UnsupportedError, lines(b"\x0aa", flags=build.RUN, before=varint(2))),
        whole("a fallback", UnsupportedError, lines(b"\x0aa", flags=build.RUN, before=b"\x03\x00")),
        whole(
            "two runs",
            UnsupportedError,
            lines(
                b"\x0aab",
                samples=2,
                flags=build.RUNS,
                before=b"".join(map(varint, (2, 0, 1, 2))),
            ),
        ),
    ],
    ("packet", "of a bundle of lines: lanes"): [
        whole("lanes", FormatError, lines(b"\x0aa", flags=build.LANES, before=b"\x01")),
        whole("a shape", FormatError, lines(b"\x0aa", flags=build.SHAPE, before=b"\x01\x03")),
        whole("latents", FormatError, lines(b"\x0aa", before=build.stream(build.LATENTS, b"a"))),
        whole(
            "no lines",
            TruncatedError,
            build.packet(build.stream(33, b"", last=True, critical=False), key=KEY),
        ),
        ("lines in another bundle", FormatError, _in_another_bundle),
    ],
    ("container", "of a bundle of lines"): [source("3 bytes", 3), source("5 bytes", 5)],
    ("bundle", "of lines"): [
        bundle("a member missing", tiny_lines.packed(drop="scorecard.json")),
        bundle("a member unknown", tiny_lines.packed(extra={"tables.bin": b"hello"})),
        bundle("another dictionary", tiny_lines.packed(replace={"dictionary.bin": b"altered"})),
        bundle("another identity", tiny_lines.packed(change={"identity": "0" * 64})),
        bundle("an unknown key", tiny_lines.packed(change={"columns": []})),
        bundle("format 2", tiny_lines.packed(change={"format": 2})),
        bundle("level 23", tiny_lines.packed(change={"level": 23})),
        bundle("level 1.0", tiny_lines.packed(change={"level": 1.0})),
        bundle("a dictionary of another kind", tiny_lines.packed(change={"dictionary": "best"})),
        bundle("no lines", tiny_lines.packed(change={"sample": {"kind": "lines", "lines": 0}})),
        bundle(
            "2^16 + 1 lines",
            tiny_lines.packed(change={"sample": {"kind": "lines", "lines": 65537}}),
        ),
        bundle("no number of lines", tiny_lines.packed(change={"sample": {"kind": "lines"}})),
        bundle("no object", tiny_lines.packed(replace={"manifest.json": b"[]"})),
        bundle("no dictionary of zstd", NO_DICTIONARY),
    ],
}
