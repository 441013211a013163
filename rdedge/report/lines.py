"""Pages on logs for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rdedge.report.text import size, table


def savings_text(found: Mapping[str, Any]) -> str:
    """found: what LineSavings.to_json gives."""
    blocks, raw = found["samples"], found["raw_bytes"]

    def row(label: str, count: int) -> tuple[str, ...]:
        return (label, size(count), f"{count / blocks:.1f}", f"{raw / count:.2f}")

    rows = [
        row("raw", raw),
        row(f"packets, {found['packets']:,}", found["payload_bytes"]),
        row("container, all included", found["container_bytes"]),
    ]
    rows += [row(_label(one), one["size_bytes"]) for one in found.get("classical", [])]
    saved = 100.0 * (1.0 - found["container_bytes"] / raw)
    word = f"{saved:.1f} % saved" if saved >= 0 else f"nothing saved, {-saved:.1f} % more"
    lines = [
        (
            f"{word}: {size(raw)} in {blocks:,} blocks of {found['lines']} lines became "
            f"{size(found['container_bytes'])}; every byte comes back"
        ),
        "",
        table(("", "bytes", "a block", "ratio"), rows),
        "",
        f"the dictionary, {size(found['dictionary_bytes'])}, is carried once, in the bundle",
    ]
    return "\n".join(lines)


def training_lines(card: Mapping[str, Any]) -> list[str]:
    """card: the scorecard of a run on lines."""
    held, one = card["held_out"], card["dictionary"]
    ours, blocks = held["packet_bytes"], held["blocks"]
    found = [
        (
            f"{held['lines']:,} held-out lines in {blocks:,} blocks of {card['lines']}: "
            f"{size(held['bytes'])} -> {size(ours)} ({held['bytes'] / ours:.2f} to 1), "
            f"{ours / blocks:.1f} bytes a block, packet by packet, all included"
        ),
        f"dictionary: {size(one['bytes'])}, {one['kind']}; zstd level {card['level']}",
    ]
    for rival in held["rivals"]:
        share = 100.0 * ours / rival["size_bytes"]
        found.append(f"{share:.1f} % of the bytes of {_label(rival)}: {size(rival['size_bytes'])}")
    return found + _paid(held["rivals"], ours, blocks, one["bytes"])


def _paid(rivals: Sequence[Mapping[str, Any]], ours: int, blocks: int, carried: int) -> list[str]:
    """When a dictionary that has to be sent itself has earned its bytes."""
    plain = next(r["size_bytes"] for r in rivals if r["codec"] == "zstd" and r["each_block"])
    if plain <= ours:
        return ["against plain zstd the dictionary saves nothing on held-out lines"]
    after = -(-carried * blocks // (plain - ours))
    return [f"against plain zstd the dictionary has paid for itself after {after:,} blocks"]


def _label(one: Mapping[str, Any]) -> str:
    how = "block by block" if one["each_block"] else "all in one file"
    return f"{one['codec']} ({one['setting']}), {how}"
