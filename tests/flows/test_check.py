"""`rdedge check`: what it compares, with a second backend that is a little off."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rdedge.bundle.bundle import Bundle, npy_bytes
from rdedge.cli.group import run
from rdedge.codec import Decoder, Encoder
from rdedge.engine import runner as engine
from rdedge.engine.part import Part
from rdedge.errors import BundleError, ConfigError, MissingError, ShapeError
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
    assert found.notes[0] == "unsigned"
    assert all("not here" in note for note in found.notes[1:])
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


@pytest.mark.parametrize("name", ["", "onnxruntime", "ort-cpu "])
def test_a_backend_is_named_in_full(bundle: Bundle, name: str) -> None:
    with pytest.raises(ConfigError, match="no backend is called"):
        check(bundle, backends=[name])


def test_a_backend_named_twice_is_compared_once(bundle: Bundle, another) -> None:
    another(0.0)
    assert len(check(bundle, backends=["ort-cuda", "ort-cpu", "ort-cuda"]).backends) == 2


def test_a_reference_packet_of_other_samples(bundle: Bundle) -> None:
    for count in (1, 5):
        packet = Encoder(bundle).encode(bundle.reference.inputs[:count])
        wrong = Bundle.make(bundle.manifest, bundle.members | {"reference/packet.bin": packet})
        with pytest.raises(BundleError, match=f"the reference packet holds {count} samples"):
            check(wrong)


@pytest.mark.parametrize("std", [0.0, 5e-324])
def test_a_manifest_without_a_deviation(bundle: Bundle, std: float) -> None:
    scale = replace(bundle.manifest.scale, std=(std,))
    found = check(Bundle.make(replace(bundle.manifest, scale=scale), bundle.members))
    assert found.fine
    # In raw units then, of which one is what an integer may differ by.
    (limit,) = [row.limit for row in found.rows if "reconstructions" in row.what]
    assert limit == 1.0


def test_samples_that_do_not_fit_are_named(bundle: Bundle, tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", bundle.reference.inputs)
    np.save(tmp_path / "a.npy", np.zeros((5, 3, 3), np.uint8))
    with pytest.raises(ShapeError, match=r"a\.npy: an array of shape \(5, 3, 3\)"):
        samples_from(tmp_path, bundle)


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
