"""What fp16 and int8 encoders cost: bytes at equal distortion on held-out data, beside fp32.

Claim: an int8 encoder needs at most 3 % more bytes, with at least 90 % of its multiply-adds in
int8. Give it finished runs of `rdedge train`; their data must be where it was.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path

from rdedge.bundle.bundle import Bundle
from rdedge.errors import ParityError
from rdedge.host.export import export

COLUMNS = (
    "run",
    "model",
    "bound",
    "precision",
    "packet_bytes",
    "extra_bytes",
    "distortion",
    "step",
    "int8_macs",
    "encoder_macs",
    "encoder_bytes",
    "decoder_bytes",
    "bundle_bytes",
    "device_part_bytes",
    "refused",
    "machine",
)


def rows_of(run: Path, folder: Path, machine: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for precision, recipe in (("fp32", "default"), ("fp16", "fp16"), ("int8", "int8")):
        row: dict[str, object] = {"run": run.name, "precision": precision, "machine": machine}
        try:
            bundle = export(run, folder / f"{precision}.rdb", recipe=recipe, force=True)
        except ParityError as error:
            found.append(row | {"refused": str(error)})
            continue
        found.append(row | _facts(bundle))
    return found


def _facts(bundle: Bundle) -> dict[str, object]:
    manifest, card = bundle.manifest, bundle.scorecard
    lower, after = card.get("precision"), card["export"]
    extra = 0.0 if lower is None else after["packet_bytes"] / lower["fp32"]["packet_bytes"] - 1.0
    return {
        "model": manifest.model,
        "bound": str(manifest.bound),
        "packet_bytes": after["packet_bytes"],
        "extra_bytes": f"{extra:.5f}",
        "distortion": f"{after['distortion']['value']:.6g}",
        "step": f"{manifest.levels[0].step:.5g}",
        "int8_macs": "" if lower is None else f"{lower['int8_macs']:.4f}",
        "encoder_macs": manifest.encoder.macs,
        "encoder_bytes": len(bundle.members["encoder.onnx"]),
        "decoder_bytes": len(bundle.members["decoder.onnx"]),
        "bundle_bytes": len(bundle.to_bytes()),
        "device_part_bytes": len(bundle.device_part().to_bytes()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--machine", required=True, help="for the name of the CSV")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for run in options.runs:
            rows += rows_of(run, Path(folder), options.machine)
            print(*rows[-3:], sep="\n", file=sys.stderr, flush=True)
    path = Path(__file__).parent / "results" / f"precision-{options.machine}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(path)


if __name__ == "__main__":
    main()
