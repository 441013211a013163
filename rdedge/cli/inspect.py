"""rdedge inspect."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def command(file: Path, as_json: bool) -> None:
    """Show what is in FILE: a bundle, a container or a packet."""
    from rdedge.flows.inspect import inspect
    from rdedge.report.text import outline

    found = inspect(file)
    click.echo(json.dumps(found, indent=1) if as_json else outline(found))
