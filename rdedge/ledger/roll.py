"""Full SQLite files of a ledger -> Parquet, one file a table that has rows."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from rdedge.errors import FormatError, OutputError
from rdedge.ledger import base as duck
from rdedge.ledger import read, schema
from rdedge.ledger.read import Cut
from rdedge.ledger.store import OPEN


def to_parquet(path: Path) -> list[Path]:
    """Turn one part; the SQLite file goes when all of its tables are on disk.

    The table of packets is published last: until it is there, readers take the SQLite file. Raises
    FormatError for a part that is damaged, which is left as it is; OutputError, MissingError.
    """
    base = duck.connect(path.parent)
    made: list[Path] = []
    cuts: list[Cut] = []
    try:
        tables = [*(t for t in schema.TABLES if t != "packets"), "packets"]
        for table in tables:
            duck.create(base, table, table)
            for block in read.blocks(path, table, cuts):
                duck.insert(base, table, table, block)
        if cuts:
            raise FormatError(
                f"{cuts[0].name}: {cuts[0].why}",
                expected="a sound part of a ledger",
                do="leave it as it is: readers take what is whole of it",
            )
        for table in tables:
            (rows,) = base.execute(f"SELECT count(*) FROM {table}").fetchone()
            if rows or table == "packets":
                made.append(_copy(base, table, path))
        for name in (path, *(path.with_name(path.name + s) for s in ("-wal", "-shm"))):
            name.unlink(missing_ok=True)
    except (duck.duckdb().Error, OSError) as error:
        raise OutputError(
            f"cannot turn {path} into Parquet: {(str(error).splitlines() or [''])[0]}",
            do="free some space; the SQLite file is as it was",
        ) from error
    finally:
        base.close()
    return made


def _copy(base: object, table: str, path: Path) -> Path:
    target = path.with_name(f"{path.name[: -len(read.SQLITE)]}.{table}{read.PARQUET}")
    aside = path.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    name = str(aside.resolve()).replace("'", "''")
    try:
        base.execute(  # type: ignore[attr-defined]
            f"COPY (SELECT * FROM {table}) TO '{name}' (FORMAT parquet, COMPRESSION zstd, "
            f"KV_METADATA {{{schema.PARQUET_KEY}: '{schema.VERSION}'}})"
        )
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def roll(folder: Path) -> list[Path]:
    """Turn every full part below a folder; what is in work stays. Returns the files made."""
    parts = [p for p in read.find(folder).sqlite if p.name != OPEN]
    return [made for part in parts for made in to_parquet(part)]
