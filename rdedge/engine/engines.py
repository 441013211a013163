"""An engine for one half of a codec: the one in the cache, or a new one that is kept there."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from rdedge.bundle.bundle import Bundle
from rdedge.bundle.recipe import load_profile
from rdedge.engine import cuda
from rdedge.engine.build import Options, build_engine
from rdedge.engine.cache import Cache, Header, Stored
from rdedge.engine.cache import folder as cache_folder
from rdedge.engine.notice import say_once
from rdedge.engine.part import HALVES, Part, Shapes
from rdedge.engine.tensorrt import INSTALL, TensorRT, installed, require
from rdedge.errors import ConfigError, MissingError

# An engine of TensorRT that is hardware compatible runs on these and later GPUs.
_AMPERE = (8, 0)


@dataclass(frozen=True)
class Target:
    """What to build with and for. gpu: the name of this machine's GPU, "" where it is for others
    or does not matter.
    """

    tensorrt: TensorRT
    sm: tuple[str, ...]
    gpu: str = ""


@dataclass(frozen=True)
class Engine:
    """An engine in the cache. seconds: that it took to load or build; cached: it was there."""

    half: str
    tensorrt: str
    sm: tuple[str, ...]
    path: Path
    bytes: int
    seconds: float
    cached: bool
    stored: Stored

    def to_json(self) -> dict[str, Any]:
        value = {name: v for name, v in vars(self).items() if name != "stored"}
        return value | {"path": str(self.path), "sm": list(self.sm)}


def build(
    bundle: Bundle,
    half: str = "both",
    *,
    sm: tuple[str, ...] = (),
    batch: str | None = None,
    size: str | None = None,
    options: Options | None = None,
    profile: str | None = None,
    cache: str | PathLike[str] | None = None,
) -> list[Engine]:
    """What `rdedge build` does: engines for the halves of a bundle, "both" for all it has.

    batch, size: as Shapes.parse takes them. profile: a device profile instead of the bundle's,
    which says the GPU's compute capability and the workspace where options leave that open; cache:
    as cache.folder takes it. Raises ConfigError where the profile is for another GPU, and what
    target and engine_for raise.
    """
    options = options or Options()
    for one in sm:
        if re.fullmatch(r"[1-9]\d?\.\d", one) is None:
            raise ConfigError(f"--sm {one!r}", expected="major.minor, as in 8.6")
    described = bundle.profile if profile is None else load_profile(profile).to_json()
    shapes = Shapes.parse(bundle, batch, size)
    wanted = HALVES if half == "both" else [one for one in HALVES if one == half]
    if not wanted:
        raise ConfigError(f"half {half!r}", expected=f"{', '.join(HALVES)} or both")
    if half == "both":
        wanted = [one for one in wanted if f"{one}.onnx" in bundle.members]
    parts = [Part.of(bundle, one, shapes, described) for one in wanted]
    folder = Cache(cache_folder(cache))
    goal = target(sm)
    _refuse_other_gpu(described, goal)
    if options.workspace_mib is None:
        options = replace(options, workspace_mib=parts[0].workspace_mib)
    return [engine_for(part, goal, options, folder) for part in parts]


def _refuse_other_gpu(profile: dict[str, Any], goal: Target) -> None:
    compute = profile.get("compute")
    said = compute.get("sm") if isinstance(compute, dict) else None
    others = [one for one in goal.sm if said is not None and one != said]
    if others:
        raise ConfigError(
            f"the profile {profile.get('name')!r:.60} is for SM {said!r:.20}, and the engine would "
            f"be for SM {others[0]}",
            do="take the bundle that was exported for this GPU, or name its profile with "
            "--profile, as in --profile gpu-host",
        )


def target(sm: tuple[str, ...] = ()) -> Target:
    """For the compute capabilities sm, as in ("8.6",); () for the GPU of this machine.

    Raises MissingError where there is no GPU, or no TensorRT that builds for that sm.
    """
    driver = cuda.ask()
    if not sm and not driver.sm:
        rtx = [one for one in installed() if one.rtx]
        raise MissingError(
            f"no GPU to build for: {driver.why}",
            do="run it on the device; or build for another GPU with --sm, as in --sm 8.6"
            + ("" if rtx else f", with TensorRT for RTX: {INSTALL}"),
        )
    if not sm or sm == (driver.sm,):
        found = require()
        return Target(found, (driver.sm,), "" if found.rtx else driver.name)
    if len(set(sm)) < len(sm):
        raise ConfigError(f"--sm {' --sm '.join(sm)}", expected="each one once")
    return Target(require(rtx=True), tuple(sorted(sm, key=_number)))


def _number(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


def engine_for(part: Part, goal: Target, options: Options, cache: Cache) -> Engine:
    """The engine of part with exactly these options and axes, from the cache or built and kept.

    Why a file of the cache was not taken is said once. Raises what build_engine raises, and
    OutputError where the cache cannot be written.
    """
    start = time.perf_counter()
    wanted = header_for(part, goal, options)
    stored, reason = cache.find(wanted)
    if stored is None:
        cache.make()
        with cache.alone():
            # Somebody else may have built it while this process waited.
            stored, reason = cache.find(wanted)
            if stored is None:
                if reason:
                    say_once(f"{reason}; it is built again")
                return _engine(_build(part, goal, options, cache, wanted), goal, start, False)
    cache.touch(stored)
    return _engine(stored, goal, start, True)


def _engine(stored: Stored, goal: Target, start: float, cached: bool) -> Engine:
    header = stored.header
    return Engine(
        header.half,
        str(goal.tensorrt),
        header.sm,
        stored.path,
        header.bytes,
        time.perf_counter() - start,
        cached,
        stored,
    )


def header_for(part: Part, goal: Target, options: Options) -> Header:
    """What the engine's header must say."""
    return Header(
        "engine",
        part.identity,
        part.half,
        part.graph_sha256,
        goal.tensorrt.flavour,
        goal.tensorrt.version,
        goal.sm,
        "" if options.hardware_compatible else goal.gpu,
        tuple((axis.min, axis.opt, axis.max) for axis in part.axes),
        options,
    )


def _build(part: Part, goal: Target, options: Options, cache: Cache, wanted: Header) -> Stored:
    """Build with the timings of earlier builds for this GPU and version, and keep both."""
    timings = replace(wanted, kind="timing", identity="0" * 64, half="any", graph="0" * 64, axes=())
    kept, reason = cache.find(timings)
    if reason:
        say_once(f"{reason}; the build measures anew")
    before = kept.data if kept else b""
    engine, after = build_engine(part, options, goal.tensorrt, goal.sm, before)
    if after and after != before:
        cache.write(timings, after)
    return cache.write(wanted, engine)


def usable(part: Part, goal: Target, cache: Cache) -> tuple[Stored | None, list[str]]:
    """The engine of part that was built or asked for last, of those that run on goal, whatever
    its options; None where there is none, and why others were passed over.
    """

    def fits(header: Header) -> str:
        ours = header_for(part, goal, header.options)
        compatible = header.options.version_compatible
        if compatible and _number(header.version) <= _number(ours.version):
            ours = replace(ours, version=header.version)
        sm = goal.sm[0]
        ampere = header.options.hardware_compatible and _number(sm) >= _AMPERE
        if sm in header.sm or ampere:
            ours = replace(ours, sm=header.sm)
        return header.difference(replace(ours, axes=header.axes))

    return cache.newest(header_for(part, goal, Options()), fits)
