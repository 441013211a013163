"""The faults of counts.bin, for test_refusals: (name, error, what reads it)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rdedge.bundle.bundle import Bundle
from rdedge.coding.counts import Counts, decision_tables
from rdedge.coding.selection import Group, Selection
from rdedge.coding.tables import Tables
from rdedge.errors import BundleError, FormatError, TruncatedError
from rdedge.types import SampleSpec
from tests.bundle import tiny
from tests.coding.reference import varint

Fault = tuple[str, type[Exception], Callable[[], object]]
# Two symbols from 0 on, one channel, no lags.
PARTS: dict[str, tuple[int, ...]] = {
    "symbols": (2,),
    "minimum": (0,),
    "channels": (1,),
    "lags": (0,),
    "priors": (10922, 10922, 10922, 10922, 10922, 10926),
    "frequencies": (40000, 25000, 536) * 4,
    "end": (),
}


def data(**other: tuple[int, ...]) -> bytes:
    return b"".join(varint(number) for part in (PARTS | other).values() for number in part)


def counts(name: str, error: type[Exception] = FormatError, **other: tuple[int, ...]) -> Fault:
    """Those counts but for these numbers."""
    return (name, error, lambda: Counts.from_bytes(data(**other)))


def of_bundle(name: str, **changes: object) -> Fault:
    """A bundle of series of four values with those counts, but for these."""
    made: dict = {"kind": "series", "shape": (4, 1), "latents": 4, "classes": 1, **changes}
    kinds = np.ones(made["latents"], np.uint8)
    choice = Group(
        np.zeros((made["classes"], made["latents"]), np.uint16),
        kinds,
        0 if made["classes"] > 1 else None,
    )
    tables = made.get("tables", decision_tables())
    members = tiny.members(
        **{
            "counts.bin": data(),
            "tables.bin": tables.to_bytes(),
            "selection.bin": Selection((choice,)).to_bytes(),
            **made.get("members", {}),
        }
    )
    manifest = tiny.manifest(
        sample=SampleSpec(made["kind"], made["shape"], "float32"), latents=made["latents"]
    )
    return (name, BundleError, lambda: Bundle.make(manifest, members))


def sound() -> None:
    """What all of these are but for one thing."""
    Counts.from_bytes(data())
    members = tiny.members(
        **{
            "counts.bin": data(),
            "tables.bin": decision_tables().to_bytes(),
            "selection.bin": Selection(
                (Group(np.zeros((1, 4), np.uint16), np.ones(4, np.uint8)),)
            ).to_bytes(),
        }
    )
    spec = SampleSpec("series", (4, 1), "float32")
    Bundle.make(tiny.manifest(sample=spec, latents=4), members)


sound()
FEWER = decision_tables()
FEWER = Tables(FEWER.minimum[:256], FEWER.frequencies[:256])
SHIFTED = Tables(np.full(257, 1), decision_tables().frequencies)

COUNTS_FAULTS: dict[tuple[str, str], list[Fault]] = {
    ("counts", "anything"): [
        counts("one symbol", symbols=(1,), frequencies=(40000, 25536) * 3),
        counts("63 symbols", symbols=(63,)),
        counts("no channel", channels=(0,), frequencies=()),
        counts("257 channels", channels=(257,)),
        counts("nine lags", lags=(9, *range(1, 10))),
        counts("a lag of 0", lags=(1, 0), priors=(9362,) * 6 + (9364,)),
        counts("a lag of 513", lags=(1, 513), priors=(9362,) * 6 + (9364,)),
        counts("a prior of 63", priors=(63, 21781, 10922, 10922, 10922, 10926)),
        counts("priors of 65537", priors=(10923, 10922, 10922, 10922, 10922, 10926)),
        counts("a frequency of 0", frequencies=(40536, 25000, 0) * 4),
        counts("a frequency of 65537", frequencies=(65537, 1, 1) * 4),
        counts("frequencies of 65535", frequencies=(40000, 25000, 535) * 4),
        counts(
            "a first symbol beyond int32",
            minimum=(2 * ((1 << 31) - 61),),
        ),
        counts(
            "more than 2^17 frequencies",
            symbols=(62,),
            channels=(33,),
            frequencies=(65536 - 62, *(1,) * 62) * (64 * 33),
        ),
        counts("cut short", TruncatedError, frequencies=(40000, 25000, 536) * 3),
        counts("a byte more", end=(0,)),
        of_bundle("256 tables", tables=FEWER),
        of_bundle("tables from 1 on", tables=SHIFTED),
        of_bundle("vectors", kind="vector", shape=(4,)),
        of_bundle("classes", classes=2),
        of_bundle("counts that are damaged", members={"counts.bin": b"\0"}),
    ]
}
