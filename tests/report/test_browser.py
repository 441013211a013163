"""report.html in a real browser: nothing is asked of a network, nothing is cut off, all is there.

Needs Chromium. A machine without one skips these tests, unless RDEDGE_NEEDS_BROWSER is set, as
continuous integration sets it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rdedge.report.html import report_html
from rdedge.report.language import LANGUAGES
from tests.report.browser import Browser, browser, find
from tests.report.pilots import ALL, digits

pytestmark = pytest.mark.skipif(
    find() is None and "RDEDGE_NEEDS_BROWSER" not in os.environ, reason="no Chromium"
)


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NAME-LANGUAGE.html of each pilot."""
    folder = tmp_path_factory.mktemp("pages")
    for name, make in ALL.items():
        for language in LANGUAGES:
            (folder / f"{name}-{language}.html").write_bytes(report_html(*make(), language))
    return folder


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ALL)
def test_a_page_fits_and_is_quiet(tab: Browser, pages: Path, name: str, language: str):
    for width, dark in ((360, False), (1280, False), (360, True)):
        tab.visit(pages / f"{name}-{language}.html", width, dark=dark)
        # With all that can be opened open.
        tab.js("document.querySelectorAll('details').forEach(d => d.open = true)")
        scroll, client = tab.js(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert scroll <= client == width
        # Nothing but a table, which scrolls within itself, reaches beyond the screen.
        beyond = tab.js(
            "[...document.querySelectorAll('body *')].filter(e => !e.closest('.wide') && "
            "!e.closest('svg.plot') && e.getBoundingClientRect().right > innerWidth + 1)"
            ".map(e => e.outerHTML.slice(0, 100))"
        )
        assert beyond == []
        assert tab.faults() == []
    assert tab.js("document.documentElement.lang") == language
    assert tab.js("document.title")
    images = tab.js(
        "[...document.images].map(i => [i.complete && i.naturalWidth > 0, i.alt, i.width])"
    )
    assert all(loaded and alt and width > 20 for loaded, alt, width in images)
    named = tab.js(
        "[...document.querySelectorAll('svg:not([aria-hidden])')].map(s => "
        "[s.getAttribute('role'), s.getAttribute('aria-labelledby').split(' ')"
        ".map(i => document.getElementById(i)?.textContent)])"
    )
    assert all(role == "img" and all(texts) for role, texts in named)
    ids = tab.js("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    assert tab.js("typeof alerted") == "undefined"
    counts = {"too-few": (0, 0), "series": (0, 11)}.get(name, (18, 15))
    assert (len(images), len(named)) == counts


def test_text_in_plots_can_be_read_on_a_phone_and_lies_inside(tab: Browser, pages: Path):
    for language in LANGUAGES:
        tab.visit(pages / f"digits-{language}.html", 360)
        texts = tab.js(
            "[...document.querySelectorAll('svg.plot text')].map(t => {"
            "const a = t.getBoundingClientRect(), b = t.ownerSVGElement.getBoundingClientRect();"
            "return [t.textContent, a.height, a.left - b.left, b.right - a.right,"
            "a.top - b.top, b.bottom - a.bottom]})"
        )
        assert len(texts) > 20
        for text, height, *room in texts:
            assert height >= 9, text
            assert min(room) > -1.5, text


def test_what_is_dark_is_dark(tab: Browser, pages: Path):
    colours = []
    for dark in (False, True):
        tab.visit(pages / "digits-en.html", 360, dark=dark)
        colours.append(tab.js("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(255, 255, 255)", "rgb(20, 23, 27)"]


def test_a_mark_says_its_figures(tab: Browser, pages: Path):
    tab.visit(pages / "digits-en.html", 1280)
    titles = tab.js("[...document.querySelectorAll('#curve .mark title')].map(t => t.textContent)")
    pilot, _ = digits()
    assert len([t for t in titles if t.startswith("rdedge (")]) == 4
    assert "rdedge (step 1.0): 0.8100 bit/pixel, PSNR 20.10 dB, 89.9% fewer bytes than raw, " in (
        "".join(titles)
    )
    assert len(titles) >= len(pilot["curve"]) - 6


def test_nothing_can_leave_the_page(tab: Browser, pages: Path):
    tab.visit(pages / "hostile-en.html", 360)
    tried = """(async () => {
        const said = [];
        addEventListener("securitypolicyviolation", e => said.push(e.effectiveDirective));
        try { await fetch("http://127.0.0.1:9/"); } catch { }
        for (const [tag, field] of [["img", "src"], ["script", "src"], ["iframe", "src"]]) {
            const e = document.createElement(tag);
            e[field] = "http://127.0.0.1:9/x";
            document.body.append(e);
        }
        const inline = document.createElement("script");
        inline.textContent = "window.alerted = 1";
        document.body.append(inline);
        const style = document.createElement("style");
        style.textContent = "body { background: url(http://127.0.0.1:9/) }";
        document.head.append(style);
        await new Promise(done => setTimeout(done, 200));
        return [said, typeof alerted];
    })()"""
    said, alerted = tab.js(tried)
    assert {"connect-src", "img-src", "script-src-elem", "frame-src", "style-src-elem"} <= set(said)
    assert alerted == "undefined"
    assert [f for f in tab.faults() if f.startswith("request: ") and "127.0.0.1" not in f] == []


def test_without_script_only_the_buttons_are_missing(tab: Browser, pages: Path):
    visible = "[...document.querySelectorAll('button')].filter(b => b.offsetHeight).length"
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.visit(pages / "digits-en.html", 360)
        assert tab.js(visible) == 0
        text = tab.js("document.body.innerText")
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)
    tab.visit(pages / "digits-en.html", 360)
    assert tab.js(visible) == 5
    assert tab.js("document.body.innerText").replace("Copy", "").split() == text.split()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_button_copies_its_sentence(tab: Browser, pages: Path, language: str):
    tab.visit(pages / f"digits-{language}.html", 360)
    copied = tab.js(
        "(async () => { let copied; navigator.clipboard.writeText = async t => { copied = t };"
        "const b = document.querySelector('button[data-copy]'); b.click();"
        "await new Promise(done => setTimeout(done, 50));"
        "return [copied, document.getElementById(b.dataset.copy).textContent, b.textContent,"
        "b.dataset.done] })()"
    )
    assert copied[0] == copied[1]
    assert "20.10 dB" in copied[0]
    assert copied[2] == copied[3]


def test_what_is_closed_on_the_screen_is_open_on_paper(tab: Browser, pages: Path):
    for media, shown in (("", False), ("print", True)):
        tab.visit(pages / "digits-ja.html", 800, media=media)
        rows = tab.js("document.querySelector('#curve tbody tr').checkVisibility()")
        assert (
            rows and tab.js("document.querySelector('#curve tbody').offsetHeight > 50")
        ) is shown
    assert tab.js("document.querySelector('nav').offsetHeight") == 0
    printed = tab.pdf()
    assert printed.startswith(b"%PDF-")
    assert 4 <= printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") <= 12


def test_the_browser_sees_what_is_wrong(tab: Browser, tmp_path: Path):
    page = tmp_path / "bad.html"
    page.write_text(
        "<!doctype html><title>x</title><div style='width:500px'>x</div>"
        "<img src='missing.png'><script>console.error('no'); nothing()</script>"
    )
    tab.visit(page, 360)
    found = json.dumps(tab.faults())
    for word in ("missing.png", '\\"no\\"', "ReferenceError"):
        assert word in found
    assert tab.js("document.documentElement.scrollWidth") > 360
