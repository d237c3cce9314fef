"""`Evaluations`: what one gradient of one datum costs, whatever the machine.

    model    how often log p(x, z) is evaluated at one z, its gradient included
    guide    how often log q(z | x) is evaluated at one z, its gradient included

A density that comes with a draw counts as one evaluation. The network behind the guide runs once for
the datum, whatever the counts. A bound's own estimator needs K of each; variance x cost is compared in
these units.
"""

from typing import NamedTuple

import jax

from taut.bounds import AbstractBound
from taut.core import AbstractProposal

__all__ = ["Evaluations", "density_apart", "num_draws"]


class Evaluations(NamedTuple):
    """Evaluations that one datum takes in one step.

    Attributes:
        model: of log p(x, z) at one z.
        guide: of log q(z | x) at one z.
    """

    model: int
    guide: int


def num_draws(bound: AbstractBound, q: AbstractProposal | None) -> int:
    """How many draws the mint makes: those of the bound, or as many as q fixes by itself."""
    if q is None:
        return bound.minted
    drawn = jax.eval_shape(lambda: q.draw(jax.random.key(0), bound.minted))
    return drawn.log_mass.shape[0]


def density_apart(bound: AbstractBound, q: AbstractProposal | None) -> Evaluations:
    """The cost where draws and density hold different parameters.

    A flow's draws bring log q at the parameters that drew them; at others it is evaluated again.
    """
    draws = num_draws(bound, q)
    brought = q is not None and _draws_bring_density(q)
    return Evaluations(model=draws, guide=2 * draws if brought else draws)


def _draws_bring_density(q: AbstractProposal) -> bool:
    return jax.eval_shape(lambda: q.draw(jax.random.key(0), 1)).terms is not None
