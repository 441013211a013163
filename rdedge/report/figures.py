"""How a figure is written: one function for every number of report.html, in each language.

A figure is a raw value at a path of the facts (`saving.value`) and a kind. Nothing is computed here
but the rounding and the unit.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rdedge.errors import ConfigError

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Facts:
    """What a page shows: JSON, read by paths of keys and places joined with dots."""

    data: Mapping[str, Any]
    name: str = "pilot.json"

    def get(self, path: str) -> Any:
        """The value at a path, or None where nothing is there."""
        value: Any = self.data
        for part in path.split("."):
            if isinstance(value, Mapping):
                value = value.get(part)
            elif isinstance(value, list | tuple) and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            else:
                return None
        return value

    def has(self, path: str) -> bool:
        return self.get(path) not in (None, [], {}, "")

    def number(self, path: str) -> float:
        """A number, finite. Raises ConfigError for anything else."""
        value = self.get(path)
        if not isinstance(value, bool) and isinstance(value, int | float):
            with contextlib.suppress(OverflowError):
                if math.isfinite(value):
                    return float(value)
        raise ConfigError(f"{self.name}: {path} is {value!r:.60}", expected="a finite number")

    def text(self, path: str) -> str:
        """A text or a number as it stands; texts in a list are joined with commas."""
        value = self.get(path)
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            return ", ".join(value)
        if not isinstance(value, str | int | float):
            raise ConfigError(f"{self.name}: {path} is {value!r:.60}", expected="a text")
        return str(value)

    def places(self, path: str) -> list[str]:
        """The paths of a list's entries; none where there is no list."""
        value = self.get(path)
        return [f"{path}.{i}" for i in range(len(value))] if isinstance(value, list | tuple) else []


@dataclass(frozen=True)
class Figure:
    """A number on a page. raw: as the facts have it, None for "exact". shown: as it is read."""

    path: str
    kind: str
    raw: float | None
    shown: str


def count(value: float) -> str:
    """1,234."""
    return _sign(f"{value:,.0f}")


def bytes_(value: float) -> str:
    """852 B, 25.4 kB, 3.20 MB: powers of ten."""
    if abs(value) < 1000:
        return _sign(f"{value:.0f} B")
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000.0
        if abs(value) < 999.5 or unit == "TB":
            break
    return f"{significant(value, 3)} {unit}"


def percent(value: float) -> str:
    """93.4%, 12%, 0.31%: one decimal, two below 1 %, none where it is exact without."""
    share = 100.0 * value
    shown = f"{share:,.2f}" if abs(share) < 1 else f"{share:,.1f}"
    return _sign(_trim(shown)) + "%"


def change(value: float) -> str:
    """+20%, with its sign."""
    return ("+" if value >= 0 else "") + percent(value)


def significant(value: float, digits: int = 4) -> str:
    """Four digits, more where they stand before the point: 0.05678, 12.35, 12,346."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else f"{value:g}"
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])  # of the rounded value
    if exponent < -5 or exponent > 14:
        return _sign(f"{value:.{digits - 1}e}")
    return _sign(f"{value:,.{max(0, digits - 1 - exponent)}f}")


def amount(value: float) -> str:
    """Of money: whole from 100 on, two decimals below, two digits below a hundredth."""
    if abs(value) >= 100:
        return f"{abs(value):,.0f}"
    return significant(abs(value), 2) if 0 < abs(value) < 0.01 else f"{abs(value):,.2f}"


def whole_amount(value: float) -> str:
    """Of money in a currency without hundredths (yen): whole from 10 on, two digits below."""
    return f"{abs(value):,.0f}" if abs(value) >= 10 or value == 0 else significant(abs(value), 2)


def number(value: float) -> str:
    """Four digits, without the zeros that a whole number would end in."""
    shown = significant(value)
    return shown if "e" in shown else _trim(shown)


def bits(value: float) -> str:
    """Four decimals, fewer from 10 on."""
    return _sign(f"{value:,.4f}") if abs(value) < 10 else significant(value)


def score(value: float) -> str:
    """Four decimals."""
    return _sign(f"{value:.4f}")


def factor(value: float) -> str:
    """Three digits."""
    return significant(value, 3)


KINDS: dict[str, Callable[[float], str]] = {
    "count": count,
    "bytes": bytes_,
    "percent": percent,
    "change": change,
    "factor": factor,
    "bits": bits,
    "metric": significant,
    "score": score,
    "number": number,
}
WHOLE_CURRENCIES = {"JPY", "KRW", "CLP", "VND", "ISK"}


def _trim(shown: str) -> str:
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _sign(shown: str) -> str:
    return shown.replace("-", MINUS, 1) if shown.startswith("-") else shown
