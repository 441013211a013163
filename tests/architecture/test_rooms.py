"""The rule of the house: a file imports only what stands above it, and wings never meet."""

from __future__ import annotations

import pytest

from tests.architecture.source import FILES, MODULES, imports, module_of, name_of

WINGS = {"host", "device", "server", "report", "tasks"}
# From the top; what stands in one set does not import each other.
ORDER: list[set[str]] = [
    {"_version"},
    {"errors"},
    {"types"},
    {"canonical"},
    {"config"},
    {"resources"},
    {"metrics"},
    {"limits"},
    {"native"},
    {"data"},
    {"format"},
    {"coding"},
    {"classical"},
    {"bundle"},
    {"engine"},
    {"codec"},
    {"ledger"},
    WINGS,
    {"flows"},
    {"cli"},
    {"__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
# `import rdedge` is the front door: it opens any room, when asked.
DOOR = "rdedge"


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else DOOR


def faults(importer: str, imported: set[str]) -> list[str]:
    here = room_of(importer)
    found = []
    for module in sorted(m for m in imported if m.split(".")[0] == "rdedge"):
        there = room_of(module)
        if here in (DOOR, there):
            continue
        if there == DOOR or LEVEL[there] >= LEVEL[here]:
            found.append(f"{importer} imports {module}")
    return found


def test_every_room_has_its_place():
    assert {room_of(module) for module in MODULES} - {DOOR} <= set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_imports_only_rooms_above_it(path):
    assert faults(module_of(path), imports(path)) == []


def test_types_know_nothing_but_errors():
    path = next(path for path in FILES if module_of(path) == "rdedge.types")
    assert {m for m in imports(path) if m.startswith("rdedge")} == {"rdedge.errors"}


def test_the_test_sees_a_fault():
    assert faults("rdedge.format.packet", {"rdedge.coding.rans"})
    assert faults("rdedge.host.train", {"rdedge.report.text"})
    assert faults("rdedge.server.store", {"rdedge.host.train"})
    assert faults("rdedge.tasks.task", {"rdedge.report.curve"})
    assert faults("rdedge.codec.decoder", {"rdedge"})
    assert faults("rdedge.errors", {"rdedge.types"})
    assert not faults("rdedge.coding.rans", {"rdedge.format.varint", "numpy"})
    assert not faults("rdedge.flows.pilot", {"rdedge.host.train", "rdedge.report.text"})
    assert not faults("rdedge", {"rdedge.codec"})
