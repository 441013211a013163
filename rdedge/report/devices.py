"""Profiles and probes of devices, as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from rdedge.bundle.profile import UNVERIFIED, Mode, Profile, Table
from rdedge.report.text import table


def listing(profiles: Sequence[Profile]) -> str:
    """One line a profile."""
    width = max((len(profile.title) for profile in profiles), default=0)
    header = ("name", "title".ljust(width), "SM", "memory", "JetPack", "figures")
    rows = [
        (
            profile.name,
            profile.title.ljust(width),
            profile.compute.sm or "",
            f"{profile.memory.gb} GB" if profile.memory else "",
            ", ".join(
                release.version + ("" if release.supported else f" (Python {release.python}: no)")
                for release in profile.jetpack
            ),
            "verified" if profile.verified else "unverified",
        )
        for profile in profiles
    ]
    return table(header, rows)


def description(profile: Profile) -> str:
    """Everything that a profile says, each table with its source."""
    verdict = "verified on hardware" if profile.verified else UNVERIFIED
    lines = [f"{profile.name}: {profile.title}, {profile.kind}, recipe {profile.recipe}"]
    lines += [verdict if profile.supported else f"{verdict}; rdedge does not run on its JetPack"]
    lines += [f"note: {note}" for note in profile.notes]
    for name, part in profile.tables.items():
        lines += ["", name]
        for key, value in _figures(part):
            lines.append(f"  {key}: {value}")
        lines.append(f"  source: {part.source}{'' if part.verified else f' ({UNVERIFIED})'}")
    return "\n".join(lines)


def _figures(part: Table) -> list[tuple[str, str]]:
    """All but what every table has and what is not known."""
    names = [f.name for f in fields(part) if f.name not in ("source", "verified")]
    values = [(name, getattr(part, name)) for name in names]
    return [(name, _text(value)) for name, value in values if value is not None and value != ()]


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, Mode):
        watts = f" ({value.watts} W)" if value.watts else ""
        return f"{value.id} {value.name}{watts}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
