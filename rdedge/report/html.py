"""report.html: the verdict of a pilot as one file that needs no network and no script.

Every number is a value of pilot.json, written by figures.py into an element that names its path
(data-figure), its kind (data-kind) and its raw value (data-raw); docs/report.md has the scheme.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rdedge.report.figures import Facts
from rdedge.report.language import Language
from rdedge.report.markup import Html, join, tag
from rdedge.report.sections import SECTIONS, header
from rdedge.types import Array

__all__ = ["report_html"]

_PAGE = Path(__file__).resolve().parent / "page"


def report_html(
    pilot: Mapping[str, Any], samples: Mapping[str, Array], language: str = "en"
) -> bytes:
    """pilot: as pilot.json has it; samples: x, x_hat, worst_x, worst_x_hat, in raw units, each
    (n, *shape) or, where shapes differ, x_0, x_1 ...; language: of LANGUAGES.

    Raises ConfigError where pilot lacks what a page cannot do without, or holds what is no number.
    """
    facts, words = Facts(pilot), Language(language)
    made = [(name, section(facts, words, samples)) for name, section in SECTIONS.items()]
    shown = [(name, inside) for name, inside in made if inside is not None]
    navigation = tag(
        "nav",
        tag("ul", *(tag("li", tag("a", words.word(f"{n}.title"), href=f"#{n}")) for n, _ in shown)),
        aria_label=words.word("page.contents"),
    )
    body = [
        tag("section", tag("h2", words.word(f"{name}.title")), inside, id=name)
        for name, inside in shown
    ]
    style, script = ((_PAGE / name).read_text("utf-8").strip() for name in ("page.css", "page.js"))
    title = words.say("page.title", facts)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="robots", content="noindex"),
        tag("title", title.plain(), data_sources=title.sources),
        # Else a browser asks a server for an icon.
        Html('<link rel="icon" href="data:,">'),
        Html(f"<style>{style}</style>"),
    )
    page = tag(
        "html",
        head,
        tag(
            "body",
            header(facts, words),
            navigation,
            tag("main", *body),
            tag("footer", tag("p", words.say("page.foot", facts).html(), class_="note")),
            Html(f"<script>{script}</script>"),
        ),
        lang=language,
    )
    return join(Html("<!doctype html>\n"), page, "\n").encode()


def _policy(style: str, script: str) -> str:
    """Nothing may be loaded or sent, and nothing runs but this style and this script."""

    def of(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; img-src data:; style-src {of(style)}; script-src {of(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
