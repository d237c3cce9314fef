"""A mixture of Gaussians as a prior with learned weights, means and scales.

    p(z) = sum_c w_c prod_d N(z_d; m_cd, s_cd^2)
    log p(z) = logsumexp_c [log w_c + sum_d log N(z_d; m_cd, s_cd^2)]            [nats], exact

    w = softmax(logits),        s = floor + softplus(raw)

A draw takes a component by its weight and z from it. The KL from a Gaussian to a mixture has no closed
form, so that bounds use log p(z) at their draws. All components start with weight 1/C; means are drawn
from N(0, 1/2) and scales start at sqrt(1/2), so that the variance of the mixture is that of N(0, I) in
expectation over the start.

Source: as a prior of a VAE, Dilokthanakul et al., Deep unsupervised clustering with Gaussian mixture
VAEs (2016); as the baseline of Tomczak and Welling, VAE with a VampPrior (AISTATS 2018), section 5.
"""

from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import InputError, gaussian_log_densities
from taut.models.likelihoods.scale import positive, raw_of
from taut.models.priors.abstract import AbstractPrior

__all__ = ["MixtureOfGaussians"]

_HALF = 0.5**0.5


class MixtureOfGaussians(AbstractPrior):
    """C Gaussians with diagonal covariances in `latent_dim` dimensions.

    Arguments:
        latent_dim: number of dimensions D.
        components: number of Gaussians C, at least one.
        floor: smallest scale, positive; a component's log-density is below -D log(floor) - 0.91 D.
        key: means start at random, without which the components would stay alike.

    Attributes:
        logits: unnormalized log-weights, (C,).
        means: (C, D).
        raw_scales: (C, D).
    """

    name: ClassVar[str] = "mixture"

    logits: Float[Array, " C"]
    means: Float[Array, "C D"]
    raw_scales: Float[Array, "C D"]
    floor: float = eqx.field(static=True)

    def __init__(
        self, latent_dim: int, components: int = 10, *, floor: float = 1e-3, key: PRNGKeyArray
    ):
        if components < 1:
            raise InputError("at least one component", f"{components}", "mixture:10", where="prior")
        if not 0 < floor < _HALF:
            raise InputError(
                "a floor between 0 and 0.7, where scales start",
                f"{floor}",
                "floor=1e-3",
                where="prior",
            )
        self.logits = jnp.zeros(components)
        self.means = _HALF * jax.random.normal(key, (components, latent_dim))
        self.raw_scales = jnp.full((components, latent_dim), raw_of(_HALF - floor))
        self.floor = float(floor)

    def __call__(self) -> Any:
        components = dist.Normal(self.means, positive(self.raw_scales, floor=self.floor))
        weights = dist.Categorical(logits=self.logits)
        return _DiagonalMixture(weights, components.to_event(1))


class _DiagonalMixture(dist.MixtureSameFamily):
    """The mixture with gradients made of products."""

    def component_log_probs(self, value: Any) -> Array:
        components: Any = self.component_distribution
        normal = components.base_dist
        of_one = partial(gaussian_log_densities, means=normal.loc, scales=normal.scale)
        log_p = jnp.vectorize(of_one, signature="(d)->(c)")(value)
        return jax.nn.log_softmax(jnp.asarray(self.mixing_distribution.logits)) + log_p
