"""Writing and reading a ledger: kills, cuts, roll-over, files of others."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rdedge.errors import FormatError, OutputError, SourceError, UnsupportedError
from rdedge.ledger import read, schema
from rdedge.ledger.base import opened
from rdedge.ledger.roll import roll, to_parquet
from rdedge.ledger.store import OPEN, LedgerWriter
from tests.ledger.rows import fleet, instead, packet, writer_of


def rows_of(path: Path) -> list[tuple[object, ...]]:
    with opened(path) as base:
        names = ", ".join(c.name for c in schema.columns("packets"))
        found = base.sql(f"SELECT {names} FROM packets ORDER BY time_ns, device").fetchall()
        return [tuple(row) for row in found]


def test_what_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    rows = [*fleet(), packet(level=None, bound=None, distortion=None, energy_uj=7, anomaly=1)]
    writer = writer_of(tmp_path / "led")
    writer.append(rows[:100], [instead()])
    writer.append(rows[100:])
    wanted = sorted((schema.values(row) for row in rows), key=lambda r: (r[3], r[0]))
    assert rows_of(tmp_path / "led") == wanted
    # A file of it too, and after it became Parquet.
    assert rows_of(tmp_path / "led" / OPEN) == wanted
    part = writer.roll()
    assert part is not None
    assert not (tmp_path / "led" / OPEN).exists()
    assert rows_of(tmp_path / "led") == wanted
    made = roll(tmp_path / "led")
    assert sorted(p.name.split(".", 1)[1] for p in made) == ["instead.parquet", "packets.parquet"]
    assert not part.exists()
    assert rows_of(tmp_path / "led") == wanted
    writer.append([packet(device="late", time_ns=1 << 61)])
    assert len(rows_of(tmp_path / "led")) == len(wanted) + 1


def test_a_part_whose_sqlite_file_is_still_there_counts_once(tmp_path: Path) -> None:
    """As a kill between the two leaves it."""
    writer = writer_of(tmp_path)
    writer.append(fleet(), [instead()])
    part = writer.roll()
    assert part is not None
    kept = tmp_path.parent / "kept.sqlite"
    shutil.copy(part, kept)
    to_parquet(part)
    shutil.copy(kept, part)
    assert len(rows_of(tmp_path)) == len(fleet())
    # And where only the lesser table was published.
    next(tmp_path.glob("*.packets.parquet")).unlink()
    assert len(rows_of(tmp_path)) == len(fleet())
    with opened(tmp_path) as base:
        assert base.sql("SELECT count(*) FROM instead").fetchone() == (1,)


def test_it_rolls_by_size_and_by_age(tmp_path: Path) -> None:
    writer = writer_of(tmp_path / "size", most_bytes=40_000, parquet=False)
    for _ in range(4):
        writer.append(fleet())
    assert len(list((tmp_path / "size").glob("part-*.sqlite"))) >= 2
    assert len(rows_of(tmp_path / "size")) == 4 * len(fleet())
    now = time.time_ns()
    writer = LedgerWriter(tmp_path / "age", most_age_s=3600)
    writer.append([packet(recorded_ns=now - 3_700 * 10**9)])
    writer.append([packet(recorded_ns=now)])
    assert len(list((tmp_path / "age").glob("part-*.packets.parquet"))) == 1
    assert len(rows_of(tmp_path / "age")) == 2


KILLED = """
import sys
from pathlib import Path
from tests.ledger.rows import packet, writer_of
writer = writer_of(Path(sys.argv[1]), most_bytes=60_000, parquet=False)
n = 0
while True:
    writer.append([packet(time_ns=i) for i in range(n, n + 7)])
    n += 7
    print(n, flush=True)
