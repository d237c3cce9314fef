"""The aggregated posterior of some rows, the mean of their posteriors.

    q_agg(z) = (1/N) sum_n q(z | x_n)

Of all priors it has the largest ELBO on these rows with encoder and decoder as they are: what another
prior p falls short of it is KL(q_agg to p) (Tomczak and Welling, VAE with a VampPrior, 2018, section 2;
Hoffman and Johnson, ELBO surgery, 2016). Of other rows it knows nothing, and may be worse than p there.

All N components are used. Densities pass by in blocks, of components and of z, so that memory grows
with what names the components, as many numbers a row as the encoder has outputs.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core import (
    NEG_LOG_Q,
    AbstractPair,
    Datum,
    InputError,
    MixtureProposal,
    as_key,
    check_count,
    num_rows,
    option,
    over_rows,
)
from taut.core.compiling import even_jit
from taut.evidence.importance import proposal_of
from taut.guides import AmortizedGuide
from taut.models import ChainModel, FixedPrior

__all__ = ["AggregatedPosterior", "aggregated_posterior"]

_ENCODED = 512  # rows encoded at once
_AT_ONCE = 64  # z whose densities are made at once


class AggregatedPosterior(eqx.Module):
    """The mixture of N posteriors with equal weights.

    Attributes:
        mixture: as a proposal.
    """

    mixture: MixtureProposal

    @property
    def num_rows(self) -> int:
        """N."""
        return self.mixture.log_weights.shape[0]

    def sample(self, num_samples: int, *, key: Any = 0) -> Any:
        """Draws z: of a row drawn at random, its posterior; (num_samples, d), of a guide with classes a
        pair of them, one-hot, and of what lies within."""
        num_samples = check_count(
            num_samples, "at least one sample", "64", where=option("num_samples")
        )
        return _draws(self.mixture, as_key(key), num_samples)

    def log_density(self, z: Float[Array | np.ndarray, "M d"]) -> Float[np.ndarray, " M"]:
        """log q_agg(z) of each z, nats; exact, over all N components."""
        blocks = over_rows(
            lambda block, *_: _log_densities(self.mixture, block.x),
            Datum(np.asarray(z, self.mixture.log_weights.dtype)),
            width=_AT_ONCE,
        )
        return np.concatenate(list(blocks))

    def as_prior(self) -> FixedPrior:
        """A prior p(z) = q_agg(z), none of whose parameters is learned."""
        return FixedPrior(self.mixture)


def aggregated_posterior(pair: AbstractPair, rows: Datum) -> AggregatedPosterior:
    """The aggregated posterior of rows.

    Arguments:
        pair: its guide serves the rows.
        rows: a batched datum.

    Raises:
        InputError: a guide without a density, or a chain of layers.
    """
    model, guide = pair.bind()
    if isinstance(model, ChainModel) or proposal_of(guide, rows).dirac:
        raise InputError(
            "a guide that draws z at random, with a density q(z | x) to average",
            "layers, or a guide that maps each row to one z", "a model such as vae",
            where="aggregated posterior",
        )  # fmt: skip
    num = num_rows(rows)
    log_weights = jnp.full(num, -np.log(num), jnp.result_type(float))
    if not isinstance(guide, AmortizedGuide):
        given = jax.tree.map(jnp.asarray, rows)
        return AggregatedPosterior(MixtureProposal(guide, given, log_weights))
    features = over_rows(lambda block, *_: _features(guide, block), rows, width=_ENCODED)
    named = jnp.asarray(np.concatenate(list(features)))
    return AggregatedPosterior(MixtureProposal(guide.family, named, log_weights))


@even_jit
def _features(guide: AmortizedGuide, block: Datum) -> Float[Array, "B F"]:
    return jax.vmap(guide.features)(block)


@even_jit
def _draws(mixture: MixtureProposal, key: Any, num_samples: int) -> Any:
    return mixture.draw(key, num_samples).z


@even_jit
def _log_densities(mixture: MixtureProposal, z: Float[Array, "B d"]) -> Float[Array, " B"]:
    return jax.vmap(lambda at: -mixture.terms(at)[NEG_LOG_Q])(z)
