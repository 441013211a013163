"""What the classical codecs need for windows of sensor series at a bound.

    taskset -c 1 python benchmarks/series_yardsticks.py [--machine NAME] [--data DIR] [--only SET]

Writes results/series-yardsticks-MACHINE.csv. Sets as sets.py cuts them: windows of 64 rows,
standardised; the bound is a mean squared error of 0.011 over all test windows. Packetised, every
window is coded alone, as a device sends it; otherwise the whole test part is one stream. Beside the
codecs that libraries have stands delta-rice (rice.py), packetised. Every figure is of bytes that
were decoded and compared. Searches look at the test windows themselves, which favours the classical
codecs.

bytes: what the codecs made, without headers. header_bytes: 12 a window, what a packet needs beside
it to be found and placed; none for a stream. bits_per_value counts the bytes alone,
bits_per_value_with_header both. side_bytes: a trained dictionary, which both ends hold beforehand;
not in bytes. encode_s: wall-clock time of turning all test windows into bytes at the setting that
was found, Python and NumPy included, one piece after the other.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path

from coding import machine_name
from rice import Rice
from sets import SERIES, SeriesSet

from rdedge.classical import registry
from rdedge.classical.base import ClassicalCodec
from rdedge.classical.series import series_yardsticks
from rdedge.metrics import Scale
from rdedge.types import Bound

RESULTS = Path(__file__).parent / "results"
DATA = Path(__file__).parents[2] / "shared" / "data"
BOUND = Bound("mse", 0.011)
HEADER_BYTES = 12


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--data", type=Path, default=DATA, help="folder with skab/, ett/ and nab/")
    parser.add_argument("--only", choices=SERIES, help="one set")
    parser.add_argument("--print", action="store_true", help="print only, write no file")
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"no data at {options.data}; name a folder with --data")
    rows = []
    for name, read in SERIES.items():
        if options.only in (None, name):
            series = read(options.data)
            for packetised in (True, False):
                rows += _rows(series, packetised, options.machine)
    if not options.print:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"series-yardsticks-{options.machine}.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        print(path)
    return 0


def _rows(series: SeriesSet, packetised: bool, machine: str) -> list[dict[str, object]]:
    codecs: list[ClassicalCodec] = [registry.get(name) for name in registry.available()]
    codecs += [Rice()] if packetised else []
    versions = {codec.name: codec.version() for codec in codecs}
    started = time.perf_counter()
    found = series_yardsticks(
        series.train,
        series.test,
        BOUND,
        Scale.of(series.train),
        packetised=packetised,
        codecs=codecs,
    )
    sent = "packets" if packetised else "stream"
    print(f"{series.name}, {sent}: searched for {time.perf_counter() - started:.1f} s", flush=True)
    rows = []
    header = HEADER_BYTES * len(series.test) if packetised else 0
    for f in found:
        row = {
            "data": series.name,
            "windows": len(series.test),
            "channels": series.test.shape[2],
            "bound": str(BOUND),
            "sent_as": sent,
            "codec": f.codec,
            "setting": f.setting,
            "bytes": f.size_bytes,
            "header_bytes": header,
            "bits_per_value": round(8 * f.size_bytes / series.test.size, 3),
            "bits_per_value_with_header": round(8 * (f.size_bytes + header) / series.test.size, 3),
            "distortion": round(f.distortion.value, 5),
            "side_bytes": f.side_bytes,
            "encode_s": round(f.encode_s.value, 4),
            "encode_us_per_window": round(1e6 * f.encode_s.value / len(series.test), 1),
            "kind": f.distortion.kind,
            "version": versions[f.codec],
            "machine": machine,
        }
        rows.append(row)
        print(
            f"{row['codec']:16} {row['bits_per_value']:>7} {row['bits_per_value_with_header']:>7}"
            f" bits/value  {row['distortion']:>8} {row['encode_s']:>8} s  {row['setting']}",
            flush=True,
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
