"""A device profile, devices/NAME.toml: what one kind of machine is, and how we know.

Every table of figures has a `source`, the document that they were read from (or what they rest
on), and `verified`: whether somebody has seen them on the hardware itself. A table without a
source is refused; one that says nothing is unverified.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from rdedge.errors import ConfigError

KINDS = ("jetson", "host")
PRECISIONS = ("fp32", "fp16", "bf16", "int8", "fp8", "fp4")
# What is said of a profile with a table that is not verified.
UNVERIFIED = "unverified on hardware"
# What rdedge itself needs (pyproject.toml): a JetPack with an older one is listed, not supported.
OLDEST_PYTHON = (3, 10)


@dataclass(frozen=True)
class Table:
    """What every table of figures says of itself.

    source: title and address of the document, or what the figures rest on.
    verified: seen on the hardware.
    """

    source: str
    verified: bool = False

    def __post_init__(self) -> None:
        if not self.source.strip():
            raise ConfigError(
                "source is empty", expected="the document that the figures were read from"
            )


@dataclass(frozen=True, kw_only=True)
class Module(Table):
    """What a device tree calls it. numbers: of the module, as in p3767-0005. boards: numbers of
    carrier boards that stand alone where the device tree does not name the module.
    """

    soc: str
    numbers: tuple[str, ...]
    boards: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for number in self.numbers + self.boards:
            if re.fullmatch(r"p\d{4}-\d{4}", number) is None:
                raise ConfigError(f"part number {number!r}", expected="as in 'p3767-0005'")


@dataclass(frozen=True, kw_only=True)
class Gpu(Table):
    """cuda_cores, tensor_cores: of the whole GPU. dla: deep-learning accelerators beside it."""

    cuda_cores: int | None = None
    tensor_cores: int | None = None
    dla: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _within("cuda_cores", self.cuda_cores, 1, 1_000_000)
        _within("tensor_cores", self.tensor_cores, 1, 100_000)
        _within("dla", self.dla, 0, 16)


@dataclass(frozen=True, kw_only=True)
class Compute(Table):
    """precisions: that the hardware runs. sm: compute capability, "major.minor"; None where the
    profile stands for several.
    """

    precisions: tuple[str, ...]
    sm: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sm is not None and re.fullmatch(r"[1-9]\d?\.\d", self.sm) is None:
            raise ConfigError(f"sm is {self.sm!r}", expected="major.minor, as in '8.7'")
        if not self.precisions:
            raise ConfigError("precisions is empty", expected=f"some of {', '.join(PRECISIONS)}")
        for precision in self.precisions:
            if precision not in PRECISIONS:
                raise ConfigError(f"precision {precision!r}", expected=", ".join(PRECISIONS))


@dataclass(frozen=True, kw_only=True)
class Memory(Table):
    """gb: as the module is sold, in units of 2^30 bytes. shared: between CPU and GPU.
    bandwidth_gb_s: 10^9 bytes a second; super_bandwidth_gb_s: with the clocks of Super mode.
    """

    gb: int
    shared: bool
    bandwidth_gb_s: float | None = None
    super_bandwidth_gb_s: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _within("gb", self.gb, 1, 65_536)
        _within("bandwidth_gb_s", self.bandwidth_gb_s, 1, 100_000)
        _within("super_bandwidth_gb_s", self.super_bandwidth_gb_s, 1, 100_000)

    def fits(self, kilobytes: int) -> bool:
        """Whether MemTotal of /proc/meminfo, in 2^10 bytes, may be this memory.

        Firmware and carve-outs keep up to a fifth of a small module's memory from Linux.
        """
        return 0.75 * self.gb < kilobytes / 2**20 <= self.gb


@dataclass(frozen=True, kw_only=True)
class JetPack(Table):
    """One release. l4t: Jetson Linux, as in "36.4.3". python: of the system, which TensorRT's
    module is built for.
    """

    version: str
    l4t: str
    ubuntu: str
    python: str
    cuda: str
    tensorrt: str

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("version", "l4t", "ubuntu", "python", "cuda", "tensorrt"):
            value = getattr(self, name)
            if re.fullmatch(r"\d+(\.\d+)+", value) is None:
                raise ConfigError(f"{name} is {value!r}", expected="numbers with points, as '6.2'")

    @property
    def supported(self) -> bool:
        """Whether rdedge runs on its Python."""
        return tuple(int(part) for part in self.python.split(".")[:2]) >= OLDEST_PYTHON


@dataclass(frozen=True)
class Mode:
    """A mode of nvpmodel. watts: None for those without a budget (MAXN)."""

    id: int
    name: str
    watts: int | None = None

    def __post_init__(self) -> None:
        _within("id", self.id, 0, 255)
        _within("watts", self.watts, 1, 10_000)


@dataclass(frozen=True, kw_only=True)
class Power(Table):
    """The modes of one nvpmodel configuration. configuration: its name. default: of a mode."""

    configuration: str
    default: str
    modes: tuple[Mode, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [mode.name for mode in self.modes]
        if len(set(names)) < len(names) or len({mode.id for mode in self.modes}) < len(names):
            raise ConfigError(f"modes of {self.configuration!r} repeat a name or an id")
        if self.default not in names:
            raise ConfigError(
                f"default mode {self.default!r} of {self.configuration!r}",
                expected=", ".join(names) or "at least one mode",
            )


@dataclass(frozen=True, kw_only=True)
class Builder(Table):
    """workspace_mib: what TensorRT's builder may use, in 2^20 bytes."""

    workspace_mib: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _within("workspace_mib", self.workspace_mib, 1, 1 << 20)


