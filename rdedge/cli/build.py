"""rdedge build."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("build")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Where engines are kept.  [default: $RDEDGE_CACHE, or ~/.cache/rdedge/engines]",
)
@click.option(
    "--sm",
    multiple=True,
    metavar="N.N",
    help="Build for this compute capability instead of this machine's GPU; may be repeated, for "
    "one engine for several. Needs TensorRT for RTX, and no GPU.",
)
@click.option(
    "--half",
    type=click.Choice(["encoder", "decoder", "both"]),
    default="both",
    show_default=True,
    help="Which graph of the bundle.",
)
@click.option(
    "--batch", metavar="MIN,OPT,MAX", help="Samples at a time.  [default: 1,1,64; images 1,1,8]"
)
@click.option(
    "--size",
    metavar="MIN,OPT,MAX[xMIN,OPT,MAX]",
    help="Height and width of images, in pixels.  [default: up to the bundle's, or 512]",
)
@click.option("--workspace", type=int, metavar="MIB", help="What the builder may use, in MiB.")
@click.option(
    "--version-compatible", is_flag=True, help="Let it run in later versions of TensorRT too."
)
@click.option(
    "--hardware-compatible", is_flag=True, help="Let it run on all GPUs from Ampere on too."
)
@click.option("--tf32", is_flag=True, help="Let float32 products round their factors to 10 bits.")
@click.option(
    "--profile", metavar="NAME", help="A device profile instead of the bundle's: for another GPU."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was built as JSON.")
def command(
    bundle: Path,
    cache: Path | None,
    sm: tuple[str, ...],
    half: str,
    batch: str | None,
    size: str | None,
    workspace: int | None,
    version_compatible: bool,
    hardware_compatible: bool,
    tf32: bool,
    profile: str | None,
    as_json: bool,
) -> None:
    """Let TensorRT build an engine for each graph of BUNDLE, or find it in the cache.

    The engines are kept, and Encoder, Decoder and all commands that use them take those built
    last.
    """
    from rdedge.bundle.bundle import Bundle
    from rdedge.engine.build import Options
    from rdedge.engine.engines import build

    options = Options(workspace, version_compatible, hardware_compatible, tf32)
    found = build(
        Bundle.read(bundle),
        half,
        sm=sm,
        batch=batch,
        size=size,
        options=options,
        profile=profile,
        cache=cache,
    )
    if as_json:
        click.echo(json.dumps([one.to_json() for one in found], indent=1))
        return
    for one in found:
        how = "from the cache" if one.cached else "built"
        click.echo(
            f"{one.half} for SM {', '.join(one.sm)}: {how} in {one.seconds:.3g} s, "
            f"{one.bytes:,} bytes, {one.tensorrt}: {one.path}"
        )
