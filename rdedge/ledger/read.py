"""Finding the files of a ledger and reading those of SQLite, which may come from anybody."""

from __future__ import annotations

import contextlib
import math
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rdedge.errors import FormatError, SourceError
from rdedge.ledger import schema
from rdedge.ledger.schema import Column
from rdedge.ledger.store import require_ledger
from rdedge.types import Array

SQLITE = ".sqlite"
PARQUET = ".parquet"
# Rows at a time, and the least bytes that one takes in a file.
_BLOCK = 50_000
_LEAST_ROW_BYTES = 8
# What stands for a missing integer in an array.
NULL = -(1 << 63)


@dataclass(frozen=True)
class Cut:
    """A file that could not be read to its end: what came out of it, and why no more."""

    name: str
    rows: int
    why: str


@dataclass
class Files:
    """The files of a ledger. sqlite: parts and those in work; parquet: by table; cuts: what was
    found damaged so far.
    """

    sqlite: list[Path] = field(default_factory=list)
    parquet: dict[str, list[Path]] = field(default_factory=dict)
    cuts: list[Cut] = field(default_factory=list)


def find(path: Path) -> Files:
    """The files of a ledger, a folder with all below it or one file of it.

    A part that became Parquet while its SQLite file is still there counts once. Raises SourceError
    where there is none.
    """
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
        names = [p for p in inside if not p.name.startswith(".")]
    elif path.is_file():
        names = [path]
    else:
        raise SourceError(f"{path} is not there", expected="a ledger: a folder, or a file of one")
    found = Files(parquet={table: [] for table in schema.TABLES})
    whole = {stem for p in names if (stem := _stem(p, "packets"))}
    for p in names:
        if p.suffix == SQLITE and p.with_suffix("") not in whole:
            found.sqlite.append(p)
        for table in schema.TABLES:
            stem = _stem(p, table)
            # Tables of a part whose packets are not there yet: its SQLite file has them.
            alone = stem is not None and stem.with_suffix(SQLITE) in names and stem not in whole
            if stem is not None and not alone:
                found.parquet[table].append(p)
    if not found.sqlite and not any(found.parquet.values()):
        raise SourceError(
            f"{path} holds no ledger",
            expected=f"*{SQLITE} or *.packets{PARQUET} that rdedge wrote",
            do="write one with rdedge compress --ledger DIR",
        )
    return found


def _stem(path: Path, table: str) -> Path | None:
    end = f".{table}{PARQUET}"
    return path.with_name(path.name[: -len(end)]) if path.name.endswith(end) else None


Block = dict[str, Array]


def blocks(path: Path, table: str, cuts: list[Cut]) -> Iterator[Block]:
    """The rows of one table of a SQLite file, as columns: int64 (NULL where missing), float64 (NaN
    where missing), text.

    A file that is damaged or cut short gives the rows before that and is noted in cuts. Raises
    FormatError or UnsupportedError for what is no ledger, or holds what no ledger does.
    """
    columns = schema.columns(table)
    most = sum(p.stat().st_size for p in _with_journal(path)) // _LEAST_ROW_BYTES
    read = 0
    try:
        with _whole_pages(path) as sound, contextlib.closing(_connect(sound)) as base:
            _check(base, path)
            names = ", ".join(c.name for c in columns)
            cursor = base.execute(f"SELECT {names} FROM {table} ORDER BY rowid")
            while True:
                rows, why = _some(cursor)
                read += len(rows)
                if read > most:
                    raise FormatError(f"{path}: a file of its size cannot hold {read} rows")
                if rows:
                    parts = zip(*rows, strict=True)
                    yield {
                        c.name: _array(c, part, path, table)
                        for c, part in zip(columns, parts, strict=True)
                    }
                if why:
                    cuts.append(Cut(f"{path.name}, {table}", read, why))
                if why or len(rows) < _BLOCK:
                    return
    except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
        cuts.append(Cut(f"{path.name}, {table}", read, str(error)))
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error


