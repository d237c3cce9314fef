"""Flow posteriors: a Gaussian pushed through bijections, for every datum or for one posterior.

    e ~ N(mu, diag(s)^2),   z = decode(e; c),       log q(z | x) = log N(e) - log |det dz/de|

`FlowFamily` takes mu, log s and the context c from an encoder: planar, radial and Sylvester layers
have parameters that are affine in c, networks of autoregressive and coupling layers read it.
The layers start at rest, where q is the Gaussian. `FlowPosterior` is one distribution over a vector,

    e ~ N(0, I),   z = loc + L decode(e),

and starts near the Gaussian N(loc, L L^T). Draws bring their density, which takes no inverse; the
density at a given z takes the other direction of the layers (`cost`). Exact in both.

Sources: Rezende and Mohamed, Variational inference with normalizing flows (ICML 2015), section 4;
Kingma et al., Improving variational inference with inverse autoregressive flow (NeurIPS 2016),
section 3; van den Berg et al., Sylvester normalizing flows for variational inference (UAI 2018),
section 4.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import NEG_LOG_Q, AbstractProposal, Datum, Draws, InputError, Terms, equal_mass
from taut.guides.abstract import AbstractFamily
from taut.networks import Linear
from taut.transforms import Chain, Cost, Transformed, make_layers

__all__ = ["FlowFamily", "FlowPosterior", "flow_widths"]

_CONTEXT = 32  # numbers that the encoder hands to the layers


def flow_widths(dim: int) -> tuple[int, ...]:
    """Widths of the networks inside layers: four units for each order of an autoregressive one."""
    return (max(64, 4 * dim),) * 2


class FlowFamily(AbstractFamily):
    """Gaussians through layers that are shared by all data and read the datum's context.

    Arguments:
        latent_dim: number of dimensions D.
        layers: what `make_layers` takes, such as `planar:8`, `iaf:4`.
        context: size of c, at least 1.
        hidden: widths of networks inside layers, with relu between them; None for `flow_widths`.
        key: of the layers' parameters.

    Attributes:
        chain: bijections, z first.
    """

    name: ClassVar[str] = "flow"

    latent_dim: int = eqx.field(static=True)
    context: int = eqx.field(static=True)
    chain: Chain

    def __init__(
        self,
        latent_dim: int,
        layers: str,
        *,
        context: int = _CONTEXT,
        hidden: Sequence[int] | None = None,
        key: PRNGKeyArray,
    ):
        if context < 1:
            raise InputError("a context of at least 1 number", f"{context}", "32", where="context")
        self.latent_dim, self.context = latent_dim, context
        made = make_layers(
            layers, latent_dim, key=key, condition_dim=context, direction="sampling",
            hidden=flow_widths(latent_dim) if hidden is None else hidden,
            where="guide",
        )  # fmt: skip
        self.chain = Chain([layer.at_rest() for layer in made])

    @property
    def num_features(self) -> int:
        return 2 * self.latent_dim + self.context

    def head(self, gaussian: Linear, *, key: PRNGKeyArray) -> Linear:
        """At rest the layers are z = J e, each z one e in another order, times one number.

        What is asked of z is what the encoder then says of e; the context starts anywhere, for its
        own weights inside the layers start at zero.
        """
        d = self.latent_dim
        jacobian = jax.vmap(self.chain.decode_at_rest)(jnp.eye(d))  # row j: the z of e_j
        order = (jacobian != 0).astype(jacobian.dtype)
        scale = jnp.sum(jacobian, axis=1)
        loc, log_scale = jnp.split(gaussian.weight, 2, axis=1)
        loc_bias, log_scale_bias = jnp.split(gaussian.bias, 2)
        context = Linear(gaussian.weight.shape[0], self.context, key=key)
        weight = [(loc @ order.T) / scale, log_scale @ order.T, context.weight]
        bias = [order @ loc_bias / scale, order @ log_scale_bias - jnp.log(scale), context.bias]
        return eqx.tree_at(
            lambda la: (la.weight, la.bias), context,
            (jnp.concatenate(weight, axis=1), jnp.concatenate(bias)),
        )  # fmt: skip

    @property
    def cost(self) -> Cost:
        """Passes of all layers: `decode` of a draw with its density, `encode` of the density alone."""
        return self.chain.cost

    def __call__(self, features: Float[Array, " F"]) -> Transformed:
        d = self.latent_dim
        loc, log_scale, context = jnp.split(features, [d, 2 * d])
        return Transformed(dist.Normal(loc, jnp.exp(log_scale)).to_event(1), self.chain, context)


class FlowPosterior(AbstractProposal):
    """q(z) over a vector; as a guide, the same for every datum.

    Arguments:
        dim: number of dimensions D.
        layers: what `make_layers` takes, such as `spline-coupling:4`.
        loc: where the start is centred, (D,); None for 0.
        scale_tril: lower triangle L of the start, positive on its diagonal, (D, D); None for I.
        diagonal: keeps L diagonal, D parameters instead of D (D + 1) / 2.
        hidden: widths of networks inside layers, with relu between them; None for `flow_widths`.
        key: of the layers' parameters.

    Attributes:
        chain: bijections, standardised z first.
        loc: (D,).
        log_diagonal: of L, (D,).
        lower: L below its diagonal, row by row, (D (D - 1) / 2,); empty where it stays diagonal.

    Raises:
        InputError: unknown layers, or a start of another shape.
    """

    chain: Chain
    loc: Float[Array, " D"]
    log_diagonal: Float[Array, " D"]
    lower: Float[Array, " T"]

    def __init__(
        self,
        dim: int,
        layers: str,
        *,
        loc: Float[Array | np.ndarray, " D"] | None = None,
        scale_tril: Float[Array | np.ndarray, "D D"] | None = None,
        diagonal: bool = False,
        hidden: Sequence[int] | None = None,
        key: PRNGKeyArray,
    ):
        self.chain = Chain(
            make_layers(
                layers, dim, key=key, direction="sampling",
                hidden=flow_widths(dim) if hidden is None else hidden,
                where="guide",
            )
        )  # fmt: skip
        self.loc = jnp.zeros(dim) if loc is None else jnp.asarray(loc, float)
        tril = jnp.eye(dim) if scale_tril is None else jnp.asarray(scale_tril, float)
        if self.loc.shape != (dim,) or tril.shape != (dim, dim):
            raise InputError(
                f"a centre of shape ({dim},) and a triangle of shape ({dim}, {dim})",
                f"{self.loc.shape} and {tril.shape}", "the moments of a Gaussian guide",
                where="flow posterior",
            )  # fmt: skip
        self.log_diagonal = jnp.log(jnp.diagonal(tril))
        rows, columns = np.tril_indices(dim, -1)
        self.lower = jnp.zeros(0) if diagonal else tril[rows, columns]

    @property
    def dim(self) -> int:
        """D."""
        return self.loc.shape[0]

    @property
    def cost(self) -> Cost:
        """Passes of all layers: `decode` of a draw with its density, `encode` of the density alone."""
        return self.chain.cost

    @property
    def reparameterized(self) -> bool:
        return True

    def __call__(self, datum: Datum) -> "FlowPosterior":
        """q(z), whatever the datum."""
        return self

    def push(self, e: Float[Array, " D"]) -> tuple[Float[Array, " D"], Float[Array, ""]]:
        """z and log q(z), nats, for standard normal noise e: what a draw is made of."""
        y, log_det = self.chain.decode_and_log_det(e)
        log_q = _log_normal(e) - log_det - jnp.sum(self.log_diagonal)
        return self.loc + self._scale_tril() @ y, log_q

    def sample_and_log_prob(
        self, key: PRNGKeyArray, num_draws: int
    ) -> tuple[Float[Array, "K D"], Float[Array, " K"]]:
        """Draws and their log-density, nats; differentiable in the parameters, with no inverse."""
        return jax.vmap(self.push)(jax.random.normal(key, (num_draws, self.dim)))

    def log_prob(self, z: Float[Array, " D"]) -> Float[Array, ""]:
        """The log-density at any z, nats."""
        y = jax.scipy.linalg.solve_triangular(self._scale_tril(), z - self.loc, lower=True)
        e, log_det = self.chain.encode_and_log_det(y)
        return _log_normal(e) + log_det - jnp.sum(self.log_diagonal)

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        z, log_q = self.sample_and_log_prob(key, num_particles)
        return Draws(z, equal_mass(num_particles), {NEG_LOG_Q: -log_q})

    def terms(self, z: Any) -> Terms:
        return {NEG_LOG_Q: -self.log_prob(z)}

    def mapped(self, loc: Float[Array, " D"], tril: Float[Array, "D D"]) -> "FlowPosterior":
        """The distribution of loc + tril z; tril lower triangular, positive on its diagonal."""
        product = tril @ self._scale_tril()
        rows, columns = np.tril_indices(self.dim, -1)
        return eqx.tree_at(
            lambda q: (q.loc, q.log_diagonal, q.lower), self,
            (loc + tril @ self.loc, jnp.log(jnp.diagonal(product)), product[rows, columns]),
        )  # fmt: skip

    def center(self) -> Float[Array, " D"]:
        """The image of e = 0: not the mean of z, unless the layers are affine."""
        return self.push(jnp.zeros(self.dim))[0]

    def _scale_tril(self) -> Float[Array, "D D"]:
        diagonal = jnp.diag(jnp.exp(self.log_diagonal))
        if not self.lower.size:
            return diagonal
        return diagonal.at[np.tril_indices(self.dim, -1)].set(self.lower)


def _log_normal(e: Float[Array, " D"]) -> Float[Array, ""]:
    return -0.5 * (e @ e + e.size * math.log(2 * math.pi))
