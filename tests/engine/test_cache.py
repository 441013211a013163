"""What of a cache may be loaded, and what is built again."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from rdedge.engine import engines
from rdedge.engine.build import Options
from rdedge.engine.cache import MAGIC, Cache, folder
from rdedge.engine.engines import Target, engine_for, header_for, usable
from rdedge.engine.part import Range
from rdedge.engine.tensorrt import TensorRT
from rdedge.errors import ConfigError, EngineError, OutputError
from tests.engine import make

JETSON = Target(TensorRT("tensorrt", "10.3.0"), ("8.7",), "Orin")
PART = make.part()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "engines")


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What was built: timings that came in; engines differ by their number."""
    found: list[tuple] = []

    def build(part, options, tensorrt, sm, timing=b""):
        found.append((part, options, tensorrt, sm, timing))
        return b"engine %d" % len(found), b"" if tensorrt.rtx else b"timings"

    monkeypatch.setattr(engines, "build_engine", build)
    return found


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(r.getMessage() for r in caplog.records if r.name == "rdedge.engine")


def test_the_second_time_it_comes_from_the_cache(cache, builds, caplog):
    first = engine_for(PART, JETSON, Options(), cache)
    second = engine_for(PART, JETSON, Options(), cache)
    assert (first.cached, second.cached) == (False, True)
    assert first.stored == second.stored
    assert second.stored.data == b"engine 1"
    assert first.path.parent == cache.path
    assert len(builds) == 1
    assert said(caplog) == ""


CHANGES = [
    ({"identity": "cd" * 32}, JETSON, Options()),
    ({"half": "decoder"}, JETSON, Options()),
    ({"graph": make.product(2 * make.WEIGHTS)}, JETSON, Options()),
    ({"axes": (Range(1, 2, 8),)}, JETSON, Options()),
    ({}, JETSON, Options(workspace_mib=7)),
    ({}, JETSON, Options(version_compatible=True)),
    ({}, JETSON, Options(hardware_compatible=True)),
    ({}, JETSON, Options(tf32=True)),
    ({}, replace(JETSON, sm=("8.9",)), Options()),
    ({}, replace(JETSON, tensorrt=TensorRT("tensorrt_rtx", "10.3.0")), Options()),
]
REPLACED = [
    ({}, replace(JETSON, gpu="Orin Nano"), Options(), "its gpu is Orin, not Orin Nano"),
    ({}, replace(JETSON, tensorrt=TensorRT("tensorrt", "10.7.0")), Options(), "its version is"),
]


@pytest.mark.parametrize(("part", "goal", "options"), CHANGES)
def test_another_key_is_another_engine_and_both_stay(cache, builds, part, goal, options):
    engine_for(PART, JETSON, Options(), cache)
    assert not engine_for(replace(PART, **part), goal, options, cache).cached
    assert engine_for(PART, JETSON, Options(), cache).cached
    assert engine_for(replace(PART, **part), goal, options, cache).cached


@pytest.mark.parametrize(("part", "goal", "options", "why"), REPLACED)
def test_a_stale_or_foreign_engine_is_built_again_and_that_is_said(
    cache, builds, caplog, part, goal, options, why
):
    old = engine_for(PART, JETSON, Options(), cache)
    new = engine_for(replace(PART, **part), goal, options, cache)
    assert not new.cached
    assert new.path == old.path
    assert f"{why}" in said(caplog)
    assert "it is built again" in said(caplog)


def test_every_altered_byte_and_every_length_is_found(cache, builds):
    path = engine_for(PART, JETSON, Options(), cache).path
    wanted = header_for(PART, JETSON, Options())
    sound = path.read_bytes()
    for i in range(len(sound)):
        path.write_bytes(sound[:i] + bytes([sound[i] ^ 1]) + sound[i + 1 :])
        assert cache.find(wanted)[0] is None, f"byte {i}"
        path.write_bytes(sound[:i])
        assert cache.find(wanted)[0] is None, f"length {i}"
    path.write_bytes(sound + b"x")
    assert cache.find(wanted)[0] is None
    path.write_bytes(sound)
    assert cache.find(wanted)[0] is not None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no engine of this rdedge"),
        (b"rdedge engine 2\n" + bytes(99), "no engine of this rdedge"),
        (MAGIC + b"\xff\xff\xff\xff" + bytes(99), "cut short"),
        (MAGIC + b"\x02\0\0\0[]", "is missing"),
        (MAGIC + b"\x01\0\0\0" + b"3", "the header|not iterable"),
        (MAGIC + b"\x10\0\0\0" + b'{"kind":"engine"', "not JSON"),
        (MAGIC + b"\x11\0\0\0" + b'{"kind": "engine"}', "not JSON"),
    ],
)
def test_what_is_no_engine_is_built_again(cache, builds, caplog, data, why):
    path = engine_for(PART, JETSON, Options(), cache).path
    path.write_bytes(data)
    with pytest.raises(EngineError, match=why):
        cache.read(path)
    again = engine_for(PART, JETSON, Options(), cache)
    assert not again.cached
    assert "it is built again" in said(caplog)
    assert engine_for(PART, JETSON, Options(), cache).cached


