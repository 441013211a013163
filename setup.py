"""Builds what pyproject.toml cannot say: the C library and the data folders.

The C library has no Python API: it is loaded with ctypes, so one wheel fits every Python of a
platform (py3-none-PLATFORM). Without a compiler, or with RDEDGE_NO_NATIVE=1, the build goes on and
makes a pure wheel (py3-none-any), which codes the same bytes with NumPy.

For another processor name a cross-compiler and the platform that it compiles for; then a failure is
one, and a library for the wrong processor too:
CC='COMMAND' python -m build --wheel -C--build-option=--plat-name=manylinux_2_17_aarch64
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import ExecError

ROOT = Path(__file__).parent
SOURCES = [
    "rdedge/coding/rans.c",
    "rdedge/coding/selection.c",
    "rdedge/coding/prediction.c",
    "rdedge/coding/quantiser.c",
    "rdedge/coding/trellis.c",
    "rdedge/coding/context.c",
    "rdedge/coding/counts.c",
    "rdedge/coding/palette.c",
    "rdedge/format/crc32c.c",
]
FLAGS = ["-O3", "-std=c99", "-g0", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden"]
LIBRARY = {"win32": "_native.dll", "darwin": "_native.dylib"}.get(sys.platform, "_native.so")
# Linux wheels' last word -> the two bytes of an ELF file that name the processor.
ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
NATIVE = os.environ.get("RDEDGE_NO_NATIVE", "") in ("", "0")


class BuildLibrary(build_ext):
    """Builds a plain shared library beside the package's modules; a failure is not fatal."""

    def finalize_options(self) -> None:
        super().finalize_options()
        # What lies in build/ may be for another processor, and building takes seconds.
        self.force = True

    def get_ext_filename(self, fullname: str) -> str:
        return str(Path(*fullname.split(".")[:-1], LIBRARY))

    def get_export_symbols(self, ext: Extension) -> list[str]:
        return list(ext.export_symbols)

    def build_extensions(self) -> None:
        # Python's own flags name folders of this machine, and the library needs none of them.
        linker = getattr(self.compiler, "linker_so", None)
        if linker:
            unwanted = ("-L", "-Wl,-rpath", "-Wl,-R")
            self.compiler.linker_so = [part for part in linker if not part.startswith(unwanted)]
            self.compiler.library_dirs = []
        for extension in self.extensions:
            extension.library_dirs = []
        super().build_extensions()

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            self.extensions = []
            print(f"rdedge: no C library was built ({error}); NumPy will code the same bytes")

    def get_outputs(self) -> list[str]:
        return [path for path in super().get_outputs() if Path(path).exists()]


class BuildPackage(build_py):
    """Adds export/ and devices/ to the wheel as rdedge/_data/; a checkout reads them in place."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source, target in self._data():
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return super().get_outputs(include_bytecode) + [target for _, target in self._data()]

    def _data(self) -> list[tuple[str, str]]:
        data = Path(self.build_lib, "rdedge", "_data")
        recipes = sorted((ROOT / "export").glob("*.toml"))
        devices = sorted(p for p in (ROOT / "devices").rglob("*") if p.is_file())
        return [
            (str(path), str(data / path.relative_to(ROOT)))
            for path in recipes + devices
            if "__pycache__" not in path.parts
        ]


class Wheel(bdist_wheel):
    """Names the wheel by what was built: a platform with the C library, any without."""

    def run(self) -> None:
        if not self.skip_build:
            self.run_command("build")
        self.root_is_pure = not self._built()
        if self.plat_name_supplied:
            self._check_platform()
        super().run()

    def get_tag(self) -> tuple[str, str, str]:
        platform = super().get_tag()[2] if self._built() else "any"
        return "py3", "none", platform

    def _check_platform(self) -> None:
        """A wheel that was asked for by its platform holds a library for it, or is not made."""
        if not self._built():
            raise ExecError(f"no C library was built for {self.plat_name}: see above, and set CC")
        wanted = next((m for end, m in ELF_MACHINES.items() if self.plat_name.endswith(end)), None)
        for path in self.get_finalized_command("build_ext").get_outputs():
            head = Path(path).read_bytes()[:20]
            found = int.from_bytes(head[18:20], "little")
            if wanted is not None and (head[:4] != b"\x7fELF" or found != wanted):
                raise ExecError(
                    f"{path} is no library for {self.plat_name} (ELF machine {found}, expected "
                    f"{wanted}): set CC to a compiler for it"
                )

    def _built(self) -> bool:
        command = self.get_finalized_command("build_ext")
        return bool(command.extensions) and bool(command.get_outputs())


setup(
    ext_modules=[Extension("rdedge._native", SOURCES, extra_compile_args=FLAGS)] if NATIVE else [],
    cmdclass={"build_ext": BuildLibrary, "build_py": BuildPackage, "bdist_wheel": Wheel},
)
