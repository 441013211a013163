"""`rdedge demo`: the main job from end to end on the digits that come with scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from rdedge.codec.decoder import Decoder
from rdedge.codec.encoder import Encoder
from rdedge.codec.files import compress, decompress, read_container
from rdedge.data import builtin, sources
from rdedge.data.files import write_aside, write_file
from rdedge.data.sinks import to_bytes
from rdedge.flows.check import check
from rdedge.flows.savings import comparison, savings
from rdedge.host.export import export
from rdedge.host.train import train
from rdedge.report.savings import savings_text

HELD_OUT = 397
MAX_MSE = 4.0


def demo(folder: Path, say: Callable[[str], None], *, thorough: bool = True) -> None:
    """Do it all in folder, saying after each step what a user would have typed and what came of it.

    Raises whatever a step raises; a failed check of the bundle is a ParityError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held_out, rdb, rdz = folder / "held-out.npy", folder / "digits.rdb", folder / "held-out.rdz"
    digits = builtin.load("digits").samples
    write_file(held_out, to_bytes(digits[-HELD_OUT:], "npy", {}), force=True)

    say(
        f"$ rdedge train digits --max-distortion {MAX_MSE:g} --metric mse --held-out {HELD_OUT} "
        f"-o {folder / 'run'}"
    )
    card = train(
        "digits",
        max_distortion=MAX_MSE,
        metric="mse",
        held_out=HELD_OUT,
        output=folder / "run",
        force=True,
    )
    say(
        f"mse {card['distortion']:.3f} on {card['samples']} held-out digits, "
        f"{card['training']['epochs']} epochs in {card['training']['seconds']:.0f} s\n"
    )

    say(f"$ rdedge export {folder / 'run'} -o {rdb}")
    bundle = export(folder / "run", rdb, force=True)
    say(
        f"codec {bundle.manifest.identity[:16]}, {rdb.stat().st_size:,} bytes, encoder "
        f"{bundle.manifest.encoder.macs:,} multiply-adds a digit\n"
    )

    say(f"$ rdedge check {rdb}")
    for one in check(bundle):
        say(f"{'fine' if one.fine else 'WRONG'}  {one.what}: {one.value:.3g}")
        one.require()

    say(f"\n$ rdedge compress -b {rdb} {held_out} -o {rdz}")
    with write_aside(rdz, force=True) as file:
        written, total = compress(Encoder(bundle), [sources.read(held_out)], file)
    say(f"{written[0].samples} digits, {written[0].raw_bytes:,} -> {total:,} bytes\n")

    say(f"$ rdedge decompress -b {rdb} {rdz} -o {folder / 'decoded'}")
    decoder = Decoder(bundle)
    for name, samples in decompress(decoder, read_container(rdz), folder / "decoded", force=True):
        say(f"{folder / 'decoded' / name}: {samples} samples\n")

    say(f"$ rdedge savings -b {rdb} {rdz} --data {held_out} --png {folder / 'digits.png'}")
    x = sources.read(held_out).samples
    found, x_hat = savings(read_container(rdz), decoder, [x], thorough=thorough)
    assert np.array_equal(x_hat[0], sources.read(folder / "decoded" / "held-out.npy").samples)
    write_file(folder / "digits.png", comparison(bundle.manifest, [x], x_hat), force=True)
    say(savings_text(found.to_json(), decoder.spec.elements))
