"""From a log to a bundle: the dictionary that is chosen, and what it is worth."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
import zstandard

from rdedge.classical.lines import line_yardsticks, with_dictionary
from rdedge.codec.lines import LineDecoder, LineEncoder
from rdedge.data.lines import blocks
from rdedge.errors import ConfigError, OutputError, SourceError, TrainingError
from rdedge.host import lines
from rdedge.host.line_export import export_lines
from rdedge.host.lines import describes_lines, search, train_lines
from tests.bundle import tiny_lines

LOG = tiny_lines.text(1500)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs") / "gate.log"
    path.write_bytes(LOG)
    return path


@pytest.fixture(scope="module")
def run(log: Path) -> Path:
    train_lines(log, output=log.parent / "run", lines=10)
    return log.parent / "run"


@pytest.fixture
def card(run: Path) -> dict:
    return json.loads((run / "scorecard.json").read_bytes())


def test_the_verdict_is_on_the_last_lines(card):
    held = card["held_out"]
    assert (held["blocks"], held["lines"]) == (33, 330)
    assert held["bytes"] == len(b"".join(blocks(LOG, 10)[-33:]))


def test_the_figures_are_those_of_the_codecs(run, log, card, tmp_path):
    parts = blocks(LOG, 10)[-33:]
    held, by = card["held_out"], {}
    for rival in held["rivals"]:
        by[rival["codec"], rival["each_block"]] = rival["size_bytes"]
    compress = zstandard.ZstdCompressor(level=19).compress
    assert by["zstd", True] == sum(len(compress(part)) for part in parts)
    assert by["zstd", False] == len(compress(b"".join(parts)))
    bundle = export_lines(run, tmp_path / "x.rdb")
    encoder = LineEncoder(bundle)
    assert held["packet_bytes"] == sum(len(encoder.encode(part)) for part in parts)


def test_no_worse_than_a_trained_dictionary_and_a_header(card):
    held = card["held_out"]
    sizes = {r["codec"]: r["size_bytes"] for r in held["rivals"] if r["each_block"]}
    assert held["packet_bytes"] <= sizes["zstd-dictionary"] + 12 * held["blocks"]
    assert held["packet_bytes"] < 0.8 * sizes["zstd"]


def test_the_dictionary_is_the_smallest_that_does_nearly_best(card):
    found = card["candidates"]
    best = min(one["validation_bytes"] for one in found)
    near = [one for one in found if one["validation_bytes"] <= 1.005 * best]
    chosen = [
        one
        for one in found
        if (one["picked"], one["latest"])
        == (card["dictionary"]["picked"], card["dictionary"]["latest"])
    ]
    assert chosen[0]["dictionary_bytes"] == min(one["dictionary_bytes"] for one in near)
    assert all(one["dictionary_bytes"] <= lines.MOST for one in found)


def test_export_needs_the_data_and_says_where_it_was(run, log, tmp_path):
    bundle = export_lines(run, tmp_path / "x.rdb")
    inputs, packets = (bundle.members[f"reference/{n}.bin"] for n in ("inputs", "packets"))
    assert inputs == b"".join(blocks(LOG, 10)[-33:][:16])
    assert b"".join(LineDecoder(bundle).decode_stream(packets)) == inputs
    assert export_lines(run, tmp_path / "y.rdb").to_bytes() == bundle.to_bytes()
    with pytest.raises(OutputError, match="exists"):
        export_lines(run, tmp_path / "x.rdb")
    moved = tmp_path / "moved.log"
    moved.write_bytes(LOG)
    again = export_lines(run, tmp_path / "z.rdb", data=str(moved))
    assert again.to_bytes() == bundle.to_bytes()
    moved.write_bytes(LOG[1:])
    with pytest.raises(TrainingError, match="not what the run was made from"):
        export_lines(run, tmp_path / "w.rdb", data=str(moved))


def test_a_log_of_its_own_may_decide(log, tmp_path):
    other = tmp_path / "later.log"
    other.write_bytes(tiny_lines.text(60, 5000))
    card = train_lines(log, output=tmp_path / "run", lines=10, held_out_data=other)
    assert card["held_out"]["lines"] == 60
    bundle = export_lines(tmp_path / "run", tmp_path / "x.rdb")
    assert bundle.members["reference/inputs.bin"] == other.read_bytes()
    with pytest.raises(TrainingError, match="the same lines"):
        train_lines(log, output=tmp_path / "r", lines=10, held_out_data=log)
    other.write_bytes(b"")
    with pytest.raises(TrainingError, match="no line"):
        train_lines(log, output=tmp_path / "r", lines=10, held_out_data=other)
    with pytest.raises(ConfigError, match="both 5 blocks"):
        train_lines(log, output=tmp_path / "r", held_out=5, held_out_data=other)
    assert not (tmp_path / "r").exists()


def test_a_folder_of_logs_in_the_order_of_their_names(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.log").write_bytes(tiny_lines.text(205, 205 * i))
    card = train_lines(folder, output=tmp_path / "run", lines=10, held_out=21)
    # No block has lines of two files.
    assert card["held_out"]["bytes"] == len(tiny_lines.text(205, 410))


def test_noise_is_no_worse_than_stored(tmp_path):
    noise = random.Random(3).randbytes(40_000)
    (tmp_path / "x.log").write_bytes(noise)
    card = train_lines(tmp_path / "x.log", output=tmp_path / "run", lines=10)
    held = card["held_out"]
    assert held["packet_bytes"] <= held["bytes"] + 15 * held["blocks"]
    export_lines(tmp_path / "run", tmp_path / "x.rdb")


@pytest.mark.parametrize(
    ("data", "error", "what"),
    [
        (b"", TrainingError, "0 samples of kind lines"),
        (b"one line", TrainingError, "1 samples of kind lines"),
        (tiny_lines.text(70), TrainingError, "7 samples of kind lines"),
    ],
    ids=["empty", "a line", "7 blocks"],
)
def test_what_gives_no_dictionary(tmp_path, data, error, what):
    (tmp_path / "x.log").write_bytes(data)
    with pytest.raises(error, match=what):
        train_lines(tmp_path / "x.log", output=tmp_path / "run", lines=10)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("data", [tiny_lines.text(80), b"\n" * 1000])
def test_few_lines_give_a_small_dictionary(tmp_path, data):
    (tmp_path / "x.log").write_bytes(data)
    card = train_lines(tmp_path / "x.log", output=tmp_path / "run", lines=10)
    assert 1 <= card["dictionary"]["bytes"] <= len(data)
    export_lines(tmp_path / "run", tmp_path / "x.rdb")


def test_doors(log, run, tmp_path):
    with pytest.raises(SourceError, match="is not there"):
        train_lines(tmp_path / "none", output=tmp_path / "run")
    with pytest.raises(ConfigError, match="blocks of 0 lines"):
        train_lines(log, output=tmp_path / "run", lines=0)
    with pytest.raises(ConfigError, match="0 held-out blocks"):
        train_lines(log, output=tmp_path / "run", lines=10, held_out=0)
    with pytest.raises(OutputError, match="holds a run already"):
        train_lines(log, output=run, lines=10)
    with pytest.raises(TrainingError, match=r"has no run\.json"):
        describes_lines(tmp_path)


def test_runs_of_both_kinds_are_told_apart(run, run_folder):
    assert describes_lines(run)
    assert not describes_lines(run_folder)


@pytest.mark.parametrize("name", ["dictionary.bin", "run.json", "scorecard.json"])
def test_a_damaged_run(run, tmp_path, name):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    whole = (folder / name).read_bytes()
    for data in (b"", b"{}", whole[:-2], whole.replace(b"1", b"x")):
        (folder / name).write_bytes(data)
        with pytest.raises(TrainingError):
            export_lines(folder, tmp_path / "x.rdb")
    (folder / name).unlink()
    with pytest.raises(TrainingError):
        export_lines(folder, tmp_path / "x.rdb")
    assert not (tmp_path / "x.rdb").exists()


def test_the_search_tries_both_parts():
    found = search(blocks(LOG, 10)[:100], blocks(LOG, 10)[100:120])
    assert {one.latest for one in found} >= {0, 4096}
    assert {bool(one.picked) for one in found} == {True, False}
    assert found == sorted(found, key=lambda one: one.validation_bytes)


def test_yardsticks_count_whole_files():
    parts = blocks(LOG, 10)[:5]
    found = {(one.codec, one.each_block): one.size_bytes for one in line_yardsticks(parts)}
    assert len(found) == 6
    assert all(found[c, True] > found[c, False] for c in ("zstd", "lzma", "gzip"))
    one = with_dictionary(parts, LOG[-4000:], "level 19", "raw")
    assert (one.side_bytes, one.size_bytes < found["zstd", True]) == (4000, True)
