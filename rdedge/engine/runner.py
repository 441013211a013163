"""One interface for whatever runs a graph, which backends can run here, and the choice.

In this order, which `backend` or RDEDGE_BACKEND override:

tensorrt      where there is a GPU and `rdedge build` has made an engine for it. The choice never
              builds one by itself, since that may take minutes; asked for by name, it does
ort-tensorrt  where there is a GPU and ONNX Runtime's TensorRT provider
ort-cuda      where there is a GPU and ONNX Runtime's CUDA provider
ort-cpu       elsewhere

On a machine with a GPU, what stands before the chosen one and why it was not taken is said, once.
A backend that was asked for by name and cannot run is an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from rdedge.engine import cuda, cudart, tensorrt
from rdedge.engine.build import Options
from rdedge.engine.cache import Cache
from rdedge.engine.cache import folder as cache_folder
from rdedge.engine.engines import engine_for, target, usable
from rdedge.engine.notice import say_once
from rdedge.engine.onnx_runtime import PROVIDERS, OnnxRuntimeRunner, module
from rdedge.engine.part import Part
from rdedge.engine.tensorrt_runner import RefusedError, TensorRTRunner
from rdedge.errors import ConfigError, EngineError, MissingError, OutputError, RdedgeError
from rdedge.types import Array

VARIABLE = "RDEDGE_BACKEND"
BACKENDS = ("tensorrt", "ort-tensorrt", "ort-cuda", "ort-cpu")
# The best of ONNX Runtime's.
_ONNX_RUNTIME = "onnxruntime"


class Runner(Protocol):
    """A graph with one input and one output, ready to run.

    name: what really runs, with its version. backend: one of BACKENDS.
    """

    name: str
    backend: str

    def run(self, x: Array) -> Array:
        """x: (N, ...) float32, C-contiguous; returns (N, ...) float32."""
        ...

    def close(self) -> None:
        """Give back what it holds of the machine."""
        ...


@dataclass(frozen=True)
class AtHand:
    """Whether a backend can run here. why: what it would run on, or what is missing."""

    backend: str
    there: bool
    why: str


def open_runner(part: Part, backend: str | None = None, threads: int | None = None) -> Runner:
    """A runner for one half of a codec. threads: of ort-cpu, for one operator.

    backend: one of BACKENDS, or "onnxruntime" for the best of its providers; None for what
    RDEDGE_BACKEND says, else the best here. Raises ConfigError for a name that is none, and where
    nothing can run: MissingError, EngineError or BundleError of the last that was tried.
    """
    backend = backend or os.environ.get(VARIABLE) or None
    if backend not in (None, _ONNX_RUNTIME, *BACKENDS):
        raise ConfigError(
            f"no backend is called {backend!r}", expected=", ".join((*BACKENDS, _ONNX_RUNTIME))
        )
    if backend in BACKENDS:
        return _open(part, backend, threads, by_name=True)
    driver = cuda.ask()
    wanted = [name for name in BACKENDS if backend is None or name in PROVIDERS]
    if not driver.sm:
        wanted = wanted[-1:]
    skipped: list[str] = []
    for name in wanted:
        try:
            runner = _open(part, name, threads, by_name=False)
        except (MissingError, EngineError, ConfigError, OutputError) as error:
            if name == wanted[-1]:
                raise
            do = f" ({error.do})" if error.do else ""
            skipped.append(f"{name}: {error.what}{do}")
            continue
        if skipped:
            say_once(
                f"{runner.name} is used, although there is a GPU, {driver.name}, because of "
                + "; ".join(skipped)
            )
        return runner
    raise AssertionError("the last one runs or raises")


def _open(part: Part, backend: str, threads: int | None, by_name: bool) -> Runner:
    if backend != "tensorrt":
        return OnnxRuntimeRunner(
            part.graph,
            part.what,
            threads,
            backend=backend,
            workspace_mib=part.workspace_mib,
        )
    return _open_tensorrt(part, by_name)


def _open_tensorrt(part: Part, by_name: bool) -> TensorRTRunner:
    """The engine built last that fits; by name: one is built where there is none."""
    goal = target()
    cudart.runtime()
    cache = Cache(cache_folder())
    gpu = cuda.ask().name
    stored, reasons = usable(part, goal, cache)
    options = Options(part.workspace_mib)
    if stored is None and not by_name:
        passed = f"; {reasons[0]}" if reasons else ""
        raise MissingError(
            f"no engine for {goal.tensorrt} and this GPU lies in {cache.path}{passed}",
            do="make one with rdedge build",
        )
    if stored is None:
        for reason in reasons:
            say_once(f"{reason}; an engine is built")
        stored = engine_for(part, goal, options, cache).stored
    try:
        return TensorRTRunner(stored, goal.tensorrt, part.what, gpu)
    except RefusedError as error:
        if not by_name:
            raise
        say_once(f"{error.what}; an engine is built")
        stored.path.unlink(missing_ok=True)
        stored = engine_for(part, goal, options, cache).stored
        return TensorRTRunner(stored, goal.tensorrt, part.what, gpu)


def refuse_unknown(backends: Iterable[str]) -> None:
    """Raise ConfigError for a name that is none of BACKENDS."""
    for name in backends:
        if name not in BACKENDS:
            raise ConfigError(f"no backend is called {name!r}", expected=", ".join(BACKENDS))


def backends_at_hand() -> list[AtHand]:
    """All BACKENDS, in their order, with whether they can run here or what they lack.

    Nothing is built or opened; onnxruntime is imported.
    """
    driver = cuda.ask()
    try:
        ort = module()
        version, providers, no_ort = ort.__version__, ort.get_available_providers(), ""
    except MissingError as error:
        version, providers, no_ort = "", [], error.what
    found = [_tensorrt_at_hand(driver)]
    for backend, (provider, short) in PROVIDERS.items():
        if no_ort:
            found.append(AtHand(backend, False, no_ort))
        elif provider not in providers:
            found.append(AtHand(backend, False, f"onnxruntime {version} has no {provider}"))
        elif backend != "ort-cpu" and not driver.sm:
            found.append(AtHand(backend, False, f"no GPU: {driver.why}"))
        else:
            found.append(AtHand(backend, True, f"onnxruntime {version} {short}"))
    return found


def _tensorrt_at_hand(driver: cuda.Driver) -> AtHand:
    try:
        found = tensorrt.require()
        if not driver.sm:
            raise MissingError(f"no GPU: {driver.why}")
        cudart.runtime()
        if found.rtx and driver.sm not in tensorrt.offered(found):
            raise MissingError(f"{found} offers nothing for SM {driver.sm}")
        Cache(cache_folder())
    except RdedgeError as error:
        return AtHand("tensorrt", False, error.what)
    return AtHand("tensorrt", True, f"{found.flavour} {found.version} {driver.name}")
