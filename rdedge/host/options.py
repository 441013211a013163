"""How to train, where, and what changes while training."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch

from rdedge.errors import ConfigError, TrainingError
from rdedge.host.batches import BATCHES
from rdedge.host.entropy import QUANTISERS
from rdedge.host.rates.objective import RATES, WITH_MATRIX, input_and_output
from rdedge.host.rates.renyi import Width

_EXPECTED = {
    "epochs": "a whole number from 1 to 10^7",
    "batch": "a whole number from 1 to 2^24",
    "seed": "a whole number from 0 to 2^40",
    "learning_rate": "1e-9 to 1",
    "weight_decay": "0 to 1",
    "hard_share": "0 to 1",
    "patience": "0 to 1",
    "minutes": "more than 0, at most 10^6",
    "augment": "none or shift",
    "rate": ", ".join(RATES),
    "alpha": "more than 0, at most 1000",
    "batches": "random, clustered, auto",
    "input_noise": "0 or more, in the units of the data",
    "quantiser": ", ".join(QUANTISERS),
}


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _within(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


@dataclass(frozen=True)
class TrainingOptions:
    """How to train. augment: "none", or "shift": pictures (H, W) are moved by up to one pixel each
    way, anew for each batch, which keeps a network from learning a few thousand of them by heart.
    epochs: planned, early stop may end sooner. hard_share: of the epochs, at the end, in which the
    decoder sees rounded instead of noisy latents. minutes: wall clock, None: no limit. patience:
    share of the planned epochs without progress after which a phase ends.

    rate: one of RATES; alpha, kernel_width: of the matrix functional. batches: random or clustered;
    what auto is, the plan has decided by then. input_noise: standard deviation of Gaussian noise
    that is added to what the encoder sees while training, in the units of the data; the decoder is
    held to what was there before it. quantiser: one of QUANTISERS, for the fit after training.
    """

    epochs: int
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    hard_share: float = 0.4
    patience: float = 0.2
    minutes: float | None = None
    seed: int = 0
    device: str = "auto"
    augment: str = "none"
    rate: str = "entropy"
    alpha: float = 2.0
    kernel_width: Width = "half"
    batches: str = "random"
    input_noise: float = 0.0
    quantiser: str = "auto"

    def __post_init__(self) -> None:
        wrong = {
            "epochs": not _whole(self.epochs, 1, 10_000_000),
            "batch": not _whole(self.batch, 1, 1 << 24),
            "seed": not _whole(self.seed, 0, 1 << 40),
            "learning_rate": not _within(self.learning_rate, 1e-9, 1.0),
            "weight_decay": not _within(self.weight_decay, 0.0, 1.0),
            "hard_share": not _within(self.hard_share, 0.0, 1.0),
            "patience": not _within(self.patience, 0.0, 1.0),
            "minutes": self.minutes is not None and not _within(self.minutes, 1e-6, 1e6),
            "augment": self.augment not in ("none", "shift"),
            "rate": self.rate not in RATES,
            "alpha": not _within(self.alpha, 1e-9, 1e3),
            "batches": self.batches not in BATCHES[:2],
            "input_noise": not _within(self.input_noise, 0.0, 1e30),
            "quantiser": self.quantiser not in QUANTISERS,
        }
        for name, is_wrong in wrong.items():
            if is_wrong:
                raise ConfigError(
                    f"{name.replace('_', ' ')} is {getattr(self, name)!r}",
                    expected=_EXPECTED[name],
                )
        input_and_output(self.kernel_width)
        if self.rate in WITH_MATRIX and self.batch < 2:
            raise ConfigError(
                f"a batch of {self.batch} for the rate {self.rate}",
                expected="at least 2: of one sample a Gram matrix says nothing",
            )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class State:
    """All that changes while training; a checkpoint is this plus the tensors.

    epoch: the next one; a phase that ends early skips some. trained: how many there really were.
    least_excess, stalled: the least excess over the bound so far, and epochs since. diverged: the
    epoch, from 1, in which the multiplier was seen to run away; 0: it has not.
    """

    epoch: int = 0
    trained: int = 0
    log_multiplier: float = 0.0
    best_score: float = math.inf
    best_epoch: int = -1
    phase_start: int = 0
    seconds: float = 0.0
    finished: bool = False
    least_excess: float = 1e300
    stalled: int = 0
    diverged: int = 0

    def checked(self) -> State:
        """The state itself, if its values are of their types; else TypeError."""
        for name, value in vars(self).items():
            kind = type(getattr(State(), name))
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise TypeError(f"{name} is {value!r}")
        return self


def pick_device(name: str) -> torch.device:
    """`auto`: CUDA where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError(f"{device.type} is not supported")
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise TrainingError(
            f"cannot train on {name!r}: {str(error).splitlines()[0]}",
            expected="auto, cpu, or a CUDA device of this machine",
        ) from error
    return device
