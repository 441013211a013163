"""Each test has a cache of its own, and hears what is said once anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rdedge.engine import cudart, engines, notice, runner, tensorrt
from rdedge.engine.cuda import Driver
from rdedge.engine.tensorrt import TensorRT
from tests.engine.double import Cudart, Trt

ORIN = Driver("12.6", 1, "Orin", "8.7")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    notice.say_once.cache_clear()
    for name in ("RDEDGE_BACKEND", "RDEDGE_TENSORRT", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RDEDGE_CACHE", str(tmp_path / "engines"))
    yield
    notice.say_once.cache_clear()


@pytest.fixture
def orin(monkeypatch: pytest.MonkeyPatch) -> Trt:
    """A machine with a GPU, TensorRT and cuda-bindings, all of them doubles; builds are counted."""
    found = Trt(Cudart())
    monkeypatch.setattr(engines.cuda, "ask", lambda: ORIN)
    monkeypatch.setattr(tensorrt, "installed", lambda: [TensorRT("tensorrt", "10.3.0")])
    monkeypatch.setattr(tensorrt, "load", lambda name: found)
    monkeypatch.setattr(cudart, "runtime", lambda: found.cudart)

    def build(part, options, tensorrt, sm, timing=b""):
        found.log.append("build")
        return part.graph, timing + b"t"

    monkeypatch.setattr(engines, "build_engine", build)
    assert runner.cudart is cudart
    return found
