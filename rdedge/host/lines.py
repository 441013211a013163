"""`rdedge train --kind lines` and the export of its runs: logs -> a dictionary -> a bundle.

There is no bound and no network: every byte comes back, and what is trained is the dictionary that
makes small blocks small. Two parts stand in it, the nearer one last: what zstd's trainer picks from
all blocks (with its tables of entropies), and the latest lines as they are. How much of each, and
the level, is decided by bytes on validation blocks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from rdedge.bundle.bundle import DICTIONARY
from rdedge.bundle.lines import RAW, TRAINED
from rdedge.bundle.manifest import sha256
from rdedge.classical.lines import line_yardsticks, train_dictionary, with_dictionary
from rdedge.codec.lines import Zstandard, packet_of
from rdedge.data.lines import DEFAULT_LINES, LINES, LineSource, blocks, count_lines, read_all
from rdedge.errors import ConfigError, TrainingError
from rdedge.host.runs import RunFolder, machine
from rdedge.host.splits import MIN_HELD_OUT, Split

# What the trainer picks, and the latest lines beside it: bytes, together at most MOST.
PICKED = (0, 4096, 8192, 16384, 32768, 65536, 112640)
LATEST = (0, 4096, 16384, 32768, 65536, 106496)
LEAST, MOST = 4096, 112640
LEVELS = (19, 22)
# A dictionary is carried to the device once; so many more bytes in all blocks buy a smaller one.
_WORTH = 0.005
# Of long logs the latest bytes train, and as many at most decide: more change little.
_MOST_TRAIN, _MOST_VALIDATION = 1 << 22, 1 << 19
_KEY = bytes(4)


@dataclass(frozen=True)
class Candidate:
    """A dictionary tried. picked, latest: bytes of both parts, as asked for. validation_bytes: of
    packets with one block each.
    """

    picked: int
    latest: int
    dictionary_bytes: int
    validation_bytes: int

    def made(self, train: Sequence[bytes]) -> tuple[bytes, str] | None:
        return make(train, self.picked, self.latest)


def make(train: Sequence[bytes], picked: int, latest: int) -> tuple[bytes, str] | None:
    """A dictionary from blocks in their order, and its kind; None where they do not suffice."""
    recent = b"".join(train)[-latest:] if latest else b""
    if not picked:
        return (recent, RAW) if recent else None
    trained = train_dictionary(train, picked)
    # What follows the tables in a trained dictionary is content, and more of it may follow.
    return None if trained is None else (trained + recent, TRAINED)


def size_of(code: Zstandard, parts: Sequence[bytes]) -> int:
    """Bytes of the packets of blocks, each in its own."""
    return sum(len(packet_of(_KEY, code.compress(block))) for block in parts)


def search(train: Sequence[bytes], validation: Sequence[bytes]) -> list[Candidate]:
    """All dictionaries that can be made, fewest bytes on validation blocks first."""
    found, tried = [], set()
    for picked in PICKED:
        trained = make(train, picked, 0) if picked else (b"", RAW)
        for latest in LATEST:
            if trained is None or not LEAST <= picked + latest <= MOST:
                continue
            recent = b"".join(train)[-latest:] if latest else b""
            dictionary = trained[0] + recent
            if dictionary in tried:
                continue
            tried.add(dictionary)
            size = size_of(Zstandard(dictionary, trained[1], LEVELS[0]), validation)
            found.append(Candidate(picked, latest, len(dictionary), size))
    return sorted(found, key=lambda one: one.validation_bytes)


def _chosen(found: list[Candidate]) -> Candidate:
    """The smallest dictionary that is within _WORTH of the best."""
    most = found[0].validation_bytes * (1.0 + _WORTH)
    near = [one for one in found if one.validation_bytes <= most]
    return min(near, key=lambda one: (one.dictionary_bytes, one.validation_bytes))


def train_lines(
    data: str | PathLike[str],
    *,
    output: str | PathLike[str],
    lines: int = DEFAULT_LINES,
    held_out: int | None = None,
    held_out_data: str | PathLike[str] | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Make a dictionary from a log, or a folder of logs, for blocks of so many lines.

    held_out: how many of the last blocks the verdict is given on (default: 22 %), or held_out_data:
    a log of its own. Returns the scorecard, which is in the run folder too. Raises TrainingError
    for too few blocks, SourceError, ConfigError, MissingError without zstandard.
    """
    if held_out is not None and held_out_data is not None:
        raise ConfigError(
            f"both {held_out} blocks of DATA and {held_out_data} are to be held out",
            expected="one of --held-out and --held-out-data",
        )
    if held_out is not None and held_out < MIN_HELD_OUT[LINES]:
        raise ConfigError(f"{held_out} held-out blocks", expected="at least 1")
    started = time.monotonic()
    cut, noted = _read(data, lines)
    split = Split.of(len(cut), 0 if held_out_data is not None else held_out, LINES)
    apart = None
    if held_out_data is not None:
        decisive, apart = _read(held_out_data, lines)
        if not decisive or apart["sha256"] == noted["sha256"]:
            raise TrainingError(
                f"{fspath(held_out_data)} holds {'the same lines' if decisive else 'no line'}",
                expected="lines that training never sees",
            )
    else:
        decisive = cut[split.held_out.start :]
    train, validation = (cut[part.start : part.stop] for part in (split.train, split.validation))
    if not decisive:
        raise TrainingError("no block is held out", expected="at least 1", do="use --held-out 1")
    train, validation = _last(train, _MOST_TRAIN), _last(validation, _MOST_VALIDATION)
    found = search(train, validation)
    one = _chosen(found)
    # Once it is decided how, the latest lines are too good to be left out.
    seen = _last([*train, *validation], _MOST_TRAIN)
    made = one.made(seen) or one.made(train)
    assert made is not None
    dictionary, kind = made
    sizes = {n: size_of(Zstandard(dictionary, kind, n), validation) for n in LEVELS}
    level = LEVELS[1] if sizes[LEVELS[1]] < 0.999 * sizes[LEVELS[0]] else LEVELS[0]
    card = {
        "kind": LINES,
        "lines": lines,
        "level": level,
        "dictionary": {
            "kind": kind,
            "bytes": len(dictionary),
            "sha256": sha256(dictionary),
            "picked": one.picked,
            "latest": one.latest,
        },
        "held_out": _measured(Zstandard(dictionary, kind, level), decisive, seen, found),
        "candidates": [asdict(each) for each in found],
        "seconds": time.monotonic() - started,
    }
    folder = RunFolder(Path(output))
    folder.create(
        {
            "kind": LINES,
            "data": noted,
            "held_out_data": apart,
            "split": [[r.start, r.stop] for r in (split.train, split.validation, split.held_out)],
            "bound": {"kind": "exact"},
            "model": {"kind": "zstd", "lines": lines},
            "options": {},
            "machine": machine(),
        },
        force=force,
    )
    folder.write_bytes(DICTIONARY, dictionary)
    folder.write_json("scorecard.json", card)
    return card


