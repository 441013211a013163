"""What this machine is: found out from its files, each finding with where it came from.

Nothing is changed, nothing heavy is imported, no command is run. What could not be found out is
said with its reason. All files are looked for below a root, so that a mounted image of a device or
a recorded tree can be asked too; the CUDA driver and the running Python are asked only where the
root is "/".
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rdedge.bundle.profile import OLDEST_PYTHON, UNVERIFIED, Profile
from rdedge.bundle.recipe import load_profile, profile_names
from rdedge.device.match import Match, match
from rdedge.device.tree import Tree
from rdedge.engine import cuda

# Major numbers of Jetson Linux and of the JetPack that it belongs to.
JETPACK_OF_L4T = {32: 4, 34: 5, 35: 5, 36: 6, 38: 7, 39: 7}
RECORDED = "not asked: this is a tree of files, not the running machine"
_NUMBER = re.compile(r"p\d{4}-\d{4}")


@dataclass(frozen=True)
class Finding:
    """what: is it about. value: what was found, None if nothing. where: it came from (a file, a
    library), or why there is nothing.
    """

    what: str
    value: str | None
    where: str


@dataclass(frozen=True)
class Probe:
    """findings: in a fixed order. match: the profile that fits, or why none does. warnings: what
    a user must know before rdedge runs here.
    """

    findings: tuple[Finding, ...]
    match: Match
    warnings: tuple[str, ...] = ()

    def value(self, what: str) -> str | None:
        """The value of one finding."""
        return next(finding.value for finding in self.findings if finding.what == what)

    def to_json(self) -> dict[str, Any]:
        findings = {f.what: {"value": f.value, "where": f.where} for f in self.findings}
        return {
            "findings": findings,
            "match": asdict(self.match),
            "warnings": list(self.warnings),
        }


def probe(root: Path = Path("/"), profiles: list[Profile] | None = None) -> Probe:
    """Look at the machine whose files are below root. profiles: those that ship, unless given.

    Never raises for what a file holds or lacks.
    """
    tree, live = Tree(root), root.resolve() == Path("/")
    known = [load_profile(name) for name in profile_names()] if profiles is None else profiles
    compatible = _compatible(tree)
    kilobytes, memory = _memory(tree)
    driver = cuda.ask() if live else cuda.Driver(why=RECORDED)
    processor = _processor(tree, live)
    gpu = _gpu(tree, driver)
    soc = next(
        (c.split(",")[1] for c in (compatible.value or "").split() if "nvidia,tegra" in c), None
    )
    numbers = tuple(dict.fromkeys(_NUMBER.findall(compatible.value or "")))
    found = match(
        known,
        soc=soc,
        numbers=numbers,
        kilobytes=kilobytes,
        processor=processor.value,
        gpu=gpu.value,
    )
    fitting = next((profile for profile in known if profile.name == found.profile), None)
    l4t = _l4t(tree)
    modes, no_modes = _modes(tree)
    findings = (
        _first_line(tree, "model", "/proc/device-tree/model"),
        compatible,
        processor,
        memory,
        l4t,
        _jetpack(l4t, fitting),
        _mode_names(modes, no_modes),
        _mode(tree, modes),
        gpu,
        Finding("compute capability", driver.sm or None, driver.why or cuda.LIBRARY),
        Finding("CUDA of the driver", driver.version or None, driver.why or cuda.LIBRARY),
        _tensorrt(tree, live),
        _system_python(tree),
        Finding("running Python", platform.python_version() if live else None, _running(live)),
    )
    return Probe(findings, found, tuple(_warnings(Probe(findings, found), fitting)))


def _warnings(found: Probe, profile: Profile | None) -> Iterator[str]:
    if profile and not profile.verified:
        yield f"profile {profile.name} is {UNVERIFIED}"
    python, oldest = found.value("system Python"), ".".join(map(str, OLDEST_PYTHON))
    jetson = found.value("Jetson Linux") is not None  # elsewhere another Python is easily had
    if jetson and python and tuple(map(int, python.split("."))) < OLDEST_PYTHON:
        yield f"the system's Python {python} is not supported: rdedge needs {oldest} or newer"
    if profile and not profile.supported:
        yield f"{profile.title}: no JetPack with Python {oldest} or newer; not supported"
    sm = found.value("compute capability")
    if profile and profile.compute.sm and sm and sm != profile.compute.sm:
        yield f"the driver says compute capability {sm}, the profile {profile.compute.sm}"


def _running(live: bool) -> str:
    return "this process" if live else RECORDED


def _first_line(tree: Tree, what: str, path: str) -> Finding:
    found = tree.read(path)
    return Finding(what, found.text.splitlines()[0] if found.text else None, found.why or path)


def _compatible(tree: Tree) -> Finding:
    path = "/proc/device-tree/compatible"
    found = tree.read(path)
    return Finding("compatible", " ".join(found.text.split()) or None, found.why or path)


def _processor(tree: Tree, live: bool) -> Finding:
    path = "/proc/cpuinfo"
    found = tree.read(path)
    for key, name in (("CPU implementer", "aarch64"), ("vendor_id", "x86-64")):
        if re.search(rf"^{key}\s*:", found.text, re.MULTILINE):
            return Finding("processor", name, path)
    if live:
        return Finding("processor", platform.machine(), "this process")
    why = found.why or f"{path} names neither an x86-64 nor an Arm processor"
    return Finding("processor", None, why)


def _memory(tree: Tree) -> tuple[int | None, Finding]:
    path = "/proc/meminfo"
    found = tree.read(path)
    line = re.search(r"^MemTotal:\s*(\d{1,15}) kB", found.text, re.MULTILINE)
    if line is None:
        return None, Finding("memory", None, found.why or f"{path} has no MemTotal")
    kilobytes = int(line[1])
    text = f"{kilobytes / 2**20:.1f} GiB that Linux has"
    return kilobytes, Finding("memory", text, path)


def _l4t(tree: Tree) -> Finding:
    path = "/etc/nv_tegra_release"
    found = tree.read(path)
    line = re.search(r"R(\d{1,3}) \(release\), REVISION: (\d{1,3}(?:\.\d{1,3})*)", found.text)
    if line is None:
        return Finding("Jetson Linux", None, found.why or f"{path} names no release")
    return Finding("Jetson Linux", f"{line[1]}.{line[2]}", path)


def _jetpack(l4t: Finding, profile: Profile | None) -> Finding:
    if l4t.value is None:
        return Finding("JetPack", None, "follows from Jetson Linux, which was not found")
    listed = {release.l4t: release for release in (profile.jetpack if profile else ())}
    release = listed.get(l4t.value) or listed.get(l4t.value.removesuffix(".0"))
    if profile and release:
        where = f"Jetson Linux {l4t.value}, listed in profile {profile.name}"
        return Finding("JetPack", release.version, where)
    major = JETPACK_OF_L4T.get(int(l4t.value.split(".")[0]))
    if major is None:
        return Finding("JetPack", None, f"Jetson Linux {l4t.value} belongs to none that is known")
    where = f"the major number of Jetson Linux {l4t.value}, which no fitting profile lists"
    return Finding("JetPack", str(major), where)


def _modes(tree: Tree) -> tuple[dict[int, str], str]:
    """Names by id, and why there are none."""
    path = "/etc/nvpmodel.conf"
    found = tree.read(path)
    lines = [line for line in found.text.splitlines() if not line.lstrip().startswith("#")]
    pattern = r"<\s*POWER_MODEL\s+ID=(\d{1,3})\s+NAME=([\w.+-]+)\s*>"
    names = {int(i): name for i, name in re.findall(pattern, "\n".join(lines))}
    return names, "" if names else found.why or f"{path} defines no POWER_MODEL"


def _mode_names(names: dict[int, str], why: str) -> Finding:
    text = ", ".join(f"{i} {name}" for i, name in names.items())
    return Finding("power modes", text or None, why or "/etc/nvpmodel.conf")


def _mode(tree: Tree, names: dict[int, str]) -> Finding:
    path = "/var/lib/nvpmodel/status"
    found = tree.read(path)
    line = re.search(r"pmode:(\d{1,4})", found.text)
    if line is None:
        return Finding("power mode", None, found.why or f"{path} names no mode")
    number = int(line[1])
    name = names.get(number)
    return Finding("power mode", f"{number} {name}" if name else str(number), path)


def _gpu(tree: Tree, driver: cuda.Driver) -> Finding:
    if driver.name:
        more = f" and {driver.count - 1} more" if driver.count > 1 else ""
        return Finding("GPU", driver.name + more, cuda.LIBRARY)
    path = "/proc/driver/nvidia/version"
    found = tree.read(path)
    if "NVRM" in found.text:
        return Finding("GPU", "an NVIDIA GPU with its kernel module", path)
    where = found.why or f"{path} names no driver"
    return Finding("GPU", None, where if driver.why == RECORDED else f"{driver.why}; {where}")


def _tensorrt(tree: Tree, live: bool) -> Finding:
    """From what is installed, not from an import: that would load gigabytes."""
    if live:
        try:
            version = importlib.metadata.version("tensorrt")
            return Finding("TensorRT", version, "the packages of the running Python")
        except importlib.metadata.PackageNotFoundError:
            pass
    for folder, _ in tree.names("/usr/lib", r"python3[\d.]*"):
        place = f"/usr/lib/{folder}/dist-packages"
        for name, found in tree.names(place, r"tensorrt-(\d[\w.]*)\.(dist|egg)-info"):
            return Finding("TensorRT", found[1], f"{place}/{name}")
    seen = "the running Python and " if live else ""
    where = f"no package called tensorrt in {seen}/usr/lib/python3*/dist-packages"
    return Finding("TensorRT", None, where)


def _system_python(tree: Tree) -> Finding:
    path = "/usr/bin/python3"
    try:
        place = tree.resolve(path)
        found = re.fullmatch(r"python(3\.\d+)", place.name) if place.is_file() else None
    except OSError as error:
        return Finding("system Python", None, str(error))
    if found:
        return Finding("system Python", found[1], f"{path} -> {place.name}")
    folders = [match[1] for _, match in tree.names("/usr/lib", r"python(3\.\d+)")]
    if len(folders) == 1:
        return Finding("system Python", folders[0], f"/usr/lib/python{folders[0]}")
    where = f"{path} leads to no python3.N, and /usr/lib has {len(folders)} such folders"
    return Finding("system Python", None, where)
