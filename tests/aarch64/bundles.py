"""One side's half of the cross-check with bundles: samples -> packets, the other side's back.

    python bundles.py FOLDER SIDE --make
    python bundles.py FOLDER SIDE --make --read OTHER

FOLDER/inputs has NAME.rdb and NAME.SET.npy. Each batch goes through Encoder twice, with the coder
in C and in NumPy. Needs numpy, onnxruntime and rdedge alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from rdedge import Decoder, Encoder, native
from rdedge.bundle.bundle import Bundle
from rdedge.format.packet import Packet, read_packet

# Samples in a packet, by turns; of images a tenth.
BATCHES = (1, 3, 64, 500)
NUMPY_PACKETS = 1


def batches(x: np.ndarray) -> Iterator[np.ndarray]:
    start = turn = 0
    while start < len(x):
        size = BATCHES[turn % len(BATCHES)]
        size = -(-size // 10) if x.ndim == 4 else size
        yield x[start : start + size]
        start, turn = start + size, turn + 1


def with_numpy(bundle: Bundle, packet: int) -> bool:
    """Whether NumPy codes this packet too: with contexts it goes latent after latent, which takes
    minutes a packet under emulation.
    """
    return bundle.contexts is None or packet < NUMPY_PACKETS


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def packets(data: bytes) -> Iterator[Packet]:
    offset = 0
    while offset < len(data):
        packet, offset = read_packet(data, offset)
        yield packet


def make(bundle: Bundle, x: np.ndarray, path: Path) -> dict[str, Any]:
    """Packets, the symbols that the encoder meant, and the reconstructions, beside path."""
    encoder, twin = Encoder(bundle, coder="c", threads=1), Encoder(bundle, coder="numpy", threads=1)
    decoder = Decoder(bundle, coder="c", threads=1)
    made, numpy_differs = [], 0
    symbols = []
    for batch in batches(x):
        symbols.append(encoder.symbols(batch))
        made.append(encoder.encode(batch))
        if with_numpy(bundle, len(made) - 1):
            numpy_differs += made[-1] != twin.encode(batch)
    beside(path, ".packets").write_bytes(b"".join(made))
    np.save(beside(path, ".symbols.npy"), np.concatenate(symbols))
    np.save(beside(path, ".npy"), np.concatenate([decoder.decode(one) for one in made]))
    return {
        "samples": len(x),
        "packets": len(made),
        "bytes": sum(map(len, made)),
        "numpy_differs": numpy_differs,
    }


def read(bundle: Bundle, theirs: Path, mine: Path) -> dict[str, Any]:
    """The other side's packets: symbols that are not what its encoder meant, by each coder."""
    meant = np.load(beside(theirs, ".symbols.npy"), allow_pickle=False)
    found: dict[str, Any] = {"symbols": meant.size}
    coders: tuple[Any, ...] = ("c", "numpy")
    for coder in coders:
        decoder = Decoder(bundle, coder=coder, threads=1)
        symbols, x_hat = [], []
        for i, packet in enumerate(packets(beside(theirs, ".packets").read_bytes())):
            if coder == "numpy" and not with_numpy(bundle, i):
                break
            grid = bundle.manifest.grid(packet.shape or bundle.manifest.sample.shape)
            symbols.append(decoder.symbol_codec.unpack(packet, grid))
            if coder == "c":
                x_hat.append(decoder.decode_packet(packet))
        decoded = np.concatenate(symbols)
        assert coder == "numpy" or decoded.shape == meant.shape, (decoded.shape, meant.shape)
        found[coder] = int((decoded != meant[: len(decoded)]).sum())
        if coder == "c":
            np.save(beside(mine, ".theirs.npy"), np.concatenate(x_hat))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("side")
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--read", metavar="OTHER")
    asked = parser.parse_args()
    mine = asked.folder / asked.side
    made: dict[str, Any] = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "onnxruntime": version("onnxruntime"),
        "coder": native.describe(),
        "bundles": {},
        "sets": {},
    }
    found: dict[str, Any] = {}
    for path in sorted((asked.folder / "inputs").glob("*.rdb")):
        bundle = Bundle.read(path)
        # The file made again here, from its parts.
        again = Bundle.make(bundle.manifest, bundle.members).to_bytes()
        made["bundles"][path.stem] = hashlib.sha256(again).hexdigest()
        for data in sorted(path.parent.glob(f"{path.stem}.*.npy")):
            name = data.stem
            if asked.make:
                x = np.load(data, allow_pickle=False)
                made["sets"][name] = make(bundle, x, mine / name)
            if asked.read:
                theirs = asked.folder / asked.read / name
                found[name] = read(bundle, theirs, mine / name)
    if asked.side != "host":
        heavy = {"torch", "onnx", "sklearn"} & set(sys.modules)
        assert not heavy, heavy
    if asked.make:
        (mine / "bundles.made.json").write_text(json.dumps(made))
    if asked.read:
        (mine / "bundles.read.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
