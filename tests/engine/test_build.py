"""ONNX -> an engine, by TensorRT for RTX without a GPU; what is refused, and how it is said."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from onnx import helper

from rdedge.engine import tensorrt
from rdedge.engine.build import Options, build_engine
from rdedge.engine.part import Part, Range
from rdedge.engine.tensorrt import TensorRT, installed, load, offered, require
from rdedge.errors import BundleError, ConfigError, EngineError, MissingError
from tests.engine import make

SM = ("8.6",)


def rtx() -> TensorRT:
    return require(rtx=True)


def build(part: Part, options: Options | None = None, sm: tuple[str, ...] = SM) -> bytes:
    return build_engine(part, options or Options(), rtx(), sm)[0]


def test_the_one_of_pypi_is_found_without_loading_it():
    found = rtx()
    assert found.module == "tensorrt_rtx_bindings"
    assert found.version == load(found.module).__version__
    assert found.flavour == "tensorrt_rtx"
    assert str(found) == f"TensorRT for RTX {found.version}"


def test_what_it_offers():
    assert {"8.6", "8.9", "12.0"} <= set(offered(rtx()))
    assert not {"8.7", "9.0"} & set(offered(rtx()))


@pytest.mark.parametrize("sm", ["8.7", "9.0", "10.0"])
def test_a_gpu_that_it_does_not_offer_is_named_with_those_that_it_does(sm):
    pattern = rf"nothing for SM {sm}.*expected: SM .*8\.6, 8\.9.*on the device itself"
    with pytest.raises(ConfigError, match=pattern):
        build(make.part(), sm=("8.6", sm))


@pytest.mark.parametrize("options", [Options(workspace_mib=64), Options(tf32=True)])
def test_options_are_taken(options):
    assert build(make.part(), options)


def test_the_same_graph_gives_an_engine_for_one_gpu_or_for_two():
    assert build(make.part(), sm=("8.6", "8.9")) != build(make.part())


def test_every_operator_that_it_lacks_is_named_with_its_node():
    with pytest.raises(EngineError) as caught:
        build(make.part(make.unsupported()))
    text = str(caught.value)
    assert "cannot take encoder.onnx" in text
    assert "node 'spelled' (StringNormalizer): UNSUPPORTED_NODE" in text
    assert "node 'determined' (Det): UNSUPPORTED_NODE" in text
    assert "RDEDGE_BACKEND" in text


def test_an_operator_that_nobody_knows_is_named_too():
    graph = make.model([helper.make_node("Nonsense", ["x"], ["y"], name="odd")])
    with pytest.raises(EngineError, match=r"node 'odd' \(Nonsense\).*Plugin not found"):
        build(make.part(graph.SerializeToString()))


@pytest.mark.parametrize(
    ("graph", "error", "why"),
    [
        (b"", BundleError, "is empty"),
        (b"hello", BundleError, "no ONNX file"),
        (make.product()[:-9], BundleError, "no ONNX file: it is cut short"),
        (make.external("../../etc/passwd"), BundleError, "'w' in another file"),
        (make.external("weights.bin"), BundleError, "'w' in another file"),
        (make.model([]).SerializeToString(), EngineError, "cannot take|inputs and|outputs"),
    ],
)
def test_what_is_no_graph_is_refused(graph, error, why):
    with pytest.raises(error, match=why):
        build(make.part(graph))


def test_a_graph_of_other_axes_is_refused():
    with pytest.raises(EngineError, match=r"shape \(-1, 3\).*expected: 3 free axes"):
        build(make.part(axes=(Range(1, 1, 8),) * 3))


def test_two_inputs_are_refused():
    found = make.model([helper.make_node("Add", ["x", "z"], ["y"])], gives=("N", 3))
    found.graph.input.add().CopyFrom(found.graph.input[0])
    found.graph.input[1].name = "z"
    with pytest.raises(EngineError, match="2 inputs and 1 outputs"):
        build(make.part(found.SerializeToString()))


def test_hardware_compatibility_is_not_of_rtx():
    with pytest.raises(ConfigError, match=r"no hardware compatibility.*several --sm"):
        build(make.part(), Options(hardware_compatible=True))


def test_a_build_that_fails_says_what_tensorrt_said():
    """This package lacks the lean runtime that a version-compatible engine carries."""
    with pytest.raises(EngineError, match=r"builds no engine from encoder.onnx: .*nvinfer_lean"):
        build(make.part(), Options(version_compatible=True))
    assert build(make.part())


@pytest.mark.parametrize("mib", [0, -1, 1 << 21])
def test_a_workspace_out_of_range_is_refused(mib):
    with pytest.raises(ConfigError, match="workspace"):
        Options(workspace_mib=mib)


class Older:
    """TensorRT 10.3 and 11 as far as they differ: rtx's own objects, and what they are asked."""

    def __init__(self, real: Any, version: str) -> None:
        self.asked: list[Any] = []
        older, self._real = self, real
        flags = {} if version.startswith("11") else {"STRONGLY_TYPED": 1}
        self.NetworkDefinitionCreationFlag = SimpleNamespace(**flags)

        class Config:
            def __init__(self) -> None:
                self.hardware_compatibility_level: Any = None
                self.timings = b""

            def create_timing_cache(self, data: bytes) -> bytes:
                return data

            def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
                assert not ignore_mismatch
                self.timings = cache + b" and after"
                return cache != b"foreign"

            def get_timing_cache(self) -> Any:
                return SimpleNamespace(serialize=lambda: self.timings)

            def __getattr__(self, name: str) -> Any:
                def call(*arguments: Any) -> int:
                    older.asked.append((name, *arguments))
                    return 0

                return call

        class Builder:
            def __init__(self, log: Any) -> None:
                self._builder = real.Builder(log)

            def create_network(self, flags: int) -> Any:
                older.asked.append(("create_network", flags))
                return self._builder.create_network(1)

            def create_builder_config(self) -> Config:
                older.config = Config()
                return older.config

            def create_optimization_profile(self) -> Any:
                return self._builder.create_optimization_profile()

            def build_serialized_network(self, network: Any, config: Config) -> bytes:
                return b"plan"

        self.Builder = Builder

    def __getattr__(self, name: str) -> Any:
        if name == "HardwareCompatibilityLevel":
            return SimpleNamespace(AMPERE_PLUS="ampere+")
        return getattr(self._real, name)


