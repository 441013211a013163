"""rdedge decompress."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rdedge.cli.pipes import binary, say
from rdedge.format.container import Container

_OF_LINES = {"container", "bundle", "output", "salvage", "force", "quiet"}


@click.command("decompress")
@click.argument("container")
@click.option(
    "-b", "--bundle", required=True, type=click.Path(path_type=Path), help="The codec, FILE.rdb."
)
@click.option(
    "-o",
    "--output",
    required=True,
    help="The folder to write into; - is stdout, for a container of one source.",
)
@click.option("--salvage", is_flag=True, help="Take what is whole of a file that was cut short.")
@click.option("--backend", help="What runs the graph: onnxruntime.")
@click.option("--coder", type=click.Choice(["c", "numpy"]), help="Which entropy coder.")
@click.option("-f", "--force", is_flag=True, help="Replace files that are there.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing where all went well.")
@click.pass_context
def command(
    context: click.Context,
    /,
    container: str,
    bundle: Path,
    output: str,
    salvage: bool,
    backend: str | None,
    coder: str | None,
    force: bool,
    quiet: bool,
) -> int:
    """Restore the files of CONTAINER (- is stdin) under their names, in their order."""
    from rdedge.bundle.lines import LineBundle, open_bundle
    from rdedge.cli import lines
    from rdedge.codec.decoder import Decoder
    from rdedge.codec.files import decompress, read_container, restore

    if container == "-":
        found = Container(binary(sys.stdin).read())
        if not salvage:
            found.require_whole()
    else:
        found = read_container(Path(container), salvage=salvage)
    if output == "-" and len(found.entries) != 1:
        raise click.UsageError(f"{len(found.entries)} sources do not fit into one pipe")
    opened = open_bundle(bundle)
    if isinstance(opened, LineBundle):
        lines.only(context, _OF_LINES, "there is no network")
        for text in lines.decompress(opened, found, output, force):
            if not quiet:
                say(text)
        return _cut(found)
    decoder = Decoder(opened, backend=backend, coder=coder)  # type: ignore[arg-type]
    if output == "-":
        binary(sys.stdout).write(next(restore(decoder, found)).data)
        sys.stdout.flush()
    else:
        done = decompress(decoder, found, Path(output), force=force)
        if not quiet:
            for name, samples in done:
                say(f"{Path(output) / name}: {samples:,} samples")
    if decoder.mismatches:
        say(
            f"rdedge: {decoder.mismatches} of {decoder.digests} packets with a digest came back as "
            "something else than on the device; run rdedge check on both machines",
        )
    return _cut(found)


def _cut(found: Container) -> int:
    """The exit code: 1, and why, where the container was cut short."""
    if found.cut is None:
        return 0
    samples = sum(entry.samples for entry in found.entries)
    say(
        f"rdedge: the container is cut short at byte {found.cut}; {samples:,} samples before "
        "it were restored",
    )
    return 1
