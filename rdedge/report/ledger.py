"""The page of `rdedge savings LEDGER`: for a terminal, as CSV, as HTML."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

from rdedge.report.text import counted, size, table

_MOST_ROWS = 12
# What an assumption's key says.
_SENTENCES = {
    "saving.example-tariff": "the tariff is an EXAMPLE ({name}): its prices are nobody's",
    "saving.samples-a-day": "a device makes {samples:g} samples a day, as the tariff says",
    "saving.whole-days": "fewer than 14 days: what the ledger holds stands for {whole}",
    "saving.wire-estimated": "bytes on the wire are estimated, of a message a packet by {protocol}",
    "saving.wire-mixed": "bytes on the wire are counted by sockets where they were, else estimated",
    "saving.wire-measured": "bytes on the wire were counted by sockets",
    "saving.reference": "{codec} ({setting}, {kind}) was run on {packets:,} packets; "
    "all others are taken to be alike",
    "saving.no-interval": "no interval: it takes at least {least} days or parts of them",
    "saving.drawn": "the interval draws {drawn} and {units} {what} in blocks of {block}",
    "saving.season-fitted": "the season is in the data, as one wave a year",
    "saving.season-assumed": "no season shows in {whole}: {season:.0%} of the mean is assumed",
    "saving.season-unknown": "no season shows in {whole}: the interval is of a year like "
    "these days, and no wider for what the rest of a year may be (fleet.season in the tariff)",
    "saving.one-device": "one device: the interval says nothing of others",
}


def money(value: float | None, currency: str) -> str:
    """An amount as people read it: two decimals, more where it is small."""
    if value is None:
        return "?"
    if currency == "MB":
        return f"{value:,.3g} MB" if abs(value) < 1000 else f"{value:,.0f} MB"
    digits = 2 if abs(value) >= 0.1 or value == 0 else 4
    return f"{currency} {value:,.{digits}f}"


def sentence(assumption: Mapping[str, Any]) -> str:
    """What an assumption says. assumption: key and values, as LedgerSavings.assumptions has it."""
    values = dict(assumption["values"])
    values["what"] = "days" if values.get("days") is True else "parts of the time"
    for name, key, noun in (("whole", "days", "day"), ("drawn", "devices", "device")):
        if type(values.get(key)) is int:
            values[name] = counted(values[key], noun)
    return _SENTENCES[assumption["key"]].format(**values)


def headline(found: Mapping[str, Any]) -> str:
    """The one line that matters."""
    s = found["saving"]
    currency = s["currency"]
    value = s["value"]
    amount = money(abs(value), currency)
    word = "saved" if value >= 0 else "lost"
    text = f"{amount} {word} per device and month"
    if s["low"] is not None:
        ends = f"{money(s['low'], currency)} to {money(s['high'], currency)}"
        text += f" ({s['confidence']:.0%} interval: {ends})"
    else:
        text += " (too short for an interval)"
    return f"{text}, against {s['against']}"


def savings_text(found: Mapping[str, Any]) -> str:
    """found: what LedgerSavings.to_json gives."""
    s, currency, total = found["saving"], found["saving"]["currency"], found["totals"]
    period = found["period"]
    lines = [headline(found)]
    year = s["yearly"]
    net = f"a year, {counted(year['devices'], 'device')}: {money(year['value'], currency)}"
    if year["low"] is not None:
        net += f" ({money(year['low'], currency)} to {money(year['high'], currency)})"
    if currency != "MB":
        back = s["payback_months"]
        net += (
            f" net of {money(year['running'], currency)} running; {money(year['once'], currency)} "
        )
        net += "once, never paid back" if back is None else f"once, paid back in {back:g} months"
    what = (
        f"{counted(len(found['by_device']), 'device')}, {period['first_day']} to "
        f"{period['last_day']}, {counted(total['packets'], 'packet')}: "
        f"{size(total['raw_bytes'])} became {size(total['ours_payload'])} "
        f"({total['ratio']:.1f} to 1), {size(total['ours_wire'])} on the wire "
        f"({found['wire']['kind']})"
    )
    lines += [net, what, "", _ways(found), ""]
    for column in ("device", "stream", "day"):
        lines += [_groups(found[f"by_{column}"], column, currency), ""]
    lines += _quality(found)
    if found["codecs"]:
        header = ("other codecs, on packets sampled", "packets", "bytes", "ours", "ratio")
        rows = [
            (
                f"{c['codec']} ({c['setting']}, {c['kind']})",
                f"{c['packets']:,}",
                size(c["bytes"]),
                size(c["payload_bytes"]),
                f"{c['ratio']:.2f}",
            )
            for c in found["codecs"]
        ]
        lines += ["", table(header, rows)]
    changed = [
        (f"{r['what']} {r['change']}", money(r["value"], currency)) for r in s["sensitivity"]
    ]
    lines += ["", table(("if", "saved per device and month"), changed), ""]
    lines += [f"- {sentence(one)}" for one in s["assumptions"]]
    lines += [f"- {one}" for one in cuts(found)]
    return "\n".join(lines)


def cuts(found: Mapping[str, Any]) -> list[str]:
    """What of the ledger could not be read."""
    return [
        f"DAMAGED: of {c['name']} only {c['rows']:,} rows could be read: {c['why']}"
        for c in found["cuts"]
    ]


def _ways(found: Mapping[str, Any]) -> str:
    currency, total = found["saving"]["currency"], found["totals"]
    names = {"ours": "rdedge", "raw": "raw", "today": "today", "best": "best classical"}
    rows = []
    for way, b in found["bills"].items():
        rows.append(
            (
                names[way] + (f", plan {b['plan']}" if b["plan"] else ""),
                size(total[f"{way}_payload"]),
                size(total[f"{way}_wire"]),
                *(money(b[part], currency) for part in ("sending", "storage", "broker", "total")),
            )
        )
    header = ("payload, all", "wire, all", "sending", "storage", "broker", "total")
    return table(("a device and month", *header), rows)


_COLUMNS = ("packets", "raw", "sent", "ratio", "wire", "kept", "fallback", "saved")


def _groups(rows: Sequence[Mapping[str, Any]], column: str, currency: str) -> str:
    shown = list(rows)
    if column == "day":
        shown = shown[-_MOST_ROWS:]
    elif len(rows) > _MOST_ROWS:
        shown = sorted(rows, key=lambda r: -int(r["ours_payload"]))[:_MOST_ROWS]
    text = table((column, *_COLUMNS), [(str(r[column]), *_cells(r, currency)) for r in shown])
    if len(shown) < len(rows):
        which = "last" if column == "day" else "largest"
        text += f"\n(the {len(shown)} {which} of {len(rows):,}; --csv has all)"
    return text


def _cells(row: Mapping[str, Any], currency: str) -> tuple[str, ...]:
    kept = row["kept_share"]
    return (
        f"{row['packets']:,}",
        size(row["raw_bytes"]),
        size(row["ours_payload"]),
        f"{row['ratio']:.2f}",
        size(row["ours_wire"]),
        "not measured" if kept is None else f"{kept:.2%}",
        f"{row['fallback_share']:.2%}",
        money(row["saved"], currency),
    )


def _quality(found: Mapping[str, Any]) -> list[str]:
    header = (
        "worst sample of a packet",
        "metric",
        "packets",
        "median",
        "95 % keep",
        "worst",
        "bound",
    )
    rows = [
        (
            f"{d['device']}, {d['stream']}",
            d["metric"],
            f"{d['packets']:,}",
            *(_number(d[k]) for k in ("median", "p95", "worst")),
            _number(d["bound_low"])
            if d["bound_low"] == d["bound_high"]
            else f"{_number(d['bound_low'])} to {_number(d['bound_high'])}",
        )
        for d in found["distortion"][:_MOST_ROWS]
    ]
    more = len(found["distortion"]) - len(rows)
    return [table(header, rows), *([f"({more} more in --json)"] if more > 0 else [])]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def savings_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """rows: what LedgerSavings.by gives; one line for each device, stream and day."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def savings_html(found: Mapping[str, Any]) -> str:
    """One file without script or network: the headline, then the tables."""
    s, currency = found["saving"], found["saving"]["currency"]
    parts = [f"<h1>{html.escape(headline(found))}</h1>"]
    lines = savings_text(found).split("\n")
    parts += [f"<p>{html.escape(line)}</p>" for line in lines[1:3]]
    for column in ("device", "stream", "day"):
        rows = [[str(r[column]), *_cells(r, currency)] for r in found[f"by_{column}"]]
        parts.append(_html_table(f"By {column}", (column, *_COLUMNS), rows))
    rows = [[f"{r['what']} {r['change']}", money(r["value"], currency)] for r in s["sensitivity"]]
    parts.append(_html_table("If something is otherwise", ("if", "saved"), rows))
    said = [sentence(one) for one in s["assumptions"]] + cuts(found)
    items = "".join(f"<li>{html.escape(one)}</li>" for one in said)
    parts.append(f"<h2>What this rests on</h2><ul>{items}</ul>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(headline(found))}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0}"
    "main{max-width:70rem;margin:auto;padding:1rem}h1{font-size:1.5rem}"
    ".t{overflow-x:auto}table{border-collapse:collapse}"
    "th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #8888;white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}"
)


def _html_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<h2>{html.escape(title)}</h2><div class="t" tabindex="0"><table><thead><tr>{head}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )
