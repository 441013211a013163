"""The probe on trees of files; trees/README.md says where they come from."""

from __future__ import annotations

import ctypes
import json
import os
from pathlib import Path

import pytest

from rdedge.bundle.recipe import load_profile, profile_names
from rdedge.device.match import match
from rdedge.device.probe import probe
from rdedge.device.tree import MAX_BYTES, Tree
from rdedge.engine import cuda

TREES = Path(__file__).parent / "trees"
NAMES = sorted(path.name for path in TREES.iterdir() if path.is_dir())


@pytest.mark.parametrize(
    ("tree", "profile", "jetpack", "mode", "tensorrt", "python"),
    [
        ("orin-nano-8gb-jetpack-6.2", "orin-nano-8gb", "6.2", "2 MAXN_SUPER", "10.3.0", "3.10"),
        ("agx-orin-64gb-jetpack-6", "agx-orin-64gb", "6", "0 MAXN", "10.3.0", "3.10"),
        ("thor-t5000-jetpack-7.2", "thor-t5000", "7.2", "1 120W", "10.16.2", "3.12"),
        ("xavier-nx-8gb-jetpack-5", "xavier-nx-8gb", "5.1.2", "8 MODE_20W_6CORE", "8.5.2.2", "3.8"),
        ("x86-host", "cpu-host", None, None, None, "3.11"),
        ("broken", None, None, None, None, None),
    ],
)
def test_trees(tree, profile, jetpack, mode, tensorrt, python):
    found = probe(TREES / tree)
    assert found.match.profile == profile
    assert found.value("JetPack") == jetpack
    assert found.value("power mode") == mode
    assert found.value("TensorRT") == tensorrt
    assert found.value("system Python") == python


@pytest.mark.parametrize("tree", NAMES)
def test_every_finding_says_where_it_is_from_or_why_there_is_none(tree):
    found = probe(TREES / tree)
    for one in found.findings:
        assert one.where, one
        assert str(TREES) not in one.where
        assert one.value is None or one.value.isprintable()
    assert found.match.why
    assert json.loads(json.dumps(found.to_json())) == found.to_json()
    assert [one.what for one in found.findings] == [one.what for one in probe().findings]


def test_what_cannot_run_rdedge_is_said():
    warnings = " ".join(probe(TREES / "xavier-nx-8gb-jetpack-5").warnings)
    assert "Python 3.8 is not supported" in warnings
    assert "unverified on hardware" in warnings
    assert "not supported" not in " ".join(probe(TREES / "orin-nano-8gb-jetpack-6.2").warnings)
    assert probe(TREES / "x86-host").warnings == ()


def test_a_newer_power_configuration_does_not_hide_the_mode(tmp_path):
    write(tmp_path, "etc/nvpmodel.conf", "# < POWER_MODEL ID=7 NAME=comment >\n")
    write(tmp_path, "var/lib/nvpmodel/status", "pmode:0007")
    found = probe(tmp_path)
    assert found.value("power mode") == "7"
    assert found.value("power modes") is None


def write(root: Path, path: str, data: str | bytes) -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data.encode() if isinstance(data, str) else data)


def jetson(root: Path, compatible: str, kilobytes: int | None) -> None:
    write(root, "proc/device-tree/compatible", compatible.replace(" ", "\0") + "\0")
    if kilobytes is not None:
        write(root, "proc/meminfo", f"MemTotal: {kilobytes} kB\n")


@pytest.mark.parametrize(
    ("compatible", "gib", "profile", "why"),
    [
        ("nvidia,p3768-0000+p3767-0000-super nvidia,tegra234", 15.3, "orin-nx-16gb", "15.3 GiB"),
        ("nvidia,p3768-0000+p3767-0001 nvidia,tegra234", 7.4, "orin-nx-8gb", ""),
        ("nvidia,p3768-0000+p3767-0004 nvidia,tegra234", 3.3, "orin-nano-4gb", ""),
        ("nvidia,p3737-0000+p3701-0004 nvidia,tegra234", 29.9, "agx-orin-32gb", ""),
        # The first developer kit: the 64 GB module's number, 32 GB.
        ("nvidia,p3737-0000+p3701-0000 nvidia,tegra234", 29.9, None, "agx-orin-64gb with 64 GB"),
        ("nvidia,p3737-0000+p3701-0000-as-p3701-0004 nvidia,tegra234", 61.0, "agx-orin-64gb", ""),
        ("nvidia,p2972-0000 nvidia,tegra194", 30.3, "agx-xavier-32gb", ""),
        ("nvidia,p2972-0000 nvidia,tegra194", 61.9, "agx-xavier-64gb", ""),
        ("nvidia,p2972-0000 nvidia,tegra194", 15.0, None, "no profile has this memory"),
        ("nvidia,p2972-0000 nvidia,tegra194", None, None, "memory could not be read"),
        ("nvidia,p3449-0000+p3668-0003 nvidia,tegra194", None, "xavier-nx-16gb", "not be compared"),
        ("nvidia,p4071-0000+p3834-0000 nvidia,tegra264", 60.0, "thor-t4000", ""),
        ("nvidia,p3450-0000 nvidia,jetson-nano nvidia,tegra210", 3.9, None, "tegra210"),
        ("nvidia,tegra999", 3.9, None, "no module, tegra999"),
    ],
)
def test_modules(tmp_path, compatible, gib, profile, why):
    jetson(tmp_path, compatible, None if gib is None else int(gib * 2**20))
    found = probe(tmp_path).match
    assert found.profile == profile
    assert why in found.why


@pytest.mark.parametrize("name", [n for n in profile_names() if load_profile(n).module])
def test_each_module_is_found_again(tmp_path, name):
    profile = load_profile(name)
    number = profile.module.numbers[0]
    jetson(tmp_path, f"nvidia,{number} nvidia,{profile.module.soc}", profile.memory.gb * 950_000)
    assert probe(tmp_path).match.profile == name


@pytest.mark.parametrize(
    ("processor", "gpu", "profile"),
    [
        ("x86-64", None, "cpu-host"),
        ("aarch64", None, "cpu-host"),
        ("x86_64", "NVIDIA A10", "gpu-host"),
        ("riscv64", None, None),
        (None, None, None),
    ],
)
def test_hosts(processor, gpu, profile):
    profiles = [load_profile(name) for name in profile_names()]
    found = match(profiles, soc=None, numbers=(), kilobytes=None, processor=processor, gpu=gpu)
    assert found.profile == profile
    assert match([], soc=None, numbers=(), kilobytes=1, processor="x86-64", gpu=gpu).profile is None


def test_an_arm_board_of_another_maker_is_a_host(tmp_path):
    jetson(tmp_path, "raspberrypi,5-model-b brcm,bcm2712", 8_000_000)
    write(tmp_path, "proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\n")
    assert probe(tmp_path).match.profile == "cpu-host"
    write(tmp_path, "proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module\n")
    assert probe(tmp_path).match.profile == "gpu-host"


def test_what_no_file_should_be(tmp_path):
    (tmp_path / "proc" / "device-tree").mkdir(parents=True)
    os.mkfifo(tmp_path / "proc" / "device-tree" / "model")
    write(tmp_path, "proc/device-tree/compatible", b"\x1b[31mnvidia,p3767-0005\0")
    write(tmp_path, "proc/cpuinfo", b"a" * (MAX_BYTES + 1))
    write(tmp_path, "proc/meminfo", "MemTotal: " + "9" * 5000 + " kB\n")
    write(tmp_path, "etc/nv_tegra_release", "# R36 (release)")
    (tmp_path / "usr").symlink_to("usr")
    reasons = {one.what: one.where for one in probe(tmp_path).findings}
    assert "not a file" in reasons["model"]
    assert "control characters" in reasons["compatible"]
    assert "more than" in reasons["processor"]
    assert "no MemTotal" in reasons["memory"]
    assert "names no release" in reasons["Jetson Linux"]
    assert "too many links" in reasons["system Python"]
    assert all(one.value is None for one in probe(tmp_path).findings)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    write(tmp_path, "etc/nv_tegra_release", "# R36 (release), REVISION: 4.3")
    real = Path.open

    def refuse(self, *arguments, **options):
        if self.name == "nv_tegra_release":
            raise PermissionError(13, "Permission denied")
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    found = {one.what: one for one in probe(tmp_path).findings}["Jetson Linux"]
    assert found.value is None
    assert found.where == "cannot read /etc/nv_tegra_release: permission denied"


def test_links_stay_below_the_root(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "secret"
    outside.write_text("outside")
    write(root, "real/file", "inside")
    (root / "absolute").symlink_to("/real")
    (root / "out").symlink_to(outside)
    (root / "up").symlink_to("../../../../../secret")
    tree = Tree(root)
    assert tree.read("/absolute/file").text == "inside"
    assert tree.read("/absolute/../real/./file").text == "inside"
    assert tree.read("/../../real/file").text == "inside"
    assert tree.read("/out").why
    assert tree.read("/up").why


class Driver:
    """libcuda as ctypes shows it: codes, and values put where the arguments point."""

    def __init__(self, gpus: int = 1, init: int = 0, describe: int = 0) -> None:
        self.gpus, self.init, self.describe = gpus, init, describe

    def cuInit(self, flags):  # noqa: N802
        return self.init

    def cuDriverGetVersion(self, at):  # noqa: N802
        at._obj.value = 12060
        return 0

    def cuDeviceGetCount(self, at):  # noqa: N802
        at._obj.value = self.gpus
        return 0

    def cuDeviceGet(self, at, index):  # noqa: N802
        return 0

    def cuDeviceGetName(self, name, length, device):  # noqa: N802
        name.value = b"Orin"
        return self.describe

    def cuDeviceGetAttribute(self, at, attribute, device):  # noqa: N802
        at._obj.value = {75: 8, 76: 7}[attribute]
        return 0


def test_the_driver(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    assert cuda.ask() == cuda.Driver("12.6", 1, "Orin", "8.7")
    found = probe()
    assert found.value("GPU") == "Orin"
    assert found.value("compute capability") == "8.7"
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(gpus=2))
    assert probe().value("GPU") == "Orin and 1 more"


@pytest.mark.parametrize(
    ("driver", "why"),
    [
        (Driver(init=100), "cuInit of libcuda.so.1 failed with code 100"),
        (Driver(gpus=0), "sees no GPU"),
        (Driver(describe=1), "did not describe"),
        (object(), "is not the CUDA driver"),
    ],
)
def test_a_driver_that_does_not_answer(monkeypatch, driver, why):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert why in cuda.ask().why
    assert cuda.ask().sm == ""


def test_no_driver(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    # The loader's message begins with the name itself.
    assert cuda.ask().why == "cannot load libcuda.so.1: cannot open shared object file"


def test_trees_do_not_lead_outside():
    for path in TREES.rglob("*"):
        if path.is_symlink():
            assert path.resolve().is_relative_to(TREES.resolve()), path


def test_the_folder_names_the_python_where_the_link_does_not(tmp_path):
    write(tmp_path, "usr/lib/python3.10/os.py", "")
    write(tmp_path, "usr/bin/python3", "a wrapper")
    assert probe(tmp_path).value("system Python") == "3.10"
    write(tmp_path, "usr/lib/python3.11/os.py", "")
    assert probe(tmp_path).value("system Python") is None
