"""report.html without a browser: its numbers, its texts, what hostile names do to it."""

from __future__ import annotations

import copy
import json
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rdedge.config import load_texts
from rdedge.errors import ConfigError
from rdedge.report import html as report
from rdedge.report.figures import KINDS, Facts
from rdedge.report.html import report_html
from rdedge.report.language import LANGUAGES, Language
from rdedge.report.markup import Html, clean, join, tag
from tests.report import recompute
from tests.report.pilots import ALL, HOSTILE, digits, hostile, series, too_few

TEXTS = Path(report.__file__).parent / "texts"
PAGE = Path(report.__file__).parent / "page"
LIMIT_BYTES = 3_000_000


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ALL)
def test_every_number_is_that_of_the_facts(name: str, language: str):
    pilot, arrays = ALL[name]()
    page = report_html(pilot, arrays, language).decode()
    assert recompute.faults(page, pilot) == []
    assert page == report_html(pilot, arrays, language).decode()


def test_the_script_sees_a_changed_digit():
    pilot, arrays = digits()
    page = report_html(pilot, arrays).decode()
    for before, after in (
        (">€3.42<", ">€3.43<"),
        (">€3.42<", ">$3.4<"),
        (">2.33 kB<", ">2.33 MB<"),
        ('data-raw="3.4182"', 'data-raw="3.4"'),
        (">89.9%<", ">89.9<"),
        (" Go, with a fallback<", " Go 1<"),
        ("bit/pixel, PSNR 20.10 dB", "bit/pixel, PSNR 20.11 dB"),
        ('alt="Sample 4 ', 'alt="Sample 5 '),
        (">WebP<", ">WebQ<"),
    ):
        assert before in page
        altered = page.replace(before, after, 1)
        assert (recompute.faults(altered, pilot) != []) == (after != ">$3.4<"), before


