"""The one tree of errors. Each says what, which value, what was expected, and what to do.

RdedgeError
├── InputError              a sample or a file of samples cannot be used
│   ├── ValueRangeError     a value is not finite, or beyond what can be coded
│   ├── ShapeError          a shape or a dtype that was not expected
│   └── SourceError         a file cannot be read as samples
├── FormatError             bytes that are not what FORMAT.md says
│   ├── TruncatedError      they end too early
│   ├── ChecksumError       they were altered
│   ├── UnsupportedError    a version, flag, codec or stream this reader does not know
│   └── MismatchError       sound, but made by another codec
├── BundleError             a bundle that is damaged, foreign or contradicts itself
├── ConfigError             a setting, a recipe, a profile or an option is wrong
├── MissingError            something that must be installed is not
├── EngineError             a backend could not build an engine from a graph, or not run it
├── OutputError             the output exists, or cannot be written
├── TrainingError           training could not start or go on
│   ├── BoundMissedError    it ended without meeting its distortion bound
│   └── StoppedError        it was stopped; the checkpoint is safe
└── ParityError             two computations of the same thing differ by more than allowed
"""

from __future__ import annotations

__all__ = [
    "BoundMissedError",
    "BundleError",
    "ChecksumError",
    "ConfigError",
    "EngineError",
    "FormatError",
    "InputError",
    "StoppedError",
    "MismatchError",
    "MissingError",
    "OutputError",
    "ParityError",
    "RdedgeError",
    "ShapeError",
    "SourceError",
    "TrainingError",
    "TruncatedError",
    "UnsupportedError",
    "ValueRangeError",
]


class RdedgeError(Exception):
    """Base of all errors raised on purpose.

    what: one sentence saying what is wrong and which value is at fault.
    expected: what would have been accepted.
    do: the next step for the person who reads it.
    """

    def __init__(self, what: str, *, expected: str = "", do: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.do = do

    def __str__(self) -> str:
        parts = [self.what]
        if self.expected:
            parts.append(f"expected: {self.expected}")
        if self.do:
            parts.append(f"what to do: {self.do}")
        return "; ".join(parts)


class InputError(RdedgeError):
    """A sample or a file of samples cannot be used."""


class ValueRangeError(InputError):
    """A value is not finite, or lies beyond what can be coded."""


class ShapeError(InputError):
    """A shape or a dtype that was not expected."""


class SourceError(InputError):
    """A file cannot be read as samples."""


class FormatError(RdedgeError):
    """Bytes that are not what FORMAT.md says."""


class TruncatedError(FormatError):
    """Bytes that end too early."""


class ChecksumError(FormatError):
    """Bytes that were altered."""


class UnsupportedError(FormatError):
    """A version, flag, codec or critical stream that this reader does not know."""


class MismatchError(FormatError):
    """Sound bytes that another codec made."""


class BundleError(RdedgeError):
    """A bundle that is damaged, foreign or contradicts itself."""


class ConfigError(RdedgeError):
    """A setting, a recipe, a profile or an option is wrong."""


class MissingError(RdedgeError):
    """Something that must be installed is not."""


class EngineError(RdedgeError):
    """A backend could not build an engine from a graph, or could not run it."""


class OutputError(RdedgeError):
    """The output exists already, or cannot be written."""


class TrainingError(RdedgeError):
    """Training could not start or could not go on."""


class BoundMissedError(TrainingError):
    """Training ended without meeting its distortion bound on held-out data."""


class StoppedError(TrainingError):
    """Training was stopped from outside; its checkpoint is safe."""


class ParityError(RdedgeError):
    """Two computations of the same thing differ by more than is allowed."""
