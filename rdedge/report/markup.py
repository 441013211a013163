"""HTML and SVG in which every text is escaped, unless it is markup already."""

from __future__ import annotations

import html
import unicodedata
from typing import TypeAlias

# What a name from a file may take of a page; the rest is cut off and said to be.
LONGEST = 200
# A command is there to be copied, and must be whole.
LONGEST_COMMAND = 8000
_VOID = {"br", "hr", "img", "meta"}
# Of SVG: without the slash, what follows would be read as their content.
_EMPTY = {"line", "circle", "rect", "path", "polyline", "polygon"}


class Html(str):
    """Markup that is safe as it stands."""

    __slots__ = ()


Child: TypeAlias = "str | None"


def clean(text: object, longest: int = LONGEST) -> str:
    """Foreign text as it is shown: control characters and those that turn the direction of text
    written out as escapes, and no more than `longest` characters of it.
    """
    shown = str(text)
    short = shown if len(shown) <= longest else shown[: longest - 1] + "…"
    # Of class C: control, format (bidirectional overrides, zero widths), surrogates, private use.
    return "".join(f"\\u{ord(c):04x}" if unicodedata.category(c)[0] == "C" else c for c in short)


def join(*children: Child, between: str = "") -> Html:
    """Children one after the other; plain strings are escaped, None is left out."""
    return Html(html.escape(between).join(_safe(c) for c in children if c is not None))


def tag(name: str, /, *children: Child, **attributes: object) -> Html:
    """<name attribute="...">children</name>.

    attributes: class_ and for_ stand for the words that Python keeps, _ for -; True for one without
    a value, None and False for one that is left out.
    """
    said = "".join(
        f" {key.rstrip('_').replace('_', '-')}"
        + ("" if value is True else f'="{html.escape(_plain(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        assert not children
        return Html(f"<{name}{said}>")
    if name in _EMPTY and not children:
        return Html(f"<{name}{said}/>")
    return Html(f"<{name}{said}>{join(*children)}</{name}>")


def _safe(child: str) -> str:
    return child if isinstance(child, Html) else html.escape(child)


def _plain(value: object) -> str:
    # Coordinates: two decimals are finer than any screen.
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
