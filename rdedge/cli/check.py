"""rdedge check."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click


@click.command("check")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Samples to compare backends on.  [default: the reference vectors]",
)
@click.option("--key", help="Which array of an .npz.")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    help="Compare this backend with ort-cpu; may be repeated.  [default: all at hand]",
)
@click.option(
    "--trusted",
    type=click.Path(path_type=Path),
    help="Public keys, PEM, of which one must have signed it.  [default: $RDEDGE_TRUSTED]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def command(
    context: click.Context,
    /,
    bundle: Path,
    data: Path | None,
    key: str | None,
    backends: tuple[str, ...],
    trusted: Path | None,
    as_json: bool,
) -> int:
    """Redo BUNDLE's reference vectors with every coder, then compare every backend at hand.

    Needs no torch. Exits with 1 where a limit of the bundle's recipe is crossed.
    """
    from rdedge.bundle.lines import LineBundle, open_bundle
    from rdedge.bundle.signature import trusted_keys
    from rdedge.cli import lines
    from rdedge.flows.check import check, keep_margin, samples_from
    from rdedge.flows.lines import check_lines

    opened = open_bundle(bundle, None if trusted is None else trusted_keys(trusted))
    if isinstance(opened, LineBundle):
        lines.only(context, {"bundle", "data", "trusted", "as_json"}, "there is no network")
        found = check_lines(opened, data)
    else:
        x = None if data is None else samples_from(data, opened, key)
        found = check(opened, x, backends or None)
        kept = keep_margin(opened, found)
        found = replace(found, notes=(*found.notes, kept))
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=1))
    else:
        for one in found.rows:
            word = "fine" if one.fine else "WRONG"
            click.echo(f"{word:5}  {one.what}: {one.value:.3g} (at most {one.limit:.3g})")
        if found.margin is not None:
            click.echo(
                f"between the decoders here and the bundle's own, reconstructions differ by at "
                f"most {found.margin:.3g}, in the units of the data"
            )
        for pair in found.pairs:
            click.echo(
                f"{pair.one} beside {pair.other}: {pair.difference:.3g}, or {pair.deviations:.2g} "
                "standard deviations"
            )
        for note in found.notes:
            click.echo(f"note   {note}")
    return 0 if found.fine else 1
