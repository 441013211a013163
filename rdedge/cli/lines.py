"""What the commands do with logs: the same doors, other rooms behind them."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rdedge.bundle.lines import LineBundle
from rdedge.cli.pipes import binary, say, written_to

if TYPE_CHECKING:
    from rdedge.flows.record import Account

# Of compress: what keeps a ledger.
LEDGER_OPTIONS = ("ledger", "device", "stream", "instead", "instead_share")


def only(context: click.Context, allowed: Collection[str], why: str, what: str = "lines") -> None:
    """Refuse options that were typed and say nothing here. what: the options are not for."""
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if parameter.name not in allowed and source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[0]} is not for {what}: {why}")


def train(context: click.Context, options: dict[str, Any]) -> int:
    """`rdedge train --kind lines`. options: all of the command's."""
    names = ("data", "output", "window", "held_out", "held_out_data", "force")
    only(context, {*names, "kind", "as_json"}, "every byte comes back, and there is no network")
    from rdedge.data.lines import DEFAULT_LINES
    from rdedge.host.lines import train_lines
    from rdedge.report.lines import training_lines

    data, output = options["data"], options["output"]
    if data is None or output is None:
        raise click.UsageError("give DATA, a log or a folder of logs, and -o")
    card = train_lines(
        data,
        output=output,
        lines=options["window"] or DEFAULT_LINES,
        held_out=options["held_out"],
        held_out_data=options["held_out_data"],
        force=options["force"],
    )
    if options["as_json"]:
        click.echo(json.dumps(card, indent=1))
        return 0
    first, *rest = training_lines(card)
    click.echo("\n".join((f"{output}: {first}", *rest)))
    return 0


def export(context: click.Context, run: Path, output: Path, options: dict[str, Any]) -> None:
    """`rdedge export` of a run on lines."""
    names = ("target", "recipe", "data", "held_out_data", "sign", "force")
    only(context, {*names, "run", "output"}, "device and server need the same dictionary")
    from rdedge.host.line_export import export_lines

    bundle = export_lines(run, output, **{name: options[name] for name in names})
    click.echo(
        f"{output}: codec {bundle.manifest.identity[:16]}, {len(bundle.to_bytes()):,} bytes, for "
        f"blocks of {bundle.manifest.lines} lines; it holds lines of DATA as they are"
    )


def compress(
    context: click.Context,
    bundle: LineBundle,
    inputs: tuple[str, ...],
    options: dict[str, Any],
    account: Account | None = None,
) -> int:
    """`rdedge compress` with a bundle of lines. account: where a ledger is kept."""
    names = ("inputs", "bundle", "output", "batch", "gate", "force", "quiet", *LEDGER_OPTIONS)
    only(context, names, "every byte comes back, and there is no network")
    from rdedge.codec.line_files import DEFAULT_BATCH
    from rdedge.codec.line_files import compress as compress_logs
    from rdedge.codec.lines import LineEncoder
    from rdedge.data.files import refuse_existing
    from rdedge.data.lines import LineSource, read_all
    from rdedge.report.text import size

    output, force = options["output"], options["force"]
    if options["gate"] == "sampled":
        raise click.UsageError("--gate sampled is not for lines: all packets are compared, or none")
    if output != "-":
        refuse_existing(Path(output), force)
    encoder = LineEncoder(bundle, verify=options["gate"] != "never")
    batch = options["batch"] or DEFAULT_BATCH
    if "-" in inputs:
        if len(inputs) > 1:
            raise click.UsageError("stdin cannot be mixed with files")
        found = [LineSource("stdin", binary(sys.stdin).read())]
    else:
        found = read_all([Path(name) for name in inputs])
    verified = options["gate"] != "never"
    watch = None if account is None else partial(account.lines, bundle.manifest, verified)
    with (
        contextlib.nullcontext() if account is None else account.metered(),
        written_to(output, force=force) as file,
    ):
        written, total = compress_logs(encoder, found, file, batch, watch)
    if not options["quiet"]:
        raw = sum(one.raw_bytes for one in written)
        seconds = sum(one.encode_seconds for one in written)
        say(
            f"{output}: {sum(one.samples for one in written):,} blocks of {len(written)} "
            f"log{'s' * (len(written) != 1)}, {size(raw)} -> {size(total)} "
            f"({raw / total:.1f} to 1), encoded in {seconds:.3f} s"
        )
        if account is not None:
            say(account.line())
    return 0


def decompress(bundle: LineBundle, found: Any, output: str, force: bool) -> Iterator[str]:
    """`rdedge decompress` with a bundle of lines; yields what to say. found: a Container."""
    from rdedge.codec.line_files import decompress as decompress_logs
    from rdedge.codec.line_files import restore
    from rdedge.codec.lines import LineDecoder

    decoder = LineDecoder(bundle)
    if output == "-":
        binary(sys.stdout).write(next(restore(decoder, found)).data)
        sys.stdout.flush()
        return
    for name, count in decompress_logs(decoder, found, Path(output), force=force):
        yield f"{Path(output) / name}: {count:,} blocks"


def savings(context: click.Context, bundle: LineBundle, options: dict[str, Any]) -> None:
    """`rdedge savings` with a bundle of lines."""
    names = ("container", "bundle", "data", "classical", "as_json")
    only(context, names, "every byte comes back, and all codecs are quick")
    from rdedge.codec.files import read_container
    from rdedge.codec.lines import LineDecoder
    from rdedge.flows.lines import savings_of_lines
    from rdedge.report.lines import savings_text

    found = savings_of_lines(
        read_container(options["container"]),
        LineDecoder(bundle),
        [Path(name) for name in options["data"]],
        classical=options["classical"],
    ).to_json()
    click.echo(json.dumps(found, indent=1) if options["as_json"] else savings_text(found))
