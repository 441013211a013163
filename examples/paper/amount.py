"""The rate at one distortion against the number of samples given, an eighth of which validates."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
from methods import METHODS, fit, parts_of
from settings import Digits, Setting
from tables import by_method, rounded, save, write_csv

COMPARED = ("renyi", "entropy", "both")


def run(setting: Setting, digits: Digits, out: Path) -> None:
    bound = digits.bound
    rows = []
    for count in setting.amounts:
        parts = parts_of(digits.part(count).x, digits.held_out)
        for name in COMPARED:
            for seed in range(max(1, setting.seeds - 1)):
                fitted = fit(parts, METHODS[name], bound, setting.amount, seed)
                rows.append(
                    {
                        "data": digits.name,
                        "samples": count,
                        "method": name,
                        "seed": seed,
                        "bits_per_digit": rounded(fitted.bits, 5),
                        "kind": "actual",
                        "distortion": rounded(fitted.card["distortion"], 5),
                        **fitted.course,
                        "seconds": rounded(fitted.seconds, 3),
                    }
                )
                print(rows[-1], file=sys.stderr, flush=True)
                write_csv(out / "amount.csv", rows)
    figure, axis = plt.subplots(figsize=(4.6, 3.2), layout="constrained")
    by_method(axis, rows, COMPARED, "samples", "bits_per_digit", setting.amounts)
    axis.set_xscale("log")
    axis.set_xlabel("samples given, an eighth of which validates")
    axis.set_ylabel(f"actual bits a digit at {digits.bound}")
    axis.legend(fontsize=7)
    save(figure, out / "amount.png")
    plt.close(figure)
