"""How much of it: `small` proves that it runs, `full` is what results/ shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from methods import Budget

from rdedge.types import Bound


@dataclass(frozen=True)
class Digits:
    """Handwritten digits: images (N, H, W) uint8 with labels (N,). top: the brightest value."""

    name: str
    x: np.ndarray
    labels: np.ndarray
    held_out: np.ndarray
    held_out_labels: np.ndarray
    bound: Bound
    top: float

    def part(self, count: int) -> Digits:
        return replace(self, x=self.x[:count], labels=self.labels[:count])


@dataclass(frozen=True)
class Setting:
    """seeds: how often what is compared is repeated. The other fields: steps of gradient and counts
    of samples of the experiment of that name.
    """

    name: str
    seeds: int
    toy_seeds: int
    toy_samples: int
    batch_seeds: int
    digits: Budget
    overcomplete: Budget
    outlier_classes: int
    outlier_samples: int
    outliers: Budget
    toys: Budget
    manifold_dimensions: tuple[int, ...]
    manifold_elements: tuple[int, ...]
    manifold_samples: int
    manifold: Budget
    amounts: tuple[int, ...]
    amount: Budget
    series: Budget
    gradients: int
    grid: int


FULL = Setting(
    name="full",
    seeds=3,
    toy_seeds=3,
    toy_samples=3000,
    batch_seeds=3,
    digits=Budget(2000, 256, 0.25),
    overcomplete=Budget(800, 256, 1.0, "overcomplete"),
    outlier_classes=10,
    outlier_samples=6000,
    outliers=Budget(600, 256, 0.25),
    toys=Budget(2000, 256),
    manifold_dimensions=(1, 2, 3, 4, 5, 6, 7, 8),
    manifold_elements=(16, 32, 128),
    manifold_samples=6000,
    manifold=Budget(1000, 256, 1.0),
    amounts=(500, 1000, 2000, 5000, 10000, 20000),
    amount=Budget(1200, 256, 0.25),
    series=Budget(1200, 64, model="conv1d"),
    gradients=64,
    grid=120,
)
SMALL = Setting(
    name="small",
    seeds=2,
    toy_seeds=1,
    toy_samples=600,
    batch_seeds=1,
    digits=Budget(100, 128),
    overcomplete=Budget(60, 128, 1.0, "overcomplete"),
    outlier_classes=1,
    outlier_samples=1000,
    outliers=Budget(100, 128),
    toys=Budget(80, 128),
    manifold_dimensions=(1, 2),
    manifold_elements=(32,),
    manifold_samples=1000,
    manifold=Budget(100, 128, 0.5),
    amounts=(300, 900),
    amount=Budget(100, 128),
    series=Budget(40, 32, model="conv1d"),
    gradients=8,
    grid=24,
)
SETTINGS = {"small": SMALL, "full": FULL}


def digits_of(setting: Setting, mnist: Path | None) -> Digits:
    """MNIST for the full setting, scikit-learn's 8 x 8 digits for the small one."""
    if setting.name == "small" or mnist is None:
        from sklearn.datasets import load_digits

        found = load_digits()
        x = found.images.astype(np.uint8)
        bound, labels = Bound("mse", 4.0), found.target
        return Digits("digits", x[:1400], labels[:1400], x[1400:], labels[1400:], bound, 16.0)
    with np.load(mnist) as data:
        return Digits(
            "MNIST-20k",
            data["train"],
            data["train_labels"],
            data["test"],
            data["test_labels"],
            Bound("psnr", 20.0),
            255.0,
        )
