from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rdedge.bundle.bundle import Bundle
from rdedge.cli.group import run
from rdedge.engine import cuda
from rdedge.engine.cache import Cache
from tests.bundle import tiny
from tests.engine import make

NO_GPU = cuda.Driver(why="cannot load libcuda.so.1")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("RDEDGE_TENSORRT", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RDEDGE_CACHE", str(tmp_path / "engines"))
    monkeypatch.setattr(cuda, "ask", lambda: NO_GPU)
    return tmp_path / "engines"


def written(path: Path, profile: str = '{"name":"cpu-host"}') -> str:
    make.bundle(profile.encode()).write(path / "tiny.rdb")
    return str(path / "tiny.rdb")


def test_both_halves_are_built_and_then_come_from_the_cache(tmp_path, cache, capsys):
    arguments = ["build", written(tmp_path), "--sm", "8.6"]
    assert run(arguments) == 0
    first = capsys.readouterr().out.splitlines()
    assert [line.split(" for ")[0] for line in first] == ["encoder", "decoder"]
    assert all("SM 8.6: built in " in line and "TensorRT for RTX" in line for line in first)
    assert run(arguments) == 0
    second = capsys.readouterr().out.splitlines()
    assert all("SM 8.6: from the cache in " in line for line in second)
    for line in first:
        path = Path(line.rpartition(": ")[2])
        assert path.parent == cache
        assert f" {len(Cache(cache).read(path).data):,} bytes" in line


def test_one_half_for_two_gpus_as_json(tmp_path, capsys):
    arguments = ["--half", "encoder", "--sm", "8.9", "--sm", "8.6", "--json", "--batch", "1,2,4"]
    place = ["--cache", str(tmp_path / "other")]
    assert run(["build", written(tmp_path), *arguments, *place]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["half"] == "encoder"
    assert found["sm"] == ["8.6", "8.9"]
    assert found["cached"] is False
    assert Path(found["path"]).parent == tmp_path / "other"
    assert set(found) == {"half", "tensorrt", "sm", "path", "bytes", "seconds", "cached"}


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        ([], 1, "no GPU to build for: cannot load libcuda.so.1.*--sm 8.6"),
        (["--sm", "8.7"], 2, "nothing for SM 8.7; expected: SM 7.5, 8.0, 8.6, 8.9"),
        (["--sm", "86"], 2, "--sm '86'; expected: major.minor"),
        (["--sm", "8.6", "--sm", "8.6"], 2, "each one once"),
        (["--sm", "8.6", "--batch", "0"], 2, "range of 0, 0, 0"),
        (["--sm", "8.6", "--batch", "4,2,1"], 2, "range of 4, 2, 1"),
        (["--sm", "8.6", "--batch", "many"], 2, "a batch of 'many'"),
        (["--sm", "8.6", "--size", "8"], 2, "only images have one"),
        (["--sm", "8.6", "--workspace", "0"], 2, "a workspace of 0 MiB"),
        (["--sm", "8.6", "--hardware-compatible"], 2, "no hardware compatibility"),
        (["--sm", "8.6", "--version-compatible"], 1, "builds no engine from encoder.onnx"),
        (["--sm", "8.6", "--profile", "orin-nano-8gb"], 2, "is for SM '8.7'.*for SM 8.6"),
        (["--sm", "8.6", "--profile", "orin-nano"], 2, "no profile is called.*perhaps"),
        (["--half", "neither"], 2, "neither"),
    ],
)
def test_what_cannot_be_built_is_said(tmp_path, cache, capsys, arguments, code, why):
    assert run(["build", written(tmp_path), *arguments]) == code
    err = capsys.readouterr().err
    assert re.search(why, err, re.DOTALL), err
    assert not list(cache.glob("*.engine"))


def test_a_bundle_for_another_gpu_is_refused_unless_another_profile_is_named(tmp_path, capsys):
    orin = '{"compute":{"sm":"8.7"},"name":"orin-nano-8gb"}'
    arguments = ["build", written(tmp_path, orin), "--sm", "8.6"]
    assert run(arguments) == 2
    assert "'orin-nano-8gb' is for SM '8.7'" in capsys.readouterr().err
    assert run([*arguments, "--profile", "gpu-host"]) == 0


def test_an_operator_that_tensorrt_lacks_is_named(tmp_path, capsys):
    members = tiny.members(**{"encoder.onnx": make.unsupported()})
    Bundle.make(tiny.manifest(), members).write(tmp_path / "odd.rdb")
    assert run(["build", str(tmp_path / "odd.rdb"), "--sm", "8.6"]) == 1
    err = capsys.readouterr().err
    assert "node 'spelled' (StringNormalizer)" in err
    assert "node 'determined' (Det)" in err
    assert len(err.splitlines()) == 1


def test_no_tensorrt_and_no_bundle(tmp_path, monkeypatch, capsys):
    from rdedge.engine import tensorrt

    monkeypatch.setattr(tensorrt, "_is_there", lambda name: False)
    assert run(["build", written(tmp_path), "--sm", "8.6"]) == 1
    assert "TensorRT is not installed; what to do: " in capsys.readouterr().err
    assert run(["build", str(tmp_path / "no.rdb")]) == 1
    assert "cannot read the bundle" in capsys.readouterr().err


def test_a_cache_that_others_can_write_is_refused(tmp_path, cache, capsys):
    cache.mkdir()
    cache.chmod(0o777)
    assert run(["build", written(tmp_path), "--sm", "8.6"]) == 2
    assert f"chmod go-w {cache}" in capsys.readouterr().err


WARM = """
import sys
from rdedge.cli.group import run
code = run(["build", sys.argv[1], "--sm", "8.6", "--json"])
heavy = {"torch", "onnx", "onnxruntime", "tensorrt", "tensorrt_rtx_bindings", "cuda.bindings"}
raise SystemExit(code or sorted(heavy & set(sys.modules)) or 0)
"""


def test_from_the_cache_it_loads_neither_tensorrt_nor_torch(tmp_path):
    path = written(tmp_path)
    assert run(["build", path, "--sm", "8.6"]) == 0
    done = subprocess.run(
        [sys.executable, "-c", WARM, path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [one["cached"] for one in json.loads(done.stdout)] == [True, True]


def test_of_a_devices_part_the_encoder_alone_is_built(tmp_path, capsys):
    path = tmp_path / "device.rdb"
    make.bundle().device_part().write(path)
    assert run(["build", str(path), "--sm", "8.6", "--json"]) == 0
    assert [one["half"] for one in json.loads(capsys.readouterr().out)] == ["encoder"]
    # The whole bundle's encoder is the same one.
    assert run(["build", written(tmp_path), "--sm", "8.6", "--json"]) == 0
    assert [one["cached"] for one in json.loads(capsys.readouterr().out)] == [True, False]
    assert run(["build", str(path), "--sm", "8.6", "--half", "decoder"]) == 1
    assert "holds no decoder.onnx: it is a device's part" in capsys.readouterr().err
