"""`rdedge doctor` on machines with and without a GPU."""

from __future__ import annotations

import pytest

from rdedge.engine.cuda import Driver
from rdedge.engine.runner import BACKENDS, AtHand
from rdedge.flows import doctor as flow

PLAIN = Driver(why="cannot load libcuda.so.1")
ORIN = Driver("12.6", 1, "Orin", "8.7")
ASLEEP = Driver("12.6", 0, why="libcuda.so.1 sees no GPU")


def findings(
    monkeypatch: pytest.MonkeyPatch, driver: Driver, there: set[str]
) -> dict[str, flow.Finding]:
    at_hand = [AtHand(name, name in there, f"reason of {name}") for name in BACKENDS]
    monkeypatch.setattr(flow.cuda, "ask", lambda: driver)
    monkeypatch.setattr(flow, "backends_at_hand", lambda: at_hand)
    return {one.what: one for one in flow.doctor()}


def test_a_plain_host_misses_no_gpu(monkeypatch) -> None:
    found = findings(monkeypatch, PLAIN, {"ort-cpu"})
    assert found["GPU"].fine
    assert all(found[f"backend {name}"].fine for name in BACKENDS)
    assert found["backend tensorrt"].found == "not here: reason of tensorrt"
    assert not any(found[f"backend {name}"].mend for name in BACKENDS)


def test_a_gpu_without_its_backends_misses_them(monkeypatch) -> None:
    found = findings(monkeypatch, ORIN, {"ort-cpu"})
    assert found["GPU"].found == "Orin, SM 8.7, CUDA 12.6"
    for name in ("tensorrt", "ort-tensorrt", "ort-cuda"):
        one = found[f"backend {name}"]
        assert not one.fine
        assert "pip install" in one.mend
    found = findings(monkeypatch, ORIN, set(BACKENDS))
    assert all(found[f"backend {name}"].fine for name in BACKENDS)
    assert found["backend tensorrt"].found == "reason of tensorrt"


def test_a_driver_without_a_gpu_is_broken(monkeypatch) -> None:
    found = findings(monkeypatch, ASLEEP, {"ort-cpu"})
    assert not found["GPU"].fine
    assert "nvidia-smi" in found["GPU"].mend


def test_without_onnxruntime_nothing_runs(monkeypatch) -> None:
    found = findings(monkeypatch, PLAIN, set())
    assert not found["backend ort-cpu"].fine
    assert "rdedge[runtime]" in found["backend ort-cpu"].mend
