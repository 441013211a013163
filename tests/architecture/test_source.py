"""What no file may hold, and what the tree of errors must."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess

import pytest

import rdedge
from rdedge import errors
from tests.architecture.source import CHECKOUT, FILES, PACKAGE, imports, name_of, tree

MAX_LINES = 400
# Modules that run what they read, or read what can run.
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_are_short(path):
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES


def unsafe(module: ast.Module) -> list[str]:
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            # A method may be called eval, as torch has it; the function may not.
            if isinstance(node.func, ast.Name) and node.func.id in UNSAFE_CALLS:
                found.append(f"line {node.lineno}: {node.func.id}()")
            for keyword in node.keywords:
                safe = {"allow_pickle": False, "weights_only": True}.get(keyword.arg or "")
                value = keyword.value
                if safe is not None and not (
                    isinstance(value, ast.Constant) and value.value is safe
                ):
                    found.append(f"line {node.lineno}: {keyword.arg} is not {safe}")
            if ast.unparse(node.func) == "torch.load":
                found.append(f"line {node.lineno}: torch.load")
        name = getattr(node, "id", getattr(node, "attr", ""))
        if "pickle" in name:
            found.append(f"line {node.lineno}: {name}")
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_executes(path):
    assert not {m.partition(".")[0] for m in imports(path)} & UNSAFE_MODULES
    assert unsafe(tree(path)) == []


def test_the_test_sees_what_executes():
    for text in (
        "eval('1')",
        "np.load(f, allow_pickle=True)",
        "torch.load(f)",
        "exec(x)",
        "a.pickle",
    ):
        assert unsafe(ast.parse(text)), text
    assert not unsafe(ast.parse("model.eval(); np.load(f, allow_pickle=False)"))


def tracked() -> list[str]:
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("no checkout of git")
    return [name for name in done.stdout.split("\0") if name and (CHECKOUT / name).is_file()]


def test_no_file_names_a_folder_of_one_machine():
    # Put together here, so that this file does not hold them.
    roots = "|".join(("root", "work", "home/[a-z]+"))
    pattern = re.compile(rf"(?<![\w.~-])/({roots})(?![\w-])".encode())
    found = []
    for name in tracked():
        for number, line in enumerate((CHECKOUT / name).read_bytes().splitlines(), 1):
            if pattern.search(line):
                found.append(f"{name}:{number}")
    assert found == []


CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and value.__module__ == errors.__name__
}


def test_all_errors_are_exported():
    assert sorted(CLASSES) == sorted(errors.__all__)
    assert all(issubclass(value, errors.RdedgeError) for value in CLASSES.values())
    assert all(value.__doc__ for value in CLASSES.values())


def test_the_drawn_tree_is_the_tree():
    """Each line of the docstring's tree is a class, below the class that it is drawn below."""
    above: list[str] = []
    drawn: dict[str, str | None] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"([│├└─ ]*)([A-Z]\w+)(\s|$)", line)
        if found is None or found[2] not in CLASSES:
            continue
        depth = len(found[1]) // 4
        del above[depth:]
        drawn[found[2]] = above[-1] if above else None
        above.append(found[2])
    actual = {
        name: None if value is errors.RdedgeError else value.__bases__[0].__name__
        for name, value in CLASSES.items()
    }
    assert drawn == actual


def used(module: ast.Module) -> set[str]:
    """Names of errors that are raised, or chosen to be raised, anywhere in a module."""
    caught: set[int] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            caught |= {id(inner) for inner in ast.walk(node.type)}
    return {
        node.id
        for node in ast.walk(module)
        if isinstance(node, ast.Name) and node.id in CLASSES and id(node) not in caught
    }


def test_every_error_is_raised_somewhere():
    """Those that stand for others are caught, and need not be raised themselves."""
    files = [path for path in FILES if path.name != "errors.py"]
    raised = set().union(*(used(tree(path)) for path in files))
    leaves = {
        name
        for name, value in CLASSES.items()
        if not any(other.__bases__[0] is value for other in CLASSES.values())
    }
    assert leaves - raised == set()


def test_an_error_says_what_to_do():
    error = errors.OutputError("it is there", expected="nothing", do="choose another name")
    assert str(error) == "it is there; expected: nothing; what to do: choose another name"
    assert str(errors.OutputError("it is there")) == "it is there"
    with pytest.raises(errors.RdedgeError):
        raise error


def test_the_front_door_names_what_it_opens():
    assert set(rdedge._HOMES) | {"__version__"} == set(rdedge.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = rdedge.nonsense
    assert (PACKAGE / "py.typed").is_file()
