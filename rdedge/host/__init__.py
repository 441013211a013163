"""The wing that trains and exports; the only one that imports torch."""

from __future__ import annotations

import importlib.util

from rdedge.errors import MissingError

# Said here, once for the wing: its modules import these at the top.
for _module in ("torch", "safetensors"):
    if importlib.util.find_spec(_module) is None:
        raise MissingError(
            f"{_module} is not installed", do="pip install 'rdedge[train]' on the GPU host"
        )
