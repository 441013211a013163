"""rdedge check."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("check")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(bundle: Path, as_json: bool) -> int:
    """Redo BUNDLE's reference vectors with every coder and backend at hand; needs no torch."""
    from rdedge.bundle.bundle import Bundle
    from rdedge.flows.check import check

    found = check(Bundle.read(bundle))
    if as_json:
        click.echo(json.dumps([vars(one) | {"fine": one.fine} for one in found], indent=1))
    else:
        for one in found:
            word = "fine" if one.fine else "WRONG"
            click.echo(f"{word:5}  {one.what}: {one.value:.3g} (at most {one.limit:.3g})")
    return 0 if all(one.fine for one in found) else 1
