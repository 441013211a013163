"""`savings LEDGER`: every figure again in plain Python, from the rows alone."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from rdedge.cli.group import run
from rdedge.errors import ConfigError, FormatError
from rdedge.flows.ledger import savings_of_ledger
from rdedge.format.packet import Run
from rdedge.ledger.record import runs_text
from rdedge.ledger.roll import roll
from rdedge.ledger.schema import PacketRow
from rdedge.ledger.tariff import Fleet, load, with_fleet
from rdedge.ledger.wire import Interval, apportion
from tests.ledger.rows import DAY, START, fleet, instead, packet, writer_of
from tests.report.redo import on_the_wire


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Three devices, 20 days, half of it rolled; today's codec on some packets."""
    rows = fleet()
    others = [
        instead(device=r.device, stream=r.stream, time_ns=r.time_ns, bytes=900 + i % 300)
        for i, r in enumerate(rows[::7])
    ]
    others += [
        replace(o, place=1, codec="webp", setting="quality 30", kind="equal", bytes=150)
        for o in others
    ]
    writer = writer_of(tmp_path / "led")
    writer.append(rows[:130], others[:20])
    writer.roll()
    roll(tmp_path / "led")
    writer.append(rows[130:], others[20:])
    return tmp_path / "led"


STEPS = ((0, 100, "0.02"), (100, 1000, "0.01"), (1000, None, "0.005"))


def price(mb: Fraction) -> Fraction:
    total = Fraction(0)
    for low, high, cost in STEPS:
        top = mb if high is None else min(mb, Fraction(high))
        total += max(Fraction(0), top - low) * Fraction(Decimal(cost))
    return total


