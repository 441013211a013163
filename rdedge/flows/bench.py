"""`rdedge bench`: how fast a bundle encodes and decodes here, by backend, beside its parity.

Each backend runs in a process of its own, so that the peak of its memory is its own too.
"""

from __future__ import annotations

import csv
import io
import multiprocessing
import platform
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rdedge.bundle.bundle import Bundle
from rdedge.codec.decoder import Decoder
from rdedge.codec.encoder import Encoder
from rdedge.codec.preprocess import prepare
from rdedge.device.power import Meter, sensors
from rdedge.engine.runner import backends_at_hand, refuse_unknown
from rdedge.errors import ConfigError, EngineError, MissingError
from rdedge.flows.check import BASE
from rdedge.types import Array

MOST_BATCH = 4096
_WARM_UP = 3


@dataclass(frozen=True)
class Line:
    """One half on one backend with batches of one size. Times in milliseconds for a batch, of the
    whole call (encode: sample to packet; decode: packet to sample) and of its graph alone.

    repeats: calls measured; median, p99: of their wall clock. graph: median of the network's.
    samples_per_second: of all calls together. peak_mib: of the process, 2^20 bytes. millijoules:
    for a sample, of the whole board, None without sensors. symbols_differ: share of this backend's
    symbols that are not ort-cpu's; max_output_difference: of its reconstructions from ort-cpu's,
    in the units of the data; None for the other half.
    """

    half: str
    backend: str
    runs: str
    batch: int
    repeats: int
    median: float
    p99: float
    graph: float
    samples_per_second: float
    peak_mib: float
    millijoules: float | None
    symbols_differ: float | None
    max_output_difference: float | None
    machine: str


