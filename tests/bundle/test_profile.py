"""Profiles: what ships loads and names its sources; what is wrong is named."""

from __future__ import annotations

import re

import pytest

from rdedge import canonical, resources
from rdedge.bundle.profile import JetPack
from rdedge.bundle.recipe import load_profile, load_recipe, profile_names
from rdedge.errors import ConfigError

FOLDER = resources.find("devices")
TEXT = (FOLDER / "orin-nano-8gb.toml").read_text("utf-8")


@pytest.mark.parametrize("name", profile_names())
def test_profiles_that_ship(name):
    profile = load_profile(name)
    assert profile == load_profile(str(FOLDER / f"{name}.toml"))
    assert profile.name == name
    assert profile.title
    assert load_recipe(profile.recipe).graph.precision in profile.precisions
    assert all(len(table.source) > 20 for table in profile.tables.values())
    value = profile.to_json()
    assert canonical.loads(canonical.dumps(value), "profile") == value
    assert value["verified"] == profile.verified
    assert value["supported"] == profile.supported


def test_the_modules_that_are_in_use_are_there():
    assert set(profile_names()) >= {
        "cpu-host",
        "gpu-host",
        *("orin-nano-4gb", "orin-nano-8gb", "orin-nx-8gb", "orin-nx-16gb"),
        *("agx-orin-32gb", "agx-orin-64gb", "thor-t4000", "thor-t5000"),
        *("agx-xavier-32gb", "agx-xavier-64gb", "xavier-nx-8gb", "xavier-nx-16gb"),
    }


def test_no_two_profiles_claim_one_module_and_memory():
    seen: dict[tuple[str, int], str] = {}
    for profile in map(load_profile, profile_names()):
        if profile.module and profile.memory:
            for number in profile.module.numbers + profile.module.boards:
                key = (number, profile.memory.gb)
                assert key not in seen, (profile.name, seen[key])
                seen[key] = profile.name


@pytest.mark.parametrize("name", profile_names())
def test_what_a_processor_can_do_goes_with_its_generation(name):
    profile = load_profile(name)
    expected = {"7.2": "tegra194", "8.7": "tegra234", "11.0": "tegra264"}
    if profile.module:
        assert expected[profile.compute.sm] == profile.module.soc
        assert ("fp4" in profile.precisions) == (profile.module.soc == "tegra264")
        assert profile.supported == (profile.module.soc != "tegra194")
    assert profile.verified == (name == "cpu-host")


def test_what_is_not_known_is_left_out():
    value = load_profile("thor-t4000").to_json()
    assert "tensor_cores" not in value["gpu"]
    assert value["power"][0]["modes"][0] == {"id": 0, "name": "MAXN"}
    assert set(load_profile("cpu-host").to_json()) == {
        *("name", "title", "kind", "recipe", "compute", "verified", "supported")
    }


def test_python_of_a_jetpack():
    def supported(python):
        return JetPack(
            source="x", version="6.2", l4t="36.4", ubuntu="22.04", python=python, cuda="12.6",
            tensorrt="10.3",
        ).supported  # fmt: skip

    assert [supported(p) for p in ("3.8", "3.9", "3.10", "3.12", "4.0")] == [False] * 2 + [True] * 3


def test_a_table_that_does_not_say_so_is_unverified(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace("verified = false\n", ""), "utf-8")
    assert not load_profile(str(path)).verified
    path.write_text(TEXT.replace("verified = false\n", "verified = true\n"), "utf-8")
    assert load_profile(str(path)).verified
    path.write_text(TEXT.replace("verified = false\n", "verified = true\n", 3), "utf-8")
    assert not load_profile(str(path)).verified


@pytest.mark.parametrize("name", ["orin-nano-8g", "orin_nano_8gb", "orin-nano-8GB"])
def test_a_wrong_name_names_the_nearest(name):
    with pytest.raises(ConfigError, match="'orin-nano-8gb'") as caught:
        load_profile(name)
    assert "orin-nano-8gb" in caught.value.do


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cuda_cores", "cuda_coers", "'cuda_cores', perhaps"),
        ("workspace_mib", "workspace_mb", "'workspace_mib', perhaps"),
        ("[compute]", "[computer]", "'compute', perhaps"),
        ("[[jetpack]]", "[[jetpacks]]", "'jetpack', perhaps"),
        ("watts = 15", "wats = 15", "'watts', perhaps"),
    ],
)
def test_an_unknown_key_names_the_nearest(tmp_path, old, new, said):
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(old, new), "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_profile(str(path))
    assert said in caught.value.expected
    assert "mine.toml" in caught.value.what


