"""A ledger opened for questions: its files as tables of DuckDB, which does the sums.

DuckDB (MIT) is asked for when it is needed. It reads no file but the ledger's, loads no extension,
and works within a limit of memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdedge.errors import FormatError, MissingError, UnsupportedError
from rdedge.ledger import read, schema
from rdedge.ledger.read import NULL, Cut

MEMORY = "600MB"
_TYPES = {"INTEGER": "BIGINT", "REAL": "DOUBLE", "TEXT": "VARCHAR"}


def duckdb() -> Any:
    """The package. Raises MissingError without it."""
    try:
        import duckdb as package
    except ImportError as error:
        raise MissingError(
            "reading a ledger needs duckdb, which is not installed",
            do="pip install 'rdedge[report]'",
        ) from error
    return package


def connect(folder: Path) -> Any:
    """A database in memory that may read and write in folder and nowhere else."""
    base = duckdb().connect(
        ":memory:",
        config={
            "memory_limit": MEMORY,
            "threads": min(os.cpu_count() or 1, 8),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "preserve_insertion_order": False,
        },
    )
    base.execute("SET allowed_directories = [?]", [str(folder.resolve())])
    base.execute("SET enable_external_access = false")
    base.execute("SET lock_configuration = true")
    return base


@dataclass(frozen=True)
class Base:
    """sql: asks; rows: packets in all; cuts: what could not be read; parts: files that were."""

    connection: Any
    rows: int
    cuts: tuple[Cut, ...]
    parts: int

    def sql(self, question: str, values: tuple[Any, ...] = ()) -> Any:
        """The answer's cursor. Raises FormatError where a file turns out to be damaged."""
        package = duckdb()
        try:
            return self.connection.execute(question, values)
        except package.Error as error:
            text = (str(error).splitlines() or [""])[0]
            raise FormatError(
                f"the ledger cannot be read: {text:.300}",
                expected="files that rdedge wrote",
                do="look for the file that is damaged, and copy it from the device again",
            ) from error


@contextmanager
def opened(path: Path) -> Iterator[Base]:
    """A ledger as tables `packets`, `instead`, `intervals` and `sent`.

    Raises SourceError where there is none, FormatError where nothing of it can be read or a value
    is what no ledger holds, UnsupportedError for another version, MissingError.
    """
    files = read.find(path)
    base = connect(path if path.is_dir() else path.parent)
    try:
        for table in schema.TABLES:
            loaded = _load(base, files, table)
            sound = _sound(base, files, table)
            base.execute(f"CREATE VIEW {table} AS {_union(table, sound, loaded)}")
        found = Base(base, 0, tuple(files.cuts), len(files.sqlite) + len(files.parquet["packets"]))
        (rows,) = found.sql("SELECT count(*) FROM packets").fetchone()
        read.require_any(files, rows, path)
        yield Base(base, rows, tuple(files.cuts), found.parts)
    finally:
        base.close()


def create(base: Any, table: str, name: str) -> None:
    """An empty table of DuckDB with the columns of one of the ledger's."""
    parts = ", ".join(f'"{c.name}" {_TYPES[c.kind]}' for c in schema.columns(table))
    base.execute(f"CREATE TABLE {name} ({parts})")


def insert(base: Any, table: str, name: str, block: read.Block) -> None:
    """Add a block of rows, as read.blocks gives them."""
    base.register("block", block)
    base.execute(f"INSERT INTO {name} SELECT {_values(table)} FROM block")
    base.unregister("block")


def _values(table: str) -> str:
    found = []
    for c in schema.columns(table):
        cell = f'"{c.name}"'
        if c.null and c.kind == "INTEGER":
            cell = f"NULLIF({cell}, CAST({NULL} AS BIGINT))"
        elif c.null and c.kind == "REAL":
            cell = f"CASE WHEN isnan({cell}) THEN NULL ELSE {cell} END"
        found.append(f"{cell} AS {c.name}")
    return ", ".join(found)


def _load(base: Any, files: read.Files, table: str) -> bool:
    """The rows of SQLite files as a table; whether there are any."""
    name = f"{table}_sqlite"
    create(base, table, name)
    any_ = False
    for path in files.sqlite:
        for block in read.blocks(path, table, files.cuts):
            insert(base, table, name, block)
            any_ = True
    return any_


def _sound(base: Any, files: read.Files, table: str) -> list[str]:
    """Parquet files whose foot is whole; others are noted. Raises what foreign ones deserve."""
    wanted = [(c.name, _TYPES[c.kind]) for c in schema.columns(table)]
    package = duckdb()
    found = []
    for path in files.parquet[table]:
        name = str(path.resolve())
        try:
            asked = "SELECT key, value FROM parquet_kv_metadata(?)"
            marks = dict(base.execute(asked, [name]).fetchall())
            kinds = base.execute("DESCRIBE SELECT * FROM read_parquet(?)", [name]).fetchall()
        except package.Error as error:
            text = (str(error).splitlines() or [""])[0]
            files.cuts.append(Cut(path.name, 0, text.replace(name, path.name)[:200]))
            continue
        mark = marks.get(schema.PARQUET_KEY.encode(), marks.get(schema.PARQUET_KEY))
        if mark is None:
            raise FormatError(f"{path} is Parquet, but no ledger", expected="one that rdedge wrote")
        text = mark.decode("ascii", "replace") if isinstance(mark, bytes) else str(mark)
        if text != str(schema.VERSION):
            raise UnsupportedError(
                f"{path} is a ledger of version {text:.20}",
                expected=f"version {schema.VERSION}",
                do="read it with the rdedge that wrote it, or a newer one",
            )
        if [(kind[0], kind[1]) for kind in kinds] != wanted:
            raise FormatError(
                f"{path} has other columns than the table {table} of a ledger",
                expected=", ".join(f"{n} {k}" for n, k in wanted),
            )
        found.append(name)
    return found


def _union(table: str, parquet: list[str], loaded: bool) -> str:
    parts = []
    if parquet:
        names = ", ".join("'" + name.replace("'", "''") + "'" for name in parquet)
        parts.append(f"SELECT * FROM read_parquet([{names}])")
    if loaded or not parts:
        parts.append(f"SELECT * FROM {table}_sqlite")
    return " UNION ALL ".join(parts)
