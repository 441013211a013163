"""A task by its name, and the judge that it becomes.

A task is named `MODULE:FUNCTION`, of Python code that the user has installed or keeps in the
current folder. FUNCTION is one of two things.

A plain function `score(samples, labels) -> float`. It is called on the held-out samples as they
are, and again on what each codec made of them.

An object with a method `fit(samples, labels)`, for a task that must learn. fit is called once, with
raw training samples, and returns the function that judges; None means that the object itself can be
called. So what is judged is decoded data, by a judge that has seen raw data only.

samples: (N, *shape) in raw units and of the source's dtype; a list of N arrays (H, W, C) where
pictures differ in size. labels: what came with the samples, such as (N,) classes or (N, T) marks of
rows, in the same order. Where nothing came with them, labels are the raw samples themselves, so
that a task can compare; for fit they are None then. A higher score is better.
"""

from __future__ import annotations

import importlib
import math
import numbers
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from rdedge.errors import ConfigError, RdedgeError
from rdedge.types import Array

Samples = Array | Sequence[Array]
Labels = Any

_FORM = "MODULE:FUNCTION, such as rdedge.tasks.digits:accuracy"


@dataclass(frozen=True)
class Judge:
    """A task that is ready to judge. name: as it was asked for; function: as the module says."""

    name: str
    function: Callable[[Samples, Labels], object]

    def __call__(self, samples: Samples, labels: Labels) -> float:
        """The score. Raises ConfigError where the function raises or gives no finite number."""
        with _at_fault(self.name):
            score = self.function(samples, labels)
        if not isinstance(score, numbers.Real) or not math.isfinite(score):
            raise ConfigError(
                f"the task {self.name} returned {score!r:.60}", expected="a finite number"
            )
        return float(score)


@dataclass(frozen=True)
class Task:
    """What `MODULE:FUNCTION` names. needs_training: whether it must see raw samples first."""

    name: str
    function: Any

    @property
    def needs_training(self) -> bool:
        return callable(getattr(self.function, "fit", None))

    def judge(self, samples: Samples | None = None, labels: Labels = None) -> Judge:
        """The judge, trained on raw training samples where the task needs it.

        Raises ConfigError where it needs them and there are none, and where its fit raises.
        """
        if not self.needs_training:
            return Judge(self.name, self.function)
        if samples is None or not len(samples):
            raise ConfigError(
                f"the task {self.name} learns from training samples, and there are none",
                expected="raw training samples",
            )
        with _at_fault(self.name):
            fitted = self.function.fit(samples, labels)
        function = self.function if fitted is None else fitted
        if not callable(function):
            raise ConfigError(
                f"the task {self.name} cannot be called after fit",
                expected="fit to return a function, or an object that can be called",
            )
        return Judge(self.name, function)


def load(text: str) -> Task:
    """The task that text names. Importing its module runs it: that is what was asked for.

    Raises ConfigError for a name of another form, and for a module or a function that is missing
    or cannot be used.
    """
    module_name, colon, attribute = text.partition(":")
    names = [*module_name.split("."), attribute]
    if not colon or not all(name.isidentifier() for name in names):
        raise ConfigError(f"{text!r} does not name a task", expected=_FORM)
    module = _import(module_name, text)
    function = getattr(module, attribute, None)
    if function is None:
        raise ConfigError(f"the module {module_name} has no {attribute!r}", expected=_FORM)
    task = Task(text, function)
    if isinstance(function, type) or not (task.needs_training or callable(function)):
        raise ConfigError(
            f"{text} is neither a function nor an object with fit",
            expected="see the page of rdedge.tasks.task",
        )
    return task


def _import(name: str, text: str) -> ModuleType:
    try:
        with _current_folder():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise ConfigError(
                f"no module {missing!r} for the task {text}",
                expected=_FORM,
                do="install it, or run in the folder that holds it",
            ) from error
        raise ConfigError(
            f"the module {name} of the task {text} needs {missing}", do=f"install {missing}"
        ) from error
    except RdedgeError:
        raise
    except Exception as error:  # whatever a user's own module does
        raise ConfigError(f"the module {name} of the task {text} failed: {_said(error)}") from error


@contextmanager
def _current_folder() -> Iterator[None]:
    """Let modules of the current folder be found, behind all that is installed."""
    folder = str(Path.cwd())
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


@contextmanager
def _at_fault(name: str) -> Iterator[None]:
    """Turn whatever a task raises into an error that names the task."""
    try:
        yield
    except RdedgeError:
        raise
    except Exception as error:
        raise ConfigError(f"the task {name} failed: {_said(error)}") from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
