"""A flow is a VAE whose encoder and decoder have become deterministic.

    q(z | x) = N(f(x), s^2 I),        p(x | z) = N(g(z), s^2 J J^T),        g = f^-1,  J = dg/dz at z

    ELBO(s) = log p(f(x)) + log |det df/dx| + O(s^2)        as s -> 0

The noise of the decoder has the shape that g gives to the noise of the encoder. With p(x | z) =
N(g(z), s^2 I) instead, the limit is another number, below the flow's by a divergence between Gaussians:

    log p(f(x)) + (D - |J|_F^2) / 2
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from known_models import FedGuide, datum, gauss_hermite, grid
from scipy.stats import multivariate_normal

from taut.bounds import ELBO
from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, AbstractModel, particles
from taut.guides import ChainPair
from taut.models import StandardNormal
from taut.transforms import Affine, AffineTransformer, Chain, Planar, vector_coupling

SCALES = (0.02, 0.01, 0.005)
ROWS = np.array([[0.4, -0.9], [1.5, 0.3]])
STEP = 1e-5  # of central differences: they err by its square, and by rounding over it


def flow() -> Chain:
    """Two nonlinear layers and a scale, away from where they start."""

    def make() -> list[Any]:
        return [
            Affine((2,)),
            vector_coupling(
                2, AffineTransformer(), hidden=(3,), activation="tanh", key=jax.random.key(0)
            ),
            Planar(2, key=jax.random.key(1)),
        ]

    rng = np.random.default_rng(0)
    return Chain(jax.tree.map(lambda a: a + 0.4 * rng.normal(size=a.shape), jax.jit(make)()))


class NoisyDecoder(AbstractModel):
    """z ~ N(0, I), x ~ N(g(z), s^2 J J^T) or N(g(z), s^2 I)."""

    chain: Chain
    scale: Any
    isotropic: bool

    def terms(self, datum, z):
        g = lambda z: self.chain.decode_and_log_det(z)[0]  # noqa: E731
        factor = jnp.eye(2) if self.isotropic else jax.jacfwd(g)(z)
        covariance = self.scale**2 * factor @ factor.T
        likelihood = dist.MultivariateNormal(g(z), covariance_matrix=covariance)
        return {
            LOG_LIKELIHOOD: likelihood.log_prob(datum.x),
            LOG_PRIOR: dist.Normal(jnp.zeros(2), 1.0).to_event(1).log_prob(z),
        }

    def prior(self):
        return dist.Normal(jnp.zeros(2), 1.0).to_event(1)


def elbos(chain: Chain, *, isotropic: bool) -> np.ndarray:
    """By quadrature over the encoder's noise, (rows, scales)."""
    nodes, masses = map(jnp.asarray, grid(*gauss_hermite(12), 2))

    def path(q: Any, noise: Any) -> Any:
        return q.base_dist.loc + q.base_dist.scale * noise

    @jax.jit
    def one(x: Any, scale: Any) -> Any:
        def guide(datum: Any) -> dist.Distribution:
            return dist.Normal(chain.encode_and_log_det(datum.x)[0], scale).to_event(1)

        fed = FedGuide(guide, nodes, path, masses)
        model = NoisyDecoder(chain, scale, isotropic)
        return ELBO(kl="sampled")(particles(model, fed, fed, datum(x), jax.random.key(0), 1))

    return np.array([[one(jnp.asarray(x), jnp.asarray(s)) for s in SCALES] for x in ROWS])


def latent_and_jacobian(chain: Chain, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f(x), and df/dx by central differences."""
    f = jax.jit(jax.vmap(lambda x: chain.encode_and_log_det(x)[0]))
    steps = STEP * np.concatenate([np.zeros((1, 2)), np.eye(2), -np.eye(2)])
    z = np.asarray(f(jnp.asarray(x + steps)))
    return z[0], ((z[1:3] - z[3:]) / (2 * STEP)).T


def test_the_limit_is_the_flow_and_the_error_falls_by_the_square_of_the_scale(float64):
    chain = flow()
    model, guide = ChainPair(chain, StandardNormal(2)).bind()

    def log_weight(x: Any) -> Any:
        return particles(model, guide, guide, datum(x), jax.random.key(0), 1).log_w[0]

    found = elbos(chain, isotropic=False)
    for x, values in zip(ROWS, found, strict=True):
        z, jacobian = latent_and_jacobian(chain, x)
        by_hand = multivariate_normal.logpdf(z, np.zeros(2)) + np.linalg.slogdet(jacobian)[1]
        assert abs(jax.jit(log_weight)(jnp.asarray(x)) - by_hand) < 1e-8

        error = values - by_hand
        ratios = error[:-1] / error[1:]
        # A term of fourth order moves the ratio from 4 by a number that falls by 4 as well.
        assert abs(ratios[1] - 4) < 0.05, ratios
        assert abs(ratios[1] - 4) < abs(ratios[0] - 4) / 2, ratios
        extrapolated = (4 * values[2] - values[1]) / 3
        assert abs(extrapolated - by_hand) < 1e-3 * abs(error[2]) < 1e-5, error
        # The volume of the other direction would be seen.
        assert abs(np.linalg.slogdet(jacobian)[1]) > 0.1


def test_isotropic_noise_has_another_limit(float64):
    chain = flow()
    found = elbos(chain, isotropic=True)
    for x, values in zip(ROWS, found, strict=True):
        z, jacobian = latent_and_jacobian(chain, x)
        log_base = multivariate_normal.logpdf(z, np.zeros(2))
        limit = log_base + (2 - np.sum(np.linalg.inv(jacobian) ** 2)) / 2
        error = values - limit
        np.testing.assert_allclose(error[:-1] / error[1:], 4, atol=0.05)
        flow_likelihood = log_base + np.linalg.slogdet(jacobian)[1]
        assert flow_likelihood - limit > 100 * np.abs(error[-1])
