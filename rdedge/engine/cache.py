"""Where engines lie, and which of them may be loaded.

An engine is code: TensorRT runs what is in it and does not check where it comes from. So only a
file is loaded that this user (or root) wrote into a folder that nobody else can write, whose
header says that it was made from this graph, by this TensorRT, for this GPU, and whose bytes have
the SHA-256 of the header. The hash finds damage; against somebody who can write there, only the
rights of the folder help. Anything else is passed over, with the reason, and built again.

A file is the line `rdedge engine 1`, the length of the header (4 bytes, little-endian), the header
(canonical JSON: the fields of Header) and the engine. It is written aside and renamed, and builds
into one folder wait for each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rdedge import canonical, config
from rdedge.bundle.manifest import sha256
from rdedge.data.files import write_file
from rdedge.engine.build import Options
from rdedge.errors import ConfigError, EngineError, FormatError, OutputError

VARIABLE = "RDEDGE_CACHE"
MAGIC = b"rdedge engine 1\n"
_LENGTH = struct.Struct("<I")
_MAX_HEADER = 1 << 16
_MAX_ENGINE = 1 << 32
_PRIVATE = 0o700


@dataclass(frozen=True)
class Header:
    """What an engine is, and what it was made from.

    kind: "engine" or "timing". tensorrt: flavour and version. sm: compute capabilities that it
    runs on, gpu: the name of the only GPU that it runs on, empty where the sm says enough. axes:
    minimum, usual size and maximum of the input's free axes. options: of the builder. bytes,
    sha256: of what follows.
    """

    kind: str
    identity: str
    half: str
    graph: str
    flavour: str
    version: str
    sm: tuple[str, ...]
    gpu: str
    axes: tuple[tuple[int, ...], ...]
    options: Options
    bytes: int = 0
    sha256: str = ""

    @property
    def origin(self) -> dict[str, Any]:
        """All but bytes and sha256: what must agree for it to be the engine that is asked for."""
        return {name: v for name, v in vars(self).items() if name not in ("bytes", "sha256")}

    def difference(self, wanted: Header) -> str:
        """The first field in which this one is not what is wanted, in words; "" for none."""
        ours, theirs = self.origin, wanted.origin
        for name in ours:
            if ours[name] != theirs[name]:
                return f"its {name} is {_short(ours[name])}, not {_short(theirs[name])}"
        return ""


def _short(value: Any) -> str:
    value = vars(value) if isinstance(value, Options) else value
    text = value if isinstance(value, str) else canonical.dumps(value).decode()
    return text if len(text) <= 100 else text[:97] + "..."


@dataclass(frozen=True)
class Stored:
    """A sound file of the cache."""

    path: Path
    header: Header
    data: bytes


def folder(asked: str | os.PathLike[str] | None = None) -> Path:
    """Where engines lie: asked, else RDEDGE_CACHE, else rdedge/engines in XDG_CACHE_HOME or
    ~/.cache. Nothing is made. Raises ConfigError where there is no home.
    """
    if asked is None:
        asked = os.environ.get(VARIABLE) or None
    if asked is not None:
        return Path(asked).absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        home = Path(base) if base.startswith("/") else Path.home() / ".cache"
    except RuntimeError as error:
        raise ConfigError(
            "there is no home directory to keep engines in",
            do=f"name a folder with --cache or {VARIABLE}",
        ) from error
    return home / "rdedge" / "engines"


class Cache:
    """The engines in one folder. Raises ConfigError where others can write it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()  # so that what is above it is what is looked at
        self._refuse_strangers()

    def _refuse_strangers(self) -> None:
        """The folder, if it is there, must be ours alone to write, and no folder above it anyone's.

        Those above may be writable where they are sticky, as /tmp is: there nobody renames what
        belongs to others.
        """
        for path in (self.path, *self.path.parents):
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise ConfigError(
                    f"the cache {self.path} cannot be used: {path}: {error.strerror}",
                    do=f"name another folder with --cache or {VARIABLE}",
                ) from error
            if not stat.S_ISDIR(found.st_mode):
                raise ConfigError(
                    f"the cache {self.path} cannot be used: {path} is no folder",
                    do=f"name another folder with --cache or {VARIABLE}",
                )
            if path == self.path:
                reason = _strange(found)
            elif found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
                reason = "everybody can write it"
            else:
                continue
            if reason:
                raise ConfigError(
                    f"the cache {self.path} is not safe: {path}: {reason}, and an engine is code "
                    "that runs",
                    expected="a folder that only its owner, you, can write",
                    do=f"chmod go-w {path}, or name another folder with --cache or {VARIABLE}",
                )

    def make(self) -> None:
        """Make the folder, for its owner only. Raises OutputError where it cannot be written."""
        try:
            self.path.mkdir(_PRIVATE, parents=True, exist_ok=True)
            self._refuse_strangers()
            writable = os.access(self.path, os.W_OK | os.X_OK, effective_ids=True)
        except OSError as error:
            raise OutputError(
                f"cannot make the cache {self.path}: {error.strerror}",
                do=f"name another folder with --cache or {VARIABLE}",
            ) from error
        if not writable:
            raise OutputError(
                f"the cache {self.path} cannot be written",
                do=f"check its rights, or name another folder with --cache or {VARIABLE}",
            )

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process builds into this folder; a file system that knows no locks
        goes without: what is written twice is the same.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)  # and with it the lock

    def file(self, header: Header) -> Path:
        """Where the thing that a header tells of lies. What may change under a user's hands
        without a second engine being wanted (TensorRT's version, the GPU) is not in the name.
        """
        choices = {"axes": header.axes, "options": vars(header.options)}
        options = sha256(canonical.dumps(choices))[:8]
        chips = "-".join(one.replace(".", "") for one in header.sm)
        return self.path / f"{self._stem(header)}-sm{chips}-{options}.{header.kind}"

    @staticmethod
    def _stem(header: Header) -> str:
        return f"{header.identity[:16]}-{header.half}-{header.graph[:8]}-{header.flavour}"

    def read(self, path: Path) -> Stored:
        """A sound file, whatever it holds. Raises EngineError saying why it is none."""
        try:
            # A pipe in its place is opened without waiting for whoever writes it.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(path, flags)
        except OSError as error:
            raise EngineError(f"{path} cannot be read: {error.strerror}") from error
        try:
            found = os.fstat(descriptor)
            reason = "it is no file" if not stat.S_ISREG(found.st_mode) else _strange(found)
            if reason:
                raise EngineError(f"{path}: {reason}")
            if found.st_size > _MAX_ENGINE:
                raise EngineError(f"{path} has {found.st_size} bytes")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read()
        finally:
            os.close(descriptor)
        return Stored(path, *_parse(data, path))

    def find(self, wanted: Header) -> tuple[Stored | None, str]:
        """The very thing that wanted tells of; or None and why it is not there, "" where there is
        no file.
        """
        path = self.file(wanted)
        if not path.exists() and not path.is_symlink():
            return None, ""
        try:
            stored = self.read(path)
        except EngineError as error:
            return None, str(error)
        difference = stored.header.difference(wanted)
        return (None, f"{path}: {difference}") if difference else (stored, "")

    def newest(
        self, wanted: Header, fits: Callable[[Header], str]
    ) -> tuple[Stored | None, list[str]]:
        """The engine of wanted's graph and flavour that was built or asked for last, of those
        that fit; and why others were passed over. fits: "" or the reason why not.
        """
        stem = self._stem(wanted)
        reasons = []
        for path in sorted(self.path.glob(f"{stem}-*.engine"), key=_modified, reverse=True):
            try:
                stored = self.read(path)
            except EngineError as error:
                reasons.append(str(error))
                continue
            reason = fits(stored.header)
            if not reason:
                return stored, reasons
            reasons.append(f"{path}: {reason}")
        return None, reasons

    def write(self, header: Header, data: bytes) -> Stored:
        """Keep data under what header tells of; its bytes and sha256 are filled in."""
        full = Header(**header.origin, bytes=len(data), sha256=sha256(data))
        text = canonical.dumps(asdict(full))
        path = self.file(header)
        if path.is_symlink():  # write_file would leave it one
            path.unlink()
        write_file(path, MAGIC + _LENGTH.pack(len(text)) + text + data, force=True)
        return Stored(path, full, data)

    @staticmethod
    def touch(stored: Stored) -> None:
        """Say that it was asked for; on a folder that cannot be written this is left away."""
        with contextlib.suppress(OSError):
            os.utime(stored.path)


