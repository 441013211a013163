from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest

import rdedge
from rdedge import metrics
from rdedge.bundle.bundle import Bundle
from rdedge.codec import Decoder, Encoder
from rdedge.codec.preprocess import from_network, to_network
from rdedge.errors import (
    BundleError,
    ConfigError,
    FormatError,
    MismatchError,
    RdedgeError,
    ShapeError,
    TruncatedError,
    UnsupportedError,
    ValueRangeError,
)
from rdedge.format.packet import Packet, Run, read_packet
from rdedge.types import DTYPES


@pytest.fixture(scope="module")
def encoder(bundle: Bundle) -> Encoder:
    return Encoder(bundle)


@pytest.fixture(scope="module")
def decoder(bundle: Bundle) -> Decoder:
    return Decoder(bundle)


def test_the_public_names_work_on_a_path(bundle_path: Path, held_out: np.ndarray) -> None:
    packet = rdedge.Encoder(bundle_path).encode(held_out)
    x_hat = rdedge.Decoder(str(bundle_path)).decode(packet)
    assert isinstance(packet, bytes)
    assert x_hat.shape == held_out.shape
    assert x_hat.dtype == held_out.dtype
    mse = metrics.mean("mse", held_out, x_hat, metrics.Scale(1.0, (1.0,)))
    assert mse <= 4.0, "the bound holds on the very samples that it was measured on"
    assert len(packet) < 0.1 * held_out.nbytes


def test_the_scorecard_is_what_the_bundle_does(
    bundle: Bundle, encoder: Encoder, held_out: np.ndarray
) -> None:
    export = bundle.scorecard["export"]
    assert export["packet_bytes"] == len(encoder.encode(held_out))
    assert export["samples"] == len(held_out)
    assert bundle.scorecard["training"]["met"]


@pytest.mark.parametrize("count", [1, 2, 3, 64, 397])
def test_any_batch(encoder: Encoder, decoder: Decoder, held_out: np.ndarray, count: int) -> None:
    x_hat = decoder.decode(encoder.encode(held_out[:count]))
    assert x_hat.shape == (count, 8, 8)


def test_one_sample_has_a_frame_of_at_most_14_bytes(encoder: Encoder, held_out: np.ndarray) -> None:
    data = encoder.encode(held_out[:1])
    packet, _ = read_packet(data)
    streams = sum(len(stream) for stream in packet.streams.values())
    assert len(data) - streams <= 14


def test_samples_decode_alike_alone_and_together(
    encoder: Encoder, decoder: Decoder, held_out: np.ndarray
) -> None:
    """Packets of one and a packet of all hold the same symbols, so the same pictures."""
    together = decoder.decode(encoder.encode(held_out[:20])).astype(int)
    packets = b"".join(encoder.encode_stream(held_out[i : i + 1] for i in range(20)))
    alone = np.concatenate(list(decoder.decode_stream(packets))).astype(int)
    assert np.abs(together - alone).max() <= 1


def test_both_coders_give_the_same_packets(bundle: Bundle, held_out: np.ndarray) -> None:
    a, b = Encoder(bundle, coder="c"), Encoder(bundle, coder="numpy")
    for count in (1, 33, 397):
        assert a.encode(held_out[:count]) == b.encode(held_out[:count])
    packet = a.encode(held_out)
    one, other = Decoder(bundle, coder="c"), Decoder(bundle, coder="numpy")
    assert np.array_equal(one.decode(packet), other.decode(packet))


def test_blocks_do_not_show(encoder: Encoder, decoder: Decoder, digits: np.ndarray) -> None:
    """More samples than one block of a graph holds."""
    x = np.concatenate([digits] * 2)
    symbols = encoder.symbols(x)
    assert symbols.shape == (len(x), encoder.manifest.latents)
    assert np.abs(symbols[: len(digits)] - symbols[len(digits) :]).max() <= 1
    x_hat = decoder.reconstruct(symbols)
    assert x_hat.shape == x.shape
    alone = decoder.reconstruct(symbols[-5:])
    assert np.abs(x_hat[-5:].astype(int) - alone).max() <= 1


def test_threads_may_share_an_encoder(encoder: Encoder, held_out: np.ndarray) -> None:
    expected = encoder.encode(held_out)
    results: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: results.append(encoder.encode(held_out))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 8


def test_symbols_far_outside_the_tables_survive(encoder: Encoder, decoder: Decoder) -> None:
    rng = np.random.default_rng(0)
    latents = encoder.manifest.latents
    symbols = rng.integers(-(2**31), 2**31, size=(50, latents)).astype(np.int32)
    packet = encoder.symbol_codec.pack(symbols.reshape(-1), len(symbols))
    unpacked = decoder.symbol_codec.unpack(read_packet(packet)[0])
    assert np.array_equal(unpacked, symbols)


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((3, 8, 7), np.uint8), "shape"),
        (np.zeros((8, 8), np.uint8), r"x\[None\]"),
        (np.zeros((3, 64), np.uint8), "shape"),
        (np.zeros((3, 8, 8), np.float64), "float64"),
        (np.zeros((3, 8, 8), bool), "bool"),
        (np.zeros((0, 8, 8), np.uint8), "batch of 0"),
        ([[1, 2]], "list"),
    ],
)
def test_other_shapes_and_dtypes_are_refused(encoder: Encoder, array: object, match: str) -> None:
    with pytest.raises(ShapeError, match=match):
        encoder.encode(array)  # type: ignore[arg-type]


