"""The door for TOML: every kind of value that a dataclass may ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdedge import config
from rdedge.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    count: int


@dataclass(frozen=True)
class Outer:
    name: str
    share: float
    inner: Inner
    names: tuple[str, ...] = ()
    inners: tuple[Inner, ...] = ()
    limit: float | None = None
    on: bool = False
    more: list = field(default_factory=list)


NEEDED = {"name": "a", "share": 0.5, "inner": {"count": 1}}


def build(**changes: object) -> Outer:
    return config.build({**NEEDED, **changes}, Outer, "it")


def test_what_is_left_out_has_its_default():
    assert build() == Outer("a", 0.5, Inner(1))


def test_all_kinds_of_values():
    found = build(
        share=1, names=["x", "y"], inners=[{"count": 2}], limit=3, on=True, inner={"count": -1}
    )
    assert found == Outer("a", 1.0, Inner(-1), ("x", "y"), (Inner(2),), 3.0, True)
    assert type(found.share) is type(found.limit) is float
    assert build(limit=None).limit is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": 1}, "it: name is 1"),
        ({"share": "0.5"}, "it: share"),
        ({"share": True}, "it: share"),
        ({"share": None}, "it: share"),
        ({"share": float("nan")}, "it: share is nan"),
        ({"limit": float("-inf")}, "it: limit is -inf"),
        ({"limit": "3"}, "it: limit"),
        ({"share": 10**400}, "it: share"),
        ({"names": "xy"}, "it: names"),
        ({"names": ["x", 1]}, "it: names[1] is 1"),
        ({"inners": [{"count": 1}, {"cuont": 1}]}, "it: inners[1]: unknown key 'cuont'"),
        ({"inner": 1}, "it: inner is 1"),
        ({"inner": {}}, "it: inner: 'count' is missing"),
        ({"inner": {"count": 1.0}}, "it: inner: count is 1.0"),
        ({"on": 1}, "it: on"),
        ({"nam": 1}, "it: unknown key 'nam'"),
    ],
)
def test_what_is_wrong_is_named(changes, said):
    with pytest.raises(ConfigError) as caught:
        build(**changes)
    assert caught.value.what.startswith(said)


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_missing_is_named(name):
    with pytest.raises(ConfigError, match=f"'{name}' is missing"):
        config.build({key: value for key, value in NEEDED.items() if key != name}, Outer, "it")


def test_files(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("name = 'é'\nshare = 1e-3\nlimit = 2\n[inner]\ncount = 7\n", "utf-8")
    assert config.load(path, Outer) == Outer("é", 0.001, Inner(7), limit=2.0)


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_VALUE = (
    _TEXT
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
_TABLE = st.dictionaries(_TEXT.filter(bool), _VALUE | st.lists(_VALUE, max_size=3), max_size=4)


@given(
    st.dictionaries(
        _TEXT.filter(bool),
        _VALUE | _TABLE | st.lists(_TABLE, min_size=1, max_size=3),
        max_size=5,
    )
)
def test_what_is_written_is_read_back(value: dict[str, Any]) -> None:
    assert config.tomllib.loads(config.dumps(value)) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {1, 2}, b"x"])
def test_what_toml_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        config.dumps({"a": value})


def test_nothing_is_left_out() -> None:
    assert config.dumps({"a": None, "b": 1}) == "b = 1\n"
