"""What a pilot is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from rdedge.bundle.recipe import load_profile
from rdedge.errors import ConfigError
from rdedge.ledger import tariff as tariffs
from rdedge.ledger.base import duckdb
from rdedge.tasks import load as load_task
from rdedge.types import Bound

RAW, FILES = "raw", "files"
# The setting of FILES.
AS_THEY_CAME = "as they came"


@dataclass(frozen=True)
class Options:
    """max_distortion: a promise for every sample, None: one is proposed. fall: by how much the
    task's score may fall. today: what is used now: raw, files (as the pictures came) or a codec;
    None: files for pictures that came compressed, else raw. devices, samples_per_day: of the fleet,
    None: assumed, and said so. minutes: of wall clock for training and searches, about.
    """

    max_distortion: float | None = None
    metric: str | None = None
    task: str | None = None
    labels: str | None = None
    task_data: str | None = None
    fall: float = 0.01
    tariff: str | None = None
    minutes: float = 10.0
    target: str = "cpu-host"
    today: str | None = None
    devices: int | None = None
    samples_per_day: float | None = None
    model: str = "auto"
    seed: int = 0
    language: str = "en"

    @property
    def today_codec(self) -> str | None:
        """A codec that must be searched."""
        return None if self.today in (None, RAW, FILES) else self.today

    def refuse(self) -> None:
        """Raise for what would otherwise fail after minutes of work."""
        if self.task is not None:
            load_task(self.task)
        elif self.labels is not None or self.task_data is not None:
            raise ConfigError("labels or task data without a task", expected="--task too")
        load_profile(self.target)
        if self.tariff is not None:
            tariffs.load(Path(self.tariff))
            duckdb()
        if self.max_distortion is not None:
            if self.metric is None:
                raise ConfigError("a largest distortion without a metric", expected="--metric too")
            Bound(self.metric, self.max_distortion)
        for name in ("fall", "minutes", "devices", "samples_per_day"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name.replace('_', ' ')} {value:g}", expected="more than 0")


AS_USUAL = Options()
