"""A guide over a finite support that leaves nothing to chance: every outcome of each row's proposal.

E_q[f] = sum_z q(z | x) f(z),        log p(x) = log sum_z p(x, z)
"""

from typing import Any

import equinox as eqx
import jax

from taut.core import AbstractDiscreteProposal, Datum, Enumerated, as_proposal

__all__ = ["EveryOutcome", "every_outcome"]

_MOST = 1024  # outcomes, whose latents are held at once beside what a decoder makes of them


class EveryOutcome(eqx.Module):
    """The outcomes of another guide, each with its mass.

    Attributes:
        guide: whose proposals are discrete.
    """

    guide: Any

    def __call__(self, datum: Datum) -> Enumerated:
        q: Any = as_proposal(self.guide(datum))
        return q.enumerated(most=_MOST)


def every_outcome(guide: Any, rows: Datum, most: int = _MOST) -> EveryOutcome | None:
    """The guide with every outcome in place of draws; None where they are more, or not discrete.

    Arguments:
        guide: q(z | x).
        rows: a batched datum.
        most: outcomes, of which at most 1024 are taken.
    """
    example = jax.tree.map(lambda leaf: leaf[0], rows)
    count: int | None = eqx.filter_eval_shape(_outcomes, guide, example)
    return None if count is None or count > min(most, _MOST) else EveryOutcome(guide)


def _outcomes(guide: Any, datum: Datum) -> int | None:
    q = as_proposal(guide(datum))
    return q.num_outcomes if isinstance(q, AbstractDiscreteProposal) else None
