"""A tariff: what bytes, messages and the work cost, from TOML (docs/ledger.md).

Numbers are taken as they are written: the shortest decimal text of the float that TOML gives is
exact for up to 15 digits, and becomes a fraction. Nothing is rounded until it is shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from importlib import resources
from itertools import pairwise
from pathlib import Path

from rdedge import config
from rdedge.errors import ConfigError
from rdedge.ledger.wire import Link

MB = 10**6
GB = 10**9
MILLION = 10**6


def fraction(value: float) -> Fraction:
    """The number as somebody wrote it: 0.1 is a tenth."""
    return Fraction(Decimal(repr(value)))


def _at_least(least: float, **values: float) -> None:
    for name, value in values.items():
        if value < least:
            raise ConfigError(f"{name} {value:g}", expected=f"{least:g} or more")


@dataclass(frozen=True)
class Step:
    """A price a MB (10^6 bytes) for what a device sends in a month from from_mb up to to_mb; None:
    without end.
    """

    from_mb: float
    price: float
    to_mb: float | None = None

    def __str__(self) -> str:
        return f"from {self.from_mb:g} to {'any' if self.to_mb is None else f'{self.to_mb:g}'} MB"


@dataclass(frozen=True)
class Plan:
    """A plan of SIM cards whose volumes are pooled. fee: a card and month; included_mb: that each
    card adds to the pool; price_over: a MB beyond the pool.
    """

    name: str
    fee: float
    included_mb: float
    price_over: float

    def __post_init__(self) -> None:
        _at_least(0.0, fee=self.fee, included_mb=self.included_mb, price_over=self.price_over)


@dataclass(frozen=True)
class Satellite:
    """Messages that are billed by size: at least min_bytes each, in multiples of step_bytes, cut
    at max_bytes; price_kb: for 1000 billed bytes, price_message: for each message.
    """

    price_kb: float
    price_message: float = 0.0
    min_bytes: int = 1
    step_bytes: int = 1
    max_bytes: int = 340

    def __post_init__(self) -> None:
        _at_least(0.0, price_kb=self.price_kb, price_message=self.price_message)
        _at_least(1, step_bytes=self.step_bytes, min_bytes=self.min_bytes)
        if self.max_bytes < self.min_bytes:
            raise ConfigError(
                f"max_bytes {self.max_bytes}", expected=f"at least min_bytes, {self.min_bytes}"
            )


@dataclass(frozen=True)
class Storage:
    """price: a GB (10^9 bytes) and month; months: that each byte is kept."""

    price: float
    months: float = 12.0

    def __post_init__(self) -> None:
        _at_least(0.0, price=self.price, months=self.months)


@dataclass(frozen=True)
class Broker:
    """price_million: messages; message_bytes: a longer one counts as several."""

    price_million: float
    message_bytes: int = 5120

    def __post_init__(self) -> None:
        _at_least(0.0, price_million=self.price_million)
        _at_least(1, message_bytes=self.message_bytes)


@dataclass(frozen=True)
class Costs:
    """What the saving itself costs: once, and each year; per_device: for each device."""

    engineering: float = 0.0
    engineering_year: float = 0.0
    per_device: float = 0.0
    per_device_year: float = 0.0

    def __post_init__(self) -> None:
        _at_least(0.0, **vars(self))


@dataclass(frozen=True)
class Fleet:
    """What no ledger says. devices: of the whole fleet; None: those of the ledger. samples_day:
    that a device makes; None: as the times in the ledger have it. season: by which share of the
    mean the busiest time of a year exceeds it, for ledgers shorter than a year.
    """

    devices: int | None = None
    samples_day: float | None = None
    season: float = 0.0

    def __post_init__(self) -> None:
        if self.devices is not None:
            _at_least(1, devices=self.devices)
        if self.samples_day is not None and self.samples_day <= 0:
            raise ConfigError(f"samples_day {self.samples_day:g}", expected="more than 0")
        if not 0.0 <= self.season < 1.0:
            raise ConfigError(f"season {self.season:g}", expected="0 to less than 1")


@dataclass(frozen=True)
class Tariff:
    """All of it. name, source: for people; example: whether its figures stand for nobody's prices.

    One way of sending is priced: steps, plans (the cheapest for the fleet is taken) or satellite.
    """

    name: str
    currency: str
    source: str = ""
    example: bool = False
    steps: tuple[Step, ...] = ()
    plans: tuple[Plan, ...] = ()
    satellite: Satellite | None = None
    storage: Storage = Storage(0.0)
    broker: Broker = Broker(0.0)
    costs: Costs = Costs()
    fleet: Fleet = Fleet()
    link: Link = field(default_factory=Link)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise ConfigError(
                f"currency {self.currency!r:.20}",
                expected="three capitals of ISO 4217, such as EUR",
            )
        ways = [
            name
            for name, given in (
                ("steps", self.steps),
                ("plans", self.plans),
                ("satellite", self.satellite),
            )
            if given
        ]
        if len(ways) != 1:
            raise ConfigError(
                f"a tariff with {' and '.join(ways) or 'no price for sending'}",
                expected="one of steps, plans, satellite",
            )
        _check_steps(self.steps)


def _check_steps(steps: tuple[Step, ...]) -> None:
    """Steps in any order must cover every volume from 0 once."""
    order = sorted(steps, key=lambda step: step.from_mb)
    for step in order:
        _at_least(0.0, from_mb=step.from_mb, price=step.price)
        if step.to_mb is not None and step.to_mb <= step.from_mb:
            raise ConfigError(f"the step {step} is empty", expected="to_mb above from_mb")
    for one, other in pairwise(order):
        if one.to_mb is None or one.to_mb > other.from_mb:
            raise ConfigError(
                f"the steps {one} and {other} overlap",
                expected="each to start where the one before it ends",
            )
        if one.to_mb < other.from_mb:
            raise ConfigError(
                f"no step has a price between {one} and {other}",
                expected="each to start where the one before it ends",
            )
    if order and (order[0].from_mb != 0 or order[-1].to_mb is not None):
        raise ConfigError(
            f"steps {order[0]} to {order[-1]} leave volumes without a price",
            expected="the first from 0, the last without to_mb",
        )


def load(path: Path) -> Tariff:
    """Read a tariff; the name of a file, or of an example that ships. Raises ConfigError."""
    shipped = examples()
    if not path.exists() and str(path) in shipped:
        return config.load(shipped[str(path)], Tariff)
    if not path.exists() and not path.suffix:
        raise ConfigError(f"no tariff {path}", expected="a .toml file, or " + ", ".join(shipped))
    return config.load(path, Tariff)


def examples() -> dict[str, Path]:
    """Tariffs that ship, by name; their prices are nobody's."""
    folder = Path(str(resources.files("rdedge.ledger"))) / "tariffs"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


# Without a tariff: megabytes on the wire, as if each cost one.
BYTES_UNIT = "MB"


def bytes_only(fleet: Fleet | None = None, link: Link | None = None) -> Tariff:
    """A tariff that counts megabytes."""
    made = Tariff(
        "megabytes", "XXX", steps=(Step(0.0, 1.0),), fleet=fleet or Fleet(), link=link or Link()
    )
    object.__setattr__(made, "currency", BYTES_UNIT)
    return made


def with_fleet(tariff: Tariff, fleet: Fleet) -> Tariff:
    """The same prices for another fleet."""
    return replace(tariff, fleet=fleet)
