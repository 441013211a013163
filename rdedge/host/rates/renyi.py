"""Matrix-based Renyi entropies: bits from Gram matrices, without a density.

With a kernel that is infinitely divisible and K_ii = 1, the Gram matrix of N samples over its trace
is a matrix A of non-negative eigenvalues that add up to 1, and

    S_alpha(A) = 1 / (1 - alpha) log2 tr(A^alpha)                                               (1)
    S_alpha(A, B) = S_alpha(A o B / tr(A o B)),   o: the Hadamard product                       (2)
    S_alpha(A | B) = S_alpha(A, B) - S_alpha(B)                                                 (3)
    I_alpha(A; B) = S_alpha(A) + S_alpha(B) - S_alpha(A, B)                                     (4)

behave much as entropies do: (1) is from 0 (all samples alike) to log2 N (none like another), and
(2) not below (1) of either part (L. G. Sanchez Giraldo, M. Rao, J. C. Principe, arXiv 1211.2459).
But for alpha well above 1, 2 among them, (4) can be a little below 0, where kernels are wide and
samples that are near in one are far in the other. They are functionals of the samples: no estimate
of the entropy of a density, hence no bound of any rate, and none can exceed log2 N. arXiv 1312.7381
trains auto-encoders on them: to maximise S(X | X^) is to minimise I(X; X^), since S(X) does not
depend on the model.
"""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from torch import Tensor

from rdedge.errors import ConfigError, ShapeError, ValueRangeError
from rdedge.host.rates.base import Batch, Bounds, RateTerm

# A width: a number, in the units of the samples, or a rule with or without a factor: "0.5 median".
Width = float | str
RULES = ("half", "median", "silverman")
_WIDEST = 1e60
_RULE = re.compile(r"\s*([0-9.eE+-]+)?\s*\*?\s*([a-z]+)\s*")
# Squared distances below this share of the largest are those of twins, up to rounding.
_TWINS = 1e-7
# The width by halves: rows that it is found on, around the median, by powers of 2, so often halved.
_ROWS, _OCTAVES, _BISECTIONS = 64, 12.0, 12
# Nearer to 1 than this, 1 - alpha is lost in the logarithm of (1): the limit is the same.
_LIMIT = 1e-8
# Above this distance from 1 the sum of powers is taken by logarithms, so that none vanishes.
_FAR = 0.5
_NEAR = 0.1


def squared_distances(x: Tensor) -> Tensor:
    """x: (N, ...) float -> (N, N), zero on the diagonal, never negative."""
    flat = x.flatten(1)
    # Of samples around a mean far from zero the products would swallow the differences.
    flat = flat - flat.detach().mean(dim=0)
    squares = flat.square().sum(dim=1)
    distances = squares[:, None] + squares[None, :] - 2.0 * (flat @ flat.T)
    off = 1.0 - torch.eye(len(flat), dtype=flat.dtype, device=flat.device)
    return distances.clamp_min(0.0) * off


def parse_width(width: Width) -> tuple[float, str | None]:
    """(factor, rule), or (width, None). Raises ConfigError for what is neither.

    half: where S_2 of the batch is half of the log2 N that it can be, so that samples are neither
    all alike nor all apart, in two dimensions as in a thousand. median: the median distance
    between two different samples of the batch. silverman: s (4 / (N (D + 2)))^(1 / (D + 4)), s^2
    the mean variance of the D elements (B. W. Silverman, 1986); in many dimensions it is far below
    any distance, and every sample stands alone.
    """
    factor, rule = 1.0, None
    if isinstance(width, str):
        found = _RULE.fullmatch(width)
        try:
            if found and found[2] in RULES:
                factor, rule = float(found[1] or 1.0), found[2]
            else:
                factor = float(width)
        except ValueError:
            factor = math.nan
    elif isinstance(width, int | float) and not isinstance(width, bool):
        factor = float(width)
    else:
        factor = math.nan
    if not 1.0 / _WIDEST <= factor <= _WIDEST:
        raise ConfigError(
            f"a kernel width of {width!r}",
            expected=f"a number from {1.0 / _WIDEST:g} to {_WIDEST:g}, {', '.join(RULES)}, or a "
            "factor before one of these: '0.5 median'",
        )
    return factor, rule


def kernel_width(x: Tensor, width: Width) -> float:
    """The width of a Gaussian kernel for samples (N, ...), in their units; never differentiated.

    0 where a rule finds all samples alike: gram() then takes the limit.
    """
    return _width(x, squared_distances(x.double()), width)