def _read(path: str | PathLike[str], lines: int) -> tuple[list[bytes], dict[str, Any]]:
    """The blocks of all logs at a path, and what run.json says of them."""
    found = read_all([Path(path)])
    cut = [block for log in found for block in blocks(log.data, lines)]
    noted = {"path": str(Path(path).resolve()), "sha256": _digest(found), "blocks": len(cut)}
    return cut, noted


def _digest(found: list[LineSource]) -> str:
    return sha256(b"".join(bytes.fromhex(sha256(log.data)) for log in found))


def _last(parts: list[bytes], most: int) -> list[bytes]:
    """The last blocks of at most so many bytes together, one at least."""
    size, first = 0, len(parts)
    while first and (size + len(parts[first - 1]) <= most or first == len(parts)):
        first -= 1
        size += len(parts[first])
    return parts[first:]


def _measured(
    code: Zstandard, parts: list[bytes], seen: list[bytes], found: list[Candidate]
) -> dict[str, Any]:
    """Bytes of held-out blocks, and what zstd, xz and gzip make of them."""
    rivals = line_yardsticks(parts)
    # What zstd's trainer alone gives, at the size that validation blocks prefer.
    alone = next((one for one in found if one.picked and not one.latest), None)
    made = None if alone is None else train_dictionary(seen, alone.picked)
    if made is not None:
        rivals.append(with_dictionary(parts, made, f"level 19, trained, {len(made)} bytes"))
    return {
        "blocks": len(parts),
        "lines": sum(map(count_lines, parts)),
        "bytes": sum(map(len, parts)),
        "packet_bytes": size_of(code, parts),
        "rivals": [asdict(rival) for rival in rivals],
    }


def held_out_blocks(
    description: dict[str, Any], data: str | None, held_out_data: str | None
) -> list[bytes]:
    """The blocks that the verdict was given on, of a run.json; where its data is now.

    Raises TrainingError where that is not what the run was made from.
    """
    lines = int(description["model"]["lines"])
    noted, given, option = description["data"], data, "--data"
    if description["held_out_data"] is not None:
        noted, given, option = description["held_out_data"], held_out_data, "--held-out-data"
    cut, again = _read(given or noted["path"], lines)
    if again["sha256"] != noted["sha256"]:
        raise TrainingError(
            f"{again['path']} is not what the run was made from",
            expected=f"SHA-256 {noted['sha256'][:16]}...",
            do=f"name the file that it was made from with {option}, or train again",
        )
    start = 0 if description["held_out_data"] is not None else int(description["split"][2][0])
    return cut[start:]


def describes_lines(run: str | PathLike[str]) -> bool:
    """Whether this run folder is one of lines. Raises TrainingError where it is no run."""
    return RunFolder(Path(run)).description().get("kind") == LINES
