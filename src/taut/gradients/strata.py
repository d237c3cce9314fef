"""What estimators ask of a bound where the guide enumerates a class.

    ELBO         sum_c q(c) E[log w_c]                     each class counts by its mass q(c)
    IWAE, Renyi  log sum_c q(c) w_c,   w_c = p_c / q(c)    the masses cancel

The second leaves q(c) as it was initialised, so a guide with classes is trained by the first alone.
"""

from taut.bounds import ELBO, AbstractBound
from taut.core import AbstractProposal, InputError, option

__all__ = ["require_masses"]


def require_masses(bound: AbstractBound, q: AbstractProposal) -> None:
    """Refuse a bound in which the masses of an enumerated class cancel.

    Raises:
        InputError: the guide has strata, and the bound is not the ELBO.
    """
    if q.strata > 1 and not isinstance(bound, ELBO):
        raise InputError(
            "the ELBO, where each class that the guide enumerates counts by its mass",
            f"the bound '{bound.name}'",
            f"{option('bound', 'elbo')} with {option('gradient', 'reparameterized')}",
            where="gradient",
        )
