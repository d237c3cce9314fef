"""Families whose expectations leave nothing to chance, and small data.

Under a Gaussian the log-weight of a linear-Gaussian model is a quadratic in z, which two Gauss-Hermite
nodes in each dimension average exactly; under an exponential, that of the exponential-normal model is
one too, which two Gauss-Laguerre nodes do. Value and gradient of the bound are then exact.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from known_models import gauss_hermite, grid

from taut.core import NEG_LOG_Q, AbstractProposal, Datum, Draws, Enumerated
from taut.guides import AbstractFamily, FullRankGaussian, MeanFieldGaussian
from taut.models import ProbabilisticPCA


class Nodes(AbstractProposal):
    """A Gaussian drawn at its Gauss-Hermite nodes, with their masses."""

    distribution: Any

    @property
    def reparameterized(self):
        return True

    def draw(self, key, num_particles):
        q = self.distribution
        nodes, masses = grid(*gauss_hermite(2), q.event_shape[0])
        spread = q.scale_tril if hasattr(q, "scale_tril") else jnp.diag(q.base_dist.scale)
        return Draws(q.mean + nodes @ spread.T, jnp.log(masses))

    def terms(self, z):
        return {NEG_LOG_Q: -self.distribution.log_prob(z)}


class NodesFamily(AbstractFamily):
    """A Gaussian family drawn at its nodes."""

    name: ClassVar[str] = "nodes"

    gaussian: FullRankGaussian | MeanFieldGaussian

    @property
    def latent_dim(self):
        return self.gaussian.latent_dim

    @property
    def num_features(self):
        return self.gaussian.num_features

    def __call__(self, features):
        return Nodes(self.gaussian(features))


class EnumeratedFamily(AbstractFamily):
    """Any distribution over `latent_dim` outcomes, each of them drawn with its mass."""

    name: ClassVar[str] = "enumerated"

    latent_dim: int = eqx.field(static=True)

    @property
    def num_features(self):
        return self.latent_dim

    def __call__(self, features):
        return Enumerated(jnp.arange(self.latent_dim), jax.nn.log_softmax(features))


class EncoderGuide(eqx.Module):
    """family(encoder(x)) for a family whose members are proposals."""

    encoder: Any
    family: AbstractFamily

    def __call__(self, datum):
        return self.family(self.encoder(datum.x))


class LogitsOf(eqx.Module):
    """The encoder that is a table: features[x] for an x among a few outcomes."""

    features: Any

    def __call__(self, x):
        return self.features[x]


def tabled_data(seed: int = 0, num_rows: int = 30) -> Datum:
    """Rows of a two-factor model in four columns, with numbers that are not consecutive."""
    rng = np.random.default_rng(seed)
    weight = np.array([[1.5, 0.0], [-1.0, 0.8], [0.3, 1.2], [0.0, -0.6]])
    x = rng.normal(size=(num_rows, 2)) @ weight.T + 0.5 * rng.normal(size=(num_rows, 4)) + 0.7
    return Datum(x, index=(3 * np.arange(num_rows) + 5)[::-1].astype(np.int32))


def unfitted_ppca(num_columns: int, num_factors: int, *, key: Any) -> ProbabilisticPCA:
    """Loadings from N(0, 1/d), no shift, noise of variance 1."""
    loadings = jax.random.normal(key, (num_columns, num_factors)) / np.sqrt(num_factors)
    return ProbabilisticPCA(
        center=jnp.zeros(num_columns), loadings=loadings, log_variance=jnp.zeros(())
    )


def run(algorithm, rows: Datum, num_steps: int) -> Any:
    """The algorithm's state after steps on all rows at once, and the metrics of the last."""

    @jax.jit
    def steps(state):
        start = jax.tree.map(
            lambda m: jnp.zeros(m.shape, m.dtype), jax.eval_shape(algorithm.step, state, rows)[1]
        )
        return jax.lax.fori_loop(
            0, num_steps, lambda _, carry: algorithm.step(carry[0], rows), (state, start)
        )

    return steps(algorithm.init())


def mean_evidence(model, rows: Datum) -> float:
    """The mean of a model's exact log-evidence over rows."""
    return float(jnp.mean(jax.jit(jax.vmap(model.log_evidence))(rows)))


__all__ = [
    "EncoderGuide",
    "EnumeratedFamily",
    "LogitsOf",
    "Nodes",
    "NodesFamily",
    "mean_evidence",
    "run",
    "tabled_data",
    "unfitted_ppca",
]
