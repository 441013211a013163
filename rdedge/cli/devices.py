"""rdedge devices: the profiles that ship, and the machine at hand."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group("devices")
def command() -> None:
    """Profiles of devices: list them, show one, or find the one for this machine."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print all profiles as JSON.")
def list_(as_json: bool) -> None:
    """One line for each profile that ships."""
    from rdedge.bundle.recipe import load_profile, profile_names
    from rdedge.report.devices import listing

    profiles = [load_profile(name) for name in profile_names()]
    if as_json:
        click.echo(json.dumps([profile.to_json() for profile in profiles], indent=1))
    else:
        click.echo(listing(profiles))


@command.command("show")
@click.argument("name", metavar="NAME|FILE.toml")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show(name: str, as_json: bool) -> None:
    """All that a profile says, each figure with its source."""
    from rdedge.bundle.recipe import load_profile
    from rdedge.report.devices import description

    profile = load_profile(name)
    click.echo(json.dumps(profile.to_json(), indent=1) if as_json else description(profile))


@command.command("probe")
@click.option(
    "--root",
    default="/",
    show_default=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Look at the files below this folder: a mounted image, a recorded tree.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def probe(context: click.Context, root: Path, as_json: bool) -> None:
    """What this machine is, where each finding comes from, and which profile fits.

    Exit code 1 where no profile fits.
    """
    from rdedge.device.probe import probe as look

    found = look(root)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=1))
    else:
        for one in found.findings:
            if one.value is None:
                click.echo(f"--  {one.what}: not found ({one.where})")
            else:
                click.echo(f"ok  {one.what}: {one.value} ({one.where})")
        name = found.match.profile
        click.echo(f"\n{f'profile {name}' if name else 'no profile fits'}: {found.match.why}")
        for warning in found.warnings:
            click.echo(f"note: {warning}")
    if found.match.profile is None:
        context.exit(1)
