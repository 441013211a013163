"""rdedge train."""

from __future__ import annotations

import json
import math
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rdedge.cli.pipes import say
from rdedge.types import BOUNDS, KINDS, METRIC_IS_MINIMUM


@click.command("train")
@click.argument("data", required=False)
@click.option(
    "--max-distortion", type=float, help="The distortion to keep, in the units of the metric."
)
@click.option(
    "--bound",
    type=click.Choice(list(BOUNDS)),
    default="mean",
    show_default=True,
    help="What is to keep it: the mean over samples, or every sample; then what is trained keeps "
    "it for 95 % of them, and the exported bundle's gate sees to the rest.",
)
@click.option(
    "--metric",
    type=click.Choice(list(METRIC_IS_MINIMUM)),
    default="mse",
    show_default=True,
    help="What the bound is measured in; psnr is a minimum.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The run folder to make.")
@click.option("--resume", type=click.Path(path_type=Path), help="Go on with this run folder.")
@click.option(
    "--model",
    default="auto",
    show_default=True,
    help="vectors: mlp, overcomplete, overcomplete-tied, palette; series: linear, conv1d; images: "
    "linear, conv2d, palette. auto takes palette for pictures of two or three grey values, else "
    "mlp, conv1d or conv2d, and keeps the simpler one where that needs fewer bytes.",
)
@click.option(
    "--rate",
    type=click.Choice(["entropy", "renyi", "both", "none"]),
    help="What is minimised under the bound: the learned entropy model, the matrix-based Renyi "
    "information of input and output, their sum, or nothing (a plain auto-encoder).  "
    "[default: entropy]",
)
@click.option("--alpha", type=float, help="Order of the Renyi entropy.  [default: 2]")
@click.option(
    "--kernel-width",
    help="Of its Gaussian kernel: a number, half, median, silverman, or '0.5 median'.  "
    "[default: half]",
)
@click.option(
    "--batches",
    type=click.Choice(["random", "clustered", "auto"]),
    help="Batches by chance, or from samples that are alike; auto: alike for --rate renyi.  "
    "[default: auto]",
)
@click.option(
    "--input-noise",
    type=float,
    help="Gaussian noise on what the encoder sees while training, in the units of the data "
    "(with --rate none a denoising auto-encoder).  [default: 0]",
)
@click.option(
    "--quantiser",
    type=click.Choice(["auto", "rounded", "lowered", "trellis"]),
    help="Latents are rounded with a dead zone; lowered where the bits saved are worth the error; "
    "or found by a trellis of 8 states. The last two come with contexts.  [default: auto, the "
    "fewest bits of the first and the one that suits the samples]",
)
@click.option(
    "--size",
    type=click.Choice(["nano", "small", "base"]),
    help="Of conv1d, conv2d and palette.  [default: small, nano, nano]",
)
@click.option(
    "--kind",
    type=click.Choice((*KINDS, "lines")),
    help="What the samples are; lines: of a log, without loss.  [default: as the file has it; "
    "tables with times are series]",
)
@click.option("--key", help="Which array of an .npz.")
@click.option(
    "--window",
    type=click.IntRange(min=1),
    help="Rows of a window of a series, or lines of a block.  [64, 50]",
)
@click.option(
    "--stride",
    type=click.IntRange(min=1),
    help="Rows from one training window to the next.  [default: a quarter of a window]",
)
@click.option("--time-column", help="The column of times of a table.  [default: found]")
@click.option("--columns", help="Columns of a table to take, by name: A,B,C.  [default: all]")
@click.option("--separator", help="Of the columns of a .csv.  [default: found]")
@click.option(
    "--group",
    help="A regular expression over names of pictures: those it finds alike stay together in the "
    "split.",
)
@click.option(
    "--held-out",
    type=click.IntRange(min=1),
    help="How many samples at the end of DATA decide whether the bound is met.  [default: 22 %]",
)
@click.option("--held-out-data", help="A file of held-out samples of its own.")
@click.option("--held-out-key", help="Which array of it, for an .npz.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The same seed, data and machine give the same weights.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Planned; an early stop may end sooner.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Wall clock to spend.")
@click.option("--batch", type=click.IntRange(min=1), help="Samples in a step.")
@click.option(
    "--learning-rate",
    type=float,
    help="Of AdamW, at its height.  [default: 0.002, wide networks 0.001]",
)
@click.option("--latents", type=click.IntRange(min=1), help="How many numbers stand for a sample.")
@click.option(
    "--width",
    type=float,
    default=1.0,
    show_default=True,
    help="Factor on the hidden units of both halves.",
)
@click.option(
    "--augment",
    type=click.Choice(["none", "shift"]),
    default="none",
    show_default=True,
    help="shift: move pictures (H, W) by up to a pixel while training.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 ...")
