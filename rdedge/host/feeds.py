"""Samples as tensors: what training takes its batches from, and what it looks at in between."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from rdedge.codec.preprocess import enlarge, fill_missing, to_network
from rdedge.host.datasets import Samples
from rdedge.host.options import TrainingOptions
from rdedge.types import Array, SampleSpec

# Crops of images that training looks at, pixels of a side; as many an epoch as cover the images.
CROP = 128
# What is measured after every few batches.
_VALIDATION_SAMPLES = 1024
_VALIDATION_PIXELS = 1 << 20
_VALIDATION_CROP = 256


class Feed:
    """Training samples. Images are cut into crops, at places and flipped as chance has it; the
    chance follows from the generator alone.

    row_shape: elements that one row of latents stands for. x: all samples, None for images.
    """

    def __init__(
        self,
        samples: Samples,
        spec: SampleSpec,
        options: TrainingOptions,
        patch: int,
        device: torch.device,
    ) -> None:
        self.spec, self.device, self.shift = spec, device, options.augment == "shift"
        self.present: Tensor | None = None
        self.x: Tensor | None = None
        self.count: int
        self.row_shape = spec.shape
        if spec.kind == "image":
            self.row_shape = (patch, patch, spec.shape[2])
            smallest = min(min(x.shape[1:3]) for x in samples)
            self.crop = max(patch, min(CROP, smallest // patch * patch))
            self.images = [
                enlarge(x, patch) if min(x.shape[1:3]) < self.crop else x for x in samples
            ]
            area = sum(x.shape[1] * x.shape[2] for x in self.images)
            self.count = max(len(self.images), area // self.crop**2)
            return
        (x,) = samples
        if spec.kind == "series":
            x, missing = fill_missing(x)
            if missing is not None:
                self.present = torch.from_numpy((~missing).astype(np.float32)).to(device)
        self.x = torch.from_numpy(to_network(x)).to(device)
        self.count = len(x)

    def __len__(self) -> int:
        return self.count

    def take(self, which: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """The samples (n, *shape) float32 of these numbers, and 1 where a value is present; None:
        everywhere.
        """
        if self.spec.kind == "image":
            return self._crops(which, generator), None
        assert self.x is not None
        which = which.to(self.device)
        x = self.x[which]
        if self.shift:
            x = _shifted(x, generator)
        return x, None if self.present is None else self.present[which]

    def _crops(self, which: Tensor, generator: torch.Generator) -> Tensor:
        chances = torch.rand((len(which), 4), generator=generator).tolist()
        crops = []
        for number, (down, right, flip, mirror) in zip(which.tolist(), chances, strict=True):
            image = self.images[number % len(self.images)][0]
            top = int(down * (image.shape[0] - self.crop + 1))
            left = int(right * (image.shape[1] - self.crop + 1))
            crop = image[top : top + self.crop, left : left + self.crop]
            crop = crop[::-1] if flip < 0.5 else crop
            crops.append(crop[:, ::-1] if mirror < 0.5 else crop)
        return torch.from_numpy(to_network(np.ascontiguousarray(np.stack(crops)))).to(self.device)


def view(
    samples: Samples, spec: SampleSpec, patch: int, device: torch.device
) -> tuple[Array, Tensor]:
    """Samples to measure on while training: (n, *shape) as they are, and as the network wants them.

    Of images the middles, all of one size.
    """
    if spec.kind != "image":
        raw = samples[0][:_VALIDATION_SAMPLES]
        filled = fill_missing(raw)[0] if spec.kind == "series" else raw
        return raw, torch.from_numpy(to_network(filled)).to(device)
    sides = [min(_VALIDATION_CROP, *(x.shape[a] for x in samples)) // patch * patch for a in (1, 2)]
    height, width = (max(patch, side) for side in sides)
    most = max(1, _VALIDATION_PIXELS // (height * width))
    some = np.unique(np.linspace(0, len(samples) - 1, min(most, len(samples))).astype(int))
    middles = []
    for i in some:
        x = enlarge(samples[i], patch)
        top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
        middles.append(x[:, top : top + height, left : left + width])
    raw = np.ascontiguousarray(np.concatenate(middles))
    return raw, torch.from_numpy(to_network(raw)).to(device)


def _shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """x: (N, H, W), all moved alike by -1, 0 or 1 pixel each way; what enters repeats the edge."""
    down, right = torch.randint(0, 3, (2,), generator=generator).tolist()
    padded = nn.functional.pad(x[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    height, width = x.shape[1:]
    return padded[:, down : down + height, right : right + width]
