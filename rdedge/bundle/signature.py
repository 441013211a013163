"""Who made a bundle: an Ed25519 signature (RFC 8032) over its manifest, which has the hashes of all
else (FORMAT.md, section 5).

Hashes say that a file is whole; only a signature says that it is yours. Keys are PEM files as
`openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` make them. The arithmetic is that of
the cryptography package (extra `sign`); a device that is told to trust certain keys and does not
have it refuses every bundle.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rdedge.errors import BundleError, ConfigError, MissingError

# A file of public keys, or a folder of such .pem files; set, no other bundle is opened.
VARIABLE = "RDEDGE_TRUSTED"
KEY_BYTES, SIGNATURE_BYTES = 32, 64
# What is signed is never mistaken for anything else that the key signs.
_CONTEXT = b"rdedge bundle 1\0"
_END = b"-----END PUBLIC KEY-----"


def sign(manifest: bytes, key: Path) -> bytes:
    """The member signature.bin for a manifest.json: public key, then signature.

    key: as for private_key. Raises ConfigError, MissingError.
    """
    private = private_key(key)
    public: bytes = private.public_key().public_bytes_raw()
    made: bytes = private.sign(_CONTEXT + manifest)
    return public + made


def private_key(key: Path) -> Any:
    """The Ed25519PrivateKey of a PEM file without password. Raises ConfigError, MissingError."""
    serialization, ed25519, _ = _cryptography()
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except OSError as error:
        raise ConfigError(
            f"cannot read the key {key}: {error.strerror}", do="check the name"
        ) from error
    except Exception as error:  # ValueError, TypeError, or one of cryptography's own
        raise ConfigError(f"{key} holds no private key: {error}", expected=_EXPECTED) from error
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise ConfigError(f"{key} holds a key of another kind", expected=_EXPECTED)
    return private


_EXPECTED = "an Ed25519 key without password, as openssl genpkey -algorithm ed25519 makes it"


def verify(manifest: bytes, signature: bytes | None, trusted: tuple[bytes, ...]) -> None:
    """Raise BundleError unless one of the trusted public keys, 32 bytes each, signed it."""
    if signature is None:
        raise BundleError(
            "the bundle is not signed",
            expected=f"a signature by one of {len(trusted)} trusted keys",
            do="export it with --sign, or take it from who signs your bundles",
        )
    _, ed25519, invalid = _cryptography()
    public, made = signature[:KEY_BYTES], signature[KEY_BYTES:]
    if public not in trusted:
        raise BundleError(
            f"the bundle is signed by {public.hex()[:16]}..., whom nobody here trusts",
            expected=", ".join(f"{key.hex()[:16]}..." for key in trusted),
            do="add that key to the trusted ones if it is yours, else do not use the bundle",
        )
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(made, _CONTEXT + manifest)
    except invalid as error:
        raise BundleError(
            "the signature of the bundle is false", do="do not use it; fetch it again"
        ) from error


def trusted_keys(path: Path) -> tuple[bytes, ...]:
    """The Ed25519 public keys of a PEM file, one or more, or of all .pem files of a folder.

    Raises ConfigError where there is none, MissingError.
    """
    serialization, ed25519, _ = _cryptography()
    try:
        files = sorted(path.glob("*.pem")) if path.is_dir() else [path]
        texts = [(file, file.read_bytes()) for file in files]
    except OSError as error:
        raise ConfigError(
            f"cannot read the trusted keys {path}: {error.strerror}",
            do=f"check the name, or {VARIABLE}",
        ) from error
    found: list[bytes] = []
    for file, text in texts:
        for part in text.split(_END)[:-1]:
            try:
                public = serialization.load_pem_public_key(part.strip() + b"\n" + _END + b"\n")
            except Exception as error:  # ValueError, or one of cryptography's own
                raise ConfigError(f"{file} holds no public key: {error}") from error
            if not isinstance(public, ed25519.Ed25519PublicKey):
                raise ConfigError(f"{file} holds a key of another kind", expected="Ed25519")
            found.append(public.public_bytes_raw())
    if not found:
        raise ConfigError(
            f"there is no public key in {path}", expected="PEM, as openssl pkey -pubout makes it"
        )
    return tuple(found)


def trusted_here() -> tuple[bytes, ...]:
    """The keys that RDEDGE_TRUSTED names; none where it is not set."""
    value = os.environ.get(VARIABLE, "")
    return trusted_keys(Path(value)) if value else ()


def _cryptography() -> tuple[Any, Any, type[Exception]]:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise MissingError(
            "cryptography, which makes and checks signatures, is not installed",
            do="pip install 'rdedge[sign]'",
        ) from error
    return serialization, ed25519, InvalidSignature
