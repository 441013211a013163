"""rdedge compress."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from rdedge.cli.pipes import binary, say, written_to


@click.command("compress")
@click.argument("inputs", nargs=-1, required=True)
@click.option(
    "-b", "--bundle", required=True, type=click.Path(path_type=Path), help="The codec, FILE.rdb."
)
@click.option(
    "-o", "--output", required=True, help="The container to write, FILE.rdz; - is stdout."
)
@click.option("--key", help="Which array of an .npz.")
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    help="Samples in one packet.  [default: 4096, of lines one block]",
)
@click.option(
    "--gate",
    type=click.Choice(["always", "sampled", "never"]),
    help="Measure every sample and send none that misses the bundle's bound; measure some and say "
    "what was found; neither.  [default: as the bundle's recipe says]",
)
@click.option(
    "--margin",
    type=click.FloatRange(min=0.0, max=1.0),
    help="What other decoders may make of a value, in standard deviations of the training data.  "
    "[default: what rdedge check measured here, else the recipe's limit]",
)
@click.option(
    "--digest",
    is_flag=True,
    help="Let packets say what they come back as, and with what distortion.",
)
@click.option(
    "--ledger", type=click.Path(path_type=Path), help="Append a row for each packet to this folder."
)
@click.option("--device", help="Its name in the ledger.  [default: this host's]")
@click.option("--stream", help="Of all inputs, in the ledger.  [default: each one's name]")
@click.option(
    "--instead",
    metavar="CODECS",
    help="What is used today, then others, such as gzip,jpeg:85,best: run on a share of the "
    "packets, as named and at what the packet itself errs.",
)
@click.option(
    "--instead-share",
    type=click.FloatRange(min=0.0, max=1.0, min_open=True),
    help="Of the packets.  [default: 0.01]",
)
@click.option("--backend", help="What runs the graph: onnxruntime.")
@click.option("--coder", type=click.Choice(["c", "numpy"]), help="Which entropy coder.")
@click.option("-f", "--force", is_flag=True, help="Replace a container that is there.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing where all went well.")
@click.pass_context
def command(
    context: click.Context,
    /,
    inputs: tuple[str, ...],
    bundle: Path,
    output: str,
    key: str | None,
    batch: int | None,
    gate: str | None,
    margin: float | None,
    digest: bool,
    ledger: Path | None,
    device: str | None,
    stream: str | None,
    instead: str | None,
    instead_share: float | None,
    backend: str | None,
    coder: str | None,
    force: bool,
    quiet: bool,
) -> int:
    """Compress INPUTS (.npy, .npz, .csv, .parquet, pictures, folders of them; - is stdin) into one
    container. With a bundle of lines: logs, folders of logs, or a log through stdin.

    Through a pipe come an .npy file or samples as they lie in memory, little-endian. Pictures of a
    folder that cannot be read are left out and named at the end; the exit code is 1 then.
    """
    from rdedge.bundle.lines import LineBundle, open_bundle
    from rdedge.cli import lines
    from rdedge.cli.ledger import account_of
    from rdedge.codec.encoder import Encoder
    from rdedge.codec.files import DEFAULT_BATCH, compress
    from rdedge.data import sources
    from rdedge.data.files import refuse_existing
    from rdedge.report.text import size

    account = account_of(ledger, device, stream, instead, instead_share)
    opened = open_bundle(bundle)
    if isinstance(opened, LineBundle):
        return lines.compress(context, opened, inputs, context.params, account)
    batch = batch or DEFAULT_BATCH
    if output != "-":
        refuse_existing(Path(output), force)
    skipped: list[sources.Skipped] = []
    encoder = Encoder(
        opened,
        backend=backend,
        coder=coder,  # type: ignore[arg-type]
        gate=gate,
        margin=margin,
        digest=digest,
    )
    unsure = encoder.margin is not None and not encoder.margin.verified
    if unsure and encoder.mode == "always" and not quiet:
        assert encoder.margin is not None
        say(
            f"gate: {encoder.margin.source}, {encoder.margin.deviations:g} standard deviations, is "
            f"subtracted from the bound; rdedge check {bundle} may find less"
        )
    if "-" in inputs:
        if len(inputs) > 1:
            raise click.UsageError("stdin cannot be mixed with files")
        found = iter([sources.read_stream(binary(sys.stdin).read(), encoder.spec)])
    else:
        paths = [Path(name) for name in inputs]
        options = sources.ReadOptions(columns=encoder.manifest.columns)
        found = sources.read_all(paths, skipped, key=key, spec=encoder.spec, options=options)

    watch = None if account is None else account.of(encoder)
    with (
        contextlib.nullcontext() if account is None else account.metered(),
        written_to(output, force=force) as file,
    ):
        written, total = compress(encoder, found, file, batch, watch)
    if not quiet:
        raw = sum(one.raw_bytes for one in written)
        seconds = sum(one.encode_seconds for one in written)
        say(
            f"{output}: {sum(one.samples for one in written):,} samples of {len(written)} "
            f"source{'s' * (len(written) != 1)}, {size(raw)} -> {size(total)} "
            f"({raw / total:.1f} to 1), encoded in {seconds:.3f} s",
        )
        if encoder.mode != "never":
            say(encoder.tally.line(encoder.manifest.bound))
        if account is not None:
            say(account.line())
    for one in skipped:
        say(f"rdedge: left out {one.name}: {one.why}")
    if skipped:
        say(f"rdedge: {len(skipped)} of {len(skipped) + len(written)} files could not be read")
    return 1 if skipped else 0
