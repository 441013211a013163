"""`rdedge doctor`: what is installed, what is missing, and the one command that mends it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys
from dataclasses import dataclass

from rdedge import native, resources
from rdedge._version import __version__
from rdedge.bundle.profile import UNVERIFIED
from rdedge.device.probe import probe
from rdedge.engine import cuda
from rdedge.engine.runner import backends_at_hand
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
    ("zstandard", "zstandard", "logs; zstd beside ours", "lines"),
    ("pcodec", "pcodec", "pcodec beside ours", "series"),
    ("zfpy", "zfpy", "ZFP beside ours", "series"),
    ("pyarrow", "pyarrow", "Parquet", "parquet"),
    ("matplotlib", "matplotlib", "the picture of a curve", "report"),
    ("imagecodecs", "imagecodecs", "JPEG XL and JPEG 2000 beside ours", "jxl"),
    ("cryptography", "cryptography", "signatures of bundles", "sign"),
)

# What brings a backend where it is missed.
_ORT_GPU = "pip install onnxruntime-gpu; on a Jetson NVIDIA's build of it, from its package index"
_MEND = {
    "tensorrt": "on a Jetson make the environment with --system-site-packages and pip install "
    "cuda-bindings of JetPack's CUDA; elsewhere pip install tensorrt cuda-bindings",
    "ort-tensorrt": _ORT_GPU,
    "ort-cuda": _ORT_GPU,
    "ort-cpu": "pip install 'rdedge[runtime]'; on a Jetson NVIDIA's onnxruntime-gpu instead",
}


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
    return [*findings, *_backends()]


def _backends() -> list[Finding]:
    """The GPU, and what can run graphs here. Without a GPU none of its backends is missed."""
    driver = cuda.ask()
    gpu = bool(driver.sm)
    text = f"{driver.name}, SM {driver.sm}, CUDA {driver.version}" if gpu else driver.why
    # A driver that is there and does not answer is worth mending; none at all is a plain host.
    broken = bool(driver.version) and not gpu
    mend = "nvidia-smi, or on a Jetson sudo nvpmodel -q, says whether the GPU is awake"
    findings = [Finding("GPU", text, not broken, mend if broken else "")]
    for one in backends_at_hand():
        missed = not one.there and (gpu or one.backend == "ort-cpu")
        mend = _MEND[one.backend] if missed else ""
        said = one.why if one.there else f"not here: {one.why}"
        findings.append(Finding(f"backend {one.backend}", said, not missed, mend))
    return findings


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
