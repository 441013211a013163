"""rdedge curve."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from rdedge.cli.pipes import say


@click.command("curve")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The folder for curve.csv, curve.json, curve.png and curve.svg.",
)
@click.option(
    "--classical/--no-classical",
    default=True,
    show_default=True,
    help="Search what the classical codecs need at the same distortions.",
)
@click.option("--thorough", is_flag=True, help="Try the classical settings that take minutes too.")
@click.option(
    "--task",
    help="MODULE:FUNCTION of (samples, labels), scored on raw and decoded samples; shipped: "
    "rdedge.tasks.digits:accuracy, rdedge.tasks.skab:f1, rdedge.tasks.boards:intact.",
)
@click.option("--labels", help="The task's labels: a key of the .npz, or a column of the table.")
@click.option("--task-data", help="Labelled raw samples that the task learns from.")
@click.option("--json", "as_json", is_flag=True, help="Print the curve as JSON.")
@click.option("-f", "--force", is_flag=True, help="Replace files that are there.")
def command(
    runs: tuple[Path, ...],
    output: Path,
    classical: bool,
    thorough: bool,
    task: str | None,
    labels: str | None,
    task_data: str | None,
    as_json: bool,
    force: bool,
) -> None:
    """Rate against distortion of finished RUNS, the classical codecs beside them.

    The runs share their data and their metric; of one run alone the quantiser's step is varied.
    """
    from rdedge.data.files import refuse_existing
    from rdedge.flows.curve import Options, curve, write
    from rdedge.report.curve import curve_json, curve_text

    for name in ("curve.csv", "curve.json", "curve.png", "curve.svg"):
        refuse_existing(output / name, force)
    options = Options(classical, thorough, task, labels, task_data)
    found = curve(runs, options, say if sys.stderr.isatty() else lambda _: None)
    written = write(output, found, force=force)
    if as_json:
        click.echo(json.dumps(curve_json(found), indent=1))
    else:
        click.echo(curve_text(found))
        click.echo("written: " + ", ".join(map(str, written)))
