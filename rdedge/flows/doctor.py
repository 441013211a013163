"""`rdedge doctor`: what is installed, what is missing, and the one command that mends it."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import platform
import sys
from dataclasses import dataclass

from rdedge import native, resources
from rdedge._version import __version__
from rdedge.bundle.profile import UNVERIFIED
from rdedge.device.probe import probe
from rdedge.errors import ConfigError, MissingError

# Distribution, module, what for, extra that brings it.
_OPTIONAL = (
    ("onnxruntime", "onnxruntime", "encode and decode", "runtime"),
    ("torch", "torch", "train and export", "train"),
    ("scikit-learn", "sklearn", "the digits", "train"),
    ("safetensors", "safetensors", "checkpoints", "train"),
    ("rich", "rich", "progress bar", "train"),
    ("onnx", "onnx", "export", "export"),
    ("onnxscript", "onnxscript", "export", "export"),
    ("pillow", "PIL", "images; WebP, AVIF, PNG, JPEG beside ours", "classical"),
    ("zstandard", "zstandard", "zstd beside ours", "classical"),
    ("pcodec", "pcodec", "pcodec beside ours", "series"),
    ("zfpy", "zfpy", "ZFP beside ours", "series"),
    ("pyarrow", "pyarrow", "Parquet", "parquet"),
    ("matplotlib", "matplotlib", "the picture of a curve", "report"),
    ("imagecodecs", "imagecodecs", "JPEG XL and JPEG 2000 beside ours", "jxl"),
)


@dataclass(frozen=True)
class Finding:
    """One line. fine: nothing to do; mend: the command, empty where there is none to give."""

    what: str
    found: str
    fine: bool
    mend: str = ""


def doctor() -> list[Finding]:
    """Look at this machine and change nothing; of all that is heavy only onnxruntime is loaded."""
    version = platform.python_version()
    supported = (3, 10) <= sys.version_info[:2] <= (3, 13)
    findings = [
        Finding("rdedge", __version__, True),
        Finding(
            "Python",
            version,
            supported,
            "" if supported else "use Python 3.10 to 3.13 (JetPack 5 has 3.8: not supported)",
        ),
        Finding("machine", f"{platform.system()} {platform.machine()}", True),
        _coder(),
        _data(),
        _device(),
    ]
    for distribution, module, purpose, extra in _OPTIONAL:
        there = importlib.util.find_spec(module) is not None
        # NVIDIA's builds of onnxruntime have another name for the same module.
        try:
            found = importlib.metadata.version(distribution) if there else "missing"
        except importlib.metadata.PackageNotFoundError:
            found = "found, of unknown version"
        mend = "" if there else f"pip install 'rdedge[{extra}]'"
        findings.append(Finding(f"{distribution} ({purpose})", found, there, mend))
    if importlib.util.find_spec("onnxruntime") is not None:
        findings.append(_backends())
    return findings


def _backends() -> Finding:
    try:
        ort = importlib.import_module("onnxruntime")
        return Finding("backends", ", ".join(ort.get_available_providers()), True)
    except (ImportError, OSError, AttributeError) as error:
        mend = "install the libraries that it names, or the build of onnxruntime for this machine"
        return Finding(
            "backends", f"onnxruntime cannot be loaded: {str(error).splitlines()[0]}", False, mend
        )


def _coder() -> Finding:
    there = native.library() is not None
    mend = "" if there else "install a C compiler, then pip install --force-reinstall rdedge"
    return Finding("entropy coder", native.describe(), there, mend)


def _data() -> Finding:
    try:
        folder = resources.find("export")
    except MissingError as error:
        return Finding("recipes and profiles", str(error), False, "install rdedge again")
    return Finding("recipes and profiles", str(folder.parent), True)


def _device() -> Finding:
    try:
        found = probe()
    except (MissingError, ConfigError) as error:
        return Finding("device", f"profiles cannot be read: {error}", False, "install rdedge again")
    match = found.match
    if match.profile is None:
        mend = "copy the nearest of devices/*.toml and give it to rdedge export --target"
        return Finding("device", f"no profile fits: {match.why}", False, mend)
    verdict = "verified" if match.verified else UNVERIFIED
    text = f"profile {match.profile}, {verdict}"
    if match.supported:
        return Finding("device", text, True)
    return Finding("device", f"{text}, not supported", False, "rdedge devices probe says why")