def test_a_file_of_others_a_link_a_pipe_and_a_folder_are_not_loaded(
    cache, builds, tmp_path, caplog
):
    path = engine_for(PART, JETSON, Options(), cache).path
    path.chmod(0o666)
    assert "others can write it" in cache.find(header_for(PART, JETSON, Options()))[1]
    elsewhere = tmp_path / "elsewhere"
    path.chmod(0o644)
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert cache.find(header_for(PART, JETSON, Options()))[0] is None
    assert not engine_for(PART, JETSON, Options(), cache).cached
    assert not path.is_symlink()
    assert Cache(cache.path).read(elsewhere).data == b"engine 1"
    path.unlink()
    os.mkfifo(path)
    assert "it is no file" in cache.find(header_for(PART, JETSON, Options()))[1]
    path.unlink()
    path.mkdir()
    assert cache.find(header_for(PART, JETSON, Options()))[0] is None
    with pytest.raises(OutputError, match="is a folder"):
        engine_for(PART, JETSON, Options(), cache)


def test_a_file_of_another_user_is_not_loaded(cache, builds, monkeypatch):
    path = engine_for(PART, JETSON, Options(), cache).path
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "belongs to another user" in cache.find(header_for(PART, JETSON, Options()))[1]


def test_a_link_leads_to_a_folder_that_is_looked_at_too(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    (tmp_path / "engines").symlink_to(tmp_path / "shared" / "inside")
    with pytest.raises(ConfigError, match="shared: everybody can write it"):
        Cache(tmp_path / "engines")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_can_write_is_refused(tmp_path, mode):
    path = tmp_path / "engines"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"an engine is code.*chmod go-w {path}"):
        Cache(path)


def test_a_folder_below_one_that_everybody_can_write_is_refused(tmp_path):
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(0o777)
    with pytest.raises(ConfigError, match=f"{above}: everybody can write it"):
        Cache(above / "engines")
    above.chmod(0o1777)
    Cache(above / "engines").make()


def test_the_folder_is_for_its_owner_alone(cache):
    cache.make()
    assert cache.path.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_or_written(tmp_path, builds):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"file(/engines)?: (Not a dir|no folder)|is no folder"):
        Cache(tmp_path / "file")
    with pytest.raises(ConfigError, match="cannot be used"):
        Cache(tmp_path / "file" / "engines")
    with pytest.raises((OutputError, ConfigError), match="RDEDGE_CACHE"):
        engine_for(PART, JETSON, Options(), Cache(Path("/proc/rdedge")))
    assert builds == []


def test_a_folder_without_the_right_to_write_is_found_before_the_build(builds):
    """Root may write everywhere, so somebody else asks."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "engines"
        path.mkdir()
        user = os.geteuid()
        if user == 0:
            Path(name).chmod(0o755)
            os.chown(path, 65534, 65534)
        path.chmod(0o500)
        try:
            if user == 0:
                os.seteuid(65534)
            with pytest.raises(OutputError, match=r"cannot be written.*RDEDGE_CACHE"):
                engine_for(PART, JETSON, Options(), Cache(path))
        finally:
            os.seteuid(user)
    assert builds == []


def test_what_is_left_aside_by_a_killed_build_is_not_loaded(cache, builds):
    path = engine_for(PART, JETSON, Options(), cache).path
    (cache.path / f".{path.name[:32]}.0123abcd.part").write_bytes(path.read_bytes())
    path.unlink()
    assert usable(PART, JETSON, cache) == (None, [])
    assert not engine_for(PART, JETSON, Options(), cache).cached


BUILDER = """
import sys, time
from pathlib import Path
from rdedge.engine import engines
from rdedge.engine.build import Options
from rdedge.engine.cache import Cache
from tests.engine.test_cache import JETSON, PART

