"""Logs block by block: a dictionary of the user's own lines beside zstd, xz and gzip.

    python benchmarks/logs.py [--data DIR] [--only SET] [--lines N] [--machine NAME]

Writes results/logs-MACHINE.csv: for each log and block size, what the last 22 % of its blocks take,
with a dictionary made from the others. "rdedge" is whole packets, each decoded and compared before
it counts; "zstd-dictionary" is zstd's own trainer at the size that is best on the very blocks it is
judged on, as the library writes frames and, bare, without magic number, sizes and names. No figure
has a dictionary in it: side_bytes has. encode_ms: of a block, the least of three runs, one core.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import zstandard
from coding import machine_name

from rdedge.bundle.bundle import DICTIONARY
from rdedge.classical.lines import line_yardsticks, train_dictionary, with_dictionary
from rdedge.codec.lines import LineDecoder, LineEncoder
from rdedge.data.lines import blocks
from rdedge.host.line_export import export_lines
from rdedge.host.lines import train_lines

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DATA = HERE.parents[1] / "shared/data/loghub"
SIZES = (2048, 4096, 8192, 16384, 32768, 65536, 112640)
FIELDS = (
    "set",
    "lines",
    "blocks",
    "raw_bytes",
    "codec",
    "setting",
    "each_block",
    "bytes",
    "bytes_per_block",
    "ratio",
    "side_bytes",
    "encode_ms",
    "machine",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--only", action="append", help="a part of a log's name")
    parser.add_argument("--lines", type=int, action="append", help="of a block")
    parser.add_argument("--machine", default=machine_name())
    options = parser.parse_args()
    rows = []
    for path in sorted(options.data.glob("*.log")):
        if options.only and not any(part in path.name for part in options.only):
            continue
        for lines in options.lines or (10, 50, 200):
            found = measured(path, lines)
            rows += [{**row, "machine": options.machine} for row in found]
            print(f"{path.stem}, {lines} lines:")
            for row in found:
                how = "" if row["each_block"] else ", whole"
                print(
                    f"  {row['bytes']:7,} {row['ratio']:6.2f}  {row['codec']} {row['setting']}{how}"
                )
    target = RESULTS / f"logs-{options.machine}.csv"
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{target.name}: {len(rows)} rows")


def measured(path: Path, lines: int) -> list[dict]:
    """All rows of one log and block size."""
    parts = blocks(path.read_bytes(), lines)
    with tempfile.TemporaryDirectory() as folder:
        run, rdb = Path(folder) / "run", Path(folder) / "x.rdb"
        card = train_lines(path, output=run, lines=lines)
        bundle = export_lines(run, rdb)
    seen, held_out = parts[: -card["held_out"]["blocks"]], parts[-card["held_out"]["blocks"] :]
    encoder, decoder = LineEncoder(bundle), LineDecoder(bundle)
    packets = [encoder.encode(block) for block in held_out]
    assert [decoder.decode(packet) for packet in packets] == held_out
    size = sum(map(len, packets))
    assert size == card["held_out"]["packet_bytes"]
    dictionary = card["dictionary"]
    setting = f"level {card['level']}, picked {dictionary['picked']}, latest {dictionary['latest']}"
    raw = sum(map(len, held_out))

    def row(codec: str, setting: str, each: bool, size: int, side: int, ms: float | None) -> dict:
        return {
            "set": path.stem,
            "lines": lines,
            "blocks": len(held_out),
            "raw_bytes": raw,
            "codec": codec,
            "setting": setting,
            "each_block": each,
            "bytes": size,
            "bytes_per_block": round(size / len(held_out), 1),
            "ratio": round(raw / size, 3),
            "side_bytes": side,
            "encode_ms": None if ms is None else round(ms, 3),
        }

    ms = encode_ms(encoder.encode, held_out)
    rows = [row("rdedge", setting, True, size, len(bundle.members[DICTIONARY]), ms)]
    made = [one for one in (train_dictionary(seen, n) for n in SIZES) if one is not None]
    best = min(made, key=lambda one: with_dictionary(held_out, one, "").size_bytes)
    for bare in (False, True):
        name = f"level 19, trained, {len(best)} bytes{', bare' * bare}"
        compress = compressor(best, bare)
        size = sum(len(compress(block)) - 4 * bare for block in held_out)
        rows.append(
            row("zstd-dictionary", name, True, size, len(best), encode_ms(compress, held_out))
        )
    for one in line_yardsticks(held_out):
        rows.append(row(one.codec, one.setting, one.each_block, one.size_bytes, 0, None))
    return rows


def compressor(dictionary: bytes, bare: bool) -> Callable[[bytes], bytes]:
    """Zstd with a dictionary; bare: with none of the fields that its frames can do without."""
    prepared = zstandard.ZstdCompressionDict(dictionary)
    prepared.precompute_compress(level=19)
    fields = {"write_content_size": not bare, "write_dict_id": not bare}
    return zstandard.ZstdCompressor(level=19, dict_data=prepared, **fields).compress


def encode_ms(code: Callable[[bytes], bytes], parts: list[bytes]) -> float:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        for part in parts:
            code(part)
        times.append(time.perf_counter() - started)
    return 1e3 * min(times) / len(parts)


if __name__ == "__main__":
    main()
