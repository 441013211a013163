"""The parts of report.html from top to bottom: each a function of facts, words and samples, which
gives None where there is nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from rdedge.report import closing
from rdedge.report.closing import bullets, sure
from rdedge.report.figures import Facts
from rdedge.report.language import Language, Said
from rdedge.report.markup import Html, join, tag
from rdedge.report.plots import Row, bytes_plot, curve_plot, interval_plot, score_plot
from rdedge.report.shown import pairs, samples_html
from rdedge.types import Array

Section: TypeAlias = "Callable[[Facts, Language, Mapping[str, Array]], Html | None]"

_ICONS = {"go": ("✔", "go"), "go-with-fallback": ("✔", "go"), "do-not": ("✖", "stop")}


def header(facts: Facts, language: Language) -> Html:
    """The headline, the verdict and the few figures that carry it."""
    answer = facts.text("verdict.answer")
    icon, look = _ICONS.get(answer, ("●", "care"))
    cards = [
        tag(
            "div",
            tag("dt", language.say(f"card.{name}", facts).html()),
            tag("dd", language.say(f"card.{name}-value", facts).html()),
        )
        for name, needs in _CARDS.items()
        if all(facts.has(path) for path in needs)
    ]
    return tag(
        "header",
        tag("p", language.say("page.kicker", facts).html(), class_="kicker"),
        tag(
            "p",
            tag("span", icon, aria_hidden="true"),
            " ",
            language.word(f"verdict.{answer}"),
            class_=f"verdict {look}",
        ),
        tag("h1", _headline(facts, language, answer).html()),
        bullets([language.message(facts, path) for path in facts.places("verdict.reasons")]),
        tag("p", language.say("headline.alternative", facts).html())
        if facts.has("verdict.alternative")
        else None,
        tag("dl", *cards, class_="cards") if cards else None,
    )


_CARDS = {
    "saved": ("chosen.saved",),
    "yearly": ("saving.yearly",),
    "payback": ("saving.payback_months",),
    "promise": ("chosen.promise",),
    "task": ("task.chosen_score",),
    "inference": ("inference.ms",),
}


def _headline(facts: Facts, language: Language, answer: str) -> Said:
    if answer == "too-few" or not facts.has("chosen"):
        return language.say("headline.too-few", facts)
    if answer == "do-not":
        with_other = facts.has("verdict.alternative.share_of_saving")
        return language.say("headline.do-not-other" if with_other else "headline.do-not", facts)
    if facts.has("saving"):
        return language.say(sure(facts, f"headline.{facts.text('saving.per')}"), facts)
    return language.say("headline.bytes", facts)


def _curve(facts: Facts, language: Language, _: Mapping[str, Array]) -> Html | None:
    if not facts.has("curve") or not facts.has("bound"):
        return None
    inside: list[Html | None] = [tag("p", language.word("curve.lead"))]
    if facts.has("chosen"):
        inside.append(tag("p", language.say("curve.chosen", facts).html()))
        rows = [
            (_against(facts, language, path), f"{path}.bytes")
            for path in facts.places("comparison")
        ]
        if rows:
            ours = language.say("compare.ours", facts)
            inside += [
                tag("h3", language.word("plot.bytes.title")),
                tag(
                    "figure",
                    bytes_plot(facts, language, [*rows, (ours, "chosen.bytes")]),
                    class_="rows",
                ),
                bullets([_compared(facts, language, path) for path in facts.places("comparison")]),
            ]
    inside += [
        tag("h3", language.word("plot.curve.title")),
        tag(
            "figure", curve_plot(facts, language), tag("figcaption", language.word("curve.caption"))
        ),
        tag(
            "details", tag("summary", language.word("curve.table")), _points_table(facts, language)
        ),
    ]
    return join(*inside)


def _against(facts: Facts, language: Language, path: str) -> Said:
    what = facts.text(f"{path}.against")
    return language.say(
        "compare.raw" if what == "raw" else "compare.other",
        facts,
        against=f"{path}.against",
        codec=f"{path}.codec",
        setting=f"{path}.setting",
    )


def _compared(facts: Facts, language: Language, path: str) -> Said:
    fewer = facts.number(f"{path}.saved") >= 0
    return language.say(
        "compare.fewer" if fewer else "compare.more",
        facts,
        against=f"{path}.against",
        saved=f"{path}.saved",
    )


def _points_table(facts: Facts, language: Language) -> Html:
    columns = [("codec", ""), ("setting", ""), ("bits_per_element", "bits"), ("bytes", "bytes")]
    columns += [("saved", "percent"), ("distortion.value", "metric")]
    if facts.has("task"):
        columns.append(("score", "score"))
    heads = [
        language.say(f"column.{name.partition('.')[0]}", facts, metric="bound.metric")
        for name, _ in columns
    ]
    chosen = facts.get("chosen.run")
    rows = [
        (
            [
                language.figure(facts, f"{path}.{name}", kind)
                if facts.get(f"{path}.{name}") is not None or kind == "metric"
                else Said(("–",))
                for name, kind in columns
            ],
            path == f"curve.{chosen}",
        )
        for path in facts.places("curve")
    ]
    return _table(heads, rows, 2, language.word("curve.table"))


def _saving(facts: Facts, language: Language, _: Mapping[str, Array]) -> Html | None:
    if not facts.has("chosen"):
        return None
    if not facts.has("saving"):
        return tag("p", language.word("saving.none"))
    per = facts.text("saving.per")
    inside: list[Html | None] = [
        tag("p", language.say(sure(facts, f"saving.lead-{per}"), facts).html())
    ]
    if facts.get("saving.tariff.example"):
        inside.append(tag("p", language.say("saving.example", facts).html(), class_="care"))
    title = language.say("plot.money", facts)
    rows = [
        Row(
            language.say(
                sure(facts, "saving.row", path), facts, against=f"{path}.against", **_ends(path)
            ),
            facts.number(f"{path}.value"),
            _end(facts, f"{path}.low"),
            _end(facts, f"{path}.high"),
            facts.get(f"{path}.against") == facts.get("saving.against"),
        )
        for path in facts.places("saving.by_reference")
    ]
    if rows:
        inside += [
            tag("h3", language.word("plot.saving.title")),
            tag("figure", interval_plot("saving", facts, language, rows, title), class_="rows"),
        ]
    if facts.has("saving.yearly"):
        inside.append(
            tag("p", language.say(sure(facts, "saving.yearly", "saving.yearly"), facts).html())
        )
    if facts.has("saving.payback_months"):
        inside.append(tag("p", language.say("saving.payback", facts).html()))
    inside.append(_sensitivity(facts, language, title))
    return join(*inside)


def _end(facts: Facts, path: str) -> float | None:
    return facts.number(path) if facts.has(path) else None


def _ends(path: str) -> dict[str, str]:
    return {name: f"{path}.{name}" for name in ("value", "low", "high")}


def _sensitivity(facts: Facts, language: Language, title: Said) -> Html | None:
    rows = []
    for path in facts.places("saving.sensitivity"):
        label = language.message(facts, path)
        value = language.figure(facts, f"{path}.value", "money")
        rows.append(Row(label + language.word("word.colon") + value, facts.number(f"{path}.value")))
    if not rows:
        return None
    base = facts.number("saving.value")
    return join(
        tag("h3", language.word("plot.sensitivity.title")),
        tag("p", language.say("saving.sensitivity", facts).html()),
        tag(
            "figure",
            interval_plot("sensitivity", facts, language, rows, title, base),
            class_="rows",
        ),
    )


def _task(facts: Facts, language: Language, _: Mapping[str, Array]) -> Html | None:
    if not facts.has("curve"):
        return None
    if not facts.has("task"):
        return tag("p", language.word("task.none"))
    better = "higher" if facts.get("task.higher_is_better") is not False else "lower"
    return join(
        tag("p", language.say("task.lead", facts).html()),
        tag("p", language.word(f"task.{better}")),
        tag("p", language.say("task.chosen", facts).html())
        if facts.has("task.chosen_score")
        else None,
        tag(
            "figure", score_plot(facts, language), tag("figcaption", language.word("task.caption"))
        ),
    )


def _samples(facts: Facts, language: Language, samples: Mapping[str, Array]) -> Html | None:
    groups = {name: pairs(facts, samples, name) for name in ("shown", "worst")}
    groups = {name: found for name, found in groups.items() if found}
    if not groups:
        return None
    made = samples_html(facts, language, groups)
    inside = []
    for name in groups:
        inside += [tag("h3", language.word(f"samples.{name}")), made[name]]
    how = "series" if facts.get("data.kind") == "series" else "picture"
    return join(tag("p", language.say(f"samples.lead-{how}", facts).html()), *inside)


SECTIONS: dict[str, Section] = {
    "curve": _curve,
    "saving": _saving,
    "task": _task,
    "samples": _samples,
    "method": closing.method,
    "assumptions": closing.assumptions,
    "redo": closing.redo,
    "explain": closing.explain,
}


def _table(
    heads: Sequence[Said], rows: Sequence[tuple[Sequence[Said], bool]], words: int, name: str
) -> Html:
    """words: how many columns are texts; the others are figures. name: for a screen reader."""

    def look(i: int) -> str | None:
        return None if i < words else "figure"

    head = tag(
        "tr", *(tag("th", s.html(), scope="col", class_=look(i)) for i, s in enumerate(heads))
    )
    body = [
        tag(
            "tr",
            *(tag("td", s.html(), class_=look(i)) for i, s in enumerate(cells)),
            class_="chosen" if marked else None,
        )
        for cells, marked in rows
    ]
    table = tag("table", tag("thead", head), tag("tbody", *body))
    return tag("div", table, class_="wide", role="region", aria_label=name, tabindex="0")
