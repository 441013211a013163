"""Codecs of series give back what they took, and the yardsticks made of them keep the bound."""

import importlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rdedge.classical import layouts, registry
from rdedge.classical.layouts import Layout
from rdedge.classical.series import series_curve, series_yardsticks
from rdedge.classical.zstd_dictionary import ZstdDictionary
from rdedge.errors import ConfigError, FormatError, MissingError, ShapeError, ValueRangeError
from rdedge.metrics import Scale
from rdedge.types import Bound

LIBRARIES = {"pcodec": "pcodec", "zfp": "zfpy", "sz3": "pysz"}
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def named(name: str):
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name])
    return registry.get(name)


def benchmark(name: str):
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


rice = benchmark("rice")
sets = benchmark("sets")


def windows(count: int = 12, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    """Three channels of unlike spread: a walk, noise, and one that rarely moves."""
    rng = np.random.default_rng(seed)
    t = count * 32
    walk = np.cumsum(rng.normal(0, 1, t))
    noise = rng.normal(20, 4, t)
    steps = np.repeat(rng.integers(0, 3, count), 32) * 30.0
    return np.stack([walk, noise, steps], axis=1).reshape(count, 32, 3).astype(dtype)


@pytest.mark.parametrize("name", ["zstd", "lzma", "pcodec", "zfp"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(32, 3), (3, 32), (96,), (1, 1), (1,)])
def test_without_loss_every_float_comes_back(name, dtype, shape):
    codec = named(name)
    x = np.resize(windows(1, dtype), shape)
    for setting in codec.lossless() + codec.packets():
        data = codec.encode(x, setting).data
        np.testing.assert_array_equal(codec.decode(data, x.shape, dtype), x)


@pytest.mark.parametrize("name", ["zfp", "sz3"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(32, 3), (96,), (1, 1)])
def test_within_a_tolerance_no_value_is_further_off(name, dtype, shape):
    codec = named(name)
    x = np.resize(windows(1, dtype), shape)
    for ladder in codec.ladders():
        for rung in ladder.settings[25:36]:
            back = codec.decode(codec.encode(x, rung).data, x.shape, dtype)
            assert np.abs(back - x).max() <= rung.option("tolerance") * 1.0001, rung.text


@pytest.mark.parametrize("name", ["zfp", "sz3"])
def test_a_tolerance_codec_refuses_what_it_would_spoil(name):
    codec = named(name)
    rung = codec.ladders()[0].settings[30]
    bad = np.zeros((4, 2), np.float32)
    bad[1, 1] = np.nan
    with pytest.raises(ValueRangeError, match="not finite"):
        codec.encode(bad, rung)
    for x in (np.zeros((4, 2), np.int32), bad[:0], np.zeros((1, 1, 1, 1, 1), np.float32)):
        with pytest.raises(ShapeError, match="float32"):
            codec.encode(x, rung)
    with pytest.raises(FormatError):
        codec.decode(b"", (4, 2), "float32")


def test_pcodec_refuses_what_it_cannot_read():
    codec = named("pcodec")
    x = windows(1, "int32")[0]
    for setting in codec.lossless():
        data = codec.encode(x, setting).data
        for bad in (data[:-1], data + b"\0", b"\x07" + data[1:], data[:3]):
            with pytest.raises(FormatError):
                codec.decode(bad, x.shape, "int32")
    with pytest.raises(ShapeError, match="complex64"):
        codec.encode(x.astype(np.complex64), codec.lossless()[0])


def test_a_bare_packet_is_smaller_and_says_the_same():
    x = windows(1, "int8")[0]
    for name, saved in (("zstd", 4), ("lzma", 12)):
        codec = registry.get(name)
        whole, bare = (codec.encode(x, s[0]).data for s in (codec.lossless(), codec.packets()))
        assert len(bare) <= len(whole) - saved
        np.testing.assert_array_equal(codec.decode(bare, x.shape, "int8"), x)
        for bad in (bare[:-2], bare[:1], b"\xff"):
            with pytest.raises(FormatError):
                codec.decode(bad, x.shape, "int8")


def test_a_dictionary_saves_bytes_and_both_ends_need_it():
    x = np.random.default_rng(0).integers(0, 3, (1, 8, 8)).astype(np.int8)
    like = [np.roll(x[0], k, axis=0) for k in range(8)] * 10
    plain = ZstdDictionary()
    for setting in plain.packets():
        codec = plain.trained(like, setting)
        if codec is None:
            continue  # zstd's trainer may find the samples too few
        small = codec.encode(like[3], setting).data
        assert len(small) < len(plain.encode(like[3], setting).data)
        assert 0 < codec.side_bytes <= setting.option("size")
        np.testing.assert_array_equal(codec.decode(small, (8, 8), "int8"), like[3])
        with pytest.raises(FormatError):
            plain.decode(small, (8, 8), "int8")
    assert plain.trained(like, plain.packets()[1]).side_bytes > 0
    assert plain.trained([], plain.packets()[0]) is None


@pytest.mark.parametrize("models", ["bytes", "numbers", "channels"])
def test_every_layout_is_undone(models):
    rng = np.random.default_rng(2)
    for limit in (1, 100, 30_000, 2**40):
        q = rng.integers(-limit, limit + 1, (3, 7, 2))
        for layout in layouts.for_numbers(models):
            dtype = layout.dtype(q)
            for piece, laid in zip(q, layout.lay(q, dtype), strict=True):
                np.testing.assert_array_equal(layout.undo(laid, (7, 2), dtype), piece)
    floats = windows(2)
    for layout in layouts.for_values(models):
        for piece, laid in zip(floats, layout.lay(floats, "float32"), strict=True):
            np.testing.assert_array_equal(layout.undo(laid, (32, 3), "float32"), piece)


def test_a_layout_takes_the_smallest_dtype_after_differences():
    q = np.arange(300)[None, :, None]
    assert Layout(0, True, "plain").dtype(q) == "int16"
    assert Layout(1, True, "plain").dtype(q) == "int8"


@given(arrays(np.int64, st.integers(0, 20), elements=st.integers(-(2**63), 2**63 - 1)))
def test_varints_are_undone(values):
    octets = layouts.varints(values)
    np.testing.assert_array_equal(layouts.from_varints(octets), values)
    assert len(octets) <= 10 * len(values)


@settings(max_examples=150, deadline=None)
@given(
    arrays(
        np.int64,
        st.tuples(st.integers(1, 4), st.integers(1, 20)),
        elements=st.one_of(st.integers(-4, 4), st.integers(-(2**31), 2**31 - 1)),
    )
)
def test_rice_gives_back_what_it_took(x):
    codec = rice.Rice()
    data = codec.encode(x, codec.lossless()[0]).data
    np.testing.assert_array_equal(codec.decode(data, x.shape, "int64"), x)
    with pytest.raises(FormatError):
        codec.decode(data[:-1], x.shape, "int64")
    with pytest.raises(FormatError):
        codec.decode(data + b"\0", x.shape, "int64")


def test_rice_spends_what_the_code_says():
    codec = rice.Rice()
    setting = codec.lossless()[0]
    # A level: two bits, five bits, one octet. Three of them are 45 bits.
    assert len(codec.encode(np.full((3, 64), 5), setting).data) == 6
    # 2, 5 and no first value; 64 codes at k = 0 of zigzag 0 and 1: a bit each, one more for each 1.
    row = np.zeros((1, 64), np.int64)
    row[0, 1::4] = -1
    assert len(codec.encode(row, setting).data) == -(-(7 + 64 + 16) // 8)


def test_rice_refuses_what_is_no_series_of_whole_numbers():
    codec = rice.Rice()
    for x in (np.zeros((2, 3), np.float32), np.zeros(3, np.int8), np.zeros((0, 3), np.int8)):
        with pytest.raises(ShapeError):
            codec.encode(x, codec.lossless()[0])
    with pytest.raises(ValueRangeError):
        codec.encode(np.full((1, 2), 2**31), codec.lossless()[0])


CODECS = ["zstd", "pcodec", "zfp", "sz3"]


@pytest.mark.parametrize("packetised", [True, False])
@pytest.mark.parametrize(
    ("metric", "value", "dtype"),
    [
        ("mse", 0.5, "float32"),
        ("mse", 0.5, "float64"),
        ("mse", 0.5, "int16"),
        ("nrmse", 0.05, "float32"),
        ("psnr", 40.0, "float32"),
        ("mae", 0.5, "float32"),
        ("max-abs", 2.0, "float32"),
        ("max-abs", 2.0, "int16"),
    ],
)
def test_every_yardstick_keeps_the_bound(metric, value, dtype, packetised):
    bound = Bound(metric, value)
    train, x = windows(12, dtype, 1), windows(4, dtype, 2)
    # Training dictionaries takes long: one case stands for all.
    names = [*CODECS, "zstd-dictionary"] if (bound.metric, dtype) == ("mse", "float32") else CODECS
    chosen = [registry.get(n) for n in names if n in registry.available()]
    found = series_yardsticks(
        train, x, bound, Scale.of(train), packetised=packetised, codecs=[*chosen, rice.Rice()]
    )
    sizes = [f.size_bytes for f in found]
    assert sizes == sorted(sizes)
    expected = {c.name for c in chosen if packetised or not c.packets_only} | {"delta-rice"}
    assert {f.codec for f in found} == expected
    for f in found:
        assert bound.met_by(f.distortion.value), f
        assert f.size_bytes > 0, f
        assert (f.side_bytes > 0) == (f.codec == "zstd-dictionary"), f
        assert ("as they are" in f.setting) <= (f.distortion.value in (0.0, np.inf)), f
    best = min(sizes)
    exact = min(f.size_bytes for f in found if "as they are" in f.setting)
    assert best < exact if dtype != "int16" else best <= exact


@pytest.mark.parametrize("packetised", [True, False])
@pytest.mark.parametrize(
    "x",
    [
        np.full((3, 8, 2), 5.25, np.float32),
        np.full((1, 1, 1), -3, np.int32),
        np.zeros((2, 4, 1)),
        np.resize(np.arange(8, dtype=np.float32), (1, 8, 1)),
    ],
    ids=["equal", "one value", "zeros", "one window"],
)
def test_data_that_hardly_vary(x, packetised):
    chosen = [registry.get(n) for n in [*CODECS, "lzma"] if n in registry.available()]
    for bound in (Bound("mse", 0.01), Bound("nrmse", 0.01), Bound("psnr", 40.0)):
        found = series_yardsticks(
            x, x, bound, Scale.of(x), packetised=packetised, codecs=[*chosen, rice.Rice()]
        )
        assert {"zstd", "lzma"} <= {f.codec for f in found}
        assert all(bound.met_by(f.distortion.value) for f in found)


def test_a_channel_that_training_never_saw_move_is_kept():
    train, x = windows(12), windows(6, seed=3)
    train[..., 2] = 1.0
    found = series_yardsticks(
        train, x, Bound("mse", 0.5), Scale.of(train), packetised=True, codecs=["zstd"]
    )
    assert len(found) == 2


def test_a_packet_costs_more_than_its_share_of_a_stream():
    train, x = windows(12), windows(12, seed=4)
    sizes = [
        series_yardsticks(
            train, x, Bound("mse", 0.5), Scale.of(train), packetised=p, codecs=["zstd"]
        )[0].size_bytes
        for p in (True, False)
    ]
    assert sizes[0] > sizes[1]


def test_a_lattice_is_found_at_a_step_that_is_coarse():
    rng = np.random.default_rng(0)
    train, x = (0.5 * rng.integers(-9, 10, (8, 32, 1)) for _ in range(2))
    bound = Bound("mse", 0.002)
    found = series_yardsticks(
        train, x, bound, Scale.of(train), packetised=True, codecs=[rice.Rice()]
    )
    # By the rule of uniform error the step would be 0.155.
    step = float(found[0].setting.split("step ")[1].split(",")[0])
    assert step * train.std() > 0.4


def test_series_that_cannot_be_used_are_refused():
    x = windows(4)
    bound, scale = Bound("mse", 1.0), Scale.of(x)
    bad = x.copy()
    bad[1, 2, 0] = np.nan
    for train, test in ((bad, x), (x, bad)):
        with pytest.raises(ValueRangeError, match="not finite"):
            series_yardsticks(train, test, bound, scale, packetised=True)
    for train, test in ((x, x[0]), (x[:0], x), (x, x[..., :2]), (x, x.astype(np.float64))):
        with pytest.raises(ShapeError):
            series_yardsticks(train, test, bound, scale, packetised=True)
    with pytest.raises(ShapeError, match="complex"):
        series_yardsticks(x, x.astype(np.complex64), bound, scale, packetised=True)


def test_a_codec_that_is_named_must_be_installed(monkeypatch):
    real = importlib.import_module

    def without(name, *rest):
        if name.split(".")[0] == "pcodec":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    x = windows(2)
    with pytest.raises(MissingError, match=r"pip install 'rdedge\[series\]'"):
        series_yardsticks(x, x, Bound("mse", 1.0), Scale.of(x), packetised=True, codecs=["pcodec"])


@pytest.mark.parametrize("name", ["zstd", "pcodec", "zfp", "sz3", "zstd-dictionary"])
@pytest.mark.parametrize("packetised", [True, False])
def test_a_curve_has_a_point_for_each_factor_and_rises(name, packetised):
    named(name)
    x = windows()
    args = (windows(seed=1), x, name, Scale.of(x), "mse")
    if name == "zstd-dictionary" and not packetised:
        with pytest.raises(ConfigError, match="does not take"):
            series_curve(*args, packetised=packetised, factors=(1.0,))
        return
    points = series_curve(*args, packetised=packetised, factors=(0.02, 0.1, 0.5))
    assert len(points) == 3
    errors = [f.distortion.value for f in points]
    assert errors == sorted(errors, reverse=True)
    assert 0 < points[0].size_bytes < points[1].size_bytes < points[2].size_bytes < x.nbytes


def test_steps_too_fine_for_whole_numbers_are_refused():
    x = windows(2, "float64")
    with pytest.raises(ConfigError, match="coarser"):
        series_curve(x, x, "zstd", Scale.of(x), "mse", packetised=True, factors=[1e-18])


def test_windows_of_a_set_cross_no_break_and_no_time_twice(tmp_path):
    folder = tmp_path / "nab"
    folder.mkdir()
    rows = ["timestamp,value"]
    # 300 rows every 5 minutes; rows 20 to 29 come again after a jump back; a gap of hours later.
    times = [300 * i for i in range(30)] + [300 * i for i in range(20, 200)]
    times += [300 * i for i in range(400, 500)]
    for at in times:
        minutes = at // 60
        stamp = f"2014-01-{1 + minutes // 1440:02}T{minutes // 60 % 24:02}:{minutes % 60:02}:00"
        rows.append(f"{stamp},{at}")
    (folder / "machine_temperature_system_failure.csv").write_text("\n".join(rows) + "\n")
    made = sets.nab_temperature(tmp_path)
    for part in (made.train, made.test):
        assert part.shape[1:] == (64, 1)
        assert part.dtype == np.float32
        raw = part * made.std + made.mean
        np.testing.assert_allclose(np.diff(raw[..., 0], axis=1), 300, rtol=1e-3)
    assert (len(made.train), len(made.test)) == (3, 1)
