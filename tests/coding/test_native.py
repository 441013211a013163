from __future__ import annotations

from pathlib import Path

import pytest

from rdedge import native
from rdedge.native import Library


def test_the_environment_turns_it_off(monkeypatch):
    monkeypatch.setenv("RDEDGE_NATIVE", "0")
    assert native.library() is None
    assert native.describe() == "NumPy (RDEDGE_NATIVE=0)"


@pytest.mark.skipif(native.library() is None, reason="no C library")
def test_describe_names_file_and_abi():
    assert native.describe() == f"C ({native.NAME}, abi {native.ABI})"


def fresh(monkeypatch, name: str) -> None:
    monkeypatch.delenv("RDEDGE_NATIVE", raising=False)
    monkeypatch.setattr(native, "NAME", name)
    native._load.cache_clear()


@pytest.fixture
def unload():
    yield
    native._load.cache_clear()


def test_a_missing_file_is_no_error(monkeypatch, unload):
    fresh(monkeypatch, "_absent.so")
    assert native.library() is None
    assert native.describe() == "NumPy (_absent.so was not built)"


def test_a_file_that_is_no_library(monkeypatch, unload):
    fresh(monkeypatch, "native.py")
    assert native.library() is None
    assert native.describe().startswith("NumPy (")


@pytest.mark.skipif(native.library() is None, reason="no C library")
def test_another_abi_is_refused(monkeypatch, unload):
    path = Path(native.__file__).parent / native.NAME
    monkeypatch.setattr(native, "ABI", native.ABI + 1)
    with pytest.raises(OSError, match="ABI"):
        Library(path)
    native._load.cache_clear()
    assert native.library() is None
    assert "ABI" in native.describe()
