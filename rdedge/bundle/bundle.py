"""Bundle `.rdb`: the one file that carries a codec (FORMAT.md, section 5)."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from rdedge import canonical
from rdedge.bundle import archive
from rdedge.bundle import signature as signatures
from rdedge.bundle.manifest import (
    OPTIONAL,
    SERVER_MEMBERS,
    Level,
    Manifest,
    Member,
    identity_of,
    sha256,
)
from rdedge.coding.context import Contexts
from rdedge.coding.counts import Counts
from rdedge.coding.means import Moving
from rdedge.coding.palette import Palette
from rdedge.coding.quantiser import SCALED
from rdedge.coding.selection import Selection
from rdedge.coding.tables import Tables
from rdedge.data.files import write_file
from rdedge.data.npy import read_npy
from rdedge.errors import BundleError, FormatError, InputError
from rdedge.types import Array

T = TypeVar("T")

MANIFEST, SIGNATURE = "manifest.json", "signature.bin"
# In the order of the file.
MEMBERS = (
    "encoder.onnx",
    "decoder.onnx",
    "tables.bin",
    "selection.bin",
    *OPTIONAL,
    "profile.json",
    "recipe.json",
    "scorecard.json",
    "reference/inputs.npy",
    "reference/symbols.npy",
    "reference/packet.bin",
    "reference/outputs.npy",
)
# Of a bundle of lines (lines.py), and only there.
DICTIONARY = "dictionary.bin"
_SIGNATURE_BYTES = signatures.KEY_BYTES + signatures.SIGNATURE_BYTES


@dataclass(frozen=True)
class Reference:
    """Reference vectors. inputs: (N, *shape) in the source's dtype; symbols: (N, R * L) int32;
    packet: what encoding them gives; outputs: (N, *shape), what decoding it gives, None in a
    device's part.
    """

    inputs: Array
    symbols: Array
    packet: bytes
    outputs: Array | None


@dataclass(frozen=True)
class Bundle:
    """A codec, checked: every member is what the manifest says, and the identity fits.

    signature: public key and Ed25519 signature of the manifest; None: unsigned.
    """

    manifest: Manifest
    members: dict[str, bytes]
    signature: bytes | None = None

    @staticmethod
    def make(manifest: Manifest, members: dict[str, bytes]) -> Bundle:
        """Fill hashes and identity into the manifest and check the whole."""
        listed = {
            name: Member(len(members[name]), sha256(members[name]))
            for name in MEMBERS
            if name in members or name not in OPTIONAL
        }
        manifest = replace(manifest, members=listed, absent=())
        bundle = Bundle(replace(manifest, identity=identity_of(manifest)), members)
        return Bundle.from_bytes(bundle.to_bytes())

    @staticmethod
    def read(path: Path, trusted: tuple[bytes, ...] | None = None) -> Bundle:
        """Read and check a bundle. Raises BundleError.

        trusted: public keys of which one must have signed it; None: those of RDEDGE_TRUSTED.
        """
        bundle = Bundle.from_bytes(read_file(path))
        trusted = signatures.trusted_here() if trusted is None else trusted
        if trusted:
            bundle.require_signature(trusted)
        return bundle

    @staticmethod
    def of(bundle: str | PathLike[str] | Bundle) -> Bundle:
        """A bundle, or the one at a path."""
        return bundle if isinstance(bundle, Bundle) else Bundle.read(Path(bundle))

    @staticmethod
    def from_bytes(data: bytes) -> Bundle:
        """Parse and check all but the graphs' inside. Raises BundleError."""
        members = archive.unpack(data)
        if next(iter(members), None) != MANIFEST:
            raise BundleError(
                f"the bundle holds {', '.join(members) or 'nothing'}", expected=f"{MANIFEST} first"
            )
        signature = take_signature(members)
        if DICTIONARY in members:
            raise BundleError(
                "this is a bundle of lines, which has no networks",
                expected="a bundle for arrays",
                do="logs have compress, decompress, inspect, check and savings",
            )
        manifest = Manifest.from_bytes(members.pop(MANIFEST))
        whole = tuple(n for n in MEMBERS if n in manifest.members or n not in OPTIONAL)
        there = tuple(name for name in whole if name not in manifest.absent)
        if tuple(members) != there or set(manifest.members) != set(whole):
            raise BundleError(
                f"the bundle holds {', '.join((MANIFEST, *members))}",
                expected=", ".join((MANIFEST, *there)),
            )
        for name, data in members.items():
            if Member(len(data), sha256(data)) != manifest.members[name]:
                raise BundleError(
                    f"the member {name} is not the one that the manifest lists",
                    do="fetch the bundle again: it was altered",
                )
        bundle = Bundle(manifest, members, signature)
        identity = identity_of(manifest)
        if identity != manifest.identity:
            raise BundleError(f"the codec identity is {manifest.identity}", expected=identity)
        selection = bundle.selection
        if selection.latents != manifest.latents or selection.tables_needed > len(bundle.tables):
            raise BundleError(
                f"a selection of {selection.tables_needed} tables for {selection.latents} latents",
                expected=f"at most {len(bundle.tables)} tables for {manifest.latents} latents",
            )
        bundle._check_contexts()
        bundle._check_palette()
        bundle._check_counts()
        return bundle

    def _check_contexts(self) -> None:
        contexts, selection, trellis = self.contexts, self.selection, self.manifest.trellis
        if contexts is None:
            if trellis is not None or (self.manifest.rate_weight and self.palette is None):
                which = "a rate_weight" if trellis is None else "a trellis"
                raise BundleError(
                    f"{which} without contexts.bin, or palette.bin for a rate_weight",
                    expected="both or none",
                )
            return
        if trellis is not None and selection.predicted.size:
            raise BundleError("a trellis, and latents that are PREDICTED", expected="none")
        if (
            contexts.latents != selection.latents
            or contexts.tables_needed > len(self.tables)
            or selection.fixed is None
        ):
            raise BundleError(
                f"contexts of {contexts.tables_needed} tables for {contexts.latents} latents and "
                f"a selection of {len(selection.selectors)} groups with classes",
                expected=f"at most {len(self.tables)} tables, {selection.latents} latents, and no "
                "group with classes",
            )
        if trellis is not None and Moving(trellis, selection.quantisers == SCALED).tapped(contexts):
            raise BundleError("a trellis, and taps of latents that move it", expected="none")

    def _check_palette(self) -> None:
        palette, manifest = self.palette, self.manifest
        if palette is None:
            return
        spec = manifest.sample
        image = spec.kind == "image"
        fits = (
            self.contexts is None
            and self.selection.fixed is not None
            and manifest.levels == (Level(1.0),)
            and (spec.shape[-1:] == (1,) and manifest.patch == 1 if image else True)
            and palette.size == ((0, 0) if image else spec.shape)
            and manifest.latents == (1 if image else palette.places)
            and spec.kind != "series"
        )
        if not fits:
            raise BundleError(
                f"palette.bin for samples of {palette.size} in a bundle of {spec.kind} samples of "
                f"shape {spec.shape} with {len(manifest.levels)} levels",
                expected="grey images, or vectors (H, W); one level, of step 1; no contexts and no "
                "group with classes",
            )
        try:
            palette.refuse_tables(self.tables)
        except FormatError as error:
            raise BundleError(str(error)) from error

    def _check_counts(self) -> None:
        counts, manifest = self.counts, self.manifest
        if counts is None:
            return
        if (
            manifest.sample.kind != "series"
            or self.contexts is not None
            or self.selection.fixed is None
        ):
            raise BundleError(
                f"counts.bin in a bundle of {manifest.sample.kind} samples",
                expected="series, no contexts and no group with classes",
            )
        try:
            counts.refuse_tables(self.tables)
            counts.refuse_latents(manifest.latents)
        except FormatError as error:
            raise BundleError(str(error)) from error

    def to_bytes(self) -> bytes:
        """The file: the same members give the same bytes."""
        ordered = {MANIFEST: self.manifest.to_bytes()}
        ordered |= {name: self.members[name] for name in MEMBERS if name in self.members}
        if self.signature is not None:
            ordered[SIGNATURE] = self.signature
        return archive.pack(ordered)

    def signed(self, key: Path) -> Bundle:
        """The same, signed with a private key (signature.sign)."""
        return replace(self, signature=signatures.sign(self.manifest.to_bytes(), key))

    def require_signature(self, trusted: tuple[bytes, ...]) -> None:
        """Raise BundleError unless one of these public keys signed it."""
        signatures.verify(self.manifest.to_bytes(), self.signature, trusted)

    def device_part(self) -> Bundle:
        """The same codec without what only a server needs."""
        members = {n: data for n, data in self.members.items() if n not in SERVER_MEMBERS}
        manifest = replace(self.manifest, absent=SERVER_MEMBERS)
        return Bundle.from_bytes(Bundle(manifest, members).to_bytes())

    def require_whole(self, purpose: str) -> None:
        """Raise BundleError where this is a device's part. purpose: that it cannot serve."""
        if self.manifest.absent:
            raise BundleError(
                f"{purpose} needs {' and '.join(self.manifest.absent)}, which a device's part of a "
                "bundle is without",
                expected="the whole bundle",
                do=f"take the bundle of the codec {self.manifest.identity[:16]} that was exported "
                "without --device-only",
            )

    def write(self, path: Path, *, force: bool = False) -> None:
        """Write the file, all or nothing."""
        write_file(path, self.to_bytes(), force=force)

    @cached_property
    def tables(self) -> Tables:
        return self._part("tables.bin", Tables.from_bytes)

    @cached_property
    def selection(self) -> Selection:
        return self._part("selection.bin", Selection.from_bytes)

    @cached_property
    def contexts(self) -> Contexts | None:
        """What selects tables by what is decoded before; None where classes or nothing does."""
        return self._optional("contexts.bin", Contexts.from_bytes)

    @cached_property
    def palette(self) -> Palette | None:
        """What selects tables of pictures of few grey values; None for all others."""
        return self._optional("palette.bin", Palette.from_bytes)

    @cached_property
    def counts(self) -> Counts | None:
        """What selects tables of values that repeat themselves; None for all others."""
        return self._optional("counts.bin", Counts.from_bytes)

    def _optional(self, name: str, parse: Callable[[bytes], T]) -> T | None:
        return self._part(name, parse) if name in self.members else None

    def _part(self, name: str, parse: Callable[[bytes], T]) -> T:
        try:
            return parse(self.members[name])
        except FormatError as error:
            raise BundleError(f"{name} is damaged: {error}") from error

    @cached_property
    def scorecard(self) -> dict[str, Any]:
        """What training and export measured."""
        return self._json("scorecard.json")

    @cached_property
    def recipe(self) -> dict[str, Any]:
        return self._json("recipe.json")

    @cached_property
    def profile(self) -> dict[str, Any]:
        return self._json("profile.json")

    @cached_property
    def reference(self) -> Reference:
        """The reference vectors. Raises BundleError where they do not fit the manifest."""
        spec = self.manifest.sample
        try:
            inputs = spec.check_batch(self._array("reference/inputs.npy"))
            outputs = None
            if not self.manifest.absent:
                outputs = spec.check_batch(self._array("reference/outputs.npy"))
        except InputError as error:
            raise BundleError(f"the reference vectors do not fit the manifest: {error}") from error
        symbols = self._array("reference/symbols.npy")
        latents = self.manifest.latents * math.prod(self.manifest.grid(inputs.shape[1:]))
        if (
            symbols.shape != (len(inputs), latents)
            or symbols.dtype != np.int32
            or (outputs is not None and outputs.shape != inputs.shape)
        ):
            raise BundleError(
                f"reference symbols of shape {symbols.shape} and dtype {symbols.dtype}",
                expected=f"({len(inputs)}, {latents}) int32, and as many outputs",
            )
        return Reference(inputs, symbols, self.members["reference/packet.bin"], outputs)

    def _json(self, name: str) -> dict[str, Any]:
        try:
            value = canonical.loads(self.members[name], name)
        except FormatError as error:
            raise BundleError(str(error)) from error
        if not isinstance(value, dict):
            raise BundleError(f"{name} holds no object", expected="a JSON object")
        return value

    def _array(self, name: str) -> Array:
        data = self.members[name]
        try:
            return read_npy(io.BytesIO(data), len(data), name)
        except InputError as error:
            raise BundleError(str(error)) from error


def read_file(path: Path) -> bytes:
    """The bytes of a bundle. Raises BundleError."""
    try:
        if path.stat().st_size > archive.MAX_BUNDLE_BYTES:
            raise BundleError(
                f"{path} has {path.stat().st_size} bytes",
                expected=f"at most {archive.MAX_BUNDLE_BYTES}",
            )
        return path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"cannot read the bundle {path}: {error.strerror}", do="check its name"
        ) from error


def take_signature(members: dict[str, bytes]) -> bytes | None:
    """The signature, the last member, taken out of them; None: unsigned. Raises BundleError."""
    if next(reversed(members), None) != SIGNATURE:
        return None
    signature = members.pop(SIGNATURE)
    if len(signature) != _SIGNATURE_BYTES:
        raise BundleError(f"{SIGNATURE} has {len(signature)} bytes", expected=str(_SIGNATURE_BYTES))
    return signature


def npy_bytes(array: Array) -> bytes:
    """A .npy file that holds array."""
    buffer = io.BytesIO()
    np.lib.format.write_array(
        buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False
    )
    return buffer.getvalue()
