"""The energy that a board spends, from the sensors that its kernel shows.

Jetson modules carry INA3221 power monitors (Linux's hwmon: in*_input in millivolts, curr*_input in
milliamperes, in*_label with the rail's name; Documentation/hwmon/ina3221.rst), a Thor's carrier
board an INA238 on its input (power1_input in microwatts; Documentation/hwmon/ina238.rst). Their
readings are of now and are integrated here; x86 hosts with RAPL count energy themselves
(Documentation/power/powercap/powercap.rst).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType

from rdedge.device.tree import Tree

_HWMON = "/sys/class/hwmon"
_RAPL = "/sys/class/powercap"
# The rail that all others hang from, where the board measures it. An AGX module has none: its
# VIN_SYS_5V0 or SYS5V feeds what the others do not, and all add up (jetson_stats, issues 51, 344).
_WHOLE = ("VDD_IN", "VIN", "POM_5V_IN")
_INTERVAL = 0.02


@dataclass(frozen=True)
class Rail:
    """One measured supply. factors: files whose numbers multiply to its power in microwatts, or one
    file that holds it.
    """

    name: str
    factors: tuple[str, ...]


@dataclass(frozen=True)
class Sensors:
    """What this machine can be asked.

    rails: of INA3221 and INA238; counters: files of RAPL's packages and how far they count, both in
    microjoules; why: there is neither.
    """

    tree: Tree
    rails: tuple[Rail, ...] = ()
    counters: tuple[tuple[str, int], ...] = ()
    why: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(rail.name for rail in self.rails) or tuple(
            path.rsplit("/", 2)[-2] for path, _ in self.counters
        )

    def watts(self) -> float | None:
        """Of all rails, now; None where one cannot be read."""
        total = 0.0
        for rail in self.rails:
            microwatts = 1.0
            for path in rail.factors:
                number = self._number(path)
                if number is None:
                    return None
                microwatts *= number
            total += microwatts * 1e-6
        return total

    def joules(self) -> list[float] | None:
        """What the counters stand at."""
        found = [self._number(path) for path, _ in self.counters]
        return None if None in found else [1e-6 * n for n in found if n is not None]

    def _number(self, path: str) -> float | None:
        try:
            return float(self.tree.read(path).text)
        except ValueError:
            return None


def sensors(root: Path = Path("/")) -> Sensors:
    """The sensors of the machine, or of a recorded tree."""
    tree = Tree(root)
    rails = tuple(_rails(tree))
    whole = tuple(rail for rail in rails if rail.name in _WHOLE)
    if rails:
        # A rail that feeds the others would count them twice.
        return Sensors(tree, rails=whole[:1] or rails)
    counters = tuple(_counters(tree))
    if counters:
        return Sensors(tree, counters=counters)
    return Sensors(
        tree, why="no INA3221 or INA238 in /sys/class/hwmon and no readable RAPL counter"
    )


def _rails(tree: Tree) -> list[Rail]:
    found = []
    for name, _ in tree.names(_HWMON, r"hwmon\d+"):
        folder = f"{_HWMON}/{name}"
        chip = tree.read(f"{folder}/name").text
        if chip == "ina238" and tree.read(f"{folder}/power1_input").text:
            # It has no labels; where NVIDIA fits one it measures the board's input
            # (jetson_stats, pull request 900).
            found.append(Rail("VIN", (f"{folder}/power1_input",)))
        if chip != "ina3221":
            continue
        for label, match in tree.names(folder, r"in(\d)_label"):
            current = f"{folder}/curr{match[1]}_input"
            if tree.read(current).text:
                rail = tree.read(f"{folder}/{label}").text
                found.append(Rail(rail, (f"{folder}/in{match[1]}_input", current)))
    return found


def _counters(tree: Tree) -> list[tuple[str, int]]:
    found = []
    for name, _ in tree.names(_RAPL, r"intel-rapl:\d+"):
        path = f"{_RAPL}/{name}/energy_uj"
        most = tree.read(f"{_RAPL}/{name}/max_energy_range_uj").text
        if tree.read(path).text.isdigit() and most.isdigit():
            found.append((path, int(most)))
    return found


class Meter:
    """Energy spent while it runs, as a context manager.

    joules: None where there are no sensors, or one failed. The whole board's or package's, with all
    else that runs on it.
    """

    def __init__(self, found: Sensors) -> None:
        self._sensors = found
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._before: list[float] | None = None
        self._samples: list[tuple[float, float]] = []
        self.joules: float | None = None

    def __enter__(self) -> Meter:
        if self._sensors.rails:
            self._sample()
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        elif self._sensors.counters:
            self._before = self._sensors.joules()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._sample()
            self.joules = _integral(self._samples)
        elif self._before is not None:
            after = self._sensors.joules()
            if after is not None:
                # A counter that ran over starts at 0 again.
                self.joules = sum(
                    b - a if b >= a else b - a + 1e-6 * most
                    for a, b, (_, most) in zip(
                        self._before, after, self._sensors.counters, strict=True
                    )
                )

    def _watch(self) -> None:
        while not self._stop.wait(_INTERVAL):
            self._sample()

    def _sample(self) -> None:
        watts = self._sensors.watts()
        if watts is not None:
            self._samples.append((time.monotonic(), watts))


def _integral(samples: list[tuple[float, float]]) -> float | None:
    """Joules by the trapezoid rule of (seconds, watts); None of fewer than two."""
    if len(samples) < 2:
        return None
    return sum(0.5 * (p + q) * (b - a) for (a, p), (b, q) in pairwise(samples))
