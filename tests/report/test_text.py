"""What a terminal is given."""

from __future__ import annotations

from rdedge.report.text import outline


def test_nothing_writes_to_the_terminal_but_us() -> None:
    foreign = "\x1b]0;x\x07\nsigned_by: us"
    text = outline({"model": foreign, foreign: {"a": [foreign], "b": {"c": {foreign: 1}}}})
    assert "\x1b" not in text
    assert "\\x1b]0;x\\x07\\nsigned_by: us" in text
    assert len(text.splitlines()) == 5
    assert outline({"name": "Prüfstand 3, °C"}) == "name: Prüfstand 3, °C"
