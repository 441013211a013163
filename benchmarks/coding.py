"""Speed and size of the entropy coder, with constriction beside it as the yardstick.

    python benchmarks/coding.py [--machine NAME] [--symbols N] [--repeats R]

Writes results/coding-MACHINE.csv. One process, one core (pin it: taskset -c 1). All contenders of a
case code the same symbols and take turns, and every figure is the median of its turns. A contender
counts only with its parity: decoding gave the symbols back, and C and NumPy gave the same bytes.

constriction's Python API offers no lookup-table models; its fastest model for one table is
Categorical(perfect=False), which is what stands here. For a model per symbol it is
QuantizedGaussian with a mean and a standard deviation per symbol, where we select one of 64 tables
per symbol; setting up our coder for that index is part of the time, as passing the parameters is
part of its.

Times are of the processor (time.thread_time), so that other work on the machine counts less.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from rdedge import native
from rdedge.coding.rans import Coded, Coder
from rdedge.coding.tables import Tables, cross_entropy_bits, tables_from_counts

RESULTS = Path(__file__).parent / "results"


@dataclass
class Case:
    """Symbols to code, how a table is selected for each, and the model for the yardstick."""

    name: str
    symbols: np.ndarray
    tables: Tables
    index: np.ndarray
    stds: np.ndarray  # of the Gaussian behind each table


@dataclass
class Contender:
    """One coder on one case: turns of encoding and decoding, in seconds for each call."""

    name: str
    encode: Callable[[], object]
    decode: Callable[[object], np.ndarray]
    size: Callable[[object], int]
    expected: np.ndarray
    calls: int = 1
    lanes: int = 0
    encode_s: list[float] = field(default_factory=list)
    decode_s: list[float] = field(default_factory=list)
    coded: object = None
    exact: bool = True

    def turn(self) -> None:
        start = time.thread_time()
        for _ in range(self.calls):
            self.coded = self.encode()
        self.encode_s.append((time.thread_time() - start) / self.calls)
        start = time.thread_time()
        for _ in range(self.calls):
            decoded = self.decode(self.coded)
        self.decode_s.append((time.thread_time() - start) / self.calls)
        self.exact = self.exact and bool(np.array_equal(decoded, self.expected))


def gaussian_tables(stds: np.ndarray) -> Tables:
    """Tables of zero-mean Gaussians cut at 6 standard deviations; the rest escapes."""
    minimum, weights = [], []
    for std in stds.tolist():
        reach = int(6 * std) + 2
        k = np.arange(-reach, reach + 1)
        minimum.append(-reach)
        weights.append(np.append(np.exp(-0.5 * (k / std) ** 2), 1e-6))
    return tables_from_counts(minimum, weights)


def cases(symbols: int) -> list[Case]:
    rng = np.random.default_rng(20261)
    made = []
    for std in (0.5, 4.0, 16.0):
        values = np.round(rng.normal(0, std, symbols)).astype(np.int32)
        stds = np.array([std])
        zero = np.zeros(1, np.uint16)
        made.append(Case(f"one table, std {std:g}", values, gaussian_tables(stds), zero, stds))
    stds = np.geomspace(0.3, 16, 64)
    index = rng.integers(0, 64, symbols).astype(np.uint16)
    values = np.round(rng.normal(0, stds[index])).astype(np.int32)
    made.append(Case("table per symbol, 64 tables", values, gaussian_tables(stds), index, stds))
    index = np.arange(64, dtype=np.uint16)
    every = np.resize(index, symbols)
    values = np.round(rng.normal(0, stds[every])).astype(np.int32)
    tables = gaussian_tables(stds)
    made.append(Case("vectors of 64", values, tables, index, stds))
    for vectors in (1, 16):
        some = values[: 64 * vectors]
        made.append(Case(f"packet of {vectors} vectors of 64", some, tables, index, stds))
    return made


def ours(case: Case, backend: str, lanes: int | None = None) -> Contender:
    """Our coder; lanes: None as it chooses."""
    new_each_time = case.index.size > 64
    coder = Coder(case.tables, case.index, backend)  # type: ignore[arg-type]

    def current() -> Coder:
        if new_each_time:
            return Coder(case.tables, case.index, backend)  # type: ignore[arg-type]
        return coder

    def decode(coded: object) -> np.ndarray:
        assert isinstance(coded, Coded)
        return current().decode(coded.latents, coded.escapes, case.symbols.size, coded.lanes)

    def size(coded: object) -> int:
        assert isinstance(coded, Coded)
        return len(coded.latents) + len(coded.escapes)

    return Contender(
        "rdedge C" if backend == "c" else "rdedge NumPy",
        lambda: current().encode(case.symbols, lanes),
        decode,
        size,
        case.symbols,
        lanes=coder.encode(case.symbols, lanes).lanes,
    )


def most_lanes(body_bytes: int) -> int:
    """The most lanes whose states are at most 1 % of the body."""
    return 1 << max(0, (body_bytes // 800).bit_length() - 1)


def yardstick(case: Case) -> Contender:
    import constriction

    stack = constriction.stream.stack
    model = constriction.stream.model
    symbols = case.symbols
    reach = int(np.abs(symbols).max()) + 1
    parameters: tuple[np.ndarray, ...] = ()
    if case.index.size == 1:
        name = "constriction Categorical"
        k = np.arange(-reach, reach + 1)
        weights = np.exp(-0.5 * (k / case.stds[0]) ** 2)
        entropy = model.Categorical((weights / weights.sum()).astype(np.float32), perfect=False)
        coded_symbols = symbols + np.int32(reach)
    else:
        name = "constriction QuantizedGaussian"
        entropy = model.QuantizedGaussian(-reach, reach)
        stds = np.resize(case.stds[case.index], symbols.size)
        parameters = (np.zeros(symbols.size), stds)
        coded_symbols = symbols

    def encode() -> object:
        coder = stack.AnsCoder()
        coder.encode_reverse(coded_symbols, entropy, *parameters)
        return coder.get_compressed()

    def decode(words: object) -> np.ndarray:
        coder = stack.AnsCoder(words)
        if parameters:
            return coder.decode(entropy, *parameters)
        return coder.decode(entropy, symbols.size)

    def size(words: object) -> int:
        return 4 * len(words)  # type: ignore[arg-type]

    return Contender(name, encode, decode, size, coded_symbols)


def measure(case: Case, repeats: int) -> list[dict[str, object]]:
    contenders = [yardstick(case)]
    backends = ["numpy"] if native.library() is None else ["c", "numpy"]
    chosen = Coder(case.tables, case.index).encode(case.symbols)
    for lanes in sorted({chosen.lanes, most_lanes(len(chosen.latents))}):
        contenders += [ours(case, backend, lanes) for backend in backends]
    for contender in contenders:
        contender.calls = max(1, 20_000 // case.symbols.size)
        contender.turn()  # not counted: caches and lazily made tables
        contender.encode_s.clear()
        contender.decode_s.clear()
    for _ in range(repeats):
        for contender in contenders:
            contender.turn()
    # Coders of as many lanes must have made the same bytes, whatever their backend.
    made = {c.coded for c in contenders if isinstance(c.coded, Coded)}
    same = len(made) == len({c.lanes for c in contenders[1:]})
    entropy_bytes = cross_entropy_bits(case.symbols, case.index, case.tables) / 8
    rows: list[dict[str, object]] = []
    base = contenders[0]
    for c in contenders:
        is_ours = isinstance(c.coded, Coded)
        encode_s, decode_s = np.median(c.encode_s), np.median(c.decode_s)
        rows.append(
            {
                "case": case.name,
                "coder": c.name,
                "symbols": case.symbols.size,
                "lanes": c.lanes or "",
                "bytes": c.size(c.coded),
                "cross_entropy_bytes": f"{entropy_bytes:.1f}",
                "encode_us": f"{encode_s * 1e6:.2f}",
                "decode_us": f"{decode_s * 1e6:.2f}",
                "encode_msym_s": f"{case.symbols.size / encode_s / 1e6:.2f}",
                "decode_msym_s": f"{case.symbols.size / decode_s / 1e6:.2f}",
                "encode_ratio": f"{np.median(base.encode_s) / encode_s:.2f}",
                "decode_ratio": f"{np.median(base.decode_s) / decode_s:.2f}",
                "decoded_equals_input": c.exact,
                "same_bytes_c_numpy": same if is_ours and len(backends) == 2 else "",
            }
        )
    return rows


def machine_name() -> str:
    """The processor's model and the cores at hand, as a slug."""
    model = "cpu"
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", info.read_text(), re.M)
        model = found.group(1) if found else model
    return re.sub(r"[^a-z0-9]+", "-", f"{model} {os.cpu_count()} cores".lower()).strip("-")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--symbols", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--print", action="store_true", help="print only, write no file")
    options = parser.parse_args()
    rows = []
    for case in cases(options.symbols):
        for row in measure(case, options.repeats):
            rows.append(row)
            print(
                f"{row['case']:32} {row['coder']:30} K={row['lanes']!s:5}"
                f"{row['bytes']:>9} B ({row['cross_entropy_bytes']})"
                f"  {row['encode_msym_s']:>7} / {row['decode_msym_s']:>7} Msym/s"
                f"  x{row['encode_ratio']} / x{row['decode_ratio']}"
                f"  {row['decoded_equals_input']} {row['same_bytes_c_numpy']}"
            )
    if not options.print:
        RESULTS.mkdir(exist_ok=True)
        versions = (
            f"python {sys.version_info.major}.{sys.version_info.minor}, numpy {np.__version__}, "
            f"constriction {version('constriction')}, {native.describe()}"
        )
        path = RESULTS / f"coding-{options.machine}.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0], "machine", "kind", "versions"])
            writer.writeheader()
            for row in rows:
                writer.writerow(
                    row | {"machine": options.machine, "kind": "measured", "versions": versions}
                )
        print(path)
    return 0 if all(row["decoded_equals_input"] is True for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
