"""Blocks of lines: every byte in one of them, in its order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdedge.data import lines
from rdedge.data.lines import blocks, count_lines, read_all
from rdedge.errors import ConfigError, SourceError

FILES = st.one_of(
    st.binary(max_size=200), st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\0"])).map(b"".join)
)


@given(FILES, st.integers(1, 7))
def test_blocks_are_the_file(data, count):
    found = blocks(data, count)
    assert b"".join(found) == data
    assert all(found)
    assert all(count_lines(block) == count for block in found[:-1])
    assert all(block.endswith(b"\n") for block in found[:-1])
    assert sum(map(count_lines, found)) == count_lines(data)


@given(FILES)
def test_lines_are_counted_as_python_splits_them(data):
    assert count_lines(data) == len(data.split(b"\n")) - (data.endswith(b"\n") or not data)


def test_a_line_may_be_longer_than_a_block(monkeypatch):
    monkeypatch.setattr(lines, "MAX_BLOCK_BYTES", 4)
    assert blocks(b"abcdefghij\nk\nl", 2) == [b"abcd", b"efgh", b"ij\nk", b"\n", b"l"]


@pytest.mark.parametrize("count", [0, -1, 65537])
def test_blocks_of_so_many_lines_there_are_none(count):
    with pytest.raises(ConfigError, match="blocks of"):
        blocks(b"a\n", count)


def test_files_of_a_folder_by_name_without_hidden_ones(tmp_path):
    folder = tmp_path / "logs"
    (folder / "old").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name in ("b.log", "a.log.1", ".hidden", "old/c", ".git/d"):
        (folder / name).write_bytes(name.encode())
    found = read_all([folder])
    assert [(log.name, log.data) for log in found] == [
        ("logs/a.log.1", b"a.log.1"),
        ("logs/b.log", b"b.log"),
        ("logs/old/c", b"old/c"),
    ]


def test_what_cannot_be_read_is_said(tmp_path):
    with pytest.raises(SourceError, match="is not there"):
        read_all([tmp_path / "none.log"])
    with pytest.raises(SourceError, match="holds no file"):
        read_all([tmp_path])
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.log").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"both be called x\.log"):
        read_all([tmp_path / "a" / "x.log", tmp_path / "b" / "x.log"])
    with pytest.raises(SourceError, match="cannot read"):
        read_all([tmp_path / ("x" * 5000)])
