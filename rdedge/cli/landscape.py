"""rdedge landscape."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from rdedge.cli.pipes import say


def _numbers(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, ...]:
    try:
        return () if text is None else tuple(int(cell) for cell in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not I,J,K: three whole numbers") from error


@click.command("landscape")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The .png to make; a .csv with the numbers comes beside it.",
)
@click.option(
    "--through",
    metavar="I,J,K",
    callback=_numbers,
    help="The plane through three held-out samples, by their numbers from 0.",
)
@click.option(
    "--principal",
    is_flag=True,
    help="The plane of the two principal directions.  [default: unless samples have two values]",
)
@click.option(
    "--size", type=int, default=200, show_default=True, help="Points on a side of the grid."
)
@click.option(
    "--distance",
    "distances",
    type=float,
    multiple=True,
    help="Off the data, raw units; may be given again.  [default: 1/32 to 1 of its spread]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@click.option("-f", "--force", is_flag=True, help="Replace files that are there.")
def command(
    runs: tuple[Path, ...],
    output: Path,
    through: tuple[int, ...],
    principal: bool,
    size: int,
    distances: tuple[float, ...],
    as_json: bool,
    force: bool,
) -> None:
    """The reconstruction error of finished RUNS around their data, side by side.

    Where a run has learned its data, the energy |x - g_s(g_a(x))|^2, latents not rounded, is low
    along the data and rises off it. The runs share their data.
    """
    from rdedge.flows.landscape import Options, landscape, refuse_outputs, write
    from rdedge.report.landscape import landscape_json, landscape_text

    refuse_outputs(output, force=force)
    options = Options(through, principal, size, distances)
    found = landscape(runs, options, say if sys.stderr.isatty() else lambda _: None)
    written = write(output, found, force=force)
    if as_json:
        click.echo(json.dumps(landscape_json(found), indent=1))
    else:
        click.echo(landscape_text(found))
        click.echo("written: " + ", ".join(map(str, written)))
