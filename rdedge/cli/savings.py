"""rdedge savings."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rdedge.cli.lines import only


@click.command("savings")
@click.argument("container", type=click.Path(path_type=Path), metavar="LEDGER|FILE.rdz")
@click.option(
    "-b", "--bundle", type=click.Path(path_type=Path), help="Of a container: the codec, FILE.rdb."
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
@click.option(
    "--tariff",
    type=click.Path(path_type=Path),
    help="Of a ledger: what bytes cost, a .toml file or one of the examples lte-steps, sim-pool, "
    "satellite.  [default: megabytes are counted]",
)
@click.option(
    "--against",
    type=click.Choice(["today", "best", "raw"]),
    help="Of a ledger: what would be sent instead.  [default: today's codec where the ledger has "
    "it, else raw]",
)
@click.option(
    "--csv",
    "as_csv",
    type=click.Path(path_type=Path),
    help="Of a ledger: write a row for each device, stream and day.",
)
@click.option(
    "--html",
    "as_html",
    type=click.Path(path_type=Path),
    help="Of a ledger: write a page of tables.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Of a ledger: write a picture for slides, FILE.png or FILE.svg.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the account as JSON.")
@click.option("-f", "--force", is_flag=True, help="Replace a picture that is there.")
@click.pass_context
def command(
    context: click.Context,
    /,
    container: Path,
    bundle: Path | None,
    data: tuple[str, ...],
    key: str | None,
    classical: bool,
    quick: bool,
    png: Path | None,
    tariff: Path | None,
    against: str | None,
    as_csv: Path | None,
    as_html: Path | None,
    plot: Path | None,
    as_json: bool,
    force: bool,
) -> int | None:
    """What a ledger saved, in money with its interval, by device, stream and day; or a container:
    raw and payload bytes, ratio, bits an element, distortion.

    The exit code is 1 where a part of a ledger could not be read.
    """
    if bundle is None:
        from rdedge.cli import ledger

        return ledger.savings(context, container, context.params)
    from rdedge.bundle.lines import LineBundle, open_bundle
    from rdedge.cli import lines
    from rdedge.codec.decoder import Decoder
    from rdedge.codec.files import read_container
    from rdedge.data.files import refuse_existing, write_file
    from rdedge.flows.savings import comparison, originals, savings
    from rdedge.report.savings import savings_text

    of_ledger = {"tariff", "against", "as_csv", "as_html", "plot"}
    only(context, set(context.params) - of_ledger, "it needs a ledger", "a container")
    opened = open_bundle(bundle)
    if isinstance(opened, LineBundle):
        lines.savings(context, opened, context.params)
        return None
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
    return None
