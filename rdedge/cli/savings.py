"""rdedge savings."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("savings")
@click.argument("container", type=click.Path(path_type=Path))
@click.option(
    "-b", "--bundle", required=True, type=click.Path(path_type=Path), help="The codec, FILE.rdb."
)
@click.option(
    "--data",
    multiple=True,
    help="The originals, in the order they were compressed in: "
    "files or folders; then quality and classical codecs are shown too.",
)
@click.option("--key", help="Which array of an .npz.")
@click.option(
    "--classical/--no-classical",
    default=True,
    show_default=True,
    help="Search what the classical codecs need at the same bound.",
)
@click.option("--quick", is_flag=True, help="Leave out the classical settings that take minutes.")
@click.option(
    "--png",
    type=click.Path(path_type=Path),
    help="Write a picture of originals, reconstructions and errors.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the account as JSON.")
@click.option("-f", "--force", is_flag=True, help="Replace a picture that is there.")
@click.pass_context
def command(
    context: click.Context,
    /,
    container: Path,
    bundle: Path,
    data: tuple[str, ...],
    key: str | None,
    classical: bool,
    quick: bool,
    png: Path | None,
    as_json: bool,
    force: bool,
) -> None:
    """What CONTAINER saved: raw and payload bytes, ratio, bits an element, distortion."""
    from rdedge.bundle.lines import LineBundle, open_bundle
    from rdedge.cli import lines
    from rdedge.codec.decoder import Decoder
    from rdedge.codec.files import read_container
    from rdedge.data.files import refuse_existing, write_file
    from rdedge.flows.savings import comparison, originals, savings
    from rdedge.report.savings import savings_text

    opened = open_bundle(bundle)
    if isinstance(opened, LineBundle):
        lines.savings(context, opened, context.params)
        return
    if png is not None and not data:
        raise click.UsageError("--png needs the originals: give --data")
    if png is not None:
        refuse_existing(png, force)
    decoder = Decoder(opened)
    x = originals([Path(name) for name in data], decoder.manifest, key) if data else None
    found, x_hat = savings(
        read_container(container), decoder, x, classical=classical, thorough=not quick
    )
    if png is not None and x is not None:
        write_file(png, comparison(decoder.manifest, x, x_hat), force=force)
    result = found.to_json()
    if as_json:
        click.echo(json.dumps(result, indent=1))
    else:
        click.echo(savings_text(result))
