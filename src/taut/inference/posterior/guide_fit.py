"""`GuideFit`: a fitted guide with the record of how its ELBO rose, whatever the method."""

from typing import Any, NamedTuple

import numpy as np

from taut.core import Estimate

__all__ = ["GuideFit", "Round"]


class Round(NamedTuple):
    """One round of optimization: a sample average maximised, or a stage of stochastic steps.

    Attributes:
        num_draws: draws K in each sample average.
        num_steps: gradient evaluations so far, those of the gain left out.
        in_sample: the maximum over the round's own draws, nats; an upper value in expectation; NaN for
            a stage of stochastic steps.
        bound: the ELBO of the round's guide on fresh draws, nats.
        bound_error: standard error.
        gain: of a sample average, mean over the replicates of what is still to be gained, nats; of a
            stage, what it gained.
        gain_error: standard error.
        seconds: since optimization began.
    """

    num_draws: int
    num_steps: int
    in_sample: float
    bound: float
    bound_error: float
    gain: float
    gain_error: float
    seconds: float

    @property
    def stochastic(self) -> bool:
        """Whether the round was a stage of stochastic steps (`averaged_sgd`)."""
        return bool(np.isnan(self.in_sample))


class GuideFit(NamedTuple):
    """A fitted guide.

    Attributes:
        guide: q(z), a member of its family.
        elbo: on fresh draws, nats; lower.
        remaining: what the family can still gain, nats; of sample averages at most, in expectation over
            draws (upper), of stages of steps as extrapolated (none).
        rounds: the record.
        converged: whether the stopping rule was met.
    """

    guide: Any
    elbo: Estimate
    remaining: Estimate
    rounds: tuple[Round, ...]
    converged: bool
