"""The only door for TOML: a file -> a frozen dataclass, every key known, every value checked.

And back, for what a machine writes and a person then edits: dumps, of the few kinds of value that
dataclasses here have.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
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


def dumps(value: dict[str, Any]) -> str:
    """Value as TOML that load reads back: text, numbers, truth values, lists of these, tables, and
    lists of tables. None is left out. Raises ConfigError for what has no form in TOML.
    """
    lines = [line for part in _written(value, ()) for line in part]
    return "\n".join(lines).lstrip("\n") + "\n"


def _written(value: dict[str, Any], path: tuple[str, ...]) -> list[list[str]]:
    """Lines of a table: its own values first, then the tables in it."""
    present = {key: one for key, one in value.items() if one is not None}
    inner = {k: v for k, v in present.items() if _is_table(v) or _is_tables(v)}
    parts = [[f"{_key(k)} = {_scalar(v)}" for k, v in present.items() if k not in inner]]
    for key, one in inner.items():
        name = (*path, key)
        dotted = ".".join(map(_key, name))
        for table in [one] if _is_table(one) else one:
            parts.append(["", f"[{dotted}]" if _is_table(one) else f"[[{dotted}]]"])
            parts += _written(table, name)
    return parts


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_table, value))


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _scalar(key)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value):
        # JSON's escapes are TOML's, but for the one control character that JSON lets through.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_scalar, value))}]"
    raise ConfigError(f"{value!r:.60} cannot be written as TOML", expected="finite numbers, text")