def build(part, options, tensorrt, sm, timing=b""):
    print("built", flush=True)
    time.sleep(0.5)
    return b"e" * 100_000, b"t"

engines.build_engine = build
engines.engine_for(PART, JETSON, Options(), Cache(Path(sys.argv[1])))
"""


def test_two_processes_build_once_between_them(tmp_path):
    root = Path(__file__).parents[2]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", BUILDER, str(tmp_path / "engines")],
            cwd=root,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    lines = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert sorted(lines) == ["", "built\n"]
    assert len(list((tmp_path / "engines").glob("*.engine"))) == 1


def test_timings_are_kept_for_all_engines_of_one_gpu(cache, builds):
    engine_for(PART, JETSON, Options(), cache)
    engine_for(replace(PART, half="decoder"), JETSON, Options(), cache)
    engine_for(PART, replace(JETSON, gpu="Orin Nano"), Options(), cache)
    assert [build[-1] for build in builds] == [b"", b"timings", b""]


def test_an_altered_timing_cache_is_not_used(cache, builds, caplog):
    engine_for(PART, JETSON, Options(), cache)
    (path,) = cache.path.glob("*.timing")
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    engine_for(replace(PART, half="decoder"), JETSON, Options(), cache)
    assert builds[-1][-1] == b""
    assert "was altered" in said(caplog)


def test_the_engine_that_was_asked_for_last_is_used(cache, builds):
    first = engine_for(PART, JETSON, Options(), cache)
    second = engine_for(PART, JETSON, Options(tf32=True), cache)
    os.utime(first.path, (1, 1))
    os.utime(second.path, (2, 2))
    assert usable(PART, JETSON, cache)[0] == second.stored
    engine_for(PART, JETSON, Options(), cache)
    assert usable(PART, JETSON, cache)[0] == first.stored


@pytest.mark.parametrize(
    ("goal", "why"),
    [
        (replace(JETSON, sm=("8.9",)), "its sm is"),
        (replace(JETSON, gpu="Orin Nano"), "its gpu is"),
        (replace(JETSON, tensorrt=TensorRT("tensorrt", "10.7.0")), "its version is"),
    ],
)
def test_an_engine_for_something_else_is_not_used(cache, builds, goal, why):
    engine_for(PART, JETSON, Options(), cache)
    stored, reasons = usable(PART, goal, cache)
    assert stored is None
    assert why in reasons[0]


def test_a_compatible_engine_is_used_where_it_is_compatible(cache, builds):
    later = replace(JETSON, tensorrt=TensorRT("tensorrt", "10.13.2"))
    earlier = replace(JETSON, tensorrt=TensorRT("tensorrt", "10.2.0"))
    engine_for(PART, JETSON, Options(version_compatible=True), cache)
    assert usable(PART, later, cache)[0] is not None
    assert usable(PART, earlier, cache)[0] is None
    assert usable(PART, replace(later, gpu="Orin Nano"), cache)[0] is None
    engine_for(PART, JETSON, Options(hardware_compatible=True), cache)
    ada = replace(JETSON, sm=("8.9",), gpu="L4")
    assert usable(PART, ada, cache)[0] is not None
    assert usable(PART, replace(ada, sm=("7.5",), gpu="T4"), cache)[0] is None
    assert usable(PART, replace(ada, tensorrt=later.tensorrt), cache)[0] is None


def test_one_engine_of_rtx_for_several_gpus(cache, builds):
    rtx = Target(TensorRT("tensorrt_rtx", "1.7.1"), ("8.6", "8.9"))
    engine_for(PART, rtx, Options(), cache)
    assert usable(PART, replace(rtx, sm=("8.9",)), cache)[0] is not None
    assert usable(PART, replace(rtx, sm=("8.0",)), cache)[0] is None
    assert not list(cache.path.glob("*.timing"))


def test_where_engines_lie(monkeypatch, tmp_path):
    monkeypatch.delenv("RDEDGE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder() == tmp_path / ".cache" / "rdedge" / "engines"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert folder() == tmp_path / ".cache" / "rdedge" / "engines"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert folder() == Path("/xdg/rdedge/engines")
    monkeypatch.setenv("RDEDGE_CACHE", "/ours")
    assert folder() == Path("/ours")
    assert folder("/asked") == Path("/asked")


def test_no_home(monkeypatch):
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("RDEDGE_CACHE")
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ConfigError, match=r"no home directory.*--cache or RDEDGE_CACHE"):
        folder()
