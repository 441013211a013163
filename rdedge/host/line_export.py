"""A finished run on lines -> a bundle: the dictionary, reference vectors, scorecard."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from rdedge import canonical
from rdedge._version import __version__
from rdedge.bundle.bundle import DICTIONARY
from rdedge.bundle.lines import LineBundle, LineManifest
from rdedge.bundle.manifest import sha256
from rdedge.bundle.recipe import load_profile, load_recipe
from rdedge.bundle.signature import private_key
from rdedge.codec.lines import LineEncoder
from rdedge.data.files import refuse_existing, refuse_unwritable
from rdedge.errors import BundleError, TrainingError
from rdedge.host.lines import held_out_blocks
from rdedge.host.runs import RunFolder

_UNKNOWN = {"reference/inputs.bin": b"", "reference/packets.bin": b""}
# Reference vectors travel in every bundle: a few, and not of megabytes.
_MOST_REFERENCE_BYTES = 1 << 20


def export_lines(
    run: str | PathLike[str],
    output: str | PathLike[str],
    *,
    target: str = "cpu-host",
    recipe: str | None = None,
    data: str | None = None,
    held_out_data: str | None = None,
    sign: Path | None = None,
    force: bool = False,
) -> LineBundle:
    """Export the run folder of train_lines to the bundle `output`.

    target, recipe: as export.export takes them; of a recipe only the number of reference samples
    says something here. data, held_out_data: where they are now, if they have moved. Raises
    TrainingError for an unfinished or altered run.
    """
    refuse_existing(Path(output), force)
    refuse_unwritable(Path(output))
    if sign is not None:
        private_key(sign)
    profile = load_profile(target)
    effective = load_recipe(profile.recipe if recipe is None else recipe)
    folder = RunFolder(Path(run))
    description, card = folder.description(), folder.read_json("scorecard.json")
    with folder.reading("run.json"):
        held_out = held_out_blocks(description, data, held_out_data)
    with folder.reading("scorecard.json"):
        dictionary = _dictionary(folder, str(card["dictionary"]["sha256"]))
        manifest = LineManifest(
            lines=int(description["model"]["lines"]),
            dictionary=str(card["dictionary"]["kind"]),
            level=int(card["level"]),
            created_by=f"rdedge {__version__}",
            identity="0" * 64,
            members={},
        )
    members: dict[str, bytes] = {
        DICTIONARY: dictionary,
        "profile.json": canonical.dumps(profile.to_json()),
        "recipe.json": canonical.dumps(effective.to_json()),
        "scorecard.json": canonical.dumps({"training": card}),
    }
    try:
        encoder = LineEncoder(LineBundle.make(manifest, members | _UNKNOWN))
    except BundleError as error:
        raise TrainingError(f"{folder.path} is damaged: {error}", do="train it again") from error
    inputs = _few(held_out, effective.reference.samples)
    packets = [encoder.encode(block) for block in inputs]
    reference = {
        "reference/inputs.bin": b"".join(inputs),
        "reference/packets.bin": b"".join(packets),
    }
    bundle = LineBundle.make(manifest, members | reference)
    if sign is not None:
        bundle = bundle.signed(sign)
    bundle.write(Path(output), force=force)
    return bundle


def _dictionary(folder: RunFolder, digest: str) -> bytes:
    path = folder.path / DICTIONARY
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"cannot read {path}: {error.strerror}", do="train it again") from error
    if sha256(data) != digest:
        raise TrainingError(
            f"{path} is not the one that the scorecard speaks of", do="train it again"
        )
    return data


def _few(held_out: list[bytes], count: int) -> list[bytes]:
    """The first blocks, one at least."""
    found: list[bytes] = []
    for block in held_out[:count]:
        if found and sum(map(len, found)) + len(block) > _MOST_REFERENCE_BYTES:
            break
        found.append(block)
    return found
