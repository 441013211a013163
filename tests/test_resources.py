from __future__ import annotations

import pytest

from rdedge import resources
from rdedge.errors import MissingError


def test_a_checkout_reads_its_own_folders():
    assert resources.find("export").is_dir()
    assert resources.find("devices").is_dir()


def install(tmp_path, monkeypatch):
    """A package folder elsewhere, as a wheel leaves it."""
    package = tmp_path / "site-packages" / "rdedge"
    package.mkdir(parents=True)
    monkeypatch.setattr(resources, "__file__", str(package / "resources.py"))
    return package


def test_a_wheel_carries_them(tmp_path, monkeypatch):
    package = install(tmp_path, monkeypatch)
    (package / "_data" / "export").mkdir(parents=True)
    assert resources.find("export") == package / "_data" / "export"


def test_a_folder_beside_an_installed_package_is_not_ours(tmp_path, monkeypatch):
    package = install(tmp_path, monkeypatch)
    (package.parent / "devices").mkdir()
    with pytest.raises(MissingError, match="devices"):
        resources.find("devices")
