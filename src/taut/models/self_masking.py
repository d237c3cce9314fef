"""`SelfMasking`: whether a cell is missing depends on its own value, observed or not.

    p(s_d = 0 | x_d) = sigmoid(offset_d + slope_d u_d),        s_d = 1 where cell d is observed
    p(x_o, s | z) = prod_(d observed) p(x_d | z) p(s_d = 1 | x_d)
                    prod_(d missing)  int p(x_d | z) p(s_d = 0 | x_d) dx_d

u is x in the units of the model. Given z the cells are independent, so that each integral has one
dimension: of a Gaussian it is Gauss-Hermite quadrature, of bits a sum, exact. In Ipsen et al. a missing
cell is drawn and weighs with p(s | x); here no draw of it is needed, and its noise is not in the bound.

With slope 0 cells are missing completely at random, and the density is that of the observed cells times
a constant. A slope is known from the shape of the observed values alone: it is as sure as the likelihood
is right.

Source: Ipsen, Mattei and Frellsen, not-MIWAE: deep generative modelling with missing not at random data
(ICLR 2021), section 3 and the self-masking of its experiments.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray
from numpyro.distributions import Normal

from taut.core import InputError, option
from taut.models.likelihoods import AbstractLikelihood

__all__ = ["SelfMasking", "check_maskable"]

_NODES = 32  # exact for polynomials of degree 63; to 1e-6 nats where the curve is no step
_CANDIDATES = 64  # of a missing cell, one of which is taken by p(s = 0 | x)


class SelfMasking(eqx.Module):
    """p(s | x) of a row, cell by cell.

    Attributes:
        offset: log-odds that a cell is missing where its value is 0 in the units of the model.
        slope: by how much they rise with the value.
    """

    offset: Float[Array, "*data"]
    slope: Float[Array, "*data"]

    @classmethod
    def start(cls, shape: tuple[int, ...]) -> "SelfMasking":
        """Missing completely at random, half of the cells."""
        return cls(jnp.zeros(shape), jnp.zeros(shape))

    def log_odds(self, u: Float[Array, "..."]) -> Float[Array, "..."]:
        """That a cell of this value is missing."""
        return self.offset + self.slope * u

    def seen(self, u: Float[Array, "..."], key: PRNGKeyArray) -> Bool[Array, "..."]:
        """Which cells are observed, s ~ p(s | x)."""
        return jax.random.bernoulli(key, jax.nn.sigmoid(-self.log_odds(u)))

    def log_prob(
        self, u: Float[Array, "*data"], mask: Bool[Array, "*data"] | None, cells: Any
    ) -> Float[Array, ""]:
        """log p(s | z, x_o) of a row, nats: exact but for the quadrature.

        Arguments:
            u: the row in the units of the model; what is not observed may be anything.
            mask: True where a cell is observed; None for all.
            cells: p(x | z), cell by cell.
        """
        return jnp.sum(self.of_cells(u, mask, cells))

    def of_cells(
        self, u: Float[Array, "*data"], mask: Bool[Array, "*data"] | None, cells: Any
    ) -> Float[Array, "*data"]:
        """log p(s_d | z, x_d where it is observed) of each cell, nats; the parts of `log_prob`."""
        seen = jax.nn.log_sigmoid(-self.log_odds(u if mask is None else jnp.where(mask, u, 0)))
        if mask is None:
            return seen
        values, log_mass = _nodes(cells)
        hidden = jax.nn.log_sigmoid(self.log_odds(values))
        return jnp.where(mask, seen, jax.nn.logsumexp(log_mass + hidden, axis=0))

    def mean(self, cells: Any) -> Float[Array, "*data"]:
        """E[x | z, missing] of every cell."""
        values, log_mass = _nodes(cells)
        weight = jax.nn.softmax(log_mass + jax.nn.log_sigmoid(self.log_odds(values)), axis=0)
        return jnp.sum(weight * values, axis=0)

    def sample(self, cells: Any, key: PRNGKeyArray) -> Float[Array, "*data"]:
        """Of every cell one x ~ p(x | z, missing), by resampling from p(x | z)."""
        draw_key, choice_key = jax.random.split(key)
        drawn = jnp.asarray(cells.sample(draw_key, (_CANDIDATES,))).astype(self.offset.dtype)
        log_w = jax.nn.log_sigmoid(self.log_odds(drawn))
        chosen = jax.random.categorical(choice_key, log_w, axis=0)
        return jnp.take_along_axis(drawn, chosen[None], axis=0)[0]


def check_maskable(likelihood: AbstractLikelihood) -> None:
    """Refuse cells whose integral over p(s | x) is not worked out.

    Raises:
        InputError: another likelihood than a Gaussian or a Bernoulli.
    """
    if likelihood.name not in ("gaussian", "bernoulli"):
        raise InputError(
            "a gaussian or bernoulli likelihood, where cells hide themselves",
            f"'{likelihood.name}'", option("missingness", "at-random"), where=option("missingness"),
        )  # fmt: skip


def _nodes(cells: Any) -> tuple[Float[Array, "n *data"], Float[Array, "n *data"]]:
    """Values and log-masses that stand for the distribution of each cell."""
    if isinstance(cells, Normal):
        t, weight = np.polynomial.hermite_e.hermegauss(_NODES)
        loc: Any = cells.loc
        spread = (-1,) + (1,) * jnp.ndim(loc)
        values = loc + cells.scale * jnp.asarray(t, loc.dtype).reshape(spread)
        log_mass = jnp.asarray(np.log(weight / weight.sum()), values.dtype).reshape(spread)
        return values, jnp.broadcast_to(log_mass, values.shape)
    bits = jnp.stack([jnp.zeros(cells.batch_shape), jnp.ones(cells.batch_shape)])
    return bits, jax.vmap(cells.log_prob)(bits)
