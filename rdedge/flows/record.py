"""What `rdedge compress --ledger` does beside compressing: rows, energy, other codecs."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rdedge.bundle.lines import LineManifest
from rdedge.codec.encoder import Encoder
from rdedge.codec.files import Made
from rdedge.codec.line_files import MadeLines
from rdedge.device.power import Meter, sensors
from rdedge.errors import ConfigError
from rdedge.flows.instead import Instead
from rdedge.ledger.record import Recorder, row_of_lines, with_energy
from rdedge.ledger.schema import InsteadRow, PacketRow
from rdedge.ledger.store import LedgerWriter

_MOST_NAME = 200


class Account:
    """Keeps the rows of one run until what they speak of is on disk, then appends them.

    folder: the ledger. device: its name there; None: this host's. stream: None: each source's name.
    instead: what else to run on a sampled share.
    """

    def __init__(
        self,
        folder: Path,
        device: str | None = None,
        stream: str | None = None,
        instead: Instead | None = None,
    ) -> None:
        self.device, self.stream, self.instead = device or platform.node(), stream, instead
        for what, name in (("device", self.device), ("stream", self.stream)):
            if name is not None and (not name.isprintable() or not 0 < len(name) <= _MOST_NAME):
                raise ConfigError(
                    f"{what} {name!r:.60}", expected=f"1 to {_MOST_NAME} printable characters"
                )
        # Before the work, so that a folder that cannot be written is said first.
        self._writer = LedgerWriter(folder)
        self._rows: list[PacketRow] = []
        self._instead: list[InsteadRow] = []
        self._recorder: Recorder | None = None
        self._beside_ns = 0
        self._kept = (0, 0)

    def of(self, encoder: Encoder) -> Account:
        """Watch what this encoder makes."""
        self._recorder = Recorder(encoder, self.device, self.stream)
        if self.instead is not None:
            self.instead.require(encoder.manifest)
        return self

    def __call__(self, made: Made) -> None:
        assert self._recorder is not None
        started = time.perf_counter_ns()
        row = self._recorder.row(made)
        self._rows.append(row)
        if self.instead is not None and self.instead.sampled(made.packet):
            encoder = self._recorder.encoder
            self._instead += self.instead.rows(row, made.x, made.packet, encoder)
        self._beside_ns += time.perf_counter_ns() - started

    def lines(self, manifest: LineManifest, verified: bool, made: MadeLines) -> None:
        """A packet of a log."""
        row = row_of_lines(made, manifest, self.device, self.stream, verified)
        self._rows.append(row)
        if self.instead is not None and self.instead.sampled(made.packet):
            self._instead += self.instead.rows_of_lines(row, made.content)

    @contextmanager
    def metered(self) -> Iterator[None]:
        """The whole run: where it went well, its rows are appended at the end."""
        started = time.perf_counter_ns()
        with Meter(sensors()) as meter:
            yield
        spent = time.perf_counter_ns() - started
        # What the other codecs spend is not the encoder's, and no meter can tell them apart.
        joules = None if self._beside_ns > spent // 10 else meter.joules
        self._writer.append(with_energy(self._rows, joules, spent), self._instead)
        self._kept = (len(self._rows), len({(r.stream, r.time_ns) for r in self._instead}))
        self._rows, self._instead = [], []

    def line(self) -> str:
        """What a person reads at the end."""
        rows, sampled = self._kept
        text = f"ledger: {rows:,} packet{'s' * (rows != 1)} of {self.device}"
        if self.instead is not None:
            text += f", other codecs run on {sampled:,}"
            if rows and not sampled:
                text += "; a larger --instead-share samples more"
        return text
