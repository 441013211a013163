"""Encoding one picture of 640 x 640, with the promise and without, beside the classical codecs.

    taskset -c 1 python benchmarks/picture_speed.py BUNDLE [--data DIR] [--machine NAME]

The picture: 25 held-out magnetic tiles, their middles of 128 x 128 pixels side by side. Each
classical codec at the setting whose error comes nearest to that with gate = always. Writes
results/picture-speed-MACHINE.csv: milliseconds of the processor, medians of turns that all take
one after the other, so that other work on the machine counts less; every error is of what was
decoded, with NumPy for rdedge.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from coding import machine_name
from kept import replace_rows
from picture_yardsticks import read

from rdedge.bundle.bundle import Bundle
from rdedge.classical import registry
from rdedge.codec import Decoder, Encoder

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DATA = HERE.parents[1] / "shared/data"
FIELDS = (
    "bundle",
    "codec",
    "encode_ms",
    "turns",
    "bytes",
    "bits_per_pixel",
    "psnr",
    "encoder_macs_per_pixel",
    "kind",
    "version",
    "machine",
)
CLASSICAL = (("webp", "method 6"), ("avif", "speed 4"), ("jpegxl", "effort 7"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--turns", type=int, default=9)
    options = parser.parse_args()
    x = mosaic(options.data)
    bundle = Bundle.of(options.bundle)
    decoder, known = Decoder(bundle, threads=1, coder="numpy"), bundle.manifest
    name = f"{known.model}, {known.bound}"
    work: dict[str, Callable[[], bytes]] = {}
    rows: dict[str, dict[str, object]] = {}
    wanted = 0.0
    for gate in ("never", "always"):
        encoder = Encoder(bundle, threads=1, gate=gate, margin=0.0)
        work[f"gate {gate}"] = lambda e=encoder: e.encode(x)
        packet = encoder.encode(x)
        wanted = float(np.square(decoder.decode(packet).astype(float) - x).mean())
        macs = known.encoder.macs / math.prod(encoder.spec.shape[:2])
        rows[f"gate {gate}"] = _row(f"rdedge {known.model}, gate {gate}", packet, wanted) | {
            "encoder_macs_per_pixel": round(macs),
            "version": encoder.symbol_codec.coder.backend,
        }
    for codec_name, ladder_name in CLASSICAL:
        codec = registry.get(codec_name)
        setting, data, error = _nearest(codec, ladder_name, x[0, :, :, 0], wanted)
        work[codec_name] = lambda c=codec, s=setting: c.encode(x[0, :, :, 0], s).data
        rows[codec_name] = _row(f"{codec_name} {setting.text}", data, error) | {
            "version": codec.version()
        }
    times: dict[str, list[float]] = {key: [] for key in work}
    for _ in range(options.turns):
        for key, encode in work.items():
            began = time.process_time()
            encode()
            times[key].append(time.process_time() - began)
    for key, row in rows.items():
        row |= {
            "bundle": name,
            "encode_ms": round(1e3 * float(np.median(times[key])), 2),
            "turns": options.turns,
            "kind": "measured",
            "machine": options.machine,
        }
        print(row)
    path = RESULTS / f"picture-speed-{options.machine}.csv"
    replace_rows(path, FIELDS, name, list(rows.values()))


def mosaic(data: Path, side: int = 640, piece: int = 128) -> np.ndarray:
    """(1, 640, 640, 1) uint8."""
    pictures = [p for p in read(data / "magtile/test") if min(p.shape[:2]) >= piece]
    across = side // piece
    if len(pictures) < across**2:
        raise SystemExit(f"{len(pictures)} pictures of {piece} pixels or more, not {across**2}")
    x = np.empty((1, side, side, 1), np.uint8)
    for i, picture in enumerate(pictures[: across**2]):
        down, right = ((n - piece) // 2 for n in picture.shape[:2])
        y, z = i // across * piece, i % across * piece
        x[0, y : y + piece, z : z + piece] = picture[down : down + piece, right : right + piece]
    return x


def _nearest(codec, ladder_name: str, x: np.ndarray, wanted: float):
    """Of the ladder of that name the setting whose squared error is nearest: it, bytes, error."""
    ladders = [one for one in codec.ladders() if ladder_name in one.settings[0].text]
    settings, found = ladders[0].settings, {}

    def error(at: int) -> float:
        if at not in found:
            data = codec.encode(x, settings[at]).data
            back = codec.decode(data, x.shape, str(x.dtype)).astype(float)
            found[at] = (settings[at], data, float(np.square(back - x).mean()))
        return found[at][2]

    low, high = 0, len(settings) - 1
    falls = error(high) < error(low)
    while high - low > 1:
        middle = (low + high) // 2
        if (error(middle) > wanted) == falls:
            low = middle
        else:
            high = middle
    return min(found.values(), key=lambda one: abs(one[2] - wanted))


def _row(codec: str, data: bytes, error: float) -> dict[str, object]:
    return {
        **dict.fromkeys(FIELDS, ""),
        "codec": codec,
        "bytes": len(data),
        "bits_per_pixel": round(8 * len(data) / 640**2, 4),
        "psnr": round(10 * math.log10(255.0**2 / error), 3),
    }


if __name__ == "__main__":
    main()
