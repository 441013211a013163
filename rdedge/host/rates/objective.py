"""What training minimises beside the distortion, by its name."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rdedge.host.rates.base import Batch
from rdedge.host.rates.priors import Prior
from rdedge.host.rates.renyi import MatrixRate, Width, parse_width

# entropy: the learned entropy model. renyi: the matrix functional. both: their sum. none: the
# distortion alone, a plain auto-encoder (with noise on its input, a denoising one).
RATES = ("entropy", "renyi", "both", "none")
WITH_PRIOR, WITH_MATRIX = ("entropy", "both"), ("renyi", "both")
# Rows of latents of pictures that one Gram matrix is made of.
_MOST_PATCHES = 512


class Objective(nn.Module):
    """Bits of a sample, as training sees them.

    prior: the model's own; where it is not part of the objective it is fitted to the latents all
    the same, without a word to the model, because tables are smoothed with it. patch: pixels of a
    side where samples are pictures, whose patches are then what is compared, else 1.
    """

    def __init__(self, rate: str, prior: Prior, patch: int, alpha: float, width: Width) -> None:
        super().__init__()
        assert rate in RATES
        self.rate, self.prior, self.patch = rate, prior, patch
        self.matrix = None
        if rate in WITH_MATRIX:
            self.matrix = MatrixRate(alpha, *input_and_output(width))

    @property
    def quantised(self) -> bool:
        """Whether the decoder is trained on noisy latents: a plain auto-encoder knows of none."""
        return self.rate != "none"

    def loss(self, batch: Batch) -> Tensor:
        """Bits of a sample to descend on, a scalar. batch.y: with noise in place of rounding."""
        if self.rate == "entropy":
            return self.prior.estimate(batch)
        # Its value is left out again: only its gradient is wanted, and only by its own parameters.
        alone = Batch(batch.x, batch.y.detach(), batch.x_hat)
        fitted = self.prior.estimate(alone if self.rate != "both" else batch)
        if self.matrix is None:
            return fitted - fitted.detach()
        if self.rate == "renyi":
            fitted = fitted - fitted.detach()
        return fitted + self._matrix(batch)

    @torch.no_grad()
    def bits(self, batch: Batch, size: int) -> float:
        """The estimate that a person follows, for rounded latents: of the objective's own terms.

        size: samples of one Gram matrix, as in training; what the functional can reach is log2 of
        it, and it is averaged over as many as there are.
        """
        found = 0.0
        if self.rate in WITH_PRIOR:
            found += float(self.prior.estimate(batch))
        if self.matrix is not None:
            count = max(1, len(batch.x) // size)
            parts = (torch.tensor_split(v, count) for v in (batch.x, batch.y, batch.x_hat))
            each = [float(self._matrix(Batch(*part))) for part in zip(*parts, strict=True)]
            found += sum(each) / count
        return found

    def _matrix(self, batch: Batch) -> Tensor:
        """Of windows and vectors; of pictures that of a patch times the patches of a picture."""
        assert self.matrix is not None
        if self.patch == 1:
            return self.matrix.estimate(batch)
        x, x_hat = (_patches(v, self.patch) for v in (batch.x, batch.x_hat))
        each = len(x) / len(batch.x)
        some = torch.linspace(0, len(x) - 1, min(len(x), _MOST_PATCHES)).long().to(x.device)
        return each * self.matrix.estimate(Batch(x[some], batch.y, x_hat[some]))


def input_and_output(width: Width) -> tuple[Width, Width]:
    """The widths of the kernels of input and output: "half, 2 median" has one for each; of one, the
    output's is the same number as the input's. Raises ConfigError for what is no width.
    """
    own, comma, of_output = width.partition(",") if isinstance(width, str) else (width, "", "")
    parse_width(own)
    if not comma:
        return own, "input"
    parse_width(of_output)
    return own, of_output


def _patches(x: Tensor, side: int) -> Tensor:
    """(N, H, W, C) -> (N * H / side * W / side, side, side, C)."""
    n, height, width, channels = x.shape
    cut = x.reshape(n, height // side, side, width // side, side, channels).transpose(2, 3)
    return cut.reshape(-1, side, side, channels)
