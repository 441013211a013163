"""The only door for TOML: a file -> a frozen dataclass, every key known, every value checked."""

from __future__ import annotations

import dataclasses
import difflib
import sys
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from rdedge.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


def load(path: Path, cls: type[T]) -> T:
    """Read path as cls, a dataclass whose fields may be dataclasses (tables of the file).

    Raises ConfigError for what is no TOML, an unknown key (with the nearest known one), a missing
    one, or a value of another type.
    """
    return build(_read(path), cls, path.name)


def load_texts(path: Path) -> dict[str, str]:
    """Read path, tables of texts in tables, as one table whose keys are joined with dots.

    Raises ConfigError for what is no TOML and for a value that is no text.
    """
    texts: dict[str, str] = {}
    tables = [("", _read(path))]
    while tables:
        prefix, table = tables.pop()
        for key, value in table.items():
            if isinstance(value, dict):
                tables.append((f"{prefix}{key}.", value))
            else:
                texts[prefix + key] = _convert(value, str, f"{path.name}: {prefix}{key}")
    return texts


def _read(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", do="check the name") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text at byte {error.start}") from error
    except (ValueError, RecursionError) as error:  # the parser's own error is a ValueError
        raise ConfigError(f"{path} is not TOML: {error}") from error
    return value


def build(value: dict[str, Any], cls: type[T], where: str) -> T:
    """value, as a TOML or JSON reader gives it, as cls. where: its name, for errors."""
    assert dataclasses.is_dataclass(cls)
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in value:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            raise ConfigError(
                f"{where}: unknown key {key!r}",
                expected=f"{near[0]!r}, perhaps" if near else ", ".join(fields),
            )
    result: dict[str, Any] = {}
    for name, field in fields.items():
        if name in value:
            result[name] = _convert(value[name], hints[name], f"{where}: {name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where}: {name!r} is missing", do=f"add a value for {name!r}")
    try:
        return cls(**result)
    except ConfigError as error:  # the class knows what is wrong, not where
        raise ConfigError(f"{where}: {error.what}", expected=error.expected, do=error.do) from None


def _convert(value: Any, hint: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise ConfigError(f"{where} is {value!r}", expected="a table")
        return build(value, hint, where)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _convert(value, next(a for a in arguments if a is not type(None)), where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} is {value!r}", expected="a list")
        return tuple(_convert(v, arguments[0], f"{where}[{i}]") for i, v in enumerate(value))
    if hint is float and type(value) in (int, float):
        if not abs(value) <= sys.float_info.max:
            raise ConfigError(f"{where} is {value!r:.40}", expected="a finite number")
        return float(value)
    if type(value) is not hint:
        raise ConfigError(
            f"{where} is {value!r}, of type {type(value).__name__}", expected=hint.__name__
        )
    return value