def _modified(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:  # gone meanwhile
        return 0.0


def _strange(found: os.stat_result) -> str:
    """Why somebody else may have written this, "" if nobody can."""
    if found.st_uid not in (os.geteuid(), 0):
        return f"it belongs to another user, {found.st_uid}"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others can write it"
    return ""


def _parse(data: bytes, path: Path) -> tuple[Header, bytes]:
    start = len(MAGIC) + _LENGTH.size
    if data[: len(MAGIC)] != MAGIC or len(data) < start:
        raise EngineError(f"{path} is no engine of this rdedge")
    (size,) = _LENGTH.unpack_from(data, len(MAGIC))
    if size > _MAX_HEADER or start + size > len(data):
        raise EngineError(f"{path} is cut short, or its header was altered")
    try:
        header = config.build(
            canonical.loads(data[start : start + size], "the header"), Header, "the header"
        )
    except (FormatError, ConfigError, AttributeError, TypeError) as error:
        raise EngineError(f"{path}: {error}") from error
    engine = data[start + size :]
    if len(engine) != header.bytes:
        raise EngineError(f"{path} holds {len(engine)} bytes of {header.bytes}: it is cut short")
    if sha256(engine) != header.sha256:
        raise EngineError(f"{path} was altered: its SHA-256 is not that of its header")
    return header, engine
