"""rdedge ledger, and what other commands do with one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rdedge.cli.lines import only
from rdedge.cli.pipes import say

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


def savings(context: click.Context, path: Path, options: dict[str, Any]) -> int:
    """`rdedge savings LEDGER`. options: all of the command's."""
    if path.is_file() and path.suffix not in (".sqlite", ".parquet"):
        raise click.UsageError(f"{path} is no ledger; of a container give its bundle: -b FILE.rdb")
    names = ("container", "tariff", "against", "as_csv", "as_html", "plot", "as_json", "force")
    only(context, names, "it needs a container and -b", "a ledger")
    from rdedge.data.files import refuse_existing, write_file
    from rdedge.flows.ledger import savings_of_ledger
    from rdedge.ledger.tariff import load
    from rdedge.report.ledger import cuts, savings_csv, savings_html, savings_text
    from rdedge.report.savings_plot import form_of, savings_picture

    plot = options["plot"]
    form = None if plot is None else form_of(plot)
    written = ("as_csv", "as_html", "plot")
    outputs = [options[name] for name in written if options[name] is not None]
    for output in outputs:
        refuse_existing(output, options["force"])
    tariff = None if options["tariff"] is None else load(options["tariff"])
    found = savings_of_ledger(path, tariff, against=options["against"])
    result = found.to_json()
    if options["as_csv"] is not None:
        data = savings_csv(found.by("device", "stream", "day")).encode()
        write_file(options["as_csv"], data, force=options["force"])
    if options["as_html"] is not None:
        write_file(options["as_html"], savings_html(result).encode(), force=options["force"])
    if form is not None:
        write_file(plot, savings_picture(result, form), force=options["force"])
    click.echo(json.dumps(result, indent=1) if options["as_json"] else savings_text(result))
    for one in cuts(result):
        say(f"rdedge: {one}")
    return 1 if found.cuts else 0


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