@dataclass(frozen=True)
class Profile:
    """One kind of machine that runs the encoder.

    name: as the file's. recipe: that `export` takes for it. notes: what a user must know. Tables
    that say nothing of this machine, or of which nothing is known, are None or empty.
    """

    name: str
    title: str
    kind: str
    recipe: str
    compute: Compute
    module: Module | None = None
    gpu: Gpu | None = None
    memory: Memory | None = None
    jetpack: tuple[JetPack, ...] = ()
    power: tuple[Power, ...] = ()
    builder: Builder | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"kind is {self.kind!r}", expected=" or ".join(map(repr, KINDS)))
        if self.kind == "jetson" and not (self.module and self.memory and self.jetpack):
            raise ConfigError(
                "a profile of kind 'jetson' lacks a table",
                expected="[module], [memory] and at least one [[jetpack]]",
            )
        if self.memory and self.builder and self.builder.workspace_mib > 1024 * self.memory.gb:
            raise ConfigError(
                f"workspace_mib is {self.builder.workspace_mib}",
                expected=f"at most the memory, {1024 * self.memory.gb}",
            )

    @property
    def precisions(self) -> tuple[str, ...]:
        return self.compute.precisions

    @property
    def tables(self) -> dict[str, Table]:
        """The tables that there are, by their place in the file: "gpu", "jetpack 6.2"."""
        single = {
            "module": self.module,
            "gpu": self.gpu,
            "compute": self.compute,
            "memory": self.memory,
        }
        found: dict[str, Table] = {name: table for name, table in single.items() if table}
        found |= {f"jetpack {release.version}": release for release in self.jetpack}
        found |= {f"power {power.configuration}": power for power in self.power}
        return found | ({"builder": self.builder} if self.builder else {})

    @property
    def verified(self) -> bool:
        """Whether every table was seen on the hardware."""
        return all(table.verified for table in self.tables.values())

    @property
    def supported(self) -> bool:
        """Whether there is a JetPack for it that rdedge runs on; a host needs none."""
        return not self.jetpack or any(release.supported for release in self.jetpack)

    def to_json(self) -> dict[str, Any]:
        """What a bundle carries: all that the file says, and both verdicts. Unknown: left out."""
        value: dict[str, Any] = without_unknown(asdict(self))
        return value | {"verified": self.verified, "supported": self.supported}


def _within(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise ConfigError(f"{name} is {value}", expected=f"{low} to {high}")


def without_unknown(value: Any) -> Any:
    """For JSON: without what is None or an empty tuple; tuples as lists."""
    if isinstance(value, dict):
        return {k: without_unknown(v) for k, v in value.items() if v is not None and v != ()}
    if isinstance(value, list | tuple):
        return [without_unknown(v) for v in value]
    return value