"""


@pytest.mark.parametrize("after", [3, 60])
def test_a_kill_loses_nothing_that_was_said_to_be_written(tmp_path: Path, after: int) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    for _ in range(after):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    said = child.stdout.read().split()
    child.wait()
    child.stdout.close()
    most = max([7 * after, *map(int, said)])
    times = [row[3] for row in rows_of(tmp_path)]
    # Whole transactions, in their order, the last perhaps without its word.
    assert times == list(range(len(times)))
    assert len(times) in (most, most + 7)
    writer_of(tmp_path).append([packet(time_ns=10**6)])
    assert len(rows_of(tmp_path)) == len(times) + 1


def test_several_write_at_once(tmp_path: Path) -> None:
    def work(k: int) -> None:
        writer = writer_of(tmp_path, most_bytes=50_000, parquet=False)
        for i in range(15):
            writer.append([packet(device=f"d{k}", time_ns=i)] * 3)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(rows_of(tmp_path)) == 4 * 15 * 3


def _read(folder: Path, most: int) -> int:
    """How many rows come out of a ledger that is damaged; none where it is refused."""
    try:
        with opened(folder) as base:
            assert 0 < base.rows < most
            assert base.cuts[0].rows == base.rows
            return base.rows
    except FormatError:
        return 0


def test_a_file_cut_short_gives_what_is_whole(tmp_path: Path) -> None:
    writer = writer_of(tmp_path / "a", parquet=False)
    writer.append(fleet(6, 40))
    part = writer.roll()
    assert part is not None
    data = part.read_bytes()
    seen = set()
    for share in (0.0, 0.02, 0.3, 0.6, 0.95):
        folder = tmp_path / f"cut-{share}"
        folder.mkdir()
        (folder / part.name).write_bytes(data[: int(share * len(data))])
        seen.add(_read(folder, len(fleet(6, 40))))
        with pytest.raises(FormatError):
            roll(folder)
        assert (folder / part.name).exists()
    assert len(seen) >= 3


def test_parquet_cut_short_is_said_beside_what_is_sound(tmp_path: Path) -> None:
    for name in ("a", "b"):
        writer = writer_of(tmp_path / name)
        writer.append(fleet())
        writer.roll()
        roll(tmp_path / name)
    path = next((tmp_path / "b").glob("*.packets.parquet"))
    path.write_bytes(path.read_bytes()[:-40])
    with opened(tmp_path) as base:
        assert base.rows == len(fleet())
        assert [cut.name for cut in base.cuts] == [path.name]
    with pytest.raises(FormatError, match="nothing of"), opened(path):
        pass


def test_a_damaged_file_in_work_is_set_aside(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)
    writer.append(fleet())
    (tmp_path / OPEN).write_bytes(b"\0" * 5000)
    writer.append([packet()])
    assert len(list(tmp_path.glob("part-*.sqlite"))) == 1
    with opened(tmp_path) as base:
        assert base.rows == 1
        assert base.cuts


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not there"), opened(tmp_path / "no"):
        pass
    with pytest.raises(SourceError, match="holds no ledger"), opened(tmp_path):
        pass
    writer_of(tmp_path / "empty")
    with pytest.raises(SourceError, match="no packet"), opened(tmp_path / "empty"):
        pass
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as base:
        base.execute("CREATE TABLE packets (a)")
    base.close()
    with pytest.raises(FormatError, match="no ledger"), opened(other):
        pass
    text = tmp_path / "text.sqlite"
    text.write_text("hello" * 500)
    with pytest.raises(FormatError), opened(text):
        pass
    writer = writer_of(tmp_path / "new")
    writer.append(fleet())
    with sqlite3.connect(tmp_path / "new" / OPEN) as base:
        base.execute("PRAGMA user_version = 2")
    base.close()
    with pytest.raises(UnsupportedError, match="version 2"), opened(tmp_path / "new"):
        pass
    with pytest.raises(UnsupportedError):
        writer.append([packet()])


ENDLESS = (
    "CREATE VIEW packets AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) "
    "SELECT i FROM n"
)


def hostile(path: Path, *statements: str) -> Path:
    writer = writer_of(path)
    writer.append(fleet())
    with sqlite3.connect(path / OPEN) as base:
        for statement in statements:
            base.execute(statement)
    base.close()
    return path


@pytest.mark.parametrize(
    ("statements", "match"),
    [
        # A view that never ends, in place of a table.
        (
            (
                "DROP TABLE packets",
                ENDLESS,
            ),
            "other tables",
        ),
        (("CREATE TRIGGER t AFTER INSERT ON packets BEGIN SELECT 1; END",), "other tables"),
        (("ALTER TABLE packets ADD COLUMN more TEXT",), "other tables"),
        (("UPDATE packets SET samples = 'many' WHERE rowid = 3",), "packets.samples"),
        (("UPDATE packets SET device = x'ff00' WHERE rowid = 3",), "packets.device"),
        (("UPDATE packets SET payload_bytes = 1.5 WHERE rowid = 3",), "packets.payload_bytes"),
    ],
)
def test_hostile_databases(tmp_path: Path, statements: tuple[str, ...], match: str) -> None:
    with pytest.raises(FormatError, match=match), opened(hostile(tmp_path, *statements)):
        pass


def test_every_byte_of_the_first_pages_altered(tmp_path: Path) -> None:
    """Read as it was, or in part, or refused with an error of ours."""
    writer = writer_of(tmp_path / "a", parquet=False)
    writer.append(fleet(2, 15))
    part = writer.roll()
    assert part is not None
    data = part.read_bytes()
    path = tmp_path / "x.sqlite"
    for at in [*range(110), *range(110, len(data), 997)]:
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xA5]) + data[at + 1 :])
        cuts: list[read.Cut] = []
        try:
            found = sum(len(b["device"]) for b in read.blocks(path, "packets", cuts))
        except (FormatError, UnsupportedError):
            continue
        assert found <= len(fleet(2, 15)) + 5


def test_hostile_parquet(tmp_path: Path) -> None:
    from rdedge.ledger import base as duck

    base = duck.connect(tmp_path)
    for name, options in (
        ("no-mark", ""),
        ("version", f", KV_METADATA {{{schema.PARQUET_KEY}: '9'}}"),
        ("columns", f", KV_METADATA {{{schema.PARQUET_KEY}: '1'}}"),
    ):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "part-x.packets.parquet"
        base.execute(f"COPY (SELECT 1 AS device) TO '{path}' (FORMAT parquet{options})")
    base.close()
    with pytest.raises(FormatError, match="no ledger"), opened(tmp_path / "no-mark"):
        pass
    with pytest.raises(UnsupportedError, match="version 9"), opened(tmp_path / "version"):
        pass
    with pytest.raises(FormatError, match="other columns"), opened(tmp_path / "columns"):
        pass


def test_no_file_but_the_ledger_is_read(tmp_path: Path) -> None:
    from rdedge.ledger import base as duck

    (tmp_path / "led").mkdir()
    outside = tmp_path / "outside.csv"
    outside.write_text("a\n1\n")
    base = duck.connect(tmp_path / "led")
    with pytest.raises(duck.duckdb().Error):
        base.execute(f"SELECT * FROM read_csv('{outside}')")
    with pytest.raises(duck.duckdb().Error):
        base.execute("SET enable_external_access = true")
    base.close()


def test_a_folder_that_cannot_be_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        writer_of(tmp_path / "file" / "led")


def test_the_page_names_every_column() -> None:
    page = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text("utf-8")
    for table in schema.TABLES:
        assert f"`{table}`" in page
        for column in schema.columns(table):
            assert f"`{column.name}`" in page, column.name
