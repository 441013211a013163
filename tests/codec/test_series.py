"""Windows of series there and back: gaps, several windows, hostile packets."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge import metrics, native
from rdedge.bundle.bundle import Bundle
from rdedge.codec import Decoder, Encoder
from rdedge.codec.preprocess import fill_missing
from rdedge.errors import (
    FormatError,
    MismatchError,
    RdedgeError,
    ShapeError,
    TruncatedError,
    ValueRangeError,
)
from rdedge.format.constants import Stream
from rdedge.format.mask import write_mask
from rdedge.format.packet import Packet, Run, read_packet
from rdedge.types import SampleSpec
from tests.format import hostile
from tests.host import plant

WINDOWS, T, C = 12, plant.WINDOW, len(plant.COLUMNS)


@pytest.fixture(scope="module")
def encoder(series_bundle: Bundle) -> Encoder:
    return Encoder(series_bundle)


@pytest.fixture(scope="module")
def decoder(series_bundle: Bundle) -> Decoder:
    return Decoder(series_bundle)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    """Windows (12, 32, 5) float32 that the codec never saw; with gaps."""
    windows = plant.rows(WINDOWS * T, seed=9).reshape(WINDOWS, T, C)
    assert np.isnan(windows).any()
    return windows


@pytest.fixture(scope="module")
def whole(x: np.ndarray) -> np.ndarray:
    return fill_missing(x)[0]


def of_dtype(bundle: Bundle, dtype: str) -> Bundle:
    """The same codec for samples of another dtype."""
    spec = SampleSpec("series", bundle.manifest.sample.shape, dtype)
    return Bundle.make(dataclasses.replace(bundle.manifest, sample=spec), dict(bundle.members))


def test_the_codec_has_what_series_have(series_bundle: Bundle) -> None:
    manifest, selection = series_bundle.manifest, series_bundle.selection
    assert manifest.sample == SampleSpec("series", (T, C), "float32")
    assert manifest.columns == plant.COLUMNS
    assert len(manifest.scale.std) == C
    assert len(selection.groups) == C
    assert selection.selectors.size > 0
    assert manifest.grid((T, C)) == ()


@pytest.mark.parametrize("count", [1, 2, 7, WINDOWS])
def test_any_batch(encoder: Encoder, decoder: Decoder, whole: np.ndarray, count: int) -> None:
    x_hat = decoder.decode(encoder.encode(whole[:count]))
    assert (x_hat.shape, x_hat.dtype) == ((count, T, C), np.float32)
    assert np.isfinite(x_hat).all()
    scale = decoder.manifest.scale
    assert metrics.mean("nrmse", whole[:count], x_hat, scale) < 0.1


def test_windows_decode_alike_alone_and_together(
    encoder: Encoder, decoder: Decoder, whole: np.ndarray
) -> None:
    together = decoder.decode(encoder.encode(whole))
    alone = decoder.decode_stream(b"".join(encoder.encode_stream(whole[:, None])))
    assert np.allclose(np.concatenate(list(alone)), together, atol=1e-3)


def test_one_window_has_a_frame_of_at_most_14_bytes(encoder: Encoder, whole: np.ndarray) -> None:
    data = encoder.encode(whole[:1])
    packet, _ = read_packet(data)
    assert set(packet.streams) <= {Stream.LATENTS, Stream.ESCAPES}
    assert len(data) - sum(map(len, packet.streams.values())) <= 14


@pytest.mark.skipif(native.library() is None, reason="no C library")
@pytest.mark.parametrize("count", [1, WINDOWS, 40 * WINDOWS])
def test_both_coders_give_the_same_packets(
    series_bundle: Bundle, x: np.ndarray, count: int
) -> None:
    batch = np.concatenate([x] * -(-count // WINDOWS))[:count]
    packets = {c: Encoder(series_bundle, coder=c).encode(batch) for c in ("c", "numpy")}
    assert packets["c"] == packets["numpy"]
    lanes = read_packet(packets["c"])[0].lanes
    assert (lanes > 1) == (count > WINDOWS)
    decoded = [Decoder(series_bundle, coder=c).decode(packets["c"]) for c in ("c", "numpy")]
    assert np.array_equal(decoded[0], decoded[1], equal_nan=True)


# Gaps


@st.composite
def gaps(draw: st.DrawFn) -> np.ndarray:
    """Which values of a few windows are missing: runs, rows, channels, windows, all or single."""
    count = draw(st.integers(1, 4))
    missing = np.zeros((count, T, C), bool)
    for _ in range(draw(st.integers(1, 6))):
        n, c = draw(st.integers(0, count - 1)), draw(st.integers(0, C - 1))
        a, b = sorted(draw(st.tuples(st.integers(0, T), st.integers(0, T))))
        kind = draw(st.sampled_from(["run", "rows", "channel", "window", "one", "all"]))
        if kind == "run":
            missing[n, a:b, c] = True
        elif kind == "rows":
            missing[n, a:b] = True
        elif kind == "channel":
            missing[n, :, c] = True
        elif kind == "window":
            missing[n] = True
        elif kind == "one":
            missing[n, a % T, c] = True
        elif draw(st.integers(0, 5)) == 0:
            missing[:] = True
    return missing


@settings(deadline=None, max_examples=150)
@given(gaps())
def test_any_gaps_come_back(
    encoder: Encoder, decoder: Decoder, whole: np.ndarray, missing: np.ndarray
) -> None:
    batch = whole[: len(missing)].copy()
    batch[missing] = np.nan
    packet = encoder.encode(batch)
    assert (Stream.MASK in read_packet(packet)[0].streams) == bool(missing.any())
    x_hat = decoder.decode(packet)
    assert np.array_equal(np.isnan(x_hat), missing)
    assert np.isfinite(x_hat[~missing]).all()
    assert encoder.symbols(batch).shape == (len(batch), decoder.manifest.latents)


def test_what_is_there_is_kept_beside_gaps(
    encoder: Encoder, decoder: Decoder, x: np.ndarray
) -> None:
    before = x.copy()
    x_hat = decoder.decode(encoder.encode(x))
    assert np.array_equal(x, before, equal_nan=True), "encoding fills a copy"
    assert np.array_equal(np.isnan(x_hat), np.isnan(x))
    assert metrics.mean("nrmse", x, x_hat, decoder.manifest.scale) < 0.1
    valve = ~np.isnan(x[:, :, plant.VALVE])
    exact = decoder.bundle.scorecard["training"]["model"]["exact"]
    assert plant.VALVE in exact
    assert np.array_equal(x_hat[:, :, plant.VALVE][valve], x[:, :, plant.VALVE][valve])


def test_a_channel_without_any_value(encoder: Encoder, decoder: Decoder, x: np.ndarray) -> None:
    """In one window, in all windows, and a packet of nothing but gaps."""
    for batch in (x[:3].copy(), x[:1].copy()):
        batch[:, :, plant.FLOW] = np.nan
        x_hat = decoder.decode(encoder.encode(batch))
        assert np.array_equal(np.isnan(x_hat), np.isnan(batch))
    nothing = np.full((2, T, C), np.nan, np.float32)
    assert np.isnan(decoder.decode(encoder.encode(nothing))).all()


def test_gaps_are_filled_by_their_neighbours() -> None:
    window = np.array([[np.nan, 1.0, np.nan, np.nan, 4.0, np.nan]]).reshape(1, 6, 1)
    filled, missing = fill_missing(window)
    assert missing is not None
    assert filled[0, :, 0].tolist() == [1.0, 1.0, 2.0, 3.0, 4.0, 4.0]
    assert missing[0, :, 0].tolist() == [True, False, True, True, False, True]
    two = np.array([[2.0, np.nan, 4.0], [np.nan] * 3]).reshape(2, 3, 1)
    assert fill_missing(two)[0][1, :, 0].tolist() == [3.0] * 3, "the mean of what there is"
    assert fill_missing(two[1:])[0][0, :, 0].tolist() == [0.0] * 3
    integers = np.ones((1, 3, 1), np.int16)
    assert fill_missing(integers) == (integers, None)
    same = np.ones((1, 3, 1))
    assert fill_missing(same)[0] is same
    large = np.array([3e38, 3e38, np.nan], np.float32).reshape(1, 3, 1)
    assert np.isfinite(fill_missing(large)[0]).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_gaps_of_every_float(series_bundle: Bundle, x: np.ndarray, dtype: str) -> None:
    bundle = of_dtype(series_bundle, dtype)
    x_hat = Decoder(bundle).decode(Encoder(bundle).encode(x.astype(dtype)))
    assert x_hat.dtype == np.dtype(dtype)
    assert np.array_equal(np.isnan(x_hat), np.isnan(x))


def test_integers_have_no_gaps(series_bundle: Bundle, whole: np.ndarray) -> None:
    bundle = of_dtype(series_bundle, "int16")
    encoder, decoder = Encoder(bundle), Decoder(bundle)
    packet = encoder.encode(whole.astype(np.int16))
    assert decoder.decode(packet).dtype == np.int16
    mask = write_mask(np.ones(whole.shape, bool))
    parsed = read_packet(packet)[0]
    forged = dataclasses.replace(parsed, streams={**parsed.streams, Stream.MASK: mask})
    with pytest.raises(FormatError, match="cannot be missing"):
        decoder.decode(forged.to_bytes())


def test_vectors_have_no_gaps(bundle: Bundle, held_out: np.ndarray) -> None:
    parsed = read_packet(Encoder(bundle).encode(held_out[:2]))[0]
    mask = write_mask(np.ones((2, 8, 8), bool))
    forged = dataclasses.replace(parsed, streams={**parsed.streams, Stream.MASK: mask})
    with pytest.raises(FormatError, match="cannot be missing"):
        Decoder(bundle).decode(forged.to_bytes())


# Refusals


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
@pytest.mark.parametrize("gap", [None, (1, 6, 2), (1, 8, 2), (0, slice(None), 2)])
def test_infinity_is_refused_where_it_stands(
    encoder: Encoder, whole: np.ndarray, bad: float, gap: object
) -> None:
    """Not at the gap beside it that it would fill."""
    batch = whole[:2].copy()
    batch[1, 7, 2] = bad
    if gap is not None:
        batch[gap] = np.nan
    with pytest.raises(ValueRangeError, match=rf"\(1, 7, 2\) is {bad}"):
        encoder.encode(batch)
    with pytest.raises(ValueRangeError, match=r"\(1, 7, 2\)"):
        encoder.symbols(batch)


def test_what_float32_cannot_hold_is_refused(series_bundle: Bundle, whole: np.ndarray) -> None:
    encoder = Encoder(of_dtype(series_bundle, "float64"))
    batch = whole[:2].astype(np.float64)
    batch[0, 3, 1], batch[0, 2, 1] = 1e39, np.nan
    with pytest.raises(ValueRangeError, match=r"\(0, 3, 1\) is 1e\+39"):
        encoder.encode(batch)


def test_values_far_outside_the_training_data(
    encoder: Encoder, decoder: Decoder, whole: np.ndarray
) -> None:
    """Escapes carry them as long as a symbol exists, with gaps beside them too."""
    batch = whole[:1].copy()
    batch[0, 5, plant.FLOW], batch[0, 9, plant.VALVE] = 1e6, np.nan
    packet = encoder.encode(batch)
    assert Stream.ESCAPES in read_packet(packet)[0].streams
    assert decoder.decode(packet)[0, 5, plant.FLOW] == pytest.approx(1e6, rel=1e-3)
    batch[0, 5, plant.FLOW] = 1e30
    with pytest.raises(ValueRangeError, match="too far outside"):
        encoder.encode(batch)


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ((2, T + 1, C), "shape"),
        ((2, T - 1, C), "shape"),
        ((2, T, C + 1), "shape"),
        ((2, C, T), "shape"),
        ((2, T * C), "shape"),
        ((T, C), r"x\[None\]"),
        ((0, T, C), "batch of 0"),
    ],
)
def test_other_windows_are_refused(encoder: Encoder, shape: tuple[int, ...], match: str) -> None:
    with pytest.raises(ShapeError, match=match):
        encoder.encode(np.zeros(shape, np.float32))


def test_other_dtypes_are_refused(encoder: Encoder) -> None:
    for dtype in ("float64", "int16"):
        with pytest.raises(ShapeError, match=dtype):
            encoder.encode(np.zeros((1, T, C), dtype))


# Forged packets


def parsed(encoder: Encoder, x: np.ndarray) -> Packet:
    return read_packet(encoder.encode(x))[0]


def with_classes(encoder: Encoder, x: np.ndarray, place: int, value: int) -> bytes:
    """A packet that is sound, but for one class."""
    codec = encoder.symbol_codec
    symbols = encoder.symbols(x).reshape(-1)
    classes = codec.way.selector.choose(symbols)
    index = np.concatenate(
        [
            np.tile(codec.way.selector.selection.selectors, len(x)),
            codec.way.selector.index(classes, len(x)),
        ]
    )
    classes[place] = value
    coded = codec.coder.encode(np.concatenate([classes, symbols]), 1, index)
    streams = {Stream.LATENTS: coded.latents}
    if coded.escapes:
        streams[Stream.ESCAPES] = coded.escapes
    return Packet(codec.key, (Run(0, 0, len(x)),), streams, coded.lanes).to_bytes()


@pytest.mark.parametrize("value", [-1, 16, 1000, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("coder", ["c", "numpy"])
def test_a_class_that_is_none_is_refused(
    series_bundle: Bundle, encoder: Encoder, whole: np.ndarray, coder: str, value: int
) -> None:
    if coder == "c" and native.library() is None:
        pytest.skip("no C library")
    decoder = Decoder(series_bundle, coder=coder)  # type: ignore[arg-type]
    choices = encoder.symbol_codec.way.selector.choices
    sound = with_classes(encoder, whole[:3], 0, int(decoded_class(encoder, whole[:3])))
    assert sound == encoder.encode(whole[:3])
    for place in (0, choices, 3 * choices - 1):
        with pytest.raises(FormatError, match=f"class {value};"):
            decoder.decode(with_classes(encoder, whole[:3], place, value))


def decoded_class(encoder: Encoder, x: np.ndarray) -> int:
    return int(encoder.symbol_codec.way.selector.choose(encoder.symbols(x).reshape(-1))[0])


@pytest.mark.parametrize("claimed", [1, 2, 4, 5, 1000, 1 << 15, 1 << 24])
def test_another_count_than_was_coded_is_refused(
    encoder: Encoder, decoder: Decoder, whole: np.ndarray, claimed: int
) -> None:
    """But for a lane that has come to zero: what follows is free, up to 2^20 symbols."""
    symbols = encoder.symbols(whole[:3]).reshape(-1)
    for lanes in (1, 2, 8):
        packet = read_packet(encoder.symbol_codec.pack(symbols, 3, lanes))[0]
        assert packet.lanes == lanes
        forged = dataclasses.replace(packet, runs=(Run(0, 0, claimed),)).to_bytes()
        found: Any = hostile.outcome(decoder.decode, forged)
        free = lanes == 1 and 3 < claimed <= 1000
        assert isinstance(found, FormatError) or (free and found.shape == (claimed, T, C))


def test_a_huge_count_takes_no_memory(
    encoder: Encoder, decoder: Decoder, whole: np.ndarray
) -> None:
    packet = parsed(encoder, whole[:3])
    forged = dataclasses.replace(packet, runs=(Run(0, 0, 1 << 24),)).to_bytes()
    with pytest.raises(FormatError, match="bytes can hold"):
        decoder.decode(forged)
    assert hostile.peak_bytes(decoder.decode, forged) < 100_000


def test_series_have_one_window(encoder: Encoder, decoder: Decoder, whole: np.ndarray) -> None:
    packet = parsed(encoder, whole[:2])
    for shape in ((T, C), (2 * T, C), (T, C + 1), (T * C,)):
        with pytest.raises(MismatchError):
            decoder.decode(dataclasses.replace(packet, shape=shape).to_bytes())


@pytest.mark.parametrize(
    ("mask", "error"),
    [
        (b"", FormatError),
        (b"\x00\x00", FormatError),
        (b"\xa0\x01", FormatError),  # 160, all values of one window present
        (b"\x05\xff\xff\x03", FormatError),
        (b"\x05\x80", TruncatedError),
    ],
)
def test_masks_that_are_none(
    encoder: Encoder, decoder: Decoder, whole: np.ndarray, mask: bytes, error: type[Exception]
) -> None:
    packet = parsed(encoder, whole[:1])
    forged = dataclasses.replace(packet, streams={**packet.streams, Stream.MASK: mask})
    with pytest.raises(error):
        decoder.decode(forged.to_bytes())


def test_every_flipped_bit_is_an_error_or_windows(
    encoder: Encoder, decoder: Decoder, x: np.ndarray
) -> None:
    """Also where the checksum was made to fit: inside of the body, behind it."""
    packet = parsed(encoder, x[2:4])
    assert Stream.MASK in packet.streams
    for kind, stream in packet.streams.items():
        for flipped in hostile.flips(stream):
            forged = dataclasses.replace(packet, streams={**packet.streams, kind: flipped})
            try:
                x_hat = decoder.decode(forged.to_bytes())
            except FormatError:
                continue
            assert x_hat.shape == (2, T, C)
    for flipped in hostile.flips(encoder.encode(x[2:4])):
        with pytest.raises(RdedgeError):
            decoder.decode(flipped)


def test_every_cut_is_an_error(encoder: Encoder, decoder: Decoder, x: np.ndarray) -> None:
    for cut in hostile.cuts(encoder.encode(x[2:4])):
        with pytest.raises(TruncatedError):
            decoder.decode(cut)
