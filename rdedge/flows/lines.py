"""Check and savings of a bundle of lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rdedge.bundle.bundle import DICTIONARY
from rdedge.bundle.lines import LineBundle
from rdedge.classical.lines import LineYardstick, line_yardsticks, with_dictionary
from rdedge.codec.line_files import restore
from rdedge.codec.lines import LineDecoder, LineEncoder
from rdedge.data.lines import LINES, blocks, read_all
from rdedge.errors import BundleError, ConfigError, FormatError, MismatchError
from rdedge.flows.check import Checked, Report
from rdedge.format.container import Container
from rdedge.ledger.account import Account, account_of_lines

# Another version of zstd may find other matches; a share of more bytes than this is no such thing.
_MOST_EXTRA_BYTES = 0.03
_MOST_BLOCKS = 256


def check_lines(bundle: LineBundle, data: Path | None = None) -> Report:
    """Decode the bundle's reference packets, and encode its reference lines again.

    data: a log whose first blocks there and back are checked too. Raises BundleError for a
    dictionary or reference packets that cannot be read, MissingError without zstandard.
    """
    signer = bundle.signature
    notes = ["unsigned" if signer is None else f"signed by the key {signer[:32].hex()}"]
    encoder, decoder = LineEncoder(bundle, verify=False), LineDecoder(bundle)
    inputs, packets = (bundle.members[f"reference/{n}.bin"] for n in ("inputs", "packets"))
    try:
        decoded = list(decoder.decode_stream(packets))
    except FormatError as error:
        raise BundleError(
            f"the reference packets cannot be read: {error}", do="export the bundle again"
        ) from error
    again = [encoder.encode(block) for block in decoded]
    different = b"".join(decoded) != inputs
    rows = [
        Checked("reference packets that come back as other bytes", float(different), 0.0),
        _there_and_back("reference blocks", decoder, decoded, again),
        Checked(
            "more bytes than the reference packets, as a share",
            sum(map(len, again)) / max(len(packets), 1) - 1.0,
            _MOST_EXTRA_BYTES,
        ),
    ]
    if data is not None:
        lines = bundle.manifest.lines
        some = [b for log in read_all([data]) for b in blocks(log.data, lines)][:_MOST_BLOCKS]
        made = [encoder.encode(block) for block in some]
        rows.append(_there_and_back(f"{len(some)} blocks of {data.name}", decoder, some, made))
    return Report(tuple(rows), tuple(notes), ("zstandard",), None)


def _there_and_back(
    what: str, decoder: LineDecoder, parts: Sequence[bytes], packets: Sequence[bytes]
) -> Checked:
    wrong = sum(decoder.decode(p) != b for p, b in zip(packets, parts, strict=True))
    return Checked(f"{what}, encoded here, that come back as other bytes", float(wrong), 0.0)


@dataclass(frozen=True)
class LineSavings:
    """What a container of logs saved. samples of the account: blocks. dictionary_bytes: carried
    once, in the bundle; in no figure of the account.
    """

    account: Account
    lines: int
    dictionary_bytes: int
    classical: list[LineYardstick] | None

    def to_json(self) -> dict[str, Any]:
        a = self.account
        result: dict[str, Any] = {
            "kind": LINES,
            "lines": self.lines,
            "samples": a.samples,
            "packets": sum(source.packets for source in a.sources),
            "elements": a.elements,
            "raw_bytes": a.raw_bytes,
            "payload_bytes": a.payload_bytes,
            "container_bytes": a.container_bytes,
            "dictionary_bytes": self.dictionary_bytes,
            "ratio": a.ratio,
            "bits_per_element": a.bits_per_element.to_json(),
            "bound": "exact",
            "sources": [vars(source) for source in a.sources],
        }
        if self.classical is not None:
            result["classical"] = [
                asdict(one) | {"payload_share": a.payload_bytes / one.size_bytes}
                for one in self.classical
            ]
        return result


def savings_of_lines(
    container: Container,
    decoder: LineDecoder,
    data: Sequence[Path] = (),
    *,
    classical: bool = True,
) -> LineSavings:
    """Account for a container of logs.

    data: the originals, which must be what comes back, to the byte. classical: also what zstd, xz
    and gzip make of the same blocks, and zstd with the bundle's own dictionary. Raises
    MismatchError, ConfigError where the container holds no line.
    """
    logs = list(restore(decoder, container))
    found = account_of_lines(container, [len(log.data) for log in logs])
    if not found.elements:
        raise ConfigError("the container holds no line", expected="at least one")
    if data:
        given = [log.data for log in read_all(list(data))]
        if given != [log.data for log in logs]:
            raise MismatchError(
                f"{len(given)} originals are not what {len(logs)} logs come back as",
                expected="the files that were compressed, in their order",
            )
    dictionary = decoder.bundle.members[DICTIONARY]
    others = None
    if classical:
        parts = [part for log in logs for part in log.parts]
        others = line_yardsticks(parts)
        kind = decoder.manifest.dictionary
        others.append(with_dictionary(parts, dictionary, "level 19, this bundle's", kind))
        others.sort(key=lambda one: (not one.each_block, one.size_bytes))
    return LineSavings(found, decoder.manifest.lines, len(dictionary), others)


def inspect_lines(bundle: LineBundle, size: int) -> dict[str, Any]:
    """What `rdedge inspect` shows of a bundle of lines."""
    m = bundle.manifest
    return {
        "kind": "bundle",
        "bytes": size,
        "codec": m.identity,
        "created_by": m.created_by,
        "sample": m.sample(),
        "bound": "exact, every byte of every block",
        "dictionary": {"kind": m.dictionary, "bytes": len(bundle.members[DICTIONARY])},
        "level": m.level,
        "profile": bundle.json("profile").get("name"),
        "members": {name: len(data) for name, data in bundle.members.items()},
        "signed_by": None if bundle.signature is None else bundle.signature[:32].hex(),
        "scorecard": bundle.json("scorecard"),
    }
