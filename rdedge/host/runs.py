"""The run folder: what a model was made from, its checkpoint, its weights and its scorecard.

run.json                what it was made from: data and its SHA-256, split, bound, sizes, options,
                        seed, versions, machine
checkpoint.safetensors  weights, best weights and Adam's moments after the last whole epoch
checkpoint.json         epoch, multiplier and scores at the same moment
history.csv             one line for each epoch
model.safetensors       the weights that are exported
dictionary.bin          of a run on lines, in place of all from the checkpoint to here
scorecard.json          what was measured on held-out data; written last
Nothing in it can execute: no pickle.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from rdedge import canonical
from rdedge._version import __version__
from rdedge.bundle.bundle import DICTIONARY
from rdedge.bundle.manifest import OPTIONAL
from rdedge.data.files import write_file
from rdedge.errors import ConfigError, OutputError, TrainingError
from rdedge.host.models import rebuild
from rdedge.host.models.base import Model
from rdedge.host.options import State
from rdedge.host.training import Progress, Trainer

_TENSORS, _STATE = "checkpoint.safetensors", "checkpoint.json"
# Where contexts, a palette or counts select tables: they are trained, so they belong to the run.
_OF_ENTROPY = ("tables.bin", "selection.bin")
ENTROPY = (*_OF_ENTROPY, *OPTIONAL)


class RunFolder:
    """One run on disk. Every file is written aside and renamed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, description: dict[str, Any], *, force: bool = False) -> None:
        """Make the folder and write run.json.

        Raises OutputError where a run is there already and force is not given, and where the
        folder holds anything else.
        """
        if self._is_run():
            if not force:
                raise OutputError(
                    f"{self.path} holds a run already",
                    do="go on with --resume, choose another folder, or replace it with --force",
                )
        elif self.path.is_dir() and any(self.path.iterdir()):
            raise OutputError(
                f"the folder {self.path} holds files that are no run",
                expected="a new or an empty folder",
                do="choose another folder",
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {self.path}: {error.strerror}") from error
        try:
            self._remove_old()
        except OSError as error:
            raise OutputError(f"cannot replace {error.filename}: {error.strerror}") from error
        self.write_json("run.json", description)

    def _is_run(self) -> bool:
        """Whether the folder holds a run of ours, and not just a file called run.json."""
        try:
            value = json.loads((self.path / "run.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return False
        return isinstance(value, dict) and {"split", "bound", "options", "model"} <= set(value)

    def _remove_old(self) -> None:
        made = ("model.safetensors", "scorecard.json", "history.csv", DICTIONARY)
        for old in (_TENSORS, _STATE, *made, *ENTROPY):
            (self.path / old).unlink(missing_ok=True)

    def description(self) -> dict[str, Any]:
        """run.json. Raises TrainingError where this is no run."""
        return self.read_json("run.json")

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """What an edited or damaged file of the run makes go wrong is a TrainingError."""
        try:
            yield
        except (
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            RuntimeError,
            OverflowError,
            MemoryError,
            RecursionError,
            ConfigError,
        ) as error:
            raise TrainingError(
                f"{self.path / name} is damaged or of another version: "
                f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
                do="train it again",
            ) from error

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"
        write_file(self.path / name, text.encode(), force=True)

    def write_bytes(self, name: str, data: bytes) -> None:
        write_file(self.path / name, data, force=True)

    def read_json(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads((self.path / name).read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise TrainingError(
                f"{self.path} has no {name}",
                expected="the folder of a finished run of rdedge train",
                do="check the name, or finish the run with --resume",
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise TrainingError(f"{self.path / name} cannot be read: {error}") from error
        if not isinstance(value, dict):
            raise TrainingError(f"{self.path / name} holds no object", expected="a JSON object")
        return value

    def save_checkpoint(self, trainer: Trainer) -> None:
        """Write tensors first, then the state that names them by epoch."""
        tensors = _alone(trainer.tensors())
        state = {
            key: canonical.finite(value) if isinstance(value, float) else value
            for key, value in asdict(trainer.state).items()
        }
        data = safetensors.torch.save(tensors, metadata={"state": _state_digest(state)})
        write_file(self.path / _TENSORS, data, force=True)
        self.write_json(_STATE, state)
        write_file(self.path / "history.csv", _history(trainer.history), force=True)

    def load_checkpoint(self, trainer: Trainer) -> bool:
        """Bring the trainer to where the checkpoint is; False where there is none yet."""
        if not (self.path / _TENSORS).exists() or not (self.path / _STATE).exists():
            return False
        state = self.read_json(_STATE)
        tensors, metadata = self._load(_TENSORS)
        if metadata.get("state") != _state_digest(state):
            raise TrainingError(
                f"the tensors and the state of the checkpoint in {self.path} are of two moments",
                expected="one moment: it was stopped while it was written, or edited",
                do="start anew with --force",
            )
        if state.get("best_score") is None:
            state["best_score"] = float("inf")
        with self.reading(_TENSORS):
            trainer.load_tensors(tensors)
        try:
            trainer.state = State(**state).checked()
            if trainer.state.best_epoch >= 0 and not trainer.best:
                raise ValueError("the best weights are missing")
            rows = list(csv.reader(io.StringIO((self.path / "history.csv").read_text())))[1:]
            trainer.history = [
                Progress(int(r[0]), int(r[1]), *(float(v) for v in r[2:])) for r in rows
            ]
        except (TypeError, ValueError, OSError) as error:
            raise TrainingError(
                f"the checkpoint in {self.path} is damaged: {error}", do="start anew with --force"
            ) from error
        return True

    def save_model(self, model: Model) -> str:
        """Write the weights; returns their SHA-256, which the scorecard keeps."""
        tensors = _alone(model.state_dict())
        data = safetensors.torch.save(tensors)
        write_file(self.path / "model.safetensors", data, force=True)
        return hashlib.sha256(data).hexdigest()

    def load_model(self, digest: str, sizes: dict[str, Any]) -> Model:
        """The finished model, on the CPU; digest, sizes: what the scorecard keeps."""
        path = self.path / "model.safetensors"
        try:
            data = path.read_bytes()
        except OSError as error:
            raise TrainingError(
                f"{self.path} has no model.safetensors", do="finish the run with --resume"
            ) from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise TrainingError(
                f"{path} is not the one that the scorecard speaks of", do="train it again"
            )
        with self.reading("model.safetensors"):
            model = rebuild(sizes)
            model.load_state_dict(safetensors.torch.load(data))
        return model.eval()

    def save_entropy(self, members: dict[str, bytes]) -> str:
        """Write what selects tables and the tables; returns the SHA-256 of all of it."""
        for name, data in members.items():
            write_file(self.path / name, data, force=True)
        return _digest_of(members)

    def load_entropy(self, digest: str) -> dict[str, bytes]:
        """What save_entropy wrote; digest: what the scorecard keeps."""
        try:
            members = {
                name: (self.path / name).read_bytes()
                for name in ENTROPY
                if name in _OF_ENTROPY or (self.path / name).exists()
            }
        except OSError as error:
            raise TrainingError(
                f"{self.path} lacks {', '.join(ENTROPY)}: {error.strerror}", do="train it again"
            ) from error
        if _digest_of(members) != digest:
            raise TrainingError(
                f"the tables in {self.path} are not those that the scorecard speaks of",
                do="train it again",
            )
        return members

    def _load(self, name: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        path = self.path / name
        try:
            with safetensors.safe_open(str(path), framework="pt") as file:
                names = list(file.keys())
                return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
        except (OSError, SafetensorError) as error:
            raise TrainingError(f"{path} is damaged: {error}", do="train it again") from error


def _digest_of(members: dict[str, bytes]) -> str:
    return hashlib.sha256(b"".join(members.get(name, b"") for name in ENTROPY)).hexdigest()


def _alone(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copies, each with memory of its own: the file has no word for weights that are shared."""
    return {
        k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()
    }


def _state_digest(state: dict[str, Any]) -> str:
    return hashlib.sha256(canonical.dumps(state)).hexdigest()


def _history(history: list[Progress]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Progress.__annotations__)
    writer.writerows([list(asdict(p).values()) for p in history])
    return text.getvalue().encode()


def machine() -> dict[str, Any]:
    """What a run was made on."""
    return {
        "rdedge": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