def test_the_script_is_a_command(tmp_path: Path):
    pilot, arrays = series()
    (tmp_path / "report.html").write_bytes(report_html(pilot, arrays, "ja"))
    (tmp_path / "pilot.json").write_text(json.dumps(pilot))
    command = [sys.executable, str(Path(recompute.__file__)), "report.html", "pilot.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "every number agrees\n")


def leaves(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


# Shown in another place (the chosen point, today's and the best codec are points of the curve and
# rows of the comparison), or no figure for a reader.
ELSEWHERE = re.compile(
    r"version|best_classical|today|data\.shape|chosen\.run|task\.fall|samples\.shown\.\d+\.x"
    r"|curve\.\d+\.packetised"
)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["digits", "series"])
def test_all_figures_are_there(name: str, language: str):
    pilot, arrays = ALL[name]()
    pilot["verdict"]["alternative"] = None
    page = recompute.Page(report_html(pilot, arrays, language).decode())
    shown = {path for path, _, _ in recompute.figures(page)}
    missing = [p for p in leaves(pilot) if p not in shown and not ELSEWHERE.match(p)]
    if name == "series":  # its differences are drawn on the scale of the data
        missing.remove("samples.difference_range")
    assert missing == []
    assert not {p for p in shown if recompute.at(pilot, p) is None} - {
        p for p in shown if "distortion" in p
    }


def fields(text: str) -> list[str]:
    return sorted(f"{f}:{k}" for _, f, k, _ in string.Formatter().parse(text) if f is not None)


def test_both_languages_have_the_same_texts():
    english, *others = (load_texts(TEXTS / f"{name}.toml") for name in LANGUAGES)
    for other in others:
        assert english.keys() == other.keys()
        for key, text in english.items():
            if not key.startswith("currency."):
                assert fields(text) == fields(other[key]), key
    assert {p.stem for p in TEXTS.iterdir()} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_hold_no_number_of_their_own(language: str):
    for key, text in load_texts(TEXTS / f"{language}.toml").items():
        assert text.strip() or key == "word.colon", key
        for words, _, kind, _ in string.Formatter().parse(text):
            assert not re.search(r"\d", words), key
            if not key.startswith("currency."):
                assert kind in (None, "", "term", "money", *KINDS), key


def test_no_japanese_text_is_english():
    for key, text in load_texts(TEXTS / "ja.toml").items():
        bare = re.sub(r"\{[^}]*\}", "", text)
        if re.search(r"[A-Za-z]{3}", bare) and key not in ("term.psnr", "page.kicker"):
            assert re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", bare), key


# What a page may hold: anything else would have to come from a name.
TAGS = """
html head meta title link style body header p span bdi h1 h2 h3 ul li dl dt dd div nav a main
section figure figcaption svg desc g line circle rect path polyline polygon text tspan details
summary table thead tbody tr th td img br b code blockquote button footer script
"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_names_stay_text(language: str):
    pilot, arrays = hostile()
    page = recompute.Page(report_html(pilot, arrays, language).decode())
    elements = [e for e in page.root.all() if e.tag]
    assert {e.tag for e in elements} <= set(TAGS.split())
    assert [e.tag for e in elements].count("script") == 1
    assert [e.tag for e in elements].count("style") == 1
    for e in elements:
        assert not [name for name in e.attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href"):
            assert re.match(r"data:|#|$", e.attributes.get(name, "")), e
    text = page.root.text()
    assert HOSTILE[0] in text
    assert not set("\u202e\u2066\x1b\x00") & set(text)
    assert "x" * 300 not in text
    assert pilot["redo"][0]["command"].split()[2] in text


def test_a_file_is_small_whatever_its_samples_are():
    pilot, _ = digits()
    rng = np.random.default_rng(0)
    one = rng.integers(0, 256, (700, 640, 3)).astype(np.uint8)
    arrays = {f"{p}{e}_{i}": one for p in ("x", "worst_x") for e in ("", "_hat") for i in range(4)}
    arrays["x_hat_2"] = one.copy()
    arrays["x_hat_2"][600:610, 10:20] ^= 255
    page = report_html(pilot, arrays)
    assert 1_000_000 < len(page) < LIMIT_BYTES
    assert page.decode().count(Language("en").word("samples.cut")) == 6


def test_pages_are_small():
    for make in ALL.values():
        assert len(report_html(*make(), "ja")) < 250_000


@pytest.mark.parametrize("kind", ["constant", "missing", "long", "flat", "grey16"])
def test_samples_of_any_sort_are_shown(kind: str):
    pilot, arrays = series() if kind in ("constant", "missing", "long") else digits()
    shape = {"constant": (64, 2), "missing": (64, 2), "long": (5000, 1), "flat": (9,)}
    x = np.full((4, *shape.get(kind, (20, 30))), 7.0)
    if kind == "missing":
        x[:] = np.nan
    if kind == "grey16":
        x = (x * 999).astype(np.uint16)
    arrays = dict.fromkeys(("x", "x_hat", "worst_x", "worst_x_hat"), x)
    pilot["samples"]["difference_range"] = 0
    page = report_html(pilot, arrays).decode()
    assert page.count('class="sample"') == 6
    assert "nan" not in page.lower().replace("jetson-orin-nano", "")


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_colours_have_contrast():
    css = (PAGE / "page.css").read_text("utf-8")
    schemes = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    assert len(schemes) == 3
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", scheme))
        inks = ["ink", "soft", "link", "go", "care", "stop", *(f"c{i}" for i in range(8))]
        for paper in ("paper", "card"):
            for ink in inks:
                pair = sorted((luminance(colours[ink]), luminance(colours[paper])))
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (paper, ink, scheme)


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("count", 1234567, "1,234,567"),
        ("bytes", 999, "999 B"),
        ("bytes", 25_349, "25.3 kB"),
        ("bytes", 999_960, "1.00 MB"),
        ("percent", 0.9336, "93.4%"),
        ("percent", 0.9, "90%"),
        ("percent", 0.00314, "0.31%"),
        ("percent", -0.083, "\u22128.3%"),
        ("percent", 0, "0%"),
        ("change", 0.2, "+20%"),
        ("change", -0.5, "\u221250%"),
        ("bits", 0.81, "0.8100"),
        ("bits", 12.3456, "12.35"),
        ("metric", 1.3e-7, "1.300e-07"),
        ("metric", 20.1, "20.10"),
        ("metric", 12345.6, "12,346"),
        ("number", 5, "5"),
        ("number", 0.0417, "0.0417"),
        ("number", 1000, "1,000"),
        ("factor", 12.345, "12.3"),
        ("score", 0.96944, "0.9694"),
    ],
)
def test_figures_are_written_so(kind: str, value: float, shown: str):
    assert KINDS[kind](value) == shown


@pytest.mark.parametrize(
    ("currency", "value", "english", "japanese"),
    [
        ("EUR", 3.4182, "€3.42", "3.42ユーロ"),
        ("JPY", 12345.6, "¥12,346", "12,346円"),
        ("JPY", 0.213, "¥0.21", "0.21円"),
        ("USD", -20509.2, "\u2212$20,509", "\u221220,509ドル"),
        ("USD", 0.00417, "$0.0042", "0.0042ドル"),
        ("USD", -0.0, "$0.00", "0.00ドル"),
        ("CHF", 100, "CHF 100", "100 CHF"),
    ],
)
def test_money_is_written_so(currency: str, value: float, english: str, japanese: str):
    facts = Facts({"saving": {"currency": currency, "value": value}})
    shown = [Language(n).figure(facts, "saving.value", "money").plain() for n in LANGUAGES]
    assert shown == [english, japanese]


def altered(change: dict[str, Any]) -> dict[str, Any]:
    pilot = copy.deepcopy(digits()[0])
    for path, value in change.items():
        *outer, last = path.split(".")
        inner = recompute.at(pilot, ".".join(outer)) if outer else pilot
        inner[int(last) if isinstance(inner, list) else last] = value
    return pilot


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"saving.value": None}, "saving.value is None"),
        ({"saving.value": float("nan")}, "saving.value is nan"),
        ({"saving.value": "3 <b>"}, "saving.value is '3 <b>'"),
        ({"saving.value": True}, "saving.value is True"),
        ({"curve.0.bytes": 10**400}, "curve.0.bytes is 1000"),
        ({"verdict.answer": "perhaps"}, "no text is called 'verdict.perhaps'"),
        ({"verdict.reasons.0.key": "reason.none"}, "no text is called 'reason.none'"),
        ({"verdict.reasons.0.values": {}}, "has no value for"),
        ({"bound.metric": "ssim"}, "no metric is called 'ssim'"),
        ({"bound.value": 0, "bound.metric": "mse"}, "a mse bound of 0"),
        ({"saving.by_reference.0.low": "x"}, "saving.by_reference.0.low is 'x'"),
        ({"data.checks.0.status": "odd"}, "no text is called 'check.odd'"),
        ({"redo.0.figure": "odd"}, "no text is called 'redo.odd'"),
    ],
)
def test_facts_that_cannot_be_shown_are_refused(change: dict[str, Any], says: str):
    with pytest.raises(ConfigError, match=re.escape(says)) as caught:
        report_html(altered(change), digits()[1])
    assert caught.value.expected


def test_samples_that_do_not_fit_are_refused():
    pilot, arrays = digits()
    with pytest.raises(ConfigError, match=r"samples.npz lacks x_hat\[3\]"):
        report_html(pilot, arrays | {"x_hat": arrays["x_hat"][:3]})
    with pytest.raises(ConfigError, match="one shape"):
        report_html(pilot, arrays | {"x_hat": arrays["x_hat"][:, 1:]})
    with pytest.raises(ConfigError, match="no texts in 'de'"):
        report_html(pilot, arrays, "de")


def test_what_was_not_made_is_not_shown():
    page = report_html(*too_few()).decode()
    assert "40 samples are too few" in re.sub(r"<[^>]+>", "", page)
    assert 'id="curve"' not in page
    assert 'id="saving"' not in page
    assert "<svg" not in page


def test_what_to_say_in_a_meeting_is_true():
    pilot, arrays = ALL["do-not"]()
    pilot["saving"]["yearly"]["value"] = -12.0
    ids = re.findall(r'<p id="copy-(\w+)"', report_html(pilot, arrays).decode())
    assert ids == ["bytes", "task", "promise", "instead"]
    ids = re.findall(r'<p id="copy-(\w+)"', report_html(*digits()).decode())
    assert ids == ["bytes", "money", "task", "promise", "next"]


def test_markup_is_escaped_unless_it_is_markup():
    assert tag("p", "<b>", title="\"'<>&") == ('<p title="&quot;&#x27;&lt;&gt;&amp;">&lt;b&gt;</p>')
    assert tag("p", tag("b", "x"), None, hidden=True, lang=None) == "<p hidden><b>x</b></p>"
    assert join("<", Html("<br>"), between="&") == "&lt;&amp;<br>"
    assert tag("circle", r=1.0, cx=0.333333) == '<circle r="1" cx="0.33"/>'
    assert clean("a\u202eb\nc") == "a\\u202eb\\u000ac"
    assert len(clean("x" * 10_000)) == 200
