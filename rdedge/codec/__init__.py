"""Samples <-> packets, without torch and without onnx.

encoder     samples -> packet, on the device
decoder     packet -> samples, on the server
symbols     symbols <-> packet: what both share, and all that must be exact
preprocess  the source's dtype <-> float32
files       files <-> containers
lines       blocks of lines <-> packets, both halves; line_files: logs <-> containers
"""

from __future__ import annotations

from rdedge.codec.decoder import Decoder
from rdedge.codec.encoder import Encoder

__all__ = ["Decoder", "Encoder"]
