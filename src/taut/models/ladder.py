"""The top-down path of a ladder: layers of Gaussians, each given the one above.

    p(z) = N(z_L; 0, I) prod_{i < L} N(z_i; m_i(z_{i+1}), s_i(z_{i+1})^2),        x given z_1 alone

The posterior follows the same path. Each layer below the top joins what the path says with what the
data say, as a product of two Gaussians does:

    1 / s_q^2 = 1 / s_hat^2 + 1 / s_p^2,        m_q = s_q^2 (m_hat / s_hat^2 + m_p / s_p^2)

The way up names the data's part by its shift a and by s_q / s_p = t in (0, 1):

    s_hat = s_p t / sqrt(1 - t^2),   m_hat = a / (1 - t^2)        m_q = t^2 m_p + a,   s_q = t s_p

By an s_hat of its own a path that grows sharper would silence the data, at no cost in KL: s_p shrinks
with the noise of z_i that the decoder suffers from, s_q with it, and a layer is lost before it is used.

A latent is one vector, z_1 first and z_L last. The terms and the KL have one entry a layer, (L,); the KL
is in closed form given the draw of the layer above.

Source: Sonderby, Raiko, Maaloe, Sonderby and Winther, Ladder variational autoencoders (2016), sec. 2.2.
"""

import math
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import NEG_LOG_Q, AbstractProposal, Draws, Terms, equal_mass
from taut.models.priors import AbstractPrior

__all__ = [
    "BottomLayer",
    "Gaussians",
    "LadderPrior",
    "LadderProposal",
    "Message",
    "TopDown",
    "gaussians",
    "message",
]

_FLOOR = 1e-3  # smallest scale and ratio; a latent gains at most log(1 / floor) nats over N(0, 1)
_FAINT = -1.0  # where ratios start: exp(-softplus(-1)) = 0.73
_ONE = math.log(math.expm1(1.0 - _FLOOR))  # where scales start: floor + softplus(_ONE) = 1


