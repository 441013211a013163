"""Energy from recorded trees of sensor files."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rdedge.device.power import Meter, _integral, sensors


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def ina(number: int, rails: dict[int, tuple[str, int, int]]) -> dict[str, str]:
    folder = f"/sys/class/hwmon/hwmon{number}"
    files = {f"{folder}/name": "ina3221\n"}
    for channel, (label, millivolts, milliamperes) in rails.items():
        files[f"{folder}/in{channel}_label"] = label + "\n"
        files[f"{folder}/in{channel}_input"] = f"{millivolts}\n"
        files[f"{folder}/curr{channel}_input"] = f"{milliamperes}\n"
    return files


ORIN_NANO = ina(
    1, {1: ("VDD_IN", 5000, 1200), 2: ("VDD_CPU_GPU_CV", 5000, 300), 3: ("VDD_SOC", 5000, 400)}
)
AGX_ORIN = ina(
    3,
    {
        1: ("VDD_GPU_SOC", 19000, 200),
        2: ("VDD_CPU_CV", 19000, 100),
        3: ("VIN_SYS_5V0", 5000, 600),
    },
) | ina(4, {2: ("VDDQ_VDD2_1V8AO", 5000, 100)})
RAPL = {
    "/sys/class/powercap/intel-rapl:0/energy_uj": "1000000\n",
    "/sys/class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850\n",
}


def test_the_rail_that_feeds_the_others_is_taken_alone(tmp_path: Path) -> None:
    found = sensors(put(tmp_path, ORIN_NANO))
    assert found.names == ("VDD_IN",)
    assert found.watts() == pytest.approx(6.0)


def test_without_one_all_rails_add_up(tmp_path: Path) -> None:
    found = sensors(put(tmp_path, AGX_ORIN))
    assert found.names == ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO")
    # The 5 V rail of an AGX Orin is not its whole power.
    assert found.watts() == pytest.approx(19.0 * 0.3 + 5.0 * 0.7)


def test_the_input_of_a_thors_board(tmp_path: Path) -> None:
    thor = ina(4, {1: ("VDD_GPU", 12000, 900), 2: ("VDD_CPU_SOC_MSS", 12000, 500)}) | {
        "/sys/class/hwmon/hwmon5/name": "ina238\n",
        "/sys/class/hwmon/hwmon5/in1_input": "20000\n",
        "/sys/class/hwmon/hwmon5/power1_input": "31500000\n",
    }
    found = sensors(put(tmp_path, thor))
    assert found.names == ("VIN",)
    assert found.watts() == pytest.approx(31.5)


def test_other_sensors_are_no_power_monitors(tmp_path: Path) -> None:
    files = {"/sys/class/hwmon/hwmon0/name": "acpitz", "/sys/class/hwmon/hwmon0/in1_label": "x"}
    found = sensors(put(tmp_path, files))
    assert found.names == ()
    assert "no INA3221" in found.why
    with Meter(found) as meter:
        pass
    assert meter.joules is None


def test_what_is_integrated(tmp_path: Path) -> None:
    assert _integral([(0.0, 6.0), (1.0, 8.0), (3.0, 4.0)]) == pytest.approx(7.0 + 12.0)
    assert _integral([(0.0, 6.0)]) is None
    found = sensors(put(tmp_path, ORIN_NANO))
    started = time.monotonic()
    with Meter(found) as meter:
        inside = time.monotonic()
        while time.monotonic() - inside < 0.05:
            pass
        least = time.monotonic() - inside
    most = time.monotonic() - started
    assert meter.joules is not None
    assert 6.0 * least <= meter.joules * (1 + 1e-9) <= 6.0 * most * (1 + 1e-6)


def test_counters_count_themselves(tmp_path: Path) -> None:
    found = sensors(put(tmp_path, RAPL))
    assert found.names == ("intel-rapl:0",)
    with Meter(found) as meter:
        put(tmp_path, {"/sys/class/powercap/intel-rapl:0/energy_uj": "3500000\n"})
    assert meter.joules == pytest.approx(2.5)
    with Meter(found) as meter:
        put(tmp_path, {"/sys/class/powercap/intel-rapl:0/energy_uj": "500000\n"})
    assert meter.joules == pytest.approx(262143.32885 - 3.0), "it ran over and started at 0"


@pytest.mark.parametrize("text", ["", "none", "\x00", "1e999x"])
def test_a_sensor_that_fails_gives_nothing(tmp_path: Path, text: str) -> None:
    root = put(tmp_path, ORIN_NANO)
    found = sensors(root)
    put(root, {"/sys/class/hwmon/hwmon1/curr1_input": text})
    assert found.watts() is None
    with Meter(found) as meter:
        pass
    assert meter.joules is None
    root = put(tmp_path / "rapl", RAPL)
    found = sensors(root)
    with Meter(found) as meter:
        put(root, {"/sys/class/powercap/intel-rapl:0/energy_uj": text})
    assert meter.joules is None


def test_this_machine_can_be_asked() -> None:
    found = sensors()
    assert bool(found.names) != bool(found.why)
