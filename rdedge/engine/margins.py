"""How far the decoders of one codec lie apart, as `rdedge check` measured it on this machine.

Kept in the cache beside the engines, a file a codec, and not in the bundle: a bundle says what its
maker knew and is signed by them; which runtime and GPU stand here, and what they make of the
decoder, only this machine knows. An unsigned file beside a signed bundle would let anybody who can
write there talk a device out of its margin, so it lies where only this user can write.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from rdedge import canonical, config
from rdedge.data.files import write_file
from rdedge.engine.cache import Cache, folder
from rdedge.errors import ConfigError, FormatError, OutputError, RdedgeError

# The decoder that made the bundle's reference outputs.
OF_BUNDLE = "bundle"
_FORMAT = 1
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Pair:
    """Two decoders of one codec. one, other: what ran, with its version (Runner.name), or
    OF_BUNDLE. deviations: the largest difference of two reconstructions in standard deviations of
    the training data, difference: the same in raw units; distortion: the worst of a sample in the
    bound's metric, None where that is no number. values: that were compared.
    """

    one: str
    other: str
    deviations: float
    difference: float
    metric: str
    distortion: float | None
    values: int

    def __post_init__(self) -> None:
        if not (0 <= self.deviations <= 1e300 and self.difference >= 0 and self.values > 0):
            raise ConfigError(f"a pair of decoders {self}", expected="differences of 0 or more")


@dataclass(frozen=True)
class _File:
    format: int
    identity: str
    pairs: tuple[Pair, ...]


def path_of(identity: str) -> Path:
    """Where the pairs of a codec lie. Raises ConfigError where that folder is not safe."""
    return Cache(folder()).path / f"{identity}.margins.json"


def load(identity: str) -> tuple[Pair, ...]:
    """What was measured of a codec here; nothing where nobody did. Raises ConfigError where the
    folder is not safe or the file is not what store writes.
    """
    path = path_of(identity)
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", do="run rdedge check") from error
    try:
        found = config.build(canonical.loads(data, path.name), _File, path.name)
    except (RdedgeError, TypeError) as error:
        raise ConfigError(f"{path} is damaged: {error}", do="run rdedge check again") from error
    if (found.format, found.identity) != (_FORMAT, identity):
        raise ConfigError(f"{path} is of another codec or version", do="run rdedge check again")
    return found.pairs


def store(identity: str, pairs: Iterable[Pair]) -> Path:
    """Keep what was measured, in place of what was known of the same decoders. Raises ConfigError
    or OutputError where it cannot be kept.
    """
    path = path_of(identity)
    try:
        known = load(identity)
    except ConfigError:
        known = ()
    every = {frozenset((pair.one, pair.other)): pair for pair in (*known, *pairs)}
    cache = Cache(folder())
    cache.make()
    found = _File(_FORMAT, identity, tuple(every.values()))
    try:
        write_file(path, canonical.dumps(asdict(found)), force=True)
    except FormatError as error:
        raise OutputError(f"cannot keep the margin: {error}") from error
    return path


def forget(identity: str) -> None:
    """What was known of a codec whose check failed."""
    path_of(identity).unlink(missing_ok=True)


def measured(pairs: Iterable[Pair], decoder: str) -> float | None:
    """How far a decoder (Runner.name) lies from the bundle's own and from all others that it was
    compared with, at most, in standard deviations; None where it was not compared with the
    bundle's.
    """
    of_it = [pair for pair in pairs if decoder in (pair.one, pair.other)]
    if not any(OF_BUNDLE in (pair.one, pair.other) for pair in of_it):
        return None
    return max(pair.deviations for pair in of_it)