def monthly(rows: list[PacketRow], sizes: list[int]) -> Fraction:
    """What a device and month costs by lte-steps: wire in steps, storage, broker."""
    wire: dict[str, int] = defaultdict(int)
    kept: dict[str, int] = defaultdict(int)
    messages: dict[str, int] = defaultdict(int)
    for row, n in zip(rows, sizes, strict=True):
        wire[row.device] += on_the_wire(n)
        kept[row.device] += n
        messages[row.device] += max(1, math.ceil(n / 5120))
    total = Fraction(0)
    for device in wire:
        times = [r.time_ns // DAY for r in rows if r.device == device]
        month = Fraction(1461, 48) / (max(times) - min(times) + 1)
        total += price(wire[device] * month / 10**6)
        total += kept[device] * month / 10**9 * Fraction("0.023") * 24
        total += messages[device] * month / 10**6
    return total / len(wire)


def test_every_amount_again_in_plain_python(ledger: Path) -> None:
    rows = fleet()
    found = savings_of_ledger(ledger, load(Path("lte-steps"))).to_json()
    made: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for i, r in enumerate(rows[::7]):
        made[r.stream][0] += 900 + i % 300
        made[r.stream][1] += 2560
    ratio = {stream: a / b for stream, (a, b) in made.items()}
    today = [math.ceil(r.raw_bytes * ratio[r.stream]) for r in rows]
    ours = monthly(rows, [r.payload_bytes for r in rows])
    assert found["bills"]["ours"]["total"] == round(ours * 10**6) / 1e6
    assert found["bills"]["today"]["total"] == round(monthly(rows, today) * 10**6) / 1e6
    assert found["bills"]["raw"]["total"] == round(monthly(rows, [2560] * 240) * 10**6) / 1e6
    saving = found["saving"]
    assert saving["against"] == "today"
    assert saving["value"] == round((monthly(rows, today) - ours) * 10**6) / 1e6
    assert saving["low"] < saving["value"] < saving["high"]
    value = monthly(rows, today) - ours
    year = 36 * value - 5000
    assert saving["yearly"]["value"] == round(year * 10**6) / 1e6
    assert saving["payback_months"] is None
    assert saving["yearly"]["once"] == 20_006
    assert any(one["key"] == "saving.example-tariff" for one in saving["assumptions"])
    changed = {(one["what"], one["change"]): one["value"] for one in saving["sensitivity"]}
    assert changed["our-bytes", "+10 %"] < saving["value"] < changed["volume", "+20 %"]


def test_every_sum_again_in_plain_python(ledger: Path) -> None:
    rows = fleet()
    found = savings_of_ledger(ledger).to_json()
    total = found["totals"]
    assert total["packets"] == len(rows)
    assert total["raw_bytes"] == sum(r.raw_bytes for r in rows)
    assert total["ours_payload"] == sum(r.payload_bytes for r in rows)
    assert total["ours_wire"] == sum(on_the_wire(r.payload_bytes) for r in rows)
    assert total["fallback_share"] == sum(r.fallback_samples for r in rows) / 2400
    assert total["kept_share"] == total["promised_share"] == 1.0
    for column, key in (("device", "device"), ("stream", "stream")):
        for group in found[f"by_{column}"]:
            mine = [r for r in rows if getattr(r, key) == group[column]]
            assert group["packets"] == len(mine)
            assert group["ours_payload"] == sum(r.payload_bytes for r in mine)
    assert len(found["by_day"]) == 20
    assert found["by_day"][0]["day"] == "2026-01-05"
    for name in ("by_device", "by_stream", "by_day"):
        assert sum(g["ours_payload"] for g in found[name]) == total["ours_payload"]
        assert sum(g["saved"] for g in found[name]) == pytest.approx(total["saved"], abs=1e-9)
    # A megabyte on the wire costs one, where there is no tariff.
    wire = total["today_wire"] - total["ours_wire"]
    assert total["saved"] == pytest.approx(wire / 1e6, abs=2e-4)
    for d in found["distortion"]:
        mine = sorted(
            r.distortion or 0.0 for r in rows if (r.device, r.stream) == (d["device"], d["stream"])
        )
        assert d["worst"] == mine[-1]
        assert d["median"] == mine[math.ceil(0.5 * len(mine)) - 1]
        assert d["p95"] == mine[math.ceil(0.95 * len(mine)) - 1]
    assert [c["codec"] for c in found["codecs"]] == ["gzip", "webp"]


def test_what_it_is_held_against(ledger: Path, tmp_path: Path) -> None:
    values = {
        a: savings_of_ledger(ledger, against=a).to_json()["saving"]["value"]
        for a in ("raw", "today", "best")
    }
    assert values["raw"] > values["today"] > values["best"] > 0
    writer_of(tmp_path / "alone").append(fleet())
    assert savings_of_ledger(tmp_path / "alone").against == "raw"
    with pytest.raises(ConfigError, match="instead"):
        savings_of_ledger(tmp_path / "alone", against="today")


def test_what_sockets_counted_stands_in_for_the_estimate(tmp_path: Path) -> None:
    rows = fleet()
    writer = writer_of(tmp_path)
    writer.append(rows)
    some = rows[:40]
    payload = sum(r.payload_bytes for r in some)
    interval = Interval("pump-0", START, START + DAY, "lte", payload + 5000, 700)
    row, sent = apportion(interval, some, frozenset({0}))
    writer.append(intervals=[row], sent=sent)
    found = savings_of_ledger(tmp_path).to_json()
    # The first of them had been sent before: its bytes come on top.
    rest = sum(on_the_wire(r.payload_bytes) for r in (rows[0], *rows[40:]))
    assert found["totals"]["ours_wire"] == payload + 5700 + rest
    assert found["wire"]["kind"] == "mixed"
    assert found["wire"]["measured_bytes"] == payload + 5700


def test_samples_a_day_stand_in_for_times(tmp_path: Path) -> None:
    """A ledger of minutes, as compress makes one of files without times."""
    rows = [packet(time_ns=START + i * 10**9, payload_bytes=50 + i % 9) for i in range(120)]
    writer_of(tmp_path).append(rows)
    tariff = with_fleet(load(Path("satellite")), Fleet(samples_day=600.0, devices=40))
    found = savings_of_ledger(tmp_path, tariff).to_json()
    month = Fraction(1461, 48) / (Fraction(1200) / 600)
    billed = sum(math.ceil(r.payload_bytes / 10) * 10 for r in rows) * month / 1000
    raw = 120 * (7 * 340 + 180) * month / 1000
    assert found["saving"]["value"] == round((raw - billed) * 10**6) / 1e6
    assert found["saving"]["yearly"]["devices"] == 40
    assert found["saving"]["low"] < found["saving"]["value"] < found["saving"]["high"]


def test_a_ledger_of_one_packet_has_no_interval(tmp_path: Path) -> None:
    writer_of(tmp_path).append([packet()])
    saving = savings_of_ledger(tmp_path).to_json()["saving"]
    assert saving["low"] is None
    assert saving["value"] > 0


def test_psnr_is_a_minimum(tmp_path: Path) -> None:
    rows = [
        packet(metric="psnr", bound=30.0, distortion=30.0 + i, time_ns=START + i)
        for i in range(100)
    ]
    rows.append(packet(metric="psnr", bound=30.0, distortion=math.inf))
    writer_of(tmp_path).append(rows)
    (d,) = savings_of_ledger(tmp_path).to_json()["distortion"]
    assert (d["worst"], d["p95"]) == (30.0, 35.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"samples": 0},
        {"payload_bytes": -5},
        {"raw_bytes": 1 << 60},
        {"fallback_samples": 11},
        {"over": 11},
        {"distortion": -1.0},
        {"time_ns": -(1 << 63) + 1},
    ],
)
def test_values_that_no_ledger_holds_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    writer_of(tmp_path).append([*fleet(), packet(**wrong)])
    with pytest.raises(FormatError, match=f"{next(iter(wrong))} out of range"):
        savings_of_ledger(tmp_path)