@click.option("-f", "--force", is_flag=True, help="Replace a run that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print the scorecard as JSON.")
@click.pass_context
def command(
    context: click.Context,
    /,
    data: str | None,
    resume: Path | None,
    output: Path | None,
    max_distortion: float | None,
    columns: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Train on DATA: a .npy, .npz, .csv or .parquet file, a folder of pictures, or `digits`.

    `mixture`, `spiral` and `ring` are toy sets of points in the plane.

    You state a quality; the multiplier between rate and distortion finds itself. Ctrl-C stops after
    saving a checkpoint; --resume goes on with the settings that the run was started with.
    """
    from rdedge.cli import lines

    if options["kind"] == "lines" and resume is None:
        return lines.train(context, {**options, "data": data, "output": output, "as_json": as_json})
    from rdedge.host import train as host

    noticed = _Data()
    with _Bar() as bar, _Stop() as stop:
        if resume is not None:
            moved = {k: options[k] for k in ("key", "held_out_data", "held_out_key")}
            _only(context, {"resume", "data", "as_json", *moved})
            _refuse_lines(resume)
            card = host.resume(resume, data=data, on_epoch=bar.update, stop=stop, **moved)
            output = resume
        else:
            if data is None or output is None or max_distortion is None:
                raise click.UsageError("give DATA, --max-distortion and -o, or --resume RUN")
            card = host.train(
                data,
                max_distortion=max_distortion,
                output=output,
                stop=stop,
                on_epoch=bar.update,
                on_data=noticed,
                columns=() if columns is None else tuple(columns.split(",")),
                **options,
            )
    if card["training"].get("diverged"):
        say(
            f"rdedge: the multiplier ran away in epoch {card['training']['diverged']}: training "
            "could not come nearer to the bound, only a finer step could"
        )
    if as_json:
        click.echo(json.dumps(card, indent=1))
        return noticed.exit_code()
    bound, rate, model = card["bound"], card["bits_per_element"], card["model"]
    reached = f"{bound['metric']} {card['distortion']:.4g} on {card['samples']} held-out samples"
    if "share" in bound:
        reached += f", {100 * card['share_within']:.1f} % of them within the bound"
    click.echo(
        f"{output}: {reached} (bound {bound['value']:g}), "
        f"{rate['value']:.4f} bits an element ({rate['kind']}), "
        f"{card['packet_bytes'] / card['samples']:.2f} bytes a sample, "
        f"{card['training']['epochs']} epochs in {card['training']['seconds']:.0f} s"
    )
    if card.get("seam_ratio"):
        ratio = card["seam_ratio"]
        click.echo(f"seams: on the borders of patches the error is {ratio:.2f} times that inside")
    elements = math.prod(model["shape"])
    estimate = card["training"].get("estimated_bits_per_element")
    if estimate and estimate["value"] is not None and card["training"]["rate"] != "none":
        click.echo(
            f"trained for the rate {card['training']['rate']}, which estimates "
            f"{estimate['value']:.4f} bits an element on validation samples"
        )
    if card["kept"].startswith("start"):
        click.echo(
            f"kept: the linear codec that training started from; {_why_start(card['bytes_of'])}"
        )
    if "chosen_because" in card:
        click.echo(f"auto took {model['kind']}: {card['chosen_because']}")
    click.echo(
        f"{model['kind']}: {model['encoder_macs'] / elements:,.0f} multiply-adds an element to "
        f"encode, {model['decoder_macs'] / elements:,.0f} to decode"
    )
    return noticed.exit_code()


def _why_start(sizes: dict[str, int]) -> str:
    if sizes["start"] < sizes["trained"]:
        return f"it needs {sizes['start']:,} bytes where the trained one needs {sizes['trained']:,}"
    return "the trained one does not meet the bound"


class _Data:
    """Says on stderr what was noticed while reading, and remembers what was left out."""

    skipped = 0

    def __call__(self, dataset: Any) -> None:
        for note in dataset.notes:
            say(note)
        for one in dataset.skipped:
            say(f"rdedge: left out {one.name}: {one.why}")
        self.skipped = len(dataset.skipped)

    def exit_code(self) -> int:
        """1 where a file could not be read, though the work is done."""
        if self.skipped:
            say(f"rdedge: {self.skipped} files of DATA could not be read")
        return 1 if self.skipped else 0


def _refuse_lines(run: Path) -> None:
    from rdedge.host.lines import describes_lines

    if describes_lines(run):
        raise click.UsageError("a run on lines takes seconds: train it again with --force")


def _only(context: click.Context, allowed: set[str]) -> None:
    """A run goes on with the settings that it was started with: refuse any other."""
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if parameter.name not in allowed and source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{parameter.opts[0]} cannot be changed with --resume; start a new run for that"
            )


class _Stop:
    """Ctrl-C asks for a checkpoint; a second one does not wait for it."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def __enter__(self) -> _Stop:
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def _ask(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)


class _Bar:
    """Rate, distortion and multiplier on stderr while training; nothing where it is no terminal."""

    def __enter__(self) -> _Bar:
        self._progress: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            self._progress = Progress(
                TextColumn("{task.completed:.0f}/{task.total:.0f}"),
                BarColumn(bar_width=12),
                TextColumn("{task.description}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._progress.start()
            self._task = self._progress.add_task("", total=1)
        return self

    @property
    def update(self) -> Callable[[Any], None]:
        return self._update

    def _update(self, p: Any) -> None:
        if self._progress is None:
            return
        # Short enough for 80 columns; the rate is estimated, in bits per element.
        text = (
            f"rate {p.rate:.3f}, distortion {p.distortion:.4g}, "
            f"multiplier {p.multiplier:.3g}, {p.remaining_s:.0f} s left"
        )
        self._progress.update(self._task, total=p.epochs, completed=p.epoch, description=text)

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()
