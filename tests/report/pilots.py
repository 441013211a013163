"""Facts as `rdedge pilot` writes them, by hand: good, poor, too few, and hostile."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

Pilot = dict[str, Any]
Arrays = dict[str, np.ndarray]

RAW = 360 * 64
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)> ' & </title></svg></style>",
    "\u202eevil\u2066 \x1b[31m \x00",
    "שלום {0} {a.b:money} %s",
    "x" * 10_000,
    "https://example.com/a.png",
)


def point(
    codec: str, setting: str, bits: float, psnr: float | None, score: float | None, **more: Any
) -> Pilot:
    size = round(bits * RAW / 8)
    return {
        "codec": codec,
        "setting": setting,
        "bits_per_element": bits,
        "kind": "actual",
        "bytes": size,
        "saved": 1 - size / RAW,
        "distortion": {"metric": "psnr", "value": psnr},
        "score": score,
        "learned": codec == "rdedge",
        "packetised": True,
        **more,
    }


def curve() -> list[Pilot]:
    points = [
        point("rdedge", f"step {step}", bits, psnr, 0.97 - 0.16 * math.exp(-(psnr - 14) / 3))
        for step, bits, psnr in (
            (1.4, 0.62, 17.9),
            (1.0, 0.81, 20.1),
            (0.7, 1.05, 22.6),
            (0.5, 1.38, 25.3),
        )
    ]
    for codec, bits in (
        ("WebP", 2.1),
        ("JPEG", 2.9),
        ("JPEG XL", 1.7),
        ("AVIF", 3.1),
        ("zstd dictionary", 1.9),
    ):
        points += [
            point(codec, f"quality {q}", bits * f, psnr, 0.97 - 0.19 * math.exp(-(psnr - 14) / 3))
            for q, f, psnr in ((30, 0.7, 18.2), (60, 1.0, 21.0), (85, 1.5, 25.8))
        ]
    points.append(point("zstd", "level 19", 2.92, None, 0.9695))
    return points


def digits() -> tuple[Pilot, Arrays]:
    """A good pilot of small pictures, with a task and money."""
    points = curve()
    chosen, today, best = points[1], points[5], points[10]

    def against(name: str, p: Pilot | None) -> Pilot:
        size = RAW if p is None else p["bytes"]
        return {
            "against": name,
            "codec": None if p is None else p["codec"],
            "setting": None if p is None else p["setting"],
            "bytes": size,
            "saved": 1 - chosen["bytes"] / size,
        }

    pilot: Pilot = {
        "version": 1,
        "created": "2026-11-27",
        "seed": 0,
        "machine": {
            "processor": "x86_64",
            "cores": 2,
            "python": "3.11",
            "rdedge": "0.1.0",
        },
        "command": "rdedge pilot digits --task rdedge.tasks.digits:accuracy -o pilot",
        "minutes": {"budget": 5, "spent": 3.82},
        "data": {
            "path": "digits",
            "kind": "image",
            "samples": 1797,
            "train": 1437,
            "held_out": 360,
            "shape": [8, 8, 1],
            "dtype": "uint8",
            "raw_bytes": RAW,
            "unit_of_rate": "bit/pixel",
            "split": {"by": "group", "why": {"key": "split.group", "values": {"column": "writer"}}},
            "checks": [
                {"status": "ok", "key": "check.kind", "values": {"samples": 1797}},
                {"status": "ok", "key": "check.no-gaps", "values": {}},
                {
                    "status": "warn",
                    "key": "check.duplicates",
                    "values": {"count": 3, "share": 3 / 1797},
                },
            ],
        },
        "bound": {
            "metric": "psnr",
            "value": 20.0,
            "proposed": True,
            "scope": "every",
            "why": [
                {"key": "bound.noise", "values": {"value": 27.4}},
                {"key": "bound.knee", "values": {"value": 21.7}},
                {"key": "bound.task", "values": {"value": 20.04, "fall": 0.02}},
            ],
        },
        "curve": points,
        "task": {
            "name": "rdedge.tasks.digits:accuracy",
            "raw_score": 0.9694,
            "fall": 0.02,
            "higher_is_better": True,
            "chosen_score": chosen["score"],
            "bound_score": 0.9494,
        },
        "chosen": {
            "run": 1,
            "model": "mlp",
            "bits_per_element": chosen["bits_per_element"],
            "bytes": chosen["bytes"],
            "saved": chosen["saved"],
            "distortion": chosen["distortion"],
            "fallback_share": 0.0139,
            "promise": {"kept": True, "over": 0, "of": 360},
        },
        "best_classical": best,
        "today": today,
        "notes": [
            {"key": "curve.one_model", "values": {"steps": 4}},
            {"key": "curve.left_out", "values": {"codecs": ["JPEG 2000", "lzma"]}},
        ],
        "comparison": [
            against("raw", None),
            against("today", today),
            against("best-classical", best),
        ],
        "saving": {
            "currency": "EUR",
            "per": "device-month",
            "against": "today",
            "value": 3.4182,
            "low": 2.9731,
            "high": 3.8817,
            "confidence": 0.9,
            "by_reference": [
                {"against": "raw", "value": 11.2043, "low": 10.31, "high": 12.0877},
                {"against": "today", "value": 3.4182, "low": 2.9731, "high": 3.8817},
                {"against": "best-classical", "value": 2.1049, "low": 1.7022, "high": 2.5},
            ],
            "yearly": {"devices": 500, "value": 20509.2, "low": 17838.6, "high": 23290.2},
            "payback_months": 8.78,
            "tariff": {"name": "lte-example", "example": True},
            "assumptions": [
                {"key": "assumption.volume", "values": {"samples": 43200}},
                {"key": "assumption.devices", "values": {"devices": 500}},
                {"key": "saving.example-tariff", "values": {"name": "lte-example"}},
                {"key": "saving.wire-estimated", "values": {"protocol": "mqtt"}},
                {"key": "saving.drawn", "values": {"devices": 4, "units": 28, "block": 4}},
            ],
            "sensitivity": [
                {"key": "sensitivity.price", "values": {"change": -0.2}, "value": 2.7346},
                {"key": "sensitivity.price", "values": {"change": 0.2}, "value": 4.1018},
                {"key": "sensitivity.volume", "values": {"change": -0.5}, "value": 1.7091},
                {"key": "sensitivity.fallback", "values": {"change": 1.0}, "value": 3.3321},
            ],
        },
        "inference": {
            "profile": "jetson-orin-nano",
            "ms": 0.184,
            "low_ms": 0.0613,
            "high_ms": 0.552,
            "kind": "estimated",
            "how": {
                "key": "how.gpu",
                "values": {
                    "profile": "jetson-orin-nano",
                    "multiply_adds": 52480,
                    "gpu_share": 0.2,
                    "memory_share": 0.5,
                    "calls": 7,
                    "slower_core": 2.0,
                },
            },
        },
        "verdict": {
            "answer": "go-with-fallback",
            "reasons": [
                {"key": "reason.saves-money", "values": {"value": 3.4182, "against": "today"}},
                {
                    "key": "reason.saves-bytes",
                    "values": {"saved": 0.6143, "codec": "WebP", "setting": "quality 60"},
                },
                {"key": "reason.task-holds", "values": {"fall": 0.0107, "allowed": 0.02}},
                {"key": "reason.fallback", "values": {"share": 0.0139}},
            ],
            "alternative": {"codec": "WebP", "setting": "quality 30", "share_of_saving": 0.694},
        },
        "samples": {
            "shown": [
                {"index": i, "distortion": d, "bytes": b}
                for i, d, b in ((4, 20.6, 7), (120, 21.3, 6), (233, 20.1, 7), (301, 20.02, 8))
            ],
            "worst": [
                {"index": 77, "distortion": 20.0004, "bytes": 11},
                {"index": 318, "distortion": None, "bytes": 31},
            ],
            "difference_range": 11,
        },
        "redo": [
            {
                "figure": "all",
                "command": "rdedge pilot digits --task rdedge.tasks.digits:accuracy -o pilot",
            },
            {
                "figure": "curve",
                "command": "rdedge curve runs/* -o curve --task rdedge.tasks.digits:accuracy",
            },
            {"figure": "saving", "command": "rdedge savings ledger --tariff lte-example"},
            {"figure": "bundle", "command": "rdedge check bundle.rdb"},
            {"figure": "stages", "command": "rdedge review LEDGER --plan stages.toml"},
        ],
        "files": ["curve.csv", "bundle.rdb", "ledger", "stages.toml"],
    }
    rng = np.random.default_rng(0)
    arrays: Arrays = {}
    for prefix, n in (("x", 4), ("worst_x", 2)):
        x = (16 * _blobs(rng, n)).astype(np.uint8)
        arrays[prefix] = x
        noisy = np.rint(x + rng.normal(0, 1.2, x.shape))
        arrays[f"{prefix}_hat"] = np.clip(noisy, 0, 16).astype(np.uint8)
    return pilot, arrays


def _blobs(rng: np.random.Generator, n: int) -> np.ndarray:
    y, x = np.mgrid[:8, :8] / 7.0
    made = []
    for _ in range(n):
        a, b = rng.uniform(0.3, 0.7, 2)
        made.append(np.exp(-(((np.hypot(x - a, y - b) - 0.3) / 0.12) ** 2)))
    return np.array(made)[..., None]


def series() -> tuple[Pilot, Arrays]:
    """A pilot of windows with gaps: no task, no money; it says go by bytes."""
    pilot, _ = digits()
    pilot = copy.deepcopy(pilot)
    pilot["data"] |= {"path": "skab", "kind": "series", "shape": [128, 8], "dtype": "float32"}
    pilot["data"]["unit_of_rate"] = "bits/value"
    pilot["task"] = pilot["saving"] = None
    pilot["bound"] = {"metric": "nrmse", "value": 0.1, "proposed": False, "why": []}
    for p in pilot["curve"]:
        p["score"] = None
        value = p["distortion"]["value"]
        error = None if value is None else 10 ** (-value / 20)
        p["distortion"] = {"metric": "nrmse", "value": error}
    pilot["chosen"]["distortion"] = pilot["curve"][1]["distortion"]
    pilot["verdict"] = {
        "answer": "go",
        "reasons": [{"key": "reason.promise-kept", "values": {"of": 360}}],
        "alternative": None,
    }
    for sample in pilot["samples"]["shown"] + pilot["samples"]["worst"]:
        sample["distortion"] = 0.0973
    rng = np.random.default_rng(1)
    arrays: Arrays = {}
    for prefix, n in (("x", 4), ("worst_x", 2)):
        x = np.cumsum(rng.normal(0, 1, (n, 128, 8)), axis=1).astype(np.float32)
        x_hat = (x + rng.normal(0, 0.4, x.shape)).astype(np.float32)
        x[:, 40:52, 2] = np.nan
        x_hat[:, 40:52, 2] = np.nan
        arrays |= {prefix: x, f"{prefix}_hat": x_hat}
    return pilot, arrays


def do_not() -> tuple[Pilot, Arrays]:
    """A classical codec is nearly as good, and rdedge sends more than it."""
    pilot, arrays = digits()
    pilot["verdict"] = {
        "answer": "do-not",
        "reasons": [
            {
                "key": "reason.classical-close",
                "values": {"codec": "WebP", "setting": "quality 30", "more": 0.021},
            }
        ],
        "alternative": {"codec": "WebP", "setting": "quality 30", "share_of_saving": 0.98},
    }
    pilot["comparison"][2]["saved"] = -0.083
    # A pilot of one day has no interval.
    for saving in (pilot["saving"], pilot["saving"]["yearly"]):
        saving["low"] = saving["high"] = None
    pilot["saving"]["by_reference"][2] |= {"value": -0.2113, "low": -0.9, "high": 0.31}
    pilot["saving"]["currency"] = "JPY"
    return pilot, arrays


def too_few() -> tuple[Pilot, Arrays]:
    """40 samples: nothing was trained, nothing can be said."""
    pilot, _ = digits()
    pilot["data"] |= {"samples": 40, "train": 30, "held_out": 10}
    pilot["data"]["checks"] = [
        {
            "status": "stop",
            "key": "check.few",
            "values": {"samples": 40, "needed": 200, "needed_held_out": 40, "within_percent": 10.0},
        }
    ]
    for name in ("bound", "task", "chosen", "best_classical", "today", "saving", "inference"):
        pilot[name] = None
    pilot |= {"curve": [], "comparison": [], "samples": {"shown": [], "worst": []}}
    needs = {"samples": 40, "needed": 200, "train": 160, "held_out": 40}
    pilot["verdict"] = {
        "answer": "too-few",
        "reasons": [{"key": "reason.too-few", "values": needs}],
        "alternative": None,
    }
    return pilot, {}


def hostile() -> tuple[Pilot, Arrays]:
    """Names that want to be markup, code, or another direction of text."""
    pilot, arrays = digits()
    for i, p in enumerate(pilot["curve"]):
        if p["codec"] != "rdedge":
            p["codec"] = HOSTILE[i % len(HOSTILE)] + p["codec"]
        p["setting"] = HOSTILE[(i + 1) % len(HOSTILE)]
    pilot["data"]["path"] = HOSTILE[1]
    pilot["task"]["name"] = HOSTILE[4]
    pilot["machine"]["processor"] = HOSTILE[3]
    pilot["saving"]["tariff"]["name"] = HOSTILE[0]
    pilot["saving"]["currency"] = HOSTILE[0]
    pilot["redo"][0]["command"] = f"rdedge pilot '{HOSTILE[0]}' {HOSTILE[2]}"
    pilot["inference"]["profile"] = HOSTILE[2]
    pilot["verdict"]["reasons"][1]["values"] |= {"codec": HOSTILE[5], "setting": HOSTILE[1]}
    pilot["data"]["split"]["why"]["values"]["column"] = HOSTILE[0]
    return pilot, arrays


ALL = {
    "digits": digits,
    "series": series,
    "do-not": do_not,
    "too-few": too_few,
    "hostile": hostile,
}
