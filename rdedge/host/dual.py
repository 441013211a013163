"""The multiplier between rate and distortion, which epoch was best, and when to stop.

    min over model of  R + mu * (D / V - 1),   mu by dual ascent on log mu

mu rises while validation is worse than what is aimed at and falls while it is better.
"""

from __future__ import annotations

import math

from rdedge.host.options import State, TrainingOptions
from rdedge.host.rates.objective import WITH_PRIOR
from rdedge.types import Bound

_RATE, _CLIP = 0.1, 0.5
_RANGE = (-12.0, 12.0)
# Of the squared error, without an entropy model in the objective; the rest is the quantiser's.
_MODELS_SHARE = 0.5
# The multiplier has run away where it has grown by this factor (a logarithm), the distortion is
# this far beyond the bound, and has not come a hundredth nearer for so many epochs.
_RUNAWAY, _BEYOND, _STALLED = 4.0, 1.1, 5


class Dual:
    """Steers one training; all that changes is in State.

    first: the logarithm of the multiplier to start from, and the slope of the rate in ln D at high
    rate. trades: whether there is a rate that distortion is traded for; without one the multiplier
    stays.
    """

    def __init__(self, bound: Bound, options: TrainingOptions, first: float) -> None:
        self.bound, self.options, self.first = bound, options, first
        self.trades = options.rate != "none"
        self.share = _MODELS_SHARE if options.rate == "renyi" else 1.0
        # The excess of these is a ratio of errors, of the others that of squared ones.
        self.linear = bound.metric in ("mae", "max-abs")
        self.hard_from = round(options.epochs * (1.0 - options.hard_share))

    def beyond(self, distortion: float) -> float:
        """How far a measured distortion lies beyond the bound: 1 is just met, less is better."""
        if self.bound.metric == "psnr":
            # A ratio of squared errors, whatever the metric makes of them; never beyond floats.
            return float(10.0 ** (min(self.bound.value - distortion, 300.0) / 10.0))
        ratio = distortion / self.bound.value
        return min(ratio, 1e100) ** 2 if self.bound.metric == "nrmse" else ratio

    def excess(self, distortion: float) -> float:
        """The same, beyond what training aims at: the bound, but for a rate that knows nothing of
        the quantiser and would leave it nothing to spend.
        """
        share = math.sqrt(self.share) if self.linear else self.share
        return self.beyond(distortion) / share

    def ascend(self, state: State, distortion: float) -> None:
        """Move the multiplier."""
        gap = max(-_CLIP, min(_CLIP, self.excess(distortion) - 1.0))
        low, high = _RANGE
        state.log_multiplier = max(low, min(high, state.log_multiplier + _RATE * gap))

    def is_best(self, state: State, rate: float, distortion: float) -> bool:
        """Whether the epoch that ends has the lowest rate so far, corrected to the bound.

        In coded bits by the slope of high rate: the multiplier of the moment is still under way,
        and would measure each epoch by another slope. How the matrix functional falls with the
        distortion nobody knows, so there it is the multiplier.
        """
        excess = self.excess(distortion)
        if self.options.rate in WITH_PRIOR:
            nats = math.log(max(excess, 1e-9))
            score = rate + math.exp(self.first) * nats * (2.0 if self.linear else 1.0)
        else:
            score = rate + math.exp(state.log_multiplier) * (excess - 1.0)
        if state.epoch == self.hard_from and state.phase_start < self.hard_from:
            state.phase_start, state.best_score = self.hard_from, math.inf
        if score >= state.best_score:
            return False
        state.best_score, state.best_epoch = score, state.epoch
        return True

    def runs_away(self, state: State, distortion: float) -> bool:
        """Whether the multiplier grows and grows, and the distortion does not follow. Said in the
        scorecard; the phase ends, and a finer step may still meet the bound.
        """
        beyond = self.beyond(distortion)
        if beyond < 0.99 * state.least_excess:
            state.least_excess, state.stalled = beyond, 0
        else:
            state.stalled += 1
        grown = state.log_multiplier - self.first
        ran = grown > _RUNAWAY and beyond > _BEYOND and state.stalled >= _STALLED
        if ran:
            state.diverged, state.stalled = state.diverged or state.epoch, 0
        return ran

    def end_epoch(self, state: State, ran_away: bool) -> None:
        """Go to the next phase, or finish, where this one gets no further or time is up."""
        options = self.options
        patience = max(3, round(options.patience * options.epochs))
        stale = ran_away or state.epoch - 1 - max(state.best_epoch, state.phase_start) >= patience
        late = options.minutes is not None and state.seconds > options.minutes * 60.0
        if state.epoch < self.hard_from:
            share = 1.0 - options.hard_share
            half_time = options.minutes is not None and (
                state.seconds > options.minutes * 60.0 * share
            )
            if stale or half_time:
                state.epoch = self.hard_from
        elif late or (stale and state.phase_start >= self.hard_from):
            # An epoch of the soft phase that was its last cannot end the hard one.
            state.finished = True
