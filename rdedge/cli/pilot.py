"""rdedge pilot."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from rdedge.cli.pipes import say
from rdedge.types import KINDS, METRIC_IS_MINIMUM

_OF_READING = (
    "kind",
    "key",
    "window",
    "time_column",
    "columns",
    "separator",
    "group",
    "held_out",
    "held_out_data",
    "held_out_key",
)


@click.command("pilot")
@click.argument("data")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The folder to make: pilot.json, curve.csv, bundle.rdb, ledger, stages.toml, report.html.",
)
@click.option(
    "--max-distortion",
    type=float,
    help="What every sample is to keep, in the units of --metric.  [default: proposed]",
)
@click.option(
    "--metric",
    type=click.Choice(list(METRIC_IS_MINIMUM)),
    help="What the bound is measured in.  [default: psnr of pictures, nrmse of series, else mse]",
)
@click.option(
    "--task",
    help="MODULE:FUNCTION of (samples, labels), scored on raw and decoded samples; shipped: "
    "rdedge.tasks.digits:accuracy, rdedge.tasks.skab:f1, rdedge.tasks.boards:intact.",
)
@click.option("--labels", help="The task's labels: a key of the .npz, or a column of the table.")
@click.option("--task-data", help="Labelled raw samples that the task learns from.")
@click.option(
    "--max-fall",
    "fall",
    type=float,
    default=0.01,
    show_default=True,
    help="By how much the task's score may fall.",
)
@click.option("--tariff", help="What bytes cost: a tariff by name, or a file NAME.toml.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Wall clock for training and searches, about.",
)
@click.option(
    "--target",
    default="cpu-host",
    show_default=True,
    help="A device profile, by name, or a file NAME.toml.",
)
@click.option(
    "--today",
    help="What is used now: raw, files (the pictures as they came) or a codec such as webp.  "
    "[default: files of pictures that came compressed, else raw]",
)
@click.option("--devices", type=click.IntRange(min=1), help="Of the fleet.  [default: assumed]")
@click.option(
    "--samples-per-day",
    type=click.FloatRange(min=0, min_open=True),
    help="Of a device.  [default: assumed]",
)
@click.option("--model", default="auto", show_default=True, help="As for rdedge train.")
@click.option("--kind", type=click.Choice(KINDS), help="What the samples are.")
@click.option("--key", help="Which array of an .npz.")
@click.option("--window", type=click.IntRange(min=1), help="Rows of a window of a series.")
@click.option("--time-column", help="The column of times of a table.  [default: found]")
@click.option("--columns", help="Columns of a table to take, by name: A,B,C.  [default: all]")
@click.option("--separator", help="Of the columns of a .csv.  [default: found]")
@click.option(
    "--group",
    help="A regular expression over names of pictures that belong together.  [default: found]",
)
@click.option(
    "--held-out", type=click.IntRange(min=1), help="How many samples at the end are held out."
)
@click.option("--held-out-data", help="A file or folder of held-out samples of its own.")
@click.option("--held-out-key", help="Which array of it, for an .npz.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--lang",
    "language",
    type=click.Choice(["en", "ja"]),
    default="en",
    show_default=True,
    help="Of report.html.",
)
@click.option("--json", "as_json", is_flag=True, help="Print pilot.json.")
@click.option("-f", "--force", is_flag=True, help="Replace a pilot that is there.")
def command(
    data: str,
    output: Path,
    columns: str | None,
    as_json: bool,
    force: bool,
    **options: Any,
) -> None:
    """Is it worth it for DATA? Checks, a curve beside the classical codecs, a verdict, a bundle
    ready to deploy and a plan for the roll-out, in one folder.

    DATA is what rdedge train takes. A folder with folders train and test in it is split so.
    """
    from rdedge.flows.pilot import Options, pilot
    from rdedge.flows.pilot_data import Reading
    from rdedge.report.pilot_text import pilot_text

    how = {name: options.pop(name) for name in _OF_READING if name != "columns"}
    reading = Reading(columns=() if columns is None else tuple(columns.split(",")), **how)
    found = pilot(
        data,
        output,
        Options(**options),
        reading,
        command=shlex.join(["rdedge", *_typed()]),
        force=force,
        tell=say if sys.stderr.isatty() else lambda _: None,
    )
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        click.echo(pilot_text(found))
        click.echo(f"written: {output}")


def _typed() -> list[str]:
    """What was typed, without paths of this machine: of files their last part."""
    typed = sys.argv[1:]
    return [Path(one).name if "/" in one and not one.startswith("-") else one for one in typed]
