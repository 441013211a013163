"""Tariffs and what they make of quantities."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdedge.errors import ConfigError
from rdedge.ledger import base as duck
from rdedge.ledger.money import (
    bill,
    bills,
    micro,
    satellite_bytes,
    satellite_sql,
    step_price,
)
from rdedge.ledger.tariff import Plan, Satellite, Step, Tariff, examples, fraction, load
from rdedge.ledger.wire import (
    PROTOCOLS,
    Interval,
    Link,
    _parts,
    apportion,
    wire_bytes,
    wire_sql,
)
from tests.ledger.rows import packet

STEPS = (Step(100.0, 0.01, 1000.0), Step(0.0, 0.02, 100.0), Step(1000.0, 0.005))
TARIFF = Tariff("t", "EUR", steps=STEPS)
volumes = st.fractions(0, 10**5, max_denominator=10**6)


def test_a_price_in_steps_by_hand() -> None:
    assert step_price(Fraction(50), TARIFF) == Fraction(1)
    assert step_price(Fraction(1500), TARIFF) == 2 + 9 + Fraction(5, 2)
    assert fraction(0.1) == Fraction(1, 10)
    assert micro(Fraction(1, 3)) == 333_333
    assert micro(Fraction(5, 2 * 10**6)) == 2


@given(volumes, volumes)
def test_more_bytes_never_cost_less(a: Fraction, b: Fraction) -> None:
    low, high = sorted((a, b))
    assert step_price(low, TARIFF) <= step_price(high, TARIFF)
    # Adjacent volumes add up: each megabyte has the price of its own step.
    assert step_price(high, TARIFF) - step_price(low, TARIFF) <= (high - low) * Fraction(2, 100)


@given(st.lists(volumes, min_size=1, max_size=5), st.integers(1, 4))
def test_arrays_give_what_fractions_give(mb: list[Fraction], more: int) -> None:
    months = [(v * 10**6, v * 1000, v, v * 10**5, v * more) for v in mb]
    array = np.array([[float(m[q]) for m in months] for q in range(5)])[:, :, None]
    once = np.ones((len(mb), 1))
    plans = (Plan("a", 1.5, 50.0, 0.04), Plan("b", 12.0, 5000.0, 0.01))
    for tariff in (
        TARIFF,
        Tariff("t", "EUR", plans=plans),
        Tariff("t", "EUR", satellite=Satellite(1.5, 0.1)),
        load(Path("lte-steps")),
    ):
        exact = float(bill(months, tariff).total)
        assert bills(array, once, tariff)[0] == pytest.approx(exact, rel=1e-12, abs=1e-12)


def test_pooled_cards_share_their_volume_and_the_cheapest_plan_wins() -> None:
    plans = (Plan("small", 1.0, 10.0, 1.0), Plan("large", 5.0, 100.0, 1.0))
    tariff = Tariff("t", "EUR", plans=plans)

    def month(mb: int) -> tuple[Fraction, ...]:
        return (Fraction(mb * 10**6), *[Fraction(0)] * 4)

    # 2 and 18 MB fit into twice 10; apart, the second would pay for 8.
    assert bill([month(2), month(18)], tariff).sending == 1
    found = bill([month(50), month(30)], tariff)
    assert (found.sending, found.plan) == (5, "large")


@given(st.integers(0, 5000), st.integers(1, 60), st.integers(1, 40), st.integers(0, 400))
def test_satellite_messages(n: int, least: int, step: int, more: int) -> None:
    rules = Satellite(1.0, min_bytes=least, step_bytes=step, max_bytes=least + more)
    billed, messages = satellite_bytes(n, rules)
    assert messages == max(1, -(-n // rules.max_bytes))
    assert billed >= max(n, least * messages)
    assert billed <= n + messages * max(step, least)
    assert satellite_bytes(n + 1, rules)[0] >= billed or (n + 1) % rules.max_bytes == 1


def test_the_engine_bills_satellite_messages_as_python_does() -> None:
    base = duck.duckdb().connect()
    base.register("s", {"n": np.arange(1200)})
    for rules in (Satellite(1.0), Satellite(1.0, 0.0, 30, 10, 340), Satellite(1.0, 0.0, 7, 9, 100)):
        sql = ", ".join(satellite_sql("n", rules))
        found = base.execute(f"SELECT {sql} FROM s ORDER BY n").fetchall()
        assert found == [satellite_bytes(n, rules) for n in range(1200)]
    base.close()


def test_the_engine_estimates_the_wire_as_python_does() -> None:
    sizes = [0, 1, 40, 80, 90, 91, 92, 127, 128, 1300, 1400, 1448, 16_300, 16_400, 3 * 10**6, 10**9]
    base = duck.duckdb().connect()
    base.register("s", {"n": np.array(sizes)})
    for protocol in PROTOCOLS:
        for mtu, topic in ((1500, 32), (576, 1)):
            link = Link(protocol, mtu, topic)
            found = base.execute(f"SELECT {wire_sql('n', link)} FROM s ORDER BY n").fetchall()
            assert [row[0] for row in found] == [wire_bytes(n, link) for n in sizes]
    base.close()


def test_the_wire_by_hand() -> None:
    """100 bytes, topic of 32: MQTT 4 + 32 + 100 + 3 of head, TLS 22, one segment and its ACK of
    52 each, the PUBACK in a record and a segment, and the ACK of that.
    """
    assert wire_bytes(100, Link()) == 136 + 3 + 22 + 2 * 52 + (4 + 22 + 52) + 52
    assert wire_bytes(100, Link("tcp")) == 104 + 104
    assert wire_bytes(100, Link("none")) == 100


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_parts_add_up(total: int, weights: list[int]) -> None:
    parts = _parts(total, weights)
    whole = sum(weights)
    assert sum(parts) == (total if whole else 0)
    for part, weight in zip(parts, weights, strict=True):
        assert abs(Fraction(part) - Fraction(total * weight, max(whole, 1))) < 1


def test_an_interval_is_apportioned() -> None:
    packets = [packet(payload_bytes=100), packet(payload_bytes=300, stream="flow")]
    row, sent = apportion(Interval("pump-1", 5, 9, "lte", 900, 101), packets, frozenset({1}))
    assert [s.wire_bytes for s in sent] == [250, 751]
    assert [s.first for s in sent] == [1, 0]
    assert (row.kind, row.formula, row.payload_bytes) == ("measured", "", 400)
    row, sent = apportion(Interval("pump-1", 5, 9), packets)
    assert (row.kind, row.formula) == ("estimated", wire_sql("n", Link()))
    assert (
        row.up_bytes
        == sum(s.wire_bytes for s in sent)
        == sum(map(wire_bytes, (100, 300), [Link()] * 2))
    )
    with pytest.raises(ConfigError, match="399 bytes up"):
        apportion(Interval("pump-1", 5, 9, "", 399, 0), packets)


def tariff_error(tmp_path: Path, text: str) -> str:
    path = tmp_path / "t.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value)


SOUND = 'name = "t"\ncurrency = "EUR"\n[[steps]]\nfrom_mb = 0\nprice = 1\n'


def test_wrong_tariffs_say_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "fine.toml").write_text(SOUND)
    assert load(tmp_path / "fine.toml").steps == (Step(0.0, 1.0),)
    for text, words in (
        (SOUND.replace('currency = "EUR"', ""), ["'currency' is missing"]),
        (SOUND.replace("EUR", "euros"), ["euros", "ISO 4217"]),
        (SOUND.replace("price", "prize"), ["prize", "'price', perhaps"]),
        ("storag = 3\n" + SOUND, ["storag", "'storage', perhaps"]),
        (
            SOUND + "to_mb = 9\n[[steps]]\nfrom_mb = 5\nprice = 2",
            ["0 to 9 MB", "5 to any", "overlap"],
        ),
        (SOUND + "[[steps]]\nfrom_mb = 5\nprice = 2", ["0 to any MB", "5 to any MB", "overlap"]),
        (SOUND + "to_mb = 4\n[[steps]]\nfrom_mb = 5\nprice = 2", ["no step", "0 to 4", "5 to any"]),
        (SOUND + "to_mb = 4\n", ["leave volumes without a price"]),
        (SOUND.replace("from_mb = 0", "from_mb = 1"), ["leave volumes without a price"]),
        (SOUND + "to_mb = 0\n", ["is empty"]),
        (SOUND.replace("price = 1", "price = -1"), ["price -1"]),
        (SOUND.replace("price = 1", "price = nan"), ["finite"]),
        ('name = "t"\ncurrency = "EUR"\n', ["no price for sending"]),
        (SOUND + "[satellite]\nprice_kb = 1\n", ["steps and satellite"]),
        (SOUND + "[link]\nprotocol = 'carrier pigeon'\n", ["carrier pigeon", "mqtt-tls"]),
        (SOUND + "[fleet]\nseason = 1.5\n", ["season 1.5"]),
        ("name = [", ["not TOML"]),
    ):
        found = tariff_error(tmp_path, text)
        assert all(word in found for word in words), found
    with pytest.raises(ConfigError, match="lte-steps"):
        load(Path("no-such"))


def test_tariffs_that_ship_are_marked_as_examples() -> None:
    assert len(examples()) >= 3
    for name, path in examples().items():
        found = load(Path(name))
        assert found.example
        assert "example" in found.name
        assert path.read_text("utf-8").startswith("# EXAMPLE")
