"""A bundle of lines (FORMAT.md, section 5.2): a dictionary in place of networks and tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from rdedge import canonical, config
from rdedge.bundle import archive
from rdedge.bundle import signature as signatures
from rdedge.bundle.bundle import (
    DICTIONARY,
    MANIFEST,
    SIGNATURE,
    Bundle,
    read_file,
    take_signature,
)
from rdedge.bundle.manifest import FORMAT_VERSION, HASH, Member, sha256
from rdedge.data.files import write_file
from rdedge.data.lines import LINES, MAX_LINES
from rdedge.errors import BundleError, FormatError, RdedgeError

# How a dictionary is read: as zstd's trainer lays it out, or as nothing but bytes seen before.
TRAINED, RAW = "trained", "raw"
DICTIONARIES = (TRAINED, RAW)
MAX_DICTIONARY_BYTES = 1 << 20
MAX_LEVEL = 22
# In the order of the file.
MEMBERS = (
    DICTIONARY,
    "profile.json",
    "recipe.json",
    "scorecard.json",
    "reference/inputs.bin",
    "reference/packets.bin",
)
_MARK = canonical.dumps({"kind": LINES})[1:-1]


@dataclass(frozen=True)
class LineManifest:
    """All that a device and a server must know of a codec of lines.

    lines: of a block. dictionary: one of DICTIONARIES. level: of zstd, encoder only.
    """

    lines: int
    dictionary: str
    level: int
    created_by: str
    identity: str
    members: dict[str, Member]

    @property
    def key(self) -> bytes:
        """The first 4 bytes of the identity: what packets carry."""
        return bytes.fromhex(self.identity)[:4]

    def sample(self) -> dict[str, Any]:
        """What a sample is, as manifests say it."""
        return {"kind": LINES, "lines": self.lines}

    def to_bytes(self) -> bytes:
        return canonical.dumps(
            {
                "format": FORMAT_VERSION,
                "sample": self.sample(),
                "dictionary": self.dictionary,
                "level": self.level,
                "created_by": self.created_by,
                "identity": self.identity,
                "members": {name: vars(member) for name, member in self.members.items()},
            }
        )

    @staticmethod
    def from_bytes(data: bytes) -> LineManifest:
        """Parse and check; raises BundleError saying which part is wrong."""
        try:
            value = canonical.loads(data, MANIFEST)
            if value["format"] != FORMAT_VERSION:
                raise BundleError(
                    f"the bundle is of format {value['format']!r:.40}",
                    expected=str(FORMAT_VERSION),
                    do="read it with the rdedge that wrote it, or a newer one",
                )
            members = {
                name: config.build(member, Member, f"members: {name}")
                for name, member in value["members"].items()
            }
            names = ("dictionary", "level", "created_by", "identity")
            rest = {name: value[name] for name in names}
            made = LineManifest(lines=value["sample"]["lines"], members=members, **rest)
            fine = made._in_range() and made.to_bytes() == data
        except BundleError:
            raise
        except (RdedgeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(
                f"{MANIFEST} is wrong: {error!s:.200}", do="export the bundle again"
            ) from error
        if not fine:
            raise BundleError(
                f"{MANIFEST} holds what this version does not read",
                expected="the keys and numbers of FORMAT.md section 5.2",
                do="export the bundle again",
            )
        return made

    def _in_range(self) -> bool:
        return (
            type(self.lines) is int
            and 1 <= self.lines <= MAX_LINES
            and self.dictionary in DICTIONARIES
            and type(self.level) is int
            and 1 <= self.level <= MAX_LEVEL
            and isinstance(self.created_by, str)
            and HASH.fullmatch(self.identity) is not None
            and set(self.members) == set(MEMBERS)
            and 1 <= self.members[DICTIONARY].bytes <= MAX_DICTIONARY_BYTES
            and all(HASH.fullmatch(m.sha256) and m.bytes >= 0 for m in self.members.values())
        )

    def its_identity(self) -> str:
        """SHA-256, in hex, over all that decoding depends on."""
        dictionary = {"kind": self.dictionary, "sha256": self.members[DICTIONARY].sha256}
        return sha256(
            canonical.dumps(
                {"format": FORMAT_VERSION, "sample": self.sample(), "dictionary": dictionary}
            )
        )


@dataclass(frozen=True)
class LineBundle:
    """A codec of lines, checked: every member is what the manifest says, and the identity fits.

    signature: public key and Ed25519 signature of the manifest; None: unsigned.
    """

    manifest: LineManifest
    members: dict[str, bytes]
    signature: bytes | None = None

    @staticmethod
    def make(manifest: LineManifest, members: dict[str, bytes]) -> LineBundle:
        """Fill hashes and identity into the manifest and check the whole."""
        listed = {name: Member(len(members[name]), sha256(members[name])) for name in MEMBERS}
        manifest = replace(manifest, members=listed)
        bundle = LineBundle(replace(manifest, identity=manifest.its_identity()), members)
        return LineBundle.from_bytes(bundle.to_bytes())

    @staticmethod
    def read(path: Path, trusted: tuple[bytes, ...] | None = None) -> LineBundle:
        """Read and check a bundle of lines; arguments as for open_bundle. Raises BundleError."""
        found = open_bundle(path, trusted)
        if isinstance(found, Bundle):
            raise BundleError(
                f"{path} holds networks for samples of kind {found.manifest.sample.kind}",
                expected="a bundle of lines",
            )
        return found

    @staticmethod
    def of(bundle: str | PathLike[str] | LineBundle) -> LineBundle:
        """A bundle, or the one at a path."""
        return bundle if isinstance(bundle, LineBundle) else LineBundle.read(Path(bundle))

    @staticmethod
    def from_bytes(data: bytes) -> LineBundle:
        """Parse and check all but the dictionary's inside. Raises BundleError."""
        members = archive.unpack(data)
        signature = take_signature(members)
        if tuple(members) != (MANIFEST, *MEMBERS):
            raise BundleError(
                f"the bundle of lines holds {', '.join(members) or 'nothing'}",
                expected=", ".join((MANIFEST, *MEMBERS)),
            )
        manifest = LineManifest.from_bytes(members.pop(MANIFEST))
        for name, content in members.items():
            if Member(len(content), sha256(content)) != manifest.members[name]:
                raise BundleError(
                    f"the member {name} is not the one that the manifest lists",
                    do="fetch the bundle again: it was altered",
                )
        if manifest.its_identity() != manifest.identity:
            raise BundleError(
                f"the codec identity is {manifest.identity}", expected=manifest.its_identity()
            )
        return LineBundle(manifest, members, signature)

    def to_bytes(self) -> bytes:
        """The file: the same members give the same bytes."""
        ordered = {MANIFEST: self.manifest.to_bytes()}
        ordered |= {name: self.members[name] for name in MEMBERS}
        if self.signature is not None:
            ordered[SIGNATURE] = self.signature
        return archive.pack(ordered)

    def signed(self, key: Path) -> LineBundle:
        """The same, signed with a private key (signature.sign)."""
        return replace(self, signature=signatures.sign(self.manifest.to_bytes(), key))

    def write(self, path: Path, *, force: bool = False) -> None:
        """Write the file, all or nothing."""
        write_file(path, self.to_bytes(), force=force)

    def json(self, name: str) -> dict[str, Any]:
        """The member NAME.json. Raises BundleError."""
        try:
            value = canonical.loads(self.members[f"{name}.json"], name)
        except FormatError as error:
            raise BundleError(str(error)) from error
        if not isinstance(value, dict):
            raise BundleError(f"{name}.json holds no object", expected="a JSON object")
        return value


def open_bundle(path: Path, trusted: tuple[bytes, ...] | None = None) -> Bundle | LineBundle:
    """Read and check a bundle of either kind. Raises BundleError.

    trusted: public keys of which one must have signed it; None: those of RDEDGE_TRUSTED.
    """
    data = read_file(path)
    bundle: Bundle | LineBundle
    # No text of a JSON file can hold these quotes but the manifest's own.
    if _MARK in archive.first(data):
        bundle = LineBundle.from_bytes(data)
    else:
        bundle = Bundle.from_bytes(data)
    trusted = signatures.trusted_here() if trusted is None else trusted
    if trusted:
        signatures.verify(bundle.manifest.to_bytes(), bundle.signature, trusted)
    return bundle
