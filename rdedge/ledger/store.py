"""Writing a ledger: a folder with one SQLite file that grows, and those that are full.

Every append is one transaction under the folder's lock, flushed to disk before it returns: what is
killed leaves whole transactions. The file in work is in WAL mode; a full one is renamed to
`part-*.sqlite`, and where DuckDB is installed it becomes Parquet (rdedge.ledger.roll).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib.util
import os
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rdedge.errors import FormatError, OutputError, UnsupportedError
from rdedge.ledger import schema
from rdedge.ledger.schema import InsteadRow, IntervalRow, PacketRow, Row, SentRow

OPEN = "open.sqlite"
LOCK = ".lock"
MOST_BYTES = 64 << 20
MOST_AGE_S = 86_400.0
_WAIT_S = 20.0


class LedgerWriter:
    """Appends to the ledger in a folder, which is made where it is missing.

    most_bytes, most_age_s: of the file in work; beyond either it is rolled at the next append.
    parquet: whether a full file becomes Parquet where DuckDB is installed; elsewhere it stays
    SQLite, and `rdedge ledger roll` on a host turns it. Several processes may append to one folder.

    Raises OutputError where nothing can be written, UnsupportedError for a ledger of another
    version.
    """

    def __init__(
        self,
        folder: Path,
        *,
        most_bytes: int = MOST_BYTES,
        most_age_s: float = MOST_AGE_S,
        parquet: bool = True,
    ) -> None:
        self.folder = folder
        self._most_bytes, self._most_age_ns = most_bytes, int(most_age_s * 1e9)
        self._parquet = parquet and importlib.util.find_spec("duckdb") is not None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot make the ledger {folder}: {error.strerror}", do="name a folder"
            ) from error
        self.append()

    def append(
        self,
        packets: Iterable[PacketRow] = (),
        instead: Iterable[InsteadRow] = (),
        intervals: Iterable[IntervalRow] = (),
        sent: Iterable[SentRow] = (),
    ) -> None:
        """Write rows, all or none, and flush them to disk."""
        tables: tuple[Iterable[Row], ...] = (packets, instead, intervals, sent)
        rows = {
            name: [schema.values(r) for r in t]
            for name, t in zip(schema.TABLES, tables, strict=True)
        }
        full = None
        with self._locked():
            if self._due():
                full = self._seal()
            self._write(rows)
        if full is not None and self._parquet:
            from rdedge.ledger.roll import to_parquet

            with self._locked():
                to_parquet(full)

    def roll(self) -> Path | None:
        """Close the file in work, whatever its size; None where it holds nothing."""
        with self._locked():
            path = self.folder / OPEN
            return self._seal() if path.exists() and not _empty(path) else None

    def _write(self, rows: dict[str, list[tuple[object, ...]]]) -> None:
        path = self.folder / OPEN
        try:
            with _opened(path) as base:
                base.execute("BEGIN IMMEDIATE")
                for table, found in rows.items():
                    marks = ", ".join("?" * len(schema.columns(table)))
                    base.executemany(f"INSERT INTO {table} VALUES ({marks})", found)
                base.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            damaged = not isinstance(error, sqlite3.OperationalError | sqlite3.IntegrityError)
            if damaged and path.exists():
                # What is whole in it stays readable; new rows get a new file.
                _rename(path, self._name())
                self._write(rows)
                return
            raise OutputError(
                f"cannot write the ledger {path}: {error}",
                do="free some space, check the folder's rights, or name another folder",
            ) from error
        except (OSError, OverflowError) as error:
            raise OutputError(f"cannot write the ledger {path}: {error}") from error

    def _due(self) -> bool:
        path = self.folder / OPEN
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return False
        if size >= self._most_bytes:
            return True
        try:
            with contextlib.closing(sqlite3.connect(path)) as base:
                first = base.execute("SELECT recorded_ns FROM packets LIMIT 1").fetchone()
        except sqlite3.DatabaseError:
            return False
        old = first is not None and isinstance(first[0], int)
        return old and time.time_ns() - first[0] > self._most_age_ns

    def _seal(self) -> Path:
        """Turn the file in work into a part: one file, no journal beside it."""
        path, part = self.folder / OPEN, self._name()
        with contextlib.suppress(sqlite3.DatabaseError), _opened(path) as base:
            base.execute("PRAGMA journal_mode = DELETE")
        _rename(path, part)
        return part

    def _name(self) -> Path:
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        return self.folder / f"part-{stamp}-{secrets.token_hex(4)}.sqlite"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            handle = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise OutputError(
                f"cannot write in {self.folder}: {error.strerror}", do="check the folder's rights"
            ) from error
        try:
            until = time.monotonic() + _WAIT_S
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if error.errno not in (errno.EAGAIN, errno.EACCES):
                        break  # a file system without locks: SQLite's own must do
                    if time.monotonic() > until:
                        raise OutputError(
                            f"another process has been writing in {self.folder} for {_WAIT_S:g} s",
                            do="wait for it, or name another folder",
                        ) from error
                    time.sleep(0.005)
            yield
        finally:
            os.close(handle)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file in work, made where it is missing; another kind of file is refused."""
    base = sqlite3.connect(path, isolation_level=None, timeout=_WAIT_S)
    try:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = FULL")
        (application,) = base.execute("PRAGMA application_id").fetchone()
        (version,) = base.execute("PRAGMA user_version").fetchone()
        (made,) = base.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application == 0 and made == 0:
            base.execute("BEGIN IMMEDIATE")
            for table in schema.TABLES:
                base.execute(schema.ddl(table))
            base.execute(f"PRAGMA application_id = {schema.APPLICATION}")
            base.execute(f"PRAGMA user_version = {schema.VERSION}")
            base.execute("COMMIT")
        else:
            require_ledger(str(path), application, version)
        yield base
    finally:
        base.close()


def require_ledger(name: str, application: int, version: int) -> None:
    """Raise FormatError or UnsupportedError unless these are a ledger's numbers."""
    if application != schema.APPLICATION:
        raise FormatError(
            f"{name} is a database, but no ledger", expected="a file that rdedge wrote"
        )
    if version != schema.VERSION:
        raise UnsupportedError(
            f"{name} is a ledger of version {version}",
            expected=f"version {schema.VERSION}",
            do="read it with the rdedge that wrote it, or a newer one",
        )


def _empty(path: Path) -> bool:
    try:
        with _opened(path) as base:
            return all(
                base.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is None
                for table in schema.TABLES
            )
    except sqlite3.DatabaseError:
        return False


def _rename(path: Path, part: Path) -> None:
    """Path and the journals beside it, under another name."""
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.replace(part.with_name(part.name + suffix))
    path.replace(part)
