"""The commands as a user types them, each in a process of its own or through the same door."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rdedge.cli.group import COMMANDS, run


def rdedge(*arguments: object, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "rdedge", *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, check=False, timeout=120)


@pytest.fixture
def npy(tmp_path: Path, held_out: np.ndarray) -> Path:
    path = tmp_path / "held-out.npy"
    np.save(path, held_out)
    return path


@pytest.fixture
def rdz(tmp_path: Path, npy: Path, bundle_path: Path) -> Path:
    assert run(["compress", "-q", "-b", str(bundle_path), str(npy), "-o", f"{npy}.rdz"]) == 0
    return Path(f"{npy}.rdz")


def test_help_is_there_for_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for name in COMMANDS:
        assert name in text
        assert run([name, "--help"]) == 0
        assert "Usage: rdedge" in capsys.readouterr().out


def test_help_loads_no_heavy_module() -> None:
    code = (
        "import sys; from rdedge.cli.group import run; run(['--help'])\n"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'numpy', 'PIL', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_there_and_back(
    tmp_path: Path,
    rdz: Path,
    bundle_path: Path,
    held_out: np.ndarray,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert run(["decompress", "-b", str(bundle_path), str(rdz), "-o", str(out)]) == 0
    x_hat = np.load(out / "held-out.npy")
    assert x_hat.shape == held_out.shape
    assert x_hat.dtype == held_out.dtype
    assert ((x_hat.astype(float) - held_out) ** 2).mean() <= 4.0
    assert "397 samples" in capsys.readouterr().err
    assert run(["decompress", "-b", str(bundle_path), str(rdz), "-o", str(out)]) == 1
    assert "exists" in capsys.readouterr().err
    assert run(["decompress", "-f", "-b", str(bundle_path), str(rdz), "-o", str(out)]) == 0


def test_folders_keep_names_kinds_and_order(
    tmp_path: Path, bundle_path: Path, held_out: np.ndarray
) -> None:
    folder = tmp_path / "line-3"
    (folder / "night").mkdir(parents=True)
    np.save(folder / "b.npy", held_out[:5])
    np.savez(folder / "a.npz", pictures=held_out[5:7])
    rows = held_out[7:10].reshape(3, 64)
    text = "\n".join(";".join(map(str, row)) for row in [[f"p{i}" for i in range(64)], *rows])
    (folder / "night" / "c.csv").write_text(text + "\n")
    (folder / "notes.txt").write_text("not samples")
    np.save(folder / "one.npy", held_out[11])
    rdz, out = tmp_path / "x.rdz", tmp_path / "out"
    assert run(["compress", "-b", str(bundle_path), str(folder), "-o", str(rdz)]) == 0
    assert run(["decompress", "-b", str(bundle_path), str(rdz), "-o", str(out)]) == 0
    found = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert found == ["line-3/a.npz", "line-3/b.npy", "line-3/night/c.csv", "line-3/one.npy"]
    assert np.load(out / "line-3" / "a.npz")["pictures"].shape == (2, 8, 8)
    assert np.load(out / "line-3" / "one.npy").shape == (8, 8)
    lines = (out / "line-3" / "night" / "c.csv").read_text().splitlines()
    assert lines[0] == text.splitlines()[0]
    values = np.array([[int(v) for v in line.split(";")] for line in lines[1:]])
    assert values.shape == (3, 64)
    assert ((values - rows.astype(int)) ** 2).mean() < 8.0


def test_pipes(bundle_path: Path, held_out: np.ndarray, npy: Path) -> None:
    raw = held_out.tobytes()
    coded = rdedge("compress", "-q", "-b", bundle_path, "-", "-o", "-", data=raw)
    assert coded.returncode == 0, coded.stderr
    assert coded.stdout[:3] == b"RDZ"
    back = rdedge("decompress", "-q", "-b", bundle_path, "-", "-o", "-", data=coded.stdout)
    assert back.returncode == 0, back.stderr
    assert len(back.stdout) == len(raw)
    coded = rdedge("compress", "-q", "-b", bundle_path, "-", "-o", "-", data=npy.read_bytes())
    back = rdedge("decompress", "-q", "-b", bundle_path, "-", "-o", "-", data=coded.stdout)
    assert back.stdout[:6] == b"\x93NUMPY"
    odd = rdedge("compress", "-b", bundle_path, "-", "-o", "-", data=raw[:-1])
    assert odd.returncode == 1
    assert b"multiple of 64 bytes" in odd.stderr
    assert odd.stdout == b""


def test_packets_are_as_large_as_asked(
    tmp_path: Path, bundle_path: Path, npy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rdz = tmp_path / "x.rdz"
    assert run(["compress", "-b", str(bundle_path), str(npy), "-o", str(rdz), "--batch", "50"]) == 0
    capsys.readouterr()
    assert run(["inspect", str(rdz), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [p["samples"] for p in found["batches"][0]["packets"]] == [50] * 7 + [47]
    assert found["batches"][0]["source_name"] == "held-out.npy"
    assert found["cut_at"] is None


def test_inspect_shows_bundles_and_packets(
    tmp_path: Path, bundle_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(bundle_path)]) == 0
    text = capsys.readouterr().out
    assert "codec: " in text
    assert "shape 8, 8, dtype uint8" in text or "shape: 8, 8" in text
    packet = tmp_path / "p"
    from rdedge.bundle.bundle import Bundle

    packet.write_bytes(Bundle.read(bundle_path).members["reference/packet.bin"])
    assert run(["inspect", str(packet), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["packets"][0]["samples"] == 16
    packet.write_bytes(b"hello")
    assert run(["inspect", str(packet)]) == 1
    assert "hell" in capsys.readouterr().err


def test_check_passes_and_fails(
    tmp_path: Path, bundle_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", str(bundle_path)]) == 0
    assert "fine" in capsys.readouterr().out
    from rdedge.bundle.bundle import Bundle, npy_bytes

    bundle = Bundle.read(bundle_path)
    symbols = bundle.reference.symbols.copy()
    symbols[0, 0] += 1
    altered = Bundle.make(
        bundle.manifest, bundle.members | {"reference/symbols.npy": npy_bytes(symbols)}
    )
    altered.write(tmp_path / "altered.rdb")
    assert run(["check", str(tmp_path / "altered.rdb"), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["fine"]
    assert any(not one["fine"] for one in found["rows"])


def test_savings_as_table_json_and_picture(
    tmp_path: Path, rdz: Path, npy: Path, bundle_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    png = tmp_path / "x.png"
    base = ["savings", str(rdz), "-b", str(bundle_path)]
    assert run([*base, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["raw_bytes"] == 397 * 64
    assert found["container_bytes"] == rdz.stat().st_size
    assert found["payload_bytes"] < found["container_bytes"]
    assert found["ratio"] == pytest.approx(397 * 64 / rdz.stat().st_size)
    bits = found["bits_per_element"]
    assert bits == {"value": pytest.approx(8 * rdz.stat().st_size / 397 / 64), "kind": "actual"}
    assert "distortion" not in found
    assert run([*base, "--data", str(npy), "--quick", "--png", str(png), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    d = found["distortion"]
    assert d["mean"] <= 4.0 < d["p95"] < d["worst"]
    assert {"jpegxl", "webp", "avif", "png", "zstd"} <= {c["codec"] for c in found["classical"]}
    assert all(c["distortion"] is None or c["distortion"] <= 4.0 for c in found["classical"])
    assert png.read_bytes()[:4] == b"\x89PNG"
    assert run([*base, "--data", str(npy), "--no-classical"]) == 0
    text = capsys.readouterr().out
    assert "% saved" in text
    assert "p95" in text
    assert run([*base, "--png", str(tmp_path / "y.png")]) == 2


def test_the_wrong_originals_are_noticed(
    tmp_path: Path,
    rdz: Path,
    bundle_path: Path,
    held_out: np.ndarray,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.save(tmp_path / "few.npy", held_out[:3])
    code = run(["savings", str(rdz), "-b", str(bundle_path), "--data", str(tmp_path / "few.npy")])
    assert code == 1
    assert "3 originals for 397 samples" in capsys.readouterr().err


def test_a_container_cut_short(
    tmp_path: Path, bundle_path: Path, npy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rdz, out = tmp_path / "x.rdz", tmp_path / "out"
    assert run(["compress", "-b", str(bundle_path), str(npy), "-o", str(rdz), "--batch", "40"]) == 0
    rdz.write_bytes(rdz.read_bytes()[:-60])
    base = ["decompress", "-b", str(bundle_path), str(rdz), "-o", str(out)]
    assert run(base) == 1
    assert "cut short" in capsys.readouterr().err
    assert not out.exists()
    assert run([*base, "--salvage"]) == 1, "what is missing is still a failure"
    assert np.load(out / "held-out.npy").shape == (360, 8, 8)


def test_usage_errors_are_2_and_failures_1(
    tmp_path: Path, bundle_path: Path, npy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    b = str(bundle_path)
    assert run(["nonsense"]) == 2
    assert run(["compress", str(npy), "-o", "x"]) == 2
    assert run(["train", "digits"]) == 2
    assert run(["train", "digits", "--max-distortion", "-1", "-o", str(tmp_path / "r")]) == 2
    assert run(["train", str(tmp_path / "none.npy"), "--max-distortion", "1", "-o", "r"]) == 1
    assert run(["compress", "-b", b, str(tmp_path / "none.npy"), "-o", str(tmp_path / "x")]) == 1
    assert run(["compress", "-b", str(npy), str(npy), "-o", str(tmp_path / "x")]) == 1
    assert run(["compress", "-b", b, str(npy), "-o", str(tmp_path / "no" / "x")]) == 1
    assert run(["decompress", "-b", b, str(npy), "-o", str(tmp_path / "x")]) == 1
    assert run(["check", str(npy)]) == 1
    for line in capsys.readouterr().err.splitlines():
        assert "Traceback" not in line
    assert not (tmp_path / "x").exists()


def test_nothing_is_overwritten_without_force(
    tmp_path: Path, rdz: Path, npy: Path, bundle_path: Path
) -> None:
    before = rdz.read_bytes()
    rdz.write_bytes(b"precious")
    base = ["compress", "-q", "-b", str(bundle_path), str(npy), "-o", str(rdz)]
    assert run(base) == 1
    assert rdz.read_bytes() == b"precious"
    assert run([*base, "-f"]) == 0
    assert rdz.read_bytes() == before


def test_a_bad_file_among_good_ones_leaves_no_container(
    tmp_path: Path, npy: Path, bundle_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n3,x\n")
    rdz = tmp_path / "x.rdz"
    base = ["compress", "-b", str(bundle_path), str(npy), str(tmp_path / "wrong.csv"), "-o"]
    assert run([*base, str(rdz)]) == 1
    assert "row 3, column 2 is 'x'" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["held-out.npy", "wrong.csv"]


def test_a_full_disk_leaves_nothing(tmp_path: Path, npy: Path, bundle_path: Path) -> None:
    """A limit on the size of files stands in for a disk without space: write() fails alike."""
    import signal

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    done = subprocess.run(
        [
            sys.executable,
            "-B",
            "-m",
            "rdedge",
            "compress",
            "-b",
            str(bundle_path),
            str(npy),
            "-o",
            str(tmp_path / "x.rdz"),
        ],
        preexec_fn=limit,
        capture_output=True,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 1
    assert b"free some space" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["held-out.npy"]


def test_a_reader_that_goes_away_is_no_traceback(bundle_path: Path, held_out: np.ndarray) -> None:
    command = f"{sys.executable} -m rdedge inspect {bundle_path} | head -c 1 >/dev/null"
    done = subprocess.run(command, shell=True, capture_output=True, check=False)
    assert b"Traceback" not in done.stderr


def test_links_do_not_lead_out_of_the_folder(
    tmp_path: Path, bundle_path: Path, held_out: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    np.save(source / "a.npy", held_out[:2])
    rdz, out, outside = tmp_path / "x.rdz", tmp_path / "out", tmp_path / "outside"
    assert run(["compress", "-b", str(bundle_path), str(source), "-o", str(rdz)]) == 0
    out.mkdir()
    outside.mkdir()
    (out / "in").symlink_to(outside)
    assert run(["decompress", "-b", str(bundle_path), str(rdz), "-o", str(out)]) == 1
    assert "link" in capsys.readouterr().err
    assert not list(outside.iterdir())


def test_doctor_says_which_coder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["doctor", "--json"]) == 0
    found = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["entropy coder"]["found"].startswith("C (")
    monkeypatch.setenv("RDEDGE_NATIVE", "0")
    assert run(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "NumPy (RDEDGE_NATIVE=0)" in text
    assert "torch" in text


@pytest.mark.timeout(1200)
@pytest.mark.long
def test_the_demo_tells_the_whole_story(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "-o", str(tmp_path / "demo"), "--quick"]) == 0
    text = capsys.readouterr().out
    for step in ("train", "export", "check", "compress", "decompress", "savings"):
        assert text.count(f"$ rdedge {step}") == 3
    shares = re.findall(r"^(\d+) % of the bytes of the best classical codec", text, re.MULTILINE)
    digits, pump, _ = map(int, shares)
    assert digits <= 70
    assert pump <= 80
    for name in ("digits", "pump", "photo"):
        assert (tmp_path / "demo" / f"{name}.png").exists()


def test_resume_takes_no_other_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for extra in (["--epochs", "9"], ["--seed", "1"], ["-f"], ["-o", "elsewhere"]):
        assert run(["train", "--resume", str(tmp_path / "r"), *extra]) == 2
        assert "cannot be changed" in capsys.readouterr().err


def test_links_are_followed_when_written(tmp_path: Path, npy: Path, bundle_path: Path) -> None:
    (tmp_path / "link.rdz").symlink_to(tmp_path / "real.rdz")
    base = ["compress", "-q", "-b", str(bundle_path), str(npy), "-o", str(tmp_path / "link.rdz")]
    assert run(base) == 1
    assert not (tmp_path / "real.rdz").exists()
    assert run([*base, "-f"]) == 0
    assert (tmp_path / "link.rdz").is_symlink()
    assert (tmp_path / "real.rdz").read_bytes()[:3] == b"RDZ"
    (tmp_path / "null.rdz").symlink_to("/dev/null")
    base[-1] = str(tmp_path / "null.rdz")
    assert run([*base, "-f"]) == 1
    assert (tmp_path / "null.rdz").is_symlink()


def test_a_log_that_cannot_be_written_costs_no_container(
    tmp_path: Path, npy: Path, bundle_path: Path
) -> None:
    command = [
        sys.executable,
        "-m",
        "rdedge",
        "compress",
        "-b",
        str(bundle_path),
        str(npy),
        "-o",
        str(tmp_path / "x.rdz"),
    ]
    with Path("/dev/full").open("wb") as full:
        assert subprocess.run(command, stderr=full, check=False).returncode == 0
    assert (tmp_path / "x.rdz").exists()


def test_closed_pipes_are_said(bundle_path: Path) -> None:
    for closed in ("<&-", ">&-"):
        command = f"{sys.executable} -m rdedge compress -b {bundle_path} - -o - {closed}"
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr


def test_a_file_is_no_folder(
    rdz: Path, npy: Path, bundle_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["decompress", "-b", str(bundle_path), str(rdz), "-o", str(npy)]) == 1
    assert "a folder to write into" in capsys.readouterr().err


def test_a_fault_of_our_own_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("rdedge.flows.doctor.doctor", broken)
    assert run(["doctor"]) == 1
    assert "ZeroDivisionError: oops" in capsys.readouterr().err
    monkeypatch.setenv("RDEDGE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run(["doctor"])


def test_a_broken_onnxruntime_is_diagnosed(tmp_path: Path, bundle_path: Path, npy: Path) -> None:
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text(
        "raise ImportError('libcudart.so.12: cannot open shared object file')"
    )
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    for arguments in (["doctor"], ["check", bundle_path]):
        done = subprocess.run(
            [sys.executable, "-m", "rdedge", *map(str, arguments)],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "libcudart" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_what_is_no_onnxruntime_is_diagnosed(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime").mkdir()
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    (tmp_path / "onnxruntime" / "__init__.py").write_text("__version__ = '1.0'")
    command = [sys.executable, "-m", "rdedge", "doctor"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert "onnxruntime is damaged" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("0", "0")])
def test_telemetry_is_off_unless_wanted(before: str | None, after: str) -> None:
    env = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    env |= {} if before is None else {"ORT_DISABLE_TELEMETRY": before}
    code = (
        "import os; from rdedge.engine.onnx_runtime import module; module(); "
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == after
