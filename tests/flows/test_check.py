"""`rdedge check`: what it compares, with a second backend that is a little off."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rdedge.bundle.bundle import Bundle, npy_bytes
from rdedge.cli.group import run
from rdedge.codec import Decoder, Encoder
from rdedge.engine import runner as engine
from rdedge.engine.part import Part
from rdedge.errors import BundleError, ConfigError, MissingError
from rdedge.flows import check as flow
from rdedge.flows.check import check, samples_from


class Off:
    """ONNX Runtime's CPU with every output off by a share of itself: another backend."""

    name = "another 1.0"
    backend = "ort-cuda"

    def __init__(self, inner: engine.Runner, share: float) -> None:
        self._inner, self._share = inner, share

    def run(self, x: np.ndarray) -> np.ndarray:
        return self._inner.run(x) * np.float32(1.0 + self._share)

    def close(self) -> None:
        self._inner.close()


@pytest.fixture
def another(monkeypatch: pytest.MonkeyPatch):
    """Put one at hand; call it with how far it is off."""

    def put(share: float, fails: bool = False) -> None:
        real = engine.open_runner

        def opened(part: Part, backend: str | None = None, threads: int | None = None):
            if backend != "ort-cuda":
                return real(part, backend, threads)
            if fails:
                raise MissingError("the driver is too old", do="update it")
            return Off(real(part, "ort-cpu", threads), share)

        at_hand = [
            engine.AtHand(one.backend, one.there or one.backend == "ort-cuda", one.why)
            for one in engine.backends_at_hand()
        ]
        monkeypatch.setattr("rdedge.codec.encoder.open_runner", opened)
        monkeypatch.setattr("rdedge.codec.decoder.open_runner", opened)
        monkeypatch.setattr(flow, "backends_at_hand", lambda: at_hand)

    return put


def values(report: flow.Report, part: str) -> list[float]:
    return [row.value for row in report.rows if part in row.what]


def test_alone_on_a_cpu(bundle: Bundle) -> None:
    found = check(bundle)
    assert found.fine
    assert found.margin == 0.0
    assert [name.split()[0] for name in found.backends] == ["onnxruntime"]
    assert all("not here" in note for note in found.notes)
    assert {note.split(":")[0] for note in found.notes} >= {"ort-cuda", "ort-tensorrt"}


def test_a_backend_that_agrees(bundle: Bundle, another, held_out: np.ndarray) -> None:
    another(0.0)
    found = check(bundle, held_out)
    assert found.fine
    assert values(found, "another 1.0: largest latent") == [0.0]
    crossed = [row for row in found.rows if "->" in row.what]
    assert len(crossed) == 4, "each to each"
    assert all(row.value == 0 for row in crossed)


def test_a_backend_that_is_off_is_measured(bundle: Bundle, another, held_out: np.ndarray) -> None:
    another(0.02)
    found = check(bundle, held_out)
    assert not found.fine
    y = Encoder(bundle).runner.run(held_out.astype(np.float32))
    step = bundle.manifest.levels[0].step
    (latents,) = values(found, "another 1.0: largest latent")
    assert latents == pytest.approx(0.02 * np.abs(y).max() / step, rel=1e-3)
    (share,) = values(found, "another 1.0: share of symbols")
    assert share > 0
    theirs = Encoder(bundle, backend="ort-cuda")
    assert share == (theirs.symbols(held_out) != Encoder(bundle).symbols(held_out)).mean()
    (extra,) = values(found, "another 1.0: more bytes")
    sizes = [len(e.encode(held_out)) for e in (theirs, Encoder(bundle))]
    assert extra == pytest.approx(sizes[0] / sizes[1] - 1)
    assert len(values(found, "another 1.0: mse worse")) == 1
    decoder = Decoder(bundle, backend="ort-cuda")
    outputs = decoder.reconstruct(bundle.reference.symbols).astype(float)
    assert found.margin == np.abs(outputs - bundle.reference.outputs).max()
    # Networks differ; what they sent decodes to what they meant all the same.
    assert all(row.value == 0 for row in found.rows if "->" in row.what)


def test_a_backend_that_is_there_and_fails_is_a_finding(bundle: Bundle, another) -> None:
    another(0.0, fails=True)
    found = check(bundle)
    assert not found.fine
    (row,) = [row for row in found.rows if not row.fine]
    assert "ort-cuda cannot run" in row.what
    assert "the driver is too old" in row.what
    with pytest.raises(MissingError, match="too old"):
        check(bundle, backends=["ort-cuda"])


def test_backends_by_name(bundle: Bundle) -> None:
    assert len(check(bundle, backends=["ort-cpu"]).backends) == 1
    with pytest.raises(ConfigError, match="no backend is called 'toaster'"):
        check(bundle, backends=["toaster"])
    with pytest.raises(MissingError):
        check(bundle, backends=["ort-cuda"])


def test_a_devices_part(bundle: Bundle, tmp_path: Path, capsys) -> None:
    device = bundle.device_part()
    found = check(device)
    assert found.fine
    assert found.margin is None
    assert any("a device's part" in note for note in found.notes)
    assert not values(found, "reconstructions")
    with pytest.raises(BundleError, match="decoding needs"):
        Decoder(device)
    x = bundle.reference.inputs
    assert Encoder(device).encode(x) == Encoder(bundle).encode(x), "the codec is the same"
    device.write(tmp_path / "d.rdb")
    assert len(device.to_bytes()) < 200_000
    assert run(["check", str(tmp_path / "d.rdb")]) == 0
    assert "nothing is decoded" in capsys.readouterr().out


def test_samples_of_the_users_own(bundle_path: Path, bundle: Bundle, tmp_path: Path, capsys):
    x = bundle.reference.inputs
    path = tmp_path / "x.npy"
    path.write_bytes(npy_bytes(np.tile(x, (40, 1, 1))))
    assert samples_from(path, bundle).shape == (256, 8, 8)
    assert run(["check", str(bundle_path), "--data", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fine"]
    assert found["margin"] == 0.0
