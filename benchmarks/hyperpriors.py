"""CompressAI's factorised and mean-scale hyperprior models, in the minutes that rdedge may take.

    python benchmarks/hyperpriors.py [--data DIR] [--machine NAME] [--minutes M] [--only NETWORK]
                                     [--set SET] [--keep DIR]

A set of pictures of quality.toml, grey, split and flipped as `rdedge train` does for quality.py, in
crops of 128 x 128 pixels; whole held-out pictures to judge. Writes results/hyperpriors-MACHINE.csv,
replacing the rows of the cases that ran. Minutes are of the processor, on one core. rdedge's own
figures on the same split stand in the CSVs of contexts.py and quality.py, the classical codecs' in
quality.py's.

factorised: J. Balle et al., arXiv 1802.01436; mean-scale: D. Minnen et al., arXiv 1809.02736;
both as compressai.models has them, one channel in place of three. Adam from 1e-3, falling as a
cosine; rate + multiplier x squared error, the multiplier moved by what validation tiles err, as
rdedge moves its own. Bytes are what compress() returns, and 4 for the sides of a picture;
errors are of what decompress() makes of them, rounded.

other_floats: pictures, of those judged, that come out wrong where the decoder's convolutions are
another library's (oneDNN off) than the encoder's, and come out of its own alike. Interpreter:
`compressai` has needs of its own, so give it an environment of its own.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import tomllib
import torch
from coding import machine_name
from kept import replace_rows
from quality import prepare
from torch import Tensor, nn

from rdedge.host.datasets import AS_IT_COMES, Parts, divide, held_out_apart, load
from rdedge.host.feeds import Feed
from rdedge.host.options import TrainingOptions
from rdedge.host.splits import Split

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DATA = HERE.parents[1] / "shared/data"
FIELDS = (
    "case",
    "set",
    "codec",
    "bound",
    "psnr",
    "bits_per_pixel",
    "kind",
    "bytes",
    "train_s",
    "steps",
    "parameters",
    "encoder_macs_per_pixel",
    "decoder_macs_per_pixel",
    "encode_ms_per_picture",
    "other_floats",
    "version",
    "machine",
)
# name: (class, N, M).
NETWORKS = {
    "factorised-64-96": ("FactorizedPrior", 64, 96),
    "mean-scale-64-96": ("MeanScaleHyperprior", 64, 96),
    "factorised-128-192": ("FactorizedPrior", 128, 192),
    "mean-scale-128-192": ("MeanScaleHyperprior", 128, 192),
}
BOUNDS = {"magtile": (30.6, 33.0), "deeppcb": (34.3,), "pictures": (33.0,)}
_BATCH, _LEARNING_RATE, _LOOK = 4, 1e-3, 100
# The share of training after which the multiplier moves.
_AIMING = 0.4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", action="append", choices=NETWORKS, help="several times")
    parser.add_argument("--bound", action="append", type=float, help="a PSNR; several times")
    parser.add_argument("--set", choices=BOUNDS, default="magtile")
    parser.add_argument("--keep", type=Path, default=Path("quality-runs"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for bound in options.bound or BOUNDS[options.set]:
        for name in options.only or NETWORKS:
            row = _row(name, bound, options)
            print(row, flush=True)
            path = RESULTS / f"hyperpriors-{options.machine}.csv"
            replace_rows(path, FIELDS, row["case"], [row])


def parts_of(name: str, data: Path, keep: Path) -> Parts:
    """The split that train makes."""
    one = tomllib.loads((HERE / "quality.toml").read_text())["sets"][name]
    place = prepare(name, one, data, keep)
    dataset = load(place["data"], None, AS_IT_COMES, place.get("group"))
    apart, held = None, None
    if "held_out_data" in place:
        apart, held = held_out_apart(place["held_out_data"], None, dataset, AS_IT_COMES), 0
    split = Split.of(dataset.count, held, "image")
    return divide(dataset, split.between(dataset.starts) if dataset.starts else split, apart, None)


def network(name: str) -> nn.Module:
    """A model of CompressAI for pictures of one channel."""
    from compressai import models

    kind, n, m = NETWORKS[name]
    net = getattr(models, kind)(n, m)
    net.g_a[0] = nn.Conv2d(1, n, 5, 2, 2)
    net.g_s[-1] = nn.ConvTranspose2d(n, 1, 5, 2, 2, output_padding=1)
    return net


def _row(name: str, bound: float, options: argparse.Namespace) -> dict[str, object]:
    import compressai

    torch.manual_seed(0)
    parts, net = parts_of(options.set, options.data, options.keep), network(name)
    began = time.process_time()
    steps = _fit(net, parts, bound, options.minutes * 60.0)
    seconds = time.process_time() - began
    found = judge(net, parts.held_out)
    encoder, decoder = macs_per_pixel(net)
    return {
        "case": f"{options.set}-{bound:g}-{name}-{options.minutes:g}",
        "set": options.set,
        "codec": f"compressai {name}",
        "bound": bound,
        "psnr": f"{found['psnr']:.3f}",
        "bits_per_pixel": f"{found['bits_per_pixel']:.5g}",
        "kind": "actual",
        "bytes": found["bytes"],
        "train_s": f"{seconds:.0f}",
        "steps": steps,
        "parameters": sum(p.numel() for p in net.parameters()),
        "encoder_macs_per_pixel": encoder,
        "decoder_macs_per_pixel": decoder,
        "encode_ms_per_picture": f"{found['encode_ms']:.1f}",
        "other_floats": found["other_floats"],
        "version": f"compressai {compressai.__version__}, torch {torch.__version__}",
        "machine": options.machine,
    }


def _fit(net: nn.Module, parts: Parts, bound: float, seconds: float) -> int:
    """Train for so many seconds of processor time. Returns the steps taken."""
    feed = Feed(parts.train, parts.spec, TrainingOptions(epochs=1), 128, torch.device("cpu"))
    chance = torch.Generator().manual_seed(0)
    target = 255.0**2 / 10 ** (bound / 10)
    # To start from, of squared errors of 0 to 255: what magnetic tiles take at 30.6 and 33 dB.
    multiplier = 0.005 * 2.0 ** ((bound - 30.6) / 2.1)
    aims = [_padded(x[:, :256, :256]) for x in parts.validation[:: len(parts.validation) // 12 + 1]]
    # The quantiles of the bottleneck are found by bisection in the end, not by descent.
    weights = [p for n, p in net.named_parameters() if not n.endswith(".quantiles")]
    adam = torch.optim.Adam(weights, lr=_LEARNING_RATE)
    started, step, done = time.process_time(), 0, 0.0
    while done < 1.0:
        warm = min(1.0, (step + 1) / 50)
        for group in adam.param_groups:
            rate = 0.5 * _LEARNING_RATE * (1.0 + math.cos(math.pi * done))
            group["lr"] = max(1e-5, rate) * warm
        which = torch.randint(0, len(feed), (_BATCH,), generator=chance)
        x = feed.take(which, chance)[0].permute(0, 3, 1, 2) / 255.0
        out = net(x)
        bits = -sum(p.log2().sum() for p in out["likelihoods"].values()) / x.numel()
        error = 255.0**2 * (out["x_hat"] - x).square().mean()
        adam.zero_grad()
        (bits + multiplier * error).backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        adam.step()
        step += 1
        done = (time.process_time() - started) / seconds
        if step % _LOOK == 0:
            net.eval()
            with torch.no_grad():
                errors = [float(((net(a)["x_hat"].clamp(0, 1) - a) ** 2).mean()) for a in aims]
            net.train()
            missed = 255.0**2 * float(np.mean(errors)) / target
            if done > _AIMING:
                multiplier *= min(1.25, max(0.8, missed**0.7))
            print(f"{step}: {done:.0%} {float(bits):.4f} bits {missed:.3f} {multiplier:.5f}")
    return step


def _padded(x: np.ndarray, patch: int = 64) -> Tensor:
    """(1, H, W, 1) uint8 -> (1, 1, H', W') of 0 to 1: edges repeated to whole patches."""
    down, right = (-x.shape[1] % patch, -x.shape[2] % patch)
    x = np.pad(x, ((0, 0), (0, down), (0, right), (0, 0)), mode="edge")
    return torch.from_numpy(x.astype(np.float32)).permute(0, 3, 1, 2) / 255.0


def judge(net: nn.Module, pictures: list[np.ndarray]) -> dict[str, float]:
    """Bytes, errors, and what another library's floats make of the same bytes."""
    net.eval()
    net.update(force=True, update_quantiles=True)
    size = squares = pixels = wrong = 0
    seconds = []
    patch = net.downsampling_factor
    with torch.no_grad():
        for x in pictures:
            padded = _padded(x, patch)
            began = time.process_time()
            packet = net.compress(padded)
            seconds.append(time.process_time() - began)
            size += sum(len(one) for strings in packet["strings"] for one in strings) + 4
            back = _restored(net, packet, x)
            squares += int(np.square(back.astype(np.int64) - x).sum())
            pixels += x.size
            with torch.backends.mkldnn.flags(enabled=False):
                other = _restored(net, packet, x)
            # One grey level is what two orders of a sum may differ by.
            wrong += int(np.abs(other.astype(int) - back).max() > 1)
    return {
        "bytes": size,
        "bits_per_pixel": 8 * size / pixels,
        "psnr": 10 * math.log10(255.0**2 * pixels / squares),
        "encode_ms": 1e3 * float(np.mean(seconds)),
        "other_floats": wrong,
    }


