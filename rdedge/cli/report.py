"""rdedge report."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The page to write; FOLDER/report.html, or report-ja.html in Japanese, without it.",
)
@click.option(
    "--lang", type=click.Choice(["en", "ja"]), default="en", show_default=True, help="Its language."
)
@click.option("-f", "--force", is_flag=True, help="Replace a page that is there.")
def command(folder: Path, output: Path | None, lang: str, force: bool) -> None:
    """Write the page of the pilot in FOLDER again, in another language for instance."""
    from rdedge.data.files import refuse_existing
    from rdedge.flows.report import report

    page = output or folder / ("report.html" if lang == "en" else f"report-{lang}.html")
    refuse_existing(page, force)
    size = report(folder, page, lang, force=force)
    click.echo(f"written: {page}, {size:,} bytes")
