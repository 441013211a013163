"""Learned compression for devices behind a link that costs money.

rdedge.train("digits", max_distortion=4.0, metric="mse", output="run")
rdedge.export("run", "digits.rdb")
packet = rdedge.Encoder("digits.rdb").encode(x)     # on the device, without torch
x_hat = rdedge.Decoder("digits.rdb").decode(packet)  # on the server
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rdedge._version import __version__

if TYPE_CHECKING:
    from rdedge.codec import Decoder, Encoder
    from rdedge.host.export import export
    from rdedge.host.train import train

__all__ = ["Decoder", "Encoder", "__version__", "export", "train"]

_HOMES = {
    "Decoder": "rdedge.codec",
    "Encoder": "rdedge.codec",
    "export": "rdedge.host.export",
    "train": "rdedge.host.train",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for, and only then: `import rdedge` alone costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rdedge' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