def test_names_of_anybody_do_no_harm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "'; DROP TABLE packets; -- <script>alert(1)</script>"
    writer_of(tmp_path / evil.replace("/", "")).append([packet(device=evil, stream=evil)])
    page = tmp_path / "x.html"
    assert run(["savings", str(tmp_path / evil.replace("/", "")), "--html", str(page)]) == 0
    assert "<script>" not in page.read_text("utf-8")
    assert evil in capsys.readouterr().out


def test_the_command(ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, page = tmp_path / "o.csv", tmp_path / "o.html"
    arguments = ["savings", str(ledger), "--tariff", "lte-steps", "--csv", str(table)]
    assert run([*arguments, "--html", str(page)]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("EUR 0.")
    assert "saved per device and month (90% interval: EUR" in first
    assert "EXAMPLE" in "\n".join(rest)
    assert "EXAMPLE" in page.read_text("utf-8")
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 3 * 2 * 20
    assert sum(int(line["ours_payload"]) for line in lines) == sum(r.payload_bytes for r in fleet())
    assert run([*arguments, "--html", str(page)]) == 1
    assert "exists" in capsys.readouterr().err
    assert run(["savings", str(ledger), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["saving"]["currency"] == "MB"
    assert run(["savings", str(ledger), "--png", "x.png"]) == 2
    for name, start in (("s.png", b"\x89PNG"), ("s.svg", b"<?xml")):
        assert run(["savings", str(ledger), "--plot", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_bytes().startswith(start)
    assert run(["savings", str(ledger), "--plot", str(tmp_path / "s.pdf")]) == 2
    assert "expected: a name in .png or .svg" in capsys.readouterr().err
    assert run(["savings", str(tmp_path / "none")]) == 1
    (tmp_path / "t.toml").write_text('name = "t"\n')
    assert run(["savings", str(ledger), "--tariff", str(tmp_path / "t.toml")]) == 2
    assert "currency" in capsys.readouterr().err


def test_a_damaged_part_is_said_and_the_exit_code_says_it(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (ledger / "part-bad.sqlite").write_bytes((ledger / "open.sqlite").read_bytes()[:9000])
    assert run(["savings", str(ledger)]) == 1
    assert "DAMAGED: of part-bad.sqlite" in capsys.readouterr().err


def test_runs_are_named() -> None:
    runs = (Run(0, 3, 40), Run(2, 0, 2))
    assert runs_text(runs, ("steps", "zstd")) == "learned@3*40,zstd@0*2"
