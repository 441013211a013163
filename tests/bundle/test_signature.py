"""Signed bundles, with keys as openssl makes them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from rdedge.bundle import archive, signature
from rdedge.bundle.bundle import MANIFEST, SIGNATURE, Bundle
from rdedge.errors import BundleError, ConfigError, MissingError
from rdedge.flows.inspect import inspect
from tests.bundle import tiny


def private_pem(key, password: bytes | None = None) -> bytes:
    lock = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


def public_pem(key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.fixture
def keys(tmp_path: Path) -> list[Path]:
    """Two private keys; beside each its public one, .pub.pem."""
    found = []
    for name in ("ours", "theirs"):
        key = ed25519.Ed25519PrivateKey.generate()
        path = tmp_path / f"{name}.key"
        path.write_bytes(private_pem(key))
        (tmp_path / f"{name}.pub.pem").write_bytes(public_pem(key))
        found.append(path)
    return found


def public(key: Path) -> Path:
    return key.with_suffix(".pub.pem")


def test_inspect_opens_no_other_either(
    keys: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = keys
    tiny.bundle().signed(ours).write(tmp_path / "s.rdb")
    monkeypatch.setenv(signature.VARIABLE, str(public(ours)))
    assert inspect(tmp_path / "s.rdb")["kind"] == "bundle"
    monkeypatch.setenv(signature.VARIABLE, str(public(theirs)))
    with pytest.raises(BundleError, match="whom nobody here trusts"):
        inspect(tmp_path / "s.rdb")


def test_a_key_of_no_known_kind(tmp_path: Path) -> None:
    """An algorithm that cryptography has no name for raises an error of its own there."""
    body = base64.encodebytes(bytes.fromhex("300d3008060629030401020103010000")).decode()
    path = tmp_path / "x.pem"
    path.write_text(f"-----BEGIN PUBLIC KEY-----\n{body}-----END PUBLIC KEY-----\n")
    with pytest.raises(ConfigError, match="holds no public key"):
        signature.trusted_keys(path)
    oid = bytes.fromhex("3016020100300806062903040102010407040500000000ff")
    path.write_text(
        "-----BEGIN PRIVATE KEY-----\n"
        + base64.encodebytes(oid).decode()
        + "-----END PRIVATE KEY-----\n"
    )
    with pytest.raises(ConfigError, match="holds no private key"):
        signature.private_key(path)


def test_signed_and_trusted(keys: list[Path], tmp_path: Path) -> None:
    ours, theirs = keys
    signed = tiny.bundle().signed(ours)
    assert signed.manifest == tiny.bundle().manifest, "the codec is the same"
    signed.write(tmp_path / "s.rdb")
    trusted = signature.trusted_keys(public(ours))
    assert Bundle.read(tmp_path / "s.rdb", trusted) == signed
    assert Bundle.read(tmp_path / "s.rdb", signature.trusted_keys(tmp_path)) == signed
    assert Bundle.read(tmp_path / "s.rdb", ()) == signed, "nobody asks, nobody looks"
    with pytest.raises(BundleError, match="whom nobody here trusts"):
        Bundle.read(tmp_path / "s.rdb", signature.trusted_keys(public(theirs)))
    with pytest.raises(BundleError, match="not signed"):
        tiny.bundle().require_signature(trusted)


def test_a_devices_part_is_signed_on_its_own(keys: list[Path]) -> None:
    trusted = signature.trusted_keys(public(keys[0]))
    tiny.bundle().device_part().signed(keys[0]).require_signature(trusted)
    # Its manifest says what is absent, so the signature of the whole does not fit.
    whole = tiny.bundle().signed(keys[0])
    data = {
        MANIFEST: tiny.bundle().device_part().manifest.to_bytes(),
        **tiny.bundle().device_part().members,
        SIGNATURE: whole.signature,
    }
    moved = Bundle.from_bytes(archive.pack(data))
    with pytest.raises(BundleError, match="signature of the bundle is false"):
        moved.require_signature(trusted)


def test_every_bit_of_a_signature_counts(keys: list[Path]) -> None:
    signed = tiny.bundle().signed(keys[0])
    assert signed.signature is not None
    trusted = signature.trusted_keys(public(keys[0]))
    manifest = signed.manifest.to_bytes()
    signature.verify(manifest, signed.signature, trusted)
    for bit in range(8 * len(signed.signature)):
        altered = bytearray(signed.signature)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BundleError):
            signature.verify(manifest, bytes(altered), trusted)
    with pytest.raises(BundleError, match="is false"):
        signature.verify(manifest + b" ", signed.signature, trusted)


@pytest.mark.parametrize("size", [0, 1, 95, 97, 1000])
def test_a_member_of_another_size(size: int) -> None:
    one = tiny.bundle()
    data = {MANIFEST: one.manifest.to_bytes(), **one.members, SIGNATURE: bytes(size)}
    with pytest.raises(BundleError, match=r"signature\.bin has"):
        Bundle.from_bytes(archive.pack(data))


def test_it_stands_last_or_not_at_all() -> None:
    one = tiny.bundle()
    data = {MANIFEST: one.manifest.to_bytes(), SIGNATURE: bytes(96), **one.members}
    with pytest.raises(BundleError, match="the bundle holds"):
        Bundle.from_bytes(archive.pack(data))


def test_the_environment_tells_whom_to_trust(
    keys: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = keys
    tiny.bundle().write(tmp_path / "plain.rdb")
    tiny.bundle().signed(ours).write(tmp_path / "s.rdb")
    monkeypatch.setenv(signature.VARIABLE, str(public(ours)))
    assert Bundle.read(tmp_path / "s.rdb").signature is not None
    with pytest.raises(BundleError, match="not signed"):
        Bundle.read(tmp_path / "plain.rdb")
    monkeypatch.setenv(signature.VARIABLE, str(public(theirs)))
    with pytest.raises(BundleError, match="nobody here trusts"):
        Bundle.read(tmp_path / "s.rdb")
    monkeypatch.setenv(signature.VARIABLE, str(tmp_path / "missing.pem"))
    with pytest.raises(ConfigError, match="cannot read the trusted keys"):
        Bundle.read(tmp_path / "s.rdb")


def test_without_cryptography_nothing_is_trusted(
    keys: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    tiny.bundle().signed(keys[0]).write(tmp_path / "s.rdb")
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    monkeypatch.setenv(signature.VARIABLE, str(public(keys[0])))
    with pytest.raises(MissingError, match="cryptography") as caught:
        Bundle.read(tmp_path / "s.rdb")
    assert caught.value.do == "pip install 'rdedge[sign]'"
    monkeypatch.delenv(signature.VARIABLE)
    assert Bundle.read(tmp_path / "s.rdb").signature is not None


def test_keys_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.pem"
    for data in (b"", b"hello", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        path.write_bytes(data)
        with pytest.raises(ConfigError):
            tiny.bundle().signed(path)
        with pytest.raises(ConfigError):
            signature.trusted_keys(path)
    other = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(private_pem(other))
    with pytest.raises(ConfigError, match="another kind"):
        tiny.bundle().signed(path)
    path.write_bytes(public_pem(other))
    with pytest.raises(ConfigError, match="another kind"):
        signature.trusted_keys(path)
    path.write_bytes(private_pem(ed25519.Ed25519PrivateKey.generate(), b"secret"))
    with pytest.raises(ConfigError, match="Password"):
        tiny.bundle().signed(path)
    path.write_bytes(b"-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----\n")
    with pytest.raises(ConfigError, match="no public key"):
        signature.trusted_keys(path)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigError, match="no public key in"):
        signature.trusted_keys(empty)
    with pytest.raises(ConfigError, match="cannot read the key"):
        tiny.bundle().signed(tmp_path / "missing")


def test_by_the_commands(
    keys: list[Path], run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rdedge.cli.group import run

    ours, theirs = keys
    rdb = tmp_path / "s.rdb"
    assert (
        run(["export", str(run_folder), "-o", str(rdb), "--device-only", "--sign", str(ours)]) == 0
    )
    capsys.readouterr()
    assert run(["check", str(rdb), "--trusted", str(public(ours))]) == 0
    assert "signed by the key" in capsys.readouterr().out
    assert run(["check", str(rdb), "--trusted", str(public(theirs))]) == 1
    assert "nobody here trusts" in capsys.readouterr().err