@pytest.mark.parametrize(("version", "flags"), [("10.3.0", 2), ("11.4.1", 0)])
def test_where_versions_of_tensorrt_differ(monkeypatch, version, flags):
    older = Older(load(rtx().module), version)
    monkeypatch.setattr(tensorrt, "load", lambda name: older)
    found = TensorRT("tensorrt", version)
    options = Options(9, version_compatible=True, hardware_compatible=True)
    built = build_engine(make.part(), options, found, ("8.7",), b"before")
    assert built == (b"plan", b"before and after")
    foreign = build_engine(make.part(), options, found, ("8.7",), b"foreign")
    assert foreign == (b"plan", b" and after")
    names = [asked[0] for asked in older.asked]
    assert older.asked[0] == ("create_network", flags)
    assert older.config.hardware_compatibility_level == "ampere+"
    assert "set_compute_capability" not in names
    flag = older.BuilderFlag.VERSION_COMPATIBLE
    assert [a[1] for a in older.asked if a[0] == "set_flag"] == [flag, flag]
    assert ("set_memory_pool_limit", older.MemoryPoolType.WORKSPACE, 9 << 20) in older.asked


def test_memory_that_does_not_suffice_is_named():
    error = tensorrt.failure("it cannot", ["Error Code 2: OutOfMemory (Requested size was 12)"])
    assert "too little memory" in error.do
    assert "TensorRT says nothing more" in str(tensorrt.failure("it cannot", []))


def there(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]) -> None:
    monkeypatch.setattr(tensorrt, "_is_there", lambda name: name in versions)
    monkeypatch.setattr(tensorrt, "_version", lambda name: versions[name])


def test_the_order_in_which_they_are_found(monkeypatch):
    versions = {"tensorrt": "10.3.0", "tensorrt_rtx": "1.4", "tensorrt_rtx_bindings": "1.7.1"}
    there(monkeypatch, versions)
    assert [one.module for one in installed()] == list(versions)
    assert require().module == "tensorrt"
    assert require(rtx=True).module == "tensorrt_rtx"
    monkeypatch.setenv("RDEDGE_TENSORRT", "tensorrt_rtx_bindings")
    assert require() == TensorRT("tensorrt_rtx_bindings", "1.7.1")
    monkeypatch.setenv("RDEDGE_TENSORRT", "trt")
    with pytest.raises(ConfigError, match=r"RDEDGE_TENSORRT is 'trt'.*tensorrt_rtx_bindings"):
        installed()


def test_none_an_old_one_and_the_wrong_one(monkeypatch):
    there(monkeypatch, {})
    with pytest.raises(MissingError, match=r"not installed.*pip install onnxruntime-ep-nv"):
        require()
    there(monkeypatch, {"tensorrt": "8.5.2"})
    with pytest.raises(MissingError, match=r"TensorRT 8.5.2 is too old.*JetPack"):
        require()
    there(monkeypatch, {"tensorrt": "10.3.0"})
    with pytest.raises(MissingError, match="builds for the GPU of this machine only"):
        require(rtx=True)
    monkeypatch.setenv("RDEDGE_TENSORRT", "tensorrt_rtx")
    with pytest.raises(MissingError, match="RDEDGE_TENSORRT asks for, is not installed"):
        require()


def test_one_that_cannot_be_loaded(monkeypatch):
    load.cache_clear()
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingError, match="tensorrt is installed but cannot be loaded"):
        load("tensorrt")
    monkeypatch.setattr(tensorrt, "_PATTERNS", ("libnothing.so.*",))
    with pytest.raises(MissingError, match=re.escape("holds no libnothing.so.*")):
        load("tensorrt_rtx_bindings")


def test_bindings_and_libraries_that_do_not_belong_together(monkeypatch):
    load.cache_clear()
    monkeypatch.setattr(tensorrt, "_version", lambda name: "1.6.1.120")
    with pytest.raises(MissingError, match=r"it is of 1\.6\.1\.120, and libtensorrt_rtx\.so"):
        load("tensorrt_rtx_bindings")


def test_axes_decide_on_the_engine():
    part = make.part()
    assert build(part) != build(replace(part, axes=(Range(8, 8, 8),)))
