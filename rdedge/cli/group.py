"""The group of commands, loaded lazily, and what becomes of errors."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from rdedge._version import __version__
from rdedge.errors import ConfigError, RdedgeError

# Name -> (module, one line for the list of commands), in the order of the work.
COMMANDS = {
    "train": ("train", "Train on your own data under a bound on the distortion."),
    "curve": ("curve", "Rate against distortion, the classical codecs beside it."),
    "landscape": ("landscape", "Where a run reconstructs well: near its data, and nowhere else?"),
    "export": ("export", "Turn a finished run into a bundle for a device."),
    "build": ("build", "Let TensorRT build engines for this GPU, or find them in the cache."),
    "check": ("check", "Let a bundle prove itself on this machine."),
    "bench": ("bench", "How fast a bundle runs here, beside its parity."),
    "compress": ("compress", "Files, folders or a pipe into one container."),
    "decompress": ("decompress", "A container back into files."),
    "inspect": ("inspect", "Show a bundle, a container or a packet."),
    "pilot": ("pilot", "Is it worth it? A curve, a verdict, a bundle and a plan, from data."),
    "review": ("review", "A roll-out: predicted against actual, go on, stay or stop."),
    "report": ("report", "The page of a pilot once more, in English or Japanese."),
    "savings": ("savings", "What a container or a ledger saved, in bytes and in money."),
    "ledger": ("ledger", "Turn the full files of a ledger into Parquet."),
    "devices": ("devices", "Profiles of devices: list, show, probe this machine."),
    "doctor": ("doctor", "What is installed, what is missing, how to mend it."),
    "demo": ("demo", "The main job from end to end on handwritten digits."),
}


class LazyGroup(click.Group):
    """Knows its commands by name and imports one when it is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"rdedge.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=LazyGroup)
@click.version_option(__version__, prog_name="rdedge")
def cli() -> None:
    """Learned compression for devices behind a link that costs money.

    Exit codes: 0 fine, 1 the work failed, 2 wrong usage.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit code. Errors go to stderr, in one line."""
    try:
        result = cli.main(list(arguments), prog_name="rdedge", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("rdedge: stopped", err=True)
        return 1
    except RdedgeError as error:
        click.echo(f"rdedge: {error}", err=True)
        return 2 if isinstance(error, ConfigError) else 1
    except BrokenPipeError:
        # Whoever read our output has gone; python would complain again while shutting down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        # Not one of ours: a fault of rdedge, or a machine out of memory or disk.
        if os.environ.get("RDEDGE_DEBUG"):
            raise
        what = str(error).splitlines()[0] if str(error) else ""
        click.echo(
            f"rdedge: {type(error).__name__}: {what}; set RDEDGE_DEBUG=1 to see where", err=True
        )
        return 1