class Gaussians(NamedTuple):
    """Independent Gaussians of one layer.

    Attributes:
        loc: means, (d,).
        scale: standard deviations, positive, (d,).
    """

    loc: Float[Array, " d"]
    scale: Float[Array, " d"]

    def log_prob(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        """log density at z, nats."""
        noise = (z - self.loc) / self.scale
        return -0.5 * jnp.sum(noise**2 + math.log(2 * math.pi)) - jnp.sum(jnp.log(self.scale))

    def kl(self, other: "Gaussians") -> Float[Array, ""]:
        """KL(self to other), nats."""
        ratio, distance = self.scale / other.scale, (self.loc - other.loc) / other.scale
        return jnp.sum(0.5 * (ratio**2 + distance**2 - 1) - jnp.log(ratio))


class Message(NamedTuple):
    """What the data say of a layer below the top, in units of what the path says.

    Attributes:
        shift: a, (d,).
        ratio: t = s_q / s_p, within (0, 1), (d,).
    """

    shift: Float[Array, " d"]
    ratio: Float[Array, " d"]

    def times(self, p: Gaussians) -> Gaussians:
        """The normalized product with what the path says."""
        return Gaussians(self.ratio**2 * p.loc + self.shift, self.ratio * p.scale)


def message(features: Float[Array, " F"]) -> Message:
    """Shifts, and ratios floor + (1 - floor) exp(-softplus) of the rest; zeros say little."""
    shift, raw = jnp.split(features, 2)
    ratio = jnp.exp(-jax.nn.softplus(raw + _FAINT))
    return Message(shift, _FLOOR + (1 - _FLOOR) * ratio)


def gaussians(features: Float[Array, " F"]) -> Gaussians:
    """Means, and scales floor + softplus of the rest; zeros are a standard normal."""
    loc, raw = jnp.split(features, 2)
    return Gaussians(loc, _FLOOR + jax.nn.softplus(raw + _ONE))


class TopDown(eqx.Module):
    """What each layer is given the one above.

    Attributes:
        networks: from z_{i+1} to the features of z_i, i = 1..L-1, (2 d_i,).
        dims: d_1, ..., d_L.
    """

    networks: tuple[Any, ...]
    dims: tuple[int, ...] = eqx.field(static=True)

    def given(self, layer: int, above: Float[Array, " d"] | None) -> Gaussians:
        """p(z_i | z_{i+1}) of the layer counted from 0; the top one has nothing above it."""
        if above is None:
            top = self.dims[-1]
            return Gaussians(jnp.zeros(top), jnp.ones(top))
        return gaussians(self.networks[layer](above))

    def split(self, z: Float[Array, " D"]) -> list[Float[Array, " d"]]:
        """The layers of a latent, z_1 first."""
        ends = [sum(self.dims[: i + 1]) for i in range(len(self.dims) - 1)]
        return jnp.split(z, ends)


class LadderProposal(AbstractProposal):
    """The path from the top down, with what the data say of each layer or without.

    Attributes:
        path: p(z).
        bottom_up: what the data say of each layer below the top, z_1 first; None for the prior.
        top: q(z_L | x); None for the prior.
    """

    path: TopDown
    bottom_up: tuple[Message, ...] | None = None
    top: Gaussians | None = None

    @property
    def reparameterized(self) -> bool:
        return True

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        dims = self.path.dims
        noise = jax.random.normal(key, (num_particles, sum(dims)))

        def one(noise: Float[Array, " D"]) -> tuple[Array, Array]:
            layers, log_q, above = [], [], None
            for i, e in reversed(list(enumerate(self.path.split(noise)))):
                q = self.given(i, above)
                above = q.loc + q.scale * e
                layers.append(above)
                log_q.append(q.log_prob(above))
            return jnp.concatenate(layers[::-1]), jnp.stack(log_q[::-1])

        z, log_q = jax.vmap(one)(noise)
        return Draws(z, equal_mass(num_particles), {NEG_LOG_Q: -log_q})

    def terms(self, z: Any) -> Terms:
        log_q = [self.given(i, above).log_prob(own) for i, own, above in self._layers(z)]
        return {NEG_LOG_Q: -jnp.stack(log_q)}

    def center(self) -> Float[Array, " D"]:
        """Means layer by layer, each given those above: E_q[z] of the top layer alone."""
        layers, above = [], None
        for i in reversed(range(len(self.path.dims))):
            above = self.given(i, above).loc
            layers.append(above)
        return jnp.concatenate(layers[::-1])

    def kl(self, z: Any) -> Float[Array, " L"]:
        """KL(q(z_i | z_{i+1}, x) to p(z_i | z_{i+1})) of each layer at a draw, (L,); nats."""
        layers = self._layers(z)
        return jnp.stack([self.given(i, a).kl(self.path.given(i, a)) for i, _, a in layers])

    def given(self, layer: int, above: Float[Array, " d"] | None) -> Gaussians:
        """q of a layer, counted from 0, given the draw of the one above; None for the top."""
        if self.bottom_up is None or self.top is None:
            return self.path.given(layer, above)
        if above is None:
            return self.top
        return self.bottom_up[layer].times(self.path.given(layer, above))

    def _layers(self, z: Any) -> list[tuple[int, Array, Array | None]]:
        """Number, draw and draw above, of each layer."""
        layers = self.path.split(z)
        return list(zip(range(len(layers)), layers, [*layers[1:], None], strict=True))


class LadderPrior(AbstractPrior):
    """p(z) of the top-down path."""

    name: ClassVar[str] = "ladder"

    path: TopDown

    def __call__(self) -> Any:
        return LadderProposal(self.path)

    def kl(self, q: AbstractProposal, z: Any) -> Float[Array, " G"] | None:
        return q.kl(z) if isinstance(q, LadderProposal) else None


class BottomLayer(eqx.Module):
    """A decoder that reads z_1 alone.

    Attributes:
        network: from z_1 to the likelihood's outputs.
        dim: d_1.
    """

    network: Any
    dim: int = eqx.field(static=True)

    def __call__(self, z: Float[Array, " D"]) -> Array:
        return self.network(z[: self.dim])
