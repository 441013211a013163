"""rdedge bench."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("bench")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--backend",
    "backends",
    multiple=True,
    help="Measure this one; may be repeated.  [default: all at hand]",
)
@click.option(
    "--batch",
    "batches",
    type=int,
    multiple=True,
    default=(1, 64),
    show_default=True,
    help="Samples at a time; may be repeated.",
)
@click.option(
    "--seconds", type=float, default=1.0, show_default=True, help="To measure for each line."
)
@click.option("--threads", type=click.IntRange(1, 1024), help="Of ort-cpu, for one operator.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Samples to measure with.  [default: the reference vectors]",
)
@click.option("--key", help="Which array of an .npz.")
@click.option(
    "--csv", "csv_path", type=click.Path(path_type=Path), help="Write the lines to this file too."
)
@click.option("-f", "--force", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print the lines as JSON.")
def command(
    bundle: Path,
    backends: tuple[str, ...],
    batches: tuple[int, ...],
    seconds: float,
    threads: int | None,
    data: Path | None,
    key: str | None,
    csv_path: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Measure how fast BUNDLE encodes and decodes here, with every backend at hand.

    Latency, throughput, peak memory and, where the board has sensors, energy; always with what the
    backend's results differ from ort-cpu's.
    """
    from rdedge.bundle.bundle import Bundle
    from rdedge.data.files import refuse_existing, write_file
    from rdedge.flows.bench import as_csv, bench
    from rdedge.flows.check import samples_from
    from rdedge.report.bench import lines_text

    if csv_path is not None:
        refuse_existing(csv_path, force)
    x = None if data is None else samples_from(data, Bundle.read(bundle), key)
    lines, notes = bench(
        bundle, backends=backends or None, batches=batches, seconds=seconds, threads=threads, x=x
    )
    values = [vars(line) for line in lines]
    if as_json:
        click.echo(json.dumps({"lines": values, "notes": notes}, indent=1))
    else:
        click.echo(lines_text(values))
        for note in notes:
            click.echo(f"note   {note}")
    # Last: what was measured is not lost where it cannot be written.
    if csv_path is not None:
        write_file(csv_path, as_csv(lines).encode(), force=force)
