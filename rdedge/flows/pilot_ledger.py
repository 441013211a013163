"""The ledger of a pilot, as a device of the fleet would write it, and the money that it says.

The held-out samples are one device's, evenly spread over the days that so many samples take. On
some of the packets the codec used today and the best classical one are run too.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rdedge import config
from rdedge.codec.encoder import Encoder
from rdedge.data.files import write_file
from rdedge.errors import RdedgeError
from rdedge.flows.instead import EQUAL, NAMED, Instead
from rdedge.flows.ledger import LedgerSavings, savings_of_ledger
from rdedge.flows.pilot_data import Gathered
from rdedge.flows.pilot_options import FILES, RAW, Options
from rdedge.flows.pilot_promise import Promise
from rdedge.ledger import tariff as tariffs
from rdedge.ledger.schema import InsteadRow
from rdedge.ledger.store import LedgerWriter
from rdedge.ledger.tariff import Fleet

DEVICE = "pilot"
# In the folder of a pilot.
LEDGER, TARIFF = "ledger", "tariff.toml"
# Where nobody says: a fleet, and a sample a minute, but of series as long as they last.
DEVICES, SAMPLES_PER_DAY = 100, 1440.0
# Packets on which other codecs are run, at most, and seconds to spend.
_SAMPLED, _SECONDS = 16, 40.0
_REFERENCES = {"raw": "raw", "today": "today", "best": "best-classical"}


@dataclass(frozen=True)
class Volume:
    """devices, samples_per_day: asked for, or assumed, and then said so."""

    devices: int
    samples_per_day: float
    assumptions: tuple[dict[str, Any], ...]

    @staticmethod
    def of(gathered: Gathered, options: Options) -> Volume:
        devices = options.devices or DEVICES
        per_day = options.samples_per_day
        said = []
        key = "devices" if options.devices else "devices-assumed"
        said.append({"key": f"assumption.{key}", "values": {"devices": devices}})
        key = "volume-given"
        if per_day is None:
            key = "volume-assumed" if gathered.seconds is None else "volume"
            per_day = SAMPLES_PER_DAY if gathered.seconds is None else 86_400.0 / gathered.seconds
        said.append({"key": f"assumption.{key}", "values": {"samples": per_day}})
        return Volume(devices, per_day, tuple(said))


def write(
    folder: Path,
    gathered: Gathered,
    kept: Promise,
    encoder: Encoder,
    today: dict[str, Any],
    best: dict[str, Any] | None,
) -> None:
    """The rows of the gated held-out packets, and what other codecs make of some of them. today,
    best: as pilot.json has them.
    """
    rival = None if best is None else best["codec"]
    instead = _others(gathered, kept, encoder, today["codec"], rival)
    if today["codec"] == FILES:
        instead += _shared_out(kept, today, 0, NAMED)
    # What learns from training data, or cannot run on one sample, stands as the curve has it.
    if best is not None and rival not in {row.codec for row in instead}:
        instead += _shared_out(kept, best, 1, EQUAL)
    LedgerWriter(folder).append([one.row for one in kept.sent], instead)


def _others(
    gathered: Gathered, kept: Promise, encoder: Encoder, today: str, best: str | None
) -> list[InsteadRow]:
    """Today stands at place 0, the best classical codec at 1."""
    names = [name for name in (today, best) if name not in (RAW, FILES, None)]
    if not names:
        return []
    ones = [x[i : i + 1] for x in gathered.held_out for i in range(len(x))]
    chosen = np.linspace(0, len(ones) - 1, min(_SAMPLED, len(ones))).round().astype(int)
    began = time.monotonic()
    found: list[InsteadRow] = []
    try:
        run = Instead(dict.fromkeys(names), 1.0)
        for i in chosen.tolist():
            rows = run.rows(kept.sent[i].row, ones[i], kept.sent[i].packet, encoder)
            found += [replace(r, place=int(today == RAW or r.codec != today)) for r in rows]
            if time.monotonic() - began > _SECONDS:
                break
    except RdedgeError:
        # A codec that cannot run beside is no reason to lose the pilot: the curve has its points.
        return []
    return found


def _shared_out(kept: Promise, one: dict[str, Any], place: int, kind: str) -> list[InsteadRow]:
    """What a codec takes for all held-out samples (the files that pictures came in, or a point of
    the curve), to each packet its share by raw bytes.
    """
    total, distortion = one["bytes"], one["distortion"]
    if isinstance(distortion, dict):
        distortion = distortion["value"]
    raw = sum(one.raw_bytes for one in kept.sent)
    found = []
    for sent in kept.sent:
        row = sent.row
        size = max(1, round(total * sent.raw_bytes / raw))
        found.append(
            InsteadRow(
                device=row.device,
                stream=row.stream,
                time_ns=row.time_ns,
                place=place,
                codec=one["codec"],
                setting=one["setting"],
                kind=kind,
                samples=row.samples,
                raw_bytes=row.raw_bytes,
                payload_bytes=row.payload_bytes,
                bytes=size,
                metric=row.metric,
                # Of files as they came none.
                distortion=0.0 if distortion is None else distortion,
                encode_ns=0,
            )
        )
    return found


@dataclass(frozen=True)
class Money:
    """saving: for pilot.json; beside: (low, value, against) for the verdict; year: of the fleet,
    after what it costs to run.
    """

    saving: dict[str, Any]
    beside: tuple[float | None, float, str]
    year: float
    payback_months: float | None
    currency: str
    interval: tuple[float, float, float] | None


def money(folder: Path, name: str, volume: Volume, today: str, seed: int) -> Money:
    """What a tariff makes of the ledger in a pilot's folder, where the tariff is kept with this
    fleet. Raises ConfigError for a tariff that cannot be used.
    """
    given = tariffs.load(Path(name))
    fleet = Fleet(volume.devices, volume.samples_per_day, given.fleet.season)
    priced = tariffs.with_fleet(given, fleet)
    write_file(folder / TARIFF, config.dumps(asdict(priced)).encode())
    ledger = folder / LEDGER
    by: dict[str, LedgerSavings] = {}
    by["raw"] = savings_of_ledger(ledger, priced, against="raw", seed=seed)
    for reference in by["raw"].references:
        if reference != "today" or today != RAW:
            by[reference] = savings_of_ledger(ledger, priced, against=reference, seed=seed)
    chosen = "today" if "today" in by else "raw"
    found = by[chosen]
    value = found.saving_json()
    value["against"] = _REFERENCES[chosen]
    value["by_reference"] = [_ends(by[key], _REFERENCES[key]) for key in by]
    value["tariff"] = {"name": given.name, "example": given.example}
    value["assumptions"] = [*volume.assumptions, *value["assumptions"]]
    value["sensitivity"] = [
        {"key": f"sensitivity.{s['what']}", "values": {"change": _change(s["change"])},
         "value": s["value"]}
        for s in value["sensitivity"]
    ]  # fmt: skip
    beside = "best" if "best" in by else chosen
    ends = _ends(by[beside], _REFERENCES[beside])
    low, high = value["low"], value["high"]
    return Money(
        value,
        (ends["low"], ends["value"], ends["against"]),
        value["yearly"]["value"],
        value["payback_months"],
        given.currency,
        None if low is None or high is None else (low, value["value"], high),
    )


def _ends(found: LedgerSavings, against: str) -> dict[str, Any]:
    value = found.saving_json()
    return {"against": against, "value": value["value"], "low": value["low"], "high": value["high"]}


def _change(text: str) -> float:
    """`+20 %` as 0.2."""
    return float(text.replace("%", "").replace(" ", "")) / 100.0
