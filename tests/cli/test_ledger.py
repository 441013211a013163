"""compress --ledger --instead, and savings of what it wrote, as a user types them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rdedge.cli.group import run
from rdedge.errors import ConfigError
from rdedge.flows.instead import Instead, Wanted
from rdedge.format.container import Container


def rows(ledger: Path, table: str) -> list[dict[str, Any]]:
    base = sqlite3.connect(ledger / "open.sqlite")
    base.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in base.execute(f"SELECT * FROM {table} ORDER BY rowid")]
    finally:
        base.close()


@pytest.fixture
def npy(tmp_path: Path, held_out: np.ndarray) -> Path:
    path = tmp_path / "held-out.npy"
    np.save(path, held_out[:96])
    return path


def compress(bundle: Path, npy: Path, *more: object) -> Path:
    ledger = npy.parent / "ledger"
    arguments = ["compress", "-q", "-b", bundle, npy, "-o", npy.with_suffix(".rdz"), "-f"]
    assert run([*map(str, arguments), "--ledger", str(ledger), *map(str, more)]) == 0
    return ledger


def test_a_row_for_each_packet(bundle_path: Path, npy: Path) -> None:
    ledger = compress(bundle_path, npy, "--batch", 40, "--gate", "always", "--device", "cam-7")
    found = rows(ledger, "packets")
    container = Container(npy.with_suffix(".rdz").read_bytes())
    packets = [p for _, batch in container.batches() for p in batch]
    assert [r["samples"] for r in found] == [40, 40, 16]
    assert sum(r["payload_bytes"] for r in found) == container.payload_bytes(0)
    for row, packet in zip(found, packets, strict=True):
        assert row["device"] == "cam-7"
        assert row["stream"] == row["source"] == "held-out.npy"
        assert row["raw_bytes"] == row["elements"] == 64 * row["samples"]
        assert row["fallback_samples"] == sum(r.count for r in packet.runs if r.codec)
        assert sum(int(r.rpartition("*")[2]) for r in row["runs"].split(",")) == row["samples"]
        assert (row["measured"], row["over"], row["gated"]) == (row["samples"], 0, 1)
        assert 0 < row["distortion"] <= row["bound"] == 4.0
        assert row["codec"].startswith(packet.codec_key.hex())
        assert row["encode_ns"] > 0
        assert row["time_ns"] == row["recorded_ns"]
    assert rows(ledger, "instead") == rows(ledger, "intervals") == []


def test_what_is_not_measured_is_not_said(bundle_path: Path, npy: Path) -> None:
    ledger = compress(bundle_path, npy)
    compress(bundle_path, npy, "--digest")
    plain, digest = rows(ledger, "packets")
    assert (plain["distortion"], plain["measured"]) == (None, 0)
    # Of the mean bound some samples miss 4, and the device saw the worst.
    assert digest["distortion"] > 4.0
    assert digest["measured"] == 96
    assert digest["over"] > 0


def test_other_codecs_on_a_share(
    bundle_path: Path, npy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = compress(
        *(bundle_path, npy, "--batch", 48, "--gate", "always"),
        *("--instead", "gzip:6,jpeg:85,webp", "--instead-share", 1),
    )
    found = rows(ledger, "instead")
    assert {(r["codec"], r["kind"]) for r in found} == {
        ("gzip", "named"),
        ("gzip", "equal"),
        ("jpeg", "named"),
        ("jpeg", "equal"),
        ("webp", "equal"),
    }
    for row in found:
        assert row["raw_bytes"] == 48 * 64
        named, lossless = row["kind"] == "named", row["codec"] == "gzip"
        assert row["distortion"] == 0.0 if named and lossless else row["distortion"] > 0
        if row["kind"] == "equal":
            assert row["distortion"] <= 4.0
    gzip = next(r for r in found if (r["codec"], r["kind"]) == ("gzip", "named"))
    import gzip as library

    raw = np.load(npy)[:48].tobytes()
    assert gzip["bytes"] == len(library.compress(raw, 6, mtime=0))
    assert run(["savings", str(ledger), "--json"]) == 0
    saved = json.loads(capsys.readouterr().out)
    assert saved["saving"]["against"] == "today"
    assert list(saved["bills"]) == ["ours", "raw", "today", "best"]
    assert saved["totals"]["promised_share"] == 1.0


def test_the_share_is_by_a_hash_and_the_same_again() -> None:
    data = [bytes([i, j]) for i in range(100) for j in range(100)]
    some = Instead("gzip", 0.05, seed=3)
    hits = [p for p in data if some.sampled(p)]
    assert 400 < len(hits) < 600
    assert hits == [p for p in data if Instead("gzip", 0.05, seed=3).sampled(p)]
    assert hits != [p for p in data if Instead("gzip", 0.05, seed=4).sampled(p)]
    assert all(Instead("gzip", 1.0).sampled(p) for p in data)


@pytest.mark.parametrize("text", ["zap", "gzip:x", "best:3", "jpeg:nan", ""])
def test_codecs_that_cannot_be(text: str) -> None:
    with pytest.raises(ConfigError):
        Instead(text)


def test_names_of_codecs() -> None:
    assert Wanted.of(" jpeg:85 ") == Wanted("jpeg", 85.0)
    assert Wanted.of("best") == Wanted("best")


def test_options_that_say_nothing_are_refused(
    bundle_path: Path, npy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["compress", "-b", str(bundle_path), str(npy), "-o", str(tmp_path / "o.rdz")]
    assert run([*base, "--instead", "gzip"]) == 2
    assert run([*base, "--ledger", str(tmp_path / "l"), "--instead-share", "0.5"]) == 2
    assert run([*base, "--ledger", str(tmp_path / "l"), "--instead", "jpeg:400"]) == 2
    assert "jpeg has no setting 400" in capsys.readouterr().err
    assert run([*base, "--ledger", str(tmp_path / "l"), "--device", "a\nb"]) == 2
    (tmp_path / "file").write_text("")
    assert run([*base, "--ledger", str(tmp_path / "file")]) == 1
    assert not (tmp_path / "o.rdz").exists()
    assert run(["savings", str(tmp_path), "-b", str(bundle_path), "--tariff", "lte-steps"]) == 2
    assert run(["savings", str(npy)]) == 2
    assert "-b FILE.rdb" in capsys.readouterr().err


def test_no_rows_of_a_run_that_failed(bundle_path: Path, npy: Path, tmp_path: Path) -> None:
    """The second file is no sample: the container is not kept, nor are its rows."""
    (tmp_path / "bad.npy").write_bytes(b"nonsense")
    arguments = ["compress", "-b", bundle_path, npy, tmp_path / "bad.npy", "-o", tmp_path / "o.rdz"]
    assert run([*map(str, arguments), "--ledger", str(tmp_path / "ledger")]) == 1
    assert rows(tmp_path / "ledger", "packets") == []


def test_roll(bundle_path: Path, npy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = compress(bundle_path, npy)
    assert run(["ledger", "roll", str(ledger)]) == 0
    assert capsys.readouterr().out == ""
    assert run(["ledger", "roll", str(ledger), "--all"]) == 0
    assert "packets.parquet" in capsys.readouterr().out
    assert run(["savings", str(ledger)]) == 0
    assert run(["ledger", "roll", str(ledger / "none")]) == 1