def _restored(net: nn.Module, packet: dict, x: np.ndarray) -> np.ndarray:
    x_hat = net.decompress(packet["strings"], packet["shape"])["x_hat"]
    rounded = (255.0 * x_hat).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return rounded[:, : x.shape[1], : x.shape[2]]


def macs_per_pixel(net: nn.Module, side: int = 640) -> tuple[int, int]:
    """Of encoder and decoder, for a picture of side x side. The hyper decoder is a part of both."""
    counts: dict[str, float] = {}

    def count(part: str):
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], y: Tensor) -> None:
            (x,) = inputs
            if isinstance(module, nn.ConvTranspose2d):
                each = x.shape[2] * x.shape[3] * module.weight.numel()
            elif isinstance(module, nn.Conv2d):
                each = y.shape[2] * y.shape[3] * module.weight.numel()
            elif type(module).__name__ == "GDN":
                each = y.shape[2] * y.shape[3] * y.shape[1] ** 2
            else:
                return
            counts[part] = counts.get(part, 0.0) + each / side**2

        return hook

    hooks = [
        module.register_forward_hook(count(part))
        for part in ("g_a", "g_s", "h_a", "h_s")
        for module in getattr(net, part, nn.Identity()).modules()
    ]
    with torch.no_grad():
        net(torch.zeros(1, 1, side, side))
    for hook in hooks:
        hook.remove()
    hyper = counts.get("h_s", 0.0)
    encoder = counts["g_a"] + counts.get("h_a", 0.0) + hyper
    return round(encoder), round(counts["g_s"] + hyper)


if __name__ == "__main__":
    main()
