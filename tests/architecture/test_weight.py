"""What an import pulls in, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# Without torch and onnx, as on a device and a server.
PROBE = """
import importlib, json, pkgutil, sys
sys.modules["torch"] = sys.modules["onnx"] = None
before = set(sys.modules)
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    if name != "rdedge":
        for found in pkgutil.walk_packages(getattr(module, "__path__", []), name + "."):
            importlib.import_module(found.name)
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(new - set(sys.stdlib_module_names) - {"rdedge"})))
"""


def pulled_in(*modules: str) -> set[str]:
    """Top-level modules, other than Python's own, that come with these and all inside of them."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *modules], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_the_package_alone_costs_nothing():
    assert pulled_in("rdedge") == set()


@pytest.mark.parametrize(
    "room",
    [
        *("format", "coding", "bundle", "engine", "codec", "ledger", "data", "metrics", "limits"),
        "device",
    ],
)
def test_a_room_of_the_device_pulls_in_numpy_alone(room):
    allowed = {"numpy"} | ({"tomli"} if sys.version_info < (3, 11) else set())
    assert pulled_in(f"rdedge.{room}") <= allowed


@pytest.mark.parametrize("room", ["report", "tasks"])
def test_pages_and_tasks_import_what_they_need_when_they_are_used(room):
    assert pulled_in(f"rdedge.{room}") == {"numpy"}


def test_errors_need_nothing():
    assert pulled_in("rdedge.errors") == set()


@pytest.mark.parametrize("name", ["Encoder", "Decoder"])
def test_the_names_of_the_device_open_without_torch(name):
    code = (
        "import sys; sys.modules['torch'] = sys.modules['onnx'] = None; import rdedge; "
        f"print(rdedge.{name}.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("rdedge.codec")
