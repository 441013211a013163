"""Every number of report.html once more, from what it was made of, to the last digit that is shown.

    python tests/report/recompute.py report.html pilot.json

Knows nothing of rdedge but the scheme in docs/report.md: an element with data-figure shows the
value at that path, one with data-text or data-term a text, one with data-axis a round number of an
axis; data-sources lists in order what a title, a description or an alt text holds. Outside of these
no digit may stand.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

VOID = {"meta", "link", "img", "br", "hr"}
NUMBER = re.compile(r"[+\u2212]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
EXACT = {"en": "exact", "ja": "誤差なし"}
# Attributes in which a person reads words.
READ = ("alt", "title", "aria-label")


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parts: list[str | Element] = field(default_factory=list)

    def text(self) -> str:
        return "".join(p if isinstance(p, str) else p.text() for p in self.parts)

    def all(self) -> Iterator[Element]:
        yield self
        for part in self.parts:
            if isinstance(part, Element):
                yield from part.all()


class Page(HTMLParser):
    """report.html as a tree."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self._open = [self.root]
        self.feed(html)
        self.close()
        assert len(self._open) == 1, [e.tag for e in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        assert len(element.attributes) == len(attrs), attrs
        self._open[-1].parts.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, (self._open[-1].tag, tag)
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].parts.append(data)


def at(facts: Any, path: str) -> Any:
    for part in path.split("."):
        facts = facts[int(part) if isinstance(facts, list) else part]
    return facts


def text_at(facts: Any, path: str) -> str:
    value = at(facts, path)
    return ", ".join(value) if isinstance(value, list) else str(value)


def agrees(shown: str, kind: str, raw: float | None, language: str) -> bool:
    """Whether a shown number is a raw value, rounded to the digits that are shown."""
    if raw is None:
        return kind == "metric" and shown == EXACT[language]
    found = NUMBER.findall(shown)
    if len(found) != 1:
        return False
    number = Decimal(found[0].replace(",", "").replace("\u2212", "-"))
    if kind == "money" and number > 0 and shown.startswith("\u2212"):
        number = -number
    scale = Decimal(1)
    if kind in ("percent", "change"):
        if not shown.endswith("%"):
            return False
        scale = Decimal(100)
    if kind == "bytes":
        scale = 1 / Decimal(UNITS[shown.split()[-1]])
    if kind == "change" and raw >= 0 and not shown.startswith("+"):
        return False
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    half = Decimal(5).scaleb(exponent - 1)
    return abs(number - Decimal(raw) * scale) <= half * (1 + Decimal("1e-9"))


def amount(shown: str, facts: dict[str, Any]) -> str:
    """Without the currency, which may have any name, digits in it too."""
    currency = (facts.get("saving") or {}).get("currency", "EUR")
    return shown.replace(clean(currency), "")


def clean(text: str, longest: int = 200) -> str:
    """A foreign text as a page shows it."""
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(f"\\u{ord(c):04x}" if unicodedata.category(c)[0] == "C" else c for c in text)


def figures(page: Page) -> Iterator[tuple[str, str, str]]:
    """(path, kind, what is shown) of each figure in the text of a page."""
    for element in page.root.all():
        if "data-figure" in element.attributes:
            yield element.attributes["data-figure"], element.attributes["data-kind"], element.text()


def faults(html: str, facts: dict[str, Any]) -> list[str]:
    """All that is wrong with the numbers of a page; none is as it must be."""
    page = Page(html)
    (root,) = (e for e in page.root.all() if e.tag == "html")
    language = root.attributes["lang"]
    return list(_faults(page.root, facts, language))


def _faults(element: Element, facts: dict[str, Any], language: str) -> Iterator[str]:
    said, text = element.attributes, element.text()
    if element.tag in ("style", "script"):
        return
    if "data-sources" in said:
        read = [said[name] for name in READ if name in said] or [text]
        for words in read:
            yield from _sentence(words, said["data-sources"], facts, language)
        return
    for name in READ:
        if re.search(r"\d", said.get(name, "")):
            yield f"{name}={said[name]!r} names no source"
    if "data-figure" in said:
        raw = at(facts, said["data-figure"])
        if said["data-raw"] != ("exact" if raw is None else repr(float(raw))):
            yield f"{said['data-figure']}: data-raw is {said['data-raw']}, not {raw!r}"
        shown = amount(text, facts) if said["data-kind"] == "money" else text
        if not agrees(shown, said["data-kind"], raw, language):
            yield f"{said['data-figure']}: {text!r} is not {raw!r}"
    elif "data-text" in said:
        if text not in (clean(text_at(facts, said["data-text"]), n) for n in (200, 8000)):
            yield f"{said['data-text']}: {text[:80]!r}"
    elif "data-term" in said:
        if not text or not isinstance(at(facts, said["data-term"]), str):
            yield f"{said['data-term']}: {text[:80]!r}"
    elif "data-axis" in said:
        if float(text.replace(",", "").replace("\u2212", "-")) != float(said["data-axis"]):
            yield f"axis: {text!r} is not {said['data-axis']}"
    else:
        for part in element.parts:
            if isinstance(part, Element):
                yield from _faults(part, facts, language)
            elif re.search(r"\d", part) and element.tag != "":
                yield f"<{element.tag}> has a number without a source: {part[:80]!r}"


def _sentence(words: str, sources: str, facts: dict[str, Any], language: str) -> Iterator[str]:
    """Texts are taken out where they stand; what numbers are left are the figures, in order."""
    left = words
    expected = []
    for source in sources.split():
        path, _, kind = source.rpartition(":")
        value = at(facts, path)
        if kind == "text":
            text = clean(text_at(facts, path))
            if text not in left:
                yield f"{words[:80]!r} lacks {path}"
            left = left.replace(text, "\0", 1)
        elif kind != "term" and value is not None:
            expected.append((path, kind, value))
    left = amount(left, facts)
    found = [
        _minus(left[: m.start()], kind) + m[0] + _unit(left[m.end() :], kind)
        for m, (_, kind, _) in zip(NUMBER.finditer(left), expected, strict=False)
    ]
    if len(NUMBER.findall(left)) != len(expected):
        yield f"{words[:80]!r} has not the figures of {sources}"
    for shown, (path, kind, value) in zip(found, expected, strict=False):
        if not agrees(shown, kind, value, language):
            yield f"{path}: {shown!r} of {words[:80]!r} is not {value!r}"


def _minus(before: str, kind: str) -> str:
    """The sign of money, which stands before the currency."""
    return "\u2212" if kind == "money" and re.search("\u2212[^\\d\\s\u2212]$", before) else ""


def _unit(after: str, kind: str) -> str:
    if kind == "bytes":
        unit = re.match(r" [kMGT]?B", after)
        return unit[0] if unit else " ?"
    return "%" if kind in ("percent", "change") and after.startswith("%") else ""


if __name__ == "__main__":
    wrong = faults(Path(sys.argv[1]).read_text("utf-8"), json.loads(Path(sys.argv[2]).read_text()))
    print("\n".join(wrong) or "every number agrees")
    sys.exit(bool(wrong))
