"""rdedge review."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("review")
@click.argument("ledger", type=click.Path(path_type=Path))
@click.option(
    "--plan",
    required=True,
    type=click.Path(path_type=Path),
    help="The stages.toml of a pilot.",
)
@click.option("--stage", help="Of the plan, by name.  [default: by the number of devices]")
@click.option("--score", type=float, help="Of the task on decoded samples, which no ledger knows.")
@click.option("--tariff", help="What bytes cost, to compare the money too.")
@click.option("--json", "as_json", is_flag=True, help="Print the review as JSON.")
def command(
    ledger: Path,
    plan: Path,
    stage: str | None,
    score: float | None,
    tariff: str | None,
    as_json: bool,
) -> int:
    """Hold a LEDGER against a plan: go on to the next stage, stay, or stop.

    Exit codes: 0 go on or stay, 1 stop (or the work failed), 2 wrong usage.
    """
    from rdedge.flows import stages
    from rdedge.flows.review import STOP
    from rdedge.flows.review_ledger import review
    from rdedge.report.review_text import review_text

    found = review(ledger, stages.load(plan), stage=stage, score=score)
    value = found.to_json()
    click.echo(json.dumps(value, indent=1) if as_json else review_text(value))
    return 1 if found.answer == STOP else 0
