"""How a task is found, trained and asked, and what is said where that fails."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from rdedge import tasks
from rdedge.errors import ConfigError, ShapeError

MINE = """
import numpy as np
from rdedge.errors import ShapeError

seen = []
number = 3

def score(samples, labels):
    return np.float32(np.mean(np.asarray(samples) == np.asarray(labels)))

def nothing(samples, labels):
    return None

def not_finite(samples, labels):
    return float("nan")

def text(samples, labels):
    return "0.5"

def raises(samples, labels):
    raise KeyError("left")

def typed(samples, labels):
    raise ShapeError("what it expects")

class Learner:
    def fit(self, samples, labels):
        seen.append((len(samples), labels))
        self.mean = np.mean(samples)

    def __call__(self, samples, labels):
        return -abs(np.mean(samples) - self.mean)

class Closure:
    def fit(self, samples, labels):
        return lambda samples, labels: len(samples)

class Dumb:
    def fit(self, samples, labels):
        pass

class Fails:
    def fit(self, samples, labels):
        raise ValueError

learner, closure, dumb, fails = Learner(), Closure(), Dumb(), Fails()
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in the current folder."""
    name = f"mine_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MINE)
    (tmp_path / f"{name}_broken.py").write_text("1 / 0")
    (tmp_path / f"{name}_needs.py").write_text("import a_module_that_nobody_has")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return name


ONES = np.ones((4, 2))


def test_a_plain_function_of_the_current_folder(mine):
    before = list(sys.path)
    task = tasks.load(f"{mine}:score")
    assert sys.path == before
    assert not task.needs_training
    judge = task.judge()
    assert judge(ONES, ONES) == 1.0
    assert type(judge(ONES, ONES)) is float
    assert judge(ONES, 0 * ONES) == 0.0


def test_an_object_is_trained_once_and_then_asked(mine):
    task = tasks.load(f"{mine}:learner")
    assert task.needs_training
    judge = task.judge(ONES, None)
    assert sys.modules[mine].seen == [(4, None)]
    assert judge(ONES + 2, None) == -2.0
    assert judge(ONES, None) == 0.0
    assert sys.modules[mine].seen == [(4, None)]
    assert tasks.load(f"{mine}:closure").judge(ONES)(ONES[:3], None) == 3.0


@pytest.mark.parametrize(
    "text", ["", "x", "x:", ":y", "x.:y", "x y:z", "x:y:z", "x:y.z", "a/b.py:c", "..x:y", "x:1"]
)
def test_a_name_of_another_form(text):
    with pytest.raises(ConfigError, match="does not name a task"):
        tasks.load(text)


def test_what_is_missing_is_named(mine):
    with pytest.raises(ConfigError, match="no module 'nobody_has_this' for the task"):
        tasks.load("nobody_has_this:score")
    with pytest.raises(ConfigError, match="no module 'nobody_has_this'"):
        tasks.load("nobody_has_this.at_all:score")
    with pytest.raises(ConfigError, match=f"no module '{mine}.inner'"):
        tasks.load(f"{mine}.inner:score")
    with pytest.raises(ConfigError, match="needs a_module_that_nobody_has"):
        tasks.load(f"{mine}_needs:score")
    with pytest.raises(ConfigError, match="has no 'scores'"):
        tasks.load(f"{mine}:scores")
    with pytest.raises(ConfigError, match="failed: ZeroDivisionError: division by zero"):
        tasks.load(f"{mine}_broken:score")


@pytest.mark.parametrize("name", ["number", "Learner"])
def test_what_cannot_judge(mine, name):
    with pytest.raises(ConfigError, match="neither a function nor an object with fit"):
        tasks.load(f"{mine}:{name}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "returned None"),
        ("not_finite", "returned nan"),
        ("text", "returned '0.5'"),
        ("raises", "failed: KeyError: 'left'"),
    ],
)
def test_what_gives_no_score(mine, name, message):
    judge = tasks.load(f"{mine}:{name}").judge()
    with pytest.raises(ConfigError, match=message) as caught:
        judge(ONES, ONES)
    assert f"{mine}:{name}" in str(caught.value)


def test_a_typed_error_is_left_as_it_is(mine):
    with pytest.raises(ShapeError, match="what it expects"):
        tasks.load(f"{mine}:typed").judge()(ONES, ONES)


def test_what_cannot_be_trained(mine):
    with pytest.raises(ConfigError, match="there are none"):
        tasks.load(f"{mine}:learner").judge()
    with pytest.raises(ConfigError, match="there are none"):
        tasks.load(f"{mine}:learner").judge(ONES[:0])
    with pytest.raises(ConfigError, match="cannot be called after fit"):
        tasks.load(f"{mine}:dumb").judge(ONES)
    with pytest.raises(ConfigError, match="failed: ValueError"):
        tasks.load(f"{mine}:fails").judge(ONES)
