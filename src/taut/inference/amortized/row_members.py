"""The member of the guide's own family that is best for each row, found from the encoder's answer.

    q_i = argmax over the family of E_q log w of row i

of mean-field and full-rank Gaussians by natural gradients on draws that are fixed and balanced
(`taut.inference.posterior.natural_gradient`), of few discrete units by sums over their outcomes
(`finite_members`), of other families by steps in the features that name their members
(`climbed_features`). What the encoder loses against it is its amortization gap; what it loses itself
against log p(x) is the approximation gap of the family (Cremer, Li and Duvenaud 2018). An ascent that
has not met its tolerance, and the fixed draws, leave a member below the best: its ELBO at other draws is
one of the family's, never more than the best one's.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from taut.core import (
    AbstractDiscreteProposal,
    AbstractModel,
    AbstractProposal,
    Datum,
    DistributionProposal,
    InputError,
    as_proposal,
)
from taut.core.compiling import even_jit
from taut.evidence.importance import proposal_of
from taut.guides import FeatureGuide, FullRankGaussian, MeanFieldGaussian, PerDatumGuide
from taut.inference.amortized.climbed_features import climbed_features
from taut.inference.amortized.finite_members import finite_members, is_finite
from taut.inference.amortized.row_gaussians import (
    RowGaussians,
    check_refinable,
    climbed,
    fixed_draws,
    kept_members,
)

__all__ = ["row_members"]

_LEAST_DRAWS = 256  # with fewer, a member fits the draws: two scales for each of 50 latents


def row_members(
    model: AbstractModel, guide: Any, rows: Datum, *, key: PRNGKeyArray
) -> RowGaussians:
    """Find the best member for each row.

    Arguments:
        model: p(x, z).
        guide: q(z | x), where the ascents start.
        rows: batched, with an index.
        key: of all draws.

    Raises:
        InputError: a guide that is no Gaussian over a vector of free real numbers, nor of few discrete
            units, and either names no member of a family by features or has draws that are not
            differentiable in them; rows without an index, or one index twice.
    """
    if is_finite(guide, rows):
        return finite_members(model, guide, rows)
    q = proposal_of(guide, rows)
    if isinstance(q, AbstractDiscreteProposal):
        raise InputError(
            "one layer of discrete units with at most 1,024 outcomes, over all of which the search for "
            "the best member sums", "two layers, or more outcomes", "fewer latents", where="guide",
        )  # fmt: skip
    try:
        dim, diagonal = check_refinable(model, guide, rows), _is_diagonal(q)
    except InputError:
        if not (isinstance(guide, FeatureGuide) and q.reparameterized):
            raise
        return climbed_features(model, guide, rows, key=key)
    buffer, num_draws = fixed_draws(key, dim, 2 * dim * math.ceil(_LEAST_DRAWS / (2 * dim)))

    def found(block: Datum, numbers: Any, _: Any) -> Any:
        return _found(model, guide, block, buffer, num_draws, diagonal)

    features, converged = kept_members(found, rows)
    family = MeanFieldGaussian(dim) if diagonal else FullRankGaussian(dim)
    return RowGaussians(PerDatumGuide.start(family, rows, features=features), converged)


def _is_diagonal(q: AbstractProposal) -> bool:
    """Whether the family is the mean-field one; it is the full-rank one otherwise."""
    if isinstance(q, DistributionProposal):
        inside: Any = getattr(q.distribution, "base_dist", None)
        if isinstance(inside, dist.Normal):
            return True
        if isinstance(q.distribution, dist.MultivariateNormal):
            return False
    raise InputError(
        "a guide whose best member for a row can be found: a Gaussian, or one of a family whose members "
        "its features name", "another one", "the whole gap of its ELBO", where="guide",
    )  # fmt: skip


@even_jit
def _found(
    model: AbstractModel,
    guide: Any,
    block: Datum,
    chunks: Float[Array, "C W d"],
    num_draws: int,
    diagonal: bool,
) -> tuple[Float[Array, "B F"], Bool[Array, " B"]]:
    """Features of the members, and whether each ascent converged."""

    def log_joint(z: Float[Array, " d"], datum: Datum) -> Float[Array, ""]:
        return model.log_joint(datum, z)

    def one(datum: Datum) -> tuple[Array, Array]:
        q: Any = as_proposal(guide(datum))
        start: Any = q.distribution
        mean = jnp.asarray(start.mean)
        tril = jnp.diag(jnp.sqrt(start.variance)) if diagonal else start.scale_tril
        end = climbed(log_joint, datum, mean, tril, chunks, num_draws, diagonal=diagonal)
        log_scale = jnp.log(jnp.diagonal(end.tril))
        below = end.tril[jnp.tril_indices(len(mean), -1)]
        lower = [] if diagonal else [below]
        return jnp.concatenate([end.mean, log_scale, *lower]), end.converged

    return jax.vmap(one)(block)
