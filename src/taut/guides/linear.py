"""Linear encoders: the guide of linear factor models.

    q(z | x) = N(V x + c, S)        with one covariance S for all data

The posterior's mean is affine in x and its covariance the same for every x, so the exact posterior is of
this form where S is full. Where S is diagonal, the best q has the posterior's
mean and the inverses of the diagonal of its precision for variances.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import Datum
from taut.guides.amortized import AmortizedGuide
from taut.guides.full_rank import FullRankGaussian
from taut.guides.mean_field import MeanFieldGaussian
from taut.models import AbstractFactorModel

__all__ = ["LinearEncoder", "LinearFamily", "best_linear_guide", "linear_guide"]

LinearFamily = FullRankGaussian | MeanFieldGaussian


class LinearEncoder(eqx.Module):
    """Features of a Gaussian family: an affine mean, and spread features that x does not move.

    Attributes:
        weight: V, (d, D).
        bias: c, (d,).
        spread: the family's other features, (num_features - d,).
    """

    weight: Float[Array, "d D"]
    bias: Float[Array, " d"]
    spread: Float[Array, " S"]

    def __call__(self, x: Float[Array | np.ndarray, "..."]) -> Float[Array, " F"]:
        """Arguments: x, any shape with D elements. Returns: the features, mean first."""
        return jnp.concatenate([self.weight @ jnp.ravel(x) + self.bias, self.spread])


def linear_guide(data_dim: int, family: LinearFamily, *, key: PRNGKeyArray) -> AmortizedGuide:
    """A starting point: entries of V from N(0, 1/D), c = 0, S = I."""
    latent_dim = family.latent_dim
    weight = jax.random.normal(key, (latent_dim, data_dim)) / jnp.sqrt(1.0 * data_dim)
    spread = jnp.zeros(family.num_features - latent_dim)
    return AmortizedGuide(LinearEncoder(weight, jnp.zeros(latent_dim), spread), family)


def best_linear_guide(model: AbstractFactorModel, family: LinearFamily) -> AmortizedGuide:
    """The member of the linear guides with the highest ELBO for every fully observed row, exact.

    It is the posterior where the family is full-rank, and where it is mean-field and the columns of W
    are orthogonal; elsewhere it is the member closest to the posterior in KL(q to p).
    """
    origin = model.posterior(Datum(jnp.zeros_like(model.center)))
    weight = jnp.asarray(origin.covariance_matrix) @ (model.loadings / model.noise[:, None]).T
    if isinstance(family, MeanFieldGaussian):
        spread = -0.5 * jnp.log(jnp.diagonal(jnp.asarray(origin.precision_matrix)))
    else:
        tril = jnp.asarray(origin.scale_tril)
        lower = tril[jnp.tril_indices(family.latent_dim, -1)]
        spread = jnp.concatenate([jnp.log(jnp.diagonal(tril)), lower])
    return AmortizedGuide(LinearEncoder(weight, -weight @ model.center, spread), family)
