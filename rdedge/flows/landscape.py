"""`rdedge landscape`: where finished runs, or models at hand, reconstruct well: near their data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rdedge.codec.preprocess import fill_missing
from rdedge.data.files import refuse_existing, write_file
from rdedge.errors import ConfigError
from rdedge.host.datasets import Parts, load_again
from rdedge.host.landscape import (
    AutoEncoder,
    Decoded,
    Plane,
    plane_of_data,
    plane_through,
    principal_plane,
    ravine,
    surface,
)
from rdedge.host.runs import RunFolder
from rdedge.report.landscape import Landscape, Marked, Panel, landscape_csv
from rdedge.report.landscape_png import landscape_png
from rdedge.types import Array, SampleSpec

# Points on a side of the grid.
SIZES = range(16, 1001)
# Of samples that are projected, those nearest to the plane are shown.
_SHARE_SHOWN = 0.25
# Below this share of the squared spread, an energy on the data is rounding of float32.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Options:
    """Which plane, and what is measured.

    through: numbers of three held-out samples, from 0, whose plane it is. principal: the plane of
    the two principal directions. Neither: of samples of two values all there is, of others the
    principal one. size: points on a side of the grid, one of SIZES. distances: off the data, raw
    units, () for some that suit it. seed: of the directions that are drawn.
    """

    through: tuple[int, ...] = ()
    principal: bool = False
    size: int = 200
    distances: tuple[float, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.through and self.principal:
            raise ConfigError(
                "a plane through samples and the principal one", expected="one of the two"
            )
        if self.through and (len(self.through) != 3 or len(set(self.through)) != 3):
            raise ConfigError(
                f"a plane through the samples {', '.join(map(str, self.through))}",
                expected="three different numbers",
            )
        if self.size not in SIZES:
            raise ConfigError(f"a size of {self.size}", expected=f"{SIZES[0]} to {SIZES[-1]}")
        for r in self.distances:
            if not 0.0 < r < math.inf:
                raise ConfigError(f"a distance of {r:g}", expected="more than 0")


@dataclass(frozen=True)
class Subject:
    """A model and what stands above its panel: a name, and what it is."""

    name: str
    about: str
    model: AutoEncoder


def landscape(
    runs: Sequence[Path],
    options: Options = Options(),
    say: Callable[[str], None] = lambda _: None,
) -> Landscape:
    """The landscapes of finished runs around their held-out samples, which they must share.

    Raises ConfigError for runs that do not belong together, runs of images, and a plane that these
    samples do not have; TrainingError for a run that is not finished.
    """
    if not runs:
        raise ConfigError("no run is named", expected="at least one folder of rdedge train")
    subjects: list[Subject] = []
    parts: list[Parts] = []
    for run, name in zip(runs, _names(runs), strict=True):
        say(f"reading {run}")
        subject, part = _opened(run, name)
        subjects.append(subject)
        parts.append(part)
        _check_alike(run, part, runs[0], parts[0])
    data = "/".join(Path(RunFolder(runs[0]).description()["data"]["path"]).parts[-2:])
    return landscape_of(subjects, parts[0].spec, parts[0].held_out[0], options, data, say)


def landscape_of(
    subjects: Sequence[Subject],
    spec: SampleSpec,
    held_out: Array,
    options: Options = Options(),
    data: str = "data",
    say: Callable[[str], None] = lambda _: None,
) -> Landscape:
    """The landscapes of models at hand around held_out (N, *spec.shape); data: what it is called.

    Gaps of a series are filled. All models are measured in the same directions. Raises as landscape
    does, and ValueRangeError for samples that are all alike or not finite.
    """
    _refuse_images(spec)
    notes: list[str] = []
    x = held_out
    if spec.kind == "series":
        x, missing = fill_missing(held_out)
        notes += ["missing values were filled by interpolation"] if missing is not None else []
    plane, axes = _plane(x, options)
    points, marked = np.zeros((0, 2)), _marked(x, spec, plane, options.through)
    if not marked:
        points, apart = plane.project(x)
        if x.size > 2 * len(x):
            count = math.ceil(_SHARE_SHOWN * len(x))
            nearest = np.sort(np.argsort(apart, kind="stable")[:count])
            points = points[nearest]
            notes.append(
                f"points: the {_SHARE_SHOWN:.0%} of the held-out samples that are nearest to the "
                f"plane, {apart[nearest].min():.3g} to {apart[nearest].max():.3g} away from it"
            )
    panels = []
    for subject in subjects:
        say(f"{subject.name}: {options.size} x {options.size} points")
        model = Decoded(subject.model, spec.dtype)
        numbers = ravine(model, x, options.distances, np.random.default_rng(options.seed))
        energies = surface(model, plane, options.size)
        panels.append(Panel(subject.name, subject.about, energies, numbers))
        if numbers.energy_mean < _ROUNDING * numbers.spread**2:
            notes.append(
                f"{subject.name} loses nothing on the data as long as its latents are not rounded: "
                "depths and widths are measured from what float32 rounds off"
            )
    what = "windows" if spec.kind == "series" else "samples"
    title = f"Energy landscape, {data}: {len(x)} held-out {what}"
    return Landscape(
        title, plane.across, plane.up, axes, points, marked, tuple(panels), tuple(notes)
    )


def _plane(x: Array, options: Options) -> tuple[Plane, tuple[str, str]]:
    """The plane and what its axes are called."""
    if options.through:
        for number in options.through:
            if not 0 <= number < len(x):
                raise ConfigError(
                    f"there is no held-out sample {number}", expected=f"0 to {len(x) - 1}"
                )
        i, j, k = options.through
        names = (f"from sample {i} to sample {j}", f"at right angles, towards sample {k}")
        return plane_through(x[i], x[j], x[k]), names
    if not options.principal and x.size == 2 * len(x):
        return plane_of_data(x), ("first value", "second value")
    return principal_plane(x), ("first principal direction", "second principal direction")


def _marked(
    x: Array, spec: SampleSpec, plane: Plane, through: tuple[int, ...]
) -> tuple[Marked, ...]:
    """The samples that a plane goes through, as pictures where they are some."""
    found = []
    for number in through:
        ((a, b),), _ = plane.project(x[number : number + 1])
        is_picture = spec.kind == "vector" and len(spec.shape) == 2 and min(spec.shape) > 1
        picture = x[number] if is_picture or spec.kind == "series" else x[number].reshape(-1, 1)
        found.append(Marked(str(number), (float(a), float(b)), picture, not is_picture))
    return tuple(found)


def _names(runs: Sequence[Path]) -> list[str]:
    """What runs are called: by their folders, or where these are called the same by their paths."""
    short = [run.resolve().name for run in runs]
    return short if len(set(short)) == len(runs) else [str(run) for run in runs]


def _opened(run: Path, name: str) -> tuple[Subject, Parts]:
    folder = RunFolder(run)
    description, card = folder.description(), folder.read_json("scorecard.json")
    with folder.reading("scorecard.json"):
        model = folder.load_model(str(card["model_sha256"]), dict(card["model"]))
        bound = f"{card['bound']['metric']} {card['bound']['value']:g}"
        kept = str(card["kept"])
    with folder.reading("run.json"):
        parts = load_again(description).parts
        rate = str(description["options"].get("rate", "entropy"))
        noise = float(description["options"].get("input_noise", 0.0))
    how = {"none": "no rate", "both": "entropy and renyi"}.get(rate, rate)
    how += f", noise {noise:g}" if noise else ""
    _refuse_images(parts.spec)
    of = f"{model.config.kind}, the linear start" if kept.startswith("start") else f"{kept}, {how}"
    return Subject(name, f"{of}, bound {bound}", model), parts


def _refuse_images(spec: SampleSpec) -> None:
    if spec.kind == "image":
        raise ConfigError(
            "a landscape of images",
            expected="runs of vectors, or of windows of a series",
            do="an image is coded patch by patch, and images differ in size: train on crops of one "
            "size in an .npy, as --kind vector, and look at that run",
        )


def _check_alike(run: Path, parts: Parts, first_run: Path, first: Parts) -> None:
    a, b = parts.held_out, first.held_out
    same = len(a) == len(b) and all(
        np.array_equal(p, q, equal_nan=np.issubdtype(p.dtype, np.floating))
        for p, q in zip(a, b, strict=True)
    )
    if parts.spec.kind != first.spec.kind or not same:
        raise ConfigError(
            f"{run} and {first_run} have other held-out samples", expected="runs on the same data"
        )


def refuse_outputs(output: Path, *, force: bool = False) -> Path:
    """The .csv beside the .png `output`; raises where either may not be written."""
    if output.suffix.lower() != ".png":
        raise ConfigError(f"{output} is no name of a picture", expected="a name that ends in .png")
    beside = output.with_suffix(".csv")
    for path in (output, beside):
        refuse_existing(path, force)
    return beside


def write(output: Path, found: Landscape, *, force: bool = False) -> list[Path]:
    """Write the .png `output` and the .csv with the numbers beside it; returns their names."""
    beside = refuse_outputs(output, force=force)
    drawn = landscape_png(found)
    write_file(beside, landscape_csv(found), force=force)
    write_file(output, drawn, force=force)
    return [output, beside]
