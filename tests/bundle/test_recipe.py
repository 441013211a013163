"""Recipes: what ships loads; what is wrong is named. Profiles have a file of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rdedge import canonical, config, resources
from rdedge.bundle.recipe import Recipe, load_profile, load_recipe
from rdedge.errors import ConfigError

TEXT = (resources.find("export") / "default.toml").read_text("utf-8")


@pytest.mark.parametrize(
    "path", sorted(resources.find("export").glob("*.toml")), ids=lambda path: path.stem
)
def test_recipes_that_ship(path):
    recipe = load_recipe(path.stem)
    assert recipe == load_recipe(str(path))
    assert canonical.loads(canonical.dumps(recipe.to_json()), "recipe") == recipe.to_json()
    assert config.build(recipe.to_json(), Recipe, "recipe") == recipe


def test_the_users_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace("samples = 16", "samples = 1024"), "utf-8")
    assert load_recipe(str(path)).reference.samples == 1024
    assert load_recipe("default").reference.samples == 16


def test_integers_do_for_floats(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(re.sub(r"max_symbol_share = \S+", "max_symbol_share = 0", TEXT), "utf-8")
    assert load_recipe(str(path)).parity.max_symbol_share == 0.0


@pytest.mark.parametrize("load", [load_recipe, load_profile])
@pytest.mark.parametrize("name", ["nonsense", "../default", "", "default.TOML", "a\x00b"])
def test_a_name_that_is_not_there_names_those_that_are(load, name):
    with pytest.raises(ConfigError) as caught:
        load(name)
    known = "default" if load is load_recipe else "cpu-host"
    assert known in caught.value.expected


@pytest.mark.parametrize("name", ["missing.toml", "a\x00b.toml", "x" * 300 + ".toml"])
def test_a_file_that_is_not_there(name):
    with pytest.raises(ConfigError):
        load_recipe(name)


def test_a_folder_is_no_recipe(tmp_path: Path):
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    with pytest.raises(ConfigError):
        load_recipe(str(folder))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("samples = 16", "sampels = 16", "'samples', perhaps"),
        ("opset = 18", "opset = 18\nprecison = 'fp32'", "'precision', perhaps"),
        ("[parity]", "[partiy]", "'parity', perhaps"),
        ("opset = 18", "opset = 18\nzzzz = 1", "opset, precision"),
    ],
)
def test_an_unknown_key_names_the_nearest(tmp_path, old, new, said):
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(old, new), "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(path))
    assert said in caught.value.expected
    assert "mine.toml" in caught.value.what


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("opset = 18", "opset = 17"),
        ("opset = 18", "opset = 24"),
        ("opset = 18", "opset = '18'"),
        ("opset = 18", "opset = 18.0"),
        ("opset = 18", "opset = true"),
        ("opset = 18", ""),
        ("opset = 18", "opset ="),
        ("opset = 18", "opset = 18\nopset = 18"),
        ("opset = 18", "opset = " + "1" * 10_000),
        ("opset = 18", "opset = " + "[" * 10_000),
        ('"fp32"', '"int1"'),
        ('"fp32"', "['fp32']"),
        ("samples = 16", "samples = 0"),
        ("samples = 16", "samples = 1025"),
        ("samples = 16", "samples = -1"),
        ("= 0.01 ", "= nan "),
        ("= 0.01 ", "= inf "),
        ("= 0.01 ", "= -0.01 "),
        ("= 0.01 ", "= '0.01' "),
        ("= 0.01 ", "= true "),
        ("= 0.01 ", "= 1" + "0" * 400 + " "),
        ("[graph]", "graph = 1\n[other]"),
        ("[graph]", "[[graph]]"),
        ("[graph]", ""),
    ],
)
def test_a_wrong_value(tmp_path, old, new):
    assert old in TEXT
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(old, new, 1), "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(path))
    assert caught.value.what


def test_what_is_no_text(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b'[graph]\nprecision = "\xff"')
    with pytest.raises(ConfigError, match="UTF-8"):
        load_recipe(str(path))
