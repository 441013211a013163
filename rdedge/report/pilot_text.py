"""What `rdedge pilot` prints: the verdict, and the figures that it rests on."""

from __future__ import annotations

from typing import Any


def pilot_text(value: dict[str, Any]) -> str:
    """value: pilot.json. The page for people is report.html."""
    data, found = value["data"], value["verdict"]
    lines = [f"verdict: {found['answer']}"]
    lines += [f"  {r['key']}: {_said(r['values'])}" for r in found["reasons"]]
    lines.append(
        f"data: {data['samples']:,} samples of kind {data['kind']}, {data['dtype']}, "
        f"{data['held_out']:,} held out by {data['split']['by']}"
    )
    lines += [
        f"  {c['status']} {c['name']}: {c['key']} {_said(c['values'])}"
        for c in data["checks"]
        if c["status"] != "ok"
    ]
    chosen, bound, best = value["chosen"], value["bound"], value["best_classical"]
    if chosen is None:
        return "\n".join(lines)
    proposed = "proposed" if bound["proposed"] else "asked for"
    lines.append(f"promise: {bound['metric']} {bound['value']:g} for every sample ({proposed})")
    kept = chosen["promise"]
    lines.append(
        f"rdedge ({chosen['model']}): {chosen['bits_per_element']:.4f} bits an element with the "
        f"promise, {kept['of'] - kept['over']} of {kept['of']} samples keep it, fallbacks "
        f"{100 * chosen['fallback_share']:.1f} %"
    )
    ours = value["curve"][chosen["run"]]
    if best is not None:
        lines.append(
            f"at equal mean distortion {ours['bits_per_element']:.4f} bits an element; best "
            f"classical: {best['codec']} ({best['setting']}) {best['bits_per_element']:.4f}"
        )
    if value["task"] is not None:
        task = value["task"]
        lines.append(
            f"{task['name']}: {task['raw_score']:.4f} raw, {task['chosen_score']:.4f} decoded"
        )
    time = value["inference"]
    lines.append(f"inference on {time['profile']}: about {time['ms']:.3g} ms a sample (estimated)")
    return "\n".join(lines)


def _said(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items()
    )
