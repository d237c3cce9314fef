"""Evidence by naive Monte Carlo from the prior.

    p(x) ~ (1/K) sum_k p(x | z_k),        z_k ~ p(z)

Unbiased for p(x), and a lower bound in expectation after the logarithm. Its relative variance is
chi^2(posterior to prior) / K, which is at least (exp KL(posterior to prior) - 1) / K: it fails where
posterior and prior part, by a number of draws exponential in the nats between them.
"""

from jaxtyping import PRNGKeyArray

from taut.core import AbstractPair, Datum, InputError
from taut.evidence.importance import Evidence, weigh
from taut.guides import PriorGuide
from taut.models import ChainModel

__all__ = ["naive_monte_carlo"]


def naive_monte_carlo(
    pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray, num_particles: int = 5000
) -> Evidence:
    """Log-evidence of each row from draws of the prior.

    Arguments:
        pair: model and guide; the guide is not used.
        rows: a batched datum.
        key: random key.
        num_particles: K, draws per row.

    Raises:
        InputError: the model cannot draw from its prior, or draws a path and not one latent; fewer than
            two particles.
    """
    model, _ = pair.bind()
    if isinstance(model, ChainModel):
        raise InputError(
            "a model of one latent, which the prior draws",
            "a chain of layers, whose number is its own log-weight", "importance sampling",
            where="monte-carlo",
        )  # fmt: skip
    return weigh(model, PriorGuide(model), rows, key=key, num_particles=num_particles)
