"""The pictures for slides: PNG and SVG of one figure, the same bytes each time."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from rdedge.errors import ConfigError
from rdedge.report.curve_png import curve_figure
from rdedge.report.savings_plot import form_of, savings_figure, savings_picture
from rdedge.report.style import drawn
from tests.report.test_curve import pictures, windows


def savings(**changed: Any) -> dict[str, Any]:
    """What LedgerSavings.to_json gives, as far as the picture looks at it."""
    saving = {
        "currency": "EUR",
        "value": 3.4182,
        "low": 2.9731,
        "high": 3.8817,
        "confidence": 0.9,
        "against": "today",
        "sensitivity": [
            {"what": "price", "change": "+20 %", "value": 4.1018},
            {"what": "price", "change": "-20 %", "value": 2.7346},
        ],
    }
    totals = {"raw_wire": 9_000_000, "today_wire": 3_000_000, "ours_wire": 1_200_000}
    return {"saving": saving | changed, "totals": totals}


def texts(figure: Any) -> str:
    from matplotlib.text import Text

    return "\n".join(t.get_text() for t in figure.findobj(Text))


def test_a_savings_figure_says_its_figures():
    said = texts(savings_figure(savings()))
    for words in (
        "EUR 3.42 saved per device and month (90% interval: EUR 2.97 to EUR 3.88)",
        "against today",
        "9 MB",
        "1.2 MB",
        "price -20 %",
    ):
        assert words in said
    assert "interval" not in texts(savings_figure(savings(low=None, high=None)))
    assert "best classical" not in said


def test_hostile_names_are_words():
    found = savings(currency="$\\frac{1}$ <script>", against="</svg><script>")
    svg = savings_picture(found, "svg")
    root = ET.fromstring(svg)
    assert not [e for e in root.iter() if e.tag.endswith("script")]
    assert savings_picture(found, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "make",
    [
        lambda: savings_figure(savings()),
        lambda: curve_figure(pictures(task=True)),
        lambda: curve_figure(windows()),
    ],
)
def test_an_svg_stands_alone_and_is_the_same_each_time(make):
    svg = drawn(make(), "svg")
    assert svg == drawn(make(), "svg")
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    references = [v for e in root.iter() for n, v in e.attrib.items() if n.endswith("href")]
    assert references
    assert all(v.startswith("#") for v in references)
    png = drawn(make(), "png")
    assert png.startswith(b"\x89PNG")
    assert png == drawn(make(), "png")


def test_the_form_is_that_of_the_name():
    assert (form_of(Path("a.PNG")), form_of(Path("b.svg"))) == ("png", "svg")
    for name in ("a.pdf", "svg", "a.svg.gz"):
        with pytest.raises(ConfigError, match="a picture called"):
            form_of(Path(name))
