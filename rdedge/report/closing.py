"""The last parts of report.html: the method, every assumption, how to redo it, how to say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rdedge.report.figures import Facts
from rdedge.report.language import Language, Said
from rdedge.report.markup import Html, join, tag
from rdedge.types import Array


def method(facts: Facts, language: Language, _: Mapping[str, Array]) -> Html:
    said = [language.say("method.data", facts)]
    if facts.has("data.split.why"):
        said += [language.say("method.split", facts), language.message(facts, "data.split.why")]
    if facts.has("bound"):
        said.append(
            language.say(
                "method.proposed" if facts.get("bound.proposed") else "method.given", facts
            )
        )
        said += [language.message(facts, path) for path in facts.places("bound.why")]
    for needs in ("chosen.promise", "chosen.fallback_share", "comparison", "saving", "inference"):
        if facts.get(needs) not in (None, []):
            said.append(language.say(f"method.{needs.rpartition('.')[2]}", facts))
    if facts.has("inference.low_ms"):
        said.append(language.say("method.inference-range", facts))
    said += [language.message(facts, path) for path in facts.places("notes")]
    said.append(language.say("method.machine", facts))
    checks = [
        tag(
            "li",
            tag(
                "b",
                language.word(f"check.{facts.text(f'{path}.status')}"),
                class_=_STATUS[facts.text(f"{path}.status")],
            ),
            language.word("word.colon"),
            language.message(facts, path).html(),
        )
        for path in facts.places("data.checks")
    ]
    return join(
        bullets(said),
        tag("h3", language.word("method.checks")) if checks else None,
        tag("ul", *checks) if checks else None,
    )


_STATUS = {"ok": "go", "warn": "care", "stop": "stop"}


def assumptions(facts: Facts, language: Language, _: Mapping[str, Array]) -> Html | None:
    said = [language.message(facts, path) for path in facts.places("saving.assumptions")]
    if facts.has("inference.how"):
        said.append(language.message(facts, "inference.how"))
    if not facts.has("chosen"):
        return None
    return bullets(
        [*said, *(language.say(f"assume.{name}", facts) for name in ("alike", "split", "rest"))]
    )


def redo(facts: Facts, language: Language, _: Mapping[str, Array]) -> Html:
    entries: list[Html] = []
    for path in facts.places("redo"):
        command = language.part(facts, f"{path}.command", "command")
        what = language.word(f"redo.{facts.text(f'{path}.figure')}")
        entries += [tag("dt", what), tag("dd", tag("code", Said((command,)).html()))]
    return join(
        tag("p", language.word("redo.lead")),
        tag("dl", *entries, class_="redo"),
        tag("p", language.word("redo.digits")),
    )


def explain(facts: Facts, language: Language, _: Mapping[str, Array]) -> Html:
    inside = [
        tag("p", language.word(f"explain.{name}"))
        for name in ("rate", "distortion", "trade", "learned", "promise", "decide")
    ]
    lines = [name for name, fits in _TO_COPY.items() if fits(facts)]
    if lines:
        inside.append(tag("h3", language.word("copy.title")))
    for name in lines:
        key = f"copy.{name}"
        said = language.say(sure(facts, key, "saving.yearly") if name == "money" else key, facts)
        inside.append(
            tag(
                "blockquote",
                tag("p", said.html(), id=f"copy-{name}"),
                tag(
                    "button",
                    language.word("copy.button"),
                    type="button",
                    hidden=True,
                    data_copy=f"copy-{name}",
                    data_done=language.word("copy.done"),
                ),
            )
        )
    return join(*inside)


def _goes(facts: Facts) -> bool:
    return facts.text("verdict.answer").startswith("go")


# What may be said in a meeting, and when it is true.
_TO_COPY: dict[str, Callable[[Facts], bool]] = {
    "bytes": lambda f: f.has("chosen.saved") and f.has("bound.metric"),
    "money": lambda f: f.has("saving.yearly") and f.number("saving.yearly.value") > 0,
    "task": lambda f: f.has("task.chosen_score"),
    "promise": lambda f: f.has("chosen.promise"),
    "next": _goes,
    "instead": lambda f: not _goes(f) and f.has("verdict.alternative.share_of_saving"),
}


def sure(facts: Facts, key: str, path: str = "saving") -> str:
    """The key of a sentence with an interval, or of the one for a saving without."""
    return key if facts.has(f"{path}.low") and facts.has(f"{path}.high") else f"{key}-point"


def bullets(said: Sequence[Said]) -> Html | None:
    return tag("ul", *(tag("li", s.html()) for s in said)) if said else None