def test_order_and_byte_order_do_not_matter(encoder: Encoder, held_out: np.ndarray) -> None:
    x = held_out[:9]
    assert encoder.encode(np.asfortranarray(x)) == encoder.encode(x)
    assert encoder.encode(x[::-1][::-1]) == encoder.encode(x)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_float32_cannot_hold_is_named(bad: float, dtype: str) -> None:
    if dtype == "float32" and bad == 1e39:
        bad = np.inf
    x = np.zeros((5, 4), dtype)
    x[3, 2] = bad
    with pytest.raises(ValueRangeError, match=r"\(3, 2\)"):
        to_network(x)


def test_large_finite_values_are_not_taken_for_infinite() -> None:
    x = np.full((4, 4), 3e38, np.float32)
    assert np.array_equal(to_network(x), x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_comes_back(dtype: str) -> None:
    x_hat = np.array([[-1e30, -0.5, 0.4, 1.5, 2.5, 1e30]], np.float32)
    out = from_network(x_hat, dtype)
    assert out.dtype == np.dtype(dtype)
    if np.issubdtype(out.dtype, np.integer):
        info = np.iinfo(dtype)
        assert out[0, 0] == info.min
        assert out[0, 5] >= info.max * 0.999999
        assert out[0, 2:5].tolist() == [0, 2, 2], "half to even"
    else:
        assert np.isfinite(out).all()


def test_packets_of_another_codec_are_refused(
    bundle: Bundle, decoder: Decoder, encoder: Encoder, held_out: np.ndarray
) -> None:
    packet, _ = read_packet(encoder.encode(held_out[:2]))
    foreign = dataclasses.replace(packet, codec_key=b"\0\1\2\3")
    with pytest.raises(MismatchError, match="00010203"):
        decoder.decode(foreign.to_bytes())
    shaped = dataclasses.replace(packet, shape=(4, 4))
    with pytest.raises(MismatchError, match="shape"):
        decoder.decode(shaped.to_bytes())
    unnamed = len(decoder.manifest.fallbacks) + 1
    fallback = dataclasses.replace(packet, runs=(Run(unnamed, 0, 1), Run(0, 0, 1)))
    with pytest.raises(UnsupportedError, match=f"codec {unnamed}"):
        decoder.decode(fallback.to_bytes())
    beyond = len(decoder.manifest.levels)
    level = dataclasses.replace(packet, runs=(Run(0, beyond, 2),))
    with pytest.raises(UnsupportedError, match=f"level {beyond}"):
        decoder.decode(level.to_bytes())
    more = dataclasses.replace(packet, runs=(Run(0, 0, 1),))
    with pytest.raises(FormatError):
        decoder.decode(more.to_bytes())
    with pytest.raises(MismatchError):
        decoder.require(bytes(32))


def test_a_huge_count_is_refused_before_memory_is_taken(
    decoder: Decoder, encoder: Encoder, held_out: np.ndarray
) -> None:
    packet, _ = read_packet(encoder.encode(held_out[:2]))
    forged = Packet(packet.codec_key, (Run(0, 0, 1 << 24),), packet.streams).to_bytes()
    with pytest.raises(FormatError, match="bytes can hold"):
        decoder.decode(forged)


def test_every_flipped_bit_is_an_error_or_a_sample(
    decoder: Decoder, encoder: Encoder, held_out: np.ndarray
) -> None:
    data = encoder.encode(held_out[:3])
    for bit in range(8 * len(data)):
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        try:
            out = decoder.decode(bytes(altered))
        except RdedgeError:
            continue
        assert out.shape == (3, 8, 8)


def test_every_cut_is_an_error(decoder: Decoder, encoder: Encoder, held_out: np.ndarray) -> None:
    data = encoder.encode(held_out[:3])
    for cut in range(len(data)):
        with pytest.raises(TruncatedError):
            decoder.decode(data[:cut])
    with pytest.raises(FormatError, match="decode_stream"):
        decoder.decode(data + b"\0")


def test_a_backend_that_is_not_there_is_said(bundle: Bundle) -> None:
    with pytest.raises(ConfigError, match="abacus"):
        Encoder(bundle, backend="abacus")


def test_a_graph_that_is_none_is_a_bundle_error(bundle: Bundle) -> None:
    members = dict(bundle.members) | {"encoder.onnx": b"not a graph"}
    broken = Bundle.make(bundle.manifest, members)
    with pytest.raises(BundleError, match=r"encoder\.onnx"):
        Encoder(broken)
    assert broken.manifest.identity == bundle.manifest.identity, "the encoder is not part of it"
