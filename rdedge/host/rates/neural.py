"""Critics that learn to tell pairs apart: lower bounds of the mutual information I(X; X^).

To measure with, rather than to train with. A critic is fitted to some pairs (fit) and judges others
(estimate); measure() does both, on parts that share no pair, so that a critic which learned its
pairs by heart gives a low figure and not a high one.

    InfoNce  cannot say more than log2 of the batch, varies little
    Mine     has no such ceiling, varies much where there is much to say
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rdedge.errors import ConfigError, ShapeError, TrainingError, ValueRangeError
from rdedge.host.rates.base import Batch, Bounds, RateTerm

# Of the pairs given to fit, the share that says after which step the critic was best.
_CHOOSING = 0.2
# How often that is looked at.
_LOOKS = 25
# Standardised values are cut here, so that a sample unlike those fitted on can't overflow.
_REACH = 1e3
# Beyond this, differences and squares would leave float32.
_LARGEST = 1e30
# The norm to which a step's gradient is cut.
_MAX_GRADIENT = 5.0

# Dimensions that InfoNce's critic embeds samples in.
_EMBEDDING = 64
# How often each x meets another's x_hat in Mine: while fitting, and when a figure is wanted.
_FIT_SHIFTS = 4
_SHIFTS = 64


@dataclass(frozen=True)
class Information:
    """What measure() found.

    bits: of one pair, estimated on held-out pairs. ceiling_bits: what the estimator can say at
    most, infinite where there is no such limit; bits within one bit of it say only "at least".
    fitted, held_out: pairs that the critic was fitted to, and pairs that it judged.
    """

    bits: float
    ceiling_bits: float
    fitted: int
    held_out: int


class NeuralRate(RateTerm):
    """What InfoNce and Mine share: a critic, its fit, and the change from nats to bits.

    The critic is made by fit, and frozen by it: gradients of estimate reach x_hat, and an optimiser
    that is handed this term's parameters finds none to lower the estimate with.

    hidden: units of each hidden layer of the critic.
    """

    bounds: Bounds = "lower"
    # Whether held-out pairs are judged all together, in place of by batches.
    _at_once: bool

    def __init__(self, hidden: int = 128) -> None:
        super().__init__()
        if hidden < 1:
            raise ConfigError(f"hidden is {hidden}", expected="1 or more")
        self.hidden = hidden
        self.critic: nn.Module | None = None

    def fit(
        self,
        x: Tensor,
        x_hat: Tensor,
        *,
        steps: int = 400,
        batch: int = 256,
        learning_rate: float = 1e-3,
        seed: int = 0,
    ) -> None:
        """Make a critic anew and train it on pairs.

        x, x_hat: (N, ...), any real dtype, standardised here by their own moments; a fifth of the
        pairs (where there are enough) chooses after which step the critic was best. steps: 1 or
        more, of Adam. batch: 2 or more pairs a step. The same seed, pairs and machine give the
        same critic; torch's global generator is left alone.

        Raises ConfigError (an option), ShapeError (pairs that don't match), ValueRangeError (not
        finite), TrainingError (the critic diverged).
        """
        _check_options(steps, batch, learning_rate)
        x, x_hat = _pairs(x.detach(), x_hat.detach())
        generator = torch.Generator(device="cpu").manual_seed(seed)
        order = torch.randperm(len(x), generator=generator).to(x.device)
        choosing = int(_CHOOSING * len(x))
        # Too few to hold some back: then the last step is as good as any.
        split = choosing if choosing >= 2 and len(x) - choosing >= 2 else 0
        chosen_by = (x[order[:split]], x_hat[order[:split]])
        x, x_hat = x[order[split:]], x_hat[order[split:]]
        critic = self._critic(x, x_hat, generator).to(x.device)
        self.critic = critic
        optimiser = torch.optim.Adam(critic.parameters(), learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        every = max(1, steps // _LOOKS)
        best, kept = -math.inf, None
        for step in range(1, steps + 1):
            rows = torch.randperm(len(x), generator=generator)[:batch].to(x.device)
            with torch.enable_grad():
                loss = self._loss(critic, x[rows], x_hat[rows])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(critic.parameters(), _MAX_GRADIENT)
            if not (torch.isfinite(loss) and torch.isfinite(norm)):
                self.critic = None
                raise TrainingError(
                    f"the critic diverged in step {step} at learning rate {learning_rate:g}",
                    do="choose a smaller learning rate",
                )
            optimiser.step()
            schedule.step()
            if split and (step % every == 0 or step == steps):
                with torch.no_grad():
                    value = self._held_out(critic, *chosen_by, batch)
                if value > best:
                    best, kept = value, copy.deepcopy(critic.state_dict())
        if kept is not None:
            critic.load_state_dict(kept)
        critic.requires_grad_(False)
        critic.zero_grad(set_to_none=True)

    def estimate(self, batch: Batch) -> Tensor:
        """Bits that x_hat tells of x, estimated on this batch; a scalar, differentiable in x_hat.

        Can be below zero where the critic is wrong about these pairs. Latents are not looked at.
        Raises ConfigError before fit, ShapeError for fewer than 2 samples or shapes that are not
        those fitted on, ValueRangeError for a value that is not finite.
        """
        if self.critic is None:
            raise ConfigError(
                f"{self.name} has no critic yet", expected="a fitted one", do="call fit first"
            )
        x, x_hat = _pairs(batch.x, batch.x_hat)
        sizes = self.critic.get_buffer("sizes").tolist()
        if [x.shape[1], x_hat.shape[1]] != sizes:
            raise ShapeError(
                f"samples have {x.shape[1]} and {x_hat.shape[1]} values",
                expected=f"{sizes[0]} and {sizes[1]}, which the critic was fitted on",
            )
        return self._nats(self.critic, x, x_hat) / math.log(2.0)

    @torch.no_grad()
    def measure(
        self,
        x: Tensor,
        x_hat: Tensor,
        *,
        held_out: float = 0.25,
        steps: int = 400,
        batch: int = 256,
        learning_rate: float = 1e-3,
        seed: int = 0,
    ) -> Information:
        """Fit to the first pairs and judge the last: bits of pairs that the critic never saw.

        x, x_hat: (N, ...). held_out: share of the pairs, from the end, that are judged; the order
        is kept, since neighbours in a recording are alike. Other options and errors: as for fit.
        """
        if not 0.0 < held_out < 1.0:
            raise ConfigError(f"held_out is {held_out}", expected="between 0 and 1")
        _check_options(steps, batch, learning_rate)
        x, x_hat = _pairs(x, x_hat)
        cut = len(x) - round(held_out * len(x))
        if cut < 2 or len(x) - cut < 2:
            raise ShapeError(
                f"{len(x)} pairs leave {cut} to fit and {len(x) - cut} to judge",
                expected="2 or more of each",
                do="give more pairs, or another held_out",
            )
        self.fit(
            x[:cut], x_hat[:cut], steps=steps, batch=batch, learning_rate=learning_rate, seed=seed
        )
        assert self.critic is not None
        generator = torch.Generator(device="cpu").manual_seed(seed)
        rows = cut + torch.randperm(len(x) - cut, generator=generator).to(x.device)
        nats = self._held_out(self.critic, x[rows], x_hat[rows], batch)
        ceiling = math.inf if self._at_once else math.log2(min(batch, len(rows)))
        return Information(nats / math.log(2.0), ceiling, cut, len(rows))

    def _critic(self, x: Tensor, x_hat: Tensor, generator: torch.Generator) -> nn.Module:
        """A new critic for samples like these, (N, A) and (N, B) float32."""
        raise NotImplementedError

    def _loss(self, critic: nn.Module, x: Tensor, x_hat: Tensor) -> Tensor:
        """What a step lowers."""
        return -self._nats(critic, x, x_hat)

    def _nats(self, critic: nn.Module, x: Tensor, x_hat: Tensor) -> Tensor:
        """The bound on this batch, a scalar."""
        raise NotImplementedError

    def _held_out(self, critic: nn.Module, x: Tensor, x_hat: Tensor, batch: int) -> float:
        """The bound on many pairs in random order, nats."""
        # Whole batches only: a smaller one would say less.
        size = len(x) if self._at_once else min(batch, len(x))
        starts = range(0, len(x) - size + 1, size)
        nats = [float(self._nats(critic, x[s : s + size], x_hat[s : s + size])) for s in starts]
        return math.fsum(nats) / len(nats)


class InfoNce(NeuralRate):
    """Which of N x_hat belongs to x? The better that can be told, the more one says of the other.

    I >= log N + E[f(x_i, x_hat_i) - log sum_j exp f(x_i, x_hat_j)], so never more than log N
    (A. van den Oord, Y. Li, O. Vinyals, arXiv 1807.03748, section 2.3). f is the inner product of
    two embeddings, and all N^2 pairs cost 2 N passes through a network.
    """

    name = "infonce"
    _at_once = False

    def _critic(self, x: Tensor, x_hat: Tensor, generator: torch.Generator) -> nn.Module:
        return _Separable(x, x_hat, self.hidden, generator)

    def _nats(self, critic: nn.Module, x: Tensor, x_hat: Tensor) -> Tensor:
        scores: Tensor = critic(x, x_hat)
        return math.log(len(x)) + torch.log_softmax(scores, dim=1).diagonal().mean()


class Mine(NeuralRate):
    """Pairs as they come against pairs put together at random.

    I >= E[T(x, x_hat)] - log E[exp T(x, x_hat')], with x_hat' of another sample (Donsker and
    Varadhan; M. I. Belghazi et al., arXiv 1801.04062, eq. 5). The mean of exp T is of samples, so
    on few pairs the figure is above the bound, and its spread grows exponentially with what there
    is to say. Adversarial in form: the critic raises what a model would lower.

    The gradient of the logarithm divides by a mean over one batch, which is biased; here it divides
    by a moving average of it (section 3.2 there). decay: of that average, in [0, 1).
    """

    name = "mine"
    # The more pairs in the logarithm, the less it lifts the figure.
    _at_once = True

    def __init__(self, hidden: int = 128, decay: float = 0.99) -> None:
        super().__init__(hidden)
        if not 0.0 <= decay < 1.0:
            raise ConfigError(f"decay is {decay}", expected="0 or more, and below 1")
        self.decay = decay
        self._log_average: Tensor | None = None

    def _critic(self, x: Tensor, x_hat: Tensor, generator: torch.Generator) -> nn.Module:
        self._log_average = None
        return _Concatenated(x, x_hat, self.hidden, generator)

    def _loss(self, critic: nn.Module, x: Tensor, x_hat: Tensor) -> Tensor:
        joint, log_mean = self._terms(critic, x, x_hat, _FIT_SHIFTS)
        now = log_mean.detach()
        if self._log_average is None or self.decay == 0.0:
            self._log_average = now
        else:
            self._log_average = torch.logaddexp(
                self._log_average + math.log(self.decay), now + math.log1p(-self.decay)
            )
        # Its gradient is that of the mean, over the average. Since the average holds this batch,
        # the quotient is at most 1 / (1 - decay) and can't overflow.
        return torch.exp(log_mean - self._log_average) - joint

    def _nats(self, critic: nn.Module, x: Tensor, x_hat: Tensor) -> Tensor:
        joint, log_mean = self._terms(critic, x, x_hat, _SHIFTS)
        return joint - log_mean

    def _terms(
        self, critic: nn.Module, x: Tensor, x_hat: Tensor, shifts: int
    ) -> tuple[Tensor, Tensor]:
        """Mean of T over pairs, and log mean of exp T over pairs shifted against each other."""
        shifts = min(shifts, len(x) - 1)
        scores: Tensor = critic(x, x_hat, shifts)
        others = scores[1:].flatten()
        return scores[0].mean(), torch.logsumexp(others, 0) - math.log(len(others))


class _Standardise(nn.Module):
    """(N, D) float32 -> (N, D) float32 of mean 0 and variance 1 on the samples it is made from."""

    mean: Tensor
    inverse: Tensor

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        mean, spread = x.double().mean(0), x.double().std(0, correction=0)
        # A value that is always the same tells nothing; its rounding errors must not be blown up.
        still = spread <= 1e-6 * mean.abs() + 1.0 / _LARGEST
        self.register_buffer("mean", mean.float())
        self.register_buffer("inverse", torch.where(still, 0.0, 1.0 / spread).float())

    def forward(self, x: Tensor) -> Tensor:
        return ((x - self.mean) * self.inverse).clamp(-_REACH, _REACH)


class _Separable(nn.Module):
    """(N, A), (N, B) -> (N, N): the inner product of each x's embedding with each x_hat's."""

    def __init__(self, x: Tensor, x_hat: Tensor, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("sizes", torch.tensor([x.shape[1], x_hat.shape[1]]))
        self.x = _embedder(x, hidden, generator)
        self.x_hat = _embedder(x_hat, hidden, generator)
        # Scores begin near zero, as if nothing were known.
        self.scale = _EMBEDDING**-0.5

    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        scores: Tensor = self.scale * (self.x(x) @ self.x_hat(x_hat).T)
        return scores


class _Concatenated(nn.Module):
    """(N, A), (N, B), S -> (1 + S, N): T of the pairs, and of x with the x_hat s places on."""

    def __init__(self, x: Tensor, x_hat: Tensor, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        a, b = x.shape[1], x_hat.shape[1]
        self.register_buffer("sizes", torch.tensor([a, b]))
        self.standard_x, self.standard_x_hat = _Standardise(x), _Standardise(x_hat)
        # The first layer on (x, x_hat) is the sum of a layer on each: shifted pairs share both.
        self.first_x = _linear(a, hidden, generator, fan_in=a + b)
        self.first_x_hat = _linear(b, hidden, generator, fan_in=a + b)
        self.rest = nn.Sequential(
            nn.ReLU(), _linear(hidden, hidden, generator), nn.ReLU(), _linear(hidden, 1, generator)
        )

    def forward(self, x: Tensor, x_hat: Tensor, shifts: int) -> Tensor:
        first = self.first_x(self.standard_x(x))
        second = self.first_x_hat(self.standard_x_hat(x_hat))
        rows = [self.rest(first + second.roll(-s, 0)).squeeze(-1) for s in range(shifts + 1)]
        return torch.stack(rows)


def _embedder(x: Tensor, hidden: int, generator: torch.Generator) -> nn.Module:
    return nn.Sequential(
        _Standardise(x),
        _linear(x.shape[1], hidden, generator),
        nn.ReLU(),
        _linear(hidden, hidden, generator),
        nn.ReLU(),
        _linear(hidden, _EMBEDDING, generator),
    )


def _linear(
    inputs: int, outputs: int, generator: torch.Generator, fan_in: int | None = None
) -> nn.Linear:
    """A layer that begins with this generator's numbers, and leaves the global one alone."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
    bound = (fan_in or inputs) ** -0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)
    return layer


def _pairs(x: Tensor, x_hat: Tensor) -> tuple[Tensor, Tensor]:
    """(N, ...), (N, ...) -> (N, A), (N, B) float32, looked at."""
    if x.ndim < 1 or x_hat.ndim < 1 or len(x) != len(x_hat):
        raise ShapeError(
            f"x is {tuple(x.shape)} and x_hat is {tuple(x_hat.shape)}",
            expected="as many samples of one as of the other, (N, ...)",
        )
    if len(x) < 2:
        raise ShapeError(
            f"{len(x)} pairs", expected="2 or more", do="a pair is judged against others: give more"
        )
    if not x.numel() or not x_hat.numel():
        raise ShapeError("samples hold no values", expected="one value or more")
    x, x_hat = x.reshape(len(x), -1).float(), x_hat.reshape(len(x_hat), -1).float()
    for name, values in (("x", x), ("x_hat", x_hat)):
        if not bool((values.abs() <= _LARGEST).all()):
            raise ValueRangeError(
                f"{name} holds a value that is not finite, or too large",
                expected=f"finite values, up to {_LARGEST:g}",
                do="fill or drop such samples first",
            )
    return x, x_hat


def _check_options(steps: int, batch: int, learning_rate: float) -> None:
    if steps < 1 or batch < 2:
        raise ConfigError(
            f"{steps} steps with a batch of {batch}",
            expected="1 step or more, and a batch of 2 or more",
            do="a pair is judged against others: enlarge the batch",
        )
    if not (math.isfinite(learning_rate) and learning_rate > 0.0):
        raise ConfigError(f"learning_rate is {learning_rate}", expected="above 0, and finite")
