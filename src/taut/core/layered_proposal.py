"""Two stochastic layers, q(z_1, z_2 | x) = q(z_1 | x) q(z_2 | z_1).

Given the layer above it each layer factorizes over its units, so what is done to one layer of units is
done to these one after the other. Estimators differentiate the logits of the second layer at z_1, and
those of the first with the log-weight at z_2 ~ q(z_2 | z_1) as a function of z_1: both are unbiased, for

    grad E_{q_1} E_{q_2} f = E_{q_1}[E_{q_2}[f] grad log q_1] + E_{q_1}[grad E_{q_2} f].
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core.discrete_proposals import (
    MOST_OUTCOMES,
    AbstractDiscreteProposal,
    AbstractFactorizedProposal,
    check_outcomes,
)
from taut.core.particles import NEG_LOG_Q, Terms
from taut.core.proposals import Enumerated

__all__ = ["LayeredProposal"]


class LayeredProposal(AbstractDiscreteProposal):
    """z = (z_1, z_2), each of the form that its layer has; '-log_q' is (2,).

    Attributes:
        first: q(z_1 | x).
        second: maps z_1 to q(z_2 | z_1), whose family and shape do not depend on z_1; also defined
            at soft z_1 where estimators relax it.
    """

    first: AbstractFactorizedProposal
    second: Callable[[Any], AbstractFactorizedProposal]

    @property
    def unit_shapes(self) -> tuple[tuple[int, int], ...]:
        return self.first.unit_shape, self._some_second().unit_shape

    @property
    def one_hot(self) -> tuple[Any, Any]:
        return self.first.one_hot, self._some_second().one_hot

    def layer(self, above: tuple[Any, ...]) -> AbstractFactorizedProposal:
        return self.second(above[0]) if above else self.first

    def layers_of(self, z: Any) -> tuple[Any, ...]:
        return z

    def from_layers(self, layers: tuple[Any, ...]) -> Any:
        return layers

    def noise(self, key: PRNGKeyArray, num: int) -> Any:
        first, second = jax.random.split(key)
        return self.first.noise(first, num), self._some_second().noise(second, num)

    def terms(self, z: Any) -> Terms:
        first, second = self.first.terms(z[0]), self.second(z[0]).terms(z[1])
        return {NEG_LOG_Q: jnp.stack([first[NEG_LOG_Q], second[NEG_LOG_Q]])}

    def enumerated(self, *, most: int = MOST_OUTCOMES) -> Enumerated:
        check_outcomes(self.num_outcomes, most, self.latent_bytes)
        first = self.first.enumerated(most=most)
        second = jax.vmap(lambda z: self.second(z).enumerated(most=most))(first.support)
        count = second.log_q.shape[1]
        support = (
            jnp.repeat(first.support, count, axis=0),
            second.support.reshape(-1, *second.support.shape[2:]),
        )
        return Enumerated(support, (first.log_q[:, None] + second.log_q).reshape(-1))

    def mean(self) -> Any:
        """E_q[z], by enumeration of the first layer."""
        first = self.first.enumerated()
        means = jax.vmap(lambda z: self.second(z).mean())(first.support)
        return self.first.mean(), jnp.tensordot(jnp.exp(first.log_q), means, axes=1)

    def center(self) -> Any:
        """E_q[z_1], and the mean of z_2 there."""
        first = self.first.mean()
        return first, self.second(first).mean()

    def entropy(self) -> Float[Array, ""]:
        """H[q_1] + E_{q_1} H[q_2], by enumeration of the first layer."""
        first = self.first.enumerated()
        given = jax.vmap(lambda z: self.second(z).entropy())(first.support)
        return self.first.entropy() + jnp.exp(first.log_q) @ given

    def _some_second(self) -> AbstractFactorizedProposal:
        """q(z_2 | z_1) at the mean of z_1, for what does not depend on z_1."""
        return self.second(self.first.mean())