def machine_name() -> str:
    """Processor and system, for the column of that name."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
        board = Path("/proc/device-tree/model").read_bytes().strip(b"\0").decode("utf-8", "replace")
        model = board or model
    except OSError:
        pass
    return f"{model}, {platform.system()} {platform.machine()}"


def bench(
    path: Path,
    *,
    backends: Sequence[str] | None = None,
    batches: Sequence[int] = (1, 64),
    seconds: float = 1.0,
    threads: int | None = None,
    x: Array | None = None,
) -> tuple[list[Line], list[str]]:
    """Measure the bundle at path; lines, and what could not be measured with why.

    backends: of BACKENDS; None: all at hand. batches: samples at a time, 1 to 4096. seconds: for
    each line, above 0. x: samples (N, *shape); None: the reference vectors. Raises ConfigError,
    MissingError, EngineError.
    """
    for batch in batches:
        if not 1 <= batch <= MOST_BATCH:
            raise ConfigError(f"a batch of {batch}", expected=f"1 to {MOST_BATCH}")
    if not 0 < seconds <= 3600:
        raise ConfigError(f"{seconds:g} seconds", expected="more than 0, at most 3600")
    refuse_unknown(backends or ())
    bundle = Bundle.read(path)
    samples = bundle.reference.inputs if x is None else bundle.manifest.sample.check_batch(x)
    at_hand = backends_at_hand()
    notes: list[str] = []
    missing = {one.backend: one.why for one in at_hand if not one.there}
    there = (one.backend for one in at_hand if one.there)
    wanted = list(dict.fromkeys(there if backends is None else backends))
    notes += [f"{name}: not here: {why}" for name, why in missing.items() if backends is None]
    for name in wanted:
        if name in missing:
            raise MissingError(
                f"{name} cannot run here: {missing[name]}", do="rdedge doctor says what mends it"
            )
    power = sensors()
    if power.why:
        notes.append(f"energy: {power.why}")
    else:
        notes.append(f"energy: of {', '.join(power.names)}, with all else that runs here")
    if bundle.manifest.absent:
        notes.append("a device's part: nothing is decoded")
    lines: list[Line] = []
    # A fresh interpreter: a fork would count the parent's memory.
    context = multiprocessing.get_context("spawn")
    sizes = tuple(dict.fromkeys(batches))
    for name in wanted:
        with ProcessPoolExecutor(1, context, initializer=_die_silently) as pool:
            measured = pool.submit(_measure, path, name, sizes, seconds, threads, samples)
            try:
                lines += measured.result()
            except BrokenExecutor as error:
                raise EngineError(
                    f"the process that measured {name} died, perhaps for want of memory",
                    do="try a smaller --batch",
                ) from error
    return lines, notes


def _die_silently() -> None:
    """Ctrl-C reaches every process of a terminal; the parent alone says that it was stopped."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _measure(
    path: Path,
    backend: str,
    batches: tuple[int, ...],
    seconds: float,
    threads: int | None,
    samples: Array,
) -> list[Line]:
    """In a process of its own: all lines of one backend."""
    bundle = Bundle.read(path)
    encoder = Encoder(bundle, backend=backend, threads=threads)
    whole = not bundle.manifest.absent
    decoder = Decoder(bundle, backend=backend, threads=threads) if whole else None
    lines: list[Line] = []
    timings = []
    for batch in batches:
        x = np.ascontiguousarray(np.resize(samples, (batch, *samples.shape[1:])))
        seen = prepare(x, encoder.spec, bundle.manifest.patch)
        encode = partial(encoder.encode, x), partial(encoder.runner.run, seen)
        timings.append(("encode", batch, *_timed(*encode, seconds)))
        if decoder is not None:
            y_hat = np.zeros_like(encoder.runner.run(seen))
            decode = partial(decoder.decode, encoder.encode(x)), partial(decoder.runner.run, y_hat)
            timings.append(("decode", batch, *_timed(*decode, seconds)))
    # Before another backend is opened for parity.
    peak = _peak_mib()
    difference = None
    base = Encoder(bundle, backend=BASE)
    differ = float((encoder.symbols(samples) != base.symbols(samples)).mean())
    if decoder is not None:
        symbols, shape = bundle.reference.symbols, bundle.reference.inputs.shape[1:]
        ours, theirs = (
            one.reconstruct(symbols, shape).astype(np.float64)
            for one in (decoder, Decoder(bundle, backend=BASE))
        )
        difference = float(np.abs(ours - theirs).max())
    for half, batch, whole_ms, graph_ms, joules in timings:
        runner = encoder.runner if half == "encode" or decoder is None else decoder.runner
        lines.append(
            Line(
                half,
                backend,
                runner.name,
                batch,
                len(whole_ms),
                float(np.median(whole_ms)),
                float(np.percentile(whole_ms, 99)),
                float(np.median(graph_ms)),
                1e3 * batch * len(whole_ms) / float(np.sum(whole_ms)),
                peak,
                None if joules is None else 1e3 * joules / (batch * len(whole_ms)),
                differ if half == "encode" else None,
                difference if half == "decode" else None,
                machine_name(),
            )
        )
    return lines


def _peak_mib() -> float:
    """The most memory that this process held, in 2^20 bytes. Linux hands getrusage's figure down
    from the parent, through exec; that of /proc begins anew.
    """
    try:
        status = Path("/proc/self/status").read_text("ascii", "replace")
        (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.M)
        return int(kilobytes) / 2**10
    except (OSError, ValueError):
        # In kilobytes on Linux, in bytes on macOS.
        unit = 1 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _timed(
    whole: Callable[[], Any], graph: Callable[[], Any], seconds: float
) -> tuple[Array, Array, float | None]:
    """Milliseconds of each call of the whole, of each of its graph, and joules of the former."""
    for _ in range(_WARM_UP):
        whole()
        graph()
    with Meter(sensors()) as meter:
        times = _repeat(whole, seconds)
    return times, _repeat(graph, seconds / 4), meter.joules


def _repeat(call: Callable[[], Any], seconds: float) -> Array:
    found: list[float] = []
    end = time.perf_counter() + seconds
    while not found or time.perf_counter() < end:
        started = time.perf_counter()
        call()
        found.append(1e3 * (time.perf_counter() - started))
    return np.array(found)


def as_csv(lines: Sequence[Line]) -> str:
    """A CSV with a header, a row for each line."""
    text = io.StringIO()
    names = [field.name for field in fields(Line)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({k: _rounded(v) for k, v in asdict(line).items()})
    return text.getvalue()


def _rounded(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value
