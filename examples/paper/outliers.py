"""The energy as an outlier score: a digit left out of training, and SKAB's labelled faults."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from methods import METHODS, Fitted, fit, parts_of
from settings import Digits, Setting
from sklearn.metrics import roc_auc_score
from tables import rounded, write_csv

from rdedge.host.landscape import Decoded, energy
from rdedge.types import Bound

COMPARED = ("renyi", "entropy", "ae", "dae")
# Rows of a window, one every so many of the labelled ones; the bound of SKAB, as a share of the
# variance within windows.
WINDOW, SHARE = 32, 0.1


def run(setting: Setting, digits: Digits, skab: Path | None, out: Path) -> None:
    rows = []
    bound = digits.bound
    for left_out in range(setting.outlier_classes):
        known = digits.x[digits.labels != left_out][: setting.outlier_samples]
        parts = parts_of(known, digits.held_out)
        strange = digits.held_out_labels == left_out
        for name in COMPARED:
            fitted = fit(parts, METHODS[name], bound, setting.outliers, left_out)
            auc = roc_auc_score(strange, energies(fitted, digits.held_out))
            rows.append(_row(digits.name, f"digit {left_out}", name, left_out, auc, fitted))
            print(rows[-1], file=sys.stderr, flush=True)
        write_csv(out / "outliers.csv", rows)
    if skab is not None:
        for seed in range(setting.seeds):
            rows += _skab(setting, skab, seed)
            write_csv(out / "outliers.csv", rows)


def energies(fitted: Fitted, x: np.ndarray) -> np.ndarray:
    return energy(Decoded(fitted.model, str(x.dtype)), x)


def _row(
    data: str, what: str, name: str, seed: int, auc: float, fitted: Fitted
) -> dict[str, object]:
    return {
        "data": data,
        "outliers": what,
        "method": name,
        "seed": seed,
        "auc": rounded(auc),
        "bits_per_sample": rounded(fitted.bits),
        **fitted.course,
        "seconds": rounded(fitted.seconds, 3),
    }


def _skab(setting: Setting, folder: Path, seed: int) -> list[dict[str, object]]:
    """Windows without their level: a level that moved since training is no fault. The area is that
    over the windows of all labelled files, and the mean of those within each file.
    """
    quiet = _windows(folder / "anomaly-free.csv", WINDOW // 4)[0]
    scale = quiet.reshape(-1, quiet.shape[-1]).std(axis=0)
    labelled = [
        _windows(f, WINDOW) for f in sorted(folder.glob("*.csv")) if f.stem != "anomaly-free"
    ]
    x = np.concatenate([w for w, _ in labelled]) / scale
    marks = np.concatenate([m for _, m in labelled])
    train = (quiet / scale).astype(np.float32)
    bound = Bound("mse", SHARE * float(train.var()))
    parts = parts_of(train, x.astype(np.float32))
    rows = []
    for name in COMPARED:
        fitted = fit(parts, METHODS[name], bound, setting.outliers, seed)
        scores = energies(fitted, x.astype(np.float32))
        rows.append(_row("SKAB", "all files", name, seed, roc_auc_score(marks, scores), fitted))
        within, at = [], 0
        for windows, marked in labelled:
            part = scores[at : at + len(windows)]
            at += len(windows)
            if 0 < marked.sum() < len(marked):
                within.append(roc_auc_score(marked, part))
        rows.append(_row("SKAB", "within a file, mean", name, seed, float(np.mean(within)), fitted))
        print(rows[-2:], file=sys.stderr, flush=True)
    return rows


def _windows(file: Path, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows (N, 32, 8) less their means, and whether half of the rows of each are anomalous."""
    with file.open(newline="") as lines:
        header, *rows = csv.reader(lines, delimiter=";")
    keep = [i for i, name in enumerate(header) if i and name not in ("anomaly", "changepoint")]
    values = np.array([[float(row[i]) for i in keep] for row in rows])
    marks = np.zeros(len(rows))
    if "anomaly" in header:
        marks = np.array([float(row[header.index("anomaly")]) for row in rows])
    starts = range(0, len(rows) - WINDOW + 1, stride)
    cut = np.stack([values[i : i + WINDOW] for i in starts])
    marked = np.array([marks[i : i + WINDOW].mean() >= 0.5 for i in starts])
    return cut - cut.mean(axis=1, keepdims=True), marked
