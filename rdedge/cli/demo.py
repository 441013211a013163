"""rdedge demo."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("demo")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="The folder to work in.",
)
@click.option("--quick", is_flag=True, help="Leave out the classical settings that take minutes.")
def command(output: Path, quick: bool) -> None:
    """Train on scikit-learn's digits, export, compress, decompress, and say what was saved."""
    from rdedge.flows.demo import demo

    demo(output, click.echo, thorough=not quick)
