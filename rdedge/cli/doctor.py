"""rdedge doctor."""

from __future__ import annotations

import json

import click


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(as_json: bool) -> None:
    """What is installed here, what is missing, and the command that mends it."""
    from rdedge.flows.doctor import doctor

    found = doctor()
    if as_json:
        click.echo(json.dumps([vars(one) for one in found], indent=1))
        return
    for one in found:
        mend = f"   -> {one.mend}" if one.mend else ""
        click.echo(f"{'ok' if one.fine else '--'}  {one.what}: {one.found}{mend}")