def _some(cursor: sqlite3.Cursor) -> tuple[list[tuple[object, ...]], str]:
    """Up to a block of rows, and why there are no more where the file is damaged."""
    rows: list[tuple[object, ...]] = []
    try:
        for row in cursor:
            rows.append(row)
            if len(rows) == _BLOCK:
                break
    except sqlite3.Error as error:
        return rows, str(error)
    return rows, ""


def _with_journal(path: Path) -> list[Path]:
    return [p for p in (path, path.with_name(path.name + "-wal")) if p.exists()]


@contextlib.contextmanager
def _whole_pages(path: Path) -> Iterator[Path]:
    """The file, or of one that ends within a page a copy without that: SQLite would take zeros for
    what is missing of it.
    """
    with path.open("rb") as file:
        head = file.read(18)
        page = {1: 65_536}.get(found := int.from_bytes(head[16:18], "big"), found)
        rest = path.stat().st_size % page if page >= 512 and page & (page - 1) == 0 else 0
        if not rest:
            yield path
            return
        with tempfile.NamedTemporaryFile(suffix=SQLITE) as copy:
            left = path.stat().st_size - rest
            file.seek(0)
            while left and (data := file.read(min(left, 1 << 20))):
                copy.write(data)
                left -= len(data)
            copy.flush()
            yield Path(copy.name)


def _connect(path: Path) -> sqlite3.Connection:
    """Read only. A journal that cannot be shared, as on a medium that is read only, is left out."""
    for mode in ("mode=ro", "immutable=1"):
        base = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=20.0)
        try:
            base.execute("PRAGMA trusted_schema = OFF")
            base.execute("PRAGMA cell_size_check = ON")
            # Else a file that is shorter than it says is not opened; nothing is written here.
            base.execute("PRAGMA writable_schema = ON")
            base.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return base
        except sqlite3.OperationalError:
            base.close()
            if mode == "immutable=1":
                raise
        except sqlite3.Error:
            base.close()
            raise
    raise AssertionError(path)


def _check(base: sqlite3.Connection, path: Path) -> None:
    """Tables must be those that we make: a view or a virtual table can be anything."""
    (application,) = base.execute("PRAGMA application_id").fetchone()
    (version,) = base.execute("PRAGMA user_version").fetchone()
    require_ledger(str(path), application, version)
    found = base.execute("SELECT type, name, sql FROM sqlite_master ORDER BY rowid").fetchall()
    if found != [("table", table, schema.ddl(table)) for table in schema.TABLES]:
        raise FormatError(
            f"{path} has other tables than a ledger of version {version}",
            expected=", ".join(schema.TABLES),
        )


def _array(column: Column, values: tuple[object, ...], path: Path, table: str) -> Array:
    """One column; SQLite lets any value stand in any column."""
    wanted = {"INTEGER": (int,), "REAL": (float, int), "TEXT": (str,)}[column.kind]
    for value in values:
        if not isinstance(value, wanted) and not (column.null and value is None):
            raise FormatError(
                f"{path}: {table}.{column.name} is {value!r:.40}", expected=column.kind.lower()
            )
    if column.kind == "TEXT":
        return np.array(values, object)
    if column.kind == "REAL":
        return np.array([math.nan if v is None else v for v in values], np.float64)
    return np.array([NULL if v is None else v for v in values], np.int64)


def require_any(files: Files, rows: int, path: Path) -> None:
    """Raise the error of a ledger of which nothing could be read."""
    if rows == 0 and files.cuts:
        first = files.cuts[0]
        raise FormatError(
            f"nothing of {path} can be read: {first.name}: {first.why}",
            expected="a ledger that rdedge wrote",
            do="copy it from the device again",
        )
    if rows == 0:
        raise SourceError(f"the ledger {path} holds no packet", expected="at least one")


__all__ = ["NULL", "Block", "Cut", "Files", "blocks", "find", "require_any"]
