"""rdedge export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The bundle to write, FILE.rdb.",
)
@click.option(
    "--target",
    default="cpu-host",
    show_default=True,
    help="A device profile, by name, or a file NAME.toml.",
)
@click.option("--recipe", help="A recipe, by name, or a file NAME.toml.  [default: the profile's]")
@click.option("--data", help="Where the training data is now, if it has moved.")
@click.option("--key", help="Which array of it, for an .npz.")
@click.option("--held-out-data", help="Where the held-out data is now, if it has moved.")
@click.option("--held-out-key", help="Which array of it, for an .npz.")
@click.option(
    "--allow-missed", is_flag=True, help="Export even if the bound is not met on held-out data."
)
@click.option(
    "--device-only",
    is_flag=True,
    help="Leave out what only a server needs. The codec is the same as that of the whole bundle.",
)
@click.option(
    "--sign",
    type=click.Path(path_type=Path),
    help="Sign the bundle with this Ed25519 private key, a PEM file.",
)
@click.option("-f", "--force", is_flag=True, help="Replace a bundle that is there.")
@click.pass_context
def command(context: click.Context, /, run: Path, output: Path, **options: Any) -> None:
    """Turn the finished RUN into a bundle: graphs, integer tables, reference vectors, scorecard."""
    from rdedge.bundle.profile import UNVERIFIED
    from rdedge.cli import lines
    from rdedge.host.export import export
    from rdedge.host.lines import describes_lines

    if describes_lines(run):
        lines.export(context, run, output, options)
        return
    bundle = export(run, output, **options)
    parity = bundle.scorecard["parity"]
    click.echo(
        f"{output}: codec {bundle.manifest.identity[:16]}, {len(bundle.to_bytes()):,} bytes, "
        f"encoder {bundle.manifest.encoder.macs:,} and decoder {bundle.manifest.decoder.macs:,} "
        f"multiply-adds a sample"
    )
    click.echo(
        f"{' against '.join(parity['backends'])} on {parity['samples']} held-out samples: largest "
        f"latent difference {parity['max_latent_difference']:.2g} steps, "
        f"{100 * parity['max_symbol_share']:.4g} % of symbols differ"
    )
    lower = bundle.scorecard.get("precision")
    wanted = bundle.recipe["graph"]["precision"]
    if lower is None and wanted != "fp32":
        click.echo(f"no layer to convert to {wanted}: the graphs stay in fp32")
    if lower is not None:
        before, after = lower["fp32"]["packet_bytes"], bundle.scorecard["export"]["packet_bytes"]
        int8 = f", {100 * lower['int8_macs']:.1f} % of its multiply-adds in int8"
        click.echo(
            f"{lower['encoder']} encoder{int8 if lower['encoder'] == 'int8' else ''}, "
            f"{lower['decoder']} decoder: {after:,} bytes where fp32 needs {before:,} at the same "
            f"distortion ({100 * (after / before - 1):+.2f} %)"
        )
    if bundle.manifest.absent:
        click.echo(
            f"without {' and '.join(bundle.manifest.absent)}: with this part nobody can "
            f"{' or '.join(bundle.manifest.cannot)}, and its packets are never gated; for the "
            "server export once more, with the same options but --device-only"
        )
    profile = bundle.profile
    if not profile["verified"]:
        click.echo(f"rdedge: profile {profile['name']} is {UNVERIFIED}", err=True)
    if not profile["supported"]:
        click.echo(f"rdedge: rdedge does not run on the JetPack of {profile['name']}", err=True)
