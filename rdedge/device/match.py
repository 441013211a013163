"""Which profile fits a machine: by what its device tree names, and by its memory."""

from __future__ import annotations

from dataclasses import dataclass

from rdedge.bundle.profile import Profile


@dataclass(frozen=True)
class Match:
    """profile: the name of the one that fits, or None. why: in one sentence, either way.
    verified: whether its figures were seen on hardware. supported: whether rdedge runs there.
    """

    profile: str | None
    why: str
    verified: bool = False
    supported: bool = False


def match(
    profiles: list[Profile],
    *,
    soc: str | None,
    numbers: tuple[str, ...],
    kilobytes: int | None,
    processor: str | None,
    gpu: str | None,
) -> Match:
    """Choose among profiles. soc: of NVIDIA, as in "tegra234"; None for none. numbers: all part
    numbers of the device tree. kilobytes: MemTotal. processor, gpu: as the probe names them.
    """
    if soc is None and not numbers:
        return _host(profiles, processor, gpu)
    named = [p for p in profiles if p.module and set(p.module.numbers) & set(numbers)]
    what = f"the device tree names {', '.join(numbers) or 'no module'}, {soc or 'no SoC'}"
    if not named:  # an older device tree names the carrier board alone
        named = [p for p in profiles if p.module and set(p.module.boards) & set(numbers)]
    if not named:
        return Match(None, f"no profile has this module: {what}")
    if kilobytes is None:
        if len(named) == 1:
            return _fits(named[0], f"{what}; the memory could not be compared")
        several = " or ".join(p.name for p in named)
        return Match(None, f"{several}: {what}, and the memory could not be read")
    fitting = [p for p in named if p.memory and p.memory.fits(kilobytes)]
    size = f"{kilobytes / 2**20:.1f} GiB"
    if len(fitting) == 1:
        return _fits(fitting[0], f"{what}; {size} fit its memory")
    if fitting:
        several = " and ".join(p.name for p in fitting)
        return Match(None, f"{several} fit equally: {what}, {size}")
    others = ", ".join(f"{p.name} with {p.memory.gb} GB" for p in named if p.memory)
    return Match(None, f"no profile has this memory: {what}; {size} are not those of {others}")


def _host(profiles: list[Profile], processor: str | None, gpu: str | None) -> Match:
    if processor is None:
        return Match(None, "neither a device tree of NVIDIA's nor a processor could be read")
    if processor not in ("x86-64", "x86_64", "AMD64", "aarch64", "arm64"):
        return Match(None, f"no profile is for a {processor} processor")
    name = "gpu-host" if gpu else "cpu-host"
    why = f"no Jetson: {processor}, {gpu or 'no NVIDIA GPU was found'}"
    found = next((profile for profile in profiles if profile.name == name), None)
    return _fits(found, why) if found else Match(None, f"{why}, and no profile is called {name}")


def _fits(profile: Profile, why: str) -> Match:
    return Match(profile.name, why, profile.verified, profile.supported)