@pytest.mark.parametrize("table", ["module", "gpu", "compute", "memory", "jetpack", "power"])
@pytest.mark.parametrize("source", ["", 'source = ""\n', 'source = " "\n', "source = 1\n"])
def test_figures_without_a_source_are_refused(tmp_path, table, source):
    path = tmp_path / "mine.toml"
    start = re.search(rf"^\[+{table}\]+$", TEXT, re.MULTILINE).start()
    text = TEXT[:start] + re.sub(r"source = .*\n", source, TEXT[start:], count=1)
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="source") as caught:
        load_profile(str(path))
    assert f"mine.toml: {table}" in caught.value.what


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('sm = "8.7"', 'sm = "banana"', "sm is 'banana'"),
        ('sm = "8.7"', "sm = 8.7", "sm is 8.7, of type float"),
        ('sm = "8.7"', 'sm = "8.7\\n"', "sm is"),
        ('sm = "8.7"', 'sm = "87"', "sm is '87'"),
        ("gb = 8", "gb = -8", "gb is -8"),
        ("gb = 8", "gb = 0", "gb is 0"),
        ("gb = 8", "gb = 8.5", "gb is 8.5"),
        ("gb = 8", "gb = true", "gb is True"),
        ("gb = 8\n", "", "'gb' is missing"),
        ("bandwidth_gb_s = 68", "bandwidth_gb_s = -68", "bandwidth_gb_s is -68"),
        ("bandwidth_gb_s = 68", "bandwidth_gb_s = nan", "bandwidth_gb_s is nan"),
        ("cuda_cores = 1024", "cuda_cores = 0", "cuda_cores is 0"),
        ("dla = 0", "dla = -1", "dla is -1"),
        ('"fp16", "int8"', '"fp17", "int8"', "precision 'fp17'"),
        ('["fp32", "fp16", "int8"]', "[]", "precisions is empty"),
        ('"p3767-0003"', '"3767-0003"', "part number '3767-0003'"),
        ('python = "3.10"', 'python = "three"', "python is 'three'"),
        ('l4t = "36.4.3"', 'l4t = "36"', "l4t is '36'"),
        ('cuda = "12.6"', "cuda = 12.6", "cuda is 12.6"),
        ('default = "15W"', 'default = "16W"', "default mode '16W'"),
        ("id = 1, name", "id = 0, name", "repeat"),
        ("id = 1, name", "id = -1, name", "id is -1"),
        ("watts = 15 ", "watts = 0 ", "watts is 0"),
        ("workspace_mib = 1024", "workspace_mib = 0", "workspace_mib is 0"),
        ("workspace_mib = 1024", "workspace_mib = 8193", "workspace_mib is 8193"),
        ('kind = "jetson"', 'kind = "phone"', "kind is 'phone'"),
        ("verified = false", "verified = 0", "verified is 0"),
        ("shared = true", "shared = 1", "shared is 1"),
        ("[module]", "[[module]]", "module is"),
        ("notes = [", "notes = [1, ", "notes[0] is 1"),
    ],
)
def test_a_wrong_value_is_named(tmp_path, old, new, said):
    assert old in TEXT
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(old, new, 1), "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_profile(str(path))
    assert said in caught.value.what
    assert "mine.toml" in caught.value.what


@pytest.mark.parametrize("table", ["module", "memory"])
def test_a_jetson_without_its_tables(tmp_path, table):
    path = tmp_path / "mine.toml"
    path.write_text(re.sub(rf"^\[{table}\]\n(.+\n)+", "", TEXT, flags=re.MULTILINE), "utf-8")
    with pytest.raises(ConfigError, match="lacks a table") as caught:
        load_profile(str(path))
    assert table in caught.value.expected
