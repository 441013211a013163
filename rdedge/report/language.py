"""Sentences with figures, in English and Japanese: texts/*.toml filled from facts.

A field of a sentence is `{name:kind}`: a name that the caller gives a path for, or a path of the
facts with a dot in it. Kinds: those of figures.KINDS, `money` in the currency of saving.currency,
`term` for a word that has a translation, `command` for what is there to be copied, and none for a
text that is shown as it stands.
"""

from __future__ import annotations

import functools
import string
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from rdedge.config import load_texts
from rdedge.errors import ConfigError
from rdedge.report.figures import (
    KINDS,
    MINUS,
    WHOLE_CURRENCIES,
    Facts,
    Figure,
    amount,
    whole_amount,
)
from rdedge.report.markup import LONGEST, LONGEST_COMMAND, Html, clean, join, tag

__all__ = ["LANGUAGES", "Language", "Quote", "Said"]

LANGUAGES = ("en", "ja")
_KINDS_OF_TEXT = {False: "text", True: "term"}
_TEXTS = Path(__file__).resolve().parent / "texts"


@dataclass(frozen=True)
class Quote:
    """A text of the facts, shown as it stands; translated where it is a term."""

    path: str
    shown: str
    term: bool = False


Part: TypeAlias = "str | Figure | Quote"


@dataclass(frozen=True)
class Said:
    """A sentence: words, figures and quotes, each figure with its path."""

    parts: tuple[Part, ...]

    def html(self, wrap: str = "span") -> Html:
        """As markup, each figure in an element that names its source. wrap: tspan within SVG."""
        return join(*(_element(part, wrap) for part in self.parts))

    def plain(self) -> str:
        """As one text, for attributes and titles."""
        return "".join(part if isinstance(part, str) else part.shown for part in self.parts)

    @property
    def sources(self) -> str | None:
        """Where the figures and quotes of plain() come from, for the attribute data-sources."""
        found = [
            f"{part.path}:{part.kind if isinstance(part, Figure) else _KINDS_OF_TEXT[part.term]}"
            for part in self.parts
            if not isinstance(part, str)
        ]
        return " ".join(found) or None

    def __add__(self, other: Said | str) -> Said:
        return Said(self.parts + (other.parts if isinstance(other, Said) else (other,)))


def _element(part: Part, wrap: str) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Figure):
        raw = "exact" if part.raw is None else repr(float(part.raw))
        return tag(
            wrap,
            part.shown,
            # Kept in one line, unless a currency of a strange name would not fit.
            class_="n" if len(part.shown) < 25 else None,
            data_figure=part.path,
            data_kind=part.kind,
            data_raw=raw,
        )
    if part.term:
        return tag(wrap, part.shown, data_term=part.path)
    # <bdi>: a name in a script that runs to the left turns nothing around it.
    return tag("bdi" if wrap == "span" else wrap, part.shown, data_text=part.path)


class Language:
    """The texts of one language and its way to write figures. Raises ConfigError for another."""

    def __init__(self, name: str) -> None:
        if name not in LANGUAGES:
            raise ConfigError(f"no texts in {name!r:.40}", expected=" or ".join(LANGUAGES))
        self.name = name
        self._texts = _load(name)

    def has(self, key: str) -> bool:
        return key in self._texts

    def word(self, key: str) -> str:
        """A text without fields. Raises ConfigError where there is none."""
        if key not in self._texts:
            raise ConfigError(
                f"no text is called {key!r:.80}", expected=f"a key of report/texts/{self.name}.toml"
            )
        return self._texts[key]

    def say(self, key: str, facts: Facts, **paths: str) -> Said:
        """The sentence `key`; paths: of the fields that are plain names."""
        parts: list[Part] = []
        for words, field, kind, _ in string.Formatter().parse(self.word(key)):
            if words:
                parts.append(words)
            if field is not None:
                if field not in paths and facts.get(field) is None and "." not in field:
                    raise ConfigError(
                        f"the text {key!r:.80} has no value for {field!r}",
                        expected=", ".join(paths) or "none",
                    )
                parts.append(self.part(facts, paths.get(field, field), kind or ""))
        return Said(tuple(parts))

    def message(self, facts: Facts, path: str) -> Said:
        """What the facts say at path with {"key": ..., "values": {...}}."""
        values = facts.get(f"{path}.values") or {}
        return self.say(
            facts.text(f"{path}.key"), facts, **{name: f"{path}.values.{name}" for name in values}
        )

    def part(self, facts: Facts, path: str, kind: str = "") -> Part:
        """A figure, a term or a text of the facts."""
        if kind in ("", "command"):
            return Quote(path, clean(facts.text(path), LONGEST_COMMAND if kind else LONGEST))
        if kind == "term":
            value = facts.text(path)
            term = f"term.{value}"
            return (
                Quote(path, self.word(term), True) if self.has(term) else Quote(path, clean(value))
            )
        # The metrics are without error where they are null: an infinite psnr is no JSON.
        if kind == "metric" and facts.get(path) is None:
            return Figure(path, kind, None, self.word("word.exact"))
        raw = facts.number(path)
        if kind == "money":
            return Figure(path, kind, raw, self._money(raw, facts.text("saving.currency")))
        if kind not in KINDS:
            raise ConfigError(f"no kind of figure is called {kind!r}", expected=", ".join(KINDS))
        decibels = kind == "metric" and facts.get("bound.metric") == "psnr"
        return Figure(path, kind, raw, KINDS[kind](raw) + (" dB" if decibels else ""))

    def figure(self, facts: Facts, path: str, kind: str) -> Said:
        return Said((self.part(facts, path, kind),))

    def _money(self, value: float, currency: str) -> str:
        shown = whole_amount(value) if currency in WHOLE_CURRENCIES else amount(value)
        key = f"currency.{currency}"
        form = self.word(key) if self.has(key) else self.word("currency.other")
        sign = MINUS if value < 0 and float(shown.replace(",", "")) != 0 else ""
        return sign + form.replace("{n}", shown).replace("{code}", clean(currency))


@functools.cache
def _load(name: str) -> dict[str, str]:
    return load_texts(_TEXTS / f"{name}.toml")
