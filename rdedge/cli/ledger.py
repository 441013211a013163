"""rdedge ledger, and what other commands do with one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rdedge.flows.record import Account


def account_of(
    ledger: Path | None,
    device: str | None,
    stream: str | None,
    instead: str | None,
    share: float | None,
) -> Account | None:
    """What compress keeps of its packets; None where no ledger was asked for."""
    if ledger is None:
        for option, value in (
            ("--device", device),
            ("--stream", stream),
            ("--instead", instead),
            ("--instead-share", share),
        ):
            if value is not None:
                raise click.UsageError(f"{option} says something in a ledger: give --ledger DIR")
        return None
    if share is not None and instead is None:
        raise click.UsageError("--instead-share needs --instead CODECS")
    from rdedge.flows.instead import SHARE, Instead
    from rdedge.flows.record import Account

    others = None if instead is None else Instead(instead, SHARE if share is None else share)
    return Account(ledger, device, stream, others)


@click.group("ledger")
def command() -> None:
    """A folder of what was sent, which compress --ledger writes and savings reads."""


@command.command("roll")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="The file in work too, whatever its size.")
def roll(folder: Path, everything: bool) -> None:
    """Turn the full SQLite files below FOLDER into Parquet; needs rdedge[report]."""
    from rdedge.ledger.base import duckdb
    from rdedge.ledger.roll import roll as roll_all
    from rdedge.ledger.store import OPEN, LedgerWriter

    duckdb()
    if everything:
        for path in sorted(folder.rglob(OPEN)):
            LedgerWriter(path.parent, parquet=False).roll()
    for made in roll_all(folder):
        click.echo(made)
