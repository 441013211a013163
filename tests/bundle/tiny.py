"""A bundle of a few kilobytes, made without torch and without onnx: its graphs are any bytes.

Two latents, samples of three uint8.
"""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from typing import Any

import numpy as np

from rdedge import canonical
from rdedge.bundle import archive
from rdedge.bundle.bundle import MANIFEST, Bundle, npy_bytes
from rdedge.bundle.manifest import Half, Level, Manifest, Member, identity_of, sha256
from rdedge.codec.symbols import SymbolCodec
from rdedge.coding.selection import Selection
from rdedge.coding.tables import Tables
from rdedge.coding.trellis import EIGHT
from rdedge.metrics import Scale
from rdedge.types import Bound, SampleSpec

STEP = 0.75
INPUTS = np.array([[0, 1, 2], [255, 128, 7]], np.uint8)
SYMBOLS = np.array([[0, 1], [-1, 300]], np.int32)


def tables(count: int = 2) -> Tables:
    return Tables(
        np.full(count, -1), tuple(np.array([20000, 30000, 15000, 536]) for _ in range(count))
    )


def manifest(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "model": "mlp",
        "sample": SampleSpec("vector", (3,), "uint8"),
        "columns": (),
        "latents": 2,
        "patch": 1,
        "levels": (Level(STEP),),
        "rounding": 0.5,
        "bound": Bound("mse", 4.0),
        "scale": Scale(255.0, (64.0,)),
        "encoder": Half(10, 20),
        "decoder": Half(30, 40),
        "opset": 18,
        "precision": "fp32",
        "created_by": "rdedge 0",
        "identity": "0" * 64,
        "members": {},
    }
    return Manifest(**{**values, **changes})


def members(**changes: bytes) -> dict[str, bytes]:
    return {
        "encoder.onnx": b"an encoder",
        "decoder.onnx": b"a decoder",
        "tables.bin": tables().to_bytes(),
        "selection.bin": Selection.plain(2).to_bytes(),
        "profile.json": canonical.dumps({"name": "cpu-host"}),
        "recipe.json": canonical.dumps({"graph": {"opset": 18}}),
        "scorecard.json": canonical.dumps({"rate": 0.5}),
        "reference/inputs.npy": npy_bytes(INPUTS),
        "reference/symbols.npy": npy_bytes(SYMBOLS),
        "reference/packet.bin": b"",
        "reference/outputs.npy": npy_bytes(INPUTS),
        **changes,
    }


@cache
def bundle() -> Bundle:
    """The key of the reference packet is the bundle's, so the bundle is made twice."""
    draft = Bundle.make(manifest(), members())
    packet = SymbolCodec.of(draft).pack(SYMBOLS.ravel(), len(SYMBOLS))
    return Bundle.make(manifest(), members(**{"reference/packet.bin": packet}))


@cache
def bundle_bytes() -> bytes:
    return bundle().to_bytes()


def manifest_json() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(bundle().manifest.to_bytes())
    return value


def packed(
    *,
    manifest: dict[str, Any] | bytes | None = None,
    replace: dict[str, bytes] | None = None,
    extra: dict[str, bytes] | None = None,
    drop: str | None = None,
) -> bytes:
    """A sound ZIP of members that may contradict each other.

    manifest: keys to change, or the whole member.
    """
    if isinstance(manifest, bytes):
        text = manifest
    else:
        text = canonical.dumps({**manifest_json(), **(manifest or {})})
    found = {MANIFEST: text, **bundle().members, **(replace or {}), **(extra or {})}
    if drop is not None:
        del found[drop]
    return archive.pack(found)


def with_tables(count: int) -> bytes:
    """A bundle that is whole in itself, but for the number of its tables."""
    data = tables(count).to_bytes()
    value = manifest_json()
    value["members"]["tables.bin"] = {"bytes": len(data), "sha256": sha256(data)}
    manifest = bundle().manifest
    listed = manifest.members | {"tables.bin": Member(len(data), sha256(data))}
    value["identity"] = identity_of(dataclasses.replace(manifest, members=listed))
    return packed(manifest=value, replace={"tables.bin": data})


def with_trellis() -> bytes:
    """The same with a trellis, which needs contexts."""
    manifest = dataclasses.replace(bundle().manifest, trellis=EIGHT)
    pairs = [list(pair) for pair in EIGHT.transitions]
    return packed(manifest={"trellis": pairs, "identity": identity_of(manifest)})