@torch.no_grad()
def _width(x: Tensor, distances: Tensor, width: Width) -> float:
    """The same, of samples whose squared distances (N, N) are known."""
    factor, rule = parse_width(width)
    if rule is None:
        return factor
    n, d = len(x), x[0].numel()
    if rule == "silverman":
        spread = math.sqrt(float(x.flatten(1).double().var(dim=0, unbiased=False).mean()))
        shrink: float = (4.0 / (n * (d + 2))) ** (1.0 / (d + 4))
        return factor * spread * shrink
    pairs = distances[torch.triu_indices(n, n, 1).unbind()]
    # Twins say nothing about scale, and where half of all pairs are twins the median would be 0.
    apart = pairs[pairs > _TWINS * distances.max()]
    median = math.sqrt(float(apart.median())) if apart.numel() else 0.0
    return factor * (median if rule == "median" else _half_width(distances, median))


def _half_width(squares: Tensor, median: float) -> float:
    """The width at which the mean of K^2, which is 2^-S_2, is 1 / sqrt(N): by bisection, on evenly
    spaced rows. squares: (N, N) squared distances; median: a distance to start from, or 0.
    """
    n = len(squares)
    if median == 0.0:
        return 0.0
    rows = squares[:: max(1, n // _ROWS)] / median / median
    low, high = -_OCTAVES, _OCTAVES
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if float(torch.exp(-rows * 4.0**-middle).mean()) > n**-0.5:
            high = middle
        else:
            low = middle
    return median * math.pow(2.0, 0.5 * (low + high))


def gram(x: Tensor, width: Width) -> Tensor:
    """The Gram matrix of samples (N, ...) float with the Gaussian kernel
    exp(-|x_i - x_j|^2 / (2 width^2)), over its trace: (N, N).

    A rule's width of 0 is taken as the limit: 1 for equal samples, 0 for others. Raises ShapeError
    without samples, ValueRangeError where a value is not finite.
    """
    return _gram(x, width)[0]


def _gram(x: Tensor, width: Width) -> tuple[Tensor, float]:
    """The Gram matrix, and the width that it was made with."""
    if x.ndim < 1 or len(x) == 0 or x.numel() == 0:
        raise ShapeError(
            f"a batch of shape {tuple(x.shape)}", expected="at least one sample of one element"
        )
    if not bool(torch.isfinite(x.detach()).all()):
        raise ValueRangeError("a batch with values that are not finite", expected="finite values")
    # In float32 the squares of values, and of widths, beyond 1e19 or below 1e-19 are lost.
    distances = squared_distances(x.double())
    sigma = _width(x, distances, width)
    if sigma == 0.0:
        # A constant, but still a part of the graph.
        kernel = (distances == 0.0).double() + 0.0 * distances
    else:
        kernel = torch.exp(-0.5 * (distances / sigma / sigma).clamp_max(1e30))
    return kernel.to(x.dtype) / len(x), sigma


def _refuse_order(alpha: float) -> None:
    number = isinstance(alpha, int | float) and not isinstance(alpha, bool)
    if not (number and math.isfinite(alpha) and alpha > 0.0):
        raise ConfigError(f"an order alpha of {alpha!r}", expected="a positive number")


def entropy(a: Tensor, alpha: float) -> Tensor:
    """S_alpha of a / tr(a), equation (1), in bits: between 0 and log2 N; a scalar, differentiable.

    a: (N, N) float, symmetric, no negative eigenvalue. alpha: any positive number; at 1 the limit,
    von Neumann's entropy -sum p log2 p of the eigenvalues p. At 2 no eigenvalue is computed:
    tr(A^2) is the squared Frobenius norm. Elsewhere the gradient is V f(p) V^T, which repeated
    eigenvalues leave well defined; for one that has vanished f is taken at the least that can be
    told from 0, and for alpha below 0.9, where that is steep, as 0.
    """
    _refuse_order(alpha)
    if a.ndim != 2 or a.shape[0] != a.shape[1] or not a.numel():
        raise ShapeError(f"a Gram matrix of shape {tuple(a.shape)}", expected="(N, N)")
    if alpha == 2.0:
        trace = a.diagonal().sum()
        # Rounding alone could bring it below 0.
        return (2.0 * torch.log2(trace) - torch.log2(a.square().sum())).clamp_min(0.0)
    bits: Tensor = _Spectral.apply(a, float(alpha))  # type: ignore[no-untyped-call]
    return bits


class _Spectral(torch.autograd.Function):
    """S_alpha from eigenvalues, with its gradient as a function of the matrix."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, alpha: float) -> Tensor:
        needed = ctx.needs_input_grad[0]
        if needed:
            values, vectors = torch.linalg.eigh(a)
        else:
            values = torch.linalg.eigvalsh(a)
        trace = a.diagonal().sum()
        p = values / trace
        # What rounding alone leaves of a zero.
        least = len(p) * torch.finfo(p.dtype).eps
        there = p > least
        logs = torch.log(torch.where(there, p, 1.0))
        order = alpha - 1.0
        if abs(order) < _LIMIT:
            nats = -(p * logs).sum()
            slope, floor = -(logs + nats), -(math.log(least) + nats)
        else:
            if abs(order) > _FAR:
                log_sum = torch.logsumexp(torch.where(there, alpha * logs, -math.inf), 0)
            else:
                # The sum of p^alpha less the sum of p: exact where alpha is all but 1.
                rest = torch.where(there, p * torch.expm1(order * logs), 0.0).sum()
                log_sum = torch.log1p(rest)
            nats = -log_sum / order
            slope = -alpha / order * torch.expm1(order * logs - log_sum)
            floor = -alpha / order * torch.expm1(order * math.log(least) - log_sum)
        if needed:
            # A vanished eigenvalue has the slope of the least that is told from 0: the limit at 0
            # grows without end as alpha comes near 1, and would blow up what rounding leaves. Well
            # below 1 even that one is too steep.
            slope = torch.where(there, slope, floor if order > -_NEAR else 0.0)
            scale = 1.0 / (trace * math.log(2.0))
            ctx.save_for_backward(vectors, slope * scale)
        bits: Tensor = nats.clamp_min(0.0) / math.log(2.0)
        return bits

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        vectors, slope = ctx.saved_tensors
        return grad * ((vectors * slope) @ vectors.T), None


def _joint(a: Tensor, b: Tensor) -> Tensor:
    if a.shape != b.shape:
        raise ShapeError(
            f"Gram matrices of {len(a)} and {len(b)} samples", expected="the same samples"
        )
    # Over N each, so the product's trace is 1 / N; entropy() divides by it.
    return a * b


def joint_entropy(a: Tensor, b: Tensor, alpha: float) -> Tensor:
    """S_alpha(A, B), equation (2), in bits. a, b: (N, N), of the same N samples, in one order."""
    return entropy(_joint(a, b), alpha)


def conditional_entropy(a: Tensor, b: Tensor, alpha: float) -> Tensor:
    """S_alpha(A | B), equation (3), in bits: what is left to know of A once B is known."""
    return joint_entropy(a, b, alpha) - entropy(b, alpha)


def mutual_information(a: Tensor, b: Tensor, alpha: float) -> Tensor:
    """I_alpha(A; B), equation (4), in bits."""
    return entropy(a, alpha) + entropy(b, alpha) - joint_entropy(a, b, alpha)


class MatrixRate(RateTerm):
    """I_alpha(X; X^) of a batch: the rate of arXiv 1312.7381, at most log2 of the batch.

    alpha: order. width: of the kernel of the input; output_width: of the output's, `input`: the
    same number, since both have the same units. A rule is applied to each batch anew.
    """

    name = "renyi"
    bounds: Bounds = "neither"

    def __init__(
        self, alpha: float = 2.0, width: Width = "half", output_width: Width = "input"
    ) -> None:
        super().__init__()
        _refuse_order(alpha)
        for given in (width, output_width) if output_width != "input" else (width,):
            parse_width(given)
        self.alpha, self.width, self.output_width = float(alpha), width, output_width

    def estimate(self, batch: Batch) -> Tensor:
        x, x_hat = batch.x, batch.x_hat
        if self.alpha != 2.0:
            # Eigenvalues of float32 matrices are lost below 1e-5 of the largest.
            x, x_hat = x.double(), x_hat.double()
        a, sigma = _gram(x, self.width)
        # A batch whose samples are all alike: the limit, by the rule itself.
        same: Width = sigma or self.width
        b = gram(x_hat, same if self.output_width == "input" else self.output_width)
        return mutual_information(a, b, self.alpha)
