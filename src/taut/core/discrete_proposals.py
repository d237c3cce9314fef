"""`AbstractDiscreteProposal`: q(z | x) over a finite support, and the noise that its draws are made of.

    z = hard(noise),   relaxed(noise, T) -> hard(noise) as T -> 0,   condition(z, noise) ~ noise given z

    Bernoulli      z_d = 1[l_d + eps_d > 0],           eps logistic   relaxed: sigmoid((l + eps) / T)
    categorical    z_d = onehot(argmax_c l_dc + g_dc),  g Gumbel      relaxed: softmax((l + g) / T)

Draws are not differentiable in the logits; `relaxed` and, at fixed fresh noise, `condition` are. Noise
given the outcome is exact (Tucker et al. 2017; Grathwohl et al. 2018). In the
perturbed logits a = l + eps and, with E = e^-g, in a = l + g:

    Bernoulli      a = softplus(eps' + softplus(l)) at z = 1,  -softplus(eps' + softplus(-l)) at z = 0
    categorical    a_b = g'_b + logsumexp(l) at the outcome b,  e^-a_c = E'_c e^-l_c + e^-a_b elsewhere

The log-probability extends linearly to the convex hull of the support. Logits are finite.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.core.logistic_noise import logistic_noise
from taut.core.particles import NEG_LOG_Q, Terms
from taut.core.proposals import AbstractProposal, Draws, Enumerated, equal_mass
from taut.errors import InputError, option

__all__ = [
    "MOST_OUTCOMES",
    "AbstractDiscreteProposal",
    "AbstractFactorizedProposal",
    "BernoulliProposal",
    "CategoricalProposal",
    "check_outcomes",
]

_BYTES = ("bytes", "kB", "MB", "GB", "TB")

MOST_OUTCOMES = 2**16
"""Outcomes that are enumerated unless more are asked for: sixteen bits take 4 MiB of float32 latents."""


class AbstractDiscreteProposal(AbstractProposal):
    """q(z | x) over a finite support: one layer of units, or layers given the layer above.

    Methods take the noise of one draw; `jax.vmap` takes many.
    """

    @property
    def reparameterized(self) -> bool:
        return False

    @property
    @abstractmethod
    def unit_shapes(self) -> tuple[tuple[int, int], ...]:
        """For each layer the number of its units and of the outcomes of each."""

    @property
    def num_layers(self) -> int:
        """How many layers of units z has."""
        return len(self.unit_shapes)

    @property
    def num_outcomes(self) -> int:
        """Size of the support."""
        return math.prod(each**units for units, each in self.unit_shapes)

    @property
    def latent_bytes(self) -> int:
        """Memory of one z."""
        noise = jax.eval_shape(lambda: self.noise(jax.random.key(0), 1))
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(noise))

    @abstractmethod
    def layer(self, above: tuple[Any, ...]) -> "AbstractFactorizedProposal":
        """q of the next layer given the layers above it; no layers for the first."""

    @abstractmethod
    def layers_of(self, z: Any) -> tuple[Any, ...]:
        """A latent, or its noise, as one entry for each layer."""

    @abstractmethod
    def from_layers(self, layers: tuple[Any, ...]) -> Any:
        """The inverse of `layers_of`."""

    @abstractmethod
    def noise(self, key: PRNGKeyArray, num: int) -> Any:
        """The noise of `num` independent draws, a pytree with leading axis `num`."""

    @abstractmethod
    def enumerated(self, *, most: int = MOST_OUTCOMES) -> Enumerated:
        """Every outcome with its probability, differentiable in the logits.

        Raises:
            InputError: there are more than `most`.
        """

    def ancestral(self, choose: Callable[[int, "AbstractFactorizedProposal"], Any]) -> Any:
        """z from the first layer down, `choose(i, q_i)` being layer i given those above it."""
        layers: tuple[Any, ...] = ()
        for i in range(self.num_layers):
            layers = (*layers, choose(i, self.layer(layers)))
        return self.from_layers(layers)

    def hard(self, noise: Any) -> Any:
        """The outcome that this noise stands for."""
        parts = self.layers_of(noise)
        return self.ancestral(lambda i, q: q.hard(parts[i]))

    def relaxed(self, noise: Any, temperature: Float[Array, ""] | float) -> Any:
        """A point in the convex hull of the support, differentiable in logits and temperature."""
        parts = self.layers_of(noise)
        return self.ancestral(lambda i, q: q.relaxed(parts[i], temperature))

    def condition(self, z: Any, noise: Any) -> Any:
        """Noise distributed as given that `hard` of it is z, from fresh noise of one draw.

        Differentiable in the logits at fixed fresh noise.
        """
        at, fresh, made = self.layers_of(z), self.layers_of(noise), []
        for i in range(self.num_layers):
            made.append(self.layer(at[:i]).condition(at[i], fresh[i]))
        return self.from_layers(tuple(made))

    def fresh_noise(self, z: Any, noise: Any) -> Any:
        """The fresh noise from which `condition` makes this noise, where `hard(noise)` is z.

        It is independent of z, with the law of noise. Held fixed, it says how the noise of a draw moves
        with the logits while the outcome stays.
        """
        at, parts, made = self.layers_of(z), self.layers_of(noise), []
        for i in range(self.num_layers):
            made.append(self.layer(at[:i]).fresh_noise(at[i], parts[i]))
        return self.from_layers(tuple(made))

    def conditional_noise(self, z: Any, key: PRNGKeyArray) -> Any:
        """Noise of one draw given that `hard` of it is z."""
        return self.condition(z, jax.tree.map(lambda leaf: leaf[0], self.noise(key, 1)))

    def antithetic(self, noise: Any) -> Any:
        """Noise of the same distribution with every uniform u replaced by 1 - u.

        Raises:
            InputError: the latents are not binary.
        """
        parts, at = self.layers_of(noise), self.layers_of(self.hard(noise))
        made = [self.layer(at[:i]).antithetic(parts[i]) for i in range(self.num_layers)]
        return self.from_layers(tuple(made))

    def log_prob(self, z: Any) -> Float[Array, ""]:
        """log q(z | x) in nats, linear between the outcomes of a layer."""
        return -jnp.sum(self.terms(z)[NEG_LOG_Q])

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        z = jax.vmap(self.hard)(self.noise(key, num_particles))
        return Draws(z, equal_mass(num_particles))


class AbstractFactorizedProposal(AbstractDiscreteProposal):
    """One layer of D independent units with C outcomes each.

    Attributes:
        logits: the leaf in which estimators take gradients.
    """

    logits: eqx.AbstractVar[Float[Array, "..."]]

    @property
    @abstractmethod
    def distribution(self) -> dist.Distribution:
        """The units as a NumPyro distribution, for closed divergences; categories as numbers."""

    @property
    @abstractmethod
    def unit_log_probs(self) -> Float[Array, "D C"]:
        """Log-probabilities of the outcomes of each unit, nats."""

    @abstractmethod
    def from_numbers(self, numbers: Int[Array, " D"]) -> Float[Array, "..."]:
        """z whose d-th unit has the outcome with this number."""

    @abstractmethod
    def to_numbers(self, z: Float[Array, "..."]) -> Int[Array, " D"]:
        """The inverse of `from_numbers`."""

    @property
    def unit_shapes(self) -> tuple[tuple[int, int], ...]:
        return (self.unit_shape,)

    @property
    @abstractmethod
    def unit_shape(self) -> tuple[int, int]:
        """D and C."""

    def layer(self, above: tuple[Any, ...]) -> "AbstractFactorizedProposal":
        return self

    def layers_of(self, z: Any) -> tuple[Any, ...]:
        return (z,)

    def from_layers(self, layers: tuple[Any, ...]) -> Any:
        return layers[0]

    def with_logits(self, logits: Float[Array, "..."]) -> "AbstractFactorizedProposal":
        """The same family at other logits."""
        return eqx.tree_at(lambda q: q.logits, self, logits)

    def enumerated(self, *, most: int = MOST_OUTCOMES) -> Enumerated:
        check_outcomes(self.num_outcomes, most, self.latent_bytes)
        num_units, num_each = self.unit_shape
        place = num_each ** jnp.arange(num_units - 1, -1, -1)
        numbers = jnp.arange(self.num_outcomes)[:, None] // place % num_each
        log_q = jnp.take_along_axis(self.unit_log_probs, numbers.T, axis=1).sum(axis=0)
        return Enumerated(jax.vmap(self.from_numbers)(numbers), log_q)

    def entropy(self) -> Float[Array, ""]:
        log_p = self.unit_log_probs
        return -jnp.sum(jnp.exp(log_p) * log_p)


class BernoulliProposal(AbstractFactorizedProposal):
    """Independent bits, z in {0, 1}^D as floats.

    Attributes:
        logits: log-odds of 1, (D,).
    """

    logits: Float[Array, " D"]

    @property
    def distribution(self) -> dist.Distribution:
        return dist.BernoulliLogits(self.logits).to_event(1)

    @property
    def unit_shape(self) -> tuple[int, int]:
        return self.logits.shape[0], 2

    @property
    def unit_log_probs(self) -> Float[Array, "D 2"]:
        return -jax.nn.softplus(jnp.stack([self.logits, -self.logits], axis=1))

    def from_numbers(self, numbers: Int[Array, " D"]) -> Float[Array, " D"]:
        return numbers.astype(self.logits.dtype)

    def to_numbers(self, z: Float[Array, " D"]) -> Int[Array, " D"]:
        return jnp.round(z).astype(int)

    def noise(self, key: PRNGKeyArray, num: int) -> Float[Array, "num D"]:
        return logistic_noise(key, (num, *self.logits.shape))

    def hard(self, noise: Float[Array, " D"]) -> Float[Array, " D"]:
        return (self.logits + noise > 0).astype(self.logits.dtype)

    def relaxed(
        self, noise: Float[Array, " D"], temperature: Float[Array, ""] | float
    ) -> Float[Array, " D"]:
        return jax.nn.sigmoid((self.logits + noise) / temperature)

    def condition(self, z: Float[Array, " D"], noise: Float[Array, " D"]) -> Float[Array, " D"]:
        side = 2.0 * z - 1.0
        return side * jax.nn.softplus(noise + jax.nn.softplus(side * self.logits)) - self.logits

    def fresh_noise(self, z: Float[Array, " D"], noise: Float[Array, " D"]) -> Float[Array, " D"]:
        side = 2.0 * z - 1.0
        size = side * (self.logits + noise)
        # log(e^a - 1), the inverse of softplus.
        return size + jnp.log(-jnp.expm1(-size)) - jax.nn.softplus(side * self.logits)

    def antithetic(self, noise: Float[Array, " D"]) -> Float[Array, " D"]:
        return -noise

    def terms(self, z: Float[Array, " D"]) -> Terms:
        log_p = self.unit_log_probs
        return {NEG_LOG_Q: -jnp.sum(z * log_p[:, 1] + (1.0 - z) * log_p[:, 0])}

    def mean(self) -> Float[Array, " D"]:
        return jax.nn.sigmoid(self.logits)


class CategoricalProposal(AbstractFactorizedProposal):
    """Independent units with C categories each, z one-hot, (D, C), as floats.

    Attributes:
        logits: unnormalized log-probabilities, (D, C).
    """

    logits: Float[Array, "D C"]

    @property
    def one_hot(self) -> bool:
        return True

    @property
    def distribution(self) -> dist.Distribution:
        return dist.CategoricalLogits(self.logits).to_event(1)

    @property
    def unit_shape(self) -> tuple[int, int]:
        num_units, num_each = self.logits.shape
        return num_units, num_each

    @property
    def unit_log_probs(self) -> Float[Array, "D C"]:
        return jax.nn.log_softmax(self.logits, axis=1)

    def from_numbers(self, numbers: Int[Array, " D"]) -> Float[Array, "D C"]:
        return jax.nn.one_hot(numbers, self.logits.shape[1], dtype=self.logits.dtype)

    def to_numbers(self, z: Float[Array, "D C"]) -> Int[Array, " D"]:
        return jnp.argmax(z, axis=1)

    def noise(self, key: PRNGKeyArray, num: int) -> Float[Array, "num D C"]:
        # More bits than the default, whose draws stop at 16 in float32.
        return jax.random.gumbel(key, (num, *self.logits.shape), mode="high")

    def hard(self, noise: Float[Array, "D C"]) -> Float[Array, "D C"]:
        return self.from_numbers(jnp.argmax(self.logits + noise, axis=1))

    def relaxed(
        self, noise: Float[Array, "D C"], temperature: Float[Array, ""] | float
    ) -> Float[Array, "D C"]:
        return jax.nn.softmax((self.logits + noise) / temperature, axis=1)

    def condition(self, z: Float[Array, "D C"], noise: Float[Array, "D C"]) -> Float[Array, "D C"]:
        fresh = jnp.sum(z * noise, axis=1, keepdims=True)
        top = fresh + jax.nn.logsumexp(self.logits, axis=1, keepdims=True)
        below = -jnp.logaddexp(-noise - self.logits, -top)
        return jnp.where(z > 0.5, top, below) - self.logits

    def fresh_noise(
        self, z: Float[Array, "D C"], noise: Float[Array, "D C"]
    ) -> Float[Array, "D C"]:
        won, perturbed = z > 0.5, self.logits + noise
        top = jnp.sum(z * perturbed, axis=1, keepdims=True)
        below = jnp.where(won, -1.0, perturbed - top)
        return jnp.where(
            won,
            perturbed - jax.nn.logsumexp(self.logits, axis=1, keepdims=True),
            noise - jnp.log(-jnp.expm1(below)),
        )

    def antithetic(self, noise: Float[Array, "D C"]) -> Float[Array, "D C"]:
        raise InputError(
            "binary latents, which have an antithetic partner",
            f"categorical ones with {self.logits.shape[1]} outcomes",
            "rloo, rebar or relax, which serve them, or Bernoulli latents",
            where="gradient",
        )

    def terms(self, z: Float[Array, "D C"]) -> Terms:
        return {NEG_LOG_Q: -jnp.sum(z * self.unit_log_probs)}

    def mean(self) -> Float[Array, "D C"]:
        return jax.nn.softmax(self.logits, axis=1)


def check_outcomes(count: int, most: int, latent_bytes: int) -> None:
    """Refuse to enumerate outcomes that are too many.

    Arguments:
        count: how many there are.
        most: how many are allowed.
        latent_bytes: memory of one latent, from which the message says what all of them take.

    Raises:
        InputError: with the count and the memory.
    """
    if count <= most:
        return
    told = f"{count:,}" if count < 10**12 else f"about 10^{_magnitude(count)}"
    size = count * latent_bytes
    power = min(_magnitude(size) // 3, len(_BYTES) - 1)
    memory = f"{size // 10 ** (3 * power):,}" if size < 10**18 else f"10^{_magnitude(size) - 12}"
    raise InputError(
        f"at most {most:,} outcomes to enumerate",
        f"{told}, whose latents alone take about {memory} {_BYTES[power]} a row",
        f"{option('enumerate', 'units')} or layer:N, which sum over fewer, or an estimator that draws, "
        f"such as {option('gradient', 'rloo')}",
        where="enumeration",
    )


def _magnitude(count: int) -> int:
    """floor(log10(count)) of a whole number of any size."""
    return math.floor(math.log10(count))
