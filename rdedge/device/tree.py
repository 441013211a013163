"""Files below a root folder: the machine's own, a mounted image's or a recorded tree's."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path

# The files asked for are lines and small tables; a device could offer an endless one.
MAX_BYTES = 1 << 20
_MAX_LINKS = 40


@dataclass(frozen=True)
class Text:
    """What a file held, or why it gave nothing: exactly one of both is not empty."""

    text: str = ""
    why: str = ""


@dataclass(frozen=True)
class Tree:
    """root: "/" for this machine. Links are followed as if root were "/"."""

    root: Path

    def resolve(self, path: str) -> Path:
        """Where path, absolute as on the machine itself, is. Never outside of root.

        Raises OSError for a circle of links.
        """
        found: list[str] = []
        waiting = [part for part in path.split("/") if part][::-1]
        links = 0
        while waiting:
            part = waiting.pop()
            if part in (".", ".."):
                del found[len(found) - (part == "..") :]
                continue
            here = self.root.joinpath(*found, part)
            if not here.is_symlink():
                found.append(part)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise OSError(f"{path}: too many links")
            target = str(here.readlink())
            if target.startswith("/"):
                found.clear()
            waiting += [p for p in target.split("/") if p][::-1]
        return self.root.joinpath(*found)

    def read(self, path: str) -> Text:
        """The text of a file, NUL characters as line ends (device trees end strings with them)."""
        try:
            place = self.resolve(path)
            if not stat.S_ISREG(place.stat().st_mode):  # reading a pipe would wait for ever
                return Text(why=f"{path} is not a file")
            with place.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            reason = error.strerror or str(error)
            return Text(why=f"cannot read {path}: {reason[:1].lower()}{reason[1:]}")
        if len(data) > MAX_BYTES:
            return Text(why=f"{path} has more than {MAX_BYTES} bytes")
        try:
            text = data.decode("utf-8").replace("\0", "\n").strip()
        except UnicodeDecodeError as error:
            return Text(why=f"{path} is no text at byte {error.start}")
        if not all(character.isprintable() or character in "\n\r\t" for character in text):
            return Text(why=f"{path} holds control characters: no text")
        return Text(text) if text else Text(why=f"{path} is empty")

    def lines(self, path: str) -> list[str]:
        """The lines of a file that are not blank; none where it cannot be read."""
        return [line.strip() for line in self.read(path).text.splitlines() if line.strip()]

    def names(self, folder: str, pattern: str) -> list[tuple[str, re.Match[str]]]:
        """Names in folder that match pattern as a whole, sorted; none where it cannot be read."""
        expression = re.compile(pattern)
        try:
            names = sorted(path.name for path in self.resolve(folder).iterdir())
        except OSError:
            return []
        return [(name, match) for name in names if (match := expression.fullmatch(name))]
