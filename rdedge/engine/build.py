"""An ONNX graph -> the bytes of an engine, by TensorRT's Python API.

The network is strongly typed: types are the graph's own, so a recipe decides on precision and
TensorRT does not. TF32, which rounds float32 factors to 10 bits, is off unless asked for. The
same code runs on TensorRT 10.3 to 11 and on TensorRT for RTX; where they differ is said below.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rdedge.engine import tensorrt
from rdedge.engine.graph import refuse_external
from rdedge.engine.part import Part
from rdedge.engine.tensorrt import TensorRT
from rdedge.errors import ConfigError, EngineError


@dataclass(frozen=True)
class Options:
    """Choices of the builder.

    workspace_mib: 2^20 bytes that it may use, None for all. version_compatible: the engine runs
    in later versions too, with a copy of TensorRT's lean runtime inside. hardware_compatible: it
    runs on all GPUs from Ampere on, except Jetson's. Both cost speed. tf32: see above.
    """

    workspace_mib: int | None = None
    version_compatible: bool = False
    hardware_compatible: bool = False
    tf32: bool = False

    def __post_init__(self) -> None:
        if self.workspace_mib is not None and not 1 <= self.workspace_mib <= 1 << 20:
            raise ConfigError(
                f"a workspace of {self.workspace_mib} MiB", expected=f"1 to {1 << 20}"
            )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def build_engine(
    part: Part, options: Options, found: TensorRT, sm: tuple[str, ...], timing: bytes = b""
) -> tuple[bytes, bytes]:
    """The engine of part for the compute capabilities sm, as in ("8.7",), and a timing cache.

    TensorRT builds for the GPU of this machine, whatever sm says; TensorRT for RTX for sm, which
    must be some of what it offers, and needs no GPU. timing: what an earlier build returned, b""
    for none. Raises BundleError for what is no self-contained ONNX file, EngineError for operators
    that TensorRT lacks (each with its node) and failed builds, ConfigError for an sm that it does
    not offer and options that it does not know, MissingError.
    """
    refuse_external(part.graph, part.what)
    trt = tensorrt.load(found.module)
    with tensorrt.listening(trt) as errors:
        builder = tensorrt.started(trt, "Builder", found, errors)
        network = builder.create_network(_network_flags(trt, found))
        parser = trt.OnnxParser(network, tensorrt.logger(trt))
        fine = parser.parse(part.graph)
        if not fine or parser.num_errors:
            raise _unparsed(parser, part, found)
        config = _config(trt, builder, options, found, sm)
        if config.add_optimization_profile(_profile(builder, network, part)) < 0:
            raise tensorrt.failure(f"{found} refuses the shapes of {part.what}", errors)
        # TensorRT for RTX measures nothing while it builds.
        if not found.rtx:
            _remember(config, timing)
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise tensorrt.failure(f"{found} builds no engine from {part.what}", errors)
        kept = None if found.rtx else config.get_timing_cache()
        return bytes(engine), b"" if kept is None else bytes(kept.serialize())


def _remember(config: Any, timing: bytes) -> None:
    """Start from the timings of an earlier build, if TensorRT takes them, else from none."""
    if not config.set_timing_cache(config.create_timing_cache(timing), False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _network_flags(trt: Any, found: TensorRT) -> int:
    """10.x must be told to type strongly; 11 does nothing else."""
    if not found.rtx and int(found.version.split(".")[0]) >= 11:
        return 0
    return 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def _unparsed(parser: Any, part: Part, found: TensorRT) -> EngineError:
    """All that the parser found wrong, node by node."""
    lines = []
    for i in range(parser.num_errors):
        error = parser.get_error(i)
        # 10.3 has all of these; desc is an expression of the parser's source, or "false".
        node, operator, said = error.node_name(), error.node_operator(), error.desc()
        code = str(error.code()).rpartition(".")[2]
        where = f"node {node!r} ({operator})" if operator else "the file"
        lines.append(f"{where}: {code}" + (f", {said}" if said not in ("", "false") else ""))
    return EngineError(
        f"{found} cannot take {part.what}: " + ("; ".join(lines) or "it gives no reason"),
        expected="operators that TensorRT has",
        do="choose another model or recipe, or set RDEDGE_BACKEND to ort-cuda or ort-cpu",
    )


def _config(trt: Any, builder: Any, options: Options, found: TensorRT, sm: tuple[str, ...]) -> Any:
    config = builder.create_builder_config()
    if found.rtx:
        known = tensorrt.offered(found)
        for one in sm:
            if one not in known:
                raise ConfigError(
                    f"{found} builds nothing for SM {one}",
                    expected=f"SM {', '.join(known)}",
                    do="build on the device itself, with the TensorRT of its JetPack or driver",
                )
        config.num_compute_capabilities = len(sm)
        for i, one in enumerate(sm):
            number = getattr(trt.ComputeCapability, f"SM{one.replace('.', '')}")
            if not config.set_compute_capability(number, i):
                raise ConfigError(f"{found} refuses to build for SM {one}")
    if not options.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatible:
        if found.rtx:
            raise ConfigError(
                f"{found} has no hardware compatibility",
                do="give several --sm instead: it builds one engine for all of them",
            )
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    return config


def _profile(builder: Any, network: Any, part: Part) -> Any:
    """One optimisation profile for the free axes of the only input."""
    if network.num_inputs != 1 or network.num_outputs != 1:
        raise EngineError(
            f"{part.what} has {network.num_inputs} inputs and {network.num_outputs} outputs",
            expected="one of each",
        )
    tensor = network.get_input(0)
    shape = tuple(tensor.shape)
    if sum(size == -1 for size in shape) != len(part.axes):
        raise EngineError(
            f"the input of {part.what} has the shape {shape}, -1 for any size",
            expected=f"{len(part.axes)} free axes",
            do="export it again",
        )
    profile = builder.create_optimization_profile()
    shapes = []
    for name in ("min", "opt", "max"):
        axes = iter(part.axes)
        shapes.append(tuple(getattr(next(axes), name) if s == -1 else s for s in shape))
    profile.set_shape(tensor.name, *shapes)
    return profile
